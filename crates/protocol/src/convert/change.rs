//! Changes as they go out, and which of them a reader wants.

use bytes::Bytes;

use super::causality::{context_to_pb, dot_to_pb, hash_to_pb, timestamp_to_pb};
use super::conflict::{conflict_to_pb, event_kind_to_pb, hunk_to_pb};
use super::value::{null_to_pb, value_to_pb};
use crate::pb::{self, effect::Effect as PbEffect, record_effect::Effect as Kind, text_splice::Step};
use syncline_core::change::{Change, Effect, EffectKind};
use syncline_core::ids::RecordId;
use syncline_core::merge::text::{SettledHunk, Splice};
use syncline_core::operation::{Action, Mutation, Settlement};
use syncline_core::selection::Collections;
use syncline_core::value::Value;

/// A change with all its effects.
pub fn change_to_pb(change: &Change) -> pb::Change {
    with_effects(change, effects(change, |_| true))
}

/// A change for a feed of some collections; `None` when it did nothing in any of them. An effect on a conflict belongs to
/// the conflict's collection.
pub fn filtered_change_to_pb(change: &Change, collections: &Collections) -> Option<pb::Change> {
    let (wanted, all_effects) = effects(change, |effect| match &effect.kind {
        EffectKind::Conflict { event: _, summary } => collections.contains(&summary.collection),
        _ => collections.contains(&effect.collection),
    });
    let mut on_records = change.mutations.iter().filter_map(Mutation::on_record);
    let whole = all_effects && on_records.all(|mutation| collections.contains(&mutation.collection));
    (!wanted.is_empty()).then(|| with_effects(change, (wanted, whole)))
}

/// A change with its effects on one record and the conflicts of it; `None` without any.
pub fn record_change_to_pb(change: &Change, record: &str) -> Option<pb::Change> {
    let (wanted, all_effects) = effects(change, |effect| match &effect.kind {
        EffectKind::Conflict { event: _, summary } => &*summary.scope.record == record,
        _ => &*effect.record == record,
    });
    let mut on_records = change.mutations.iter().filter_map(Mutation::on_record);
    let whole = all_effects && on_records.all(|mutation| &*mutation.record == record);
    (!wanted.is_empty()).then(|| with_effects(change, (wanted, whole)))
}

fn with_effects(change: &Change, (effects, whole): (Vec<pb::Effect>, bool)) -> pb::Change {
    let Change {
        seq,
        dot,
        author: _,
        context,
        request_id,
        correlation_id,
        actor,
        client_time_ms,
        committed_at_ms,
        mutations: _,
        effects: _,
        settlement,
        operation_hash,
        chain,
        hash_salt,
    } = change;
    pb::Change {
        seq: seq.0,
        dot: Some(dot_to_pb(*dot)),
        context: Some(context_to_pb(context)),
        correlation_id: correlation_id.to_string(),
        request_id: request_id.as_deref().unwrap_or_default().to_owned(),
        actor: actor.to_string(),
        client_time: client_time_ms.map(timestamp_to_pb),
        commit_time: Some(timestamp_to_pb(*committed_at_ms)),
        effects,
        operation_hash: hash_to_pb(operation_hash),
        chain: hash_to_pb(chain),
        outcome: outcome_of(settlement).into(),
        // With the salt, a reader who does not see the whole operation could guess the rest and check the guess.
        hash_salt: if whole { hash_to_pb(hash_salt) } else { Bytes::new() },
        author: String::new(),
    }
}

fn outcome_of(settlement: &Settlement) -> pb::ChangeOutcome {
    let Settlement { merged, conflicts, remaining: _ } = settlement;
    if !conflicts.is_empty() {
        pb::ChangeOutcome::Conflicted
    } else if *merged {
        pb::ChangeOutcome::Merged
    } else {
        pb::ChangeOutcome::Applied
    }
}

/// The effects that a reader wants, and whether these are all of them.
fn effects(change: &Change, wanted: impl Fn(&Effect) -> bool) -> (Vec<pb::Effect>, bool) {
    let mut whole = true;
    let told = change.effects.iter().filter(|effect| {
        let is_wanted = wanted(effect);
        whole &= is_wanted;
        is_wanted
    });
    let told = told.filter_map(|effect| effect_to_pb(change, effect)).collect();
    (told, whole)
}

/// One effect; none for what is kept for the server's own use.
fn effect_to_pb(change: &Change, effect: &Effect) -> Option<pb::Effect> {
    let Effect { collection, record, field, mutation_index, previous_seq: _, kind } = effect;
    let kind = match kind {
        EffectKind::Existence => return None,
        EffectKind::Conflict { event, summary } => {
            let event = event_kind_to_pb(*event).into();
            let changed = pb::ConflictChanged { event, conflict: Some(conflict_to_pb(summary)) };
            return Some(pb::Effect { effect: Some(PbEffect::ConflictChanged(changed)) });
        }
        EffectKind::RecordCreated => Kind::RecordCreated(pb::RecordCreated {}),
        EffectKind::RecordDeleted => Kind::RecordDeleted(pb::RecordDeleted {}),
        EffectKind::RecordRestored => Kind::RecordRestored(pb::RecordRestored {}),
        EffectKind::Register { value } => {
            let value = match value {
                Some(value) => value_to_pb(value),
                None => value_of_mutation(change, *mutation_index),
            };
            Kind::RegisterChanged(pb::RegisterChanged { value: Some(value) })
        }
        EffectKind::Link { target } => {
            Kind::LinkChanged(pb::LinkChanged { target_record_id: target.as_deref().map(str::to_owned) })
        }
        EffectKind::Text { splices, hunks, known_seq: _ } => Kind::TextChanged(pb::TextChanged {
            splices: splices.iter().map(splice_to_pb).collect(),
            hunks: hunks.iter().map(settled_hunk_to_pb).collect(),
        }),
        EffectKind::Counter { value, added: _ } => Kind::CounterChanged(pb::CounterChanged { value: *value }),
        EffectKind::Set { added, removed } => {
            let all = |values: &[Value]| values.iter().map(value_to_pb).collect();
            Kind::SetChanged(pb::SetChanged { added: all(added), removed: all(removed) })
        }
        EffectKind::Links { added, removed } => {
            let all = |targets: &[RecordId]| targets.iter().map(|target| target.to_string()).collect();
            Kind::LinksChanged(pb::LinksChanged {
                added_record_ids: all(added),
                removed_record_ids: all(removed),
            })
        }
    };
    let effect = pb::RecordEffect {
        collection_id: collection.to_string(),
        record_id: record.to_string(),
        field_id: field.as_deref().map(str::to_owned),
        effect: Some(kind),
    };
    Some(pb::Effect { effect: Some(PbEffect::Record(effect)) })
}

/// The value of a register when the mutation's own value took effect: it is stored once, with the mutation.
fn value_of_mutation(change: &Change, mutation_index: u16) -> pb::Value {
    let mutation = change.mutations.get(usize::from(mutation_index)).and_then(Mutation::on_record);
    match mutation.map(|mutation| &mutation.action) {
        Some(Action::Set { field: _, value }) => value_to_pb(value),
        // Nothing else writes such an effect. The feed must go on, and the hash chain shows what was meant.
        _ => {
            tracing::error!(
                seq = change.seq.0,
                mutation_index,
                "an effect without the value of its mutation"
            );
            null_to_pb()
        }
    }
}

fn splice_to_pb(splice: &Splice) -> pb::TextSplice {
    let step = match splice {
        Splice::Retain(count) => Step::RetainCount(*count),
        Splice::Insert(text) => Step::InsertedText(text.clone()),
        Splice::Delete(text) => Step::DeletedText(text.clone()),
    };
    pb::TextSplice { step: Some(step) }
}

fn settled_hunk_to_pb(settled: &SettledHunk) -> pb::SettledHunk {
    let SettledHunk { hunk, suppressed_by } = settled;
    pb::SettledHunk { hunk: Some(hunk_to_pb(hunk)), suppressed_by_seq: (*suppressed_by).map(|it| it.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncline_core::causality::{Author, Counter, ReplicaNo, Seq};
    use syncline_core::conflict::ConflictEventKind;
    use syncline_core::conflict::{ConflictKind, ConflictStatus, ConflictSummary, Scope, ScopePart};
    use syncline_core::ids::{ConflictId, Dot, Epoch, ReplicaId};
    use syncline_core::merge::text::Hunk;
    use syncline_core::operation::{CausalContext, RecordMutation};

    fn mutation(action: Action) -> Mutation {
        let (collection, record) = ("notes".into(), "n1".into());
        RecordMutation { collection, record, action, observed_seq: None, resolves: None }.into()
    }

    fn effect(collection: &str, record: &str, mutation_index: u16, kind: EffectKind) -> Effect {
        let field = Some("f".into());
        Effect {
            collection: collection.into(),
            record: record.into(),
            field,
            mutation_index,
            previous_seq: Seq(2),
            kind,
        }
    }

    fn change(mutations: Vec<Mutation>, effects: Vec<Effect>) -> Change {
        let dot = Dot { replica: ReplicaId::from_u128(7), counter: Counter(3) };
        Change {
            seq: Seq(9),
            dot,
            author: Author {
                replica_no: ReplicaNo(1),
                counter: Counter(3),
                base_seq: Seq(5),
                extras: vec![],
                own_requests: vec![],
            },
            context: CausalContext { extras: vec![dot], ..CausalContext::at(Epoch(1), Seq(5)) },
            request_id: None,
            correlation_id: "trace".into(),
            actor: "ann".into(),
            client_time_ms: Some(1_001),
            committed_at_ms: 2_002,
            mutations,
            effects,
            settlement: Settlement::default(),
            operation_hash: [1; 16],
            chain: [2; 16],
            hash_salt: [3; 16],
        }
    }

    fn on_conflict(collection: &str, record: &str) -> Effect {
        let summary = ConflictSummary {
            id: ConflictId { opened_seq: Seq(9), index: 0 },
            kind: ConflictKind::Register,
            scope: Scope { record: record.into(), part: ScopePart::Field("f".into()) },
            collection: collection.into(),
            status: ConflictStatus::Open,
            revision: 1,
            parent: None,
            assignee: "".into(),
            remind_at_ms: None,
            defer_count: 0,
            closing: None,
            alternative_count: 2,
        };
        // As a deferral writes it: the effect itself is on no record.
        effect("", "", 0, EffectKind::Conflict { event: ConflictEventKind::Opened, summary })
    }

    fn on_record(effect: pb::Effect) -> pb::RecordEffect {
        match effect.effect {
            Some(PbEffect::Record(effect)) => effect,
            other => panic!("not on a record: {other:?}"),
        }
    }

    fn collection_of(effect: pb::Effect) -> String {
        match effect.effect {
            Some(PbEffect::Record(effect)) => effect.collection_id,
            Some(PbEffect::ConflictChanged(changed)) => changed.conflict.expect("a conflict").collection_id,
            None => panic!("an effect of no kind"),
        }
    }

    fn wanted(collections: &[&str]) -> Collections {
        Collections::Only(collections.iter().map(|&c| c.into()).collect())
    }

    #[test]
    fn a_change_is_sent_whole() {
        let sent = change_to_pb(&change(vec![], vec![]));
        assert_eq!((sent.seq, sent.correlation_id.as_str(), sent.actor.as_str()), (9, "trace", "ann"));
        assert_eq!(sent.client_time, Some(timestamp_to_pb(1_001)));
        assert_eq!(sent.commit_time, Some(timestamp_to_pb(2_002)));
        assert_eq!((&sent.operation_hash[..], &sent.chain[..]), (&[1; 16][..], &[2; 16][..]));
        assert_eq!(sent.hash_salt[..], [3; 16]);
        assert_eq!(sent.context.as_ref().expect("a context").extras.len(), 1);
        assert_eq!(sent.outcome(), pb::ChangeOutcome::Applied);
    }

    #[test]
    fn outcomes_follow_the_settlement() {
        let mut change = change(vec![], vec![]);
        change.settlement.merged = true;
        assert_eq!(change_to_pb(&change).outcome(), pb::ChangeOutcome::Merged);
        change.settlement.conflicts.push(ConflictId { opened_seq: Seq(9), index: 0 });
        assert_eq!(change_to_pb(&change).outcome(), pb::ChangeOutcome::Conflicted);
    }

    #[test]
    fn every_effect_is_sent_but_existence() {
        let hunk = Hunk { pos: 1, del: 2, ins: "x".into() };
        let kinds = vec![
            EffectKind::RecordCreated,
            EffectKind::Existence,
            EffectKind::RecordDeleted,
            EffectKind::RecordRestored,
            EffectKind::Register { value: Some(Value::Int(4)) },
            EffectKind::Text {
                splices: vec![Splice::Retain(1), Splice::Delete("ab".into()), Splice::Insert("x".into())],
                hunks: vec![SettledHunk { hunk, suppressed_by: Some(Seq(8)) }],
                known_seq: Seq(3),
            },
            EffectKind::Counter { value: 5, added: 2 },
            EffectKind::Set { added: vec![Value::Int(1)], removed: vec![Value::Null] },
            EffectKind::Link { target: Some("t".into()) },
            EffectKind::Link { target: None },
            EffectKind::Links { added: vec!["t".into()], removed: vec!["u".into(), "v".into()] },
        ];
        let effects = kinds.into_iter().map(|kind| effect("notes", "n1", 0, kind)).collect();
        let sent = change_to_pb(&change(vec![], effects)).effects;
        assert_eq!(sent.len(), 10);
        let sent: Vec<_> = sent.into_iter().map(on_record).collect();
        assert!(sent.iter().all(|e| (e.collection_id.as_str(), e.record_id.as_str()) == ("notes", "n1")));
        let kinds: Vec<_> = sent.into_iter().map(|e| e.effect.expect("an effect")).collect();
        assert!(matches!(kinds[0], Kind::RecordCreated(_)));
        assert!(matches!(kinds[1], Kind::RecordDeleted(_)));
        assert!(matches!(kinds[2], Kind::RecordRestored(_)));
        let value = |value: &Value| Some(value_to_pb(value));
        assert_eq!(kinds[3], Kind::RegisterChanged(pb::RegisterChanged { value: value(&Value::Int(4)) }));
        let step = |step| pb::TextSplice { step: Some(step) };
        assert_eq!(
            kinds[4],
            Kind::TextChanged(pb::TextChanged {
                splices: vec![
                    step(Step::RetainCount(1)),
                    step(Step::DeletedText("ab".into())),
                    step(Step::InsertedText("x".into()))
                ],
                hunks: vec![pb::SettledHunk {
                    hunk: Some(pb::TextHunk { position: 1, delete_count: 2, insert: "x".into() }),
                    suppressed_by_seq: Some(8),
                }],
            })
        );
        assert_eq!(kinds[5], Kind::CounterChanged(pb::CounterChanged { value: 5 }));
        let set = pb::SetChanged {
            added: vec![value_to_pb(&Value::Int(1))],
            removed: vec![value_to_pb(&Value::Null)],
        };
        assert_eq!(kinds[6], Kind::SetChanged(set));
        let link = |target: Option<&str>| {
            Kind::LinkChanged(pb::LinkChanged { target_record_id: target.map(str::to_owned) })
        };
        assert_eq!((&kinds[7], &kinds[8]), (&link(Some("t")), &link(None)));
        let links = pb::LinksChanged {
            added_record_ids: vec!["t".to_owned()],
            removed_record_ids: vec!["u".to_owned(), "v".to_owned()],
        };
        assert_eq!(kinds[9], Kind::LinksChanged(links));
    }

    #[test]
    fn a_register_without_a_value_has_that_of_its_mutation() {
        let field = "f".into();
        let mutations = vec![mutation(Action::Set { field, value: Value::Bool(true) })];
        let register = |index| effect("notes", "n1", index, EffectKind::Register { value: None });
        // The last one names no mutation: the feed goes on with null.
        let effects = vec![register(0), register(7)];
        let sent = change_to_pb(&change(mutations, effects)).effects;
        let values: Vec<_> = sent
            .into_iter()
            .map(|e| match on_record(e).effect {
                Some(Kind::RegisterChanged(pb::RegisterChanged { value: Some(value) })) => value,
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [Value::Bool(true), Value::Null];
        assert_eq!(values, expected.iter().map(value_to_pb).collect::<Vec<_>>());
    }

    #[test]
    fn a_filter_leaves_out_other_collections() {
        let touched = || EffectKind::Counter { value: 1, added: 1 };
        let effects = vec![
            effect("notes", "n1", 0, touched()),
            effect("tasks", "t1", 0, touched()),
            effect("tags", "x", 0, EffectKind::Existence),
            on_conflict("people", "p1"),
        ];
        let change = change(vec![], effects);
        let sent = |collections: &[&str]| {
            let sent = filtered_change_to_pb(&change, &wanted(collections))?;
            Some(sent.effects.into_iter().map(collection_of).collect::<Vec<_>>())
        };
        let salted = |collections: &[&str]| {
            filtered_change_to_pb(&change, &wanted(collections)).is_some_and(|c| !c.hash_salt.is_empty())
        };
        assert!(salted(&["notes", "people", "tags", "tasks"]));
        assert!(!salted(&["notes", "people", "tasks"]) && !salted(&["notes"]));
        assert_eq!(sent(&["notes"]), Some(vec!["notes".to_owned()]));
        assert_eq!(sent(&["people"]), Some(vec!["people".to_owned()]));
        assert_eq!(sent(&["notes", "people", "tasks"]).map(|e| e.len()), Some(3));
        assert_eq!(sent(&["elsewhere"]), None);
        assert_eq!(sent(&["tags"]), None, "existence alone is nothing to see");

        let of = |record| record_change_to_pb(&change, record).map(|c| c.effects.len());
        assert_eq!((of("n1"), of("p1"), of("x"), of("n2")), (Some(1), Some(1), None, None));
    }
}
