//! Following the commits of other servers that share the store.
//!
//! After a commit a server announces the workspace, at most every 20 ms and outside of any transaction; the others then
//! read what is new and show it to their feeds. An announcement is only a hint: every second each server compares the
//! heads of what its clients look at with the store's, so losing all announcements costs a second and nothing else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::store::{Announced, SharedStore, Store};
use syncline_core::change::Change;
use syncline_core::fault;
use syncline_core::hash;
use syncline_core::ids::{Epoch, WorkspaceNo};
use syncline_core::state::WorkspaceHead;

use super::hub::{Hub, PublishedHead, lock};
use super::load::{committed_head, read_schema};
use super::{Engine, EngineError};

/// How often, at most, commits are announced.
const ANNOUNCE_EVERY: Duration = Duration::from_millis(20);
/// How often heads are compared whether or not anything was announced.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// Maximum number of workspaces whose heads are compared in one statement.
const HEADS_MAX: usize = 1_000;
/// Maximum number of workspaces whose changes are read at the same time.
const READS_AT_ONCE_MAX: usize = 4;
/// Maximum number of changes read for a workspace at once; feeds that are further behind read the store themselves.
const CHANGES_MAX: usize = 256;

/// Tells other servers of commits made here, and shows theirs to the feeds here. Cheap to clone.
#[derive(Clone)]
pub(super) struct PeerCommits {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn SharedStore>,
    to_announce: Hints,
    to_look_at: Hints,
}

/// What a difference means between a hub and the store's head as it was read a moment ago.
#[derive(Debug, Clone, Copy)]
enum Trust {
    /// A hub that is ahead has shown a commit made since the read.
    Hub,
    /// The database may also have been rewound, so every difference is looked into.
    Store,
}

/// Workspaces that wait for a task, each at most once.
#[derive(Default)]
struct Hints {
    waiting: Mutex<BTreeSet<WorkspaceNo>>,
    wake: Notify,
}

impl Hints {
    fn add(&self, ws: WorkspaceNo) {
        lock(&self.waiting).insert(ws);
        self.wake.notify_one();
    }

    /// Waits until there are any, and takes all of them.
    async fn take(&self) -> Vec<WorkspaceNo> {
        loop {
            let taken = std::mem::take(&mut *lock(&self.waiting));
            if !taken.is_empty() {
                return taken.into_iter().collect();
            }
            self.wake.notified().await;
        }
    }
}

impl PeerCommits {
    pub(super) fn new(store: Arc<dyn SharedStore>) -> PeerCommits {
        let inner = Inner { store, to_announce: Hints::default(), to_look_at: Hints::default() };
        PeerCommits { inner: Arc::new(inner) }
    }

    /// Notes a commit made here, so that it is announced to the other servers.
    pub(super) fn committed(&self, ws: WorkspaceNo) {
        self.inner.to_announce.add(ws);
    }

    /// Notes that the store may have commits that are not shown here.
    pub(super) fn look(&self, ws: WorkspaceNo) {
        self.inner.to_look_at.add(ws);
    }

    /// Announces commits until the service stops, including those that still wait at that time.
    pub(super) async fn announce(self, engine: Engine) {
        let draining = engine.draining().clone();
        let mut failing = false;
        loop {
            let workspaces = tokio::select! {
                biased;
                workspaces = self.inner.to_announce.take() => workspaces,
                () = draining.cancelled() => return,
            };
            match self.inner.store.announce(&workspaces).await {
                Ok(()) => failing = false,
                // The other servers poll anyway, so one warning is enough.
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "commits cannot be announced; other servers see them up to a second later");
                }
                Err(_) => {}
            }
            tokio::time::sleep(ANNOUNCE_EVERY).await;
        }
    }

    /// Listens for the announcements of other servers until the service stops. It is a task of its own, so that nothing
    /// interrupts it while it connects or reads.
    pub(super) async fn listen(self, engine: Engine) {
        let draining = engine.draining().clone();
        loop {
            let announced = tokio::select! {
                () = draining.cancelled() => return,
                announced = self.inner.store.announced() => announced,
            };
            let hubs = &engine.inner.hubs;
            let workspaces = match announced {
                Announced::Workspaces(workspaces) => workspaces,
                Announced::Unsure => hubs.watched(),
            };
            workspaces.into_iter().filter(|ws| hubs.get(*ws).is_some()).for_each(|ws| self.look(ws));
        }
    }

    /// Shows the commits of other servers until the service stops.
    pub(super) async fn follow(self, engine: Engine) {
        let draining = engine.draining().clone();
        let mut poll = tokio::time::interval(POLL_EVERY);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            let (workspaces, trust) = tokio::select! {
                () = draining.cancelled() => return,
                workspaces = self.inner.to_look_at.take() => (workspaces, Trust::Hub),
                _ = poll.tick(), if !fault!(NotifyOnly) => (engine.inner.hubs.watched(), Trust::Store),
            };
            match self.catch_up(&engine, workspaces, trust).await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "commits of other servers cannot be read; feeds wait for them");
                }
                Err(_) => {}
            }
        }
    }

    /// Reads and shows what is new in workspaces that somebody looks at.
    async fn catch_up(
        &self,
        engine: &Engine,
        workspaces: Vec<WorkspaceNo>,
        trust: Trust,
    ) -> Result<(), EngineError> {
        let hubs = &engine.inner.hubs;
        let watched: Vec<WorkspaceNo> = workspaces.into_iter().filter(|ws| hubs.get(*ws).is_some()).collect();
        let mut reading = JoinSet::new();
        // A workspace that cannot be read does not hold up the others.
        let mut failure = None;
        for some in watched.chunks(HEADS_MAX) {
            for (ws, head) in self.inner.store.heads(some).await? {
                let Some(hub) = hubs.get(ws) else { continue };
                let look = match trust {
                    Trust::Hub => hub.is_behind(&head),
                    Trust::Store => hub.differs(&head),
                };
                if !look {
                    continue;
                }
                if reading.len() >= READS_AT_ONCE_MAX {
                    failure = failure.or(joined(reading.join_next().await).err());
                }
                reading.spawn(show(engine.inner.store.clone(), ws, hub));
            }
        }
        while let Some(done) = reading.join_next().await {
            failure = failure.or(joined(Some(done)).err());
        }
        failure.map_or(Ok(()), Err)
    }
}

fn joined(done: Option<Result<Result<(), EngineError>, tokio::task::JoinError>>) -> Result<(), EngineError> {
    match done {
        Some(Ok(shown)) => shown,
        // A panic of a read has already been logged; the next poll tries again.
        Some(Err(_)) | None => Ok(()),
    }
}

/// Reads a workspace's newest commits and shows them.
pub(super) async fn show(store: Arc<dyn Store>, ws: WorkspaceNo, hub: Arc<Hub>) -> Result<(), EngineError> {
    // Read before the snapshot, so that the snapshot contains everything that was shown by then.
    let shown = hub.head();
    let mut reader = store.reader().await?;
    let head = committed_head(&mut *reader, ws).await?;
    let schema_version = read_schema(&mut *reader, ws).await?.version;
    if shown.epoch == Epoch::NONE {
        // The hub is not started yet; that is up to whoever created it.
        return Ok(());
    }
    let rewritten = head.head_seq == shown.seq && head.chain != shown.chain;
    if head.epoch != shown.epoch || head.head_seq < shown.seq || rewritten {
        return restart(ws, &hub, &shown, &head, schema_version);
    }
    let changes = reader.changes(ws, shown.seq, head.head_seq, CHANGES_MAX).await?;
    let changes: Vec<Arc<Change>> = changes.into_iter().map(Arc::new).collect();
    if !continues(&shown, &changes) {
        return restart(ws, &hub, &shown, &head, schema_version);
    }
    if changes.last().is_some_and(|last| last.seq < head.head_seq) {
        // The hub is far behind, so feeds read the store at their own pace.
        hub.skip_to(&head, schema_version);
    } else {
        hub.publish(&changes, &head, schema_version);
    }
    Ok(())
}

/// Whether changes continue the history of a head.
fn continues(shown: &PublishedHead, changes: &[Arc<Change>]) -> bool {
    changes.first().is_none_or(|first| hash::chain(&shown.chain, &first.operation_hash) == first.chain)
}

/// The database no longer has what it had committed, because of a restored backup, or a standby that had not received
/// everything. Feeds are told; their clients compare and send again what is missing.
fn restart(
    ws: WorkspaceNo,
    hub: &Hub,
    shown: &PublishedHead,
    head: &WorkspaceHead,
    schema_version: u64,
) -> Result<(), EngineError> {
    tracing::error!(
        workspace_no = ws.0,
        shown_seq = shown.seq.0,
        head_seq = head.head_seq.0,
        "the database holds another history than it did: it was restored, or a failover lost commits"
    );
    hub.restart(head, schema_version);
    Ok(())
}
