//! What clients do: random mutations on few records, so that they clash.

use rand::RngExt;
use rand::rngs::StdRng;

use super::client::Client;
use super::fold::Shown;
use crate::causality::Seq;
use crate::conflict::{ConflictKind, ConflictSummary, ScopePart};
use crate::ids::{ConflictId, FieldId, RecordId};
use crate::merge::text::Hunk;
use crate::operation::{Action, ConflictAction, ConflictMutation, Mutation, RecordMutation};
use crate::schema::{Collection, Field, FieldKind, OnClash, OnDominate, Provisional, Schema};
use crate::value::Value;

pub(super) const COLLECTION: &str = "things";
/// The first two are there from the beginning.
pub(super) const RECORDS: [&str; 8] = ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7"];
const REGISTERS: [&str; 6] = ["plain", "latest", "least", "most", "settled", "yielding"];

/// Registers of every policy, and one field of every other kind. "free" is left for the first action to fix.
pub(super) fn schema() -> Schema {
    let plain = Field::of(FieldKind::Register);
    let fields = [
        ("plain", plain.clone()),
        ("latest", Field { provisional: Provisional::Latest, ..plain.clone() }),
        ("least", Field { provisional: Provisional::Min, ..plain.clone() }),
        ("most", Field { provisional: Provisional::Max, ..plain.clone() }),
        ("settled", Field { on_clash: OnClash::Settle, ..plain.clone() }),
        ("yielding", Field { on_dominate: OnDominate::Supersede, ..plain.clone() }),
        ("text", Field::of(FieldKind::Text)),
        ("count", Field::of(FieldKind::Counter)),
        ("tags", Field::of(FieldKind::Set)),
        ("one", Field::of(FieldKind::ToOne)),
        ("many", Field::of(FieldKind::ToMany)),
    ];
    let fields = fields.into_iter().map(|(id, field)| (FieldId::from(id), field)).collect();
    let mut schema = Schema::default();
    schema.collections.insert(COLLECTION.into(), Collection { fields, ..Collection::default() }.into());
    schema
}

/// What a run is mostly about; few kinds of action on few fields clash more.
#[derive(Debug, Clone, Copy)]
pub(super) enum Theme {
    Registers,
    Numbers,
    Texts,
    Existence,
    Links,
    Everything,
}

impl Theme {
    pub(super) fn of(seed: u64) -> Theme {
        match seed % 6 {
            0 => Theme::Registers,
            1 => Theme::Existence,
            2 => Theme::Numbers,
            3 => Theme::Links,
            4 => Theme::Texts,
            _ => Theme::Everything,
        }
    }

    /// How many records it is about.
    fn records(self) -> usize {
        match self {
            Theme::Existence => RECORDS.len(),
            Theme::Everything => 4,
            _ => 3,
        }
    }

    /// Weights of: register, increment, assignment, set, text, link, create, delete, restore, conflict.
    fn weights(self) -> [u32; 10] {
        match self {
            Theme::Registers => [60, 0, 0, 0, 0, 0, 2, 2, 1, 35],
            Theme::Numbers => [0, 35, 25, 25, 0, 0, 2, 2, 1, 10],
            Theme::Texts => [2, 0, 0, 0, 80, 0, 2, 2, 1, 13],
            Theme::Existence => [12, 4, 0, 4, 4, 4, 24, 26, 12, 12],
            Theme::Links => [2, 0, 0, 0, 0, 55, 4, 16, 8, 15],
            Theme::Everything => [15, 8, 6, 10, 12, 15, 6, 8, 5, 15],
        }
    }
}

/// A mutation from scratch.
pub(super) fn mutation(record: &str, action: Action) -> Mutation {
    let (collection, record) = (COLLECTION.into(), record.into());
    RecordMutation { collection, record, action, observed_seq: None, resolves: None }.into()
}

/// A mutation of a conflict itself.
pub(super) fn on_conflict(conflict: ConflictId, action: ConflictAction) -> Mutation {
    ConflictMutation { conflict, action }.into()
}

pub(super) fn set(record: &str, field: &str, value: i64) -> Mutation {
    mutation(record, Action::Set { field: field.into(), value: Value::Int(value) })
}

pub(super) fn create(record: &str) -> Mutation {
    create_in(COLLECTION, record)
}

pub(super) fn create_in(collection: &str, record: &str) -> Mutation {
    let action = Action::Create { fields: Vec::new(), replace_deleted: false };
    let (collection, record) = (collection.into(), record.into());
    RecordMutation { collection, record, action, observed_seq: None, resolves: None }.into()
}

/// What one client does next.
pub(super) struct Script<'a> {
    pub client: &'a Client,
    pub theme: Theme,
    pub dice: &'a mut StdRng,
    /// The next character nobody wrote yet.
    pub fresh: &'a mut u32,
    pub now_ms: i64,
}

impl Script<'_> {
    /// One or two mutations; a text is edited once by an operation.
    pub(super) fn operation(&mut self) -> Result<Vec<Mutation>, String> {
        let mut mutations: Vec<Mutation> = Vec::new();
        for _ in 0..[1, 1, 2][self.dice.random_range(0..3)] {
            let next = self.mutation()?;
            let place = super::client::text_place(&next);
            if place.is_none() || !mutations.iter().any(|m| super::client::text_place(m) == place) {
                mutations.push(next);
            }
        }
        Ok(mutations)
    }

    fn mutation(&mut self) -> Result<Mutation, String> {
        let weights = self.theme.weights();
        let mut roll = self.dice.random_range(0..weights.iter().sum::<u32>());
        let mut kind = 0;
        while roll >= weights[kind] {
            roll -= weights[kind];
            kind += 1;
        }
        let record = self.record();
        Ok(match kind {
            0 => {
                let field = REGISTERS[self.dice.random_range(0..REGISTERS.len())];
                let value = self.dice.random_range(0..3);
                self.observing(set(record, field, value))
            }
            1 => mutation(
                record,
                Action::Increment { field: "count".into(), by: self.dice.random_range(-3..9) },
            ),
            2 => {
                let value = self.dice.random_range(0..3);
                self.observing(mutation(record, Action::AssignCounter { field: "count".into(), value }))
            }
            3 => mutation(record, self.set_action()),
            4 => mutation(record, self.text_action(record)?),
            5 => {
                let action = self.link_action();
                let to_one = action.field().is_some_and(|f| &**f == "one");
                let link = mutation(record, action);
                if to_one { self.observing(link) } else { link }
            }
            6 => {
                let value = Value::Int(self.dice.random_range(0..3));
                let text = Value::string(self.write_something(1));
                let fields = vec![("plain".into(), value), ("text".into(), text)];
                if let Some(deleted) = self.deleted_record() {
                    return Ok(mutation(deleted, Action::Create { fields, replace_deleted: true }));
                }
                let fields = if self.dice.random_bool(0.5) { fields } else { Vec::new() };
                mutation(self.new_record(), Action::Create { fields, replace_deleted: false })
            }
            7 => mutation(record, Action::Delete),
            8 => mutation(RECORDS[self.dice.random_range(0..self.theme.records())], Action::Restore),
            _ => self.about_conflict(record)?,
        })
    }

    /// Mostly a record that is there, as far as the client has heard.
    fn record(&mut self) -> &'static str {
        let all = &RECORDS[..self.theme.records()];
        let confirmed = &self.client.confirmed;
        let there: Vec<&str> =
            all.iter().copied().filter(|r| confirmed.is_alive(&RecordId::from(*r))).collect();
        if there.is_empty() || self.dice.random_bool(0.12) {
            return all[self.dice.random_range(0..all.len())];
        }
        there[self.dice.random_range(0..there.len())]
    }

    /// A record that is not there yet, if there is one.
    fn new_record(&mut self) -> &'static str {
        let all = &RECORDS[..self.theme.records()];
        let new: Vec<&str> = all
            .iter()
            .copied()
            .filter(|r| !self.client.confirmed.records.contains_key(&RecordId::from(*r)))
            .collect();
        if new.is_empty() { self.record() } else { new[self.dice.random_range(0..new.len())] }
    }

    /// Now and then a record that the client has heard to be deleted.
    fn deleted_record(&mut self) -> Option<&'static str> {
        let confirmed = &self.client.confirmed;
        let is_deleted = |record: &&&str| {
            let id = RecordId::from(**record);
            confirmed.records.contains_key(&id) && !confirmed.is_alive(&id)
        };
        let deleted: Vec<&str> = RECORDS[..self.theme.records()].iter().filter(is_deleted).copied().collect();
        if deleted.is_empty() || self.dice.random_bool(0.5) {
            return None;
        }
        Some(deleted[self.dice.random_range(0..deleted.len())])
    }

    /// Now and then a value was read some time before it is written.
    fn observing(&mut self, mutation: Mutation) -> Mutation {
        let observed =
            self.dice.random_bool(0.2).then(|| Seq(self.dice.random_range(0..=self.client.base_seq.0)));
        match observed {
            Some(observed) => observing(mutation, observed),
            None => mutation,
        }
    }

    fn set_action(&mut self) -> Action {
        let mut element = || Value::Int(self.dice.random_range(0..3));
        let elements = vec![element(), element()];
        match self.dice.random_range(0..10) {
            0..5 => Action::AddElements { field: "tags".into(), elements },
            5..9 => Action::RemoveElements { field: "tags".into(), elements },
            _ => Action::ClearElements { field: "tags".into() },
        }
    }

    fn link_action(&mut self) -> Action {
        let target: RecordId = self.record().into();
        let field: FieldId = ["one", "many"][self.dice.random_range(0..2)].into();
        match self.dice.random_range(0..20) {
            0..13 => Action::Link { field, target },
            13..19 => Action::Unlink { field, target: Some(target) },
            _ => Action::ClearElements { field: "many".into() },
        }
    }

    /// Characters are never written twice, so that each can be traced.
    fn write_something(&mut self, len: u32) -> String {
        let text = (0..len).filter_map(|i| written_char(*self.fresh + i)).collect();
        *self.fresh += len;
        text
    }

    fn text_action(&mut self, record: &str) -> Result<Action, String> {
        let field: FieldId = "text".into();
        let shown = self.client.text(&(record.into(), field.clone()))?;
        let hunks = self.hunks(shown.chars().count() as u32);
        Ok(Action::EditText { field, hunks })
    }

    fn hunks(&mut self, len: u32) -> Vec<Hunk> {
        let mut hunks = Vec::new();
        let mut from = 0;
        for _ in 0..[1, 1, 2][self.dice.random_range(0..3)] {
            if from > len {
                break;
            }
            let pos = self.dice.random_range(from..=len);
            let del =
                if self.dice.random_bool(0.5) { 0 } else { self.dice.random_range(0..=4.min(len - pos)) };
            let ins_len =
                if del > 0 && self.dice.random_bool(0.3) { 0 } else { self.dice.random_range(1..=3) };
            let ins = self.write_something(ins_len);
            hunks.push(Hunk { pos, del, ins });
            from = pos + del + 1;
        }
        hunks
    }

    /// Decides a conflict, or puts it aside, or gives it to somebody.
    fn about_conflict(&mut self, record: &str) -> Result<Mutation, String> {
        let all: Vec<&ConflictSummary> = self.client.confirmed.conflicts.values().collect();
        let live: Vec<&ConflictSummary> = all.iter().copied().filter(|c| c.status.is_live()).collect();
        let from = if live.is_empty() || self.dice.random_bool(0.2) { all } else { live };
        if from.is_empty() {
            return Ok(set(record, "plain", self.dice.random_range(0..3)));
        }
        let conflict = from[self.dice.random_range(0..from.len())].clone();
        let id = conflict.id;
        Ok(match self.dice.random_range(0..20) {
            0 => on_conflict(id, ConflictAction::Assign { assignee: Some("somebody".into()) }),
            1..6 => {
                let remind_at_ms = self.now_ms + self.dice.random_range(0..2_000);
                on_conflict(id, ConflictAction::Defer { revision: conflict.revision, remind_at_ms })
            }
            6 => on_conflict(id, ConflictAction::Reopen),
            _ => self.decision(&conflict)?,
        })
    }

    fn decision(&mut self, conflict: &ConflictSummary) -> Result<Mutation, String> {
        let keep = self.dice.random_bool(0.5);
        let value = self.dice.random_range(0..3);
        let more = self.write_something(1);
        decide(self.client, conflict, keep, value, |text| {
            if keep { text.to_owned() } else { format!("{text}{more}") }
        })
    }
}

/// A character of its own for every number. Most are letters of one word; every third stands alone.
pub(super) fn written_char(number: u32) -> Option<char> {
    char::from_u32(if number.is_multiple_of(3) { 0x4e00 + number } else { 0xac00 + number })
}

/// An operation that decides a conflict in the way its kind wants it.
pub(super) fn decide(
    client: &Client,
    conflict: &ConflictSummary,
    keep: bool,
    value: i64,
    rewrite: impl FnOnce(&str) -> String,
) -> Result<Mutation, String> {
    let scope = &conflict.scope;
    let record = scope.record.clone();
    let action = match (conflict.kind, &scope.part) {
        (ConflictKind::EditDelete, _) => {
            if keep {
                Action::Restore
            } else {
                Action::Delete
            }
        }
        (_, ScopePart::Link(_, target)) if !client.confirmed.is_alive(&record) => {
            let action = if keep { Action::Restore } else { Action::Delete };
            return Ok(resolving(mutation(target, action), conflict.id));
        }
        (_, ScopePart::Link(field, target)) if keep && client.confirmed.is_alive(target) => {
            Action::Link { field: field.clone(), target: target.clone() }
        }
        (_, ScopePart::Link(field, target)) => {
            Action::Unlink { field: field.clone(), target: Some(target.clone()) }
        }
        (ConflictKind::TextOverlap, ScopePart::Field(field) | ScopePart::Region(field, _)) => {
            let shown = client.text(&(record.clone(), field.clone()))?;
            let text = rewrite(&shown);
            if text == shown {
                Action::EditText { field: field.clone(), hunks: Vec::new() }
            } else {
                Action::ReplaceText { field: field.clone(), text }
            }
        }
        (_, ScopePart::Field(field) | ScopePart::Region(field, _)) => {
            match client.confirmed.fields.get(&(record.clone(), field.clone())) {
                Some(Shown::Counter(_)) => Action::AssignCounter { field: field.clone(), value },
                _ if &**field == "one" => Action::Unlink { field: field.clone(), target: None },
                _ => Action::Set { field: field.clone(), value: Value::Int(value) },
            }
        }
        (_, ScopePart::Record) => return Err(format!("{:?} about a record", conflict.kind)),
    };
    Ok(resolving(mutation(&record, action), conflict.id))
}

pub(super) fn resolving(mutation: Mutation, conflict: ConflictId) -> Mutation {
    match mutation {
        Mutation::Record(mutation) => RecordMutation { resolves: Some(conflict), ..mutation }.into(),
        Mutation::Conflict(_) => mutation,
    }
}

/// The mutation of somebody who had read the value at an earlier position.
pub(super) fn observing(mutation: Mutation, observed: Seq) -> Mutation {
    match mutation {
        Mutation::Record(mutation) => RecordMutation { observed_seq: Some(observed), ..mutation }.into(),
        Mutation::Conflict(_) => mutation,
    }
}
