//! Reads of records: one, pages of a collection, a record's history. Each shows one committed state.

use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::store::{Order, StoreError, StoreReader};
use syncline_core::causality::Seq;
use syncline_core::change::Change;
use syncline_core::fault;
use syncline_core::ids::{CollectionId, Dot, RecordId, ReplicaId, WorkspaceNo};
use syncline_core::operation::{CausalContext, Outcome, Receipt};
use syncline_core::state::{Key, Prefix, Row, WorkspaceHead};
use syncline_core::value::Value;
use syncline_core::view::{FieldCondition, FieldFilter, FieldStateView, RecordView};

use super::record_view::{self, all, id};
use super::workspaces::committed_head;
use super::{Engine, EngineError};

/// Records looked at for one page of a filtered list; a page may come out short and still have a next one.
const RECORDS_SCANNED_PER_PAGE: usize = 5_000;
/// Records read at once.
const RECORDS_PER_READ: usize = 200;

/// A page of records.
#[derive(Debug, Default)]
pub struct RecordPage {
    pub records: Vec<RecordView>,
    pub next: Option<RecordId>,
}

/// Whether a record passes a filter.
fn accepts(filter: &FieldFilter, record: &RecordView) -> bool {
    let state = record.fields.get(&filter.field).map(|f| &f.state);
    match &filter.condition {
        FieldCondition::Equals(value) => equals(state, value),
        FieldCondition::NotEquals(value) => !equals(state, value),
        FieldCondition::Contains(value) => match (state, value) {
            (Some(FieldStateView::Elements(elements)), _) => {
                elements.iter().any(|element| element.equals(value))
            }
            (Some(FieldStateView::Targets(targets)), Value::String(target)) => targets.contains(target),
            _ => false,
        },
        FieldCondition::ContainsText(part) => match state {
            Some(FieldStateView::Text(text)) => text.contains(&**part),
            Some(FieldStateView::Register(Value::String(text))) => text.contains(&**part),
            _ => false,
        },
    }
}

fn equals(state: Option<&FieldStateView>, value: &Value) -> bool {
    match (state, value) {
        (None | Some(FieldStateView::Target(None)), Value::Null) => true,
        (Some(FieldStateView::Register(now)), _) => now.equals(value),
        (Some(FieldStateView::Text(text)), Value::String(wanted)) => **wanted == **text,
        (Some(FieldStateView::Counter(now)), wanted) => Value::Int(*now).equals(wanted),
        (Some(FieldStateView::Target(Some(target))), Value::String(wanted)) => target == wanted,
        _ => false,
    }
}

/// What a read at `head` shows, as a context.
pub(super) fn context_of(head: &WorkspaceHead) -> CausalContext {
    CausalContext { epoch: head.epoch, base_seq: head.head_seq, extras: Vec::new() }
}

impl Engine {
    /// One record, and what the read stands for.
    pub async fn record(
        &self,
        workspace: &str,
        record: &str,
    ) -> Result<(RecordView, CausalContext), EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let mut reader = self.inner.store.reader().await?;
        let mut head = committed_head(&mut *reader, ws).await?;
        if fault!(ReadPositionShown) {
            head.head_seq = self.hub(ws).await?.head().seq;
        }
        let record = id(record);
        match record_view::read(&mut *reader, ws, &record).await? {
            Some(view) => Ok((view, context_of(&head))),
            None => Err(EngineError::RecordNotFound { record }),
        }
    }

    /// Records of a collection by id, after `after`, that pass all filters.
    pub async fn records(
        &self,
        workspace: &str,
        collection: &str,
        filters: &[FieldFilter],
        include_deleted: bool,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(RecordPage, CausalContext), EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let mut reader = self.inner.store.reader().await?;
        let head = committed_head(&mut *reader, ws).await?;
        let collection: CollectionId = id(collection);
        let prefix = Prefix::MembersOf(collection.clone());
        let mut page = RecordPage::default();
        let mut last: Option<RecordId> = after.map(id);
        let mut scanned = 0;
        let mut bytes = 0;
        loop {
            let from = last.clone().map(|record| Key::Member(collection.clone(), record));
            let members =
                reader.range(ws, &prefix, from.as_ref(), RECORDS_PER_READ, Order::Ascending).await?;
            for (key, _) in members.rows {
                let Key::Member(_, record) = key else { continue };
                last = Some(record.clone());
                scanned += 1;
                let Some(view) = record_view::read(&mut *reader, ws, &record).await? else {
                    continue;
                };
                let wanted = (include_deleted || !view.deleted) && filters.iter().all(|f| accepts(f, &view));
                if wanted {
                    bytes += record_bytes(&view);
                    page.records.push(view);
                }
                let full = page.records.len() == limit
                    || bytes > syncline_core::limits::RESPONSE_PAGE_BYTES_MAX / 2
                    || scanned == RECORDS_SCANNED_PER_PAGE;
                if full {
                    page.next = last;
                    return Ok((page, context_of(&head)));
                }
            }
            if !members.more {
                return Ok((page, context_of(&head)));
            }
        }
    }

    /// The changes that touched a record, newest first, before `before`.
    pub async fn record_history(
        &self,
        workspace: &str,
        record: &str,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<(Vec<Arc<Change>>, Option<Seq>), EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let mut reader = self.inner.store.reader().await?;
        let record = id(record);
        let mut changes = history(&mut *reader, ws, &record, before, limit + 1)
            .await?
            .ok_or(EngineError::RecordNotFound { record })?;
        let more = changes.len() > limit;
        changes.truncate(limit);
        let next = changes.last().filter(|_| more).map(|c| c.seq);
        Ok((changes, next))
    }

    /// The stored outcomes of operations, by dot or by request id.
    pub async fn receipts(
        &self,
        workspace: &str,
        dots: &[Dot],
        requests: &[Arc<str>],
    ) -> Result<Vec<Receipt>, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let mut reader = self.inner.store.reader().await?;
        let mut receipts = Vec::with_capacity(dots.len() + requests.len());
        for dot in dots {
            receipts.push(receipt_of(&mut *reader, ws, *dot).await?);
        }
        for request in requests {
            let row = reader.rows(ws, &[Key::Request(request.clone())]).await?.pop().flatten();
            let receipt = match row {
                Some(Row::Request(row)) if row.expires_at_ms > self.now_ms() => {
                    let dot = Dot { replica: ReplicaId::nil(), counter: row.counter };
                    receipt_of(&mut *reader, ws, dot).await?
                }
                _ => Receipt {
                    dot: None,
                    request_id: None,
                    correlation_id: id(""),
                    outcome: Outcome::NotSettled { refusal: None, expected_counter: 0 },
                    duplicate: false,
                },
            };
            receipts.push(Receipt { request_id: Some(request.clone()), ..receipt });
        }
        Ok(receipts)
    }
}

async fn receipt_of(reader: &mut dyn StoreReader, ws: WorkspaceNo, dot: Dot) -> Result<Receipt, StoreError> {
    let rows = reader.rows(ws, &[Key::Replica(dot.replica), Key::Held(dot)]).await?;
    let mut rows = rows.into_iter();
    let replica = match rows.next().flatten() {
        Some(Row::Replica(replica)) => Some(replica),
        _ => None,
    };
    let expected_counter = replica.as_ref().map_or(1, |r| r.last_settled + 1);
    let mut receipt = Receipt {
        dot: Some(dot),
        request_id: None,
        correlation_id: id(""),
        outcome: Outcome::NotSettled { refusal: None, expected_counter },
        duplicate: false,
    };
    if let Some(Row::Held(held)) = rows.next().flatten() {
        receipt.correlation_id = held.operation.correlation_id.clone();
        receipt.outcome = Outcome::Held { missing: held.waits_on, expected_counter };
        return Ok(receipt);
    }
    let Some(replica) = replica.filter(|r| dot.counter >= 1 && dot.counter <= r.last_settled) else {
        return Ok(receipt);
    };
    if let Some(Row::Rejection(row)) =
        reader.rows(ws, &[Key::Rejection(replica.no, dot.counter)]).await?.pop().flatten()
    {
        receipt.correlation_id = row.correlation_id;
        receipt.request_id = row.request_id;
        receipt.outcome = Outcome::Rejected(row.rejection);
        return Ok(receipt);
    }
    if let Some(change) = reader.change_of(ws, replica.no, dot.counter).await? {
        receipt.correlation_id = change.correlation_id;
        receipt.request_id = change.request_id;
        receipt.outcome = Outcome::Settled { seq: change.seq, settlement: change.settlement };
    }
    Ok(receipt)
}

/// A record's changes, newest first: its fields' chains through the log, merged. `None` when there is no record.
pub(super) async fn history(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    record: &RecordId,
    before: Option<Seq>,
    limit: usize,
) -> Result<Option<Vec<Arc<Change>>>, StoreError> {
    let Some(Row::Record(row)) = reader.rows(ws, &[Key::Record(record.clone())]).await?.pop().flatten()
    else {
        return Ok(None);
    };
    let mut next: BinaryHeap<Seq> = BinaryHeap::from([row.last_seq]);
    for (_, row) in all(reader, ws, Prefix::FieldsOf(record.clone())).await? {
        if let Row::Field(field) = row {
            next.push(field.last_seq);
        }
    }
    let mut changes: Vec<Arc<Change>> = Vec::new();
    let mut newest_done = Seq::MAX;
    while let Some(seq) = next.pop() {
        if seq == 0 || changes.len() == limit {
            break;
        }
        if seq >= newest_done {
            continue;
        }
        newest_done = seq;
        let Some(change) = reader.changes(ws, seq - 1, seq, 1).await?.pop() else { break };
        // Several effects of one change may continue several chains.
        next.extend(
            change
                .effects
                .iter()
                .filter(|e| e.record == *record)
                .map(|e| e.previous_seq)
                .filter(|p| *p < seq),
        );
        if before.is_none_or(|b| seq < b) {
            changes.push(Arc::new(change));
        }
    }
    Ok(Some(changes))
}

/// Size of a record on the wire, about.
pub(super) fn record_bytes(record: &RecordView) -> usize {
    let fields: usize = record
        .fields
        .iter()
        .map(|(name, field)| {
            let state = match &field.state {
                FieldStateView::Register(value) => value.weight_bytes(),
                FieldStateView::Text(text) => text.len(),
                FieldStateView::Elements(values) => values.iter().map(Value::weight_bytes).sum(),
                FieldStateView::Targets(targets) => targets.len() * 40,
                FieldStateView::Counter(_) | FieldStateView::Target(_) => 40,
            };
            let candidates: usize = field.candidates.iter().map(|c| c.value.weight_bytes() + 64).sum();
            name.len() + state + candidates + 16
        })
        .sum();
    fields + 128
}
