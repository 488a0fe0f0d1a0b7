//! Operations as they come in.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use syncline_core::causality::{Counter, Seq};
use syncline_core::hash::hash;
use syncline_core::ids::{Dot, is_label, is_request_id};
use syncline_core::limits::{
    AFTER_REQUESTS_MAX, DEPENDENCIES_MAX, MUTATIONS_PER_OPERATION_MAX, OPERATION_BYTES_MAX,
    OPERATIONS_PER_CALL_MAX,
};
use syncline_core::operation::{Identity, Knowledge, Malformed, Mutation, Operation, Outcome, Rejection};
use syncline_core::refusal::Refusal;

use super::causality::{context_from_pb, dot_from_pb, timestamp_from_pb};
use super::field::{LABEL_FORM, REQUEST_ID_FORM, request_id_from_pb, shown_label_from_pb};
use super::mutation::{has_action, mutation_from_pb};
use super::receipt::outcome_to_pb;
use crate::codec::decode;
use crate::pb::{self, operation::Identity as PbIdentity, operation::Knowledge as PbKnowledge};
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

/// An operation of a call whose identity no operation can have. It is answered, and nothing of it is recorded: there is
/// no counter and no request id under which it could be found again.
#[derive(Debug, Clone)]
pub struct Nameless {
    identity: PbIdentity,
    correlation_id: Arc<str>,
    violation: FieldViolation,
}

impl Nameless {
    /// What is wrong with its identity, if it is the `index`th operation of its call.
    pub fn violation(&self, index: usize) -> FieldViolation {
        let FieldViolation { field, description, .. } = &self.violation;
        FieldViolation::new(format!("operations[{index}].{field}"), description)
    }

    /// Its receipt: rejected, or with a request id, not settled; its identity comes back as it was sent.
    pub fn receipt(&self) -> pb::Receipt {
        let refusal = invalid(&self.violation.field, &self.violation.description);
        let rejection = Rejection { refusal, mutation_index: None };
        let (dot, request_id, outcome) = match &self.identity {
            PbIdentity::Dot(dot) => (Some(dot.clone()), String::new(), Outcome::Rejected(rejection)),
            PbIdentity::RequestId(id) => {
                let Rejection { refusal, mutation_index } = rejection;
                let refusal = Some(refusal);
                (
                    None,
                    id.clone(),
                    Outcome::NotSettled { refusal, mutation_index, expected_counter: Counter::NONE },
                )
            }
        };
        pb::Receipt {
            dot,
            request_id,
            correlation_id: self.correlation_id.to_string(),
            outcome: Some(outcome_to_pb(&outcome)),
            remaining: Vec::new(),
        }
    }
}

/// Why an operation cannot be handed on.
enum Unusable {
    /// Its identity is none.
    Nameless(Box<Nameless>),
    /// It has no identity that is known here; it may be in a field that is not known.
    Unattributable(Failure),
}

impl Received {
    fn decode(bytes: Bytes) -> Result<Received, Failure> {
        let operation: pb::Operation = decode(bytes.clone())?;
        let unknown = STRICT.unknown_field(&operation, &bytes);
        Ok(Received { operation, bytes, unknown })
    }
}

/// The encoded operations of one call, in their order. Nothing that one of them says stops the others; the call fails
/// only for what cannot be attributed to an operation.
pub fn operations_from_bytes(operations: Vec<Bytes>) -> Result<Vec<Result<Operation, Nameless>>, Failure> {
    if operations.is_empty() {
        let violation = FieldViolation::new("operations", "must hold 1 to 1,000 operations");
        return Err(Failure::invalid_request(vec![violation]));
    }
    if operations.len() > OPERATIONS_PER_CALL_MAX {
        return Err(Failure::too_many_operations(operations.len()));
    }
    let mut taken = Vec::with_capacity(operations.len());
    for (index, bytes) in operations.into_iter().enumerate() {
        taken.push(match operation_from_received(Received::decode(bytes)?, index) {
            Ok(operation) => Ok(operation),
            Err(Unusable::Nameless(nameless)) => Err(*nameless),
            Err(Unusable::Unattributable(failure)) => return Err(failure),
        });
    }
    Ok(taken)
}

/// One operation, as if it had been received; otherwise what is wrong with its identity.
pub fn operation_from_pb(operation: pb::Operation) -> Result<Operation, Vec<FieldViolation>> {
    let bytes = operation.encode_to_vec().into();
    operation_from_received(Received { operation, bytes, unknown: None }, 0).map_err(
        |unusable| match unusable {
            Unusable::Nameless(nameless) => vec![nameless.violation(0)],
            Unusable::Unattributable(failure) => failure.violations().to_vec(),
        },
    )
}

/// Without a usable identity nothing can be recorded of an operation. Any other fault makes an operation whose
/// `malformed` says what is wrong, with a hash of all that was sent, so that it settles as rejected under its identity
/// and its replica's later operations go on.
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
    let Some(identity) = identity else {
        return Err(Unusable::Unattributable(match &unknown {
            Some(path) => Failure::unknown_field(&format!("operations[{index}].{path}")),
            None => Failure::invalid_request(vec![FieldViolation::new(
                format!("operations[{index}]"),
                "needs a dot or a request id",
            )]),
        }));
    };
    let identity = identity_from_pb(identity).map_err(|violation| {
        let (identity, correlation_id) = (identity.clone(), label_or_none(correlation_id));
        Unusable::Nameless(Box::new(Nameless { identity, correlation_id, violation }))
    })?;

    let content = (|| {
        let whole = |refusal| Rejection { refusal, mutation_index: None };
        check_known(unknown.as_ref(), mutations)?;
        check_size(bytes.len()).map_err(whole)?;
        let knowledge = knowledge_from_pb(knowledge.as_ref(), &identity).map_err(whole)?;
        let depends_on = dependencies_from_pb(depends_on).map_err(whole)?;
        if !is_label(correlation_id) {
            return Err(whole(invalid("correlation_id", LABEL_FORM)));
        }
        check_after(after_request_ids).map_err(whole)?;
        let base_seq = match &knowledge {
            Knowledge::Context(context) => Some(context.base_seq),
            Knowledge::Latest => None,
        };
        Ok((knowledge, depends_on, mutations_from_pb(mutations, base_seq)?))
    })();
    let (content, malformed) = match content {
        Ok(content) => (content, None),
        Err(Rejection { refusal, mutation_index }) => {
            // Another encoding of the same content counts as the same, unless it has fields that are unknown here.
            let content_hash =
                if unknown.is_some() { hash(&bytes) } else { hash(&operation.encode_to_vec()) };
            // The operation is refused, whatever its author knew.
            let nothing = (Knowledge::Latest, Vec::new(), Vec::new());
            (nothing, Some(Malformed { refusal, mutation_index, content_hash }))
        }
    };
    let (knowledge, depends_on, mutations) = content;
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
        await_records: *await_records && malformed.is_none(),
        // A label that breaks its form is not kept; the hash above stands for it.
        correlation_id: label_or_none(correlation_id),
        actor: shown_label_from_pb(actor),
        client_time_ms: client_time.as_ref().and_then(timestamp_from_pb),
        malformed,
    })
}

fn identity_from_pb(identity: &PbIdentity) -> Result<Identity, FieldViolation> {
    match identity {
        PbIdentity::Dot(dot) => dot_from_pb(dot, "dot").map(Identity::Dot),
        PbIdentity::RequestId(id) => request_id_from_pb(id, "request_id").map(Identity::Request),
    }
}

fn knowledge_from_pb(knowledge: Option<&PbKnowledge>, identity: &Identity) -> Result<Knowledge, Refusal> {
    match (knowledge, identity) {
        (None, _) => {
            let detail = "needs a context or latest: what did its author know?".to_owned();
            Err(Refusal::InvalidContext { detail })
        }
        (Some(PbKnowledge::Context(context)), _) => {
            let mut violations = Vec::new();
            let context = context_from_pb(context, "context", &mut violations);
            match violations.first() {
                None => Ok(Knowledge::Context(context)),
                Some(FieldViolation { field, description, .. }) => {
                    Err(Refusal::InvalidContext { detail: format!("{field}: {description}") })
                }
            }
        }
        (Some(PbKnowledge::Latest(pb::Latest {})), Identity::Request(_)) => Ok(Knowledge::Latest),
        (Some(PbKnowledge::Latest(pb::Latest {})), Identity::Dot(_)) => {
            let detail =
                "only an operation with a request id can know everything; one with a dot says what it knew";
            Err(Refusal::InvalidContext { detail: detail.to_owned() })
        }
    }
}

fn dependencies_from_pb(dots: &[pb::Dot]) -> Result<Vec<Dot>, Refusal> {
    if dots.len() > DEPENDENCIES_MAX {
        return Err(invalid("depends_on", &format!("at most {DEPENDENCIES_MAX}")));
    }
    let named = |(index, dot)| dot_from_pb(dot, &format!("depends_on[{index}]"));
    let dots: Result<_, FieldViolation> = dots.iter().enumerate().map(named).collect();
    dots.map_err(|violation| invalid(&violation.field, &violation.description))
}

fn check_size(bytes: usize) -> Result<(), Refusal> {
    if bytes > OPERATION_BYTES_MAX {
        return Err(Refusal::OperationTooLarge { bytes: bytes as u64, limit: OPERATION_BYTES_MAX as u64 });
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
