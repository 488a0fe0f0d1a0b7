//! What a side of a conflict offers, whole. A conflict keeps only the beginning of long values; the rest is in the log.
//! Versions of texts are kept whole.

use crate::store::{StoreError, StoreReader};
use syncline_core::causality::Seq;
use syncline_core::conflict::{Alternative, Conflict};
use syncline_core::hash::hash;
use syncline_core::ids::{ConflictId, WorkspaceNo};
use syncline_core::operation::{Action, Mutation};
use syncline_core::value::Value;

use super::counter_sides::add_increments;
use super::load::committed_head;
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
        let head = committed_head(&mut *reader, ws).await?;
        add_increments(&mut *reader, ws, &mut conflict, head.head_seq).await?;
        match conflict.alternatives.iter().find(|alternative| alternative.stamp.seq == seq) {
            Some(alternative) => Ok(Some(whole_value(&mut *reader, ws, &conflict, alternative).await?)),
            None => Ok(None),
        }
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
                Action::Create { fields, .. } => fields.iter().find_map(|(_, value)| match value {
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
