//! Working sets of workspaces between batches.
//!
//! Where one process owns the database, what is in memory is always the latest. Where servers share it, a working set
//! is valid only if the head, once locked, is still the one it was left with; [`Cache::check`] sees to that.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::store::{StoreError, StoreWriter};
use syncline_core::fault;
use syncline_core::ids::WorkspaceNo;
use syncline_core::schema::Schema;
use syncline_core::state::{Key, Prefix, Row, WorkspaceHead, WorkspaceState};

use crate::engine::load;

/// Maximum number of working sets that one lane keeps in memory.
const WORKSPACES_MAX: usize = 4_096;
/// Maximum number of rows of a working set kept in memory.
const ROWS_MAX: usize = 200_000;
/// Approximate maximum number of rows kept in memory, over all working sets of a server.
const ROWS_TOTAL_MAX: usize = 1_000_000;
/// Maximum number of changes of a working set kept in memory.
const CHANGES_MAX: usize = 16_384;
/// Maximum number of order trees of texts kept in memory.
const WINDOWS_MAX: usize = 256;

/// The working sets of one lane.
pub(super) struct Cache {
    workspaces: HashMap<WorkspaceNo, WorkspaceState>,
    /// Heads locked by the batch at work, whose working sets are not in memory.
    locked: HashMap<WorkspaceNo, WorkspaceHead>,
    /// The key after which the next sweep of a workspace continues.
    pub swept_to: HashMap<WorkspaceNo, Key>,
    /// The number of rows in memory over all lanes; `rows_counted` is the part of this lane when it last counted.
    rows_total: Arc<AtomicUsize>,
    rows_counted: usize,
}

impl Cache {
    pub fn new(rows_total: Arc<AtomicUsize>) -> Cache {
        Cache {
            workspaces: HashMap::new(),
            locked: HashMap::new(),
            swept_to: HashMap::new(),
            rows_total,
            rows_counted: 0,
        }
    }

    /// A working set that is in memory.
    pub fn get(&self, ws: WorkspaceNo) -> Option<&WorkspaceState> {
        self.workspaces.get(&ws)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, ws: WorkspaceNo) -> Option<&mut WorkspaceState> {
        self.workspaces.get_mut(&ws)
    }

    /// Takes in a new workspace.
    pub fn insert(&mut self, ws: WorkspaceNo, state: WorkspaceState) {
        self.workspaces.insert(ws, state);
    }

    /// Forgets a working set.
    pub fn forget(&mut self, ws: WorkspaceNo) {
        self.workspaces.remove(&ws);
    }

    /// Locks a workspace of a shared store, and forgets its working set if others have written since.
    pub async fn check(&mut self, ws: WorkspaceNo, writer: &mut dyn StoreWriter) -> Result<(), StoreError> {
        let head = head_of(ws, writer).await?;
        let unchecked = fault!(CacheUnchecked);
        if !unchecked && self.workspaces.get(&ws).is_some_and(|state| *state.head() != head) {
            self.workspaces.remove(&ws);
        }
        self.locked.insert(ws, head);
        Ok(())
    }

    /// Forgets the locked heads: the batch is over, and its locks are gone.
    pub fn unlock(&mut self) {
        self.locked.clear();
    }

    /// A workspace's working set. A new one loads at once what every settlement asks for.
    pub async fn open(
        &mut self,
        ws: WorkspaceNo,
        writer: &mut dyn StoreWriter,
    ) -> Result<&mut WorkspaceState, StoreError> {
        match self.workspaces.entry(ws) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let head = match self.locked.get(&ws) {
                    Some(head) => *head,
                    None => head_of(ws, writer).await?,
                };
                let mut state = WorkspaceState::new(head);
                if fault!(WaitersForgotten) {
                    state.learn_range(Prefix::Waiters, []);
                } else {
                    load::range(writer, ws, &mut state, Prefix::Waiters).await?;
                }
                load::range(writer, ws, &mut state, Prefix::Wakes).await?;
                load::rows(writer, ws, &mut state, vec![Key::Schema, Key::Secret]).await?;
                Ok(entry.insert(state))
            }
        }
    }

    /// Keeps memory within its limits. Call it only when everything is written.
    pub fn trim(&mut self) {
        let mut rows: usize = self.workspaces.values().map(WorkspaceState::row_count).sum();
        let others = self.rows_total.load(Ordering::Relaxed).saturating_sub(self.rows_counted);
        if self.workspaces.len() > WORKSPACES_MAX || rows + others > ROWS_TOTAL_MAX {
            self.workspaces.clear();
            rows = 0;
        }
        for state in self.workspaces.values_mut() {
            state.trim(ROWS_MAX, CHANGES_MAX, WINDOWS_MAX);
        }
        self.count(rows);
    }

    fn count(&mut self, rows: usize) {
        self.rows_total.fetch_add(rows, Ordering::Relaxed);
        self.rows_total.fetch_sub(self.rows_counted, Ordering::Relaxed);
        self.rows_counted = rows;
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.count(0);
    }
}

async fn head_of(ws: WorkspaceNo, writer: &mut dyn StoreWriter) -> Result<WorkspaceHead, StoreError> {
    let head = writer.head(ws).await?;
    head.ok_or_else(|| StoreError::Inconsistent(format!("workspace {ws} has no head")))
}

/// The schema in a working set.
pub(super) fn schema_of(state: &WorkspaceState) -> Option<&Schema> {
    match state.row(&Key::Schema) {
        Some(Row::Schema(schema)) => Some(schema),
        _ => None,
    }
}

/// Its version.
pub(super) fn schema_version(state: &WorkspaceState) -> u64 {
    schema_of(state).map_or(0, |s| s.version)
}
