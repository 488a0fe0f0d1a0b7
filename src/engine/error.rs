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
    /// Everything was stored or nothing; asking again with the same identity tells which.
    Unknown,
    /// The stored data contradicts itself.
    Inconsistent,
    /// The disk is full; reads go on.
    DiskFull,
    /// The database does not take what was to be written, however often it is tried. Nothing was stored.
    Refused,
}

/// Why the engine could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// There is no workspace of this id.
    #[error("there is no workspace {id}")]
    UnknownWorkspace {
        /// The id that was asked for.
        id: String,
    },
    /// A workspace of this id was created before, with another schema.
    #[error("workspace {id} exists with another schema")]
    WorkspaceExists {
        /// The id that is taken.
        id: String,
    },
    /// A read had to contain a position that the store did not reach within the time that a read waits.
    #[error("position {seq} is not here yet, the newest one is {head_seq}; read again")]
    NotCaughtUp {
        /// The position that was asked for.
        seq: Seq,
        /// The newest position that the store has.
        head_seq: Seq,
    },
    /// A read had to contain a position of another history.
    #[error("the position belongs to another history of the workspace; read without it")]
    WrongEpoch {
        /// The history that the caller named.
        epoch: Epoch,
        /// The history that the workspace has now.
        expected_epoch: Epoch,
    },
    /// A position has another chain here than the caller saw: the history was rewound.
    #[error("the history up to position {base_seq} is gone; read again, and decide again")]
    HistoryRewound {
        /// The position that the caller named.
        base_seq: Seq,
    },
    /// There is no record of this id in the workspace; deleted records count as existing.
    #[error("there is no record {record}")]
    RecordNotFound {
        /// The record that was asked for.
        record: RecordId,
    },
    /// There is no conflict of this id in the workspace.
    #[error("there is no conflict {conflict}")]
    ConflictNotFound {
        /// The id that was asked for, as the caller wrote it.
        conflict: String,
    },
    /// The decision was made on an older revision of the conflict.
    #[error("conflict {conflict} is at revision {revision} now; read it again and decide again")]
    ConflictChanged {
        /// The conflict that was to be decided.
        conflict: ConflictId,
        /// The revision it has now.
        revision: u64,
    },
    /// The conflict cannot be decided like that: its kind, place or alternatives do not fit the decision.
    #[error("the decision does not fit the conflict: {detail}")]
    DecisionMismatch {
        /// What does not fit, or what would; for people.
        detail: String,
    },
    /// A counter was to be settled as lost, and is not the next one of its replica.
    #[error("the counter is not the next one, {expected_counter}")]
    CounterNotNext {
        /// The counter that the server expects next from the replica.
        expected_counter: Counter,
    },
    /// The schema cannot be changed like that.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// There is no connection of this id whose lease still runs.
    #[error("there is no connection {id}, or its lease ran out")]
    UnknownConnection {
        /// The id that was given.
        id: String,
    },
    /// A lane has too much waiting, or too many lanes are at work; nothing was done, and trying again later helps.
    #[error("too much is waiting")]
    Overloaded,
    /// The server is stopping and takes nothing new.
    #[error("the server is stopping")]
    ShuttingDown,
    /// The stored data of the workspace contradict themselves; nothing was stored, and nothing will be until somebody
    /// has mended or restored them.
    #[error("workspace {id} is read-only, because its stored data contradict themselves")]
    WorkspaceReadOnly {
        /// The workspace's id; its number where the id was never asked for.
        id: String,
    },
    /// The work on a call ended in a panic; nothing was stored, and the log has the details.
    #[error("the work on this call ended in a panic")]
    Panicked,
    /// The store failed; the kind says whether anything may have been stored.
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
            StoreError::Refused(_) => StoreFailure::Refused,
        };
        tracing::error!(%error, "the store failed");
        EngineError::Store(failure)
    }
}
