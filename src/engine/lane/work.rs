//! One batch at work: each job is settled in memory.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use syncline_core::causality::Seq;

use crate::store::{Order, StoreError, StoreReader, StoreWriter};
use syncline_core::hash::{Hash, Secret};
use syncline_core::ids::{ConflictId, Epoch, WorkspaceNo};
use syncline_core::operation::{Operation, Receipt};
use syncline_core::schema::{Schema, SchemaError, SchemaUpdate, UpdatedSchema};
use syncline_core::sequencer::{self, Environment, Together};
use syncline_core::state::{Key, Missing, Prefix, Row, WorkspaceHead, WorkspaceState};

use super::cache::{Cache, schema_of};
use super::job::{Job, Swept};
use crate::engine::load;

/// How long a batch goes on settling. Others wait as long as that for their turn, and for one operation more.
pub(super) const BATCH_TIME: Duration = Duration::from_millis(10);
/// Maximum number of rows of a kind that are looked at in one sweep.
const EXPIRING_PER_SWEEP: usize = 1_000;

/// One batch at work.
pub(super) struct Work<'l> {
    pub cache: &'l mut Cache,
    pub writer: &'l mut dyn StoreWriter,
    pub touched: &'l mut BTreeSet<WorkspaceNo>,
    pub env: Environment,
    /// When the batch has had its time; never, where the lane is that of one workspace.
    pub until: Option<Instant>,
}

impl Work<'_> {
    /// Whether the batch has had its time, and commits what it has settled.
    pub fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Settles one job in memory; its answer waits in it.
    pub async fn run(&mut self, job: &mut Job) -> Result<(), StoreError> {
        match job {
            Job::Submit { ws, operations, all_or_nothing, progress, reply } => {
                reply.settle(self.submit(*ws, progress.next(operations), *all_or_nothing).await)
            }
            Job::Decide { ws, operation, request_hash, reply } => {
                reply.settle(self.decide(*ws, operation, *request_hash).await)
            }
            Job::Abandon { ws, dot, reply } => {
                let (env, dot) = (self.env, *dot);
                reply.settle(self.attempt(*ws, |state| sequencer::abandon(state, dot, env)).await)
            }
            Job::UpdateSchema { ws, update, version, validate_only, reply } => {
                reply.settle(self.update_schema(*ws, update, *version, *validate_only).await)
            }
            Job::CreateWorkspace { id, display_name, epoch, secret, schema, reply } => {
                reply.settle(self.create(id, display_name, (*epoch, *secret), schema.clone()).await)
            }
            Job::Remind { ws, conflicts, reply } => reply.settle(self.remind(*ws, conflicts).await),
            Job::Sweep { ws, reply } => reply.settle(self.sweep(*ws).await),
        }
    }

    /// Runs a pure step of the sequencer, loading what it asks for until it has all it needs.
    async fn attempt<T>(
        &mut self,
        ws: WorkspaceNo,
        mut step: impl FnMut(&mut WorkspaceState) -> Result<T, Missing>,
    ) -> Result<T, StoreError> {
        self.touched.insert(ws);
        let state = self.cache.open(ws, self.writer).await?;
        let mut walk = load::Walk::new();
        loop {
            match step(state) {
                Ok(value) => return Ok(value),
                Err(need) => load::load(reading(self.writer), ws, state, need, &mut walk).await?,
            }
        }
    }

    async fn submit(
        &mut self,
        ws: WorkspaceNo,
        operations: &[Operation],
        all_or_nothing: bool,
    ) -> Result<(Vec<Receipt>, u64), StoreError> {
        let receipts = if all_or_nothing {
            self.submit_together(ws, operations).await?
        } else {
            self.submit_each(ws, operations).await?
        };
        let head = self.cache.get(ws).map_or(Seq::START, |state| state.head().head_seq);
        Ok((receipts, head.0))
    }

    /// Settles an operation that the server made from a call with a request id; the hash stands for the call's content.
    async fn decide(
        &mut self,
        ws: WorkspaceNo,
        operation: &Operation,
        request_hash: Hash,
    ) -> Result<Receipt, StoreError> {
        let env = self.env;
        let submit = |state: &mut WorkspaceState| sequencer::submit_made(state, operation, request_hash, env);
        self.attempt(ws, submit).await
    }

    async fn submit_each(
        &mut self,
        ws: WorkspaceNo,
        operations: &[Operation],
    ) -> Result<Vec<Receipt>, StoreError> {
        let env = self.env;
        let mut receipts = Vec::with_capacity(operations.len());
        for operation in operations {
            // The rest comes with the next batch, after others.
            if !receipts.is_empty() && self.is_over() {
                break;
            }
            receipts.push(self.attempt(ws, |state| sequencer::submit(state, operation, env)).await?);
        }
        Ok(receipts)
    }

    async fn submit_together(
        &mut self,
        ws: WorkspaceNo,
        operations: &[Operation],
    ) -> Result<Vec<Receipt>, StoreError> {
        let env = self.env;
        let mut begun = None;
        self.attempt(ws, |state| {
            let call = begun.get_or_insert_with(|| Together::new(state, operations, env));
            call.resume(state)
        })
        .await
    }

    /// Updates the schema under the lock of the head, so that of two updates made for one version only one takes
    /// effect.
    async fn update_schema(
        &mut self,
        ws: WorkspaceNo,
        update: &SchemaUpdate,
        version: u64,
        validate_only: bool,
    ) -> Result<Result<UpdatedSchema, SchemaError>, StoreError> {
        self.touched.insert(ws);
        let state = self.cache.open(ws, self.writer).await?;
        load::rows(reading(self.writer), ws, state, vec![Key::Schema]).await?;
        let updated = match schema_of(state) {
            Some(schema) => schema.updated_from(version, update),
            None => Schema::default().updated_from(version, update),
        };
        if let Ok(UpdatedSchema { schema, differences }) = &updated
            && !differences.is_empty()
            && !validate_only
        {
            state.put(Key::Schema, Some(Row::Schema(schema.clone())));
        }
        Ok(updated)
    }

    async fn create(
        &mut self,
        id: &str,
        display_name: &str,
        (epoch, secret): (Epoch, Secret),
        schema: Schema,
    ) -> Result<WorkspaceNo, StoreError> {
        if let Some(existing) = self.writer.workspace(id).await? {
            return Ok(existing.no);
        }
        let head = WorkspaceHead::new(epoch);
        let ws = self.writer.create_workspace(id, display_name, self.env.now_ms, &head).await?;
        let mut state = WorkspaceState::new(head);
        state.put(Key::Schema, Some(Row::Schema(schema)));
        state.put(Key::Secret, Some(Row::Secret(secret)));
        state.learn_range(Prefix::Waiters, []);
        state.learn_range(Prefix::Wakes, []);
        self.cache.insert(ws, state);
        self.touched.insert(ws);
        Ok(ws)
    }

    async fn remind(&mut self, ws: WorkspaceNo, conflicts: &[ConflictId]) -> Result<usize, StoreError> {
        let env = self.env;
        let mut fired = 0;
        for conflict in conflicts {
            fired += usize::from(self.attempt(ws, |state| sequencer::remind(state, *conflict, env)).await?);
        }
        Ok(fired)
    }

    /// One step of the upkeep of a workspace.
    async fn sweep(&mut self, ws: WorkspaceNo) -> Result<Swept, StoreError> {
        let env = self.env;
        if self.attempt(ws, |state| sequencer::wake(state, env)).await? {
            return Ok(Swept::More);
        }
        self.attempt(ws, |state| sequencer::expire_holds(state, env)).await?;
        // Continues where the last sweep ended, so that rows that expire late do not hide those after them.
        let after = self.cache.swept_to.remove(&ws);
        let requests = self.expiring(ws, &Prefix::Requests, after.as_ref()).await?;
        let more = requests.len() == EXPIRING_PER_SWEEP;
        if let Some((last, _)) = requests.last().filter(|_| more) {
            self.cache.swept_to.insert(ws, last.clone());
        }
        let expired: Vec<Key> =
            requests.iter().filter(|(_, at_ms)| *at_ms <= env.now_ms).map(|(key, _)| key.clone()).collect();
        self.attempt(ws, |state| sequencer::expire_requests(state, &expired, env)).await?;
        let held = self.expiring(ws, &Prefix::HeldOperations, None).await?;
        // Where most ids have expired, they leave faster than they can come: there are never many more than are needed.
        if more && expired.len() * 2 > requests.len() {
            return Ok(Swept::More);
        }
        let page_full = more || after.is_some() || held.len() == EXPIRING_PER_SWEEP;
        let left = requests.into_iter().chain(held).map(|(_, at_ms)| at_ms).filter(|at| *at > env.now_ms);
        Ok(Swept::Until(if page_full { Some(env.now_ms) } else { left.min() }))
    }

    /// The first expiring rows of a range, with the time at which each expires, without the changes of the current
    /// batch.
    async fn expiring(
        &mut self,
        ws: WorkspaceNo,
        prefix: &Prefix,
        after: Option<&Key>,
    ) -> Result<Vec<(Key, i64)>, StoreError> {
        let page = self.writer.range(ws, prefix, after, EXPIRING_PER_SWEEP, Order::Ascending).await?;
        let expiring = page.rows.into_iter().filter_map(|(key, row)| match row {
            Row::Request(request) => Some((key, request.expires_at_ms)),
            Row::Held(held) => Some((key, held.expires_at_ms)),
            _ => None,
        });
        Ok(expiring.collect())
    }
}

fn reading(writer: &mut dyn StoreWriter) -> &mut dyn StoreReader {
    writer
}
