//! Working sets of workspaces between batches.
//!
//! Where one process owns the database, what is in memory is always the latest. Where servers share it, a working set
//! is valid only if the head, once locked, is still the one it was left with; [`Cache::check`] sees to that.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{StoreError, StoreWriter};
use crate::telemetry;
use syncline_core::fault;
use syncline_core::ids::WorkspaceNo;
use syncline_core::schema::Schema;
use syncline_core::state::{Key, Prefix, Row, WorkspaceHead, WorkspaceState};

use crate::engine::load;

/// Maximum number of working sets that one lane keeps in memory.
const WORKSPACES_MAX: usize = 4_096;
/// Approximate maximum of memory for the rows of one working set.
const ROWS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Approximate maximum of memory for the changes of one working set: the newest ones are kept.
const CHANGES_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Approximate maximum of memory for the order trees of the texts of one working set.
const TEXTS_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Approximate maximum of memory for all working sets of a server; those that were used longest ago give way.
const WORKING_SETS_BYTES_MAX: usize = 128 * 1024 * 1024;
/// A working set that nobody wrote to for this long is forgotten.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How often idle ones are looked for.
const IDLE_LOOK_EVERY: Duration = Duration::from_secs(10);

/// The working sets of one lane.
pub(super) struct Cache {
    workspaces: HashMap<WorkspaceNo, WorkspaceState>,
    /// What each of them takes, and when it was last used.
    uses: HashMap<WorkspaceNo, Use>,
    looked_at: Instant,
    /// Heads locked by the batch at work, whose working sets are not in memory.
    locked: HashMap<WorkspaceNo, WorkspaceHead>,
    /// The key after which the next sweep of a workspace continues.
    pub swept_to: HashMap<WorkspaceNo, Key>,
    /// What is in memory over all lanes; `bytes` is the part of this one.
    bytes_total: Arc<AtomicUsize>,
    bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct Use {
    bytes: usize,
    last: Instant,
}

impl Cache {
    pub fn new(bytes_total: Arc<AtomicUsize>) -> Cache {
        Cache {
            workspaces: HashMap::new(),
            uses: HashMap::new(),
            looked_at: Instant::now(),
            locked: HashMap::new(),
            swept_to: HashMap::new(),
            bytes_total,
            bytes: 0,
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
        let bytes = self.uses.remove(&ws).map_or(0, |used| used.bytes);
        self.count(self.bytes - bytes);
    }

    /// Locks a workspace of a shared store, and forgets its working set if others have written since.
    pub async fn check(&mut self, ws: WorkspaceNo, writer: &mut dyn StoreWriter) -> Result<(), StoreError> {
        let head = head_of(ws, writer).await?;
        let unchecked = fault!(CacheUnchecked);
        if !unchecked && self.workspaces.get(&ws).is_some_and(|state| *state.head() != head) {
            self.forget(ws);
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

    /// Keeps memory within its limits after these were used. Call it only when everything is written.
    pub fn trim(&mut self, used: &BTreeSet<WorkspaceNo>) {
        let now = Instant::now();
        for ws in used {
            let Some(state) = self.workspaces.get_mut(ws) else { continue };
            state.trim_bytes(ROWS_BYTES_MAX, CHANGES_BYTES_MAX, TEXTS_BYTES_MAX);
            let bytes = state.weight_bytes();
            let before = self.uses.insert(*ws, Use { bytes, last: now });
            self.count(self.bytes - before.map_or(0, |before| before.bytes) + bytes);
        }
        if now.duration_since(self.looked_at) >= IDLE_LOOK_EVERY {
            self.forget_idle();
        }
        if self.workspaces.len() > WORKSPACES_MAX || self.total() > WORKING_SETS_BYTES_MAX {
            self.forget_oldest();
        }
    }

    /// Forgets what nobody wrote to lately.
    pub fn forget_idle(&mut self) {
        self.looked_at = Instant::now();
        let idle: Vec<WorkspaceNo> =
            self.uses.iter().filter(|(_, used)| used.last.elapsed() >= IDLE_MAX).map(|(ws, _)| *ws).collect();
        idle.into_iter().for_each(|ws| self.forget(ws));
    }

    /// Forgets what was used longest ago, until there is some room again: what is used last stays as long as it can.
    fn forget_oldest(&mut self) {
        let mut by_age: Vec<(Instant, WorkspaceNo)> =
            self.uses.iter().map(|(ws, used)| (used.last, *ws)).collect();
        by_age.sort_unstable();
        for (_, ws) in by_age {
            let fits = self.total() <= WORKING_SETS_BYTES_MAX / 8 * 7;
            if fits && self.workspaces.len() <= WORKSPACES_MAX / 8 * 7 {
                break;
            }
            self.forget(ws);
        }
    }

    fn total(&self) -> usize {
        self.bytes_total.load(Ordering::Relaxed)
    }

    fn count(&mut self, bytes: usize) {
        let before = self.bytes_total.fetch_add(bytes, Ordering::Relaxed);
        self.bytes_total.fetch_sub(self.bytes, Ordering::Relaxed);
        metrics::gauge!(telemetry::WORKING_SETS_BYTES).set((before + bytes - self.bytes) as f64);
        self.bytes = bytes;
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

#[cfg(test)]
mod tests {
    use super::*;
    use syncline_core::ids::{Epoch, ReplicaId};
    use syncline_core::state::Prefix;

    /// A working set of this many rows, all of them written.
    fn working_set(rows: u128) -> WorkspaceState {
        let mut state = WorkspaceState::new(WorkspaceHead::new(Epoch(1)));
        state.learn_rows((0..rows).map(|n| (Key::Replica(ReplicaId::from_u128(n)), None)));
        state.learn_range(Prefix::Waiters, []);
        state
    }

    fn used(cache: &mut Cache, ws: i64) {
        cache.insert(WorkspaceNo(ws), working_set(100));
        cache.trim(&BTreeSet::from([WorkspaceNo(ws)]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_working_set_that_nobody_writes_to_is_forgotten() {
        let total = Arc::new(AtomicUsize::new(0));
        let mut cache = Cache::new(Arc::clone(&total));
        used(&mut cache, 1);
        let one = total.load(Ordering::Relaxed);
        assert!(one > 0);
        for _ in 0..4 {
            tokio::time::sleep(IDLE_MAX / 3).await;
            used(&mut cache, 2);
        }
        assert!(cache.get(WorkspaceNo(1)).is_none() && cache.get(WorkspaceNo(2)).is_some());
        assert_eq!(total.load(Ordering::Relaxed), one, "both weigh the same");
        drop(cache);
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn those_used_longest_ago_give_way_when_memory_is_short() {
        let total = Arc::new(AtomicUsize::new(0));
        let mut cache = Cache::new(Arc::clone(&total));
        for ws in 1..=8 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            used(&mut cache, ws);
        }
        let one = total.load(Ordering::Relaxed) / 8;
        // Other lanes take so much that there is room for half of these, once there is some room again.
        let others = WORKING_SETS_BYTES_MAX / 8 * 7 - 4 * one;
        total.fetch_add(others, Ordering::Relaxed);
        cache.forget_oldest();
        let left: Vec<i64> = (1..=8).filter(|ws| cache.get(WorkspaceNo(*ws)).is_some()).collect();
        assert_eq!(left, [5, 6, 7, 8]);
        assert_eq!(total.load(Ordering::Relaxed), others + 4 * one);
    }
}
