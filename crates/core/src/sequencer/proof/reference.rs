//! The rules once more, in the plainest form, on explicit knowledge: head sets, links, existence, and the pairs that
//! clash. What the sequencer keeps and records must be this.

use std::collections::BTreeMap;

use super::fold::Place;
use super::truth::Truth;
use crate::causality::Seq;
use crate::change::Change;
use crate::conflict::{Scope, ScopePart};
use crate::ids::RecordId;
use crate::operation::{Action, Mutation, RecordMutation};
use crate::value::Value;

/// A maximal writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Writer {
    pub seq: Seq,
    pub rank: Seq,
    pub value: Value,
}

/// A creation, restore or delete that no other one knew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub seq: Seq,
    pub delete: bool,
    /// A delete that left the record alive.
    pub lost: bool,
}

/// A record's existence.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub alive: bool,
    pub heads: Vec<Verdict>,
    /// Operations that changed a field of it.
    edits: Vec<Seq>,
}

/// The reference state.
pub(super) struct Reference<'a> {
    truth: &'a Truth,
    log: &'a [std::sync::Arc<Change>],
    /// Registers, to-one links, and the assignments of counters.
    pub writers: BTreeMap<Place, Vec<Writer>>,
    /// Additions that hold an element of a set or to-many field.
    pub elements: BTreeMap<(RecordId, String, Value), Vec<Seq>>,
    pub lives: BTreeMap<RecordId, Life>,
    /// Clashing pairs by place, with how often they came up: within one operation once.
    pub pairs: BTreeMap<(Scope, Seq, Seq), u32>,
}

impl<'a> Reference<'a> {
    pub(super) fn new(truth: &'a Truth, log: &'a [std::sync::Arc<Change>]) -> Reference<'a> {
        Reference {
            truth,
            log,
            writers: BTreeMap::new(),
            elements: BTreeMap::new(),
            lives: BTreeMap::new(),
            pairs: BTreeMap::new(),
        }
    }

    fn at(&self, seq: Seq) -> Result<&'a Change, String> {
        self.log.get(seq.0 as usize - 1).map(|c| &**c).ok_or_else(|| format!("no change {seq}"))
    }

    fn knows(&self, o: &Change, seq: Seq) -> Result<bool, String> {
        self.truth.knows(o, self.at(seq)?)
    }

    fn pair(&mut self, scope: Scope, earlier: Seq, later: Seq) {
        self.pairs.insert((scope, earlier, later), 1);
    }

    /// Settles an accepted operation.
    pub(super) fn settle(&mut self, change: &Change) -> Result<(), String> {
        change.mutations.iter().filter_map(Mutation::on_record).try_for_each(|m| self.apply(change, m))
    }

    fn apply(&mut self, o: &Change, mutation: &RecordMutation) -> Result<(), String> {
        let record = &mutation.record;
        match &mutation.action {
            Action::Create { replace_deleted: true, .. } if self.saw_deleted(o, record)? => {
                self.restore(o, record)
            }
            Action::Create { .. } => self.create(o, record),
            Action::Delete => self.delete(o, record),
            Action::Restore => self.restore(o, record),
            Action::Set { field, value } => {
                self.edit(o, record)?;
                self.write(o, mutation, field, value.clone())
            }
            Action::AssignCounter { field, value } => {
                self.edit(o, record)?;
                self.write(o, mutation, field, Value::Int(*value))
            }
            Action::EditText { .. }
            | Action::ReplaceText { .. }
            | Action::DecideText { .. }
            | Action::Increment { .. } => self.edit(o, record),
            Action::AddElements { field, elements } => {
                self.edit(o, record)?;
                elements.iter().try_for_each(|e| self.add(o, record, field, e))
            }
            Action::RemoveElements { field, elements } => {
                self.edit(o, record)?;
                elements.iter().try_for_each(|e| self.remove(o, record, field, e))
            }
            Action::ClearElements { field } => {
                self.edit(o, record)?;
                let all: Vec<Value> = self.elements_of(record, field);
                all.iter().try_for_each(|e| self.remove(o, record, field, e))
            }
            Action::Link { field, target } => self.link(o, mutation, field, target),
            Action::Unlink { field, target } => {
                self.edit(o, record)?;
                match target {
                    Some(target) if &**field == "many" => {
                        self.remove(o, record, field, &target_value(target))
                    }
                    _ => self.write(o, mutation, field, Value::Null),
                }
            }
        }
    }

    fn elements_of(&self, record: &RecordId, field: &str) -> Vec<Value> {
        self.elements
            .keys()
            .filter(|(r, f, _)| r == record && f == field)
            .map(|(_, _, v)| v.clone())
            .collect()
    }

    /// A write of a register: it stands beside the writers it did not know.
    fn write(
        &mut self,
        o: &Change,
        mutation: &RecordMutation,
        field: &str,
        value: Value,
    ) -> Result<(), String> {
        let place: Place = (mutation.record.clone(), field.into());
        let mut rank = o.seq;
        let mut heads = Vec::new();
        let mut clashing = Vec::new();
        // A counter starts from an assignment of 0 that everybody knows.
        let start = vec![Writer { seq: Seq(0), rank: Seq(0), value: Value::Int(0) }];
        let before = self.writers.remove(&place).unwrap_or(if field == "count" { start } else { Vec::new() });
        for head in before {
            let known = head.seq == 0 || self.truth.knows_for(o, mutation, self.at(head.seq)?)?;
            if known {
                rank = rank.min(head.rank);
            } else {
                if head.value != value {
                    clashing.push(head.seq);
                }
                heads.push(head);
            }
        }
        heads.push(Writer { seq: o.seq, rank, value });
        self.writers.insert(place, heads);
        let scope = Scope { record: mutation.record.clone(), part: ScopePart::Field(field.into()) };
        clashing.into_iter().for_each(|seq| self.pair(scope.clone(), seq, o.seq));
        Ok(())
    }

    fn add(&mut self, o: &Change, record: &RecordId, field: &str, element: &Value) -> Result<(), String> {
        self.remove(o, record, field, element)?;
        self.elements.entry((record.clone(), field.to_owned(), element.clone())).or_default().push(o.seq);
        Ok(())
    }

    fn remove(&mut self, o: &Change, record: &RecordId, field: &str, element: &Value) -> Result<(), String> {
        let key = (record.clone(), field.to_owned(), element.clone());
        let mut left = Vec::new();
        for seq in self.elements.remove(&key).unwrap_or_default() {
            if !self.knows(o, seq)? {
                left.push(seq);
            }
        }
        if !left.is_empty() {
            self.elements.insert(key, left);
        }
        Ok(())
    }

    /// Any edit of a record clashes with the maximal deletes it did not know, and brings the record back.
    fn edit(&mut self, o: &Change, record: &RecordId) -> Result<(), String> {
        self.against_deletes(o, record, Scope { record: record.clone(), part: ScopePart::Record })?;
        let life = self.lives.get_mut(record).ok_or_else(|| format!("{} edits no record", o.seq))?;
        life.edits.push(o.seq);
        Ok(())
    }

    fn against_deletes(&mut self, o: &Change, record: &RecordId, scope: Scope) -> Result<(), String> {
        let life = self.lives.get(record).ok_or_else(|| format!("{} is about no record", o.seq))?;
        let (mut known, mut unknown) = (0, Vec::new());
        for head in life.heads.iter().filter(|h| h.delete) {
            if self.knows(o, head.seq)? {
                // Whoever has read that a delete lost has seen the record alive.
                known += u32::from(!head.lost || head.seq > o.author.base_seq);
            } else {
                unknown.push(head.seq);
            }
        }
        if !life.alive && known > 0 {
            return Err(format!("{} was accepted although its author knew that {record} is deleted", o.seq));
        }
        if let Some(life) = self.lives.get_mut(record) {
            life.alive = true;
        }
        unknown.into_iter().for_each(|seq| self.pair(scope.clone(), seq, o.seq));
        Ok(())
    }

    fn create(&mut self, o: &Change, record: &RecordId) -> Result<(), String> {
        let me = Verdict { seq: o.seq, delete: false, lost: false };
        if self.lives.contains_key(record) {
            self.against_deletes(o, record, Scope { record: record.clone(), part: ScopePart::Record })?;
        }
        let life = self.lives.entry(record.clone()).or_default();
        life.alive = true;
        life.heads.push(me);
        Ok(())
    }

    fn saw_deleted(&self, o: &Change, record: &RecordId) -> Result<bool, String> {
        let Some(life) = self.lives.get(record).filter(|life| !life.alive) else { return Ok(false) };
        for head in life.heads.iter().filter(|head| head.delete) {
            if self.knows(o, head.seq)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn restore(&mut self, o: &Change, record: &RecordId) -> Result<(), String> {
        let scope = Scope { record: record.clone(), part: ScopePart::Record };
        let unknown = self.unknown_heads(o, record)?;
        unknown.iter().filter(|h| h.delete).for_each(|h| self.pair(scope.clone(), h.seq, o.seq));
        let life = self.lives.entry(record.clone()).or_default();
        life.alive = true;
        life.heads = unknown;
        life.heads.push(Verdict { seq: o.seq, delete: false, lost: false });
        Ok(())
    }

    fn unknown_heads(&self, o: &Change, record: &RecordId) -> Result<Vec<Verdict>, String> {
        let mut unknown = Vec::new();
        for head in &self.lives.get(record).ok_or_else(|| format!("{} is about no record", o.seq))?.heads {
            if !self.knows(o, head.seq)? {
                unknown.push(*head);
            }
        }
        Ok(unknown)
    }

    /// A delete goes through when its author knew every edit, every maximal creation and restore, and every link to
    /// the record; it clashes with each it did not know. Where the record is deleted already, two deletes agree.
    fn delete(&mut self, o: &Change, record: &RecordId) -> Result<(), String> {
        let mut unknown = self.unknown_heads(o, record)?;
        let was_alive = self.lives.get(record).is_some_and(|l| l.alive);
        let mut edits: Vec<Seq> = unknown.iter().filter(|h| !h.delete).map(|h| h.seq).collect();
        for seq in self.lives.get(record).map(|l| l.edits.clone()).unwrap_or_default() {
            if !self.knows(o, seq)? {
                edits.push(seq);
            }
        }
        let links = self.links_unknown_to(o, record)?;
        let goes = edits.is_empty() && links.is_empty();
        if was_alive {
            let scope = Scope { record: record.clone(), part: ScopePart::Record };
            edits.into_iter().for_each(|seq| self.pair(scope.clone(), seq, o.seq));
            links.into_iter().for_each(|(scope, seq)| self.pair(scope, seq, o.seq));
        }
        unknown.push(Verdict { seq: o.seq, delete: true, lost: was_alive && !goes });
        let life = self.lives.entry(record.clone()).or_default();
        life.heads = unknown;
        life.alive = was_alive && !goes;
        Ok(())
    }

    /// What holds links to a record in place and was not known.
    fn links_unknown_to(&self, o: &Change, record: &RecordId) -> Result<Vec<(Scope, Seq)>, String> {
        let value = target_value(record);
        let mut holders: Vec<(RecordId, String, Seq)> = Vec::new();
        for ((source, field, element), seqs) in &self.elements {
            if field == "many" && *element == value {
                holders.extend(seqs.iter().map(|seq| (source.clone(), field.clone(), *seq)));
            }
        }
        for ((source, field), heads) in &self.writers {
            let linking = heads.iter().filter(|h| &**field == "one" && h.value == value);
            holders.extend(linking.map(|h| (source.clone(), field.to_string(), h.seq)));
        }
        let mut unknown = Vec::new();
        for (source, field, seq) in holders {
            if !self.knows(o, seq)? {
                let part = ScopePart::Link(field.as_str().into(), record.clone());
                unknown.push((Scope { record: source, part }, seq));
            }
        }
        Ok(unknown)
    }

    fn link(
        &mut self,
        o: &Change,
        mutation: &RecordMutation,
        field: &str,
        target: &RecordId,
    ) -> Result<(), String> {
        self.edit(o, &mutation.record)?;
        let part = ScopePart::Link(field.into(), target.clone());
        self.against_deletes(o, target, Scope { record: mutation.record.clone(), part })?;
        if field == "many" {
            self.add(o, &mutation.record, field, &target_value(target))
        } else {
            self.write(o, mutation, field, target_value(target))
        }
    }
}

fn target_value(target: &RecordId) -> Value {
    Value::from(target.clone())
}
