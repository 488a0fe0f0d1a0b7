//! Counters: increments add up; an assignment keeps the increments its author did not know.

use super::conflict::{Clash, Contender};
use super::register::lineage_rank;
use super::settle::Settling;
use crate::causality::{Seq, Stamp};
use crate::change::EffectKind;
use crate::conflict::{ConflictKind, Scope, ScopePart};
use crate::fault;
use crate::ids::FieldId;
use crate::operation::RecordMutation;
use crate::refusal::Refusal;
use crate::schema::FieldKind;
use crate::state::{Attempt, CounterHead, FieldRow, FieldValue};
use crate::unknown::Unknown;
use crate::value::Value;

/// What a counter starts from: an assignment of 0 that everybody knows.
const START: CounterHead =
    CounterHead { stamp: Stamp::NONE, rank: Seq::START, value: 0, increments: 0, unknown: Unknown::NONE };

/// The value a counter shows: the incumbent assignment and the increments it did not know.
pub fn counter_value(heads: &[CounterHead]) -> Option<i64> {
    let head = heads.iter().min_by_key(|h| (h.rank, h.stamp.seq)).unwrap_or(&START);
    head.value.checked_add(head.increments)
}

impl Settling<'_, '_> {
    /// Adds to a counter.
    pub(super) fn increment(&mut self, mutation: &RecordMutation, field: &FieldId, by: i64) -> Attempt<()> {
        self.field_spec(mutation, field, &[FieldKind::Counter])?;
        self.touch_record(mutation)?;
        let row = self.field_row(&mutation.record, field, FieldKind::Counter)?;
        let mut heads = counter_heads(&row);
        self.settlement.merged |= self.is_behind(mutation, field, row.last_seq)?;
        for head in &mut heads {
            head.increments = head.increments.checked_add(by).ok_or_else(|| out_of_range(field))?;
        }
        let value = counter_value(&heads).ok_or_else(|| out_of_range(field))?;
        let row = FieldRow { value: FieldValue::Counter(heads), ..row };
        self.put_field(mutation, field, row, EffectKind::Counter { value, added: by });
        Ok(())
    }

    /// Assigns a counter.
    pub(super) fn assign_counter(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        value: i64,
    ) -> Attempt<()> {
        let spec = self.field_spec(mutation, field, &[FieldKind::Counter])?;
        self.touch_record(mutation)?;
        let row = self.field_row(&mutation.record, field, FieldKind::Counter)?;
        let (known, unknown): (Vec<_>, Vec<_>) =
            counter_heads(&row).into_iter().partition(|h| self.knows_for(mutation, &h.stamp));
        let concurrent = self.unknown_changes(&mutation.record, field, row.last_seq, mutation)?;
        self.settlement.merged |= !concurrent.is_empty();
        let mut increments: i64 = 0;
        for change in &concurrent {
            for effect in &change.effects {
                if let (EffectKind::Counter { added, .. }, true) =
                    (&effect.kind, effect.record == mutation.record && effect.field.as_ref() == Some(field))
                {
                    increments = increments.checked_add(*added).ok_or_else(|| out_of_range(field))?;
                }
            }
        }
        if fault!(AssignForgetsIncrements) {
            increments = 0;
        }
        let rank = lineage_rank(known.iter().map(|h| h.rank), self.stamp.seq);
        let me = CounterHead { stamp: self.stamp, rank, value, increments, unknown: Unknown::NONE };
        let contender =
            |h: &CounterHead| Contender { stamp: h.stamp, rank: h.rank, value: Some(Value::Int(h.value)) };
        self.record_clash(
            mutation,
            Clash {
                scope: Scope { record: mutation.record.clone(), part: ScopePart::Field(field.clone()) },
                kind: ConflictKind::Register,
                spec,
                mine: contender(&me),
                against: unknown.iter().filter(|h| h.value != value).map(contender).collect(),
                dominated: known.iter().map(|h| h.stamp).collect(),
                last_seq: row.last_seq,
            },
        )?;
        let mut heads = unknown;
        let before = heads.len();
        heads.push(me);
        self.check_heads(mutation, (heads.len(), 0), before)?;
        heads.sort_by_key(|h| (h.rank, h.stamp.seq));
        let shown = counter_value(&heads).ok_or_else(|| out_of_range(field))?;
        let row = FieldRow { value: FieldValue::Counter(heads), ..row };
        self.put_field(mutation, field, row, EffectKind::Counter { value: shown, added: 0 });
        Ok(())
    }
}

fn counter_heads(row: &FieldRow) -> Vec<CounterHead> {
    match &row.value {
        FieldValue::Counter(heads) if !heads.is_empty() => heads.clone(),
        _ => vec![START],
    }
}

fn out_of_range(field: &FieldId) -> Refusal {
    Refusal::CounterOutOfRange { field: field.clone() }
}
