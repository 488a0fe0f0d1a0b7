//! Confirmed state as a client keeps it: the fold of effects.

use std::collections::{BTreeMap, BTreeSet};

use pb::effect::Effect as Kind;
use pb::field_state::State;
use pb::text_splice::Step;
use prost::Message as _;
use syncline_protocol::pb;

/// Fields of [`super::workspace::schema`] that hold links.
const LINK_FIELDS: [&str; 2] = ["owner", "blocks"];

/// A field's state. A to-one link is a register of its target's id, a to-many link a set of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    Register(pb::Value),
    Text(String),
    Counter(i64),
    /// Elements by their encoding.
    Set(BTreeMap<Vec<u8>, pb::Value>),
}

/// A record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Card {
    pub collection_id: String,
    pub deleted: bool,
    pub fields: BTreeMap<String, Field>,
    /// Changes up to here are in it already: a snapshot had them.
    pub as_of_seq: u64,
}

/// Everything.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub records: BTreeMap<String, Card>,
    /// Live conflicts, by id.
    pub conflicts: BTreeMap<String, pb::ConflictSummary>,
    /// The last change that was folded in.
    pub seq: u64,
}

impl Model {
    /// Takes in a part of a snapshot.
    pub fn take_snapshot(&mut self, chunk: &pb::SnapshotResponse) {
        for snapshot in &chunk.records {
            let record = snapshot.record.as_ref().expect("a record");
            let card = Card {
                collection_id: record.collection_id.clone(),
                deleted: record.deleted,
                fields: record.fields.iter().map(|(id, field)| (id.clone(), field_of(field))).collect(),
                as_of_seq: snapshot.as_of_seq,
            };
            self.records.insert(record.record_id.clone(), card);
        }
        for conflict in &chunk.conflicts {
            self.conflicts.insert(conflict.conflict_id.clone(), conflict.clone());
        }
    }

    /// Takes in a change.
    pub fn apply(&mut self, change: &pb::Change) {
        assert!(change.seq > self.seq, "{} after {}", change.seq, self.seq);
        self.seq = change.seq;
        for effect in &change.effects {
            self.effect(change.seq, effect);
        }
    }

    fn effect(&mut self, seq: u64, effect: &pb::Effect) {
        let kind = effect.effect.as_ref().expect("an effect this client knows");
        if let Kind::ConflictChanged(changed) = kind {
            let conflict = changed.conflict.clone().expect("a conflict");
            // Revisions only grow, so that a snapshot's newer picture stays.
            let newer =
                self.conflicts.get(&conflict.conflict_id).is_none_or(|c| c.revision <= conflict.revision);
            if newer {
                self.conflicts.insert(conflict.conflict_id.clone(), conflict);
            }
            return;
        }
        let card = self.records.entry(effect.record_id.clone()).or_default();
        if seq <= card.as_of_seq {
            return;
        }
        match kind {
            Kind::RecordCreated(_) => {
                assert_eq!(*card, Card::default(), "{} is created once", effect.record_id);
                card.collection_id.clone_from(&effect.collection_id);
            }
            Kind::RecordDeleted(_) => assert!(!std::mem::replace(&mut card.deleted, true), "deleted twice"),
            Kind::RecordRestored(_) => assert!(std::mem::take(&mut card.deleted), "restored while alive"),
            Kind::RegisterChanged(changed) => {
                let value = changed.value.clone().expect("a value");
                card.fields.insert(effect.field_id.clone(), Field::Register(value));
            }
            Kind::CounterChanged(changed) => {
                card.fields.insert(effect.field_id.clone(), Field::Counter(changed.value));
            }
            Kind::TextChanged(changed) => {
                let field = card.fields.entry(effect.field_id.clone()).or_insert(Field::Text(String::new()));
                let Field::Text(text) = field else { panic!("no text: {field:?}") };
                *text = spliced(text, &changed.splices);
            }
            Kind::SetChanged(changed) => {
                let field = card.fields.entry(effect.field_id.clone()).or_insert(Field::Set(BTreeMap::new()));
                let Field::Set(elements) = field else { panic!("no set: {field:?}") };
                for value in &changed.added {
                    let before = elements.insert(value.encode_to_vec(), value.clone());
                    assert!(before.is_none(), "added what was there: {value:?}");
                }
                for value in &changed.removed {
                    assert!(elements.remove(&value.encode_to_vec()).is_some(), "removed what was not there");
                }
            }
            Kind::ConflictChanged(_) => {}
        }
    }

    /// The record as the server must show it. A link to a deleted record is kept and not shown.
    pub fn shown(&self, record_id: &str) -> BTreeMap<String, Shown> {
        let alive = |id: &str| self.records.get(id).is_some_and(|r| !r.deleted);
        let card = &self.records[record_id];
        card.fields.iter().map(|(id, field)| (id.clone(), Shown::of(id, field, &alive))).collect()
    }

    /// Compares a record with the server's.
    #[track_caller]
    pub fn agrees_with(&self, record: &pb::Record) {
        let id = &record.record_id;
        let card = self.records.get(id).unwrap_or_else(|| panic!("the client has no record {id}"));
        assert_eq!((&card.collection_id, card.deleted), (&record.collection_id, record.deleted), "{id}");
        let alive = |target: &str| self.records.get(target).is_some_and(|r| !r.deleted);
        let theirs: BTreeMap<String, Shown> = record
            .fields
            .iter()
            .map(|(f, state)| (f.clone(), Shown::of(f, &field_of(state), &alive)))
            .collect();
        assert_eq!(self.shown(id), theirs, "{id}: what the client has, what the server has");
    }

    /// Ids of live conflicts.
    pub fn live_conflicts(&self) -> BTreeSet<String> {
        let live = |c: &&pb::ConflictSummary| {
            matches!(c.status(), pb::ConflictStatus::Open | pb::ConflictStatus::Deferred)
        };
        self.conflicts.values().filter(live).map(|c| c.conflict_id.clone()).collect()
    }
}

/// A field as it is shown, where a link and a plain value look alike.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    Value(pb::Value),
    Text(String),
    Counter(i64),
    Elements(Vec<Vec<u8>>),
}

impl Shown {
    fn of(field_id: &str, field: &Field, alive: &impl Fn(&str) -> bool) -> Shown {
        let visible = |value: &pb::Value| match &value.kind {
            Some(pb::value::Kind::StringValue(id)) if LINK_FIELDS.contains(&field_id) => alive(id),
            _ => true,
        };
        match field {
            Field::Register(value) if visible(value) => Shown::Value(value.clone()),
            Field::Register(_) => Shown::Value(super::ops::null()),
            Field::Text(text) => Shown::Text(text.clone()),
            Field::Counter(value) => Shown::Counter(*value),
            Field::Set(elements) => {
                Shown::Elements(elements.iter().filter(|(_, v)| visible(v)).map(|(k, _)| k.clone()).collect())
            }
        }
    }
}

fn field_of(field: &pb::FieldState) -> Field {
    let text = |id: &String| pb::Value { kind: Some(pb::value::Kind::StringValue(id.clone())) };
    let set =
        |values: Vec<pb::Value>| Field::Set(values.into_iter().map(|v| (v.encode_to_vec(), v)).collect());
    match field.state.as_ref().expect("a state") {
        State::RegisterValue(value) => Field::Register(value.clone()),
        State::Text(text) => Field::Text(text.clone()),
        State::Counter(value) => Field::Counter(*value),
        State::Elements(list) => set(list.values.clone()),
        State::TargetRecordId(id) if id.is_empty() => Field::Register(super::ops::null()),
        State::TargetRecordId(id) => Field::Register(text(id)),
        State::TargetRecordIds(ids) => set(ids.record_ids.iter().map(text).collect()),
    }
}

/// A text after splices; what they delete must be there.
pub fn spliced(text: &str, splices: &[pb::TextSplice]) -> String {
    let mut rest = text.chars();
    let mut result = String::new();
    for splice in splices {
        match splice.step.as_ref().expect("a step") {
            Step::RetainCount(count) => {
                for _ in 0..*count {
                    result.push(rest.next().expect("a character to keep"));
                }
            }
            Step::Insert(insert) => result.push_str(insert),
            Step::Delete(delete) => {
                for expected in delete.chars() {
                    assert_eq!(rest.next(), Some(expected), "a splice deletes what is there");
                }
            }
        }
    }
    result.extend(rest);
    result
}
