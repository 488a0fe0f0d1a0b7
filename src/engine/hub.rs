//! Where committed changes become visible: the recent changes of each workspace, and its head to wait on.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::telemetry::RECENT_CHANGES_BYTES;
use syncline_core::causality::Seq;
use syncline_core::change::Change;
use syncline_core::fault;
use syncline_core::hash::{self, Hash};
use syncline_core::ids::{Epoch, WorkspaceNo};
use syncline_core::state::WorkspaceHead;

/// How often hubs that nobody looks at are looked for, where no poll of a shared store does so.
const IDLE_LOOK_EVERY: Duration = Duration::from_secs(1);
/// Maximum number of workspaces whose number is remembered; it can be looked up again.
const NUMBERS_MAX: usize = 100_000;
/// Number of polls after which a hub that nobody looks at is dropped: about a minute.
const IDLE_POLLS_MAX: u32 = 60;

/// Approximate maximum of memory for the recent changes of a workspace: a few large ones must not crowd out everything
/// else.
const RECENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Approximate maximum of memory for the recent changes of all workspaces. Each workspace has its share of it, and feeds
/// that are further behind read the store.
const RECENT_TOTAL_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A workspace's share is at least this, however many there are.
const RECENT_BYTES_MIN: usize = 16 * 1024;
/// What a recent change takes beside what it weighs on the wire, encoded bytes included.
const RECENT_CHANGE_BYTES: usize = 2_048;

/// A change as feeds hand it out. The first feed that encodes it keeps the bytes here for the others, so that a change
/// is encoded once and not once for every subscriber.
#[derive(Debug)]
pub struct EncodedChange {
    /// The change itself.
    pub change: Arc<Change>,
    encoded: OnceLock<Bytes>,
}

impl EncodedChange {
    /// A change that nobody has encoded yet.
    pub fn new(change: Arc<Change>) -> EncodedChange {
        EncodedChange { change, encoded: OnceLock::new() }
    }

    /// The bytes that `encode` returns now or returned before; every caller must encode in the same way.
    pub fn encoded(&self, encode: impl FnOnce(&Change) -> Bytes) -> &Bytes {
        self.encoded.get_or_init(|| encode(&self.change))
    }
}

/// What feeds of a workspace wait on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedHead {
    /// The history of the workspace; 0 while this server has not read it yet.
    pub epoch: Epoch,
    /// The newest position that feeds may show; 0 before the first change.
    pub seq: Seq,
    /// The chain at that position.
    pub chain: Hash,
    /// The version of the schema that goes with it.
    pub schema_version: u64,
}

/// A hub's head from a workspace's.
pub(super) fn published_head(head: &WorkspaceHead, schema_version: u64) -> PublishedHead {
    PublishedHead { epoch: head.epoch, seq: head.head_seq, chain: head.chain, schema_version }
}

/// The hubs of all workspaces that anybody looked at.
#[derive(Clone)]
pub(super) struct Hubs {
    hubs: Arc<Mutex<HashMap<WorkspaceNo, Arc<Hub>>>>,
    /// Numbers of workspaces by id: they never change.
    numbers: Arc<Mutex<HashMap<Arc<str>, WorkspaceNo>>>,
    recent_changes: usize,
    recent_total: Arc<RecentTotal>,
}

/// What all hubs keep.
#[derive(Default)]
struct RecentTotal {
    bytes: AtomicUsize,
    hubs: AtomicUsize,
}

impl RecentTotal {
    /// What one hub may keep.
    fn share(&self) -> usize {
        let hubs = self.hubs.load(Ordering::Relaxed).max(1);
        (RECENT_TOTAL_BYTES_MAX / hubs).clamp(RECENT_BYTES_MIN, RECENT_BYTES_MAX)
    }

    fn count(&self, added: usize, removed: usize) {
        let before = self.bytes.fetch_add(added, Ordering::Relaxed);
        self.bytes.fetch_sub(removed, Ordering::Relaxed);
        metrics::gauge!(RECENT_CHANGES_BYTES).set((before + added).saturating_sub(removed) as f64);
    }
}

/// One workspace's latest changes.
pub(super) struct Hub {
    recent: Mutex<RecentChanges>,
    recent_changes: usize,
    recent_total: Arc<RecentTotal>,
    head: watch::Sender<PublishedHead>,
    showing: AtomicBool,
    /// Polls in a row that found nobody looking at it.
    idle_polls: AtomicU32,
}

/// Changes without a gap, ending at the head or before it.
#[derive(Default)]
struct RecentChanges {
    changes: VecDeque<Arc<EncodedChange>>,
    /// Roughly the total size of all these changes, in bytes.
    bytes: usize,
    /// The commit count of the newest head that was shown.
    commit_count: u64,
}

impl Hubs {
    pub(super) fn new(recent_changes: usize) -> Hubs {
        Hubs { hubs: Arc::default(), numbers: Arc::default(), recent_changes, recent_total: Arc::default() }
    }

    /// The number of a workspace that was looked up before.
    pub(super) fn number_of(&self, id: &str) -> Option<WorkspaceNo> {
        lock(&self.numbers).get(id).copied()
    }

    /// The id of a workspace, for logs and errors; its number if nobody has asked for it by its id.
    pub(super) fn id_of(&self, ws: WorkspaceNo) -> String {
        let numbers = lock(&self.numbers);
        let id = numbers.iter().find(|(_, no)| **no == ws).map(|(id, _)| id.to_string());
        id.unwrap_or_else(|| format!("number {ws}"))
    }

    /// Remembers the number of a workspace.
    pub(super) fn remember(&self, id: Arc<str>, no: WorkspaceNo) {
        let mut numbers = lock(&self.numbers);
        if numbers.len() >= NUMBERS_MAX {
            numbers.clear();
        }
        numbers.insert(id, no);
    }

    /// The workspace's hub, if anybody looked at it before.
    pub(super) fn get(&self, ws: WorkspaceNo) -> Option<Arc<Hub>> {
        lock(&self.hubs).get(&ws).cloned()
    }

    /// The same for a caller that looks at it now and then, as with every heartbeat: the hub is kept for a while.
    pub(super) fn touch(&self, ws: WorkspaceNo) -> Option<Arc<Hub>> {
        let hub = self.get(ws)?;
        hub.idle_polls.store(0, Ordering::Relaxed);
        Some(hub)
    }

    /// The workspace's hub; a new one shows `head` until [`Hub::start`].
    pub(super) fn get_or_create(&self, ws: WorkspaceNo, head: PublishedHead) -> Arc<Hub> {
        lock(&self.hubs)
            .entry(ws)
            .or_insert_with(|| {
                self.recent_total.hubs.fetch_add(1, Ordering::Relaxed);
                Arc::new(Hub {
                    recent: Mutex::default(),
                    recent_changes: self.recent_changes,
                    recent_total: Arc::clone(&self.recent_total),
                    head: watch::Sender::new(head),
                    showing: AtomicBool::new(false),
                    idle_polls: AtomicU32::new(0),
                })
            })
            .clone()
    }

    /// Numbers of the workspaces that somebody looks at, or did lately; the hubs of all others are dropped. The poll on
    /// a shared store calls this, so that it does not keep up hubs that nobody looks at, and elsewhere [`drop_idle`] does.
    pub(super) fn watched(&self) -> Vec<WorkspaceNo> {
        let mut hubs = lock(&self.hubs);
        // Hubs are handed out under this lock, so a hub with a single owner cannot get another one meanwhile.
        hubs.retain(|_, hub| {
            let idle = Arc::strong_count(hub) == 1;
            !idle || hub.idle_polls.fetch_add(1, Ordering::Relaxed) < IDLE_POLLS_MAX
        });
        hubs.keys().copied().collect()
    }
}

/// Drops hubs that nobody looks at, until the service stops.
pub(super) async fn drop_idle(hubs: Hubs, draining: CancellationToken) {
    while draining.run_until_cancelled(tokio::time::sleep(IDLE_LOOK_EVERY)).await.is_some() {
        hubs.watched();
    }
}

impl Hub {
    /// Sets a committed head as read from the store, unless commits since then have moved the hub beyond it.
    pub(super) fn start(&self, head: PublishedHead) {
        self.head.send_if_modified(|now| {
            let moved = now.epoch == Epoch::NONE || head.seq > now.seq;
            if moved {
                *now = head;
            }
            moved
        });
    }

    /// Makes committed changes visible. Returns `false`, showing nothing, if they do not continue what was shown:
    /// either earlier changes are missing, or these are of another history. A read of the store tells which.
    pub(super) fn publish(&self, changes: &[Arc<Change>], head: &WorkspaceHead, schema_version: u64) -> bool {
        let mut recent = lock(&self.recent);
        let now = *self.head.borrow();
        if now.epoch != Epoch::NONE && !follows(&now, changes, head) && !fault!(RecentGapServed) {
            return false;
        }
        let before = recent.bytes;
        recent.extend(changes, self.recent_changes, self.recent_total.share());
        self.recent_total.count(recent.bytes, before);
        recent.commit_count = recent.commit_count.max(head.commit_count);
        self.advance(head, schema_version);
        true
    }

    /// Shows a head without the changes before it, which feeds then read from the store.
    pub(super) fn skip_to(&self, head: &WorkspaceHead, schema_version: u64) {
        let mut recent = lock(&self.recent);
        self.recent_total.count(0, recent.bytes);
        recent.clear();
        recent.commit_count = recent.commit_count.max(head.commit_count);
        self.advance(head, schema_version);
    }

    /// Takes a head that is not a continuation of what was shown: the database holds another history than it did.
    pub(super) fn restart(&self, head: &WorkspaceHead, schema_version: u64) {
        let mut recent = lock(&self.recent);
        self.recent_total.count(0, recent.bytes);
        *recent = RecentChanges { commit_count: head.commit_count, ..RecentChanges::default() };
        self.head.send_replace(PublishedHead {
            epoch: head.epoch,
            seq: head.head_seq,
            chain: head.chain,
            schema_version,
        });
    }

    /// Moves the head forward. A hub created from a read that raced with a commit may already be ahead and is never
    /// moved back.
    fn advance(&self, head: &WorkspaceHead, schema_version: u64) {
        self.head.send_if_modified(|now| {
            let moved =
                now.epoch == Epoch::NONE || head.head_seq > now.seq || schema_version > now.schema_version;
            if moved && (now.epoch == Epoch::NONE || head.head_seq >= now.seq) {
                let schema_version = schema_version.max(now.schema_version);
                *now = PublishedHead {
                    epoch: head.epoch,
                    seq: head.head_seq,
                    chain: head.chain,
                    schema_version,
                };
            }
            moved
        });
    }

    /// Whether a head has commits that were not shown.
    pub(super) fn is_behind(&self, head: &WorkspaceHead) -> bool {
        let recent = lock(&self.recent);
        head.commit_count > recent.commit_count || head.head_seq > self.head.borrow().seq
    }

    /// Whether a head is not the one that was shown last.
    pub(super) fn differs(&self, head: &WorkspaceHead) -> bool {
        let recent = lock(&self.recent);
        let now = *self.head.borrow();
        head.commit_count != recent.commit_count
            || (now.epoch, now.seq, now.chain) != (head.epoch, head.head_seq, head.chain)
    }

    /// Marks that a task is reading the store to show its commits; `false` if one already is.
    pub(super) fn begin_showing(&self) -> bool {
        !self.showing.swap(true, Ordering::SeqCst)
    }

    /// Marks that this task has ended.
    pub(super) fn end_showing(&self) {
        self.showing.store(false, Ordering::SeqCst);
    }

    /// The head now.
    pub(super) fn head(&self) -> PublishedHead {
        *self.head.borrow()
    }

    /// How many receivers follow the head, nearly all of them feeds.
    pub(super) fn subscriber_count(&self) -> usize {
        self.head.receiver_count()
    }

    /// Follows the head.
    pub(super) fn watch(&self) -> watch::Receiver<PublishedHead> {
        self.head.subscribe()
    }

    /// Up to `limit` changes after `after`, when the recent changes still have the first of them.
    pub(super) fn since(&self, after: Seq, limit: usize) -> Option<Vec<Arc<EncodedChange>>> {
        let recent = &lock(&self.recent).changes;
        let first = recent.front()?.change.seq;
        if first > after + 1 {
            return None;
        }
        let skip = usize::try_from(after + 1 - first).ok()?;
        Some(recent.iter().skip(skip).take(limit).cloned().collect())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.recent_total.count(0, lock(&self.recent).bytes);
        self.recent_total.hubs.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a recent change takes; it is encoded for the first feed that sends it.
fn recent_bytes(change: &Change) -> usize {
    RECENT_CHANGE_BYTES + 2 * change.weight_bytes()
}

/// Whether changes that end at this head continue what was shown, or repeat it.
fn follows(shown: &PublishedHead, changes: &[Arc<Change>], head: &WorkspaceHead) -> bool {
    if head.epoch != shown.epoch {
        return false;
    }
    if let Some(same) = changes.iter().find(|change| change.seq == shown.seq) {
        return same.chain == shown.chain;
    }
    match changes.first() {
        Some(first) if first.seq == shown.seq + 1 => {
            hash::chain(&shown.chain, &first.operation_hash) == first.chain
        }
        Some(first) => first.seq <= shown.seq,
        None if head.head_seq == shown.seq => head.chain == shown.chain,
        None => head.head_seq < shown.seq,
    }
}

impl RecentChanges {
    /// Adds the changes of a run that are new, and drops the oldest beyond this number and this much memory.
    fn extend(&mut self, changes: &[Arc<Change>], max: usize, bytes_max: usize) {
        let next = self.changes.back().map(|last| last.change.seq + 1);
        let fresh = changes.iter().filter(|change| next.is_none_or(|next| change.seq >= next));
        let mut fresh = fresh.peekable();
        let gap = matches!((next, fresh.peek()), (Some(next), Some(first)) if first.seq > next);
        if gap && !fault!(RecentGapServed) {
            // The head was ahead of the recent changes; feeds between the two read the store.
            self.clear();
        }
        for change in fresh {
            self.bytes += recent_bytes(change);
            self.changes.push_back(Arc::new(EncodedChange::new(change.clone())));
        }
        while self.changes.len() > max || (self.bytes > bytes_max && self.changes.len() > 1) {
            if let Some(oldest) = self.changes.pop_front() {
                self.bytes -= recent_bytes(&oldest.change);
            }
        }
    }

    fn clear(&mut self) {
        self.changes.clear();
        self.bytes = 0;
    }
}

/// Locks a mutex even after a holder panicked: every critical section is a few moves, so the data is still consistent.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::lane::tests::write;
    use crate::engine::{Engine, EngineOptions, SystemClock, SystemRandomness};
    use crate::store::memory::MemoryStore;
    use syncline_core::schema::SchemaUpdate;

    async fn engine() -> Engine {
        let started = Engine::start(
            Arc::new(MemoryStore::new()),
            EngineOptions::default(),
            Arc::new(SystemClock),
            Arc::new(SystemRandomness),
        );
        started.await.expect("an engine")
    }

    #[tokio::test]
    async fn recent_changes_are_bounded_by_a_workspaces_share_of_memory() {
        let engine = engine().await;
        let hubs = &engine.inner.hubs;
        for id in ["w", "x"] {
            engine.create_workspace(id, "", &SchemaUpdate::default()).await.expect("a workspace");
            engine.head(id).await.expect("a head");
            for n in 0..10 {
                engine.submit(id, vec![write(&n.to_string())], false).await.expect("a receipt");
            }
        }
        let total = &hubs.recent_total;
        assert_eq!(total.share(), RECENT_BYTES_MAX, "two workspaces have room enough");
        let kept = total.bytes.load(Ordering::Relaxed);
        assert!(kept >= 20 * RECENT_CHANGE_BYTES, "{kept}");
        // Very many workspaces have little room each.
        total.hubs.fetch_add(1_000_000, Ordering::Relaxed);
        assert_eq!(total.share(), RECENT_BYTES_MIN);
        for n in 10..40 {
            engine.submit("w", vec![write(&n.to_string())], false).await.expect("a receipt");
        }
        let hub = hubs.get(WorkspaceNo(1)).expect("a hub");
        assert!(lock(&hub.recent).bytes <= RECENT_BYTES_MIN);
        assert!(hub.since(Seq(0), 100).is_none(), "feeds that are behind read the store");
        let newest = hub.since(Seq(39), 100).expect("the newest change");
        assert_eq!(newest.len(), 1);
        drop(hub);
        lock(&hubs.hubs).clear();
        assert_eq!(total.bytes.load(Ordering::Relaxed), 0, "what hubs kept goes with them");
    }

    /// Time passes as fast as the tasks allow.
    #[tokio::test(start_paused = true)]
    async fn a_hub_that_nobody_looks_at_is_dropped_where_one_process_owns_the_store() {
        let engine = engine().await;
        engine.create_workspace("w", "", &SchemaUpdate::default()).await.expect("a workspace");
        let head = engine.head("w").await.expect("a head");
        assert_eq!(lock(&engine.inner.hubs.hubs).len(), 1);
        let held = engine.inner.hubs.get(WorkspaceNo(1)).expect("a hub");
        tokio::time::sleep(IDLE_LOOK_EVERY * (2 * IDLE_POLLS_MAX)).await;
        assert_eq!(lock(&engine.inner.hubs.hubs).len(), 1, "somebody looks at it");
        drop(held);
        tokio::time::sleep(IDLE_LOOK_EVERY * (2 * IDLE_POLLS_MAX)).await;
        assert_eq!(lock(&engine.inner.hubs.hubs).len(), 0);
        assert_eq!(engine.head("w").await.expect("a head"), head, "the next one who looks gets another");
    }
}
