//! Identifiers and labels of requests, checked against their documented form.

use std::sync::Arc;

use crate::pb;
use crate::status::{FieldViolation, reason_name, refusal_parts};
use syncline_core::ids::{
    ReplicaId, is_label, is_name, is_request_id, is_workspace_id, parse_replica_id, shown_label,
};
use syncline_core::refusal::Refusal;

pub(super) const NAME_FORM: &str = "must be 1 to 64 of [A-Za-z0-9_-]";
pub(super) const LABEL_FORM: &str = "must be at most 128 bytes without control characters";
pub(super) const ASSIGNEE_FORM: &str =
    "must be 1 to 128 bytes without control characters; leave it out to take the assignment back";
pub(super) const CONFLICT_ID_FORM: &str = "is not the id of a conflict";
pub(super) const TIME_FORM: &str = "must lie between the years 1 and 9999";
pub(super) const REPLICA_ID_FORM: &str = "must be a UUID in lower case with hyphens, and not the nil UUID";
pub(super) const REQUEST_ID_FORM: &str = "must be 1 to 64 of [A-Za-z0-9._:-]";
const WORKSPACE_ID_FORM: &str = "must be 1 to 64 of [a-z0-9-], starting with a letter or digit";

/// The id of a collection, record or field.
pub fn name_from_pb<'t, Id: From<&'t str>>(text: &'t str, field: &str) -> Result<Id, FieldViolation> {
    if is_name(text) { Ok(text.into()) } else { Err(FieldViolation::new(field, NAME_FORM)) }
}

/// A free text for people: correlation ids, actors, client names, assignees.
pub fn label_from_pb(text: &str, field: &str) -> Result<Arc<str>, FieldViolation> {
    if is_label(text) { Ok(text.into()) } else { Err(FieldViolation::new(field, LABEL_FORM)) }
}

/// A text for people that is only shown: it is never refused, but cut to what is kept of it.
pub fn shown_label_from_pb(text: &str) -> Arc<str> {
    shown_label(text).into()
}

/// The id of a client's replica.
pub fn replica_id_from_pb(text: &str, field: &str) -> Result<ReplicaId, FieldViolation> {
    parse_replica_id(text).ok_or_else(|| FieldViolation::new(field, REPLICA_ID_FORM))
}

/// A request id.
pub fn request_id_from_pb(text: &str, field: &str) -> Result<Arc<str>, FieldViolation> {
    if is_request_id(text) { Ok(text.into()) } else { Err(FieldViolation::new(field, REQUEST_ID_FORM)) }
}

/// The id of a workspace.
pub fn workspace_id_from_pb(text: &str, field: &str) -> Result<Arc<str>, FieldViolation> {
    if is_workspace_id(text) { Ok(text.into()) } else { Err(FieldViolation::new(field, WORKSPACE_ID_FORM)) }
}

/// A violation that has a reason of its own beside that of the call.
pub(super) fn violation(field: String, description: &str, reason: pb::ErrorReason) -> FieldViolation {
    FieldViolation { reason: reason_name(reason).to_owned(), ..FieldViolation::new(field, description) }
}

/// The violation for a refused operation, when the whole call depends on it.
pub(super) fn violation_of(field: String, refusal: &Refusal) -> FieldViolation {
    let (reason, _, message, _) = refusal_parts(refusal);
    violation(field, &message, reason)
}
