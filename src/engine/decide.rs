//! Decisions about conflicts for callers without a replica: each becomes an ordinary operation.

use std::sync::Arc;

use crate::store::{StoreError, StoreReader};
use syncline_core::causality::Counter;
use syncline_core::conflict::{Alternative, Conflict, ConflictKind, ScopePart};
use syncline_core::hash::Hash;
use syncline_core::ids::{CollectionId, ConflictId, Dot, FieldId, RecordId, ReplicaId, WorkspaceNo};
use syncline_core::limits::CONFLICT_VALUE_BYTES_MAX;
use syncline_core::operation::{
    Action, CausalContext, ConflictAction, ConflictMutation, Identity, Knowledge, Mutation, Operation,
    Outcome, Receipt, RecordMutation, TextChoice,
};
use syncline_core::refusal::Refusal;
use syncline_core::sequencer::counter_value;
use syncline_core::state::{Existence, FieldRow, FieldValue, Key, Row};
use syncline_core::value::Value;

use super::alternative::whole_value;
use super::counter_sides::CounterField;
use super::decision::{Decider, Decision, Resolution};
use super::lane::Job;
use super::load::committed_head;
use super::read::receipt_of;
use super::read_conflicts::read_conflict;
use super::{Engine, EngineError};

impl Engine {
    /// Decides a conflict as it was at the revision that the decider saw.
    pub async fn resolve_conflict(
        &self,
        workspace: &str,
        resolution: Resolution,
    ) -> Result<Receipt, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let request_hash = resolution.content_hash();
        let Resolution { conflict: id, revision, context, decision, decider } = resolution;
        let mut reader = self.inner.store.reader().await?;
        if let Some(receipt) = self.decided_before(&mut *reader, ws, &decider, request_hash).await? {
            return Ok(receipt);
        }
        let head = committed_head(&mut *reader, ws).await?;
        let conflict = read_conflict(&mut *reader, ws, id).await?;
        if conflict.revision != revision || !conflict.status.is_live() {
            return Err(EngineError::ConflictChanged { conflict: id, revision: conflict.revision });
        }
        // Whoever decides on a revision knows what had happened up to that revision, and no more.
        let known = conflict.events.last().map_or(head.head_seq, |e| e.seq);
        let context = context.unwrap_or(CausalContext::at(head.epoch, known));
        let mut mutation = mutation_for(&mut *reader, ws, &conflict, decision, &context).await?;
        drop(reader);
        mutation.resolves = Some(id);
        let operation = Box::new(operation(decider, Knowledge::Context(context), mutation.into()));
        self.enqueue(|reply| Job::Decide { ws, operation, request_hash, reply }).await
    }

    /// Puts a conflict aside.
    pub async fn defer_conflict(
        &self,
        workspace: &str,
        conflict: ConflictId,
        revision: u64,
        remind_at_ms: i64,
        decider: Decider,
    ) -> Result<Receipt, EngineError> {
        self.act(workspace, conflict, ConflictAction::Defer { revision, remind_at_ms }, decider).await
    }

    /// Assigns a conflict to the person who is to decide it.
    pub async fn assign_conflict(
        &self,
        workspace: &str,
        conflict: ConflictId,
        assignee: Option<Arc<str>>,
        decider: Decider,
    ) -> Result<Receipt, EngineError> {
        self.act(workspace, conflict, ConflictAction::Assign { assignee }, decider).await
    }

    /// Opens a closed conflict again.
    pub async fn reopen_conflict(
        &self,
        workspace: &str,
        conflict: ConflictId,
        decider: Decider,
    ) -> Result<Receipt, EngineError> {
        self.act(workspace, conflict, ConflictAction::Reopen, decider).await
    }

    async fn act(
        &self,
        workspace: &str,
        id: ConflictId,
        action: ConflictAction,
        decider: Decider,
    ) -> Result<Receipt, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let mut reader = self.inner.store.reader().await?;
        read_conflict(&mut *reader, ws, id).await?;
        drop(reader);
        let mutation = ConflictMutation { conflict: id, action }.into();
        self.submit_to(ws, operation(decider, Knowledge::Latest, mutation)).await
    }

    /// The receipt of a decision that was made before under the same request id: asking again decides nothing new,
    /// though the conflict has moved on since. A request id that was used for anything else is refused.
    async fn decided_before(
        &self,
        reader: &mut dyn StoreReader,
        ws: WorkspaceNo,
        decider: &Decider,
        request_hash: Hash,
    ) -> Result<Option<Receipt>, EngineError> {
        let request_id = &decider.request_id;
        let row = reader.rows(ws, &[Key::Request(request_id.clone())]).await?.pop().flatten();
        let Some(Row::Request(row)) = row else { return Ok(None) };
        if row.expires_at_ms <= self.now_ms() {
            return Ok(None);
        }
        let dot = Dot { replica: ReplicaId::SERVER, counter: row.counter };
        let stored = receipt_of(reader, ws, dot).await?;
        let receipt = Receipt { request_id: Some(request_id.clone()), ..stored };
        if row.operation_hash != request_hash {
            let refusal = Refusal::RequestIdReused { request_id: request_id.clone() };
            let outcome = Outcome::NotSettled {
                refusal: Some(refusal),
                mutation_index: None,
                expected_counter: Counter::NONE,
            };
            return Ok(Some(Receipt { outcome, ..receipt }));
        }
        Ok(Some(Receipt { duplicate: true, ..receipt }))
    }
}

fn operation(decider: Decider, knowledge: Knowledge, mutation: Mutation) -> Operation {
    Operation {
        identity: Identity::Request(decider.request_id),
        knowledge,
        mutations: vec![mutation],
        depends_on: Vec::new(),
        after_requests: Vec::new(),
        await_records: false,
        correlation_id: "".into(),
        actor: decider.actor,
        client_time_ms: None,
        malformed: None,
    }
}

fn mismatch(detail: &str) -> EngineError {
    EngineError::DecisionMismatch { detail: detail.to_owned() }
}

fn on(collection: &CollectionId, record: &RecordId, action: Action) -> RecordMutation {
    RecordMutation {
        collection: collection.clone(),
        record: record.clone(),
        action,
        observed_seq: None,
        resolves: None,
    }
}

/// The mutation that carries a decision out.
async fn mutation_for(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    conflict: &Conflict,
    decision: Decision,
    context: &CausalContext,
) -> Result<RecordMutation, EngineError> {
    let (collection, record) = (&conflict.collection, &conflict.scope.record);
    let chosen = match &decision {
        Decision::Alternative(seq) => Some(
            conflict
                .alternatives
                .iter()
                .find(|a| a.stamp.seq == *seq)
                .ok_or_else(|| mismatch("the conflict has no alternative at this position"))?,
        ),
        _ => None,
    };
    match (conflict.kind, &conflict.scope.part) {
        (ConflictKind::Register, ScopePart::Field(field)) => {
            let row = field_row(reader, ws, record, field).await?;
            let value = match (decision, chosen) {
                (_, Some(alternative)) => {
                    chosen_value(reader, ws, conflict, alternative, field, &row, context).await?
                }
                (Decision::Value(value), _) => value,
                (Decision::KeepCurrent, _) => {
                    current_value(reader, ws, conflict, field, &row, context).await?
                }
                (Decision::Base, _)
                    if matches!(row.value, FieldValue::Register(_) | FieldValue::ToOne(_)) =>
                {
                    base_value(conflict)?
                }
                _ => return Err(mismatch("choose an alternative, give a value, or keep the current one")),
            };
            Ok(on(collection, record, write(field, &row.value, value)?))
        }
        (ConflictKind::TextOverlap, ScopePart::Region(field, _)) => {
            let field = field.clone();
            let choice = match decision {
                Decision::Alternative(seq) => TextChoice::Alternative(seq),
                Decision::Text(text) => TextChoice::Text(text),
                Decision::Value(Value::String(text)) => TextChoice::Text(text.to_string()),
                Decision::KeepCurrent => TextChoice::Current,
                Decision::Base => TextChoice::Base,
                _ => return Err(mismatch("choose a version, give a text, or keep the current one")),
            };
            Ok(on(collection, record, Action::DecideText { field, choice }))
        }
        (ConflictKind::EditDelete, _) => {
            let delete = match (decision, chosen) {
                (Decision::Delete, _) => true,
                (_, Some(alternative)) => alternative.deletes(),
                (Decision::KeepCurrent, _) => false,
                _ => return Err(mismatch("delete the record, or keep it")),
            };
            Ok(on(collection, record, if delete { Action::Delete } else { Action::Restore }))
        }
        (ConflictKind::Relationship, ScopePart::Link(field, target)) => {
            let delete = match (&decision, chosen) {
                (Decision::Delete, _) => true,
                (_, Some(alternative)) => alternative.deletes(),
                (Decision::Unlink | Decision::KeepCurrent, _) => false,
                _ => return Err(mismatch("delete the target, remove the link, or keep both")),
            };
            if delete {
                let target_collection = collection_of(reader, ws, target).await?;
                return Ok(on(&target_collection, target, Action::Delete));
            }
            // If one end is already deleted, keeping means restoring the target when the record is the deleted one, and
            // removing the link when the target is.
            let keeps = !matches!(decision, Decision::Unlink);
            if keeps && !is_alive(reader, ws, record).await? {
                let target_collection = collection_of(reader, ws, target).await?;
                return Ok(on(&target_collection, target, Action::Restore));
            }
            let keeps = keeps && is_alive(reader, ws, target).await?;
            let (field, target) = (field.clone(), target.clone());
            Ok(on(
                collection,
                record,
                if keeps {
                    Action::Link { field, target }
                } else {
                    Action::Unlink { field, target: Some(target) }
                },
            ))
        }
        _ => Err(mismatch("the conflict's kind and place do not fit each other")),
    }
}

async fn field_row(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    record: &RecordId,
    field: &FieldId,
) -> Result<FieldRow, EngineError> {
    match reader.rows(ws, &[Key::Field(record.clone(), field.clone())]).await?.pop().flatten() {
        Some(Row::Field(row)) => Ok(row),
        _ => Err(StoreError::Inconsistent(format!("field {field} of a conflict is missing")).into()),
    }
}

async fn is_alive(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    record: &RecordId,
) -> Result<bool, EngineError> {
    let row = reader.rows(ws, &[Key::Record(record.clone())]).await?.pop().flatten();
    Ok(matches!(row, Some(Row::Record(row)) if row.existence == Existence::Alive))
}

async fn collection_of(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    record: &RecordId,
) -> Result<CollectionId, EngineError> {
    match reader.rows(ws, &[Key::Record(record.clone())]).await?.pop().flatten() {
        Some(Row::Record(row)) => Ok(row.collection),
        _ => Err(EngineError::RecordNotFound { record: record.clone() }),
    }
}

/// The value of a side that is chosen. For a counter, with the increments that this side did not know, but without those
/// that the decision's author does not know: an assignment keeps those in addition.
async fn chosen_value(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    conflict: &Conflict,
    alternative: &Alternative,
    field: &FieldId,
    row: &FieldRow,
    context: &CausalContext,
) -> Result<Value, EngineError> {
    if let FieldValue::Counter(heads) = &row.value {
        let counter = CounterField { record: &conflict.scope.record, field, last_seq: row.last_seq };
        let mut offered = counter.offered(reader, ws, heads, &[alternative], context.base_seq).await?;
        return whole_number(offered.pop().flatten());
    }
    Ok(whole_value(reader, ws, conflict, alternative).await?.unwrap_or(Value::Null))
}

/// The value that is shown. For a counter, without the increments that the decision's author does not know: an
/// assignment keeps those in addition.
async fn current_value(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    conflict: &Conflict,
    field: &FieldId,
    row: &FieldRow,
    context: &CausalContext,
) -> Result<Value, EngineError> {
    match &row.value {
        // The head that is shown comes first.
        FieldValue::Register(heads) | FieldValue::ToOne(heads) => {
            Ok(heads.first().map_or(Value::Null, |h| h.value.clone()))
        }
        FieldValue::Counter(heads) => {
            let counter = CounterField { record: &conflict.scope.record, field, last_seq: row.last_seq };
            let later = counter.increments_after(reader, ws, context.base_seq).await?;
            whole_number(later.map(|later| i128::from(counter_value(heads).unwrap_or(0)) - later))
        }
        FieldValue::Text(_) | FieldValue::Set { .. } | FieldValue::ToMany { .. } => Ok(Value::Null),
    }
}

/// What both sides of a register started from, if that is known and kept whole.
fn base_value(conflict: &Conflict) -> Result<Value, EngineError> {
    if !conflict.base_exact {
        return Err(mismatch("what the sides started from lies too far back; give a value"));
    }
    match conflict.base.clone().unwrap_or(Value::Null) {
        // As long as it can be, it may be only the beginning.
        Value::String(text) if text.len() + 4 > CONFLICT_VALUE_BYTES_MAX => {
            Err(mismatch("only the beginning of what the sides started from is kept; give a value"))
        }
        value => Ok(value),
    }
}

/// A counter's value for a decision; none if it lies too far back to be added up.
fn whole_number(value: Option<i128>) -> Result<Value, EngineError> {
    let too_far = "the counter changed too often since; read the conflict again, or give a value";
    let value = value.ok_or_else(|| mismatch(too_far))?;
    let value = i64::try_from(value).map_err(|_| mismatch("the counter would leave the range of 64 bits"))?;
    Ok(Value::Int(value))
}

/// The action that gives a field of this kind a value.
fn write(field: &FieldId, row: &FieldValue, value: Value) -> Result<Action, EngineError> {
    let field = field.clone();
    match (row, value) {
        (FieldValue::Counter(_), Value::Int(value)) => Ok(Action::AssignCounter { field, value }),
        (FieldValue::Counter(_), _) => Err(mismatch("a counter takes a whole number")),
        (FieldValue::ToOne(_), Value::String(target)) => Ok(Action::Link { field, target: target.into() }),
        (FieldValue::ToOne(_), Value::Null) => Ok(Action::Unlink { field, target: None }),
        (FieldValue::ToOne(_), _) => Err(mismatch("a to-one link takes a record id or null")),
        (
            FieldValue::Register(_)
            | FieldValue::Text(_)
            | FieldValue::Set { .. }
            | FieldValue::ToMany { .. },
            value,
        ) => Ok(Action::Set { field, value }),
    }
}
