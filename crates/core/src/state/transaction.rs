//! One submission against a working set: reads see its own writes, and nothing shows until it is kept.
//!
//! The state behind it is a cache. A read of something that is not in memory ends the attempt with
//! [`Interrupt::Missing`]; the caller loads it and runs the same submission again. Settling is deterministic and leaves
//! no trace before [`Transaction::commit`], so running it again is harmless.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::workspace::Rows;
use super::{
    FieldRow, Key, Prefix, RecordRow, ReplicaRow, Row, ScopeRow, TextMemory, WorkspaceHead, WorkspaceState,
};
use crate::causality::{Counter, ReplicaNo, Seq};
use crate::change::Change;
use crate::conflict::{Conflict, Scope};
use crate::hash::{Hash, Secret};
use crate::ids::{ConflictId, FieldId, RecordId, ReplicaId};
use crate::refusal::Refusal;
use crate::schema::Schema;

/// What has to be loaded before an attempt can go on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// A row, or the fact that there is none.
    Row(Key),
    /// The same for many rows at once.
    Rows(Vec<Key>),
    /// All rows of a range.
    Range(Prefix),
    /// The change at this position (and, as walks go backwards, those before it).
    ChangesUpTo(Seq),
    /// The change an operation became.
    ChangeOf(ReplicaNo, Counter),
    /// The hash chain at a position, or the fact that the log no longer reaches back there.
    ChainAt(Seq),
}

/// Why an attempt ended early.
#[derive(Debug)]
pub enum Interrupt {
    /// Something is not in memory: load it and try again.
    Missing(Missing),
    /// The operation is not accepted.
    Refused(Refusal),
}

impl From<Refusal> for Interrupt {
    fn from(refusal: Refusal) -> Interrupt {
        Interrupt::Refused(refusal)
    }
}

/// The result of a step of an attempt.
pub type Attempt<T> = Result<T, Interrupt>;

/// A submission in progress.
pub struct Transaction<'a> {
    base: &'a mut WorkspaceState,
    /// The head as the current operation sees it; dropping the operation takes it back.
    pub head: WorkspaceHead,
    kept_head: WorkspaceHead,
    /// Rows that the kept operations of this submission wrote.
    pending: Rows,
    pending_changes: Vec<Arc<Change>>,
    pending_settled: BTreeMap<(ReplicaNo, Counter), Seq>,
    complete: Vec<Prefix>,
    /// Rows that the operation being settled wrote.
    current: Rows,
    current_complete: Vec<Prefix>,
    touched_texts: BTreeSet<(RecordId, FieldId)>,
    /// What the schema weighs that the current operation has changed.
    schema_weight_bytes: Option<usize>,
}

/// What a submission had kept when it was interrupted. Nobody else may change the state before it goes on.
#[derive(Debug)]
pub struct Suspended {
    kept_head: WorkspaceHead,
    pending: Rows,
    pending_changes: Vec<Arc<Change>>,
    pending_settled: BTreeMap<(ReplicaNo, Counter), Seq>,
    complete: Vec<Prefix>,
}

impl Suspended {
    /// A submission that has not begun.
    pub fn new(state: &WorkspaceState) -> Suspended {
        Suspended {
            kept_head: state.head,
            pending: Rows::new(),
            pending_changes: Vec::new(),
            pending_settled: BTreeMap::new(),
            complete: Vec::new(),
        }
    }
}

impl<'a> Transaction<'a> {
    /// Goes on with an interrupted submission.
    pub fn resume(base: &'a mut WorkspaceState, suspended: Suspended) -> Transaction<'a> {
        let Suspended { kept_head, pending, pending_changes, pending_settled, complete } = suspended;
        Transaction {
            base,
            head: kept_head,
            kept_head,
            pending,
            pending_changes,
            pending_settled,
            complete,
            current: Rows::new(),
            current_complete: Vec::new(),
            touched_texts: BTreeSet::new(),
            schema_weight_bytes: None,
        }
    }

    /// Interrupts the submission: drops the current operation, and takes out what is kept.
    pub fn suspend(mut self) -> Suspended {
        self.rollback_to_savepoint();
        Suspended {
            kept_head: self.kept_head,
            pending: self.pending,
            pending_changes: self.pending_changes,
            pending_settled: self.pending_settled,
            complete: self.complete,
        }
    }

    /// Starts an attempt.
    pub fn new(base: &'a mut WorkspaceState) -> Transaction<'a> {
        Transaction {
            head: base.head,
            kept_head: base.head,
            base,
            pending: Rows::new(),
            pending_changes: Vec::new(),
            pending_settled: BTreeMap::new(),
            complete: Vec::new(),
            current: Rows::new(),
            current_complete: Vec::new(),
            touched_texts: BTreeSet::new(),
            schema_weight_bytes: None,
        }
    }

    /// A row, from the newest layer that has it.
    pub fn row(&self, key: &Key) -> Attempt<Option<&Row>> {
        for layer in [&self.current, &self.pending, &self.base.rows] {
            if let Some(row) = layer.get(key) {
                return Ok(row.as_deref());
            }
        }
        if self.base.resident || self.base.is_complete_for(key) || self.is_fresh(key) {
            return Ok(None);
        }
        Err(Interrupt::Missing(Missing::Row(key.clone())))
    }

    fn is_fresh(&self, key: &Key) -> bool {
        self.complete.iter().chain(&self.current_complete).any(|prefix| prefix.contains(key))
    }

    /// Asks for all rows that will be read, so that they are loaded together: each of them alone would begin the submission
    /// anew.
    pub fn need_rows(&self, keys: impl IntoIterator<Item = Key>) -> Attempt<()> {
        let missing: Vec<Key> = keys.into_iter().filter(|key| self.row(key).is_err()).collect();
        if missing.is_empty() { Ok(()) } else { Err(Interrupt::Missing(Missing::Rows(missing))) }
    }

    /// Asks for a whole range, because what follows will read many parts of it.
    pub fn need_range(&self, prefix: &Prefix) -> Attempt<()> {
        let known = self.base.is_complete(prefix)
            || self.complete.contains(prefix)
            || self.current_complete.contains(prefix);
        if known { Ok(()) } else { Err(Interrupt::Missing(Missing::Range(prefix.clone()))) }
    }

    /// The keys of a range, in order.
    pub fn keys(&self, prefix: &Prefix) -> Attempt<Vec<Key>> {
        self.first_keys(prefix, usize::MAX)
    }

    /// The first keys of a range, in order. It costs as much as there are rows before the last of them.
    pub fn first_keys(&self, prefix: &Prefix, limit: usize) -> Attempt<Vec<Key>> {
        self.need_range(prefix)?;
        let start = prefix.start();
        let layers = [&self.base.rows, &self.pending, &self.current];
        let mut layers =
            layers.map(|layer| layer.range(&start..).take_while(|(key, _)| prefix.contains(key)).peekable());
        let mut keys = Vec::new();
        while keys.len() < limit {
            let Some(next) = layers.iter_mut().filter_map(|layer| layer.peek().map(|(key, _)| *key)).min()
            else {
                break;
            };
            // The newest layer that has the key says whether it is there.
            let mut is_there = false;
            for layer in &mut layers {
                if let Some((_, row)) = layer.next_if(|(key, _)| *key == next) {
                    is_there = row.is_some();
                }
            }
            if is_there {
                keys.push(next.clone());
            }
        }
        Ok(keys)
    }

    /// Writes a row.
    pub fn put(&mut self, key: Key, row: Row) {
        self.current.insert(key, Some(Arc::new(row)));
    }

    /// Deletes a row.
    pub fn delete(&mut self, key: Key) {
        self.current.insert(key, None);
    }

    /// Declares that a record did not exist before: nothing of it needs to be read.
    pub fn mark_fresh(&mut self, record: &RecordId) {
        self.current_complete.extend([
            Prefix::FieldsOf(record.clone()),
            Prefix::ScopesOf(record.clone()),
            Prefix::BacklinksOf(record.clone()),
        ]);
    }

    /// Declares that a set field did not exist before.
    pub fn mark_fresh_set(&mut self, record: &RecordId, field: &FieldId) {
        self.current_complete.push(Prefix::ElementsOf(record.clone(), field.clone()));
    }

    /// The change at a position.
    pub fn change(&self, seq: Seq) -> Attempt<Arc<Change>> {
        if let Some(change) = self.pending_change(seq) {
            return Ok(change.clone());
        }
        match self.base.changes.get(&seq) {
            Some(change) => Ok(change.clone()),
            None if self.base.resident || seq > self.base.head.head_seq => {
                Err(Interrupt::Refused(inconsistent(format!("no change at position {seq}"))))
            }
            None => Err(Interrupt::Missing(Missing::ChangesUpTo(seq))),
        }
    }

    /// The hash chain at a position; none if the log no longer reaches back there.
    pub fn chain_at(&self, seq: Seq) -> Attempt<Option<Hash>> {
        if seq == self.head.head_seq {
            return Ok(Some(self.head.chain));
        }
        if let Some(change) = self.pending_change(seq) {
            return Ok(Some(change.chain));
        }
        self.base.chain_at(seq).ok_or(Interrupt::Missing(Missing::ChainAt(seq)))
    }

    /// A change of this submission: they follow each other without a gap.
    fn pending_change(&self, seq: Seq) -> Option<&Arc<Change>> {
        let first = self.pending_changes.first()?.seq;
        self.pending_changes.get(usize::try_from(seq.0.checked_sub(first.0)?).ok()?)
    }

    /// The change an accepted operation became, when it is in memory.
    pub fn known_change_of(&self, replica_no: ReplicaNo, counter: Counter) -> Option<Arc<Change>> {
        let dot = (replica_no, counter);
        match self.pending_settled.get(&dot).or_else(|| self.base.settled_as.get(&dot)) {
            Some(seq) => self.pending_change(*seq).or_else(|| self.base.changes.get(seq)).cloned(),
            None => None,
        }
    }

    /// The change an accepted operation became.
    pub fn change_of(&self, replica_no: ReplicaNo, counter: Counter) -> Attempt<Arc<Change>> {
        if let Some(change) = self.known_change_of(replica_no, counter) {
            return Ok(change);
        }
        match self.base.settled_as.get(&(replica_no, counter)) {
            Some(seq) => self.change(*seq),
            None if self.base.resident => {
                Err(Interrupt::Refused(inconsistent(format!("no change for {replica_no}:{counter}"))))
            }
            None => Err(Interrupt::Missing(Missing::ChangeOf(replica_no, counter))),
        }
    }

    /// Takes what is remembered of a text out of the cache, to be extended and put back.
    pub fn take_text_memory(&mut self, record: &RecordId, field: &FieldId) -> TextMemory {
        self.base.texts.remove(&(record.clone(), field.clone())).unwrap_or_default()
    }

    /// Puts back what is remembered of a text. If the operation is dropped, so is this.
    pub fn put_text_memory(&mut self, record: &RecordId, field: &FieldId, memory: TextMemory) {
        let key = (record.clone(), field.clone());
        self.touched_texts.insert(key.clone());
        self.base.texts.insert(key, memory);
    }

    /// Keeps the current operation's writes within the submission.
    pub fn savepoint(&mut self) {
        self.kept_head = self.head;
        self.schema_weight_bytes = None;
        self.pending.append(&mut self.current);
        self.complete.append(&mut self.current_complete);
    }

    /// Appends the current operation to the log.
    pub fn append(&mut self, change: Change) {
        self.pending_settled.insert((change.author.replica_no, change.author.counter), change.seq);
        self.pending_changes.push(Arc::new(change));
    }

    /// Drops the current operation's writes, and what it did to the head.
    pub fn rollback_to_savepoint(&mut self) {
        self.head = self.kept_head;
        self.current.clear();
        self.schema_weight_bytes = None;
        self.current_complete.clear();
        self.drop_touched_texts();
    }

    fn drop_touched_texts(&mut self) {
        for key in std::mem::take(&mut self.touched_texts) {
            self.base.texts.remove(&key);
        }
    }

    /// Gives the kept writes to the working set.
    pub fn commit(self) {
        self.base.absorb(self.head, self.pending, self.complete, self.pending_changes);
    }

    /// Forgets the attempt.
    pub fn abort(mut self) {
        self.drop_touched_texts();
    }

    /// The schema; none if none was written.
    pub fn schema(&self) -> Attempt<Option<&Schema>> {
        read(self.row(&Key::Schema)?, |row| match row {
            Row::Schema(schema) => Some(schema),
            _ => None,
        })
    }

    /// The schema for the current operation to change, with what it weighs. It is copied once, however many fields an
    /// operation adds.
    pub fn schema_mut(&mut self) -> Attempt<(&mut Schema, &mut usize)> {
        if !matches!(self.current.get(&Key::Schema).map(Option::as_deref), Some(Some(Row::Schema(_)))) {
            let schema = self.schema()?.cloned().unwrap_or_default();
            self.put(Key::Schema, Row::Schema(schema));
        }
        match self.current.get_mut(&Key::Schema).and_then(Option::as_mut).map(Arc::make_mut) {
            Some(Row::Schema(schema)) => {
                let weight = self.schema_weight_bytes.get_or_insert_with(|| schema.weight_bytes());
                Ok((schema, weight))
            }
            _ => Err(Interrupt::Refused(inconsistent("the schema is no schema".to_owned()))),
        }
    }

    /// The workspace's secret, which was drawn when it was created.
    pub fn secret(&self) -> Attempt<Secret> {
        let secret = read(self.row(&Key::Secret)?, |row| match row {
            Row::Secret(secret) => Some(secret),
            _ => None,
        })?;
        secret
            .copied()
            .ok_or_else(|| Interrupt::Refused(inconsistent("the workspace has no secret".to_owned())))
    }

    /// A replica.
    pub fn replica(&self, id: ReplicaId) -> Attempt<Option<&ReplicaRow>> {
        read(self.row(&Key::Replica(id))?, |row| match row {
            Row::Replica(replica) => Some(replica),
            _ => None,
        })
    }

    /// The number of a replica.
    pub fn replica_no(&self, id: ReplicaId) -> Attempt<Option<ReplicaNo>> {
        Ok(self.replica(id)?.map(|r| r.no))
    }

    /// A record's existence.
    pub fn record(&self, id: &RecordId) -> Attempt<Option<&RecordRow>> {
        read(self.row(&Key::Record(id.clone()))?, |row| match row {
            Row::Record(record) => Some(record),
            _ => None,
        })
    }

    /// A field.
    pub fn field(&self, record: &RecordId, field: &FieldId) -> Attempt<Option<&FieldRow>> {
        read(self.row(&Key::Field(record.clone(), field.clone()))?, |row| match row {
            Row::Field(field) => Some(field),
            _ => None,
        })
    }

    /// A scope's conflicts.
    pub fn scope(&self, scope: &Scope) -> Attempt<ScopeRow> {
        Ok(read(self.row(&Key::Scope(scope.clone()))?, |row| match row {
            Row::Scope(scope) => Some(scope),
            _ => None,
        })?
        .cloned()
        .unwrap_or_default())
    }

    /// A conflict.
    pub fn conflict(&self, id: ConflictId) -> Attempt<Option<&Conflict>> {
        read(self.row(&Key::Conflict(id))?, |row| match row {
            Row::Conflict(conflict) => Some(&**conflict),
            _ => None,
        })
    }
}

/// Takes a row as the kind its key promises.
pub(crate) fn read<'r, T>(
    row: Option<&'r Row>,
    pick: impl FnOnce(&'r Row) -> Option<&'r T>,
) -> Attempt<Option<&'r T>> {
    match row {
        None => Ok(None),
        Some(row) => match pick(row) {
            Some(typed) => Ok(Some(typed)),
            None => Err(Interrupt::Refused(inconsistent("a row has another kind than its key".to_owned()))),
        },
    }
}

fn inconsistent(detail: String) -> Refusal {
    Refusal::Inconsistent { detail }
}
