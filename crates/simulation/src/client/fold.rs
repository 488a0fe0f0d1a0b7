//! Confirmed state as a client keeps it: the fold of effects. It believes nothing: an effect that does not fit what is
//! there is a violation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use pb::field_state::State;
use pb::record_effect::Effect as Kind;
use pb::text_splice::Step;
use prost::Message as _;

use syncline_protocol::pb;

/// What is wrong with an effect.
type Wrong = String;

/// A field's state. Links are kept also while their targets are deleted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field {
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
    pub conflicts: BTreeMap<String, pb::Conflict>,
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

    /// Takes in whole records in the place of what was there of them, with all of their live conflicts.
    pub fn enter(&mut self, records: &[pb::RecordSnapshot], conflicts: &[pb::Conflict]) -> Result<(), Wrong> {
        for snapshot in records {
            let record = snapshot.record.as_ref().ok_or("a snapshot without a record")?;
            let card = Card { as_of_seq: snapshot.as_of_seq, ..card_of(record)? };
            self.records.insert(record.record_id.clone(), card);
        }
        conflicts.iter().cloned().for_each(|conflict| self.take_conflict(conflict));
        Ok(())
    }

    /// Drops records that are no longer asked for, with their conflicts.
    pub fn leave(&mut self, records: &[pb::RecordLeft]) {
        for record in records {
            self.records.remove(&record.record_id);
            self.conflicts.retain(|_, conflict| conflict.record_id != record.record_id);
        }
    }

    /// Takes in a change.
    pub fn apply(&mut self, change: &pb::Change) -> Result<(), Wrong> {
        self.seq = change.seq;
        let wrong = |wrong| format!("at {}: {wrong}", change.seq);
        change.effects.iter().try_for_each(|effect| self.effect(change.seq, effect).map_err(wrong))
    }

    fn effect(&mut self, seq: u64, effect: &pb::Effect) -> Result<(), Wrong> {
        match effect.effect.as_ref().ok_or("an effect of no kind")? {
            pb::effect::Effect::Record(effect) => self.record_effect(seq, effect),
            pb::effect::Effect::ConflictChanged(changed) => {
                let conflict = changed.conflict.clone().ok_or("a conflict effect without conflict")?;
                self.take_conflict(conflict);
                Ok(())
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

    fn record_effect(&mut self, seq: u64, effect: &pb::RecordEffect) -> Result<(), Wrong> {
        let kind = effect.effect.as_ref().ok_or("an effect of no kind")?;
        let id = &effect.record_id;
        let card = self.records.entry(id.clone()).or_default();
        if seq <= card.as_of_seq {
            return Ok(());
        }
        let field = effect.field_id.as_ref().ok_or("no field");
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
                card.fields.insert(field?.clone(), Field::Register(value));
            }
            Kind::LinkChanged(changed) => {
                card.fields.insert(field?.clone(), Field::Link(changed.target_record_id.clone()));
            }
            Kind::CounterChanged(changed) => {
                card.fields.insert(field?.clone(), Field::Counter(changed.value));
            }
            Kind::TextChanged(changed) => {
                let field = card.fields.entry(field?.clone()).or_insert(Field::Text(String::new()));
                let Field::Text(text) = field else { return Err(format!("no text: {field:?}")) };
                *text = spliced(text, &changed.splices)?;
            }
            Kind::SetChanged(changed) => {
                let field = card.fields.entry(field?.clone()).or_insert(Field::Set(BTreeMap::new()));
                let Field::Set(elements) = field else { return Err(format!("no set: {field:?}")) };
                change_set(elements, changed)?;
            }
            Kind::LinksChanged(changed) => {
                let field = card.fields.entry(field?.clone()).or_insert(Field::Links(BTreeSet::new()));
                let Field::Links(targets) = field else { return Err(format!("no links: {field:?}")) };
                change_links(targets, changed)?;
            }
            Kind::RecordDeleted(_) | Kind::RecordRestored(_) => {}
        }
        Ok(())
    }

    fn is_alive(&self, record_id: &str) -> bool {
        self.records.get(record_id).is_some_and(|card| !card.deleted)
    }

    /// A record as everybody must show it.
    pub fn shown(&self, record_id: &str) -> String {
        match self.records.get(record_id) {
            Some(card) => shown(card, &self.deleted_targets(card)),
            None => "none".to_owned(),
        }
    }

    /// Targets of a record's links that are deleted.
    fn deleted_targets(&self, card: &Card) -> BTreeSet<String> {
        let targets = card.fields.values().flat_map(|field| match field {
            Field::Link(target) => target.iter().cloned().collect(),
            Field::Links(targets) => targets.iter().cloned().collect::<Vec<_>>(),
            Field::Register(_) | Field::Text(_) | Field::Counter(_) | Field::Set(_) => Vec::new(),
        });
        targets.filter(|id| !self.is_alive(id)).collect()
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

    /// What is in these collections, in words; links as they are stored. Without any: everything.
    pub fn picture_of(&self, collections: &[&str]) -> String {
        let wanted = |collection: &str| collections.is_empty() || collections.contains(&collection);
        let mut text = String::new();
        for (id, card) in self.records.iter().filter(|(_, card)| wanted(&card.collection_id)) {
            let _ = writeln!(text, "{id}: {}", shown(card, &BTreeSet::new()));
        }
        for id in self.live_conflicts() {
            let conflict = &self.conflicts[&id];
            if wanted(&conflict.collection_id) {
                let _ = writeln!(text, "{id}: {:?} revision {}", conflict.status(), conflict.revision);
            }
        }
        text
    }

    /// Whether it has records or conflicts of any other collections.
    pub fn has_beside(&self, collections: &[&str]) -> bool {
        let foreign = |collection: &str| !collections.is_empty() && !collections.contains(&collection);
        self.records.values().any(|card| foreign(&card.collection_id))
            || self.conflicts.values().any(|conflict| foreign(&conflict.collection_id))
    }

    /// Ids of live conflicts.
    pub fn live_conflicts(&self) -> BTreeSet<String> {
        let live =
            |c: &&pb::Conflict| matches!(c.status(), pb::ConflictStatus::Open | pb::ConflictStatus::Deferred);
        self.conflicts.values().filter(live).map(|c| c.conflict_id.clone()).collect()
    }
}

/// A record of a read, in the words of [`Fold::shown`].
pub(crate) fn shown_of(record: &pb::Record) -> Result<String, Wrong> {
    Ok(shown(&card_of(record)?, &record.deleted_target_record_ids.iter().cloned().collect()))
}

fn shown(card: &Card, deleted_targets: &BTreeSet<String>) -> String {
    let mut text = format!("{} {}", card.collection_id, if card.deleted { "deleted" } else { "alive" });
    for (id, field) in &card.fields {
        let _ = match field {
            Field::Register(value) => write!(text, " {id}={:?}", value.kind),
            Field::Text(value) => write!(text, " {id}={value:?}"),
            Field::Counter(value) => write!(text, " {id}={value}"),
            Field::Set(elements) => {
                let shown: Vec<_> = elements.values().map(|v| &v.kind).collect();
                write!(text, " {id}={shown:?}")
            }
            Field::Link(target) => write!(text, " {id}={target:?}"),
            Field::Links(targets) => write!(text, " {id}={targets:?}"),
        };
    }
    let _ = write!(text, " deleted targets {deleted_targets:?}");
    text
}

fn change_links(targets: &mut BTreeSet<String>, changed: &pb::LinksChanged) -> Result<(), Wrong> {
    for target in &changed.added_record_ids {
        if !targets.insert(target.clone()) {
            return Err(format!("linked what was linked: {target}"));
        }
    }
    for target in &changed.removed_record_ids {
        if !targets.remove(target) {
            return Err(format!("unlinked what was not linked: {target}"));
        }
    }
    Ok(())
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
            Step::InsertedText(insert) => result.push_str(insert),
            Step::DeletedText(delete) => {
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
        State::Link(link) => Field::Link(link.target_record_id.clone()),
        State::Links(ids) => Field::Links(ids.record_ids.iter().cloned().collect()),
    }
}
