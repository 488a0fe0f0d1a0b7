//! Why an operation was refused: every reason with its variable parts.

use std::sync::Arc;

use super::causality::{Counter, Seq};
use super::conflict::ConflictStatus;
use super::ids::{CollectionId, ConflictId, Dot, Epoch, FieldId, RecordId};
use super::operation::MutationKind;
use super::schema::FieldKind;

/// Why an operation was not accepted. The texts tell the caller what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message of each reason names its fields")]
pub enum Refusal {
    #[error("the operation has {bytes} bytes, more than the {limit} allowed; split it")]
    OperationTooLarge { bytes: u64, limit: u64 },
    #[error("the operation breaks its documented form: {detail}")]
    InvalidOperation { field: String, detail: String },
    #[error("invalid value: {detail}")]
    InvalidValue { detail: String },
    #[error("a value nests more than {limit} levels")]
    ValueTooDeep { limit: u64 },
    #[error("the mutation has no action this server knows; is the client newer than the server?")]
    UnknownAction,
    #[error("the request has the field {field}, which this server does not know: is the client newer?")]
    UnknownField { field: String },
    #[error("the workspace's schema has no collection {collection}; add it with UpdateSchema")]
    UndeclaredCollection { collection: CollectionId },
    #[error("collection {collection} has no field {field}; add it with UpdateSchema")]
    UndeclaredField { collection: CollectionId, field: FieldId },
    #[error("{} does not fit field {field}, which is of kind {kind:?}", action.name())]
    KindMismatch { field: FieldId, kind: FieldKind, action: MutationKind },
    #[error(
        "the context knows position {base_seq}, but the head is {head_seq}; keep the operation and reconcile"
    )]
    ContextAhead { base_seq: Seq, head_seq: Seq },
    #[error("the context belongs to another history of the workspace; take a snapshot and submit again")]
    WrongEpoch { epoch: Epoch, expected_epoch: Epoch },
    #[error(
        "the history up to position {base_seq} that the author knew is gone; read again and decide again"
    )]
    HistoryRewound { base_seq: Seq },
    #[error("operation {operation_index} of the same call did not settle, and all were to settle together")]
    NotAllSettled { operation_index: u32 },
    #[error("invalid context: {detail}")]
    InvalidContext { detail: String },
    #[error("dot {dot} was used with another content; take a new replica id and submit again")]
    ReplicaForked { dot: Dot },
    #[error("request id {request_id} was used with another content; take a new one")]
    RequestIdReused { request_id: Arc<str> },
    #[error("too much is held; send from counter {expected_counter} on first")]
    HoldQuota { expected_counter: Counter },
    #[error("the operation waits for itself: {detail}")]
    CausalityCycle { detail: String },
    #[error("the counter was abandoned")]
    Abandoned,
    #[error("{dot}, on which this depends, was rejected")]
    DependencyRejected { dot: Dot },
    #[error("there is no record {record}; create it first")]
    RecordNotFound { record: RecordId },
    #[error("record {record} exists already")]
    RecordExists { record: RecordId },
    #[error("record {record} is deleted: restore it, or create it with replace_deleted")]
    RecordDeleted { record: RecordId },
    #[error("record {record} belongs to collection {collection}")]
    CollectionMismatch { record: RecordId, collection: CollectionId },
    #[error("hunk {hunk_index}: {detail}")]
    InvalidTextEdit { hunk_index: u32, detail: String },
    #[error(
        "the edit at {position} (deleting {delete_count}) reaches outside of the author's text of {text_length} characters"
    )]
    PositionOutOfBounds { position: u32, delete_count: u32, text_length: u32 },
    #[error(
        "the operation would change {bytes} bytes, more than the {limit} that a message may have; do it in several operations"
    )]
    EffectTooLarge { bytes: u64, limit: u64 },
    #[error("the text would exceed {limit_bytes} bytes")]
    TextTooLarge { limit_bytes: u64 },
    #[error("counter {field} would leave the range of 64 bits")]
    CounterOutOfRange { field: FieldId },
    #[error("set {field} would exceed {limit} elements")]
    SetTooLarge { field: FieldId, limit: u64 },
    #[error(
        "more values than allowed in one place of record {record} did not know each other (the limit is {limit}); decide between \
         them, then write again"
    )]
    TooManySides { record: RecordId, limit: u64 },
    #[error("there is no conflict {conflict} here")]
    ConflictNotFound { conflict: ConflictId },
    #[error("conflict {conflict} is at revision {revision} now; read it again and decide again")]
    ConflictChanged { conflict: ConflictId, revision: u64 },
    #[error("conflict {conflict} is {}", status.name())]
    ConflictNotLive { conflict: ConflictId, status: ConflictStatus },
    #[error("conflict {conflict} is live in the same place; decide that one")]
    ConflictLive { conflict: ConflictId },
    #[error("the stored state contradicts itself: {detail}")]
    Inconsistent { detail: String },
}
