//! Fields as mutations find them: declaration, row, and the changes their author did not know.

use std::sync::Arc;

use super::settle::Settling;
use crate::causality::{ReplicaNo, Seq};
use crate::change::{Change, Effect, EffectKind};
use crate::ids::{CollectionId, FieldId, RecordId};
use crate::limits::{BEHIND_STEPS_MAX, CHAIN_STEPS_MAX, CONFLICT_SIDES_BYTES_MAX, CONFLICT_SIDES_MAX};
use crate::operation::RecordMutation;
use crate::refusal::Refusal;
use crate::schema::{Field, FieldKind};
use crate::state::{Attempt, FieldRow, FieldValue, Key, Row};
use crate::unknown::Unknown;

impl Settling<'_, '_> {
    /// The field's declaration. A field nobody declared gets the kind of the first action that settles on it.
    pub fn field_spec(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        fits: &[FieldKind],
    ) -> Attempt<Field> {
        let schema = self.tx.schema()?;
        let collection = &mutation.collection;
        let strict = schema.is_some_and(|s| s.strict);
        let known = schema.and_then(|s| s.field(collection, field)).cloned();
        if let Some(spec) = known {
            if fits.contains(&spec.kind) {
                return Ok(spec);
            }
            let action = mutation.action.kind();
            return Err(Refusal::KindMismatch { field: field.clone(), kind: spec.kind, action }.into());
        }
        if strict {
            return Err(self.undeclared_field(collection, field)?.into());
        }
        let Some(kind) = fits.first() else {
            let detail = format!("no field kind takes {}", mutation.action.name());
            return Err(Refusal::Inconsistent { detail }.into());
        };
        self.derive_field(collection, field, *kind)?;
        Ok(Field::of(*kind))
    }

    fn undeclared_field(&self, collection: &CollectionId, field: &FieldId) -> Attempt<Refusal> {
        let known = self.tx.schema()?.is_some_and(|s| s.collections.contains_key(collection));
        Ok(if known {
            Refusal::UndeclaredField { collection: collection.clone(), field: field.clone() }
        } else {
            Refusal::UndeclaredCollection { collection: collection.clone() }
        })
    }

    fn derive_field(&mut self, collection: &CollectionId, field: &FieldId, kind: FieldKind) -> Attempt<()> {
        let (schema, weight_bytes) = self.tx.schema_mut()?;
        let derived = schema.derive(weight_bytes, collection, field, kind);
        derived.map_err(|error| {
            let detail = error.to_string();
            Refusal::InvalidOperation { field: "field_id".to_owned(), detail }.into()
        })
    }

    /// A field's row, or an empty one if nobody has written the field.
    pub fn field_row(&mut self, record: &RecordId, field: &FieldId, kind: FieldKind) -> Attempt<FieldRow> {
        match self.tx.field(record, field)? {
            Some(row) => Ok(row.clone()),
            None => {
                self.tx.mark_fresh_set(record, field);
                Ok(FieldRow {
                    value: FieldValue::empty(kind),
                    last_seq: Seq::START,
                    regions: Vec::new(),
                    unknown: Unknown::NONE,
                })
            }
        }
    }

    /// Refuses a write that would leave more values that did not know each other than a field may have.
    pub fn check_heads(
        &self,
        mutation: &RecordMutation,
        (count, weight_bytes): (usize, usize),
        before: usize,
    ) -> Attempt<()> {
        let is_more = count > before && count > 1;
        let limit = if count > CONFLICT_SIDES_MAX { CONFLICT_SIDES_MAX } else { CONFLICT_SIDES_BYTES_MAX };
        if is_more && (count > CONFLICT_SIDES_MAX || weight_bytes > CONFLICT_SIDES_BYTES_MAX) {
            return Err(Refusal::TooManySides { record: mutation.record.clone(), limit: limit as u64 }.into());
        }
        Ok(())
    }

    /// Writes a field's new state and adds the effect.
    pub fn put_field(&mut self, mutation: &RecordMutation, field: &FieldId, row: FieldRow, kind: EffectKind) {
        let effect = Effect {
            collection: mutation.collection.clone(),
            record: mutation.record.clone(),
            field: Some(field.clone()),
            mutation_index: self.mutation_index(),
            previous_seq: row.last_seq,
            kind,
        };
        self.effects.push(effect);
        let row = FieldRow { last_seq: self.stamp.seq, ..row };
        self.tx.put(Key::Field(mutation.record.clone(), field.clone()), Row::Field(row));
    }

    /// Changes of a field that the author did not know, newest first: a walk back through the field's chain, as long
    /// as the concurrency window.
    pub fn unknown_changes(
        &self,
        record: &RecordId,
        field: &FieldId,
        last_seq: Seq,
        mutation: &RecordMutation,
    ) -> Attempt<Vec<Arc<Change>>> {
        let base = self.base_for(mutation);
        let mut unknown = Vec::new();
        let mut seq = last_seq;
        for _ in 0..CHAIN_STEPS_MAX {
            if seq == self.stamp.seq {
                seq = self.own_previous(record, field);
                continue;
            }
            if seq <= base {
                break;
            }
            let change = self.tx.change(seq)?;
            seq = change.effect_on(record, field).map_or(Seq::START, |e| e.previous_seq);
            if !self.knows_for(mutation, &change.stamp()) {
                unknown.push(change);
            }
        }
        Ok(unknown)
    }

    /// Whether others changed a field that this author did not know: a look at its latest changes. Where the author's own
    /// ones come first, the latest of them was made with the same knowledge and says it.
    pub fn is_behind(&self, mutation: &RecordMutation, field: &FieldId, last_seq: Seq) -> Attempt<bool> {
        let record = &mutation.record;
        let mut seq = last_seq;
        for _ in 0..BEHIND_STEPS_MAX {
            if seq == self.stamp.seq {
                seq = self.own_previous(record, field);
                continue;
            }
            if seq <= self.author.base_seq {
                return Ok(false);
            }
            let change = self.tx.change(seq)?;
            if !self.knows(&change.stamp()) {
                return Ok(true);
            }
            if change.author.replica_no != ReplicaNo::SERVER
                && change.author.replica_no == self.author.replica_no
                && change.author.base_seq == self.author.base_seq
            {
                return Ok(change.settlement.merged);
            }
            seq = change.effect_on(record, field).map_or(Seq::START, |e| e.previous_seq);
        }
        Ok(false)
    }

    /// Position of the field's last change before this operation.
    pub fn own_previous(&self, record: &RecordId, field: &FieldId) -> Seq {
        self.effects
            .iter()
            .find(|e| e.record == *record && e.field.as_ref() == Some(field))
            .map_or(Seq::START, |e| e.previous_seq)
    }
}
