//! Building a record as people and clients see it from its rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::store::{Order, StoreError, StoreReader};
use syncline_core::ids::{ConflictId, FieldId, RecordId, WorkspaceNo};
use syncline_core::sequencer::counter_value;
use syncline_core::state::{
    CounterHead, Existence, FieldRow, FieldValue, Key, Prefix, RecordRow, RegisterHead, Row, ScopeRow,
};
use syncline_core::unknown::Unknown;
use syncline_core::value::Value;
use syncline_core::view::{CandidateView, FieldStateView, FieldView, RecordView};

/// Rows read in one page.
const PAGE_ROWS: usize = 1_000;

/// Reads one record with its fields; `None` when there is none.
pub(super) async fn read(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    record: &RecordId,
) -> Result<Option<RecordView>, StoreError> {
    match reader.rows(ws, &[Key::Record(record.clone())]).await?.pop().flatten() {
        Some(Row::Record(row)) => {
            let mut rows = Neighbours::read(reader, ws, record, record).await?;
            build(reader, ws, record, row, &mut rows).await
        }
        _ => Ok(None),
    }
}

/// Reads one record as a reader gets it: with the targets of its links that are deleted.
pub(super) async fn read_with_targets(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    record: &RecordId,
) -> Result<Option<RecordView>, StoreError> {
    let Some(mut view) = read(reader, ws, record).await? else { return Ok(None) };
    name_deleted_targets(reader, ws, std::slice::from_mut(&mut view)).await?;
    Ok(Some(view))
}

/// Notes in each record which targets of its links are deleted. Links are shown as they are stored, so that a read, a
/// snapshot and the feed agree; a reader without the targets could not tell otherwise.
pub(super) async fn name_deleted_targets(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    records: &mut [RecordView],
) -> Result<(), StoreError> {
    let targets: BTreeSet<RecordId> = records.iter().flat_map(RecordView::targets).cloned().collect();
    if targets.is_empty() {
        return Ok(());
    }
    let keys: Vec<Key> = targets.iter().cloned().map(Key::Record).collect();
    let rows = reader.rows(ws, &keys).await?;
    let alive = |row: &Option<Row>| matches!(row, Some(Row::Record(r)) if r.existence == Existence::Alive);
    let deleted: BTreeSet<RecordId> =
        targets.into_iter().zip(rows).filter(|(_, row)| !alive(row)).map(|(target, _)| target).collect();
    for record in records {
        let of_record: BTreeSet<&RecordId> = record.targets().filter(|t| deleted.contains(*t)).collect();
        record.deleted_targets = of_record.into_iter().cloned().collect();
    }
    Ok(())
}

/// What belongs to records whose ids follow each other, read together in three ranges, however many records there are.
#[derive(Default)]
pub(super) struct Neighbours {
    fields: ByRecord<(FieldId, FieldRow)>,
    elements: ByRecord<(FieldId, Value)>,
    conflicts: ByRecord<ConflictId>,
}

/// What was read of several records, apart by record, in the order of their ids.
struct ByRecord<T>(Vec<(RecordId, Vec<T>)>);

impl<T> Default for ByRecord<T> {
    fn default() -> ByRecord<T> {
        ByRecord(Vec::new())
    }
}

impl<T> ByRecord<T> {
    /// Adds what was read next. Rows come in the order of their keys, and with that in the order of their records.
    fn push(&mut self, record: RecordId, found: T) {
        match self.0.last_mut() {
            Some((last, all)) if *last == record => all.push(found),
            _ => self.0.push((record, vec![found])),
        }
    }

    /// Takes out what there is of a record.
    fn take(&mut self, record: &RecordId) -> Vec<T> {
        match self.0.binary_search_by(|(id, _)| id.cmp(record)) {
            Ok(index) => self.0.get_mut(index).map(|(_, all)| std::mem::take(all)).unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }
}

impl Neighbours {
    /// Reads what belongs to all records from `first` to `last`.
    pub(super) async fn read(
        reader: &mut dyn StoreReader,
        ws: WorkspaceNo,
        first: &RecordId,
        last: &RecordId,
    ) -> Result<Neighbours, StoreError> {
        let mut found = Neighbours::default();
        let between = |prefix: fn(RecordId, RecordId) -> Prefix| prefix(first.clone(), last.clone());
        let mut with_elements = false;
        for (key, row) in all(reader, ws, between(Prefix::FieldsBetween)).await? {
            let (Key::Field(record, field), Row::Field(row)) = (key, row) else { continue };
            with_elements |= matches!(row.value, FieldValue::Set { .. } | FieldValue::ToMany { .. });
            found.fields.push(record, (field, row));
        }
        if with_elements {
            for (key, row) in all(reader, ws, between(Prefix::ElementsBetween)).await? {
                let (Key::Element(record, field, _), Row::Element(element)) = (key, row) else { continue };
                found.elements.push(record, (field, element.value));
            }
        }
        for (key, row) in all(reader, ws, between(Prefix::ScopesBetween)).await? {
            let (Key::Scope(scope), Row::Scope(ScopeRow { live: Some(live), .. })) = (key, row) else {
                continue;
            };
            found.conflicts.push(scope.record, live);
        }
        Ok(found)
    }
}

/// Builds a record from its row and from what `rows` holds of it, which is taken out.
pub(super) async fn build(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    record: &RecordId,
    row: RecordRow,
    rows: &mut Neighbours,
) -> Result<Option<RecordView>, StoreError> {
    if matches!(row.existence, Existence::Phantom(_)) {
        return Ok(None);
    }
    let mut live_conflicts = rows.conflicts.take(record);
    live_conflicts.sort_unstable();
    let mut view = RecordView {
        collection: row.collection.clone(),
        record: record.clone(),
        fields: BTreeMap::new(),
        deleted: row.existence == Existence::Deleted,
        created_seq: row.created.seq,
        last_seq: row.last_seq,
        live_conflicts,
        deleted_targets: Vec::new(),
    };
    let mut elements_of_record = rows.elements.take(record).into_iter().peekable();
    for (field, row) in rows.fields.take(record) {
        view.last_seq = view.last_seq.max(row.last_seq);
        let mut elements = Vec::new();
        while let Some((of, element)) = elements_of_record.next_if(|(of, _)| *of <= field) {
            if of == field {
                elements.push(element);
            }
        }
        let field_view = field_view(reader, ws, row, elements).await?;
        view.fields.insert(field, field_view);
    }
    Ok(Some(view))
}

async fn field_view(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    row: FieldRow,
    elements: Vec<Value>,
) -> Result<FieldView, StoreError> {
    let last_seq = row.last_seq;
    let mut candidates = Vec::new();
    // The head that is shown comes first: that was decided when the field was written.
    let state = match row.value {
        FieldValue::Register(heads) => {
            candidates = candidates_of(reader, ws, &heads, heads.first()).await?;
            FieldStateView::Register(heads.first().map_or(Value::Null, |h| h.value.clone()))
        }
        FieldValue::ToOne(heads) => {
            candidates = candidates_of(reader, ws, &heads, heads.first()).await?;
            FieldStateView::Target(match heads.first().map(|h| &h.value) {
                Some(Value::String(target)) => Some(RecordId::from(target.clone())),
                _ => None,
            })
        }
        FieldValue::Text(text) => FieldStateView::Text(text),
        FieldValue::Counter(heads) => {
            let plain: Vec<RegisterHead> = heads.iter().map(as_head).collect();
            candidates = candidates_of(reader, ws, &plain, plain.first()).await?;
            FieldStateView::Counter(counter_value(&heads).unwrap_or(0))
        }
        FieldValue::Set { .. } => FieldStateView::Elements(elements),
        FieldValue::ToMany { .. } => {
            let targets = elements.into_iter().filter_map(|v| match v {
                Value::String(target) => Some(RecordId::from(target)),
                _ => None,
            });
            FieldStateView::Targets(targets.collect())
        }
    };
    Ok(FieldView { state, last_seq, candidates })
}

/// A candidate of a counter: an assignment with the increments that it did not know.
fn as_head(head: &CounterHead) -> RegisterHead {
    let value = Value::Int(head.value.saturating_add(head.increments));
    RegisterHead { stamp: head.stamp, rank: head.rank, value, unknown: Unknown::NONE }
}

/// All candidates, the shown one first; none unless there are several.
async fn candidates_of(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    heads: &[RegisterHead],
    shown: Option<&RegisterHead>,
) -> Result<Vec<CandidateView>, StoreError> {
    if heads.len() < 2 {
        return Ok(Vec::new());
    }
    let mut ordered: Vec<&RegisterHead> = shown.into_iter().collect();
    ordered.extend(heads.iter().filter(|h| Some(*h) != shown));
    let mut candidates = Vec::with_capacity(ordered.len());
    for head in ordered {
        let Some(seq) = head.stamp.seq.checked_sub(1) else { continue };
        let change = reader.changes(ws, seq, head.stamp.seq, 1).await?.pop();
        let Some(change) = change else { continue };
        candidates.push(CandidateView {
            value: head.value.clone(),
            dot: change.dot,
            seq: head.stamp.seq,
            committed_at_ms: Some(change.committed_at_ms),
        });
    }
    Ok(candidates)
}

/// All rows of a range.
pub(super) async fn all(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    prefix: Prefix,
) -> Result<Vec<(Key, Row)>, StoreError> {
    let mut rows = Vec::new();
    let mut after: Option<Key> = None;
    loop {
        let page = reader.range(ws, &prefix, after.as_ref(), PAGE_ROWS, Order::Ascending).await?;
        after = page.rows.last().map(|(key, _)| key.clone());
        rows.extend(page.rows);
        if !page.more {
            return Ok(rows);
        }
    }
}

/// An id as it is shared in rows.
pub(super) fn id(text: &str) -> Arc<str> {
    Arc::from(text)
}
