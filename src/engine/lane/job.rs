//! Work for a lane, and the answers that wait for its commit.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::store::StoreError;
use syncline_core::causality::Counter;
use syncline_core::hash::{Hash, Secret};
use syncline_core::ids::{ConflictId, Dot, Epoch, WorkspaceNo};
use syncline_core::operation::{Operation, Receipt};
use syncline_core::schema::{Schema, SchemaError, SchemaUpdate, UpdatedSchema};

use crate::engine::error::EngineError;

/// What a sweep counts for in a batch: it may release some hundred operations.
const SWEEP_WEIGHT: usize = 64;

/// Where a job's answer goes, and what it will be once it is on disk. A job that is settled again replaces it.
pub(in crate::engine) struct Reply<T> {
    to: oneshot::Sender<Result<T, EngineError>>,
    settled: Option<T>,
}

impl<T> Reply<T> {
    /// A reply and the end where it arrives.
    pub(in crate::engine) fn new() -> (Reply<T>, oneshot::Receiver<Result<T, EngineError>>) {
        let (to, answer) = oneshot::channel();
        (Reply { to, settled: None }, answer)
    }

    /// Notes what the job came to.
    pub(super) fn settle(&mut self, settled: Result<T, StoreError>) -> Result<(), StoreError> {
        self.settled = Some(settled?);
        Ok(())
    }

    /// What the job came to.
    pub(super) fn settled(&self) -> Option<&T> {
        self.settled.as_ref()
    }

    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool {
        self.to.is_closed()
    }

    fn answer(self, outcome: Result<(), EngineError>) {
        let answer = outcome.and_then(|()| self.settled.ok_or(EngineError::ShuttingDown));
        drop(self.to.send(answer));
    }
}

/// Work for the lane.
pub(in crate::engine) enum Job {
    Submit {
        ws: WorkspaceNo,
        operations: Vec<Operation>,
        /// Whether to settle all of them or none.
        all_or_nothing: bool,
        progress: Progress,
        /// What the operations of the batch at work came to; at the end, what all of them came to.
        reply: Reply<(Vec<Receipt>, u64)>,
    },
    /// One operation that the server made from a request about a conflict.
    Decide {
        ws: WorkspaceNo,
        operation: Box<Operation>,
        /// The hash of the request, by which a repetition is recognized.
        request_hash: Hash,
        reply: Reply<Receipt>,
    },
    Abandon {
        ws: WorkspaceNo,
        dot: Dot,
        reply: Reply<Result<Receipt, Counter>>,
    },
    UpdateSchema {
        ws: WorkspaceNo,
        update: SchemaUpdate,
        /// The version that the update was made for.
        version: u64,
        /// Whether only to say what would change.
        validate_only: bool,
        reply: Reply<Result<UpdatedSchema, SchemaError>>,
    },
    CreateWorkspace {
        id: Arc<str>,
        display_name: Arc<str>,
        epoch: Epoch,
        secret: Secret,
        schema: Schema,
        reply: Reply<WorkspaceNo>,
    },
    Remind {
        ws: WorkspaceNo,
        conflicts: Vec<ConflictId>,
        reply: Reply<usize>,
    },
    /// Ends expired holds, continues cut-off cascades, and removes expired request ids.
    Sweep {
        ws: WorkspaceNo,
        reply: Reply<Swept>,
    },
}

/// How far a call with many operations is, which may take several batches.
#[derive(Default)]
pub(in crate::engine) struct Progress {
    /// What the operations that are on disk came to.
    done: Vec<Receipt>,
    /// How many of the others may be settled in the next batch.
    allowed: usize,
}

impl Progress {
    /// The operations that are to be settled in the batch at work.
    pub(super) fn next<'o>(&self, operations: &'o [Operation]) -> &'o [Operation] {
        let rest = operations.get(self.done.len()..).unwrap_or_default();
        &rest[..self.allowed.min(rest.len())]
    }
}

/// What a sweep leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Swept {
    /// There is more to do at once: a sweep does a limited amount of work, so that others can write in between.
    More,
    /// Nothing is to be done before this time; if none is given, before something is written.
    Until(Option<i64>),
}

impl Job {
    /// The workspace the job is about; none for one that does not exist yet.
    pub(in crate::engine) fn workspace(&self) -> Option<WorkspaceNo> {
        match self {
            Job::CreateWorkspace { .. } => None,
            Job::Submit { ws, .. }
            | Job::Decide { ws, .. }
            | Job::Abandon { ws, .. }
            | Job::UpdateSchema { ws, .. }
            | Job::Remind { ws, .. }
            | Job::Sweep { ws, .. } => Some(*ws),
        }
    }

    /// Whether nobody waits for the job's answer any more.
    pub(super) fn is_abandoned(&self) -> bool {
        match self {
            Job::Submit { reply, .. } => reply.is_abandoned(),
            Job::Decide { reply, .. } => reply.is_abandoned(),
            Job::Abandon { reply, .. } => reply.is_abandoned(),
            Job::UpdateSchema { reply, .. } => reply.is_abandoned(),
            Job::CreateWorkspace { reply, .. } => reply.is_abandoned(),
            Job::Remind { reply, .. } => reply.is_abandoned(),
            Job::Sweep { reply, .. } => reply.is_abandoned(),
        }
    }

    /// Takes note that what the job was settled as is on disk. Returns whether all of it is.
    pub(super) fn is_complete(&mut self) -> bool {
        let Job::Submit { operations, progress, reply, .. } = self else { return true };
        let Some((receipts, head)) = reply.settled.take() else { return false };
        progress.done.extend(receipts);
        if progress.done.len() < operations.len() {
            return false;
        }
        reply.settled = Some((std::mem::take(&mut progress.done), head));
        true
    }

    /// Tells the caller what the job was settled as, or why it was not.
    pub(in crate::engine) fn answer(self, outcome: Result<(), EngineError>) {
        match self {
            Job::Submit { reply, .. } => reply.answer(outcome),
            Job::Decide { reply, .. } => reply.answer(outcome),
            Job::Abandon { reply, .. } => reply.answer(outcome),
            Job::UpdateSchema { reply, .. } => reply.answer(outcome),
            Job::CreateWorkspace { reply, .. } => reply.answer(outcome),
            Job::Remind { reply, .. } => reply.answer(outcome),
            Job::Sweep { reply, .. } => reply.answer(outcome),
        }
    }
}

/// How many operations a job that waits counts for.
pub(super) fn weight(job: &Job) -> usize {
    match job {
        Job::Submit { operations, progress, .. } => (operations.len() - progress.done.len()).max(1),
        Job::Remind { conflicts, .. } => conflicts.len().max(1),
        Job::Sweep { .. } => SWEEP_WEIGHT,
        _ => 1,
    }
}

/// Lets a job settle as much of it as a share has room for, and returns how much that is: all, if it cannot be divided.
pub(super) fn allow(job: &mut Job, share: usize) -> usize {
    let whole = weight(job);
    match job {
        Job::Submit { all_or_nothing: false, progress, .. } => {
            progress.allowed = share.min(whole);
            progress.allowed
        }
        Job::Submit { progress, .. } => {
            progress.allowed = whole;
            whole
        }
        _ => whole,
    }
}
