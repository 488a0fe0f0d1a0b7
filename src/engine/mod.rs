//! What the service does, apart from how it is called: lanes that write, feeds that follow, reads.
//!
//! ```text
//! submit ─► lane (group commit) ─► sequencer ─► store      hub ─► feeds
//!                 └──────────────── after commit ──────────►┘
//! ```

mod alternative;
mod at_least;
mod clock;
pub mod connections;
mod counter_sides;
mod decide;
mod decision;
mod due;
pub mod error;
pub mod feed;
mod feed_loading;
mod follow;
mod hub;
mod lane;
mod load;
mod loading;
mod presence;
mod read;
mod read_conflicts;
mod read_only;
mod record_view;
mod reminders;
pub mod snapshot;
#[cfg(test)]
mod tests;
mod workspaces;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::store::Store;
use syncline_core::ids::{Dot, WorkspaceNo};
use syncline_core::operation::{Operation, Receipt};

pub use clock::{Clock, Randomness, SystemClock, SystemRandomness};
pub use decision::{Decider, Decision, Resolution};
pub use error::{EngineError, StoreFailure};
pub use read::{RecordPage, WantedRecords};
pub use read_conflicts::{ConflictContext, ConflictStatistics, Linked, RegionView};
pub use workspaces::{Vector, WorkspaceStatus};

use connections::Presence;
use due::Due;
use follow::PeerCommits;
use hub::Hubs;
pub use hub::{EncodedChange, PublishedHead};
use lane::{Job, Lanes, Progress, Tools};
use read_only::ReadOnly;

/// How long closing the store may take when the service stops: a lane that is still at work holds on to its writer, and
/// what is committed is safe without an orderly end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Settings of an engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Maximum number of changes of a workspace kept in memory for feeds.
    pub recent_changes: usize,
    /// How often both ends of a connection send a heartbeat.
    pub heartbeat_interval_ms: u64,
    /// A feed ends after this time, give or take 10 %.
    pub stream_age_max_ms: u64,
    /// Maximum number of records in a chunk of a snapshot, or of a feed that loads.
    pub chunk_records_max: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            recent_changes: 8_192,
            heartbeat_interval_ms: 15_000,
            stream_age_max_ms: 3_600_000,
            chunk_records_max: 2_000,
        }
    }
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    lanes: Lanes,
    /// Present when other servers share the store.
    peers: Option<PeerCommits>,
    hubs: Hubs,
    connections: Presence,
    /// The id of this run of this server among the servers that share the store.
    server_id: uuid::Uuid,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    options: EngineOptions,
    draining: CancellationToken,
}

impl Engine {
    /// Starts the lanes, the reminders and, where other servers share the store, the tasks that follow them.
    pub async fn start(
        store: Arc<dyn Store>,
        options: EngineOptions,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Result<Engine, EngineError> {
        let hubs = Hubs::new(options.recent_changes);
        let due = Due::default();
        let peers = store.shared().map(PeerCommits::new);
        let draining = CancellationToken::new();
        let lanes = Lanes::new(Tools {
            store: store.clone(),
            hubs: hubs.clone(),
            clock: clock.clone(),
            due: due.clone(),
            peers: peers.clone(),
            read_only: ReadOnly::default(),
            draining: draining.clone(),
        });
        let engine = Engine {
            inner: Arc::new(Inner {
                store,
                lanes,
                peers: peers.clone(),
                hubs,
                connections: Presence::new(options.heartbeat_interval_ms, peers.is_some()),
                server_id: randomness.uuid(),
                clock,
                randomness,
                options,
                draining,
            }),
        };
        tokio::spawn(reminders::run(engine.clone(), due));
        tokio::spawn(engine.clone().expire_connections());
        if let (Some(peers), Some(shared)) = (peers, engine.inner.store.shared()) {
            tokio::spawn(engine.clone().mirror_connections(shared));
            tokio::spawn(peers.clone().announce(engine.clone()));
            tokio::spawn(peers.clone().listen(engine.clone()));
            tokio::spawn(peers.follow(engine.clone()));
        } else {
            tokio::spawn(hub::drop_idle(engine.inner.hubs.clone(), engine.draining().clone()));
        }
        Ok(engine)
    }

    /// Submits operations, each on its own or all or nothing. Returns one receipt for each, in order, once everything
    /// that the receipts say is on disk.
    pub async fn submit(
        &self,
        workspace: &str,
        operations: Vec<Operation>,
        all_or_nothing: bool,
    ) -> Result<(Vec<Receipt>, u64), EngineError> {
        let ws = self.workspace_no(workspace).await?;
        self.enqueue(|reply| Job::Submit {
            ws,
            operations,
            all_or_nothing,
            progress: Progress::default(),
            reply,
        })
        .await
    }

    /// Submits one operation.
    async fn submit_to(&self, ws: WorkspaceNo, operation: Operation) -> Result<Receipt, EngineError> {
        let operations = vec![operation];
        let submit = self.enqueue(|reply| Job::Submit {
            ws,
            operations,
            all_or_nothing: false,
            progress: Progress::default(),
            reply,
        });
        let (mut receipts, _) = submit.await?;
        receipts.pop().ok_or(EngineError::ShuttingDown)
    }

    /// Settles a lost counter.
    pub async fn abandon(&self, workspace: &str, dot: Dot) -> Result<Receipt, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        self.enqueue(|reply| Job::Abandon { ws, dot, reply })
            .await?
            .map_err(|expected_counter| EngineError::CounterNotNext { expected_counter })
    }

    /// Hands a job to the lane and waits for its answer. The lane does the work in a task of its own: a caller
    /// that goes away changes nothing.
    async fn enqueue<T>(&self, job: impl FnOnce(lane::Reply<T>) -> Job) -> Result<T, EngineError> {
        if self.inner.draining.is_cancelled() {
            return Err(EngineError::ShuttingDown);
        }
        let (reply, answer) = lane::Reply::new();
        self.inner.lanes.send(job(reply))?;
        answer.await.unwrap_or(Err(EngineError::ShuttingDown))
    }

    /// Cancelled when the service begins to stop: streams say where to resume and end.
    pub fn draining(&self) -> &CancellationToken {
        &self.inner.draining
    }

    /// Who is connected.
    pub fn connections(&self) -> &Presence {
        &self.inner.connections
    }

    /// The server's clock, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        self.inner.clock.now_ms()
    }

    /// A fresh random id.
    pub fn random_id(&self) -> uuid::Uuid {
        self.inner.randomness.uuid()
    }

    /// Settings.
    pub fn options(&self) -> &EngineOptions {
        &self.inner.options
    }

    /// What kind of store this runs on.
    pub fn store_name(&self) -> &'static str {
        self.inner.store.name()
    }

    /// Stops taking work, finishes what was accepted, closes the store. Each step has its limit, so that nothing that is
    /// at work keeps a server from ending.
    pub async fn stop(&self) {
        self.inner.draining.cancel();
        self.inner.lanes.stop().await;
        self.deregister().await;
        if tokio::time::timeout(CLOSE_TIMEOUT, self.inner.store.close()).await.is_err() {
            tracing::warn!(
                "the database could not be closed in time; its next start recovers what was at work"
            );
        }
    }
}
