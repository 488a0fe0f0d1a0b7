//! Confirmed state as a client keeps it: the fold of effects. It believes nothing: an effect that does not fit what is
//! there is a violation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use pb::effect::Effect as Kind;
use pb::field_state::State;
use pb::text_splice::Step;
use prost::Message as _;

use syncline_protocol::pb;

/// Fields that hold links.
pub(crate) const LINK_FIELDS: [&str; 2] = ["owner", "blocks"];

/// What is wrong with an effect.
type Wrong = String;

/// A field's state. A to-one link is a register of its target's id, a to-many link a set of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field {
    Register(pb::Value),
    Text(String),
    Counter(i64),
    /// Elements by their encoding.
    Set(BTreeMap<Vec<u8>, pb::Value>),
}

/// A record.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Card {
    pub collection_id: String,
    pub deleted: bool,
    pub fields: BTreeMap<String, Field>,
    /// Changes up to here are in it already: a snapshot had them.
    pub as_of_seq: u64,
}

/// Everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fold {
    pub records: BTreeMap<String, Card>,
    pub conflicts: BTreeMap<String, pb::ConflictSummary>,
    /// The last change that was folded in.
    pub seq: u64,
}

impl Fold {
    /// Takes in a part of a snapshot.
    pub fn take_snapshot(&mut self, chunk: &pb::SnapshotResponse) -> Result<(), Wrong> {
        for snapshot in &chunk.records {
            let record = snapshot.record.as_ref().ok_or("a snapshot without a record")?;
            let card = Card { as_of_seq: snapshot.as_of_seq, ..card_of(record)? };
            if self.records.insert(record.record_id.clone(), card).is_some() {
                return Err(format!("{} comes twice in a snapshot", record.record_id));
            }
        }
        for conflict in &chunk.conflicts {
            self.conflicts.insert(conflict.conflict_id.clone(), conflict.clone());
        }
        Ok(())
    }

    /// Takes in a change.
    pub fn apply(&mut self, change: &pb::Change) -> Result<(), Wrong> {
        self.seq = change.seq;
        let wrong = |wrong| format!("at {}: {wrong}", change.seq);
        change.effects.iter().try_for_each(|effect| self.effect(change.seq, effect).map_err(wrong))
    }

    fn effect(&mut self, seq: u64, effect: &pb::Effect) -> Result<(), Wrong> {
        let kind = effect.effect.as_ref().ok_or("an effect of no kind")?;
        if let Kind::ConflictChanged(changed) = kind {
            let conflict = changed.conflict.clone().ok_or("a conflict effect without conflict")?;
            // Revisions only grow, so that a snapshot's newer picture stays.
            let known = self.conflicts.get(&conflict.conflict_id);
            if known.is_none_or(|known| known.revision <= conflict.revision) {
                self.conflicts.insert(conflict.conflict_id.clone(), conflict);
            }
            return Ok(());
        }
        let (id, field) = (&effect.record_id, &effect.field_id);
        let card = self.records.entry(id.clone()).or_default();
        if seq <= card.as_of_seq {
            return Ok(());
        }
        match kind {
            Kind::RecordCreated(_) if *card != Card::default() => {
                return Err(format!("{id} is created again"));
            }
            Kind::RecordCreated(_) => card.collection_id.clone_from(&effect.collection_id),
            Kind::RecordDeleted(_) if std::mem::replace(&mut card.deleted, true) => {
                return Err(format!("{id} is deleted again"));
            }
            Kind::RecordRestored(_) if !std::mem::take(&mut card.deleted) => {
                return Err(format!("{id} is restored while alive"));
            }
            Kind::RegisterChanged(changed) => {
                let value = changed.value.clone().ok_or("no value")?;
                card.fields.insert(field.clone(), Field::Register(value));
            }
            Kind::CounterChanged(changed) => {
                card.fields.insert(field.clone(), Field::Counter(changed.value));
            }
            Kind::TextChanged(changed) => {
                let field = card.fields.entry(field.clone()).or_insert(Field::Text(String::new()));
                let Field::Text(text) = field else { return Err(format!("no text: {field:?}")) };
                *text = spliced(text, &changed.splices)?;
            }
            Kind::SetChanged(changed) => {
                let field = card.fields.entry(field.clone()).or_insert(Field::Set(BTreeMap::new()));
                let Field::Set(elements) = field else { return Err(format!("no set: {field:?}")) };
                change_set(elements, changed)?;
            }
            Kind::RecordDeleted(_) | Kind::RecordRestored(_) | Kind::ConflictChanged(_) => {}
        }
        Ok(())
    }

    fn is_alive(&self, record_id: &str) -> bool {
        self.records.get(record_id).is_some_and(|card| !card.deleted)
    }

    /// A record as everybody must show it: a link to a deleted record is kept and not shown.
    pub fn shown(&self, record_id: &str) -> String {
        match self.records.get(record_id) {
            Some(card) => shown(card, &|id| self.is_alive(id)),
            None => "none".to_owned(),
        }
    }

    /// All of it in words.
    pub fn picture(&self) -> String {
        let mut text = String::new();
        for id in self.records.keys() {
            let _ = writeln!(text, "{id}: {}", self.shown(id));
        }
        for id in self.live_conflicts() {
            let conflict = &self.conflicts[&id];
            let _ = writeln!(text, "{id}: {:?} revision {}", conflict.status(), conflict.revision);
        }
        text
    }

    /// Ids of live conflicts.
    pub fn live_conflicts(&self) -> BTreeSet<String> {
        let live = |c: &&pb::ConflictSummary| {
            matches!(c.status(), pb::ConflictStatus::Open | pb::ConflictStatus::Deferred)
        };
        self.conflicts.values().filter(live).map(|c| c.conflict_id.clone()).collect()
    }
}

/// A record of a read, in the words of [`Fold::shown`]; reads leave out what is not to be shown.
pub(crate) fn shown_of(record: &pb::Record) -> Result<String, Wrong> {
    Ok(shown(&card_of(record)?, &|_| true))
}

fn shown(card: &Card, alive: &dyn Fn(&str) -> bool) -> String {
    let mut text = format!("{} {}", card.collection_id, if card.deleted { "deleted" } else { "alive" });
    for (id, field) in &card.fields {
        let visible = |value: &pb::Value| match &value.kind {
            Some(pb::value::Kind::StringValue(target)) if LINK_FIELDS.contains(&id.as_str()) => alive(target),
            _ => true,
        };
        let _ = match field {
            Field::Register(value) if visible(value) => write!(text, " {id}={:?}", value.kind),
            Field::Register(_) => write!(text, " {id}={:?}", null().kind),
            Field::Text(value) => write!(text, " {id}={value:?}"),
            Field::Counter(value) => write!(text, " {id}={value}"),
            Field::Set(elements) => {
                let shown: Vec<_> = elements.values().filter(|v| visible(v)).map(|v| &v.kind).collect();
                write!(text, " {id}={shown:?}")
            }
        };
    }
    text
}

fn change_set(elements: &mut BTreeMap<Vec<u8>, pb::Value>, changed: &pb::SetChanged) -> Result<(), Wrong> {
    for value in &changed.added {
        if elements.insert(value.encode_to_vec(), value.clone()).is_some() {
            return Err(format!("added what was there: {value:?}"));
        }
    }
    for value in &changed.removed {
        if elements.remove(&value.encode_to_vec()).is_none() {
            return Err(format!("removed what was not there: {value:?}"));
        }
    }
    Ok(())
}

/// A text after splices; what they delete must be there.
fn spliced(text: &str, splices: &[pb::TextSplice]) -> Result<String, Wrong> {
    let mut rest = text.chars();
    let mut result = String::new();
    for splice in splices {
        match splice.step.as_ref().ok_or("a splice of no kind")? {
            Step::RetainCount(count) => {
                for _ in 0..*count {
                    result.push(rest.next().ok_or("no character to keep")?);
                }
            }
            Step::Insert(insert) => result.push_str(insert),
            Step::Delete(delete) => {
                for expected in delete.chars() {
                    if rest.next() != Some(expected) {
                        return Err(format!("a splice deletes {delete:?}, which is not there"));
                    }
                }
            }
        }
    }
    result.extend(rest);
    Ok(result)
}

/// Null.
pub(crate) fn null() -> pb::Value {
    pb::Value { kind: Some(pb::value::Kind::NullValue(pb::Null {})) }
}

/// A string.
pub(crate) fn string(text: &str) -> pb::Value {
    pb::Value { kind: Some(pb::value::Kind::StringValue(text.to_owned())) }
}

fn card_of(record: &pb::Record) -> Result<Card, Wrong> {
    let mut fields = BTreeMap::new();
    for (id, field) in &record.fields {
        fields.insert(id.clone(), field_of(field.state.as_ref().ok_or("a field of no kind")?));
    }
    let (collection_id, deleted) = (record.collection_id.clone(), record.deleted);
    Ok(Card { collection_id, deleted, fields, as_of_seq: 0 })
}

fn field_of(state: &State) -> Field {
    let set =
        |values: Vec<pb::Value>| Field::Set(values.into_iter().map(|v| (v.encode_to_vec(), v)).collect());
    match state {
        State::RegisterValue(value) => Field::Register(value.clone()),
        State::Text(text) => Field::Text(text.clone()),
        State::Counter(value) => Field::Counter(*value),
        State::Elements(list) => set(list.values.clone()),
        State::TargetRecordId(id) if id.is_empty() => Field::Register(null()),
        State::TargetRecordId(id) => Field::Register(string(id)),
        State::TargetRecordIds(ids) => set(ids.record_ids.iter().map(|id| string(id)).collect()),
    }
}
