//! Mutations as they come in: the content of operations.

use std::sync::Arc;

use syncline_core::causality::Seq;
use syncline_core::ids::{ConflictId, FieldId, is_label, is_name};
use syncline_core::limits::{ELEMENTS_PER_MUTATION_MAX, FIELDS_PER_COLLECTION_MAX, SEQ_MAX, TEXT_HUNKS_MAX};
use syncline_core::merge::text::Hunk;
use syncline_core::operation::{
    Action, ConflictAction, ConflictMutation, Mutation, RecordMutation, TextChoice,
};
use syncline_core::refusal::Refusal;
use syncline_core::value::Value;

use super::causality::timestamp_from_pb;
use super::field::{ASSIGNEE_FORM, CONFLICT_ID_FORM, NAME_FORM, TIME_FORM};
use super::value::{element_from_pb, value_from_pb};
use crate::pb;
use crate::pb::conflict_mutation::Action as PbConflictAction;
use crate::pb::decide_text::Choice as PbChoice;
use crate::pb::mutation::Mutation as PbMutation;
use crate::pb::record_mutation::Action as PbAction;

impl From<pb::RecordMutation> for pb::Mutation {
    fn from(mutation: pb::RecordMutation) -> pb::Mutation {
        pb::Mutation { mutation: Some(PbMutation::Record(mutation)) }
    }
}

impl From<pb::ConflictMutation> for pb::Mutation {
    fn from(mutation: pb::ConflictMutation) -> pb::Mutation {
        pb::Mutation { mutation: Some(PbMutation::Conflict(mutation)) }
    }
}

/// Whether the mutation does something that this server knows.
pub(super) fn has_action(mutation: &pb::Mutation) -> bool {
    match &mutation.mutation {
        Some(PbMutation::Record(mutation)) => mutation.action.is_some(),
        Some(PbMutation::Conflict(mutation)) => mutation.action.is_some(),
        None => false,
    }
}

/// The `index`th mutation of an operation whose context has the base `base_seq` (none for "latest"). The order of
/// hunks is checked where texts are merged.
pub(super) fn mutation_from_pb(
    mutation: &pb::Mutation,
    index: usize,
    base_seq: Option<Seq>,
) -> Result<Mutation, Refusal> {
    let pb::Mutation { mutation } = mutation;
    match mutation {
        Some(PbMutation::Record(mutation)) => {
            record_mutation_from_pb(mutation, index, base_seq).map(Mutation::Record)
        }
        Some(PbMutation::Conflict(mutation)) => {
            conflict_mutation_from_pb(mutation, index).map(Mutation::Conflict)
        }
        None => Err(Refusal::UnknownAction),
    }
}

fn record_mutation_from_pb(
    mutation: &pb::RecordMutation,
    index: usize,
    base_seq: Option<Seq>,
) -> Result<RecordMutation, Refusal> {
    let pb::RecordMutation { collection_id, record_id, action, observed_seq, resolves_conflict_id } =
        mutation;
    let place = Place { index, of: "record", action: "" };
    let action = action_from_pb(action.as_ref().ok_or(Refusal::UnknownAction)?, index)?;
    let (collection, record) =
        (place.name("collection_id", collection_id)?, place.name("record_id", record_id)?);
    check_observed(&action, (*observed_seq).map(Seq), base_seq)?;
    let resolves = match resolves_conflict_id {
        None => None,
        Some(id) => Some(place.conflict("resolves_conflict_id", id)?),
    };
    Ok(RecordMutation { collection, record, action, observed_seq: (*observed_seq).map(Seq), resolves })
}

fn conflict_mutation_from_pb(
    mutation: &pb::ConflictMutation,
    index: usize,
) -> Result<ConflictMutation, Refusal> {
    let pb::ConflictMutation { conflict_id, action } = mutation;
    let at = |action: &'static str| Place { index, of: "conflict", action };
    let action = match action {
        None => return Err(Refusal::UnknownAction),
        Some(PbConflictAction::Defer(defer)) => deferral(defer, &at("defer"))?,
        Some(PbConflictAction::Assign(pb::AssignConflict { assignee })) => {
            let fits = |name: &String| !name.is_empty() && is_label(name);
            if assignee.as_ref().is_some_and(|name| !fits(name)) {
                return Err(at("assign").invalid("assignee", ASSIGNEE_FORM));
            }
            ConflictAction::Assign { assignee: assignee.as_deref().map(Arc::from) }
        }
        Some(PbConflictAction::Reopen(pb::ReopenConflict {})) => ConflictAction::Reopen,
    };
    Ok(ConflictMutation { conflict: at("").conflict("conflict_id", conflict_id)?, action })
}

/// An observed position is allowed only for actions on a single value, whose concurrent writers it tells apart. Whether
/// a link belongs to a to-one field is known only with the schema.
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
        | Action::DecideText { .. }
        | Action::Increment { .. }
        | Action::AddElements { .. }
        | Action::RemoveElements { .. }
        | Action::ClearElements { .. } => false,
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
    let at = |action: &'static str| Place { index, of: "record", action };
    match action {
        PbAction::CreateRecord(pb::CreateRecord { fields, replace_deleted }) => {
            let fields = initial_values(fields.iter(), &at("create_record"))?;
            Ok(Action::Create { fields, replace_deleted: *replace_deleted })
        }
        PbAction::DeleteRecord(pb::DeleteRecord {}) => Ok(Action::Delete),
        PbAction::RestoreRecord(pb::RestoreRecord {}) => Ok(Action::Restore),
        PbAction::SetField(pb::SetField { field_id, value }) => {
            let field = at("set_field").field(field_id)?;
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
        PbAction::DecideText(pb::DecideText { field_id, choice }) => {
            let at = at("decide_text");
            let field = at.field(field_id)?;
            let choice = match choice {
                Some(PbChoice::AlternativeSeq(seq)) => TextChoice::Alternative(Seq(*seq)),
                Some(PbChoice::Base(pb::UseBase {})) => TextChoice::Base,
                Some(PbChoice::Current(pb::KeepCurrent {})) => TextChoice::Current,
                Some(PbChoice::Text(text)) => TextChoice::Text(text.clone()),
                None => {
                    let detail = "set alternative_seq, base, current or text; or it is one that this server is too old \
                                  to know";
                    return Err(at.invalid("choice", detail));
                }
            };
            Ok(Action::DecideText { field, choice })
        }
        PbAction::IncrementCounter(pb::IncrementCounter { field_id, by }) => {
            Ok(Action::Increment { field: at("increment_counter").field(field_id)?, by: *by })
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
        PbAction::LinkRecord(pb::LinkRecord { field_id, target_record_id }) => {
            let field = at("link_record").field(field_id)?;
            Ok(Action::Link { field, target: at("link_record").name("target_record_id", target_record_id)? })
        }
        PbAction::UnlinkRecord(pb::UnlinkRecord { field_id, target_record_id }) => {
            let field = at("unlink_record").field(field_id)?;
            let target = match target_record_id {
                None => None,
                Some(id) => Some(at("unlink_record").name("target_record_id", id)?),
            };
            Ok(Action::Unlink { field, target })
        }
    }
}

fn initial_values<'a>(
    fields: impl ExactSizeIterator<Item = (&'a String, &'a pb::Value)>,
    place: &Place,
) -> Result<Vec<(FieldId, Value)>, Refusal> {
    // No collection has more fields than this, so no record can be created with more.
    if fields.len() > FIELDS_PER_COLLECTION_MAX {
        return Err(place.invalid("fields", &format!("at most {FIELDS_PER_COLLECTION_MAX}")));
    }
    let mut taken = Vec::with_capacity(fields.len());
    for (field, value) in fields {
        taken.push((place.name("fields", field)?, value_from_pb(value)?));
    }
    Ok(taken)
}

fn deferral(defer: &pb::DeferConflict, place: &Place) -> Result<ConflictAction, Refusal> {
    let pb::DeferConflict { revision, remind_time } = defer;
    let remind_time = remind_time.as_ref().ok_or_else(|| place.invalid("remind_time", "is needed"))?;
    let remind_at_ms =
        timestamp_from_pb(remind_time).ok_or_else(|| place.invalid("remind_time", TIME_FORM))?;
    Ok(ConflictAction::Defer { revision: *revision, remind_at_ms })
}

fn hunk_from_pb(hunk: &pb::TextHunk) -> Hunk {
    let pb::TextHunk { position, delete_count, insert } = hunk;
    Hunk { pos: *position, del: *delete_count, ins: insert.clone() }
}

/// Where in an operation something is, for the message of a refusal.
struct Place {
    index: usize,
    /// What the mutation is about.
    of: &'static str,
    /// Empty for the mutation itself.
    action: &'static str,
}

impl Place {
    fn invalid(&self, field: &str, detail: &str) -> Refusal {
        let Place { index, of, action } = self;
        let field = match *action {
            "" => format!("mutations[{index}].{of}.{field}"),
            action => format!("mutations[{index}].{of}.{action}.{field}"),
        };
        Refusal::InvalidOperation { field, detail: detail.to_owned() }
    }

    fn name<'t, Id: From<&'t str>>(&self, field: &str, id: &'t str) -> Result<Id, Refusal> {
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
