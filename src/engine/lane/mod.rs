//! A lane: a task that writes. It takes the jobs that wait, settles them in memory, writes them in one transaction, and
//! answers and publishes only when that is on disk.
//!
//! A database that one process owns has one lane for everything. On a database that servers share, every workspace
//! that is written to has a lane of its own on each server ([`router`]), and the lock of the workspace's head decides
//! between servers.

mod cache;
mod figures;
mod job;
mod router;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::store::{Store, StoreError, StoreWriter};
use crate::telemetry;
use syncline_core::change::Change;
use syncline_core::fault;
use syncline_core::ids::WorkspaceNo;
use syncline_core::sequencer::{self, Environment};
use syncline_core::state::{Key, WriteBatch};

use super::clock::Clock;
use super::due::Due;
use super::error::EngineError;
use super::follow::PeerCommits;
use super::hub::{Hub, Hubs};
use super::load;
use cache::{Cache, schema_version};
use figures::{count_conflicts, kind_of};
use job::{Answer, refuse, weight};
use work::Work;

pub(super) use job::{Job, Reply};
pub(super) use router::Lanes;

/// Approximate maximum number of operations in one transaction; a batch takes whole jobs.
const BATCH_OPERATIONS: usize = 1_024;
/// A workspace's own lane ends after this long without work, which frees its memory.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// After this time, a failed read of commits that are to be shown is tried again.
const SHOW_AGAIN: Duration = Duration::from_secs(1);

/// What lanes work with.
#[derive(Clone)]
pub(super) struct Tools {
    pub store: Arc<dyn Store>,
    pub hubs: Hubs,
    pub clock: Arc<dyn Clock>,
    pub due: Due,
    /// Present when other servers share the store.
    pub peers: Option<PeerCommits>,
    /// Cancelled when the service begins to stop.
    pub draining: CancellationToken,
}

struct Lane {
    tools: Tools,
    cache: Cache,
    /// Whether other lanes write to the workspaces that this one creates.
    hands_over: bool,
}

/// A commit as it becomes visible.
type Published = Vec<(WorkspaceNo, Vec<Arc<Change>>)>;

impl Lane {
    fn new(tools: Tools, rows_total: Arc<AtomicUsize>, hands_over: bool) -> Lane {
        Lane { tools, cache: Cache::new(rows_total), hands_over }
    }

    /// Works until nobody can send jobs any more, or `retire` agrees that it has been idle for long enough.
    async fn run(
        mut self,
        mut queue: mpsc::Receiver<Job>,
        retire: impl Fn(&mpsc::Receiver<Job>) -> bool + Send,
    ) {
        loop {
            let first = match tokio::time::timeout(IDLE_MAX, queue.recv()).await {
                Ok(Some(first)) => first,
                Ok(None) => return,
                Err(_) if retire(&queue) => return,
                Err(_) => continue,
            };
            let mut operations = weight(&first);
            let mut jobs = vec![first];
            while operations < BATCH_OPERATIONS {
                let Ok(job) = queue.try_recv() else { break };
                operations += weight(&job);
                jobs.push(job);
            }
            self.batch(jobs, operations).await;
        }
    }

    async fn batch(&mut self, jobs: Vec<Job>, operations: usize) {
        metrics::histogram!(telemetry::COMMIT_BATCH_OPERATIONS).record(operations as f64);
        let mut answers = Vec::with_capacity(jobs.len());
        let mut touched = BTreeSet::new();
        let written = self.write(jobs, &mut answers, &mut touched).await;
        self.cache.unlock();
        match written {
            Ok(published) => {
                for (ws, changes) in published {
                    self.publish(ws, &changes);
                }
                answers.into_iter().for_each(|answer| answer(Ok(())));
                if self.hands_over {
                    touched.iter().for_each(|ws| self.cache.forget(*ws));
                }
                self.cache.trim();
            }
            Err(error) => {
                metrics::counter!(telemetry::STORE_ERRORS_TOTAL, "kind" => kind_of(&error)).increment(1);
                let unknown = matches!(error, StoreError::CommitUnknown(_));
                for ws in touched {
                    // What was settled in memory was not stored, or may not have been, so the state is read again.
                    let kept = if unknown { fault!(UnknownIsLost) } else { fault!(CacheSurvivesFailure) };
                    if !kept {
                        self.cache.forget(ws);
                    }
                    // If it was stored, feeds must not have to wait for the next commit to see it.
                    if unknown {
                        self.tools.look_again(ws);
                    }
                }
                let error = EngineError::from(error);
                let lies = fault!(FailureAnsweredAsSuccess);
                answers.into_iter().for_each(|answer| answer(if lies { Ok(()) } else { Err(error.clone()) }));
            }
        }
    }

    /// Settles all jobs and commits. The answers wait for the outcome.
    async fn write(
        &mut self,
        jobs: Vec<Job>,
        answers: &mut Vec<Answer>,
        touched: &mut BTreeSet<WorkspaceNo>,
    ) -> Result<Published, StoreError> {
        let mut jobs = jobs.into_iter();
        let mut writer = match self.tools.store.writer().await {
            Ok(writer) => writer,
            Err(error) => {
                answers.extend(jobs.map(refuse));
                return Err(error);
            }
        };
        let now_ms = self.tools.clock.now_ms();
        let answers_early =
            fault!(AnswerBeforeCommit) && jobs.as_slice().iter().all(|j| j.workspace().is_some());
        let mut failure = self.prepare(jobs.as_slice(), &mut *writer, touched).await.err();
        for job in jobs.by_ref() {
            if failure.is_some() {
                answers.push(refuse(job));
                continue;
            }
            let env = Environment { now_ms };
            let mut work = Work { cache: &mut self.cache, writer: &mut *writer, touched, env };
            match work.run(job).await {
                Ok(answer) => answers.push(answer),
                Err((answer, error)) => {
                    answers.push(answer);
                    failure = Some(error);
                }
            }
        }
        if answers_early && failure.is_none() {
            answers.drain(..).for_each(|answer| answer(Ok(())));
        }
        match failure {
            Some(error) => Err(error),
            None => self.commit(writer, touched).await,
        }
    }

    /// Locks the workspaces that other servers could write to as well, and loads at once what the jobs will certainly
    /// read.
    async fn prepare(
        &mut self,
        jobs: &[Job],
        writer: &mut dyn StoreWriter,
        touched: &mut BTreeSet<WorkspaceNo>,
    ) -> Result<(), StoreError> {
        touched.extend(jobs.iter().filter_map(Job::workspace));
        if self.tools.peers.is_some() {
            for ws in touched.iter() {
                self.cache.check(*ws, writer).await?;
            }
        }
        let mut keys: BTreeMap<WorkspaceNo, Vec<Key>> = BTreeMap::new();
        for job in jobs {
            let (ws, operations) = match job {
                Job::Submit { ws, operations, .. } => (ws, operations.as_slice()),
                Job::Decide { ws, operation, .. } => (ws, std::slice::from_ref(&**operation)),
                _ => continue,
            };
            let needs = keys.entry(*ws).or_default();
            operations.iter().for_each(|operation| needs.extend(sequencer::prefetch_keys(operation)));
        }
        for (ws, keys) in keys {
            let state = self.cache.open(ws, writer).await?;
            load::rows(writer, ws, state, keys).await?;
        }
        Ok(())
    }

    async fn commit(
        &mut self,
        mut writer: Box<dyn StoreWriter>,
        touched: &BTreeSet<WorkspaceNo>,
    ) -> Result<Published, StoreError> {
        let started = Instant::now();
        let mut batches: Vec<(WorkspaceNo, WriteBatch)> = Vec::new();
        for ws in touched {
            let Some(state) = self.cache.get_mut(*ws) else { continue };
            let batch = state.take_writes();
            if batch.is_empty() {
                continue;
            }
            writer.write(*ws, &batch, state.head()).await?;
            batches.push((*ws, batch));
        }
        if fault!(PublishBeforeCommit) {
            batches.iter().for_each(|(ws, batch)| self.publish(*ws, &batch.changes));
        }
        let mut committed = if batches.is_empty() { Ok(()) } else { writer.commit().await };
        if fault!(UnknownIsStored) && matches!(committed, Err(StoreError::CommitUnknown(_))) {
            committed = Ok(());
        }
        if matches!(committed, Ok(()) | Err(StoreError::CommitUnknown(_))) {
            // Noted only now, because whoever looks for what is due must find it in the store.
            batches.iter().for_each(|(ws, batch)| self.tools.due.note(*ws, &batch.rows));
        }
        committed?;
        let published: Published = batches.into_iter().map(|(ws, batch)| (ws, batch.changes)).collect();
        if !published.is_empty() {
            metrics::histogram!(telemetry::COMMIT_SECONDS).record(started.elapsed().as_secs_f64());
            count_conflicts(&published);
        }
        Ok(published)
    }

    /// Makes a commit visible here, and tells the other servers.
    fn publish(&self, ws: WorkspaceNo, changes: &[Arc<Change>]) {
        let Some(state) = self.cache.get(ws) else { return };
        if let Some(peers) = &self.tools.peers {
            peers.committed(ws);
        }
        if let Some(hub) = self.tools.hubs.get(ws)
            && !hub.publish(changes, state.head(), schema_version(state))
        {
            // Another server's changes come before these, and have not been read yet.
            self.tools.look_again(ws);
        }
    }
}

impl Tools {
    /// Has a workspace's newest commits read from the store and shown.
    fn look_again(&self, ws: WorkspaceNo) {
        match (&self.peers, self.hubs.get(ws)) {
            (Some(peers), _) => peers.look(ws),
            // Nothing else looks at the store here, and no later commit is shown until the gap is closed.
            (None, Some(hub)) if hub.begin_showing() => {
                let shown = show_again(self.store.clone(), ws, hub);
                drop(tokio::spawn(self.draining.clone().run_until_cancelled_owned(shown)));
            }
            (None, _) => {}
        }
    }
}

async fn show_again(store: Arc<dyn Store>, ws: WorkspaceNo, hub: Arc<Hub>) {
    while super::follow::show(store.clone(), ws, hub.clone()).await.is_err() {
        tokio::time::sleep(SHOW_AGAIN).await;
    }
    hub.end_showing();
}
