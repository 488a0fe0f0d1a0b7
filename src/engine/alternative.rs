//! What a side of a conflict offers, whole. A conflict keeps only the beginning of long values; the rest is in the log.

use crate::store::{StoreError, StoreReader};
use syncline_core::causality::Seq;
use syncline_core::conflict::{Alternative, Conflict, ConflictKind, ScopePart};
use syncline_core::hash::hash;
use syncline_core::ids::{ConflictId, WorkspaceNo};
use syncline_core::operation::Action;
use syncline_core::state::{CounterHead, FieldRow, FieldValue, Key, Row};
use syncline_core::value::Value;

use super::read_conflicts::read_conflict;
use super::{Engine, EngineError};

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
        add_increments(&mut *reader, ws, &mut conflict).await?;
        match conflict.alternatives.iter().find(|alternative| alternative.stamp.seq == seq) {
            Some(alternative) => Ok(Some(whole_value(&mut *reader, ws, &conflict, alternative).await?)),
            None => Ok(None),
        }
    }
}

/// Adds to what the sides of a counter's conflict assigned the increments that each did not know: that is what choosing
/// one comes to. A side that was overwritten offers what it assigned.
pub(super) async fn add_increments(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    conflict: &mut Conflict,
) -> Result<(), EngineError> {
    let (ConflictKind::Register, ScopePart::Field(field)) = (conflict.kind, &conflict.scope.part) else {
        return Ok(());
    };
    let key = Key::Field(conflict.scope.record.clone(), field.clone());
    let row = reader.rows(ws, &[key]).await?.pop().flatten();
    let Some(Row::Field(FieldRow { value: FieldValue::Counter(heads), .. })) = row else { return Ok(()) };
    for alternative in &mut conflict.alternatives {
        if let Some(offered) = offered_by_counter(&heads, alternative) {
            alternative.value = Some(Value::Int(offered));
        }
    }
    Ok(())
}

/// What a side of a counter's conflict comes to, unless it was overwritten.
pub(super) fn offered_by_counter(heads: &[CounterHead], alternative: &Alternative) -> Option<i64> {
    let head = heads.iter().find(|head| head.stamp == alternative.stamp)?;
    Some(head.value.saturating_add(head.increments))
}

/// The whole value of a side; none for a delete.
pub(super) async fn whole_value(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    conflict: &Conflict,
    alternative: &Alternative,
) -> Result<Option<Value>, EngineError> {
    let Some(cut) = &alternative.cut else { return Ok(alternative.value.clone()) };
    let seq = alternative.stamp.seq;
    let field = conflict.scope.field();
    let change = reader.changes(ws, seq.saturating_sub(1), seq, 1).await?.pop();
    let mutations = change.iter().flat_map(|change| &change.mutations);
    // An operation may write a field several times: its hash tells which of the values this side is.
    let written = mutations.filter_map(|mutation| mutation.on_record()).find_map(|mutation| {
        let of_record = mutation.record == conflict.scope.record;
        let value = match &mutation.action {
            Action::Set { field: set, value } if Some(set) == field => value.clone(),
            Action::Create { fields } => fields.iter().find(|(id, _)| Some(id) == field)?.1.clone(),
            Action::ReplaceText { field: replaced, text } if Some(replaced) == field => {
                Value::string(text.as_str())
            }
            _ => return None,
        };
        let Value::String(text) = &value else { return None };
        (of_record && hash(text.as_bytes()) == cut.hash).then_some(value)
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
