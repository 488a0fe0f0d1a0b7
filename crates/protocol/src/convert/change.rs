//! Changes as they go out, and which of them a reader wants.

use std::collections::BTreeSet;

use super::causality::{context_to_pb, dot_to_pb, hash_to_pb, timestamp_to_pb};
use super::conflict::{event_kind_to_pb, hunk_to_pb, summary_to_pb};
use super::field::name_from_pb;
use super::value::{null_to_pb, target_to_pb, value_to_pb};
use crate::pb::{self, effect::Effect as PbEffect, text_splice::Step};
use crate::status::{Failure, FieldViolation};
use syncline_core::change::{Change, Effect, EffectKind};
use syncline_core::ids::CollectionId;
use syncline_core::merge::text::{SettledHunk, Splice};
use syncline_core::operation::{Action, Mutation, Settlement};
use syncline_core::value::Value;

/// Collections a feed can name; more are as well served by the whole feed.
const FEED_COLLECTIONS_MAX: usize = 100;

/// The collections a feed wants; `None` means all.
pub fn collections_from_pb(
    filter: Option<pb::FeedFilter>,
) -> Result<Option<BTreeSet<CollectionId>>, Failure> {
    let Some(pb::FeedFilter { collection_ids }) = filter else { return Ok(None) };
    let mut violations = Vec::new();
    if collection_ids.len() > FEED_COLLECTIONS_MAX {
        let why = format!("at most {FEED_COLLECTIONS_MAX}");
        violations.push(FieldViolation::new("filter.collection_ids", why));
        return Err(Failure::invalid_request(violations));
    }
    let mut wanted = BTreeSet::new();
    for (index, id) in collection_ids.iter().enumerate() {
        match name_from_pb(id, &format!("filter.collection_ids[{index}]")) {
            Ok(collection) => {
                wanted.insert(collection);
            }
            Err(violation) => violations.push(violation),
        }
    }
    if !violations.is_empty() {
        return Err(Failure::invalid_request(violations));
    }
    Ok((!wanted.is_empty()).then_some(wanted))
}

/// A change for a feed of `collections` (all without one); `None` when it did nothing in any of them. An effect on a
/// conflict belongs to the conflict's collection.
pub fn change_to_pb(change: &Change, collections: Option<&BTreeSet<CollectionId>>) -> Option<pb::Change> {
    let Some(collections) = collections else { return Some(with_effects(change, effects(change, |_| true))) };
    let (wanted, all_effects) = effects(change, |effect| match &effect.kind {
        EffectKind::Conflict { event: _, summary } => collections.contains(&summary.collection),
        _ => collections.contains(&effect.collection),
    });
    let on_conflict = |mutation: &Mutation| mutation.collection.is_empty();
    let whole =
        all_effects && change.mutations.iter().all(|m| on_conflict(m) || collections.contains(&m.collection));
    (!wanted.is_empty()).then(|| with_effects(change, (wanted, whole)))
}

/// A change with its effects on one record and the conflicts of it; `None` without any.
pub fn record_change_to_pb(change: &Change, record: &str) -> Option<pb::Change> {
    let (wanted, all_effects) = effects(change, |effect| match &effect.kind {
        EffectKind::Conflict { event: _, summary } => &*summary.scope.record == record,
        _ => &*effect.record == record,
    });
    let whole = all_effects && change.mutations.iter().all(|m| m.record.is_empty() || &*m.record == record);
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
        seq: *seq,
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
        // Whoever does not see all of it could guess the rest and check the guess.
        hash_salt: if whole { hash_to_pb(hash_salt) } else { bytes::Bytes::new() },
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
        EffectKind::RecordCreated => PbEffect::RecordCreated(pb::RecordCreated {}),
        EffectKind::RecordDeleted => PbEffect::RecordDeleted(pb::RecordDeleted {}),
        EffectKind::RecordRestored => PbEffect::RecordRestored(pb::RecordRestored {}),
        EffectKind::Register { value } => {
            let value = match value {
                Some(value) => value_to_pb(value),
                None => value_of_mutation(change, *mutation_index),
            };
            PbEffect::RegisterChanged(pb::RegisterChanged { value: Some(value) })
        }
        EffectKind::Text { splices, hunks, known_seq: _ } => PbEffect::TextChanged(pb::TextChanged {
            splices: splices.iter().map(splice_to_pb).collect(),
            hunks: hunks.iter().map(settled_hunk_to_pb).collect(),
        }),
        EffectKind::Counter { value, added: _ } => {
            PbEffect::CounterChanged(pb::CounterChanged { value: *value })
        }
        EffectKind::Set { added, removed } => {
            let all = |values: &[Value]| values.iter().map(value_to_pb).collect();
            PbEffect::SetChanged(pb::SetChanged { added: all(added), removed: all(removed) })
        }
        EffectKind::Conflict { event, summary } => PbEffect::ConflictChanged(pb::ConflictChanged {
            event: event_kind_to_pb(*event).into(),
            conflict: Some(summary_to_pb(summary)),
        }),
    };
    Some(pb::Effect {
        collection_id: collection.to_string(),
        record_id: record.to_string(),
        field_id: field.as_deref().unwrap_or_default().to_owned(),
        effect: Some(kind),
    })
}

/// What a register or to-one field has when the mutation's own value took effect: it is stored once, with the
/// mutation.
fn value_of_mutation(change: &Change, mutation_index: u16) -> pb::Value {
    match change.mutations.get(usize::from(mutation_index)).map(|mutation| &mutation.action) {
        Some(Action::Set { field: _, value }) => value_to_pb(value),
        Some(Action::Link { field: _, target }) => target_to_pb(target),
        Some(Action::Unlink { .. }) => null_to_pb(),
        // Nothing else writes such an effect. The feed must go on, and the hash chain tells what was meant.
        _ => {
            tracing::error!(seq = change.seq, mutation_index, "an effect without the value of its mutation");
            null_to_pb()
        }
    }
}

fn splice_to_pb(splice: &Splice) -> pb::TextSplice {
    let step = match splice {
        Splice::Retain(count) => Step::RetainCount(*count),
        Splice::Insert(text) => Step::Insert(text.clone()),
        Splice::Delete(text) => Step::Delete(text.clone()),
    };
    pb::TextSplice { step: Some(step) }
}

fn settled_hunk_to_pb(settled: &SettledHunk) -> pb::SettledHunk {
    let SettledHunk { hunk, suppressed_by } = settled;
    pb::SettledHunk { hunk: Some(hunk_to_pb(hunk)), suppressed_by_seq: *suppressed_by }
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use uuid::Uuid;

    use super::*;
    use syncline_core::causality::Author;
    use syncline_core::change::ConflictEventKind;
    use syncline_core::conflict::{ConflictKind, ConflictStatus, ConflictSummary, Scope, ScopePart};
    use syncline_core::ids::{ConflictId, Dot};
    use syncline_core::merge::text::Hunk;
    use syncline_core::operation::CausalContext;

    fn mutation(action: Action) -> Mutation {
        Mutation {
            collection: "notes".into(),
            record: "n1".into(),
            action,
            observed_seq: None,
            resolves: None,
        }
    }

    fn effect(collection: &str, record: &str, mutation_index: u16, kind: EffectKind) -> Effect {
        let field = Some("f".into());
        Effect {
            collection: collection.into(),
            record: record.into(),
            field,
            mutation_index,
            previous_seq: 2,
            kind,
        }
    }

    fn change(mutations: Vec<Mutation>, effects: Vec<Effect>) -> Change {
        let dot = Dot { replica: Uuid::from_u128(7), counter: 3 };
        Change {
            seq: 9,
            dot,
            author: Author { replica_no: 1, counter: 3, base_seq: 5, extras: vec![] },
            context: CausalContext { epoch: 1, base_seq: 5, extras: vec![dot] },
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
            id: ConflictId { opened_seq: 9, index: 0 },
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

    fn wanted(collections: &[&str]) -> BTreeSet<CollectionId> {
        collections.iter().map(|&c| c.into()).collect()
    }

    #[test]
    fn a_change_is_sent_whole() {
        let sent = change_to_pb(&change(vec![], vec![]), None).expect("sent without effects as well");
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
        assert_eq!(change_to_pb(&change, None).expect("sent").outcome(), pb::ChangeOutcome::Merged);
        change.settlement.conflicts.push(ConflictId { opened_seq: 9, index: 0 });
        assert_eq!(change_to_pb(&change, None).expect("sent").outcome(), pb::ChangeOutcome::Conflicted);
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
                hunks: vec![SettledHunk { hunk, suppressed_by: Some(8) }],
                known_seq: 3,
            },
            EffectKind::Counter { value: 5, added: 2 },
            EffectKind::Set { added: vec![Value::Int(1)], removed: vec![Value::Null] },
        ];
        let effects = kinds.into_iter().map(|kind| effect("notes", "n1", 0, kind)).collect();
        let sent = change_to_pb(&change(vec![], effects), None).expect("sent").effects;
        assert_eq!(sent.len(), 7);
        assert!(sent.iter().all(|e| (e.collection_id.as_str(), e.record_id.as_str()) == ("notes", "n1")));
        let kinds: Vec<_> = sent.into_iter().map(|e| e.effect.expect("an effect")).collect();
        assert!(matches!(kinds[0], PbEffect::RecordCreated(_)));
        assert!(matches!(kinds[1], PbEffect::RecordDeleted(_)));
        assert!(matches!(kinds[2], PbEffect::RecordRestored(_)));
        let value = |value: &Value| Some(value_to_pb(value));
        assert_eq!(kinds[3], PbEffect::RegisterChanged(pb::RegisterChanged { value: value(&Value::Int(4)) }));
        let step = |step| pb::TextSplice { step: Some(step) };
        assert_eq!(
            kinds[4],
            PbEffect::TextChanged(pb::TextChanged {
                splices: vec![
                    step(Step::RetainCount(1)),
                    step(Step::Delete("ab".into())),
                    step(Step::Insert("x".into()))
                ],
                hunks: vec![pb::SettledHunk {
                    hunk: Some(pb::TextHunk { position: 1, delete_count: 2, insert: "x".into() }),
                    suppressed_by_seq: Some(8),
                }],
            })
        );
        assert_eq!(kinds[5], PbEffect::CounterChanged(pb::CounterChanged { value: 5 }));
        let set = pb::SetChanged {
            added: vec![value_to_pb(&Value::Int(1))],
            removed: vec![value_to_pb(&Value::Null)],
        };
        assert_eq!(kinds[6], PbEffect::SetChanged(set));
    }

    #[test]
    fn a_register_without_a_value_has_that_of_its_mutation() {
        let field: std::sync::Arc<str> = "f".into();
        let mutations = vec![
            mutation(Action::Set { field: field.clone(), value: Value::Bool(true) }),
            mutation(Action::Link { field: field.clone(), target: "t".into() }),
            mutation(Action::Unlink { field, target: Some("t".into()) }),
        ];
        let register = |index| effect("notes", "n1", index, EffectKind::Register { value: None });
        // The last one names no mutation: the feed goes on with null.
        let effects = vec![register(0), register(1), register(2), register(7)];
        let sent = change_to_pb(&change(mutations, effects), None).expect("sent").effects;
        let values: Vec<_> = sent
            .into_iter()
            .map(|e| match e.effect {
                Some(PbEffect::RegisterChanged(pb::RegisterChanged { value: Some(value) })) => value,
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [Value::Bool(true), Value::string("t"), Value::Null, Value::Null];
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
            let sent = change_to_pb(&change, Some(&wanted(collections)))?;
            Some(sent.effects.into_iter().map(|e| e.collection_id).collect::<Vec<_>>())
        };
        let salted = |collections: &[&str]| {
            change_to_pb(&change, Some(&wanted(collections))).is_some_and(|c| !c.hash_salt.is_empty())
        };
        assert!(salted(&["notes", "people", "tags", "tasks"]));
        assert!(!salted(&["notes", "people", "tasks"]) && !salted(&["notes"]));
        assert_eq!(sent(&["notes"]), Some(vec!["notes".to_owned()]));
        assert_eq!(sent(&["people"]), Some(vec![String::new()]));
        assert_eq!(sent(&["notes", "people", "tasks"]).map(|e| e.len()), Some(3));
        assert_eq!(sent(&["elsewhere"]), None);
        assert_eq!(sent(&["tags"]), None, "existence alone is nothing to see");

        let of = |record| record_change_to_pb(&change, record).map(|c| c.effects.len());
        assert_eq!((of("n1"), of("p1"), of("x"), of("n2")), (Some(1), Some(1), None, None));
    }

    #[test]
    fn filters_are_checked() {
        let filter =
            |ids: &[&str]| Some(pb::FeedFilter { collection_ids: ids.iter().map(|&id| id.into()).collect() });
        assert_eq!(collections_from_pb(None).expect("all"), None);
        assert_eq!(collections_from_pb(filter(&[])).expect("all"), None);
        assert_eq!(collections_from_pb(filter(&["a", "b", "a"])).expect("two"), Some(wanted(&["a", "b"])));
        let failure = collections_from_pb(filter(&["a", "b c"])).expect_err("a bad name");
        assert_eq!(failure.violations()[0].field, "filter.collection_ids[1]");
        let failure = collections_from_pb(filter(&["a"; 101])).expect_err("too many");
        assert_eq!(failure.code(), Code::InvalidArgument);
    }
}
