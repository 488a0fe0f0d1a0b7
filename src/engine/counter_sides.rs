//! What the sides of a counter's conflict come to: what each assigned, with the increments that it did not know.

use crate::store::{StoreError, StoreReader};
use syncline_core::causality::{Author, Seq, Stamp};
use syncline_core::change::{Change, Effect, EffectKind};
use syncline_core::conflict::{Alternative, Conflict, ConflictKind, ScopePart};
use syncline_core::ids::{FieldId, RecordId, WorkspaceNo};
use syncline_core::state::{CounterHead, FieldRow, FieldValue, Key, Row};
use syncline_core::value::Value;

use super::EngineError;

/// Maximum number of a counter's changes that are read, the newest first, to add up increments.
const INCREMENT_STEPS_MAX: usize = 10_000;

/// Adds the increments that each side of a live conflict did not know to what it assigned. A side whose increments lie
/// too far back keeps what it assigned, and cannot be chosen.
pub(super) async fn add_increments(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    conflict: &mut Conflict,
    head_seq: Seq,
) -> Result<(), EngineError> {
    let (ConflictKind::Register, ScopePart::Field(field), true) =
        (conflict.kind, &conflict.scope.part, conflict.status.is_live())
    else {
        return Ok(());
    };
    let key = Key::Field(conflict.scope.record.clone(), field.clone());
    let row = reader.rows(ws, &[key]).await?.pop().flatten();
    let Some(Row::Field(FieldRow { value: FieldValue::Counter(heads), last_seq, .. })) = row else {
        return Ok(());
    };
    let counter = CounterField { record: &conflict.scope.record, field, last_seq };
    let sides: Vec<&Alternative> = conflict.alternatives.iter().collect();
    let offered = counter.offered(reader, ws, &heads, &sides, head_seq).await?;
    for (alternative, offered) in conflict.alternatives.iter_mut().zip(offered) {
        let Some(offered) = offered else { continue };
        let shown = offered.clamp(i64::MIN.into(), i64::MAX.into());
        alternative.value = Some(Value::Int(i64::try_from(shown).unwrap_or(0)));
    }
    Ok(())
}

/// A counter of a record.
pub(super) struct CounterField<'c> {
    pub record: &'c RecordId,
    pub field: &'c FieldId,
    /// Position of its last change.
    pub last_seq: Seq,
}

impl CounterField<'_> {
    /// What each of these sides comes to at a position; none for one that assigns nothing, or whose increments lie too
    /// far back. The counter's changes are read once for all of them.
    pub(super) async fn offered(
        &self,
        reader: &mut dyn StoreReader,
        ws: WorkspaceNo,
        heads: &[CounterHead],
        sides: &[&Alternative],
        at_seq: Seq,
    ) -> Result<Vec<Option<i128>>, StoreError> {
        // The counter keeps the sum for a side that is still one of its heads, up to now. For one that was overwritten it
        // keeps none, and the increments after the author's base are added up.
        let is_head = |side: &Alternative| heads.iter().find(|head| head.stamp == side.stamp);
        let from = sides.iter().map(|side| match is_head(side) {
            Some(_) => at_seq,
            None => side.author.base_seq,
        });
        let Some(after) = from.min() else { return Ok(Vec::new()) };
        let mut sums = vec![0_i128; sides.len()];
        let is_whole = self
            .each_increment(reader, ws, after, |change, added| {
                let Author { replica_no, counter, .. } = change.author;
                let stamp = Stamp { seq: change.seq, replica_no, counter };
                for (side, sum) in sides.iter().zip(&mut sums) {
                    if is_head(side).is_some() {
                        *sum -= if change.seq > at_seq { added } else { 0 };
                    } else if change.seq <= at_seq && !side.author.knows(&stamp) {
                        *sum += added;
                    }
                }
            })
            .await?;
        let whole = |(side, sum): (&&Alternative, i128)| match (is_head(side), &side.value) {
            // Nothing came after the position, or all of it was read.
            (Some(head), _) if is_whole || self.last_seq <= at_seq => {
                Some(i128::from(head.value) + i128::from(head.increments) + sum)
            }
            (None, Some(Value::Int(assigned))) if is_whole => Some(i128::from(*assigned) + sum),
            _ => None,
        };
        Ok(sides.iter().zip(sums).map(whole).collect())
    }

    /// The sum of all increments after a position; none if there are too many changes to read.
    pub(super) async fn increments_after(
        &self,
        reader: &mut dyn StoreReader,
        ws: WorkspaceNo,
        after: Seq,
    ) -> Result<Option<i128>, StoreError> {
        let mut sum = 0;
        let is_whole = self.each_increment(reader, ws, after, |_, added| sum += added).await?;
        Ok(is_whole.then_some(sum))
    }

    /// Goes back along the counter's changes to a position. Returns `false` if it gave up before.
    async fn each_increment(
        &self,
        reader: &mut dyn StoreReader,
        ws: WorkspaceNo,
        after: Seq,
        mut take: impl FnMut(&Change, i128) + Send,
    ) -> Result<bool, StoreError> {
        let mut seq = self.last_seq;
        for _ in 0..INCREMENT_STEPS_MAX {
            if seq <= after {
                return Ok(true);
            }
            let Some(change) = reader.changes(ws, seq - 1, seq, 1).await?.pop() else { return Ok(false) };
            let mut previous = Seq::START;
            let here = |e: &&Effect| e.record == *self.record && e.field.as_ref() == Some(self.field);
            for effect in change.effects.iter().filter(here) {
                if let EffectKind::Counter { added, .. } = effect.kind {
                    take(&change, i128::from(added));
                }
                if effect.previous_seq < seq {
                    previous = effect.previous_seq;
                }
            }
            seq = previous;
        }
        Ok(seq <= after)
    }
}
