//! Reads of the conflict inbox: lists, one conflict with its full context, the log, statistics.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::store::{Order, StoreError, StoreReader};
use syncline_core::causality::Seq;
use syncline_core::change::Change;
use syncline_core::conflict::{
    AlternativeState, CloseReason, Conflict, ConflictEvent, ConflictKind, ConflictStatus, ConflictSummary,
    Scope, ScopePart, beginning,
};
use syncline_core::ids::{ConflictId, FieldId, RecordId, WorkspaceNo};
use syncline_core::merge::text::slice_chars;
use syncline_core::operation::CausalContext;
use syncline_core::state::{FieldValue, Key, Prefix, Row};
use syncline_core::value::Value;
use syncline_core::view::{ConflictFilter, FeedCursor, FieldStateView, RecordView};

use super::counter_sides::add_increments;
use super::read::{context_of, history};
use super::record_view::{self, all};
use super::{Engine, EngineError};

/// Conflicts read at once.
const CONFLICTS_PER_READ: usize = 200;
/// Maximum number of conflicts looked at for one page of a filtered list.
const CONFLICTS_SCANNED_PER_PAGE: usize = 10_000;
/// Maximum number of linked records in a conflict's context.
const LINKED_RECORDS_MAX: usize = 50;
/// Maximum number of changes of the record in a conflict's context.
const RECENT_HISTORY: usize = 20;
/// Characters of a text that are shown on either side of a region in conflict.
const REGION_CONTEXT_CHARS: u32 = 80;

/// A conflict with all that is needed to decide it.
#[derive(Debug)]
pub struct ConflictContext {
    /// The conflict, with its alternatives and all that happened to it.
    pub conflict: Conflict,
    /// The alternative whose value is shown now.
    pub provisional_seq: Option<Seq>,
    /// For a live conflict of a text: its place.
    pub region: Option<RegionView>,
    /// The record that the conflict is about, also when it is deleted; none when there is no such record.
    pub record: Option<RecordView>,
    /// Records that it links to, then those that link to it; at most `LINKED_RECORDS_MAX`.
    pub linked: Vec<Linked>,
    /// The newest changes of the record, the newest first; at most `RECENT_HISTORY`.
    pub recent: Vec<Arc<Change>>,
    /// What this read shows, for a decision that is made on it.
    pub context: CausalContext,
}

/// The region of a text that is in conflict.
#[derive(Debug)]
pub struct RegionView {
    /// Where it stands in the text.
    pub range: Range<u32>,
    /// What is shown there, or its beginning.
    pub shown: String,
    /// The size of what is shown there if only its beginning is here.
    pub whole_shown_bytes: Option<u64>,
    /// What stands before it, at most [`REGION_CONTEXT_CHARS`] characters.
    pub before: String,
    /// What stands behind it, at most as much.
    pub after: String,
}

/// A record linked with the one in conflict.
#[derive(Debug)]
pub struct Linked {
    /// The other record.
    pub record: RecordView,
    /// The field that holds the link, of whichever record holds it.
    pub field: FieldId,
    /// Whether the other record holds the link.
    pub incoming: bool,
}

/// How many conflicts there are and how they ended.
#[derive(Debug, Default)]
pub struct ConflictStatistics {
    /// All conflicts of the workspace, closed ones included.
    pub total: u64,
    /// Conflicts by their status now; a status that none has is left out.
    pub by_status: BTreeMap<ConflictStatus, u64>,
    /// Conflicts by what clashed; a kind that none has is left out.
    pub by_kind: BTreeMap<ConflictKind, u64>,
    /// Closed conflicts by why they closed; a reason that none has is left out.
    pub by_close_reason: BTreeMap<CloseReason, u64>,
    /// Median time from opening to closing of the closed ones, in milliseconds; 0 when there are none.
    pub median_open_ms: u64,
    /// Conflicts that were deferred at least once.
    pub deferred_ever: u64,
}

fn accepts(filter: &ConflictFilter, conflict: &Conflict) -> bool {
    filter.statuses.contains(&conflict.status)
        && filter.kind.is_none_or(|kind| kind == conflict.kind)
        && filter.collection.as_ref().is_none_or(|c| *c == conflict.collection)
        && filter.record.as_ref().is_none_or(|r| *r == conflict.scope.record)
        && filter.assignee.as_ref().is_none_or(|a| *a == conflict.assignee)
}

impl Engine {
    /// Conflicts that pass the filter, newest first, before `before`. A page may be empty and still have a next one.
    pub async fn conflicts(
        &self,
        workspace: &str,
        filter: &ConflictFilter,
        at_least: Option<&FeedCursor>,
        before: Option<ConflictId>,
        limit: usize,
    ) -> Result<(Vec<ConflictSummary>, Option<ConflictId>), EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let (mut reader, _) = self.reader_at_least(ws, at_least).await?;
        let mut found = Vec::new();
        let mut last = before;
        let mut scanned = 0;
        loop {
            let from = last.map(Key::Conflict);
            let page = reader
                .range(ws, &Prefix::Conflicts, from.as_ref(), CONFLICTS_PER_READ, Order::Descending)
                .await?;
            for (_, row) in page.rows {
                let Row::Conflict(conflict) = row else { continue };
                last = Some(conflict.id);
                scanned += 1;
                if accepts(filter, &conflict) {
                    found.push(conflict.summary());
                }
                if found.len() == limit || scanned == CONFLICTS_SCANNED_PER_PAGE {
                    return Ok((found, last));
                }
            }
            if !page.more {
                return Ok((found, None));
            }
        }
    }

    /// One conflict with its context.
    pub async fn conflict(
        &self,
        workspace: &str,
        id: ConflictId,
        at_least: Option<&FeedCursor>,
    ) -> Result<ConflictContext, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let (mut reader, head) = self.reader_at_least(ws, at_least).await?;
        let reader = &mut *reader;
        let mut conflict = read_conflict(reader, ws, id).await?;
        add_increments(reader, ws, &mut conflict, head.head_seq).await?;
        let record_id = conflict.scope.record.clone();
        let record = record_view::read_with_targets(reader, ws, &record_id).await?;
        let mut linked = Vec::new();
        for (id, field, incoming) in links_of(reader, ws, &conflict.scope, record.as_ref()).await? {
            if let Some(record) = record_view::read_with_targets(reader, ws, &id).await? {
                linked.push(Linked { record, field, incoming });
            }
        }
        let recent = history(reader, ws, &record_id, None, RECENT_HISTORY).await?.unwrap_or_default();
        let region = region_view(reader, ws, &conflict).await?;
        let provisional_seq = match &region {
            Some((_, shown)) => side_in_force(&conflict, shown),
            None => provisional_seq(reader, ws, &conflict).await?,
        };
        let (region, context) = (region.map(|(region, _)| region), context_of(&head));
        Ok(ConflictContext { conflict, provisional_seq, region, record, linked, recent, context })
    }

    /// A conflict as it is listed.
    pub async fn conflict_summary(
        &self,
        workspace: &str,
        id: ConflictId,
    ) -> Result<ConflictSummary, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let mut reader = self.inner.store.reader().await?;
        Ok(read_conflict(&mut *reader, ws, id).await?.summary())
    }

    /// What happened to conflicts, newest first, before `before`: of one, or of all.
    pub async fn conflict_events(
        &self,
        workspace: &str,
        of: Option<ConflictId>,
        before: Option<(Seq, u64, ConflictId)>,
        limit: usize,
    ) -> Result<(Vec<(ConflictId, ConflictEvent)>, bool), EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let mut reader = self.inner.store.reader().await?;
        let conflicts = match of {
            Some(id) => vec![read_conflict(&mut *reader, ws, id).await?],
            None => all_conflicts(&mut *reader, ws).await?,
        };
        let mut events: Vec<(ConflictId, ConflictEvent)> =
            conflicts.into_iter().flat_map(|c| c.events.into_iter().map(move |e| (c.id, e))).collect();
        let order = |(id, event): &(ConflictId, ConflictEvent)| (event.seq, event.revision, *id);
        events.sort_by_key(|e| std::cmp::Reverse(order(e)));
        events.retain(|e| before.is_none_or(|b| order(e) < b));
        let more = events.len() > limit;
        events.truncate(limit);
        Ok((events, more))
    }

    /// Counts over all conflicts.
    pub async fn conflict_statistics(&self, workspace: &str) -> Result<ConflictStatistics, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let mut reader = self.inner.store.reader().await?;
        let mut statistics = ConflictStatistics::default();
        let mut open_ms: Vec<u64> = Vec::new();
        for conflict in all_conflicts(&mut *reader, ws).await? {
            statistics.total += 1;
            *statistics.by_status.entry(conflict.status).or_default() += 1;
            *statistics.by_kind.entry(conflict.kind).or_default() += 1;
            statistics.deferred_ever += u64::from(conflict.defer_count > 0);
            if let Some(closing) = conflict.closing {
                *statistics.by_close_reason.entry(closing.reason).or_default() += 1;
                open_ms.push(u64::try_from(closing.at_ms - conflict.opened_at_ms).unwrap_or(0));
            }
        }
        open_ms.sort_unstable();
        statistics.median_open_ms = open_ms.get(open_ms.len() / 2).copied().unwrap_or(0);
        Ok(statistics)
    }
}

/// A conflict's row.
pub(super) async fn read_conflict(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    id: ConflictId,
) -> Result<Conflict, EngineError> {
    match reader.rows(ws, &[Key::Conflict(id)]).await?.pop().flatten() {
        Some(Row::Conflict(conflict)) => Ok(*conflict),
        _ => Err(EngineError::ConflictNotFound { conflict: id.to_string() }),
    }
}

async fn all_conflicts(reader: &mut dyn StoreReader, ws: WorkspaceNo) -> Result<Vec<Conflict>, StoreError> {
    let rows = all(reader, ws, Prefix::Conflicts).await?;
    Ok(rows
        .into_iter()
        .filter_map(|(_, row)| match row {
            Row::Conflict(conflict) => Some(*conflict),
            _ => None,
        })
        .collect())
}

/// Records linked with the one in conflict: its own links, then those that link to it.
async fn links_of(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    scope: &Scope,
    record: Option<&RecordView>,
) -> Result<Vec<(RecordId, FieldId, bool)>, StoreError> {
    let mut links = Vec::new();
    if let ScopePart::Link(field, target) = &scope.part {
        links.push((target.clone(), field.clone(), false));
    }
    for (field, view) in record.map(|r| &r.fields).into_iter().flatten() {
        match &view.state {
            FieldStateView::Target(Some(target)) => links.push((target.clone(), field.clone(), false)),
            FieldStateView::Targets(targets) => {
                links.extend(targets.iter().map(|t| (t.clone(), field.clone(), false)));
            }
            _ => {}
        }
    }
    let incoming = reader
        .range(ws, &Prefix::BacklinksOf(scope.record.clone()), None, LINKED_RECORDS_MAX, Order::Ascending)
        .await?;
    for (key, _) in incoming.rows {
        if let Key::Backlink(_, source, field) = key {
            links.push((source, field, true));
        }
    }
    links.dedup();
    links.truncate(LINKED_RECORDS_MAX);
    Ok(links)
}

/// The region of a live conflict of a text, and all that is shown there.
async fn region_view(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    conflict: &Conflict,
) -> Result<Option<(RegionView, String)>, StoreError> {
    let ScopePart::Region(field, _) = &conflict.scope.part else { return Ok(None) };
    let key = Key::Field(conflict.scope.record.clone(), field.clone());
    let Some(Row::Field(row)) = reader.rows(ws, &[key]).await?.pop().flatten() else { return Ok(None) };
    let place = row.regions.iter().find(|place| place.conflict == conflict.id);
    let (FieldValue::Text(text), Some(place)) = (&row.value, place) else { return Ok(None) };
    let range: Range<u32> = place.range.into();
    let shown = slice_chars(text, range.clone()).to_owned();
    let (beginning, cut) = beginning(Value::string(shown.as_str()));
    let around = |range| slice_chars(text, range).to_owned();
    let region = RegionView {
        before: around(range.start.saturating_sub(REGION_CONTEXT_CHARS)..range.start),
        after: around(range.end..range.end.saturating_add(REGION_CONTEXT_CHARS)),
        shown: beginning.as_str().unwrap_or_default().to_owned(),
        whole_shown_bytes: cut.map(|cut| cut.whole_bytes),
        range,
    };
    Ok(Some((region, shown)))
}

/// The first side whose version of a text is the one that is shown.
fn side_in_force(conflict: &Conflict, shown: &str) -> Option<Seq> {
    let in_force = conflict.alternatives.iter().find(|side| {
        side.state == AlternativeState::Head && side.value.as_ref().and_then(Value::as_str) == Some(shown)
    });
    in_force.map(|side| side.stamp.seq)
}

/// Which alternative is shown: of a register, the head that the policy picks; otherwise the first one.
async fn provisional_seq(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    conflict: &Conflict,
) -> Result<Option<Seq>, StoreError> {
    let ScopePart::Field(field) = &conflict.scope.part else {
        return Ok(conflict.alternatives.iter().find(|a| !a.deletes()).map(|a| a.stamp.seq));
    };
    let key = Key::Field(conflict.scope.record.clone(), field.clone());
    Ok(match reader.rows(ws, &[key]).await?.pop().flatten() {
        Some(Row::Field(row)) => match row.value {
            FieldValue::Register(heads) | FieldValue::ToOne(heads) => heads.first().map(|h| h.stamp.seq),
            FieldValue::Counter(heads) => heads.first().map(|h| h.stamp.seq),
            FieldValue::Text(_) | FieldValue::Set { .. } | FieldValue::ToMany { .. } => None,
        },
        _ => None,
    })
}
