//! Creating a record in the place of a deleted one: it is there again, and nothing of what it had is shown.

use super::existence::deleter;
use super::settle::Settling;
use crate::change::EffectKind;
use crate::conflict::{ConflictKind, Scope, ScopePart};
use crate::ids::FieldId;
use crate::operation::{Action, RecordMutation};
use crate::state::{Attempt, Existence, ExistenceHead, FieldValue, Key, Prefix, RecordRow, RegisterHead};
use crate::value::Value;

impl Settling<'_, '_> {
    /// Whether a mutation's record is deleted, and its author knew a delete of it.
    pub(super) fn saw_deleted_record(&self, mutation: &RecordMutation) -> Attempt<bool> {
        let row = self.tx.record(&mutation.record)?;
        Ok(row.is_some_and(|row| {
            let knows_delete = row.heads.iter().any(|h| h.delete && self.knows(&h.stamp));
            row.existence == Existence::Deleted && knows_delete
        }))
    }

    /// Restores a deleted record without what it had: every field that gets no initial value is emptied. Conflicts that
    /// ended with the record stay closed.
    pub(super) fn restore_empty(
        &mut self,
        mutation: &RecordMutation,
        initial: &[(FieldId, Value)],
    ) -> Attempt<()> {
        let row = self.record_of(mutation)?;
        let mut heads: Vec<ExistenceHead> =
            row.heads.iter().filter(|h| !self.knows(&h.stamp)).cloned().collect();
        let against = heads.iter().filter(|h| h.delete).map(|h| deleter(h.stamp)).collect();
        heads.push(ExistenceHead::new(self.stamp, false));
        self.tx.need_range(&Prefix::ScopesOf(mutation.record.clone()))?;
        let row = RecordRow { heads, existence: Existence::Alive, ..row };
        self.put_existence(mutation, row, EffectKind::RecordRestored);
        for key in self.tx.keys(&Prefix::FieldsOf(mutation.record.clone()))? {
            let Key::Field(_, field) = key else { continue };
            if initial.iter().any(|(given, _)| *given == field) {
                continue;
            }
            if let Some(action) = self.emptying(mutation, field)? {
                let emptied = RecordMutation { action, ..mutation.clone() };
                self.change_record(&emptied)?;
            }
        }
        let scope = Scope { record: mutation.record.clone(), part: ScopePart::Record };
        self.existence_clash(mutation, scope, ConflictKind::EditDelete, against)
    }

    /// The action that empties a field; none if it is empty.
    fn emptying(&self, mutation: &RecordMutation, field: FieldId) -> Attempt<Option<Action>> {
        let Some(row) = self.tx.field(&mutation.record, &field)? else { return Ok(None) };
        let null = |heads: &[RegisterHead]| heads.iter().all(|head| head.value == Value::Null);
        Ok(match &row.value {
            FieldValue::Register(heads) if !null(heads) => Some(Action::Set { field, value: Value::Null }),
            FieldValue::Text(text) if !text.is_empty() => {
                Some(Action::ReplaceText { field, text: String::new() })
            }
            FieldValue::Counter(_) => Some(Action::AssignCounter { field, value: 0 }),
            FieldValue::Set { count } | FieldValue::ToMany { count } if *count > 0 => {
                Some(Action::ClearElements { field })
            }
            FieldValue::ToOne(heads) if !null(heads) => Some(Action::Unlink { field, target: None }),
            FieldValue::Register(_)
            | FieldValue::Text(_)
            | FieldValue::Set { .. }
            | FieldValue::ToOne(_)
            | FieldValue::ToMany { .. } => None,
        })
    }
}
