use super::*;
use pb::record_effect::Effect as Kind;
use pb::text_splice::Step;

fn value(number: i64) -> pb::Value {
    pb::Value { kind: Some(pb::value::Kind::IntValue(number)) }
}

fn effect(record_id: &str, field_id: Option<&str>, kind: Kind) -> pb::Effect {
    let effect = pb::RecordEffect {
        collection_id: "notes".to_owned(),
        record_id: record_id.to_owned(),
        field_id: field_id.map(str::to_owned),
        effect: Some(kind),
    };
    pb::Effect { effect: Some(pb::effect::Effect::Record(effect)) }
}

fn change(seq: u64, effects: Vec<pb::Effect>) -> pb::Change {
    pb::Change { seq, effects, ..Default::default() }
}

fn created(record_id: &str) -> pb::Effect {
    effect(record_id, None, Kind::RecordCreated(pb::RecordCreated {}))
}

fn text(steps: Vec<Step>) -> Kind {
    let splices = steps.into_iter().map(|step| pb::TextSplice { step: Some(step) }).collect();
    Kind::TextChanged(pb::TextChanged { splices, ..Default::default() })
}

fn folded(changes: &[pb::Change]) -> Result<Fold, FoldError> {
    let mut fold = Fold::default();
    changes.iter().try_for_each(|change| fold.apply(change))?;
    Ok(fold)
}

#[test]
fn effects_add_up_to_records() {
    let set = |added, removed| Kind::SetChanged(pb::SetChanged { added, removed });
    let links = |added: &[&str], removed: &[&str]| {
        Kind::LinksChanged(pb::LinksChanged {
            added_record_ids: added.iter().map(|id| (*id).to_owned()).collect(),
            removed_record_ids: removed.iter().map(|id| (*id).to_owned()).collect(),
        })
    };
    let fold = folded(&[
        change(
            1,
            vec![
                created("n"),
                effect("n", Some("body"), text(vec![Step::InsertedText("añb".to_owned())])),
                effect("n", Some("tags"), set(vec![value(1), value(2)], vec![])),
                effect("n", Some("seen_by"), links(&["a", "b"], &[])),
            ],
        ),
        change(
            2,
            vec![
                effect(
                    "n",
                    Some("body"),
                    text(vec![Step::RetainCount(1), Step::DeletedText("ñ".to_owned())]),
                ),
                effect("n", Some("tags"), set(vec![], vec![value(1)])),
                effect("n", Some("seen_by"), links(&["c"], &["a"])),
            ],
        ),
    ])
    .expect("effects that fit");
    let record = &fold.records["n"];
    assert_eq!(record.fields["body"], FoldedField::Text("ab".to_owned()));
    assert_eq!(record.targets().collect::<Vec<_>>(), ["b", "c"]);
    let FoldedField::Set(tags) = &record.fields["tags"] else { panic!("no set: {record:?}") };
    assert_eq!(tags.values().collect::<Vec<_>>(), [&value(2)]);
    assert_eq!((fold.seq, fold.is_alive("n"), fold.is_alive("x")), (Seq(2), true, false));
}

#[test]
fn an_effect_that_does_not_fit_is_an_error() {
    let deleted = || effect("n", None, Kind::RecordDeleted(pb::RecordDeleted {}));
    let same = |now| FoldError::SameExistence { record_id: "n".to_owned(), now };
    assert_eq!(folded(&[change(1, vec![created("n"), created("n")])]), Err(same("created")));
    assert_eq!(folded(&[change(1, vec![created("n"), deleted(), deleted()])]), Err(same("deleted")));
    let of_field = ("n".to_owned(), "f".to_owned());
    let missing = effect("n", Some("f"), text(vec![Step::DeletedText("x".to_owned())]));
    let (record_id, field_id) = of_field.clone();
    assert_eq!(
        folded(&[change(1, vec![created("n"), missing])]),
        Err(FoldError::Text { record_id, field_id })
    );
    let counted = effect("n", Some("f"), Kind::CounterChanged(pb::CounterChanged { value: 1 }));
    let written = effect("n", Some("f"), text(vec![]));
    let (record_id, field_id) = of_field;
    assert_eq!(
        folded(&[change(1, vec![created("n"), counted, written])]),
        Err(FoldError::Kind { record_id, field_id })
    );
}

#[test]
fn what_was_loaded_is_not_changed_by_what_it_has_already() {
    let record =
        pb::Record { collection_id: "notes".to_owned(), record_id: "n".to_owned(), ..Default::default() };
    let snapshot = pb::RecordSnapshot { record: Some(record), as_of_seq: 5 };
    let part = pb::SnapshotResponse { records: vec![snapshot.clone()], ..Default::default() };
    let mut fold = Fold::default();
    fold.take_snapshot(&part).expect("the first time");
    assert_eq!(fold.take_snapshot(&part), Err(FoldError::Twice { record_id: "n".to_owned() }));
    fold.apply(&change(4, vec![created("n")])).expect("it is in the snapshot");
    fold.enter(&[snapshot], &[]).expect("in the place of what was there");
    fold.leave(&[pb::RecordLeft { record_id: "n".to_owned(), ..Default::default() }]);
    assert!(fold.records.is_empty());
}

#[test]
fn the_newer_revision_of_a_conflict_stays() {
    let at = |revision| pb::Conflict {
        conflict_id: "c1-0".to_owned(),
        status: pb::ConflictStatus::Open.into(),
        revision,
        ..Default::default()
    };
    let mut fold = Fold::default();
    fold.enter(&[], &[at(2)]).expect("a conflict");
    fold.enter(&[], &[at(1)]).expect("an older picture of it");
    assert_eq!(fold.conflicts["c1-0"].revision, 2);
    assert_eq!(fold.live_conflicts().into_iter().collect::<Vec<_>>(), ["c1-0"]);
}
