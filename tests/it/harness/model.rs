//! Confirmed state as a client keeps it: the fold of effects.

use std::collections::{BTreeMap, BTreeSet};

use pb::field_state::State;
use pb::record_effect::Effect as Kind;
use pb::text_splice::Step;
use prost::Message as _;
use syncline_protocol::pb;

use super::feed::Loading;

/// A field's state. Links are kept also while their targets are deleted.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    Register(pb::Value),
    Text(String),
    Counter(i64),
    /// Elements by their encoding.
    Set(BTreeMap<Vec<u8>, pb::Value>),
    Link(Option<String>),
    Links(BTreeSet<String>),
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
    pub conflicts: BTreeMap<String, pb::Conflict>,
    /// The last change that was folded in.
    pub seq: u64,
}

impl Model {
    /// Takes in a part of a snapshot.
    pub fn take_snapshot(&mut self, chunk: &pb::SnapshotResponse) {
        self.take_records(&chunk.records, &chunk.conflicts);
    }

    /// Takes in whole records, with all of their live conflicts.
    fn take_records(&mut self, records: &[pb::RecordSnapshot], conflicts: &[pb::Conflict]) {
        for snapshot in records {
            let record = snapshot.record.as_ref().expect("a record");
            let card = Card {
                collection_id: record.collection_id.clone(),
                deleted: record.deleted,
                fields: record.fields.iter().map(|(id, field)| (id.clone(), field_of(field))).collect(),
                as_of_seq: snapshot.as_of_seq,
            };
            self.records.insert(record.record_id.clone(), card);
        }
        conflicts.iter().cloned().for_each(|conflict| self.take_conflict(conflict));
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
        match effect.effect.as_ref().expect("an effect this client knows") {
            pb::effect::Effect::Record(effect) => self.record_effect(seq, effect),
            pb::effect::Effect::ConflictChanged(changed) => {
                self.take_conflict(changed.conflict.clone().expect("a conflict"));
            }
        }
    }

    /// Revisions only grow, so that the newer picture of a snapshot stays.
    fn take_conflict(&mut self, conflict: pb::Conflict) {
        let known = self.conflicts.get(&conflict.conflict_id);
        if known.is_none_or(|known| known.revision <= conflict.revision) {
            self.conflicts.insert(conflict.conflict_id.clone(), conflict);
        }
    }

    fn record_effect(&mut self, seq: u64, effect: &pb::RecordEffect) {
        let kind = effect.effect.as_ref().expect("an effect this client knows");
        let card = self.records.entry(effect.record_id.clone()).or_default();
        if seq <= card.as_of_seq {
            return;
        }
        let field = || effect.field_id.clone().expect("a field");
        match kind {
            Kind::RecordCreated(_) => {
                assert_eq!(*card, Card::default(), "{} is created once", effect.record_id);
                card.collection_id.clone_from(&effect.collection_id);
            }
            Kind::RecordDeleted(_) => assert!(!std::mem::replace(&mut card.deleted, true), "deleted twice"),
            Kind::RecordRestored(_) => assert!(std::mem::take(&mut card.deleted), "restored while alive"),
            Kind::RegisterChanged(changed) => {
                let value = changed.value.clone().expect("a value");
                card.fields.insert(field(), Field::Register(value));
            }
            Kind::LinkChanged(changed) => {
                card.fields.insert(field(), Field::Link(changed.target_record_id.clone()));
            }
            Kind::CounterChanged(changed) => {
                card.fields.insert(field(), Field::Counter(changed.value));
            }
            Kind::TextChanged(changed) => {
                let field = card.fields.entry(field()).or_insert(Field::Text(String::new()));
                let Field::Text(text) = field else { panic!("no text: {field:?}") };
                *text = spliced(text, &changed.splices);
            }
            Kind::SetChanged(changed) => {
                let field = card.fields.entry(field()).or_insert(Field::Set(BTreeMap::new()));
                let Field::Set(elements) = field else { panic!("no set: {field:?}") };
                for value in &changed.added {
                    let before = elements.insert(value.encode_to_vec(), value.clone());
                    assert!(before.is_none(), "added what was there: {value:?}");
                }
                for value in &changed.removed {
                    assert!(elements.remove(&value.encode_to_vec()).is_some(), "removed what was not there");
                }
            }
            Kind::LinksChanged(changed) => {
                let field = card.fields.entry(field()).or_insert(Field::Links(BTreeSet::new()));
                let Field::Links(targets) = field else { panic!("no links: {field:?}") };
                for target in &changed.added_record_ids {
                    assert!(targets.insert(target.clone()), "linked what was linked: {target}");
                }
                for target in &changed.removed_record_ids {
                    assert!(targets.remove(target), "unlinked what was not linked: {target}");
                }
            }
        }
    }

    /// Takes in what a feed loads.
    pub fn load(&mut self, loading: &Loading) {
        match loading {
            Loading::Begun(begun) if begun.from_scratch => {
                self.records.clear();
                self.conflicts.clear();
            }
            Loading::Begun(_) | Loading::Finished(_) => {}
            Loading::Entered(entered) => self.take_records(&entered.records, &entered.conflicts),
            Loading::Left(left) => {
                for record in &left.records {
                    self.records.remove(&record.record_id);
                    self.conflicts.retain(|_, conflict| conflict.record_id != record.record_id);
                }
            }
        }
    }

    /// Targets of a record's links that are deleted.
    fn deleted_targets(&self, card: &Card) -> BTreeSet<String> {
        let alive = |id: &str| self.records.get(id).is_some_and(|r| !r.deleted);
        let targets = card.fields.values().flat_map(|field| match field {
            Field::Link(target) => target.iter().cloned().collect(),
            Field::Links(targets) => targets.iter().cloned().collect::<Vec<_>>(),
            Field::Register(_) | Field::Text(_) | Field::Counter(_) | Field::Set(_) => Vec::new(),
        });
        targets.filter(|id| !alive(id)).collect()
    }

    /// Compares a record with what the server reads.
    #[track_caller]
    pub fn agrees_with(&self, record: &pb::Record) {
        let id = &record.record_id;
        let card = self.records.get(id).unwrap_or_else(|| panic!("the client has no record {id}"));
        assert_eq!((&card.collection_id, card.deleted), (&record.collection_id, record.deleted), "{id}");
        let theirs: BTreeMap<String, Field> =
            record.fields.iter().map(|(f, state)| (f.clone(), field_of(state))).collect();
        assert_eq!(card.fields, theirs, "{id}: what the client has, what the server has");
        let deleted: BTreeSet<String> = record.deleted_target_record_ids.iter().cloned().collect();
        assert_eq!(self.deleted_targets(card), deleted, "{id}: which targets are deleted");
        assert_eq!(deleted.len(), record.deleted_target_record_ids.len(), "{id}: each of them once");
    }

    /// Ids of live conflicts.
    pub fn live_conflicts(&self) -> BTreeSet<String> {
        let live =
            |c: &&pb::Conflict| matches!(c.status(), pb::ConflictStatus::Open | pb::ConflictStatus::Deferred);
        self.conflicts.values().filter(live).map(|c| c.conflict_id.clone()).collect()
    }
}

fn field_of(field: &pb::FieldState) -> Field {
    let set =
        |values: Vec<pb::Value>| Field::Set(values.into_iter().map(|v| (v.encode_to_vec(), v)).collect());
    match field.state.as_ref().expect("a state") {
        State::RegisterValue(value) => Field::Register(value.clone()),
        State::Text(text) => Field::Text(text.clone()),
        State::Counter(value) => Field::Counter(*value),
        State::Elements(list) => set(list.values.clone()),
        State::Link(link) => Field::Link(link.target_record_id.clone()),
        State::Links(ids) => Field::Links(ids.record_ids.iter().cloned().collect()),
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
            Step::InsertedText(insert) => result.push_str(insert),
            Step::DeletedText(delete) => {
                for expected in delete.chars() {
                    assert_eq!(rest.next(), Some(expected), "a splice deletes what is there");
                }
            }
        }
    }
    result.extend(rest);
    result
}
