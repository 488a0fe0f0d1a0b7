//! Sets, and the elements of to-many links: an addition wins over a concurrent removal.

use super::settle::Settling;
use crate::change::EffectKind;
use crate::fault;
use crate::ids::{FieldId, RecordId};
use crate::limits::{ELEMENT_BYTES_MAX, SET_ELEMENTS_MAX};
use crate::operation::RecordMutation;
use crate::refusal::Refusal;
use crate::schema::FieldKind;
use crate::state::{Attempt, ElementRow, FieldRow, FieldValue, Key, Prefix, Row, read};
use crate::unknown::Unknown;
use crate::value::Value;

/// What a mutation did to a set.
#[derive(Default)]
pub(super) struct SetChange {
    pub added: Vec<Value>,
    pub removed: Vec<Value>,
}

impl Settling<'_, '_> {
    /// Adds elements to a set.
    pub(super) fn add_elements(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        elements: &[Value],
    ) -> Attempt<()> {
        self.field_spec(mutation, field, &[FieldKind::Set])?;
        if elements
            .iter()
            .any(|element| element.weight_bytes() > ELEMENT_BYTES_MAX + Value::Null.weight_bytes())
        {
            let detail = format!("an element of a set has at most {ELEMENT_BYTES_MAX} bytes");
            return Err(Refusal::InvalidValue { detail }.into());
        }
        self.touch_record(mutation)?;
        self.change_set(mutation, field, FieldKind::Set, |settling, change| {
            elements.iter().try_for_each(|element| settling.add_element(mutation, field, element, change))
        })
    }

    /// Removes elements from a set: the additions the author knew.
    pub(super) fn remove_elements(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        elements: &[Value],
    ) -> Attempt<()> {
        self.field_spec(mutation, field, &[FieldKind::Set])?;
        self.touch_record(mutation)?;
        self.change_set(mutation, field, FieldKind::Set, |settling, change| {
            elements.iter().try_for_each(|element| settling.remove_element(mutation, field, element, change))
        })
    }

    /// Removes all elements of a set or to-many field that the author knew.
    pub(super) fn clear_elements(&mut self, mutation: &RecordMutation, field: &FieldId) -> Attempt<()> {
        let spec = self.field_spec(mutation, field, &[FieldKind::Set, FieldKind::ToMany])?;
        self.touch_record(mutation)?;
        self.change_set(mutation, field, spec.kind, |settling, change| {
            for element in settling.elements(&mutation.record, field)? {
                settling.remove_element(mutation, field, &element, change)?;
                if let (FieldKind::ToMany, Value::String(target)) = (spec.kind, &element) {
                    settling.forget_backlink_if_gone(mutation, field, &target.clone().into())?;
                }
            }
            Ok(())
        })
    }

    /// Runs a change of a set and writes the result.
    pub(super) fn change_set(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        kind: FieldKind,
        work: impl FnOnce(&mut Self, &mut SetChange) -> Attempt<()>,
    ) -> Attempt<()> {
        let row = self.field_row(&mutation.record, field, kind)?;
        self.settlement.merged |= self.is_behind(mutation, field, row.last_seq)?;
        let mut change = SetChange::default();
        work(self, &mut change)?;
        let before = match row.value {
            FieldValue::Set { count } | FieldValue::ToMany { count } => count,
            _ => 0,
        };
        let count = (before + change.added.len() as u64).saturating_sub(change.removed.len() as u64);
        if count > SET_ELEMENTS_MAX {
            return Err(Refusal::SetTooLarge { field: field.clone(), limit: SET_ELEMENTS_MAX }.into());
        }
        let SetChange { added, removed } = change;
        let (value, effect) = if kind == FieldKind::ToMany {
            let (added, removed) = (targets_of(added), targets_of(removed));
            (FieldValue::ToMany { count }, EffectKind::Links { added, removed })
        } else {
            (FieldValue::Set { count }, EffectKind::Set { added, removed })
        };
        self.put_field(mutation, field, FieldRow { value, ..row }, effect);
        Ok(())
    }

    pub(super) fn add_element(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        element: &Value,
        change: &mut SetChange,
    ) -> Attempt<()> {
        let key = Key::Element(mutation.record.clone(), field.clone(), element.element_hash());
        let present = element_row(self.tx.row(&key)?)?.cloned();
        // An element that is there stays as it was first added: 1 stays 1 even if 1.0 is added later.
        let (is_new, mut row) = match present {
            Some(row) => (false, row),
            None => {
                let (value, additions) = (element.clone(), Vec::new());
                (true, ElementRow { value, additions, unknown: Unknown::NONE })
            }
        };
        row.additions.retain(|a| !self.knows(&a.stamp));
        row.additions.push(self.stamp.into());
        if is_new {
            // If one operation removes an element and adds it again, there is nothing to report.
            match change.removed.iter().position(|v| v.equals(element)) {
                Some(at) => row.value = change.removed.remove(at),
                None => change.added.push(element.clone()),
            }
        }
        self.tx.put(key, Row::Element(row));
        Ok(())
    }

    pub(super) fn remove_element(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        element: &Value,
        change: &mut SetChange,
    ) -> Attempt<()> {
        let key = Key::Element(mutation.record.clone(), field.clone(), element.element_hash());
        let Some(row) = element_row(self.tx.row(&key)?)?.cloned() else { return Ok(()) };
        let additions: Vec<_> =
            row.additions.iter().filter(|a| !self.knows(&a.stamp) && !fault!(RemoveWins)).cloned().collect();
        if additions.is_empty() {
            match change.added.iter().position(|v| v.equals(element)) {
                Some(at) => drop(change.added.remove(at)),
                // The element as it is stored, which need not be how the author wrote it.
                None => change.removed.push(row.value),
            }
            self.tx.delete(key);
        } else {
            self.tx.put(key, Row::Element(ElementRow { additions, ..row }));
        }
        Ok(())
    }

    /// The elements of a set, in the order of their hashes.
    pub(super) fn elements(&self, record: &RecordId, field: &FieldId) -> Attempt<Vec<Value>> {
        let keys = self.tx.keys(&Prefix::ElementsOf(record.clone(), field.clone()))?;
        let mut elements = Vec::with_capacity(keys.len());
        for key in keys {
            elements.extend(element_row(self.tx.row(&key)?)?.map(|row| row.value.clone()));
        }
        Ok(elements)
    }
}

/// The targets that elements of a to-many field name.
fn targets_of(elements: Vec<Value>) -> Vec<RecordId> {
    let target = |element| match element {
        Value::String(target) => Some(RecordId::from(target)),
        _ => None,
    };
    elements.into_iter().filter_map(target).collect()
}

/// An element's row.
pub(super) fn element_row(row: Option<&Row>) -> Attempt<Option<&ElementRow>> {
    read(row, |row| match row {
        Row::Element(element) => Some(element),
        _ => None,
    })
}
