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

/// How many operations a job counts for in a batch.
pub(super) fn weight(job: &Job) -> usize {
    match job {
        Job::Submit { operations, .. } => operations.len(),
        _ => 1,
    }
}
