//! Mutations as they come in: the content of operations.

use std::sync::Arc;

use super::causality::timestamp_from_pb;
use super::field::{CONFLICT_ID_FORM, LABEL_FORM, NAME_FORM, TIME_FORM};
use super::value::{element_from_pb, value_from_pb};
use crate::pb::{self, mutation::Action as PbAction};
use syncline_core::causality::Seq;
use syncline_core::ids::{ConflictId, FieldId, is_label, is_name};
use syncline_core::limits::{ELEMENTS_PER_MUTATION_MAX, FIELDS_PER_COLLECTION_MAX, SEQ_MAX, TEXT_HUNKS_MAX};
use syncline_core::merge::text::Hunk;
use syncline_core::operation::{Action, Mutation};
use syncline_core::refusal::Refusal;
use syncline_core::value::Value;

/// The `index`th mutation of an operation whose context has the base `base_seq` (none for "latest"). The order of
/// hunks is checked where texts are merged.
pub(super) fn mutation_from_pb(
    mutation: &pb::Mutation,
    index: usize,
    base_seq: Option<Seq>,
) -> Result<Mutation, Refusal> {
    let pb::Mutation { collection_id, record_id, action, observed_seq, resolves_conflict_id } = mutation;
    let place = Place { index, action: "" };
    let action = action_from_pb(action.as_ref().ok_or(Refusal::UnknownAction)?, index)?;
    check_record(&action, collection_id, record_id, &place)?;
    check_observed(&action, *observed_seq, base_seq)?;
    let resolves = match resolves_conflict_id.as_str() {
        "" => None,
        id => Some(place.conflict("resolves_conflict_id", id)?),
    };
    Ok(Mutation {
        collection: collection_id.as_str().into(),
        record: record_id.as_str().into(),
        action,
        observed_seq: *observed_seq,
        resolves,
    })
}

fn check_record(action: &Action, collection_id: &str, record_id: &str, place: &Place) -> Result<(), Refusal> {
    let on_conflict = match action {
        Action::Defer { .. } | Action::Assign { .. } | Action::Reopen { .. } | Action::Remind { .. } => true,
        Action::Create { .. }
        | Action::Delete
        | Action::Restore
        | Action::Set { .. }
        | Action::EditText { .. }
        | Action::ReplaceText { .. }
        | Action::Increment { .. }
        | Action::AssignCounter { .. }
        | Action::AddElements { .. }
        | Action::RemoveElements { .. }
        | Action::ClearElements { .. }
        | Action::Link { .. }
        | Action::Unlink { .. } => false,
    };
    for (field, id) in [("collection_id", collection_id), ("record_id", record_id)] {
        if on_conflict && !id.is_empty() {
            return Err(place.invalid(field, "must be empty: the action is on a conflict"));
        }
        if !on_conflict && !is_name(id) {
            return Err(place.invalid(field, NAME_FORM));
        }
    }
    Ok(())
}

/// An earlier reading counts only where concurrent writers of one value are told apart by it. Whether a link is of a
/// to-one field is known only with the schema.
fn check_observed(action: &Action, observed_seq: Option<Seq>, base_seq: Option<Seq>) -> Result<(), Refusal> {
    let Some(observed_seq) = observed_seq else { return Ok(()) };
    let allowed = match action {
        Action::Set { .. } | Action::AssignCounter { .. } | Action::Link { .. } | Action::Unlink { .. } => {
            true
        }
        Action::Create { .. }
        | Action::Delete
        | Action::Restore
        | Action::EditText { .. }
        | Action::ReplaceText { .. }
        | Action::Increment { .. }
        | Action::AddElements { .. }
        | Action::RemoveElements { .. }
        | Action::ClearElements { .. }
        | Action::Defer { .. }
        | Action::Assign { .. }
        | Action::Reopen { .. }
        | Action::Remind { .. } => false,
    };
    if !allowed {
        let detail = format!("observed_seq has no meaning for {}", action.name());
        return Err(Refusal::InvalidContext { detail });
    }
    match base_seq {
        Some(base_seq) if observed_seq > base_seq => {
            let detail = format!("observed_seq {observed_seq} is after the context's base {base_seq}");
            Err(Refusal::InvalidContext { detail })
        }
        _ if observed_seq > SEQ_MAX => {
            let detail = format!("observed_seq {observed_seq} is no position: those are below 2^63");
            Err(Refusal::InvalidContext { detail })
        }
        _ => Ok(()),
    }
}

fn action_from_pb(action: &PbAction, index: usize) -> Result<Action, Refusal> {
    let at = |action: &'static str| Place { index, action };
    match action {
        PbAction::Create(pb::CreateRecord { fields }) => create(fields.iter(), &at("create")),
        PbAction::Delete(pb::DeleteRecord {}) => Ok(Action::Delete),
        PbAction::Restore(pb::RestoreRecord {}) => Ok(Action::Restore),
        PbAction::Set(pb::SetField { field_id, value }) => {
            let field = at("set").field(field_id)?;
            let value = value
                .as_ref()
                .ok_or_else(|| Refusal::InvalidValue { detail: "no value to set".to_owned() })?;
            Ok(Action::Set { field, value: value_from_pb(value)? })
        }
        PbAction::EditText(pb::EditText { field_id, hunks }) => {
            let field = at("edit_text").field(field_id)?;
            if hunks.len() > TEXT_HUNKS_MAX {
                return Err(at("edit_text").invalid("hunks", &format!("at most {TEXT_HUNKS_MAX}")));
            }
            Ok(Action::EditText { field, hunks: hunks.iter().map(hunk_from_pb).collect() })
        }
        PbAction::ReplaceText(pb::ReplaceText { field_id, text }) => {
            Ok(Action::ReplaceText { field: at("replace_text").field(field_id)?, text: text.clone() })
        }
        PbAction::Increment(pb::IncrementCounter { field_id, by }) => {
            Ok(Action::Increment { field: at("increment").field(field_id)?, by: *by })
        }
        PbAction::AssignCounter(pb::AssignCounter { field_id, value }) => {
            Ok(Action::AssignCounter { field: at("assign_counter").field(field_id)?, value: *value })
        }
        PbAction::AddElements(pb::AddElements { field_id, elements }) => {
            let place = at("add_elements");
            Ok(Action::AddElements { field: place.field(field_id)?, elements: place.elements(elements)? })
        }
        PbAction::RemoveElements(pb::RemoveElements { field_id, elements }) => {
            let place = at("remove_elements");
            Ok(Action::RemoveElements { field: place.field(field_id)?, elements: place.elements(elements)? })
        }
        PbAction::ClearElements(pb::ClearElements { field_id }) => {
            Ok(Action::ClearElements { field: at("clear_elements").field(field_id)? })
        }
        PbAction::Link(pb::LinkRecord { field_id, target_record_id }) => {
            let field = at("link").field(field_id)?;
            Ok(Action::Link { field, target: at("link").name("target_record_id", target_record_id)? })
        }
        PbAction::Unlink(pb::UnlinkRecord { field_id, target_record_id }) => {
            let field = at("unlink").field(field_id)?;
            let target = match target_record_id.as_str() {
                "" => None,
                id => Some(at("unlink").name("target_record_id", id)?),
            };
            Ok(Action::Unlink { field, target })
        }
        PbAction::DeferConflict(defer) => deferral(defer, &at("defer_conflict")),
        PbAction::AssignConflict(pb::AssignAction { conflict_id, assignee }) => {
            let place = at("assign_conflict");
            let conflict = place.conflict("conflict_id", conflict_id)?;
            if !is_label(assignee) {
                return Err(place.invalid("assignee", LABEL_FORM));
            }
            Ok(Action::Assign { conflict, assignee: assignee.as_str().into() })
        }
        PbAction::ReopenConflict(pb::ReopenAction { conflict_id }) => {
            Ok(Action::Reopen { conflict: at("reopen_conflict").conflict("conflict_id", conflict_id)? })
        }
    }
}

fn create<'a>(
    fields: impl ExactSizeIterator<Item = (&'a String, &'a pb::Value)>,
    place: &Place,
) -> Result<Action, Refusal> {
    // No collection has more fields, so that no record can be created with more.
    if fields.len() > FIELDS_PER_COLLECTION_MAX {
        return Err(place.invalid("fields", &format!("at most {FIELDS_PER_COLLECTION_MAX}")));
    }
    let mut taken = Vec::with_capacity(fields.len());
    for (field, value) in fields {
        taken.push((place.name("fields", field)?, value_from_pb(value)?));
    }
    Ok(Action::Create { fields: taken })
}

fn deferral(defer: &pb::DeferAction, place: &Place) -> Result<Action, Refusal> {
    let pb::DeferAction { conflict_id, revision, remind_time } = defer;
    let conflict = place.conflict("conflict_id", conflict_id)?;
    let remind_time = remind_time.as_ref().ok_or_else(|| place.invalid("remind_time", "is needed"))?;
    let remind_at_ms =
        timestamp_from_pb(remind_time).ok_or_else(|| place.invalid("remind_time", TIME_FORM))?;
    Ok(Action::Defer { conflict, revision: *revision, remind_at_ms })
}

fn hunk_from_pb(hunk: &pb::TextHunk) -> Hunk {
    let pb::TextHunk { position, delete_count, insert } = hunk;
    Hunk { pos: *position, del: *delete_count, ins: insert.clone() }
}

/// Where in an operation something is, for the words of a refusal.
struct Place {
    index: usize,
    /// Empty for the mutation itself.
    action: &'static str,
}

impl Place {
    fn invalid(&self, field: &str, detail: &str) -> Refusal {
        let Place { index, action } = self;
        let field = match *action {
            "" => format!("mutations[{index}].{field}"),
            action => format!("mutations[{index}].{action}.{field}"),
        };
        Refusal::InvalidOperation { field, detail: detail.to_owned() }
    }

    fn name(&self, field: &str, id: &str) -> Result<Arc<str>, Refusal> {
        if is_name(id) { Ok(id.into()) } else { Err(self.invalid(field, NAME_FORM)) }
    }

    fn field(&self, id: &str) -> Result<FieldId, Refusal> {
        self.name("field_id", id)
    }

    fn conflict(&self, field: &str, id: &str) -> Result<ConflictId, Refusal> {
        id.parse().map_err(|()| self.invalid(field, CONFLICT_ID_FORM))
    }

    fn elements(&self, elements: &[pb::Value]) -> Result<Vec<Value>, Refusal> {
        if elements.is_empty() || elements.len() > ELEMENTS_PER_MUTATION_MAX {
            return Err(self.invalid("elements", &format!("1 to {ELEMENTS_PER_MUTATION_MAX} elements")));
        }
        elements.iter().map(element_from_pb).collect()
    }
}
