//! Reads of records: one, pages of a collection, a record's history. Each shows one committed state.

use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::store::{Order, StoreError, StoreReader};
use syncline_core::causality::{Counter, Seq};
use syncline_core::change::Change;
use syncline_core::fault;
use syncline_core::filter::Filter;
use syncline_core::ids::{CollectionId, Dot, RecordId, ReplicaId, WorkspaceNo};
use syncline_core::limits::RESPONSE_PAGE_BYTES_MAX;
use syncline_core::operation::{CausalContext, Outcome, Receipt};
use syncline_core::state::{Key, Prefix, Row, WorkspaceHead};
use syncline_core::value::Value;
use syncline_core::view::{FeedCursor, FieldStateView, RecordView};

use super::record_view::{self, all, id};
use super::{Engine, EngineError};

/// Maximum number of records looked at for one page of a filtered list; a page may be short and still have a next one.
const RECORDS_SCANNED_PER_PAGE: usize = 5_000;
/// Records read at once.
const RECORDS_PER_READ: usize = 200;

/// Which records of a workspace are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedRecords {
    /// The collection that is listed.
    pub collection: CollectionId,
    /// Only those for which this holds.
    pub filter: Option<Filter>,
    /// Deleted ones as well.
    pub include_deleted: bool,
}

impl WantedRecords {
    fn includes(&self, record: &RecordView) -> bool {
        (self.include_deleted || !record.deleted) && self.filter.as_ref().is_none_or(|f| f.matches(record))
    }
}

/// A page of records.
#[derive(Debug, Default)]
pub struct RecordPage {
    /// The records, by id; possibly none although more follow.
    pub records: Vec<RecordView>,
    /// The id after which the next page begins; none when this is the last page.
    pub next: Option<RecordId>,
}

/// What a read at `head` shows, as a context.
pub(super) fn context_of(head: &WorkspaceHead) -> CausalContext {
    CausalContext { base_chain: Some(head.chain), ..CausalContext::at(head.epoch, head.head_seq) }
}

impl Engine {
    /// One record, with what the read shows as a context.
    pub async fn record(
        &self,
        workspace: &str,
        record: &RecordId,
        at_least: Option<&FeedCursor>,
    ) -> Result<(RecordView, CausalContext), EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let (mut reader, mut head) = self.reader_at_least(ws, at_least).await?;
        if fault!(ReadPositionShown) {
            head.head_seq = self.hub(ws).await?.head().seq;
        }
        match record_view::read_with_targets(&mut *reader, ws, record).await? {
            Some(view) => Ok((view, context_of(&head))),
            None => Err(EngineError::RecordNotFound { record: record.clone() }),
        }
    }

    /// Records of a collection by id, after `after`, at most `limit`. A page may be empty and still have a next one.
    pub async fn records(
        &self,
        workspace: &str,
        wanted: &WantedRecords,
        at_least: Option<&FeedCursor>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(RecordPage, CausalContext), EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let (mut reader, head) = self.reader_at_least(ws, at_least).await?;
        let page = page_of(&mut *reader, ws, wanted, after, limit).await?;
        Ok((page, context_of(&head)))
    }

    /// The changes that touched a record, newest first, before `before`.
    pub async fn record_history(
        &self,
        workspace: &str,
        record: &RecordId,
        at_least: Option<&FeedCursor>,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<(Vec<Arc<Change>>, Option<Seq>), EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let (mut reader, _) = self.reader_at_least(ws, at_least).await?;
        let mut changes = history(&mut *reader, ws, record, before, limit + 1)
            .await?
            .ok_or(EngineError::RecordNotFound { record: record.clone() })?;
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
                    let dot = Dot { replica: ReplicaId::SERVER, counter: row.counter };
                    receipt_of(&mut *reader, ws, dot).await?
                }
                _ => Receipt {
                    dot: None,
                    request_id: None,
                    correlation_id: id(""),
                    outcome: Outcome::NotSettled {
                        refusal: None,
                        mutation_index: None,
                        expected_counter: Counter::NONE,
                    },
                    duplicate: false,
                },
            };
            receipts.push(Receipt { request_id: Some(request.clone()), ..receipt });
        }
        Ok(receipts)
    }
}

/// A page of a list of records.
async fn page_of(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    wanted: &WantedRecords,
    after: Option<&str>,
    limit: usize,
) -> Result<RecordPage, StoreError> {
    let prefix = Prefix::MembersOf(wanted.collection.clone());
    let mut page = RecordPage::default();
    let mut last: Option<RecordId> = after.map(RecordId::from);
    let (mut scanned, mut bytes) = (0, 0);
    'members: loop {
        let from = last.clone().map(|record| Key::Member(wanted.collection.clone(), record));
        let members = reader.range(ws, &prefix, from.as_ref(), RECORDS_PER_READ, Order::Ascending).await?;
        for (key, _) in members.rows {
            let Key::Member(_, record) = key else { continue };
            last = Some(record.clone());
            scanned += 1;
            let Some(view) = record_view::read(reader, ws, &record).await? else { continue };
            if wanted.includes(&view) {
                bytes += record_bytes(&view);
                page.records.push(view);
            }
            let full = page.records.len() == limit
                || bytes > RESPONSE_PAGE_BYTES_MAX / 2
                || scanned == RECORDS_SCANNED_PER_PAGE;
            if full {
                page.next = last;
                break 'members;
            }
        }
        if !members.more {
            break;
        }
    }
    record_view::name_deleted_targets(reader, ws, &mut page.records).await?;
    Ok(page)
}

/// What became of an operation.
pub(super) async fn receipt_of(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    dot: Dot,
) -> Result<Receipt, StoreError> {
    let rows = reader.rows(ws, &[Key::Replica(dot.replica), Key::Held(dot)]).await?;
    let mut rows = rows.into_iter();
    let replica = match rows.next().flatten() {
        Some(Row::Replica(replica)) => Some(replica),
        _ => None,
    };
    let expected_counter = replica.as_ref().map_or(Counter::FIRST, |r| r.last_settled.next());
    let mut receipt = Receipt {
        dot: Some(dot),
        request_id: None,
        correlation_id: id(""),
        outcome: Outcome::NotSettled { refusal: None, mutation_index: None, expected_counter },
        duplicate: false,
    };
    if let Some(Row::Held(held)) = rows.next().flatten() {
        receipt.correlation_id = held.operation.correlation_id.clone();
        receipt.outcome = Outcome::Held { missing: held.waits_on, expected_counter };
        return Ok(receipt);
    }
    let Some(replica) = replica.filter(|r| (Counter::FIRST..=r.last_settled).contains(&dot.counter)) else {
        return Ok(receipt);
    };
    if let Some(Row::Rejection(row)) =
        reader.rows(ws, &[Key::Rejection(replica.no, dot.counter)]).await?.pop().flatten()
    {
        receipt.correlation_id = row.correlation_id;
        receipt.outcome = Outcome::Rejected(row.rejection);
        return Ok(receipt);
    }
    if let Some(change) = reader.change_of(ws, replica.no, dot.counter).await? {
        receipt.correlation_id = change.correlation_id;
        receipt.request_id = change.request_id;
        receipt.outcome = Outcome::Accepted { seq: change.seq, settlement: change.settlement };
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
    let mut newest_done = Seq(u64::MAX);
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

/// Approximate size of a record on the wire.
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
