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

/// Where a job's answer goes.
pub(in crate::engine) type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

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
        /// Tells when something that is left expires next.
        reply: Reply<Option<i64>>,
    },
}

impl Job {
    /// The workspace the job is about; none for one that does not exist yet.
    pub(super) fn workspace(&self) -> Option<WorkspaceNo> {
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
}

/// An answer that waits for the commit.
pub(super) type Answer = Box<dyn FnOnce(Result<(), EngineError>) + Send>;

/// How many operations a job counts for in a batch.
pub(super) fn weight(job: &Job) -> usize {
    match job {
        Job::Submit { operations, .. } => operations.len(),
        _ => 1,
    }
}

/// The answer to a job that was run.
pub(super) fn answer<T: Send + 'static>(
    reply: Reply<T>,
    settled: Result<T, StoreError>,
) -> Result<Answer, (Answer, StoreError)> {
    match settled {
        Ok(value) => Ok(Box::new(move |committed| drop(reply.send(committed.map(|()| value))))),
        Err(error) => Err((fail(reply), error)),
    }
}

/// The answer to a job that was not run; it can only report the failure.
pub(super) fn refuse(job: Job) -> Answer {
    match job {
        Job::Submit { reply, .. } => fail(reply),
        Job::Decide { reply, .. } => fail(reply),
        Job::Abandon { reply, .. } => fail(reply),
        Job::UpdateSchema { reply, .. } => fail(reply),
        Job::CreateWorkspace { reply, .. } => fail(reply),
        Job::Remind { reply, .. } => fail(reply),
        Job::Sweep { reply, .. } => fail(reply),
    }
}

/// An answer that can only report the failure.
fn fail<T: Send + 'static>(reply: Reply<T>) -> Answer {
    Box::new(move |outcome| {
        let error = outcome.err().unwrap_or(EngineError::ShuttingDown);
        drop(reply.send(Err(error)));
    })
}
