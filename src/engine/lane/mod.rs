//! A lane: a task that writes. It takes the jobs that wait, settles them in memory, writes them in one transaction, and
//! answers and publishes only when that is on disk.
//!
//! A database that one process owns has one lane for everything. On a database that servers share, every workspace
//! that is written to has a lane of its own on each server ([`router`]), and the lock of the workspace's head decides
//! between servers.

mod cache;
mod contain;
mod figures;
mod job;
mod router;
#[cfg(test)]
pub(super) mod tests;
mod turns;
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
use super::follow::PeerCommits;
use super::hub::{Hub, Hubs};
use super::load;
use super::read_only::ReadOnly;
use cache::{Cache, schema_version};
use contain::{Cause, Failed, Suspects};
use figures::count_conflicts;
use turns::Turns;
use work::{BATCH_TIME, Work};

pub(super) use job::{Job, Progress, Reply, Swept};
pub(super) use router::Lanes;

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
    /// Workspaces that nothing more is written to.
    pub read_only: ReadOnly,
    /// Cancelled when the service begins to stop.
    pub draining: CancellationToken,
}

struct Lane {
    tools: Tools,
    cache: Cache,
    /// Whether other lanes write to the workspaces that this one creates.
    hands_over: bool,
    /// The jobs that wait for a batch.
    turns: Turns,
    /// Workspaces whose jobs failed lately.
    suspects: Suspects,
    /// The workspace whose data are being read or changed; the inner value is absent for a job that is about none.
    at_work: Option<Option<WorkspaceNo>>,
}

/// A commit as it becomes visible.
type Published = Vec<(WorkspaceNo, Vec<Arc<Change>>)>;

impl Lane {
    fn new(tools: Tools, bytes_total: Arc<AtomicUsize>, hands_over: bool) -> Lane {
        let suspects = Suspects::default();
        let (cache, turns) = (Cache::new(bytes_total), Turns::default());
        Lane { tools, cache, hands_over, turns, suspects, at_work: None }
    }

    /// Works until nobody can send jobs any more, or `retire` agrees that it has been idle for long enough.
    async fn run(
        mut self,
        mut queue: mpsc::Receiver<Job>,
        retire: impl Fn(&mpsc::Receiver<Job>) -> bool + Send,
    ) {
        loop {
            if self.turns.is_empty() {
                match tokio::time::timeout(IDLE_MAX, queue.recv()).await {
                    Ok(Some(first)) => self.turns.push(first),
                    Ok(None) => return,
                    Err(_) if retire(&queue) => return,
                    Err(_) => {
                        self.cache.forget_idle();
                        continue;
                    }
                }
            }
            while !self.turns.is_full()
                && let Ok(job) = queue.try_recv()
            {
                self.turns.push(job);
            }
            let (jobs, operations) = self.turns.batch();
            if !jobs.is_empty() {
                self.batch(jobs, operations).await;
            }
        }
    }

    /// Settles what was taken from the queue. Whatever fails in one job fails that job alone; [`contain`] says how.
    async fn batch(&mut self, jobs: Vec<Job>, operations: usize) {
        metrics::histogram!(telemetry::COMMIT_BATCH_OPERATIONS).record(operations as f64);
        let mut groups = self.suspects.apart(jobs, self.tools.clock.now_ms());
        while let Some(group) = groups.pop_front() {
            let mut jobs = self.tools.read_only.without(group, &self.tools.hubs);
            if jobs.is_empty() {
                continue;
            }
            let mut touched = BTreeSet::new();
            match self.settle(&mut jobs, &mut touched).await {
                Ok((published, ran)) => {
                    self.turns.put_back(jobs.split_off(ran));
                    self.committed(jobs, &touched, &published);
                }
                Err(failed) => {
                    self.forget(&touched, &failed);
                    self.contain(jobs, failed, &mut groups);
                }
            }
        }
    }

    /// Settles all jobs and commits, or says whose fault it is that this failed.
    async fn settle(
        &mut self,
        jobs: &mut Vec<Job>,
        touched: &mut BTreeSet<WorkspaceNo>,
    ) -> Result<(Published, usize), Failed> {
        self.at_work = None;
        let written = contain::guarded(self.write(jobs, touched)).await;
        self.cache.unlock();
        let cause = match written {
            Ok(Ok(settled)) => return Ok(settled),
            Ok(Err(error)) => Cause::Store(error),
            Err(panic) => Cause::Panic(panic),
        };
        Err(Failed { at_work: self.at_work, cause })
    }

    fn committed(&mut self, jobs: Vec<Job>, touched: &BTreeSet<WorkspaceNo>, published: &Published) {
        for (ws, changes) in published {
            if let Err(panic) = contain::caught(|| self.publish(*ws, changes)) {
                let workspace = self.tools.hubs.id_of(*ws);
                tracing::error!(
                    workspace,
                    panic,
                    "showing a commit ended in a panic; it is read from the store"
                );
                self.tools.look_again(*ws);
            }
        }
        let mut going_on = Vec::new();
        for mut job in jobs {
            figures::count_settled(&job);
            if job.is_complete() {
                job.answer(Ok(()));
            } else {
                going_on.push(job);
            }
        }
        self.turns.go_on(going_on);
        if self.hands_over {
            touched.iter().for_each(|ws| self.cache.forget(*ws));
        }
        self.cache.trim(touched);
    }

    /// What was settled in memory was not stored, or may not have been, so the state is read again.
    fn forget(&mut self, touched: &BTreeSet<WorkspaceNo>, failed: &Failed) {
        let unknown = matches!(failed.cause, Cause::Store(StoreError::CommitUnknown(_)));
        for ws in touched {
            let kept = if unknown { fault!(UnknownIsLost) } else { fault!(CacheSurvivesFailure) };
            if !kept {
                self.cache.forget(*ws);
            }
            // If it was stored, feeds must not have to wait for the next commit to see it.
            if unknown {
                self.tools.look_again(*ws);
            }
        }
    }

    /// Settles jobs in one transaction, as many as there is time for, and commits it. Returns how many it was. Notes which
    /// workspace it is working for.
    async fn write(
        &mut self,
        jobs: &mut Vec<Job>,
        touched: &mut BTreeSet<WorkspaceNo>,
    ) -> Result<(Published, usize), StoreError> {
        let mut writer = self.tools.store.writer().await?;
        let env = Environment { now_ms: self.tools.clock.now_ms() };
        self.prepare(jobs, &mut *writer, touched).await?;
        // On a shared store nobody else waits in this lane, and each read takes a round trip.
        let until = self.tools.peers.is_none().then(|| Instant::now() + BATCH_TIME);
        let mut ran = 0;
        for job in jobs.iter_mut() {
            self.at_work = Some(job.workspace());
            let mut work = Work { cache: &mut self.cache, writer: &mut *writer, touched, env, until };
            if ran > 0 && work.is_over() {
                break;
            }
            work.run(job).await?;
            ran += 1;
        }
        if fault!(AnswerBeforeCommit) && jobs.iter().all(|job| job.workspace().is_some()) {
            jobs.drain(..).for_each(|job| job.answer(Ok(())));
        }
        Ok((self.commit(writer, touched).await?, ran))
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
                self.at_work = Some(Some(*ws));
                self.cache.check(*ws, writer).await?;
            }
        }
        let mut keys: BTreeMap<WorkspaceNo, Vec<Key>> = BTreeMap::new();
        for job in jobs {
            let (ws, operations) = match job {
                Job::Submit { ws, operations, progress, .. } => (ws, progress.next(operations)),
                Job::Decide { ws, operation, .. } => (ws, std::slice::from_ref(&**operation)),
                _ => continue,
            };
            let needs = keys.entry(*ws).or_default();
            operations.iter().for_each(|operation| needs.extend(sequencer::prefetch_keys(operation)));
        }
        for (ws, keys) in keys {
            self.at_work = Some(Some(ws));
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
            self.at_work = Some(Some(*ws));
            let batch = state.take_writes();
            if batch.is_empty() {
                continue;
            }
            writer.write(*ws, &batch, state.head()).await?;
            batches.push((*ws, batch));
        }
        // From here on the database has everybody's writes, and does not say whose it fails at.
        self.at_work = None;
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
