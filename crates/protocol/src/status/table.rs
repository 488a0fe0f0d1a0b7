//! The documented reasons, read from `error.proto`, against the failures and refusals that carry them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::*;
use syncline_core::conflict::ConflictStatus;
use syncline_core::ids::{ConflictId, Dot, ReplicaId};
use syncline_core::operation::MutationKind;
use syncline_core::schema::FieldKind;

const ERROR_PROTO: &str = include_str!("../../../../proto/syncline/v1/error.proto");
const ERRORS_DOC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");

/// A reason as `error.proto` documents it.
struct Documented {
    /// Without the prefix.
    name: String,
    number: i32,
    /// What stands in parentheses, split at semicolons.
    marks: Vec<String>,
    text: String,
    metadata: BTreeSet<String>,
}

impl Documented {
    /// Whether a later version will send it.
    fn is_to_come(&self) -> bool {
        self.text.contains("Not sent yet")
    }

    fn codes(&self) -> Vec<&str> {
        self.marks.iter().map(String::as_str).filter(|m| !m.starts_with("receipt")).collect()
    }

    fn in_receipts(&self) -> bool {
        self.marks.iter().any(|m| m.starts_with("receipt"))
    }
}

fn documented() -> Vec<Documented> {
    let (_, body) = ERROR_PROTO.split_once("enum ErrorReason {").expect("the enum");
    let mut reasons = Vec::new();
    let mut comment = String::new();
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("// ") {
            comment = format!("{comment} {text}").trim().to_owned();
        } else if let Some((name, number)) = line.strip_suffix(';').and_then(|l| l.split_once(" = ")) {
            reasons.push(document(name, number, &std::mem::take(&mut comment)));
        }
    }
    assert_eq!(reasons.remove(0).number, 0, "UNSPECIFIED comes first");
    reasons
}

fn document(name: &str, number: &str, comment: &str) -> Documented {
    let (marks, text) = match comment.strip_prefix('(').and_then(|c| c.split_once(')')) {
        Some((marks, text)) => (marks.split(';').map(|m| m.trim().to_owned()).collect(), text.trim()),
        None => (Vec::new(), comment),
    };
    let metadata = text
        .split_once("Metadata: ")
        .map(|(_, keys)| keys.split_once('.').map_or(keys, |(keys, _)| keys))
        .map(|keys| keys.split(',').map(|key| key.trim().to_owned()).collect());
    Documented {
        name: name.strip_prefix("ERROR_REASON_").expect("the prefix").to_owned(),
        number: number.parse().expect("a number"),
        marks,
        text: text.to_owned(),
        metadata: metadata.unwrap_or_default(),
    }
}

fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Every constructor, by the reason it is documented for.
fn failures() -> Vec<(&'static str, Failure)> {
    let field = FieldViolation::new("a.b", "must be c");
    let changed = Refusal::ConflictChanged { conflict: conflict(), revision: 3 };
    let not_live = Refusal::ConflictNotLive { conflict: conflict(), status: ConflictStatus::Resolved };
    let live = Refusal::ConflictLive { conflict: conflict() };
    vec![
        ("MALFORMED_MESSAGE", Failure::malformed_message(&"bad wire type")),
        ("MESSAGE_TOO_LARGE", Failure::message_too_large()),
        ("INVALID_REQUEST", Failure::invalid_request(vec![field])),
        ("UNKNOWN_WORKSPACE", Failure::unknown_workspace("w")),
        ("WORKSPACE_EXISTS", Failure::workspace_exists("w")),
        ("WORKSPACE_READ_ONLY", Failure::workspace_read_only("w")),
        ("TOO_MANY_OPERATIONS", Failure::too_many_operations(1_001)),
        ("UNKNOWN_FIELD_KIND", Failure::unknown_field_kind("f")),
        ("SCHEMA_CONFLICT", Failure::schema_conflict("f")),
        ("WRONG_EPOCH", Failure::wrong_epoch(Epoch(1), Epoch(2))),
        ("REQUEST_ID_REUSED", Failure::from(&Refusal::RequestIdReused { request_id: "r".into() })),
        ("UNKNOWN_FIELD", Failure::unknown_field(&"a.b.77")),
        ("HISTORY_REWOUND", Failure::history_rewound(Seq(4))),
        ("SCHEMA_CHANGED", Failure::schema_changed(4)),
        ("NOT_CAUGHT_UP", Failure::not_caught_up(Seq(4), Seq(3))),
        ("COUNTER_NOT_NEXT", Failure::counter_not_next(Counter(7))),
        ("RECORD_NOT_FOUND", Failure::record_not_found("r")),
        ("CONFLICT_NOT_FOUND", Failure::conflict_not_found("c1-0")),
        ("CONFLICT_CHANGED", Failure::from(&changed)),
        ("CONFLICT_NOT_LIVE", Failure::from(&not_live)),
        ("CONFLICT_LIVE", Failure::from(&live)),
        ("RECORD_DELETED", Failure::from(&Refusal::RecordDeleted { record: "r".into() })),
        ("CURSOR_MISMATCH", Failure::cursor_mismatch("w")),
        ("INVALID_PAGE_TOKEN", Failure::invalid_page_token()),
        ("UNKNOWN_ENUM_VALUE", Failure::unknown_enum_value("kind", 77)),
        ("STREAM_PROTOCOL", Failure::stream_protocol("no start")),
        ("OVERLOADED", Failure::overloaded(Duration::from_secs(2))),
        ("SHUTTING_DOWN", Failure::shutting_down()),
        ("STORE_UNAVAILABLE", Failure::store_unavailable()),
        ("UNKNOWN_METHOD", Failure::unknown_method("")),
        ("INTERNAL", Failure::internal(&fmt::Error)),
        ("DEADLINE", Failure::deadline()),
        ("UNKNOWN_CONNECTION", Failure::unknown_connection("k")),
    ]
}

fn conflict() -> ConflictId {
    ConflictId { opened_seq: Seq(4), index: 1 }
}

/// Every refusal, by the reason it is documented for.
fn refusals() -> Vec<(&'static str, Refusal)> {
    let id = "x";
    let dot = Dot { replica: ReplicaId::from_u128(5), counter: Counter(6) };
    let (conflict, detail) = (conflict(), "why".to_owned());
    vec![
        ("OPERATION_TOO_LARGE", Refusal::OperationTooLarge { bytes: 2, limit: 1 }),
        ("INVALID_REQUEST", Refusal::InvalidOperation { field: "f".into(), detail: detail.clone() }),
        ("INVALID_VALUE", Refusal::InvalidValue { detail: detail.clone() }),
        ("VALUE_TOO_DEEP", Refusal::ValueTooDeep { limit: 16 }),
        ("UNKNOWN_ACTION", Refusal::UnknownAction),
        ("UNKNOWN_FIELD", Refusal::UnknownField { field: "a.b.77".to_owned() }),
        ("UNDECLARED_COLLECTION", Refusal::UndeclaredCollection { collection: id.into() }),
        ("UNDECLARED_FIELD", Refusal::UndeclaredField { collection: id.into(), field: id.into() }),
        ("HISTORY_REWOUND", Refusal::HistoryRewound { base_seq: Seq(4) }),
        ("NOT_ALL_SETTLED", Refusal::NotAllSettled { operation_index: 2 }),
        (
            "KIND_MISMATCH",
            Refusal::KindMismatch { field: id.into(), kind: FieldKind::Text, action: MutationKind::SetField },
        ),
        ("CONTEXT_AHEAD", Refusal::ContextAhead { base_seq: Seq(2), head_seq: Seq(1) }),
        ("WRONG_EPOCH", Refusal::WrongEpoch { epoch: Epoch(2), expected_epoch: Epoch(1) }),
        ("INVALID_CONTEXT", Refusal::InvalidContext { detail: detail.clone() }),
        ("REPLICA_FORKED", Refusal::ReplicaForked { dot }),
        ("REQUEST_ID_REUSED", Refusal::RequestIdReused { request_id: id.into() }),
        ("HOLD_QUOTA", Refusal::HoldQuota { expected_counter: Counter(9) }),
        ("CAUSALITY_CYCLE", Refusal::CausalityCycle { detail: detail.clone() }),
        ("ABANDONED", Refusal::Abandoned),
        ("DEPENDENCY_REJECTED", Refusal::DependencyRejected { dot }),
        ("RECORD_NOT_FOUND", Refusal::RecordNotFound { record: id.into() }),
        ("RECORD_EXISTS", Refusal::RecordExists { record: id.into() }),
        ("RECORD_DELETED", Refusal::RecordDeleted { record: id.into() }),
        ("COLLECTION_MISMATCH", Refusal::CollectionMismatch { record: id.into(), collection: id.into() }),
        ("INVALID_TEXT_EDIT", Refusal::InvalidTextEdit { hunk_index: 1, detail: detail.clone() }),
        (
            "POSITION_OUT_OF_BOUNDS",
            Refusal::PositionOutOfBounds { position: 1, delete_count: 2, text_length: 0 },
        ),
        ("TEXT_TOO_LARGE", Refusal::TextTooLarge { limit_bytes: 1 }),
        ("EFFECT_TOO_LARGE", Refusal::EffectTooLarge { bytes: 2, limit: 1 }),
        ("COUNTER_OUT_OF_RANGE", Refusal::CounterOutOfRange { field: id.into() }),
        ("SET_TOO_LARGE", Refusal::SetTooLarge { field: id.into(), limit: 1 }),
        ("TOO_MANY_SIDES", Refusal::TooManySides { record: id.into(), limit: 1 }),
        ("CONFLICT_NOT_FOUND", Refusal::ConflictNotFound { conflict }),
        ("CONFLICT_CHANGED", Refusal::ConflictChanged { conflict, revision: 2 }),
        ("CONFLICT_NOT_LIVE", Refusal::ConflictNotLive { conflict, status: ConflictStatus::Resolved }),
        ("CONFLICT_LIVE", Refusal::ConflictLive { conflict }),
        ("INTERNAL", Refusal::Inconsistent { detail }),
    ]
}

/// Parts that stand in metadata although the reason's comment has none: a rejected operation cannot carry field
/// violations, so that a receipt names the field here.
fn receipt_extras(name: &str) -> &'static [&'static str] {
    if name == "INVALID_REQUEST" { &["field", "detail"] } else { &[] }
}

#[test]
fn every_reason_is_documented_and_made() {
    let documented = documented();
    let names: BTreeSet<_> = documented.iter().map(|d| d.name.as_str()).collect();
    for d in &documented {
        let reason = Reason::try_from(d.number).expect("a reason of the generated code");
        assert_eq!(reason_name(reason), d.name);
        assert!(!d.marks.is_empty(), "{} says neither a code nor receipt", d.name);
    }
    let failing: BTreeSet<_> = failures().iter().map(|(name, _)| *name).collect();
    let refusing: BTreeSet<_> = refusals().iter().map(|(name, _)| *name).collect();
    for d in documented.iter().filter(|d| !d.is_to_come()) {
        let name = d.name.as_str();
        assert_eq!(failing.contains(name), !d.codes().is_empty(), "constructor of {name}");
        if d.in_receipts() {
            assert!(refusing.contains(name), "refusal of {name}");
        }
    }
    assert!(failing.union(&refusing).all(|name| names.contains(name)));
}

#[test]
fn failures_have_the_documented_code_and_metadata() {
    let documented: BTreeMap<_, _> = documented().into_iter().map(|d| (d.name.clone(), d)).collect();
    for (name, failure) in failures() {
        let d = &documented[name];
        assert_eq!(reason_name(failure.reason()), name);
        assert_eq!(d.codes(), [code_name(failure.code())], "{name}");
        assert_eq!(failure.metadata().keys().cloned().collect::<BTreeSet<_>>(), d.metadata, "{name}");
        assert!(!failure.message().is_empty());

        let status = Status::from(failure.clone());
        assert_eq!(status.code(), failure.code());
        let details = status.get_error_details();
        let info = details.error_info().expect("an ErrorInfo");
        assert_eq!((info.domain.as_str(), info.reason.as_str()), (ERROR_DOMAIN, name));
        assert_eq!(info.metadata.len(), d.metadata.len());
        assert_eq!(status.get_details_error_info().into_iter().count(), 1);
        assert_eq!(details.bad_request().is_some(), name == "INVALID_REQUEST", "{name}");
        let retries = ["OVERLOADED", "STORE_UNAVAILABLE", "NOT_CAUGHT_UP"].contains(&name);
        assert_eq!(details.retry_info().is_some(), retries, "{name}");
    }
}

#[test]
fn refusals_have_the_documented_reason_and_metadata() {
    let documented: BTreeMap<_, _> = documented().into_iter().map(|d| (d.name.clone(), d)).collect();
    for (name, refusal) in refusals() {
        let (reason, code, message, metadata) = refusal_parts(&refusal);
        let d = &documented[name];
        assert_eq!(reason_name(reason), name);
        let mut keys = d.metadata.clone();
        keys.extend(receipt_extras(name).iter().map(|key| (*key).to_owned()));
        assert_eq!(metadata.keys().cloned().collect::<BTreeSet<_>>(), keys, "{name}");
        assert!(!message.is_empty());
        if let [documented_code] = d.codes()[..] {
            assert_eq!(code_name(code), documented_code, "{name}");
        }
        assert!(!matches!(code, Code::Ok | Code::Unknown), "{name}");
    }
}

#[test]
fn schema_errors_have_reasons() {
    let kind = SchemaError::KindChange { collection: "c".into(), field: "f".into(), kind: FieldKind::ToOne };
    let failure = Failure::from(&kind);
    assert_eq!((failure.reason(), failure.metadata()["field_id"].as_str()), (Reason::SchemaConflict, "f"));
    assert!(failure.message().contains("c.f is a to_one"), "{failure}");
    let changed = Failure::from(&SchemaError::VersionChanged { version: 7 });
    assert_eq!(
        (changed.reason(), changed.metadata()["schema_version"].as_str()),
        (Reason::SchemaChanged, "7")
    );
    let many = SchemaError::TooMany { what: "fields", limit: 500 };
    assert_eq!(Failure::from(&many).reason(), Reason::InvalidRequest);
}

#[test]
fn a_fault_sends_an_id_and_nothing_else() {
    #[derive(Debug, thiserror::Error)]
    #[error("password=hunter2")]
    struct Secret(#[source] fmt::Error);

    let status = Status::from(Failure::internal(&Secret(fmt::Error)));
    let error_id = status.get_details_error_info().expect("an ErrorInfo").metadata["error_id"].clone();
    assert!(Uuid::try_parse(&error_id).is_ok());
    assert!(status.message().contains(&error_id));
    let sent = [status.message().as_bytes(), status.details()].concat();
    assert!(!sent.windows(7).any(|window| window == b"hunter2"));

    let (_, _, message, metadata) = refusal_parts(&Refusal::Inconsistent { detail: "hunter2".into() });
    assert!(!message.contains("hunter2") && metadata.values().all(|v| v != "hunter2"));
}

#[test]
fn details_stay_below_their_limit() {
    let long = "ß€😀\"%".repeat(20_000);
    let many: Vec<_> = (0..5_000).map(|i| FieldViolation::new(format!("a[{i}].{long}"), &long)).collect();
    let worst = [
        Failure::invalid_request(many),
        Failure::unknown_workspace(&long),
        Failure::unknown_enum_value(&long, i32::MIN),
        Failure::unknown_method(&long),
        Failure::unknown_field(&long),
        Failure::from(&Refusal::UndeclaredField {
            collection: long.as_str().into(),
            field: long.as_str().into(),
        }),
        Failure::from(&Refusal::InvalidOperation { field: long.clone(), detail: long.clone() }),
    ];
    for failure in worst {
        let status = Status::from(failure);
        let size = status.details().len();
        assert!(size < DETAILS_BYTES_MAX, "{} bytes: {}", size, status.message());
        assert!(status.message().len() <= MESSAGE_TEXT_BYTES_MAX);
        assert!(status.get_details_error_info().is_some());
    }
}

#[test]
fn short_lists_of_violations_are_sent_whole() {
    let violations =
        (0..10).map(|i| FieldViolation::new(format!("operations[{i}].dot"), "must be set")).collect();
    let status = Status::from(Failure::invalid_request(violations));
    let sent = status.get_details_bad_request().expect("a BadRequest").field_violations;
    assert_eq!(sent.len(), 10);
    assert_eq!(sent[9].field, "operations[9].dot");
}

/// `docs/errors.md`, made from the comments of `error.proto`.
fn errors_doc() -> String {
    let mut doc = String::from(
        "# Errors\n\n\
         Generated from `proto/syncline/v1/error.proto`; do not edit. `UPDATE_DOCS=1 cargo test -p syncline-protocol errors_doc` rewrites it.\n\n\
         A failed call carries its canonical code, exactly one `google.rpc.ErrorInfo` with the domain `syncline` and\n\
         the reason below, every variable part in the metadata, and field violations or a retry delay where apt. The\n\
         details stay under 4 KiB: long values are cut. A rejected operation carries the reason in its receipt; there\n\
         a reason that is otherwise about a call (INVALID_REQUEST) names the field in the metadata `field` and\n\
         `detail`. Methods that write one operation themselves fail with the code of its refusal.\n\n\
         Reasons marked *not settled* in receipts leave nothing stored: the same operation may settle later. An operation\n\
         with a request id is never rejected: whatever refuses it, it is not settled, and can be put right and sent again.\n\n\
         | Reason | No. | Code | Receipt | What it means | Metadata |\n\
         |---|---|---|---|---|---|\n",
    );
    for d in documented() {
        let Documented { name, number, marks, text, metadata: _ } = &d;
        let code = d.codes().join(", ");
        let receipt = match marks.iter().find(|m| m.starts_with("receipt")) {
            None => "",
            Some(mark) if mark.contains("not settled") => "not settled",
            Some(_) => "yes",
        };
        let (what, rest) = text.split_once("Metadata: ").unwrap_or((text, ""));
        let (keys, note) = rest.split_once('.').unwrap_or((rest, ""));
        let what = format!("{} {}", what.trim(), note.trim());
        let keys: Vec<_> = keys.split(", ").filter(|k| !k.is_empty()).map(|k| format!("`{k}`")).collect();
        writeln!(doc, "| `{name}` | {number} | {code} | {receipt} | {} | {} |", what.trim(), keys.join(", "))
            .expect("writing to a String");
    }
    doc
}

#[test]
fn errors_doc_is_up_to_date() {
    let expected = errors_doc();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(ERRORS_DOC, &expected).expect("docs/ is there");
    }
    let found = std::fs::read_to_string(ERRORS_DOC).unwrap_or_default();
    assert!(
        found == expected,
        "docs/errors.md is stale: run UPDATE_DOCS=1 cargo test -p syncline-protocol errors_doc"
    );
}
