//! What is known of a workspace in memory, and what has to be written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Key, Prefix, Row, TextMemory, weight};
use crate::causality::{Counter, ReplicaNo, Seq};
use crate::change::Change;
use crate::hash::{CHAIN_START, Hash, Secret};
use crate::ids::{Epoch, FieldId, RecordId};
use crate::limits::CHAINS_KNOWN_MAX;

/// The narrow, hot part of a workspace: one row in the store, locked by whoever writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkspaceHead {
    /// The history it is in.
    pub epoch: Epoch,
    /// The newest position; 0 before the first change.
    pub head_seq: Seq,
    /// The hash over all operations so far.
    pub chain: Hash,
    /// How many replicas have ever settled an operation, which is also the last number given to one.
    pub replica_count: u32,
    /// Commits so far, also those that took no position: tells whether a copy in memory is still the latest.
    pub commit_count: u64,
}

impl WorkspaceHead {
    /// The head of a new workspace.
    pub fn new(epoch: Epoch) -> WorkspaceHead {
        WorkspaceHead { epoch, head_seq: Seq::START, chain: CHAIN_START, replica_count: 0, commit_count: 0 }
    }
}

/// What a batch of operations has changed, to be written in one transaction.
#[derive(Debug, Default)]
pub struct WriteBatch {
    /// Rows to write, or to delete where there is none.
    pub rows: Vec<(Key, Option<Arc<Row>>)>,
    /// New log rows, in order.
    pub changes: Vec<Arc<Change>>,
}

impl WriteBatch {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.changes.is_empty()
    }
}

pub(super) type Rows = BTreeMap<Key, Option<Arc<Row>>>;

/// A workspace's working set: a cache over the store with what is not written yet.
#[derive(Debug)]
pub struct WorkspaceState {
    pub(super) head: WorkspaceHead,
    /// Known rows; `None` is known absence.
    pub(super) rows: Rows,
    /// Ranges of which every row is known.
    pub(super) complete: BTreeSet<Prefix>,
    /// Changes near the head, and others that were asked for.
    pub(super) changes: BTreeMap<Seq, Arc<Change>>,
    /// The positions of these changes, by operation.
    pub(super) settled_as: BTreeMap<(ReplicaNo, Counter), Seq>,
    /// The chain at positions that were asked for, of changes that are not in memory; none where the log has none.
    chains: BTreeMap<Seq, Option<Hash>>,
    /// Order trees of texts that are being edited concurrently; derived, rebuilt when missing.
    pub(super) texts: BTreeMap<(RecordId, FieldId), TextMemory>,
    /// Roughly how much memory the rows and the changes take.
    rows_bytes: usize,
    changes_bytes: usize,
    dirty: BTreeSet<Key>,
    appended: Vec<Arc<Change>>,
    /// Everything is in memory: nothing is ever missing.
    pub(super) resident: bool,
}

impl WorkspaceState {
    /// A working set over a store: rows are asked for as they are needed.
    pub fn new(head: WorkspaceHead) -> WorkspaceState {
        WorkspaceState {
            head,
            rows: Rows::new(),
            complete: BTreeSet::new(),
            changes: BTreeMap::new(),
            settled_as: BTreeMap::new(),
            chains: BTreeMap::new(),
            texts: BTreeMap::new(),
            rows_bytes: 0,
            changes_bytes: 0,
            dirty: BTreeSet::new(),
            appended: Vec::new(),
            resident: false,
        }
    }

    /// A new workspace that lives in memory only. Nothing in it is hidden from anybody, so its secret is all zeros.
    pub fn resident(epoch: Epoch) -> WorkspaceState {
        let mut state = WorkspaceState { resident: true, ..WorkspaceState::new(WorkspaceHead::new(epoch)) };
        state.learn_rows([(Key::Secret, Some(Row::Secret(Secret::new([0; 32]))))]);
        state
    }

    /// The head, including what is not written yet.
    pub fn head(&self) -> &WorkspaceHead {
        &self.head
    }

    /// How many rows are in memory.
    pub fn row_count(&self) -> usize {
        self.rows.len()
    }

    /// Roughly how much memory all of it takes.
    pub fn weight_bytes(&self) -> usize {
        self.rows_bytes + self.changes_bytes + self.texts.values().map(weight::of_text).sum::<usize>()
    }

    /// A row, when it is in memory.
    pub fn row(&self, key: &Key) -> Option<&Row> {
        self.rows.get(key)?.as_deref()
    }

    /// Rows of a range that are in memory, in order.
    pub fn range<'a>(&'a self, prefix: &'a Prefix) -> impl Iterator<Item = (&'a Key, &'a Row)> + 'a {
        self.rows
            .range(prefix.start()..)
            .take_while(|(key, _)| prefix.contains(key))
            .filter_map(|(key, row)| Some((key, row.as_deref()?)))
    }

    /// Changes in memory, in order.
    pub fn changes(&self) -> impl Iterator<Item = &Arc<Change>> {
        self.changes.values()
    }

    /// Whether presence or absence of the row is known.
    pub fn knows_row(&self, key: &Key) -> bool {
        self.resident || self.rows.contains_key(key) || self.is_complete_for(key)
    }

    pub(super) fn is_complete_for(&self, key: &Key) -> bool {
        let prefix = match key {
            Key::Field(record, _) => Prefix::FieldsOf(record.clone()),
            Key::Element(record, field, _) => Prefix::ElementsOf(record.clone(), field.clone()),
            Key::Backlink(target, _, _) => Prefix::BacklinksOf(target.clone()),
            Key::Scope(scope) => Prefix::ScopesOf(scope.record.clone()),
            Key::Waiter(..) => Prefix::Waiters,
            _ => return false,
        };
        self.complete.contains(&prefix)
    }

    pub(super) fn is_complete(&self, prefix: &Prefix) -> bool {
        self.resident
            || self.complete.contains(prefix)
            || (matches!(prefix, Prefix::WaitersOn(_)) && self.complete.contains(&Prefix::Waiters))
    }

    /// Takes rows read from the store; what is in memory is newer and stays.
    pub fn learn_rows(&mut self, rows: impl IntoIterator<Item = (Key, Option<Row>)>) {
        for (key, row) in rows {
            self.rows.entry(key).or_insert_with(|| {
                self.rows_bytes += weight::of_row(row.as_ref());
                row.map(Arc::new)
            });
        }
    }

    /// Takes all rows of a range read from the store.
    pub fn learn_range(&mut self, prefix: Prefix, rows: impl IntoIterator<Item = (Key, Row)>) {
        self.learn_rows(rows.into_iter().map(|(key, row)| (key, Some(row))));
        self.complete.insert(prefix);
    }

    /// Takes changes read from the store.
    pub fn learn_changes(&mut self, changes: impl IntoIterator<Item = Arc<Change>>) {
        for change in changes {
            self.index(&change);
            self.changes.entry(change.seq).or_insert_with(|| {
                self.changes_bytes += weight::of_change(&change);
                change
            });
        }
    }

    /// Takes the chain at a position from the store, or the fact that the store no longer has one there.
    pub fn learn_chain(&mut self, seq: Seq, chain: Option<Hash>) {
        if self.chains.len() >= CHAINS_KNOWN_MAX {
            self.chains.clear();
        }
        self.chains.insert(seq, chain);
    }

    /// The chain at a position, as far as it is known.
    pub(super) fn chain_at(&self, seq: Seq) -> Option<Option<Hash>> {
        if seq == 0 {
            return Some(Some(CHAIN_START));
        }
        match self.changes.get(&seq) {
            Some(change) => Some(Some(change.chain)),
            None if self.resident => Some(None),
            None => self.chains.get(&seq).copied(),
        }
    }

    fn index(&mut self, change: &Change) {
        self.settled_as.insert((change.author.replica_no, change.author.counter), change.seq);
    }

    pub(super) fn absorb(
        &mut self,
        head: WorkspaceHead,
        rows: Rows,
        complete: Vec<Prefix>,
        changes: Vec<Arc<Change>>,
    ) {
        self.head = head;
        for (key, row) in rows {
            self.replace(key, row);
        }
        self.complete.extend(complete);
        for change in changes {
            self.index(&change);
            self.changes_bytes += weight::of_change(&change);
            if let Some(before) = self.changes.insert(change.seq, change.clone()) {
                self.changes_bytes -= weight::of_change(&before);
            }
            self.appended.push(change);
        }
    }

    /// Writes a row outside of an operation (schema changes, upkeep).
    pub fn put(&mut self, key: Key, row: Option<Row>) {
        self.replace(key, row.map(Arc::new));
    }

    fn replace(&mut self, key: Key, row: Option<Arc<Row>>) {
        self.dirty.insert(key.clone());
        self.rows_bytes += weight::of_row(row.as_deref());
        if let Some(before) = self.rows.insert(key, row) {
            self.rows_bytes -= weight::of_row(before.as_deref());
        }
    }

    /// Takes out what has to be written since the last call.
    pub fn take_writes(&mut self) -> WriteBatch {
        let rows = std::mem::take(&mut self.dirty)
            .into_iter()
            .map(|key| {
                let row = self.rows.get(&key).cloned().flatten();
                (key, row)
            })
            .collect();
        let batch = WriteBatch { rows, changes: std::mem::take(&mut self.appended) };
        self.head.commit_count += u64::from(!batch.is_empty());
        batch
    }

    /// Forgets rows and changes beyond the given numbers. Call it only when everything is written.
    pub fn trim(&mut self, rows_max: usize, changes_max: usize, texts_max: usize) {
        if self.resident || !self.dirty.is_empty() {
            return;
        }
        if self.rows.len() > rows_max {
            self.forget_rows();
        }
        while self.changes.len() > changes_max {
            self.forget_oldest_change();
        }
        if self.texts.len() > texts_max {
            self.texts.clear();
        }
    }

    /// Forgets rows, changes and order trees beyond these amounts of memory. Call it only when everything is written.
    pub fn trim_bytes(&mut self, rows_max: usize, changes_max: usize, texts_max: usize) {
        if self.resident || !self.dirty.is_empty() {
            return;
        }
        if self.rows_bytes > rows_max {
            self.forget_rows();
        }
        while self.changes_bytes > changes_max && !self.changes.is_empty() {
            self.forget_oldest_change();
        }
        if self.texts.values().map(weight::of_text).sum::<usize>() > texts_max {
            self.texts.clear();
        }
    }

    fn forget_rows(&mut self) {
        self.rows.clear();
        self.complete.clear();
        self.rows_bytes = 0;
    }

    fn forget_oldest_change(&mut self) {
        if let Some((_, change)) = self.changes.pop_first() {
            self.changes_bytes -= weight::of_change(&change);
            self.settled_as.remove(&(change.author.replica_no, change.author.counter));
        }
    }
}
