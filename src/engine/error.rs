//! Why the engine could not do what was asked.

use crate::store::StoreError;
use syncline_core::causality::{Counter, Seq};
use syncline_core::ids::{ConflictId, Epoch, RecordId};
use syncline_core::schema::SchemaError;

/// A failure of the store, without its details: those are in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFailure {
    /// Nothing was stored.
    Unavailable,
    /// Others were writing at the same time; nothing was stored, and trying again helps.
    Contended,
    /// Stored whole or not at all; asking again with the same identity tells.
    Unknown,
    /// The stored data contradicts itself.
    Inconsistent,
    /// The disk is full; reads go on.
    DiskFull,
}

/// Why the engine could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    #[error("there is no workspace {id}")]
    UnknownWorkspace { id: String },
    #[error("workspace {id} exists with another schema")]
    WorkspaceExists { id: String },
    #[error("position {seq} is not here yet, the newest one is {head_seq}; read again")]
    NotCaughtUp { seq: Seq, head_seq: Seq },
    #[error("the position belongs to another history of the workspace; read without it")]
    WrongEpoch { epoch: Epoch, expected_epoch: Epoch },
    #[error("the history up to position {base_seq} is gone; read again, and decide again")]
    HistoryRewound { base_seq: Seq },
    #[error("there is no record {record}")]
    RecordNotFound { record: RecordId },
    #[error("there is no conflict {conflict}")]
    ConflictNotFound { conflict: String },
    #[error("conflict {conflict} is at revision {revision} now; read it again and decide again")]
    ConflictChanged { conflict: ConflictId, revision: u64 },
    #[error("the decision does not fit the conflict: {detail}")]
    DecisionMismatch { detail: String },
    #[error("the counter is not the next one, {expected_counter}")]
    CounterNotNext { expected_counter: Counter },
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("there is no connection {id}, or its lease ran out")]
    UnknownConnection { id: String },
    #[error("too much is waiting")]
    Overloaded,
    #[error("the server is stopping")]
    ShuttingDown,
    #[error("the store failed: {0:?}")]
    Store(StoreFailure),
}

impl From<StoreError> for EngineError {
    /// The details go to the log here, once; callers get the kind.
    fn from(error: StoreError) -> EngineError {
        let failure = match &error {
            StoreError::Database(_) | StoreError::Unusable(_) => StoreFailure::Unavailable,
            StoreError::Contended(_) | StoreError::WorkspaceExists(_) => StoreFailure::Contended,
            StoreError::CommitUnknown(_) => StoreFailure::Unknown,
            StoreError::Inconsistent(_) => StoreFailure::Inconsistent,
            StoreError::DiskFull => StoreFailure::DiskFull,
        };
        tracing::error!(%error, "the store failed");
        EngineError::Store(failure)
    }
}
