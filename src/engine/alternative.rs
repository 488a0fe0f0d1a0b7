//! What a side of a conflict offers, whole. A conflict keeps only the beginning of long values; the rest is in the log.

use crate::store::{StoreError, StoreReader};
use syncline_core::causality::{Author, Seq, Stamp};
use syncline_core::change::{Change, Effect, EffectKind};
use syncline_core::conflict::{Alternative, Conflict, ConflictKind, ScopePart};
use syncline_core::hash::hash;
use syncline_core::ids::{ConflictId, FieldId, RecordId, WorkspaceNo};
use syncline_core::operation::{Action, Mutation};
use syncline_core::state::{CounterHead, FieldRow, FieldValue, Key, Row};
use syncline_core::value::Value;

use super::load::committed_head;
use super::read_conflicts::read_conflict;
use super::{Engine, EngineError};

/// Maximum number of a counter's changes that are looked at for the increments that a side did not know.
const INCREMENT_STEPS_MAX: usize = 10_000;

impl Engine {
    /// What a side of a conflict offers, by the position of its operation: a value, or none for a delete. `None` if the
    /// conflict has no such side.
    pub async fn alternative(
        &self,
        workspace: &str,
        conflict: ConflictId,
        seq: Seq,
    ) -> Result<Option<Option<Value>>, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let mut reader = self.inner.store.reader().await?;
        let mut conflict = read_conflict(&mut *reader, ws, conflict).await?;
        let head = committed_head(&mut *reader, ws).await?;
        add_increments(&mut *reader, ws, &mut conflict, head.head_seq).await?;
        match conflict.alternatives.iter().find(|alternative| alternative.stamp.seq == seq) {
            Some(alternative) => Ok(Some(whole_value(&mut *reader, ws, &conflict, alternative).await?)),
            None => Ok(None),
        }
    }
}

/// Adds to what the sides of a counter's conflict assigned the increments that each did not know: that is what choosing
/// one comes to.
pub(super) async fn add_increments(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    conflict: &mut Conflict,
    head_seq: Seq,
) -> Result<(), EngineError> {
    let (ConflictKind::Register, ScopePart::Field(field)) = (conflict.kind, &conflict.scope.part) else {
        return Ok(());
    };
    let counter = CounterField { record: &conflict.scope.record, field };
    let Some(row) = counter.row(reader, ws).await? else { return Ok(()) };
    let FieldValue::Counter(heads) = &row.value else { return Ok(()) };
    for alternative in &mut conflict.alternatives {
        if let Some(offered) = counter.offered(reader, ws, heads, alternative, head_seq).await? {
            let shown = offered.clamp(i64::MIN.into(), i64::MAX.into());
            alternative.value = Some(Value::Int(i64::try_from(shown).unwrap_or(0)));
        }
    }
    Ok(())
}

/// A counter of a record.
pub(super) struct CounterField<'c> {
    pub record: &'c RecordId,
    pub field: &'c FieldId,
}

impl CounterField<'_> {
    async fn row(
        &self,
        reader: &mut dyn StoreReader,
        ws: WorkspaceNo,
    ) -> Result<Option<FieldRow>, StoreError> {
        let key = Key::Field(self.record.clone(), self.field.clone());
        match reader.rows(ws, &[key]).await?.pop().flatten() {
            Some(Row::Field(row)) => Ok(Some(row)),
            _ => Ok(None),
        }
    }

    /// What a side comes to at a position: its assignment with the increments up to there that it did not know. None for
    /// a side that assigns nothing.
    pub(super) async fn offered(
        &self,
        reader: &mut dyn StoreReader,
        ws: WorkspaceNo,
        heads: &[CounterHead],
        alternative: &Alternative,
        at_seq: Seq,
    ) -> Result<Option<i128>, StoreError> {
        if let Some(head) = heads.iter().find(|head| head.stamp == alternative.stamp) {
            let later = self.increments(reader, ws, at_seq, &|_| true).await?;
            return Ok(Some(i128::from(head.value) + i128::from(head.increments) - later));
        }
        // The counter keeps no sum for a side that was overwritten.
        let Some(Value::Int(assigned)) = alternative.value else { return Ok(None) };
        let author = &alternative.author;
        let unknown = |change: &Change| {
            let Author { replica_no, counter, .. } = change.author;
            change.seq <= at_seq && !author.knows(&Stamp { seq: change.seq, replica_no, counter })
        };
        let added = self.increments(reader, ws, author.base_seq, &unknown).await?;
        Ok(Some(i128::from(assigned) + added))
    }

    /// The sum of the increments after a position that count, along the chain of the counter's changes; of its last
    /// [`INCREMENT_STEPS_MAX`] changes at most.
    pub(super) async fn increments(
        &self,
        reader: &mut dyn StoreReader,
        ws: WorkspaceNo,
        after: Seq,
        counts: &(dyn Fn(&Change) -> bool + Send + Sync),
    ) -> Result<i128, StoreError> {
        let mut sum: i128 = 0;
        let mut seq = self.row(reader, ws).await?.map_or(Seq::START, |row| row.last_seq);
        for _ in 0..INCREMENT_STEPS_MAX {
            if seq <= after {
                break;
            }
            let Some(change) = reader.changes(ws, seq - 1, seq, 1).await?.pop() else { break };
            let mut previous = Seq::START;
            let here = |e: &&Effect| e.record == *self.record && e.field.as_ref() == Some(self.field);
            for effect in change.effects.iter().filter(here) {
                if let EffectKind::Counter { added, .. } = effect.kind
                    && counts(&change)
                {
                    sum += i128::from(added);
                }
                if effect.previous_seq < seq {
                    previous = effect.previous_seq;
                }
            }
            seq = previous;
        }
        Ok(sum)
    }
}

/// The whole value of a side; none for a delete.
pub(super) async fn whole_value(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    conflict: &Conflict,
    alternative: &Alternative,
) -> Result<Option<Value>, EngineError> {
    let Some(cut) = &alternative.cut else { return Ok(alternative.value.clone()) };
    let is_whole = |text: &str| text.len() as u64 == cut.whole_bytes && hash(text.as_bytes()) == cut.hash;
    if let Some(hunk) = &alternative.hunk
        && is_whole(&hunk.hunk.ins)
    {
        return Ok(Some(Value::string(hunk.hunk.ins.as_str())));
    }
    let seq = alternative.stamp.seq;
    let change = reader.changes(ws, seq.saturating_sub(1), seq, 1).await?.pop();
    let mutations = change.iter().flat_map(|change| &change.mutations).filter_map(Mutation::on_record);
    // An operation may write several values: the size and the hash tell which of them this side is.
    let written =
        mutations.filter(|mutation| mutation.record == conflict.scope.record).find_map(|mutation| {
            match &mutation.action {
                Action::Set { value: Value::String(text), .. } if is_whole(text) => {
                    Some(Value::String(text.clone()))
                }
                Action::ReplaceText { text, .. } if is_whole(text) => Some(Value::string(text.as_str())),
                Action::EditText { hunks, .. } => {
                    let hunk = hunks.iter().find(|hunk| is_whole(&hunk.ins))?;
                    Some(Value::string(hunk.ins.as_str()))
                }
                Action::Create { fields } => fields.iter().find_map(|(_, value)| match value {
                    Value::String(text) if is_whole(text) => Some(value.clone()),
                    _ => None,
                }),
                _ => None,
            }
        });
    match written {
        Some(value) => Ok(Some(value)),
        None => Err(StoreError::Inconsistent(format!(
            "the log does not have the {} bytes that an alternative of conflict {} offers at {seq}",
            cut.whole_bytes, conflict.id
        ))
        .into()),
    }
}
