//! The only maker of [`tonic::Status`]: what can go wrong with a call, and why an operation was refused, as the
//! reasons documented in `error.proto`.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt::{self, Write as _};
use std::time::Duration;

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use uuid::Uuid;

use super::pb::ErrorReason as Reason;
use syncline_core::causality::{Counter, Seq};
use syncline_core::ids::Epoch;
use syncline_core::limits::{MESSAGE_BYTES_MAX, OPERATIONS_PER_CALL_MAX};
use syncline_core::refusal::Refusal;
use syncline_core::schema::SchemaError;

mod refusal;
mod told;

use refusal::code_of;
pub use refusal::refusal_parts;
pub use told::{Told, told};
pub use tonic_types::FieldViolation;

/// The domain of every `google.rpc.ErrorInfo` this server sends.
pub const ERROR_DOMAIN: &str = "syncline";

/// Error details travel in a header, and some clients take no more than 16 KiB of headers altogether.
pub const DETAILS_BYTES_MAX: usize = 4 * 1024;
const MESSAGE_TEXT_BYTES_MAX: usize = 512;
const METADATA_VALUE_BYTES_MAX: usize = 256;
const VIOLATION_TEXT_BYTES_MAX: usize = 192;
const VIOLATIONS_BYTES_MAX: usize = 1_536;

/// When to come back to a server whose store failed.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// When to come back to a server that has not seen a position yet.
const CATCH_UP_RETRY: Duration = Duration::from_millis(100);

/// Why a whole call fails. Becomes a [`Status`] with exactly one `ErrorInfo`.
#[derive(Debug, Clone)]
pub struct Failure {
    reason: Reason,
    message: String,
    metadata: BTreeMap<String, String>,
    violations: Vec<FieldViolation>,
    retry_delay: Option<Duration>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}

impl Failure {
    fn new(reason: Reason, message: impl Into<String>) -> Failure {
        Failure {
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            retry_delay: None,
        }
    }

    fn with(mut self, key: &str, value: impl ToString) -> Failure {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    fn after(mut self, delay: Duration) -> Failure {
        self.retry_delay = Some(delay);
        self
    }

    /// The reason as it stands in `error.proto`.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The canonical code of the reason.
    pub fn code(&self) -> Code {
        code_of(self.reason)
    }

    /// What went wrong and what to do, in words.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The variable parts, as documented on the reason.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// When to try again, for a failure that passes.
    pub fn retry_delay(&self) -> Option<Duration> {
        self.retry_delay
    }

    /// The fields at fault.
    pub fn violations(&self) -> &[FieldViolation] {
        &self.violations
    }

    /// The bytes are not the message the method takes. The decoder names fields and wire types, never contents.
    pub fn malformed_message(detail: &dyn fmt::Display) -> Failure {
        Failure::new(
            Reason::MalformedMessage,
            format!("the bytes are not the message this method takes: {detail}"),
        )
    }

    /// The message is larger than allowed.
    pub fn message_too_large() -> Failure {
        let message = format!("the message is larger than {MESSAGE_BYTES_MAX} bytes; send it in parts");
        Failure::new(Reason::MessageTooLarge, message).with("limit_bytes", MESSAGE_BYTES_MAX)
    }

    /// The request has a field that this server does not know, so its client is newer.
    pub fn unknown_field(path: &dyn fmt::Display) -> Failure {
        Failure::from(&Refusal::UnknownField { field: path.to_string() })
    }

    /// Fields of the request break their documented form.
    pub fn invalid_request(violations: Vec<FieldViolation>) -> Failure {
        let message = match violations.as_slice() {
            [] => "the request breaks its documented form".to_owned(),
            [one] => format!("{}: {}", one.field, one.description),
            [first, ..] => {
                format!("{}: {} (and {} more)", first.field, first.description, violations.len() - 1)
            }
        };
        Failure { violations, ..Failure::new(Reason::InvalidRequest, message) }
    }

    /// No such workspace.
    pub fn unknown_workspace(workspace_id: &str) -> Failure {
        Failure::new(Reason::UnknownWorkspace, "there is no such workspace; create it with CreateWorkspace")
            .with("workspace_id", workspace_id)
    }

    /// The workspace exists with another schema.
    pub fn workspace_exists(workspace_id: &str) -> Failure {
        Failure::new(
            Reason::WorkspaceExists,
            "the workspace exists with another schema; change it with UpdateSchema",
        )
        .with("workspace_id", workspace_id)
    }

    /// The stored data of the workspace contradict themselves. The code that met the error has logged it.
    pub fn workspace_read_only(workspace_id: &str) -> Failure {
        Failure::new(
            Reason::WorkspaceReadOnly,
            "the stored data of the workspace contradict themselves, so it is read-only; keep what was to be written \
             and tell the operator, whose log says what is wrong",
        )
        .with("workspace_id", workspace_id)
    }

    /// More operations in a call than allowed.
    pub fn too_many_operations(count: usize) -> Failure {
        let message = format!(
            "{count} operations in a call, {OPERATIONS_PER_CALL_MAX} are allowed; send them in parts"
        );
        Failure::new(Reason::TooManyOperations, message)
            .with("limit", OPERATIONS_PER_CALL_MAX)
            .with("count", count)
    }

    /// A schema names a field kind this server does not know.
    pub fn unknown_field_kind(field_id: &str) -> Failure {
        Failure::new(Reason::UnknownFieldKind, format!("field {field_id} has no kind this server knows"))
            .with("field_id", field_id)
    }

    /// A schema change would alter the kind of an existing field.
    pub fn schema_conflict(field_id: &str) -> Failure {
        Failure::new(
            Reason::SchemaConflict,
            format!("field {field_id} has another kind already; add a new field"),
        )
        .with("field_id", field_id)
    }

    /// Another history of the workspace.
    pub fn wrong_epoch(epoch: Epoch, expected_epoch: Epoch) -> Failure {
        Failure::from(&Refusal::WrongEpoch { epoch, expected_epoch })
    }

    /// The history up to a position that the caller knew is gone.
    pub fn history_rewound(base_seq: Seq) -> Failure {
        Failure::from(&Refusal::HistoryRewound { base_seq })
    }

    /// The schema is another one than the caller read.
    pub fn schema_changed(schema_version: u64) -> Failure {
        Failure::new(
            Reason::SchemaChanged,
            format!("the schema has version {schema_version} now; read it again and decide again"),
        )
        .with("schema_version", schema_version)
    }

    /// The read asks for a position that this server has not seen yet.
    pub fn not_caught_up(seq: Seq, head_seq: Seq) -> Failure {
        Failure::new(
            Reason::NotCaughtUp,
            format!("this server has seen position {head_seq}, and {seq} is asked for; try again"),
        )
        .with("seq", seq)
        .with("head_seq", head_seq)
        .after(CATCH_UP_RETRY)
    }

    /// The counter to abandon is not the next one.
    pub fn counter_not_next(expected_counter: Counter) -> Failure {
        Failure::new(
            Reason::CounterNotNext,
            format!("only the next counter, {expected_counter}, can be abandoned"),
        )
        .with("expected_counter", expected_counter)
    }

    /// No such record.
    pub fn record_not_found(record_id: &str) -> Failure {
        Failure::new(Reason::RecordNotFound, format!("there is no record {record_id}"))
            .with("record_id", record_id)
    }

    /// No such conflict; also for an id that cannot be one.
    pub fn conflict_not_found(conflict_id: &str) -> Failure {
        Failure::new(Reason::ConflictNotFound, format!("there is no conflict {conflict_id}"))
            .with("conflict_id", conflict_id)
    }

    /// The cursor belongs to another workspace than the request.
    pub fn cursor_mismatch(workspace_id: &str) -> Failure {
        Failure::new(Reason::CursorMismatch, "the cursor belongs to another workspace; start without one")
            .with("workspace_id", workspace_id)
    }

    /// The page token is not one the method gave for these arguments.
    pub fn invalid_page_token() -> Failure {
        Failure::new(
            Reason::InvalidPageToken,
            "the page token does not fit the arguments; start from the first page",
        )
    }

    /// An enum has a value this server does not know.
    pub fn unknown_enum_value(field: &str, value: i32) -> Failure {
        Failure::new(
            Reason::UnknownEnumValue,
            format!("{field} has the value {value}, which this server does not know"),
        )
        .with("field", field)
        .with("value", value)
    }

    /// A stream's messages came in the wrong order.
    pub fn stream_protocol(detail: &str) -> Failure {
        Failure::new(
            Reason::StreamProtocol,
            format!("the messages of the stream do not follow its protocol: {detail}"),
        )
    }

    /// No room for another stream or call.
    pub fn overloaded(retry_delay: Duration) -> Failure {
        Failure::new(Reason::Overloaded, "the server has no room for this now; try again later")
            .after(retry_delay)
    }

    /// The server is stopping.
    pub fn shutting_down() -> Failure {
        Failure::new(Reason::ShuttingDown, "the server is stopping; connect again")
    }

    /// The store failed. The code that met the error has logged it, so that it gets one line and not one for each call.
    pub fn store_unavailable() -> Failure {
        Failure::new(
            Reason::StoreUnavailable,
            "the store failed; submit again with the same dot or request id",
        )
        .after(STORE_RETRY)
    }

    /// No such method.
    pub fn unknown_method(detail: &str) -> Failure {
        let detail =
            if detail.is_empty() { "no such method on this server; is the client newer?" } else { detail };
        Failure::new(Reason::UnknownMethod, detail)
    }

    /// A fault of the server: the error and its sources go to the log, an id for them to the client.
    pub fn internal(error: &dyn Error) -> Failure {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            // Writing to a String cannot fail.
            let _ = write!(chain, ": {cause}");
            source = cause.source();
        }
        Failure::fault(&chain)
    }

    /// As [`Failure::internal`] for a fault that is known in words only.
    pub fn fault(detail: &str) -> Failure {
        let error_id = log_fault(detail);
        Failure::new(Reason::Internal, fault_text(&error_id)).with("error_id", error_id)
    }

    /// The call ran out of time.
    pub fn deadline() -> Failure {
        Failure::new(Reason::Deadline, "the call ran out of time; its outcome may be stored, so submit again")
    }

    /// No such connection, or its lease ran out.
    pub fn unknown_connection(connection_id: &str) -> Failure {
        Failure::new(
            Reason::UnknownConnection,
            "there is no such connection, or its lease ran out; open a new one",
        )
        .with("connection_id", connection_id)
    }
}

/// For methods that write one operation and fail when it is refused.
impl From<&Refusal> for Failure {
    fn from(refusal: &Refusal) -> Failure {
        let (reason, _, message, metadata) = refusal_parts(refusal);
        Failure { metadata, ..Failure::new(reason, message) }
    }
}

impl From<&SchemaError> for Failure {
    fn from(error: &SchemaError) -> Failure {
        match error {
            SchemaError::KindChange { collection: _, field, kind: _ } => {
                Failure { message: error.to_string(), ..Failure::schema_conflict(field) }
            }
            SchemaError::VersionChanged { version } => Failure::schema_changed(*version),
            SchemaError::TooMany { what: _, limit: _ } => {
                Failure::invalid_request(vec![FieldViolation::new("schema", error.to_string())])
            }
        }
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Status {
        let code = failure.code();
        let Failure { reason, message, metadata, violations, retry_delay } = failure;
        let metadata: HashMap<String, String> =
            metadata.into_iter().map(|(key, value)| (key, cut(value, METADATA_VALUE_BYTES_MAX))).collect();
        let mut details = ErrorDetails::new();
        details.set_error_info(reason_name(reason), ERROR_DOMAIN, metadata);
        if !violations.is_empty() {
            details.set_bad_request(fitting(violations));
        }
        if retry_delay.is_some() {
            details.set_retry_info(retry_delay);
        }
        Status::with_error_details(code, cut(message, MESSAGE_TEXT_BYTES_MAX), details)
    }
}

/// As many violations as fit; the last one says how many do not.
fn fitting(violations: Vec<FieldViolation>) -> Vec<FieldViolation> {
    let count = violations.len();
    let mut kept = Vec::new();
    let mut bytes = 0;
    for violation in violations {
        let FieldViolation { field, description, reason, localized_message } = violation;
        let short = FieldViolation {
            field: cut(field, VIOLATION_TEXT_BYTES_MAX),
            description: cut(description, VIOLATION_TEXT_BYTES_MAX),
            reason,
            localized_message,
        };
        bytes += tonic_types::pb::bad_request::FieldViolation::from(short.clone()).encoded_len();
        if bytes > VIOLATIONS_BYTES_MAX {
            kept.push(FieldViolation::new("", format!("and {} more", count - kept.len())));
            break;
        }
        kept.push(short);
    }
    kept
}

fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max - '…'.len_utf8()));
        text.push('…');
    }
    text
}

/// The reason's name as it stands in an `ErrorInfo`: without the enum's prefix.
pub fn reason_name(reason: Reason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

/// Logs a fault and gives the id under which it is found again.
#[allow(clippy::disallowed_methods, reason = "the id names a line of the log and decides nothing")]
fn log_fault(detail: &str) -> String {
    let error_id = Uuid::new_v4().to_string();
    tracing::error!(%error_id, detail, "internal error");
    error_id
}

fn fault_text(error_id: &str) -> String {
    format!("a fault of the server; its log has the details under {error_id}")
}

#[cfg(test)]
mod table;
