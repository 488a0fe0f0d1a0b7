//! Confirmed state as a client keeps it: the sum of the effects of a feed.
//!
//! It trusts nothing: an effect that does not fit the state is an error, after which the owner of the fold drops it and
//! loads everything anew.

mod field;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use syncline_core::causality::Seq;
use syncline_protocol::pb;
use syncline_protocol::pb::record_effect::Effect as RecordEffect;

pub use field::FoldedField;

/// Why an effect, or a record that was loaded, does not fit what the client has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// A part that it must have is missing, or of a kind that this version does not know.
    #[error("{what} is missing or unknown")]
    Incomplete {
        /// The part.
        what: &'static str,
    },
    /// A snapshot brings a record for the second time.
    #[error("record {record_id} comes twice in a snapshot")]
    Twice {
        /// The record.
        record_id: String,
    },
    /// A record is created, deleted or restored and was in that state before.
    #[error("record {record_id} is {now} and was so before")]
    SameExistence {
        /// The record.
        record_id: String,
        /// What the effect says: created, deleted or restored.
        now: &'static str,
    },
    /// A field has another kind than its effect.
    #[error("field {field_id} of record {record_id} is of another kind than its effect")]
    Kind {
        /// The record.
        record_id: String,
        /// The field.
        field_id: String,
    },
    /// An element or a link is added that was there, or removed that was not.
    #[error("field {field_id} of record {record_id}: an element or link is {now} and was so before")]
    SameElement {
        /// The record.
        record_id: String,
        /// The field.
        field_id: String,
        /// What the effect says: added or removed.
        now: &'static str,
    },
    /// A text keeps or deletes what it does not have.
    #[error(
        "field {field_id} of record {record_id}: the text does not have what its effect keeps or deletes"
    )]
    Text {
        /// The record.
        record_id: String,
        /// The field.
        field_id: String,
    },
}

/// A record as it was folded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FoldedRecord {
    /// Its collection.
    pub collection_id: String,
    /// It is deleted; its fields stay, for it may be restored.
    pub deleted: bool,
    /// Its fields by their ids.
    pub fields: BTreeMap<String, FoldedField>,
    /// Changes up to this position are in it already, because it was loaded with them.
    pub as_of_seq: Seq,
}

/// Everything that a client has of a workspace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fold {
    /// Records by their ids, deleted ones too.
    pub records: BTreeMap<String, FoldedRecord>,
    /// Conflicts by their ids, closed ones too.
    pub conflicts: BTreeMap<String, pb::Conflict>,
    /// The last change that was folded in.
    pub seq: Seq,
}

impl Fold {
    /// Takes in a part of a snapshot. It brings every record once.
    pub fn take_snapshot(&mut self, part: &pb::SnapshotResponse) -> Result<(), FoldError> {
        for snapshot in &part.records {
            let (record_id, record) = loaded(snapshot)?;
            if self.records.insert(record_id.clone(), record).is_some() {
                return Err(FoldError::Twice { record_id });
            }
        }
        part.conflicts.iter().cloned().for_each(|conflict| self.take_conflict(conflict));
        Ok(())
    }

    /// Takes in whole records in the place of what was there of them, with all of their live conflicts.
    pub fn enter(
        &mut self,
        records: &[pb::RecordSnapshot],
        conflicts: &[pb::Conflict],
    ) -> Result<(), FoldError> {
        for snapshot in records {
            let (record_id, record) = loaded(snapshot)?;
            self.records.insert(record_id, record);
        }
        conflicts.iter().cloned().for_each(|conflict| self.take_conflict(conflict));
        Ok(())
    }

    /// Drops records that are no longer asked for, with their conflicts.
    pub fn leave(&mut self, records: &[pb::RecordLeft]) {
        for record in records {
            self.records.remove(&record.record_id);
            self.conflicts.retain(|_, conflict| conflict.record_id != record.record_id);
        }
    }

    /// Takes in a change. After an error the fold is of no use any more.
    pub fn apply(&mut self, change: &pb::Change) -> Result<(), FoldError> {
        self.seq = Seq(change.seq);
        for effect in &change.effects {
            match effect.effect.as_ref().ok_or(FoldError::Incomplete { what: "an effect's kind" })? {
                pb::effect::Effect::Record(effect) => self.record_effect(Seq(change.seq), effect)?,
                pb::effect::Effect::ConflictChanged(changed) => {
                    let conflict = changed.conflict.clone();
                    self.take_conflict(
                        conflict.ok_or(FoldError::Incomplete { what: "the conflict of an effect" })?,
                    );
                }
            }
        }
        Ok(())
    }

    /// Whether a record is there and not deleted. Links may also name records that are not.
    pub fn is_alive(&self, record_id: &str) -> bool {
        self.records.get(record_id).is_some_and(|record| !record.deleted)
    }

    /// The ids of the conflicts that wait for a decision, put aside or not.
    pub fn live_conflicts(&self) -> BTreeSet<&str> {
        let live = self.conflicts.values().filter(|conflict| {
            matches!(conflict.status(), pb::ConflictStatus::Open | pb::ConflictStatus::Deferred)
        });
        live.map(|conflict| conflict.conflict_id.as_str()).collect()
    }

    /// A conflict's revision only grows: the newer one of what was loaded and what the feed brings stays.
    fn take_conflict(&mut self, conflict: pb::Conflict) {
        let known = self.conflicts.get(&conflict.conflict_id);
        if known.is_none_or(|known| known.revision <= conflict.revision) {
            self.conflicts.insert(conflict.conflict_id.clone(), conflict);
        }
    }

    fn record_effect(&mut self, seq: Seq, effect: &pb::RecordEffect) -> Result<(), FoldError> {
        let kind = effect.effect.as_ref().ok_or(FoldError::Incomplete { what: "an effect's kind" })?;
        let record = self.records.entry(effect.record_id.clone()).or_default();
        if seq <= record.as_of_seq {
            return Ok(());
        }
        let same = |now| Err(FoldError::SameExistence { record_id: effect.record_id.clone(), now });
        match kind {
            RecordEffect::RecordCreated(_) if *record != FoldedRecord::default() => same("created"),
            RecordEffect::RecordCreated(_) => {
                record.collection_id.clone_from(&effect.collection_id);
                Ok(())
            }
            RecordEffect::RecordDeleted(_) => match std::mem::replace(&mut record.deleted, true) {
                true => same("deleted"),
                false => Ok(()),
            },
            RecordEffect::RecordRestored(_) => match std::mem::take(&mut record.deleted) {
                true => Ok(()),
                false => same("restored"),
            },
            _ => record.change_field(effect, kind),
        }
    }
}

impl FoldedRecord {
    /// A record as a read or a snapshot shows it.
    pub fn of(record: &pb::Record) -> Result<FoldedRecord, FoldError> {
        let mut fields = BTreeMap::new();
        for (id, field) in &record.fields {
            let state = field.state.as_ref().ok_or(FoldError::Incomplete { what: "a field's state" })?;
            fields.insert(id.clone(), FoldedField::of(state));
        }
        let (collection_id, deleted) = (record.collection_id.clone(), record.deleted);
        Ok(FoldedRecord { collection_id, deleted, fields, as_of_seq: Seq::START })
    }

    /// The records that its links name.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.fields.values().flat_map(FoldedField::targets)
    }
}

fn loaded(snapshot: &pb::RecordSnapshot) -> Result<(String, FoldedRecord), FoldError> {
    let record = snapshot.record.as_ref().ok_or(FoldError::Incomplete { what: "a snapshot's record" })?;
    let folded = FoldedRecord { as_of_seq: Seq(snapshot.as_of_seq), ..FoldedRecord::of(record)? };
    Ok((record.record_id.clone(), folded))
}
