//! Where the regions of text conflicts stand while they are not live: a conflict that closes takes its place with it, one
//! that opens again has to find it.

use std::ops::Range;

use super::region_union::widen;
use super::settle::Settling;
use crate::causality::Seq;
use crate::change::EffectKind;
use crate::conflict::{Conflict, ScopePart};
use crate::limits::REOPENED_CHANGES_MAX;
use crate::merge::text::{Splice, follow};
use crate::refusal::Refusal;
use crate::state::{Attempt, FieldRow, Key, RegionPlace, Row};

impl Settling<'_, '_> {
    /// Takes the region of a conflict that closes out of the field's row.
    pub(super) fn forget_region(&mut self, conflict: &mut Conflict) -> Attempt<()> {
        let ScopePart::Region(field, _) = &conflict.scope.part else { return Ok(()) };
        let record = conflict.scope.record.clone();
        let Some(mut row) = self.tx.field(&record, field)?.cloned() else { return Ok(()) };
        let Some(index) = row.regions.iter().position(|place| place.conflict == conflict.id) else {
            return Ok(());
        };
        conflict.region = Some(row.regions.remove(index).range);
        self.tx.put(Key::Field(record, field.clone()), Row::Field(row));
        Ok(())
    }

    /// Puts the region of a conflict that opens again back into the field's row: follows it through everything that
    /// happened to the text since it closed.
    pub(super) fn find_region(&mut self, conflict: &mut Conflict) -> Attempt<()> {
        let ScopePart::Region(field, _) = conflict.scope.part.clone() else { return Ok(()) };
        let record = conflict.scope.record.clone();
        let row = self.tx.field(&record, &field)?.cloned();
        let (Some(row), Some(closing), Some(region)) = (row, conflict.closing, conflict.region) else {
            let detail = format!("conflict {} does not say where its region was", conflict.id);
            return Err(Refusal::Inconsistent { detail }.into());
        };
        let mut range: Range<u32> = region.into();
        for splices in self.splices_since(conflict, &row, closing.seq)?.iter().rev() {
            let followed = follow(splices, range, |_, _| false);
            widen(conflict, &followed.before, &followed.behind);
            range = followed.range;
        }
        let overlaps =
            |place: &&RegionPlace| place.range.start <= range.end && place.range.end >= range.start;
        if let Some(other) = row.regions.iter().find(overlaps) {
            return Err(Refusal::ConflictLive { conflict: other.conflict }.into());
        }
        conflict.region = Some(range.clone().into());
        let mut regions = row.regions.clone();
        regions.push(RegionPlace { conflict: conflict.id, range: range.into() });
        regions.sort_by_key(|place| place.range.start);
        let row = FieldRow { regions, ..row };
        self.tx.put(Key::Field(record, field), Row::Field(row));
        Ok(())
    }

    /// The effects on a conflict's text after a position, newest first.
    fn splices_since(&self, conflict: &Conflict, row: &FieldRow, closed: Seq) -> Attempt<Vec<Vec<Splice>>> {
        let (record, field) = (&conflict.scope.record, conflict.scope.field());
        let mut since = Vec::new();
        let mut seq = row.last_seq;
        while let Some(field) = field.filter(|_| seq > closed && seq < self.stamp.seq) {
            if since.len() == REOPENED_CHANGES_MAX {
                let detail = format!(
                    "the text was changed more than {REOPENED_CHANGES_MAX} times since the conflict closed; its versions \
                     can be read, and written again"
                );
                return Err(Refusal::InvalidOperation { field: "reopen_conflict".to_owned(), detail }.into());
            }
            let change = self.tx.change(seq)?;
            let Some(effect) = change.effect_on(record, field) else { break };
            if let EffectKind::Text { splices, .. } = &effect.kind {
                since.push(splices.clone());
            }
            seq = effect.previous_seq;
        }
        Ok(since)
    }
}
