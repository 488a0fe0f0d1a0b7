//! The services: each converts, calls the engine, converts back.

mod changes;
mod conflicts;
mod connections;
mod diagnostics;
mod operations;
mod records;
mod server_info;
mod workspaces;

use std::time::Duration;

use tonic::Status;

use crate::engine::{EngineError, StoreFailure};
use syncline_core::hash::hash;
use syncline_core::view::FeedCursor;

use syncline_protocol::convert::cursor_from_pb;
use syncline_protocol::pb;
use syncline_protocol::status::{Failure, FieldViolation};

pub use changes::Changes;
pub use conflicts::Conflicts;
pub use connections::Connections;
pub use diagnostics::Diagnostics;
pub use operations::Operations;
pub use records::Records;
pub use server_info::ServerInformation;
pub use workspaces::Workspaces;

/// When to come back to a server that has no room.
const OVERLOADED_RETRY: Duration = Duration::from_millis(200);

/// How the engine's errors leave the server. No wildcard: a new error must be given its reason.
impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Failure {
        match &error {
            EngineError::UnknownWorkspace { id } => Failure::unknown_workspace(id),
            EngineError::WorkspaceExists { id } => Failure::workspace_exists(id),
            EngineError::WorkspaceReadOnly { id } => Failure::workspace_read_only(id),
            EngineError::NotCaughtUp { seq, head_seq } => Failure::not_caught_up(*seq, *head_seq),
            EngineError::WrongEpoch { epoch, expected_epoch } => {
                Failure::wrong_epoch(*epoch, *expected_epoch)
            }
            EngineError::HistoryRewound { base_seq } => Failure::history_rewound(*base_seq),
            EngineError::RecordNotFound { record } => Failure::record_not_found(record),
            EngineError::ConflictNotFound { conflict } => Failure::conflict_not_found(conflict),
            EngineError::ConflictChanged { conflict, revision } => {
                Failure::from(&syncline_core::refusal::Refusal::ConflictChanged {
                    conflict: *conflict,
                    revision: *revision,
                })
            }
            EngineError::DecisionMismatch { detail } => {
                Failure::invalid_request(vec![FieldViolation::new("decision", detail.as_str())])
            }
            EngineError::CounterNotNext { expected_counter } => Failure::counter_not_next(*expected_counter),
            EngineError::Schema(schema) => Failure::from(schema),
            EngineError::UnknownConnection { id } => Failure::unknown_connection(id),
            EngineError::Overloaded => Failure::overloaded(OVERLOADED_RETRY),
            EngineError::ShuttingDown => Failure::shutting_down(),
            EngineError::Store(
                StoreFailure::Unavailable
                | StoreFailure::Contended
                | StoreFailure::Unknown
                | StoreFailure::DiskFull,
            ) => Failure::store_unavailable(),
            EngineError::Store(StoreFailure::Inconsistent | StoreFailure::Refused)
            | EngineError::Panicked => Failure::internal(&error),
        }
    }
}

/// An engine's error as a status.
pub(super) fn failed(error: EngineError) -> Status {
    Failure::from(error).into()
}

/// The position that a read must contain.
fn at_least_from_pb(at_least: Option<pb::Cursor>, workspace_id: &str) -> Result<Option<FeedCursor>, Failure> {
    at_least.map(|cursor| Ok(cursor_from_pb(cursor, workspace_id, "at_least")?.position)).transpose()
}

/// A page size: 0 means the default, more than the greatest means the greatest.
fn page_size(asked: u32, default: usize, max: usize) -> usize {
    match usize::try_from(asked).unwrap_or(max) {
        0 => default,
        size => size.min(max),
    }
}

/// A page token: which listing it belongs to, and where that goes on.
fn page_token(listing: &str, at: impl std::fmt::Display) -> String {
    format!("{listing}:{at}")
}

/// The name of a listing with these arguments in its page tokens, so that its tokens are refused with any other. Tokens
/// are opaque and used for one listing only, so a newer server may choose other names.
fn bound_listing(listing: &str, arguments: &impl std::fmt::Debug) -> String {
    let fingerprint = hash(format!("{arguments:?}").as_bytes());
    let digits: String = fingerprint.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{listing}-{digits}")
}

/// Where a listing goes on; `None` on its first page.
fn after_token<'t>(listing: &str, token: &'t str) -> Result<Option<&'t str>, Failure> {
    if token.is_empty() {
        return Ok(None);
    }
    match token.split_once(':') {
        Some((name, at)) if name == listing && !at.is_empty() => Ok(Some(at)),
        _ => Err(Failure::invalid_page_token()),
    }
}

/// As [`after_token`], for a place that parses.
fn parsed_token<T: std::str::FromStr>(listing: &str, token: &str) -> Result<Option<T>, Failure> {
    after_token(listing, token)?.map(|at| at.parse().map_err(|_| Failure::invalid_page_token())).transpose()
}

/// Notes a call's workspace in its span.
fn note_workspace(workspace: &str) {
    tracing::Span::current().record("workspace", workspace);
}
