//! The lane: the one task that writes. It takes what waits, settles it in memory, writes it in one transaction, and
//! only when that is on disk lets anybody know.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use crate::domain::causality::Counter;
use crate::domain::change::{Change, ConflictEventKind, EffectKind};
use crate::domain::ids::{ConflictId, Dot, WorkspaceNo};
use crate::domain::operation::{Operation, Outcome, Receipt};
use crate::domain::schema::{Schema, SchemaError};
use crate::domain::sequencer::{self, Environment};
use crate::domain::state::{Key, Need, Prefix, Row, WorkspaceHead, WorkspaceState};
use crate::store::{Store, StoreError, StoreWriter};
use crate::telemetry;

use super::clock::Clock;
use super::error::EngineError;
use super::hub::{Head, Hubs};
use super::load;
use super::reminders::Due;

/// Operations in one transaction, about: a batch takes whole jobs.
const BATCH_OPERATIONS: usize = 1_024;
/// Working sets kept in memory.
const WORKSPACES_MAX: usize = 4_096;
/// Rows of a working set kept in memory.
const ROWS_MAX: usize = 200_000;
/// Rows of all working sets kept in memory.
const ROWS_TOTAL_MAX: usize = 1_000_000;
/// Changes of a working set kept in memory.
const CHANGES_MAX: usize = 16_384;
/// Order trees of texts kept in memory.
const WINDOWS_MAX: usize = 256;
/// Expired request ids forgotten in one go.
const REQUESTS_PER_SWEEP: usize = 1_000;

/// Where a job's answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

/// Work for the lane.
pub(super) enum Job {
    Submit {
        ws: WorkspaceNo,
        operations: Vec<Operation>,
        reply: Reply<(Vec<Receipt>, u64)>,
    },
    Abandon {
        ws: WorkspaceNo,
        dot: Dot,
        reply: Reply<Result<Receipt, Counter>>,
    },
    UpdateSchema {
        ws: WorkspaceNo,
        change: Schema,
        reply: Reply<Result<Schema, SchemaError>>,
    },
    CreateWorkspace {
        id: Arc<str>,
        display_name: Arc<str>,
        epoch: u64,
        schema: Schema,
        reply: Reply<WorkspaceNo>,
    },
    Remind {
        ws: WorkspaceNo,
        conflicts: Vec<ConflictId>,
        reply: Reply<usize>,
    },
    /// Expired holds, cut-off cascades, expired request ids.
    Sweep {
        ws: WorkspaceNo,
        reply: Reply<()>,
    },
    Stop,
}

/// An answer that waits for the commit.
type Answer = Box<dyn FnOnce(Result<(), EngineError>) + Send>;

pub(super) struct Lane {
    store: Arc<dyn Store>,
    hubs: Hubs,
    clock: Arc<dyn Clock>,
    due: Due,
    workspaces: HashMap<WorkspaceNo, WorkspaceState>,
}

impl Lane {
    pub(super) fn new(store: Arc<dyn Store>, hubs: Hubs, clock: Arc<dyn Clock>, due: Due) -> Lane {
        Lane { store, hubs, clock, due, workspaces: HashMap::new() }
    }

    /// Works until told to stop.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.recv().await {
            let mut jobs = vec![first];
            let mut operations = weight(&jobs[0]);
            while operations < BATCH_OPERATIONS {
                let Ok(job) = queue.try_recv() else { break };
                operations += weight(&job);
                jobs.push(job);
            }
            let stop = jobs.iter().position(|job| matches!(job, Job::Stop)).map(|at| jobs.split_off(at));
            if !jobs.is_empty() {
                self.batch(jobs).await;
            }
            if let Some(rest) = stop {
                finish(rest, &mut queue);
                return;
            }
        }
    }

    async fn batch(&mut self, jobs: Vec<Job>) {
        metrics::histogram!(telemetry::COMMIT_BATCH_OPERATIONS)
            .record(jobs.iter().map(weight).sum::<usize>() as f64);
        let mut answers = Vec::with_capacity(jobs.len());
        let mut touched = BTreeSet::new();
        let written = self.write(jobs, &mut answers, &mut touched).await;
        match written {
            Ok(published) => {
                for (ws, changes) in published {
                    self.publish(ws, &changes);
                }
                answers.into_iter().for_each(|answer| answer(Ok(())));
                self.trim();
            }
            Err(error) => {
                metrics::counter!(telemetry::STORE_ERRORS_TOTAL, "kind" => kind_of(&error)).increment(1);
                // What was settled in memory did not happen, or is not known to have: read it again.
                for ws in touched {
                    self.workspaces.remove(&ws);
                }
                let error = EngineError::from(error);
                answers.into_iter().for_each(|answer| answer(Err(error.clone())));
            }
        }
    }

    /// Settles all jobs and commits. The answers wait for the outcome.
    async fn write(
        &mut self,
        jobs: Vec<Job>,
        answers: &mut Vec<Answer>,
        touched: &mut BTreeSet<WorkspaceNo>,
    ) -> Result<Vec<(WorkspaceNo, Vec<Arc<Change>>)>, StoreError> {
        let mut jobs = jobs.into_iter();
        let mut writer = match self.store.writer().await {
            Ok(writer) => writer,
            Err(error) => {
                answers.extend(jobs.map(refuse));
                return Err(error);
            }
        };
        let now_ms = self.clock.now_ms();
        let mut failure = self.prefetch(jobs.as_slice(), &mut *writer, touched).await.err();
        for job in jobs.by_ref() {
            if failure.is_some() {
                answers.push(refuse(job));
                continue;
            }
            let mut work = Work { lane: self, writer: &mut *writer, touched, env: Environment { now_ms } };
            match work.run(job).await {
                Ok(answer) => answers.push(answer),
                Err((answer, error)) => {
                    answers.push(answer);
                    failure = Some(error);
                }
            }
        }
        match failure {
            Some(error) => Err(error),
            None => self.commit(writer, touched).await,
        }
    }

    async fn commit(
        &mut self,
        mut writer: Box<dyn StoreWriter>,
        touched: &BTreeSet<WorkspaceNo>,
    ) -> Result<Vec<(WorkspaceNo, Vec<Arc<Change>>)>, StoreError> {
        let started = Instant::now();
        let mut published = Vec::new();
        let mut dirty = false;
        for ws in touched {
            let Some(state) = self.workspaces.get_mut(ws) else { continue };
            let flush = state.flush();
            if flush.is_empty() {
                continue;
            }
            dirty = true;
            self.due.note(*ws, &flush.rows);
            writer.write(*ws, &flush, state.head()).await?;
            published.push((*ws, flush.changes));
        }
        if dirty {
            writer.commit().await?;
            metrics::histogram!(telemetry::COMMIT_SECONDS).record(started.elapsed().as_secs_f64());
            count_conflicts(&published);
        }
        Ok(published)
    }

    /// Loads for all jobs at once what they will surely read.
    async fn prefetch(
        &mut self,
        jobs: &[Job],
        writer: &mut dyn StoreWriter,
        touched: &mut BTreeSet<WorkspaceNo>,
    ) -> Result<(), StoreError> {
        let mut keys: BTreeMap<WorkspaceNo, Vec<Key>> = BTreeMap::new();
        for job in jobs {
            if let Job::Submit { ws, operations, .. } = job {
                let needs = keys.entry(*ws).or_default();
                operations.iter().for_each(|operation| needs.extend(sequencer::needs_of(operation)));
            }
        }
        for (ws, keys) in keys {
            touched.insert(ws);
            let state = open(&mut self.workspaces, ws, writer).await?;
            load::rows(writer_as_reader(writer), ws, state, keys).await?;
        }
        Ok(())
    }

    fn publish(&mut self, ws: WorkspaceNo, changes: &[Arc<Change>]) {
        let Some(state) = self.workspaces.get(&ws) else { return };
        if let Some(hub) = self.hubs.get(ws) {
            hub.publish(changes, state.head(), schema_version(state));
        }
    }

    fn trim(&mut self) {
        let rows: usize = self.workspaces.values().map(WorkspaceState::row_count).sum();
        if self.workspaces.len() > WORKSPACES_MAX || rows > ROWS_TOTAL_MAX {
            self.workspaces.clear();
        }
        for state in self.workspaces.values_mut() {
            state.trim(ROWS_MAX, CHANGES_MAX, WINDOWS_MAX);
        }
    }
}

/// One batch at work.
struct Work<'l> {
    lane: &'l mut Lane,
    writer: &'l mut dyn StoreWriter,
    touched: &'l mut BTreeSet<WorkspaceNo>,
    env: Environment,
}

impl Work<'_> {
    /// Settles one job in memory. On failure the job's own answer comes back with the error.
    async fn run(&mut self, job: Job) -> Result<Answer, (Answer, StoreError)> {
        match job {
            Job::Submit { ws, operations, reply } => {
                let settled = self.submit(ws, &operations).await;
                answer(reply, settled)
            }
            Job::Abandon { ws, dot, reply } => {
                let env = self.env;
                let settled = self.attempt(ws, |state| sequencer::abandon(state, dot, env)).await;
                answer(reply, settled)
            }
            Job::UpdateSchema { ws, change, reply } => {
                let updated = self.update_schema(ws, &change).await;
                answer(reply, updated)
            }
            Job::CreateWorkspace { id, display_name, epoch, schema, reply } => {
                let created = self.create(&id, &display_name, epoch, schema).await;
                answer(reply, created)
            }
            Job::Remind { ws, conflicts, reply } => {
                let fired = self.remind(ws, &conflicts).await;
                answer(reply, fired)
            }
            Job::Sweep { ws, reply } => {
                let swept = self.sweep(ws).await;
                answer(reply, swept)
            }
            Job::Stop => Ok(Box::new(|_| ())),
        }
    }

    /// Runs a pure step of the sequencer, loading what it asks for until it has all it needs.
    async fn attempt<T>(
        &mut self,
        ws: WorkspaceNo,
        mut step: impl FnMut(&mut WorkspaceState) -> Result<T, Need>,
    ) -> Result<T, StoreError> {
        self.touched.insert(ws);
        let state = open(&mut self.lane.workspaces, ws, self.writer).await?;
        loop {
            match step(state) {
                Ok(value) => return Ok(value),
                Err(need) => load::load(writer_as_reader(self.writer), ws, state, need).await?,
            }
        }
    }

    async fn submit(
        &mut self,
        ws: WorkspaceNo,
        operations: &[Operation],
    ) -> Result<(Vec<Receipt>, u64), StoreError> {
        let env = self.env;
        let mut receipts = Vec::with_capacity(operations.len());
        for operation in operations {
            let receipt = self.attempt(ws, |state| sequencer::submit(state, operation, env)).await?;
            metrics::counter!(telemetry::OPERATIONS_TOTAL, "outcome" => outcome_name(&receipt)).increment(1);
            receipts.push(receipt);
        }
        let head = self.lane.workspaces.get(&ws).map_or(0, |state| state.head().head_seq);
        Ok((receipts, head))
    }

    async fn update_schema(
        &mut self,
        ws: WorkspaceNo,
        change: &Schema,
    ) -> Result<Result<Schema, SchemaError>, StoreError> {
        self.touched.insert(ws);
        let state = open(&mut self.lane.workspaces, ws, self.writer).await?;
        load::rows(writer_as_reader(self.writer), ws, state, vec![Key::Schema]).await?;
        let mut schema = schema_of(state).cloned().unwrap_or_default();
        let before = schema.version;
        if let Err(error) = schema.merge(change) {
            return Ok(Err(error));
        }
        if schema.version != before {
            state.put(Key::Schema, Some(Row::Schema(schema.clone())));
        }
        Ok(Ok(schema))
    }

    async fn create(
        &mut self,
        id: &str,
        display_name: &str,
        epoch: u64,
        schema: Schema,
    ) -> Result<WorkspaceNo, StoreError> {
        if let Some(existing) = self.writer.workspace(id).await? {
            return Ok(existing.no);
        }
        let head = WorkspaceHead::new(epoch);
        let ws = self.writer.create_workspace(id, display_name, self.env.now_ms, &head).await?;
        let mut state = WorkspaceState::new(head);
        state.put(Key::Schema, Some(Row::Schema(schema)));
        state.learn_range(Prefix::Waiters, []);
        state.learn_range(Prefix::Wakes, []);
        self.lane.workspaces.insert(ws, state);
        self.touched.insert(ws);
        Ok(ws)
    }

    async fn remind(&mut self, ws: WorkspaceNo, conflicts: &[ConflictId]) -> Result<usize, StoreError> {
        let env = self.env;
        let mut fired = 0;
        for conflict in conflicts {
            fired += usize::from(self.attempt(ws, |state| sequencer::remind(state, *conflict, env)).await?);
        }
        metrics::counter!(telemetry::REMINDERS_FIRED_TOTAL).increment(fired as u64);
        Ok(fired)
    }

    async fn sweep(&mut self, ws: WorkspaceNo) -> Result<(), StoreError> {
        let env = self.env;
        while self.attempt(ws, |state| sequencer::wake(state, env)).await? {}
        self.attempt(ws, |state| sequencer::expire_holds(state, env)).await?;
        let page = self
            .writer
            .range(ws, &Prefix::Requests, None, REQUESTS_PER_SWEEP, crate::store::Order::Ascending)
            .await?;
        let expired: Vec<Key> = page
            .rows
            .into_iter()
            .filter(|(_, row)| matches!(row, Row::Request(r) if r.expires_at_ms <= env.now_ms))
            .map(|(key, _)| key)
            .collect();
        self.attempt(ws, |state| sequencer::expire_requests(state, &expired, env)).await?;
        Ok(())
    }
}

/// A workspace's working set; a new one learns at once what every settlement asks.
async fn open<'w>(
    workspaces: &'w mut HashMap<WorkspaceNo, WorkspaceState>,
    ws: WorkspaceNo,
    writer: &mut dyn StoreWriter,
) -> Result<&'w mut WorkspaceState, StoreError> {
    use std::collections::hash_map::Entry;
    match workspaces.entry(ws) {
        Entry::Occupied(entry) => Ok(entry.into_mut()),
        Entry::Vacant(entry) => {
            let Some(head) = writer.head(ws).await? else {
                return Err(StoreError::Inconsistent(format!("workspace {ws} has no head")));
            };
            let mut state = WorkspaceState::new(head);
            load::range(writer_as_reader(writer), ws, &mut state, Prefix::Waiters).await?;
            load::range(writer_as_reader(writer), ws, &mut state, Prefix::Wakes).await?;
            load::rows(writer_as_reader(writer), ws, &mut state, vec![Key::Schema]).await?;
            Ok(entry.insert(state))
        }
    }
}

fn writer_as_reader(writer: &mut dyn StoreWriter) -> &mut dyn crate::store::StoreReader {
    writer
}

fn schema_of(state: &WorkspaceState) -> Option<&Schema> {
    match state.row(&Key::Schema) {
        Some(Row::Schema(schema)) => Some(schema),
        _ => None,
    }
}

/// The version of the schema in a working set.
pub(super) fn schema_version(state: &WorkspaceState) -> u64 {
    schema_of(state).map_or(0, |s| s.version)
}

/// A hub's head from a working set's.
pub(super) fn hub_head(head: &WorkspaceHead, schema_version: u64) -> Head {
    Head { epoch: head.epoch, seq: head.head_seq, chain: head.chain, schema_version }
}

fn answer<T: Send + 'static>(
    reply: Reply<T>,
    settled: Result<T, StoreError>,
) -> Result<Answer, (Answer, StoreError)> {
    match settled {
        Ok(value) => Ok(Box::new(move |committed| drop(reply.send(committed.map(|()| value))))),
        Err(error) => Err((fail(reply), error)),
    }
}

/// The answer of a job that was not run: it can only be told of the failure.
fn refuse(job: Job) -> Answer {
    match job {
        Job::Submit { reply, .. } => fail(reply),
        Job::Abandon { reply, .. } => fail(reply),
        Job::UpdateSchema { reply, .. } => fail(reply),
        Job::CreateWorkspace { reply, .. } => fail(reply),
        Job::Remind { reply, .. } => fail(reply),
        Job::Sweep { reply, .. } => fail(reply),
        Job::Stop => Box::new(|_| ()),
    }
}

fn fail<T: Send + 'static>(reply: Reply<T>) -> Answer {
    Box::new(move |outcome| {
        let error = outcome.err().unwrap_or(EngineError::ShuttingDown);
        drop(reply.send(Err(error)));
    })
}

/// Tells everybody who still waits that the lane has stopped.
fn finish(rest: Vec<Job>, queue: &mut mpsc::Receiver<Job>) {
    queue.close();
    let mut jobs = rest;
    while let Ok(job) = queue.try_recv() {
        jobs.push(job);
    }
    for job in jobs {
        refuse(job)(Err(EngineError::ShuttingDown));
    }
}

/// Counts what committed changes did to conflicts.
fn count_conflicts(published: &[(WorkspaceNo, Vec<Arc<Change>>)]) {
    for effect in published.iter().flat_map(|(_, changes)| changes).flat_map(|change| &change.effects) {
        let EffectKind::Conflict { event, summary } = &effect.kind else { continue };
        match (event, summary.closing) {
            (ConflictEventKind::Opened, _) => {
                metrics::counter!(telemetry::CONFLICTS_OPENED_TOTAL, "kind" => summary.kind.name())
                    .increment(1);
            }
            (ConflictEventKind::Closed, Some(closing)) => {
                let reason = closing.reason.name();
                metrics::counter!(telemetry::CONFLICTS_CLOSED_TOTAL, "reason" => reason).increment(1);
            }
            _ => {}
        }
    }
}

fn kind_of(error: &StoreError) -> &'static str {
    match error {
        StoreError::Database(_) => "database",
        StoreError::Contended(_) => "contended",
        StoreError::WorkspaceExists(_) => "workspace_exists",
        StoreError::CommitUnknown(_) => "commit_unknown",
        StoreError::Inconsistent(_) => "inconsistent",
        StoreError::DiskFull => "disk_full",
        StoreError::Unusable(_) => "unusable",
    }
}

fn weight(job: &Job) -> usize {
    match job {
        Job::Submit { operations, .. } => operations.len(),
        _ => 1,
    }
}

fn outcome_name(receipt: &Receipt) -> &'static str {
    match &receipt.outcome {
        _ if receipt.duplicate => "duplicate",
        Outcome::Settled { settlement, .. } if !settlement.conflicts.is_empty() => "conflicted",
        Outcome::Settled { settlement, .. } if settlement.merged => "merged",
        Outcome::Settled { .. } => "applied",
        Outcome::Rejected(_) => "rejected",
        Outcome::Held { .. } => "held",
        Outcome::NotSettled { .. } => "not_settled",
    }
}
