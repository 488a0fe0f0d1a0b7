//! Registers and to-one links: a head set of maximal writers, with a conflict where their values differ.

use super::conflict::{Clash, Contender};
use super::settle::Settling;
use crate::causality::Seq;
use crate::change::EffectKind;
use crate::conflict::{ConflictKind, Scope, ScopePart};
use crate::fault;
use crate::ids::{FieldId, RecordId};
use crate::operation::RecordMutation;
use crate::schema::{Field, FieldKind, Provisional};
use crate::state::{Attempt, FieldRow, FieldValue, RegisterHead};
use crate::unknown::Unknown;
use crate::value::Value;
use std::cmp::Ordering;

impl Settling<'_, '_> {
    /// Sets a register field.
    pub(super) fn set_register(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        value: Value,
    ) -> Attempt<()> {
        let spec = self.field_spec(mutation, field, &[FieldKind::Register])?;
        self.touch_record(mutation)?;
        self.write_heads(mutation, field, spec, value)?;
        Ok(())
    }

    /// Puts a value among the heads of a register or to-one field; returns the heads before and after.
    pub(super) fn write_heads(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        spec: Field,
        value: Value,
    ) -> Attempt<(Vec<RegisterHead>, Vec<RegisterHead>)> {
        let row = self.field_row(&mutation.record, field, spec.kind)?;
        let before = match &row.value {
            FieldValue::Register(heads) | FieldValue::ToOne(heads) => heads.clone(),
            _ => Vec::new(),
        };
        let (known, unknown): (Vec<RegisterHead>, Vec<RegisterHead>) =
            before.iter().cloned().partition(|h| self.knows_for(mutation, &h.stamp));
        let rank = lineage_rank(known.iter().map(|h| h.rank), self.stamp.seq);
        let me = RegisterHead { stamp: self.stamp, rank, value: value.clone(), unknown: Unknown::NONE };
        let against: Vec<RegisterHead> =
            unknown.iter().filter(|h| !h.value.equals(&value)).cloned().collect();
        self.settlement.merged |= !unknown.is_empty();
        let mut after = if fault!(LastWriterOnly) { Vec::new() } else { unknown };
        after.push(me.clone());
        let weight: usize = after.iter().map(|head| head.value.weight_bytes()).sum();
        self.check_heads(mutation, (after.len(), weight), before.len())?;
        after.sort_by_key(|h| (h.rank, h.stamp.seq));
        if !fault!(ShownByPolicyNow) {
            show_first(spec.provisional, &mut after);
        }

        let kind = spec.kind;
        let scope = Scope { record: mutation.record.clone(), part: ScopePart::Field(field.clone()) };
        let contender =
            |h: &RegisterHead| Contender { stamp: h.stamp, rank: h.rank, value: Some(h.value.clone()) };
        self.record_clash(
            mutation,
            Clash {
                scope,
                kind: ConflictKind::Register,
                spec,
                mine: contender(&me),
                against: against.iter().map(contender).collect(),
                dominated: known.iter().map(|h| h.stamp).collect(),
                last_seq: row.last_seq,
            },
        )?;

        let shown = after.first().map(|h| h.value.clone()).unwrap_or(Value::Null);
        let heads = after.clone();
        let (value, effect) = if kind == FieldKind::ToOne {
            (FieldValue::ToOne(heads), EffectKind::Link { target: target_of(shown) })
        } else {
            let value = (shown != value).then_some(shown);
            (FieldValue::Register(heads), EffectKind::Register { value })
        };
        self.put_field(mutation, field, FieldRow { value, ..row }, effect);
        Ok((before, after))
    }

    /// The value of a register before two clashing writers: the newest change that both knew.
    pub(super) fn register_base(
        &self,
        record: &RecordId,
        field: &FieldId,
        last_seq: Seq,
        other_seq: Seq,
    ) -> Attempt<(Option<Value>, bool)> {
        let other = if other_seq == self.stamp.seq { None } else { Some(self.tx.change(other_seq)?) };
        let mut seq = last_seq;
        for _ in 0..crate::limits::BASE_SEARCH_STEPS_MAX {
            if seq == self.stamp.seq {
                seq = self.own_previous(record, field);
                continue;
            }
            if seq == 0 {
                return Ok((None, true));
            }
            let change = self.tx.change(seq)?;
            let stamp = change.stamp();
            let both = self.author.knows(&stamp)
                && other.as_ref().is_some_and(|o| o.seq != seq && o.author.knows(&stamp));
            if both {
                return Ok((shown_value(&change, record, field), true));
            }
            seq = change.effect_on(record, field).map_or(Seq::START, |e| e.previous_seq);
        }
        Ok((None, false))
    }
}

/// The value a field showed after a change.
fn shown_value(change: &crate::change::Change, record: &str, field: &str) -> Option<Value> {
    let effect =
        change.effects.iter().rev().find(|e| &*e.record == record && e.field.as_deref() == Some(field))?;
    match &effect.kind {
        EffectKind::Register { value: Some(value) } => Some(value.clone()),
        EffectKind::Register { value: None } => crate::change::own_value(change.mutation_of(effect)?),
        EffectKind::Link { target } => Some(target.clone().map_or(Value::Null, Value::from)),
        EffectKind::Counter { value, .. } => Some(Value::Int(*value)),
        EffectKind::RecordCreated
        | EffectKind::RecordDeleted
        | EffectKind::RecordRestored
        | EffectKind::Existence
        | EffectKind::Text { .. }
        | EffectKind::Set { .. }
        | EffectKind::Links { .. }
        | EffectKind::Conflict { .. } => None,
    }
}

/// The target that a to-one field's value names.
fn target_of(value: Value) -> Option<RecordId> {
    match value {
        Value::String(target) => Some(target.into()),
        _ => None,
    }
}

/// A writer continues the oldest lineage it knew; knowing none, it starts its own.
pub(super) fn lineage_rank(known: impl Iterator<Item = Seq>, own: Seq) -> Seq {
    if fault!(NewcomerTakesOver) {
        return Seq(0);
    }
    known.min().unwrap_or(own)
}

/// Puts the shown head first, so that a row still shows what the feed said when the field's policy has changed.
fn show_first(rule: Provisional, heads: &mut [RegisterHead]) {
    let shown = provisional(rule, heads).map(|h| h.stamp);
    if let Some(at) = heads.iter().position(|h| Some(h.stamp) == shown) {
        heads[..=at].rotate_right(1);
    }
}

/// The head that is shown: a pure function of the heads.
pub fn provisional(rule: Provisional, heads: &[RegisterHead]) -> Option<&RegisterHead> {
    let incumbent = || heads.iter().min_by_key(|h| (h.rank, h.stamp.seq));
    let comparable = heads.iter().all(|h| heads.first().is_none_or(|f| f.value.compare(&h.value).is_some()));
    // Of equal values of different kinds, the one that came first is shown.
    let order = |a: &RegisterHead, b: &RegisterHead| a.value.compare(&b.value).unwrap_or(Ordering::Equal);
    let age = |a: &RegisterHead, b: &RegisterHead| (a.rank, a.stamp.seq).cmp(&(b.rank, b.stamp.seq));
    match rule {
        Provisional::Incumbent => incumbent(),
        Provisional::Latest => heads.iter().max_by_key(|h| h.stamp.seq),
        Provisional::Min if comparable => heads.iter().min_by(|a, b| order(a, b).then(age(a, b))),
        Provisional::Max if comparable => heads.iter().max_by(|a, b| order(a, b).then(age(b, a))),
        Provisional::Min | Provisional::Max => incumbent(),
    }
}
