//! What the service does, apart from how it is called: one lane that writes, feeds that follow, reads.
//!
//! ```text
//! submit ─► lane (group commit) ─► sequencer ─► store      hub ─► feeds
//!                 └──────────────── after commit ──────────►┘
//! ```

mod clock;
pub mod connections;
mod decide;
pub mod error;
pub mod feed;
mod hub;
mod lane;
mod load;
mod read;
mod read_conflicts;
mod record_view;
mod reminders;
pub mod snapshot;
mod workspaces;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::ids::{Dot, WorkspaceNo};
use crate::domain::operation::{Operation, Receipt};
use crate::store::Store;

pub use clock::{Clock, Randomness, SystemClock, SystemRandomness};
pub use decide::{Decider, Decision};
pub use error::{EngineError, StoreFailure};
pub use read::RecordPage;
pub use read_conflicts::{ConflictContext, ConflictStatistics, Linked};
pub use workspaces::{Vector, WorkspaceStatus};

use connections::Connections;
pub use hub::Head;
use hub::Hubs;
use lane::{Job, Lane};

/// Jobs that wait for the lane; more are refused with a retry delay.
pub const LANE_QUEUE_MAX: usize = 8_192;

/// Settings of an engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Changes of a workspace kept in memory for feeds.
    pub ring_changes: usize,
    /// How often both ends of a connection beat.
    pub beat_interval_ms: u64,
    /// A feed ends after this time, give or take 10 %.
    pub stream_age_max_ms: u64,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions { ring_changes: 8_192, beat_interval_ms: 15_000, stream_age_max_ms: 3_600_000 }
    }
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    jobs: mpsc::Sender<Job>,
    hubs: Hubs,
    connections: Connections,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    options: EngineOptions,
    draining: CancellationToken,
    lane: tokio::sync::Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Engine {
    /// Starts the lane and the reminders over a store.
    pub async fn start(
        store: Arc<dyn Store>,
        options: EngineOptions,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Result<Engine, EngineError> {
        let (jobs, queue) = mpsc::channel(LANE_QUEUE_MAX);
        let hubs = Hubs::new(options.ring_changes);
        let due = reminders::load(&*store).await?;
        let lane = Lane::new(store.clone(), hubs.clone(), clock.clone(), due.clone());
        let handle = tokio::spawn(lane.run(queue));
        let engine = Engine {
            inner: Arc::new(Inner {
                store,
                jobs,
                hubs,
                connections: Connections::new(options.beat_interval_ms),
                clock,
                randomness,
                options,
                draining: CancellationToken::new(),
                lane: tokio::sync::Mutex::new(Some(handle)),
            }),
        };
        tokio::spawn(reminders::run(engine.clone(), due));
        Ok(engine)
    }

    /// Submits operations; one receipt for each, in order, when all that they say is on disk.
    pub async fn submit(
        &self,
        workspace: &str,
        operations: Vec<Operation>,
    ) -> Result<(Vec<Receipt>, u64), EngineError> {
        let ws = self.workspace_no(workspace).await?;
        self.submit_to(ws, operations).await
    }

    async fn submit_to(
        &self,
        ws: WorkspaceNo,
        operations: Vec<Operation>,
    ) -> Result<(Vec<Receipt>, u64), EngineError> {
        self.enqueue(|reply| Job::Submit { ws, operations, reply }).await
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
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.inner.jobs.try_send(job(reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => EngineError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => EngineError::ShuttingDown,
        })?;
        answer.await.unwrap_or(Err(EngineError::ShuttingDown))
    }

    /// Cancelled when the service begins to stop: streams say where to resume and end.
    pub fn draining(&self) -> &CancellationToken {
        &self.inner.draining
    }

    /// Who is connected.
    pub fn connections(&self) -> &Connections {
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

    /// Stops taking work, finishes what was accepted, closes the store.
    pub async fn stop(&self) {
        self.inner.draining.cancel();
        // A closed queue means that the lane has stopped already.
        let _ = self.inner.jobs.send(Job::Stop).await;
        if let Some(handle) = self.inner.lane.lock().await.take() {
            let _ = handle.await;
        }
        self.inner.store.close().await;
    }
}
