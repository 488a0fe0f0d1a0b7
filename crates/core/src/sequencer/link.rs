//! Links between records. A to-one link is a register of targets, a to-many link a set of them; both keep the
//! other end alive against a delete their author did not know.

use super::existence::deleter;
use super::settle::Settling;
use crate::causality::Stamp;
use crate::conflict::{ConflictKind, Scope, ScopePart};
use crate::fault;
use crate::ids::{FieldId, RecordId};
use crate::operation::RecordMutation;
use crate::refusal::Refusal;
use crate::schema::FieldKind;
use crate::state::{Attempt, Existence, Key, Row};
use crate::value::Value;

impl Settling<'_, '_> {
    /// Links to a record.
    pub(super) fn link(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        target: &RecordId,
    ) -> Attempt<()> {
        let spec = self.field_spec(mutation, field, &[FieldKind::ToMany, FieldKind::ToOne])?;
        self.check_observed(mutation, spec.kind)?;
        self.touch_record(mutation)?;
        let rest = self.decide_relationship(mutation, field, target)?;
        self.touch_target(mutation, field, target)?;
        let value = Value::from(target.clone());
        let backlink = Key::Backlink(target.clone(), mutation.record.clone(), field.clone());
        let was_linked = match spec.kind {
            FieldKind::ToOne => {
                let (before, after) = self.write_heads(&rest, field, spec, value.clone())?;
                self.forget_backlinks(mutation, field, &before, &after);
                before.iter().any(|head| head.value == value)
            }
            _ => {
                let element = Key::Element(mutation.record.clone(), field.clone(), value.element_hash());
                let was_linked = self.tx.row(&element)?.is_some();
                self.change_set(&rest, field, FieldKind::ToMany, |settling, change| {
                    settling.add_element(mutation, field, &value, change)
                })?;
                was_linked
            }
        };
        // This row has no content besides its key, so there is nothing to rewrite.
        if !was_linked {
            self.tx.put(backlink, Row::Unit);
        }
        Ok(())
    }

    /// Removes a link.
    pub(super) fn unlink(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        target: Option<&RecordId>,
    ) -> Attempt<()> {
        let spec = self.field_spec(mutation, field, &[FieldKind::ToMany, FieldKind::ToOne])?;
        self.check_observed(mutation, spec.kind)?;
        self.touch_record(mutation)?;
        match (spec.kind, target) {
            (FieldKind::ToOne, _) => {
                let rest = match target {
                    Some(target) => self.decide_relationship(mutation, field, target)?,
                    None => mutation.clone(),
                };
                let (before, after) = self.write_heads(&rest, field, spec, Value::Null)?;
                self.forget_backlinks(mutation, field, &before, &after);
                Ok(())
            }
            (_, Some(target)) => {
                let rest = self.decide_relationship(mutation, field, target)?;
                let value = Value::from(target.clone());
                self.change_set(&rest, field, FieldKind::ToMany, |settling, change| {
                    settling.remove_element(mutation, field, &value, change)
                })?;
                self.forget_backlink_if_gone(mutation, field, target)
            }
            (_, None) => Err(Refusal::InvalidOperation {
                field: "target_record_id".to_owned(),
                detail: "a to-many field needs the target to unlink".to_owned(),
            }
            .into()),
        }
    }

    /// `observed_seq` has a meaning for to-one links only.
    fn check_observed(&self, mutation: &RecordMutation, kind: FieldKind) -> Attempt<()> {
        if mutation.observed_seq.is_some() && kind != FieldKind::ToOne {
            let detail = "observed_seq does not apply to a to-many link".to_owned();
            return Err(Refusal::InvalidContext { detail }.into());
        }
        Ok(())
    }

    /// If the mutation resolves the relationship conflict of this link, that is done here, and the mutation that is
    /// left for the field's own rules no longer names a conflict.
    fn decide_relationship(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        target: &RecordId,
    ) -> Attempt<RecordMutation> {
        let scope =
            Scope { record: mutation.record.clone(), part: ScopePart::Link(field.clone(), target.clone()) };
        let Some(id) = mutation.resolves else { return Ok(mutation.clone()) };
        let Some(conflict) = self.tx.conflict(id)? else {
            return Err(Refusal::ConflictNotFound { conflict: id }.into());
        };
        if conflict.scope != scope {
            return Ok(mutation.clone());
        }
        if self.tx.scope(&scope)?.live == Some(id) {
            self.resolve_existence(mutation, id, &[])?;
        }
        Ok(RecordMutation { resolves: None, ..mutation.clone() })
    }

    /// Checks that the other end exists; a delete of it that the author did not know gives way.
    fn touch_target(&mut self, mutation: &RecordMutation, field: &FieldId, target: &RecordId) -> Attempt<()> {
        let row = self.existing_record(target)?;
        let deletes: Vec<Stamp> = row.heads.iter().filter(|h| h.delete).map(|h| h.stamp).collect();
        let unknown: Vec<Stamp> =
            deletes.iter().filter(|d| !self.knows(d) && !fault!(LinkIgnoresDelete)).copied().collect();
        if row.existence == Existence::Deleted && unknown.len() < deletes.len() {
            return Err(Refusal::RecordDeleted { record: target.clone() }.into());
        }
        if unknown.is_empty() {
            return Ok(());
        }
        if row.existence == Existence::Deleted {
            self.bring_back(target, row)?;
        }
        let scope =
            Scope { record: mutation.record.clone(), part: ScopePart::Link(field.clone(), target.clone()) };
        let against = unknown.into_iter().map(deleter).collect();
        self.existence_clash(mutation, scope, ConflictKind::Relationship, against)
    }

    /// Targets that no head names any more are no longer linked from here.
    fn forget_backlinks(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        before: &[crate::state::RegisterHead],
        after: &[crate::state::RegisterHead],
    ) {
        for head in before {
            if let Value::String(target) = &head.value
                && !after.iter().any(|h| h.value == head.value)
            {
                self.tx.delete(Key::Backlink(target.clone().into(), mutation.record.clone(), field.clone()));
            }
        }
    }

    /// Deletes the backlink of a to-many link that is gone.
    pub(super) fn forget_backlink_if_gone(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        target: &RecordId,
    ) -> Attempt<()> {
        let hash = Value::from(target.clone()).element_hash();
        let key = Key::Element(mutation.record.clone(), field.clone(), hash);
        if self.tx.row(&key)?.is_none() {
            self.tx.delete(Key::Backlink(target.clone(), mutation.record.clone(), field.clone()));
        }
        Ok(())
    }
}
