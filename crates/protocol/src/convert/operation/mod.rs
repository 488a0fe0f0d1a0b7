//! Operations as they come in.

use std::sync::Arc;

use prost::Message as _;

use super::causality::{context_from_pb, dot_from_pb, timestamp_from_pb};
use super::field::{LABEL_FORM, TIME_FORM, request_id_from_pb, violation};
use super::mutation::mutation_from_pb;
use crate::pb::{self, ErrorReason, operation::Identity as PbIdentity, operation::Knowledge as PbKnowledge};
use crate::status::{Failure, FieldViolation};
use syncline_core::causality::Seq;
use syncline_core::hash::hash;
use syncline_core::ids::{Dot, is_label};
use syncline_core::limits::{
    DEPENDENCIES_MAX, MUTATIONS_PER_OPERATION_MAX, OPERATION_BYTES_MAX, OPERATIONS_PER_CALL_MAX,
};
use syncline_core::operation::{Identity, Knowledge, Malformed, Mutation, Operation, Rejection};
use syncline_core::refusal::Refusal;

/// The operations of one call: all of them, or the reason why the call cannot be taken.
pub fn operations_from_pb(operations: Vec<pb::Operation>) -> Result<Vec<Operation>, Failure> {
    if operations.len() > OPERATIONS_PER_CALL_MAX {
        return Err(Failure::too_many_operations(operations.len()));
    }
    let mut taken = Vec::with_capacity(operations.len());
    let mut violations = Vec::new();
    if operations.is_empty() {
        violations.push(FieldViolation::new("operations", "a call needs at least one"));
    }
    for (index, operation) in operations.into_iter().enumerate() {
        match operation_from_pb(operation, index) {
            Ok(operation) => taken.push(operation),
            Err(more) => violations.extend(more),
        }
    }
    if violations.is_empty() { Ok(taken) } else { Err(Failure::invalid_request(violations)) }
}

/// One operation, the `index`th of its call.
///
/// Without a usable identity and knowledge nothing can be recorded of an operation: that fails. Any other fault makes
/// an operation whose `malformed` says what is wrong, with a hash of all that was sent, so that it settles as rejected
/// under its identity and its replica's later operations go on.
pub fn operation_from_pb(operation: pb::Operation, index: usize) -> Result<Operation, Vec<FieldViolation>> {
    let pb::Operation {
        identity,
        knowledge,
        mutations,
        correlation_id,
        depends_on,
        actor,
        client_time,
        await_records,
    } = &operation;
    let at = format!("operations[{index}]");
    let mut violations = Vec::new();
    let identity = identity_from_pb(identity.as_ref(), &at, &mut violations);
    let knowledge = knowledge_from_pb(knowledge.as_ref(), &at, &mut violations);
    let depends_on = dependencies_from_pb(depends_on, &at, &mut violations);
    if matches!((&identity, &knowledge), (Some(Identity::Dot(_)), Some(Knowledge::Latest))) {
        let why = "only an operation with a request id can know everything; one with a dot says what it knew";
        violations.push(violation(format!("{at}.latest"), why, ErrorReason::InvalidContext));
    }
    let (Some(identity), Some(knowledge), true) = (identity, knowledge, violations.is_empty()) else {
        return Err(violations);
    };

    let base_seq = match &knowledge {
        Knowledge::Context(context) => Some(context.base_seq),
        Knowledge::Latest => None,
    };
    let content = check_size(&operation)
        .and_then(|()| check_labels(correlation_id, actor, client_time.as_ref()))
        .map_err(|refusal| Rejection { refusal, mutation_index: None })
        .and_then(|()| mutations_from_pb(mutations, base_seq));
    let (mutations, malformed) = match content {
        Ok(mutations) => (mutations, None),
        Err(Rejection { refusal, mutation_index }) => {
            let content_hash = hash(&operation.encode_to_vec());
            (Vec::new(), Some(Malformed { refusal, mutation_index, content_hash }))
        }
    };
    Ok(Operation {
        identity,
        knowledge,
        mutations,
        depends_on,
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

fn check_size(operation: &pb::Operation) -> Result<(), Refusal> {
    let bytes = operation.encoded_len();
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
