//! Operations as they come in.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use syncline_core::causality::Seq;
use syncline_core::hash::hash;
use syncline_core::ids::{Dot, is_label, is_request_id};
use syncline_core::limits::{
    AFTER_REQUESTS_MAX, DEPENDENCIES_MAX, MUTATIONS_PER_OPERATION_MAX, OPERATION_BYTES_MAX,
    OPERATIONS_PER_CALL_MAX,
};
use syncline_core::operation::{Identity, Knowledge, Malformed, Mutation, Operation, Rejection};
use syncline_core::refusal::Refusal;

use super::causality::{context_from_pb, dot_from_pb, timestamp_from_pb};
use super::field::{LABEL_FORM, REQUEST_ID_FORM, TIME_FORM, request_id_from_pb, violation};
use super::mutation::{has_action, mutation_from_pb};
use crate::codec::decode;
use crate::pb::{self, ErrorReason, operation::Identity as PbIdentity, operation::Knowledge as PbKnowledge};
use crate::status::{Failure, FieldViolation};
use crate::unknown_field::{FieldPath, Strict};

/// Operations are looked at one by one: an unknown field in one of them is no reason to refuse the others.
const STRICT: Strict = Strict { message: "syncline.v1.Operation", apart: &[] };

/// An operation as it was received.
struct Received {
    operation: pb::Operation,
    bytes: Bytes,
    /// A field in it that this version of the protocol does not have.
    unknown: Option<FieldPath>,
}

/// Why nothing can be recorded of an operation.
enum Unusable {
    Violations(Vec<FieldViolation>),
    /// The required part that is missing may be in a field that is not known.
    UnknownField(String),
}

impl Received {
    fn decode(bytes: Bytes) -> Result<Received, Failure> {
        let operation: pb::Operation = decode(bytes.clone())?;
        let unknown = STRICT.unknown_field(&operation, &bytes);
        Ok(Received { operation, bytes, unknown })
    }
}

/// The encoded operations of one call: all of them, or the reason why the call cannot be taken.
pub fn operations_from_bytes(operations: Vec<Bytes>) -> Result<Vec<Operation>, Failure> {
    if operations.len() > OPERATIONS_PER_CALL_MAX {
        return Err(Failure::too_many_operations(operations.len()));
    }
    let mut taken = Vec::with_capacity(operations.len());
    let mut violations = Vec::new();
    if operations.is_empty() {
        violations.push(FieldViolation::new("operations", "a call needs at least one"));
    }
    for (index, bytes) in operations.into_iter().enumerate() {
        match operation_from_received(Received::decode(bytes)?, index) {
            Ok(operation) => taken.push(operation),
            Err(Unusable::Violations(more)) => violations.extend(more),
            Err(Unusable::UnknownField(path)) => return Err(Failure::unknown_field(&path)),
        }
    }
    if violations.is_empty() { Ok(taken) } else { Err(Failure::invalid_request(violations)) }
}

/// One operation, the `index`th of its call, as if it had been received.
pub fn operation_from_pb(operation: pb::Operation, index: usize) -> Result<Operation, Vec<FieldViolation>> {
    let bytes = operation.encode_to_vec().into();
    operation_from_received(Received { operation, bytes, unknown: None }, index).map_err(|unusable| {
        match unusable {
            Unusable::Violations(violations) => violations,
            Unusable::UnknownField(path) => vec![FieldViolation::new(path, "is not known")],
        }
    })
}

/// Without a usable identity and knowledge nothing can be recorded of an operation: that fails. Any other fault makes
/// an operation whose `malformed` says what is wrong, with a hash of all that was sent, so that it settles as rejected
/// under its identity and its replica's later operations go on.
fn operation_from_received(received: Received, index: usize) -> Result<Operation, Unusable> {
    let Received { operation, bytes, unknown } = received;
    let pb::Operation {
        identity,
        knowledge,
        mutations,
        correlation_id,
        depends_on,
        actor,
        client_time,
        await_records,
        after_request_ids,
    } = &operation;
    let at = format!("operations[{index}]");
    let mut violations = Vec::new();
    let identity = identity_from_pb(identity.as_ref(), &at, &mut violations);
    let mut knowledge = knowledge_from_pb(knowledge.as_ref(), &at, &mut violations);
    let depends_on = dependencies_from_pb(depends_on, &at, &mut violations);
    if matches!((&identity, &knowledge), (Some(Identity::Dot(_)), Some(Knowledge::Latest))) {
        let why = "only an operation with a request id can know everything; one with a dot says what it knew";
        violations.push(violation(format!("{at}.latest"), why, ErrorReason::InvalidContext));
    }
    if let Some(path) = &unknown
        && !violations.is_empty()
    {
        if identity.is_none() {
            return Err(Unusable::UnknownField(format!("{at}.{path}")));
        }
        // The operation is refused, whatever its author knew.
        knowledge = Some(Knowledge::Latest);
        violations.clear();
    }
    let (Some(identity), Some(knowledge), true) = (identity, knowledge, violations.is_empty()) else {
        return Err(Unusable::Violations(violations));
    };

    let base_seq = match &knowledge {
        Knowledge::Context(context) => Some(context.base_seq),
        Knowledge::Latest => None,
    };
    let content = check_size(bytes.len())
        .and_then(|()| check_labels(correlation_id, actor, client_time.as_ref()))
        .and_then(|()| check_after(after_request_ids))
        .map_err(|refusal| Rejection { refusal, mutation_index: None });
    let content = check_known(unknown.as_ref(), mutations)
        .and(content)
        .and_then(|()| mutations_from_pb(mutations, base_seq));
    let (mutations, malformed) = match content {
        Ok(mutations) => (mutations, None),
        Err(Rejection { refusal, mutation_index }) => {
            // Another encoding of the same content counts as the same, unless it has fields that are unknown here.
            let content_hash =
                if unknown.is_some() { hash(&bytes) } else { hash(&operation.encode_to_vec()) };
            (Vec::new(), Some(Malformed { refusal, mutation_index, content_hash }))
        }
    };
    let after_requests = match &malformed {
        None => after_request_ids.iter().map(|id| id.as_str().into()).collect(),
        Some(_) => Vec::new(),
    };
    Ok(Operation {
        identity,
        knowledge,
        mutations,
        depends_on,
        after_requests,
        await_records: *await_records,
        // A label that breaks its form is not kept; the hash above stands for it.
        correlation_id: label_or_none(correlation_id),
        actor: label_or_none(actor),
        client_time_ms: client_time.as_ref().and_then(timestamp_from_pb),
        malformed,
    })
}

fn identity_from_pb(
    identity: Option<&PbIdentity>,
    at: &str,
    violations: &mut Vec<FieldViolation>,
) -> Option<Identity> {
    let taken = match identity {
        None => Err(FieldViolation::new(at, "needs a dot or a request id")),
        Some(PbIdentity::Dot(dot)) => dot_from_pb(dot, &format!("{at}.dot")).map(Identity::Dot),
        Some(PbIdentity::RequestId(id)) => {
            request_id_from_pb(id, &format!("{at}.request_id")).map(Identity::Request)
        }
    };
    taken.map_err(|violation| violations.push(violation)).ok()
}

fn knowledge_from_pb(
    knowledge: Option<&PbKnowledge>,
    at: &str,
    violations: &mut Vec<FieldViolation>,
) -> Option<Knowledge> {
    match knowledge {
        None => {
            violations.push(FieldViolation::new(at, "needs a context or latest: what did its author know?"));
            None
        }
        Some(PbKnowledge::Context(context)) => {
            Some(Knowledge::Context(context_from_pb(context, &format!("{at}.context"), violations)))
        }
        Some(PbKnowledge::Latest(pb::Latest {})) => Some(Knowledge::Latest),
    }
}

fn dependencies_from_pb(dots: &[pb::Dot], at: &str, violations: &mut Vec<FieldViolation>) -> Vec<Dot> {
    if dots.len() > DEPENDENCIES_MAX {
        let why = format!("at most {DEPENDENCIES_MAX}");
        violations.push(FieldViolation::new(format!("{at}.depends_on"), why));
        return Vec::new();
    }
    let mut taken = Vec::with_capacity(dots.len());
    for (index, dot) in dots.iter().enumerate() {
        match dot_from_pb(dot, &format!("{at}.depends_on[{index}]")) {
            Ok(dot) => taken.push(dot),
            Err(violation) => violations.push(violation),
        }
    }
    taken
}

fn check_size(bytes: usize) -> Result<(), Refusal> {
    if bytes > OPERATION_BYTES_MAX {
        return Err(Refusal::OperationTooLarge { bytes: bytes as u64, limit: OPERATION_BYTES_MAX as u64 });
    }
    Ok(())
}

fn check_labels(
    correlation_id: &str,
    actor: &str,
    client_time: Option<&prost_types::Timestamp>,
) -> Result<(), Refusal> {
    for (field, label) in [("correlation_id", correlation_id), ("actor", actor)] {
        if !is_label(label) {
            return Err(invalid(field, LABEL_FORM));
        }
    }
    if client_time.is_some_and(|time| timestamp_from_pb(time).is_none()) {
        return Err(invalid("client_time", TIME_FORM));
    }
    Ok(())
}

fn check_after(request_ids: &[String]) -> Result<(), Refusal> {
    if request_ids.len() > AFTER_REQUESTS_MAX {
        return Err(invalid("after_request_ids", &format!("at most {AFTER_REQUESTS_MAX}")));
    }
    match request_ids.iter().position(|id| !is_request_id(id)) {
        Some(index) => Err(invalid(&format!("after_request_ids[{index}]"), REQUEST_ID_FORM)),
        None => Ok(()),
    }
}

/// An unknown field may be a condition that its author relies on, so it is refused. If it takes the place of an action,
/// the action is what is unknown.
fn check_known(unknown: Option<&FieldPath>, mutations: &[pb::Mutation]) -> Result<(), Rejection> {
    let Some(path) = unknown else { return Ok(()) };
    let mutation_index = path.index_in("mutations");
    let mutation = mutation_index.and_then(|index| mutations.get(usize::try_from(index).ok()?));
    let refusal = match mutation {
        Some(mutation) if !has_action(mutation) => Refusal::UnknownAction,
        _ => Refusal::UnknownField { field: path.to_string() },
    };
    Err(Rejection { refusal, mutation_index })
}

fn mutations_from_pb(mutations: &[pb::Mutation], base_seq: Option<Seq>) -> Result<Vec<Mutation>, Rejection> {
    if mutations.is_empty() || mutations.len() > MUTATIONS_PER_OPERATION_MAX {
        let detail = format!("1 to {MUTATIONS_PER_OPERATION_MAX} mutations make an operation");
        return Err(Rejection { refusal: invalid("mutations", &detail), mutation_index: None });
    }
    let mut taken = Vec::with_capacity(mutations.len());
    for (index, mutation) in mutations.iter().enumerate() {
        let mutation = mutation_from_pb(mutation, index, base_seq)
            .map_err(|refusal| Rejection { refusal, mutation_index: u32::try_from(index).ok() })?;
        taken.push(mutation);
    }
    Ok(taken)
}

fn invalid(field: &str, detail: &str) -> Refusal {
    Refusal::InvalidOperation { field: field.to_owned(), detail: detail.to_owned() }
}

fn label_or_none(text: &str) -> Arc<str> {
    if is_label(text) { text.into() } else { Arc::default() }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
