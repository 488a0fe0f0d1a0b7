//! The two tables of errors: from refusals of operations to documented reasons, from reasons to canonical codes.

use std::collections::BTreeMap;
use std::fmt;

use tonic::Code;

use super::{Reason, fault_text, log_fault};
use syncline_core::refusal::Refusal;
use syncline_core::schema::SchemaWord as _;

/// A receipt's view of a refusal: reason, code for methods that fail with it, message, metadata as documented.
pub fn refusal_parts(refusal: &Refusal) -> (Reason, Code, String, BTreeMap<String, String>) {
    let mut metadata = BTreeMap::new();
    let mut put = |key: &str, value: &dyn fmt::Display| {
        metadata.insert(key.to_owned(), value.to_string());
    };
    let mut message = refusal.to_string();
    let reason = match refusal {
        Refusal::OperationTooLarge { bytes, limit } => {
            put("limit_bytes", limit);
            put("bytes", bytes);
            Reason::OperationTooLarge
        }
        Refusal::InvalidOperation { field, detail } => {
            put("field", field);
            put("detail", detail);
            message = format!("{field}: {detail}");
            Reason::InvalidRequest
        }
        Refusal::InvalidValue { detail: _ } => Reason::InvalidValue,
        Refusal::ValueTooDeep { limit } => {
            put("limit", limit);
            Reason::ValueTooDeep
        }
        Refusal::UnknownAction => Reason::UnknownAction,
        Refusal::UnknownField { field } => {
            put("field", field);
            Reason::UnknownField
        }
        Refusal::UndeclaredCollection { collection } => {
            put("collection_id", collection);
            Reason::UndeclaredCollection
        }
        Refusal::UndeclaredField { collection, field } => {
            put("collection_id", collection);
            put("field_id", field);
            Reason::UndeclaredField
        }
        Refusal::KindMismatch { field, kind, action } => {
            put("field_id", field);
            put("field_kind", &kind.word());
            put("action", &action.name());
            Reason::KindMismatch
        }
        Refusal::ContextAhead { base_seq, head_seq } => {
            put("base_seq", base_seq);
            put("head_seq", head_seq);
            Reason::ContextAhead
        }
        Refusal::WrongEpoch { epoch, expected_epoch } => {
            put("epoch", epoch);
            put("expected_epoch", expected_epoch);
            Reason::WrongEpoch
        }
        Refusal::HistoryRewound { base_seq } => {
            put("base_seq", base_seq);
            Reason::HistoryRewound
        }
        Refusal::NotAllSettled { operation_index } => {
            put("operation_index", operation_index);
            Reason::NotAllSettled
        }
        Refusal::InvalidContext { detail } => {
            put("detail", detail);
            Reason::InvalidContext
        }
        Refusal::ReplicaForked { dot } => {
            put("replica_id", &dot.replica);
            put("counter", &dot.counter);
            Reason::ReplicaForked
        }
        Refusal::RequestIdReused { request_id } => {
            put("request_id", request_id);
            Reason::RequestIdReused
        }
        Refusal::HoldQuota { expected_counter } => {
            put("expected_counter", expected_counter);
            Reason::HoldQuota
        }
        Refusal::CausalityCycle { detail } => {
            put("detail", detail);
            Reason::CausalityCycle
        }
        Refusal::Abandoned => Reason::Abandoned,
        Refusal::DependencyRejected { dot } => {
            put("replica_id", &dot.replica);
            put("counter", &dot.counter);
            Reason::DependencyRejected
        }
        Refusal::RecordNotFound { record } => {
            put("record_id", record);
            Reason::RecordNotFound
        }
        Refusal::RecordExists { record } => {
            put("record_id", record);
            Reason::RecordExists
        }
        Refusal::RecordDeleted { record } => {
            put("record_id", record);
            Reason::RecordDeleted
        }
        Refusal::CollectionMismatch { record, collection } => {
            put("record_id", record);
            put("collection_id", collection);
            Reason::CollectionMismatch
        }
        Refusal::InvalidTextEdit { hunk_index, detail: _ } => {
            put("hunk_index", hunk_index);
            Reason::InvalidTextEdit
        }
        Refusal::PositionOutOfBounds { position, delete_count, text_length } => {
            put("position", position);
            put("delete_count", delete_count);
            put("text_length", text_length);
            Reason::PositionOutOfBounds
        }
        Refusal::EffectTooLarge { bytes, limit } => {
            put("bytes", bytes);
            put("limit_bytes", limit);
            Reason::EffectTooLarge
        }
        Refusal::TextTooLarge { limit_bytes } => {
            put("limit_bytes", limit_bytes);
            Reason::TextTooLarge
        }
        Refusal::CounterOutOfRange { field } => {
            put("field_id", field);
            Reason::CounterOutOfRange
        }
        Refusal::SetTooLarge { field, limit } => {
            put("field_id", field);
            put("limit", limit);
            Reason::SetTooLarge
        }
        Refusal::TooManySides { record, limit } => {
            put("record_id", record);
            put("limit", limit);
            Reason::TooManySides
        }
        Refusal::ConflictNotFound { conflict } => {
            put("conflict_id", conflict);
            Reason::ConflictNotFound
        }
        Refusal::ConflictChanged { conflict, revision } => {
            put("conflict_id", conflict);
            put("revision", revision);
            Reason::ConflictChanged
        }
        Refusal::ConflictNotLive { conflict, status } => {
            put("conflict_id", conflict);
            put("status", &status.name());
            Reason::ConflictNotLive
        }
        Refusal::ConflictLive { conflict } => {
            put("conflict_id", conflict);
            Reason::ConflictLive
        }
        Refusal::Inconsistent { detail } => {
            let error_id = log_fault(detail);
            message = fault_text(&error_id);
            put("error_id", &error_id);
            Reason::Internal
        }
    };
    (reason, code_of(reason), message, metadata)
}

/// The canonical code of a reason. Reasons that only receipts give have one, too: methods that write one operation fail
/// with it.
pub(super) fn code_of(reason: Reason) -> Code {
    match reason {
        Reason::Unspecified => Code::Unknown,
        Reason::MalformedMessage
        | Reason::InvalidRequest
        | Reason::TooManyOperations
        | Reason::OperationTooLarge
        | Reason::InvalidValue
        | Reason::ValueTooDeep
        | Reason::UnknownAction
        | Reason::KindMismatch
        | Reason::UnknownFieldKind
        | Reason::InvalidContext
        | Reason::InvalidTextEdit
        | Reason::CursorMismatch
        | Reason::InvalidPageToken
        | Reason::UnknownField
        | Reason::UnknownEnumValue => Code::InvalidArgument,
        Reason::MessageTooLarge
        | Reason::HoldQuota
        | Reason::QuotaExceeded
        | Reason::EffectTooLarge
        | Reason::ViewTooLarge => Code::ResourceExhausted,
        Reason::UnknownWorkspace
        | Reason::RecordNotFound
        | Reason::ConflictNotFound
        | Reason::UnknownConnection => Code::NotFound,
        Reason::WorkspaceExists | Reason::RecordExists => Code::AlreadyExists,
        Reason::UndeclaredCollection
        | Reason::UndeclaredField
        | Reason::SchemaConflict
        | Reason::ContextAhead
        | Reason::WrongEpoch
        | Reason::HistoryRewound
        | Reason::ReplicaForked
        | Reason::ReplicaNotYours
        | Reason::CausalityCycle
        | Reason::Abandoned
        | Reason::CounterNotNext
        | Reason::DependencyRejected
        | Reason::RecordDeleted
        | Reason::CollectionMismatch
        | Reason::TextTooLarge
        | Reason::SetTooLarge
        | Reason::TooManySides
        | Reason::ConflictNotLive
        | Reason::ConflictLive
        | Reason::StreamProtocol
        | Reason::WorkspaceReadOnly => Code::FailedPrecondition,
        Reason::PositionOutOfBounds | Reason::CounterOutOfRange => Code::OutOfRange,
        Reason::ConflictChanged | Reason::RequestIdReused | Reason::NotAllSettled | Reason::SchemaChanged => {
            Code::Aborted
        }
        Reason::Overloaded | Reason::ShuttingDown | Reason::StoreUnavailable | Reason::NotCaughtUp => {
            Code::Unavailable
        }
        Reason::Unauthenticated => Code::Unauthenticated,
        Reason::PermissionDenied => Code::PermissionDenied,
        Reason::UnknownMethod => Code::Unimplemented,
        Reason::Internal => Code::Internal,
        Reason::Deadline => Code::DeadlineExceeded,
    }
}
