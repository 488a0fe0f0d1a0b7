//! Records in chunks, for whoever has none of them yet: what a snapshot and a feed that loads have in common.
//!
//! A chunk is read in one transaction: its records and their live conflicts are those of one position. To go on, a
//! reader only needs to know which record was the last one; it can do so at any later position and on any server.

use crate::store::{Order, StoreError, StoreReader};
use syncline_core::conflict::ConflictSummary;
use syncline_core::ids::{CollectionId, ConflictId, RecordId, WorkspaceNo};
use syncline_core::resume::Walked;
use syncline_core::selection::Collections;
use syncline_core::state::{Existence, Key, Prefix, RecordRow, Row};
use syncline_core::view::RecordView;

use super::read::record_bytes;
use super::record_view::{self, Neighbours};

/// Maximum number of records in the first chunk: few enough that all of them may be large.
const FIRST_CHUNK_RECORDS: usize = 100;
/// Approximate size of a chunk.
pub const CHUNK_BYTES: usize = 128 * 1024;
/// Approximate size of a conflict on the wire.
const CONFLICT_BYTES: usize = 256;
/// Collections that hold fewer than one in this many records are read on their own instead of out of all records.
const SPARSE_DIVISOR: u64 = 8;

/// A part of the records of some collections.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub records: Vec<RecordView>,
    /// Live conflicts of these records.
    pub conflicts: Vec<ConflictSummary>,
    /// Whether this is the last part.
    pub last: bool,
}

/// How many records to read at once, by the size of those that were read before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    next_records: usize,
    records_max: usize,
}

impl Pace {
    pub(super) fn new(records_max: usize) -> Pace {
        Pace { next_records: FIRST_CHUNK_RECORDS.min(records_max), records_max }
    }

    /// Adjusts the number for the next read, at most doubling it: large records may follow small ones, and all of them
    /// are read before the chunk is cut.
    fn learn(&mut self, records: usize, bytes: usize) {
        let more = (2 * self.next_records).min(self.records_max);
        self.next_records = (CHUNK_BYTES * records / bytes.max(1)).clamp(1, more);
    }
}

/// Roughly how many records these collections have.
pub(super) async fn count(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    collections: &Collections,
) -> Result<u64, StoreError> {
    match collections {
        Collections::AllBut(_) => reader.count(ws, &Prefix::Records).await,
        Collections::Only(names) => {
            let mut count = 0;
            for name in names {
                count += reader.count(ws, &Prefix::MembersOf(name.clone())).await?;
            }
            Ok(count)
        }
    }
}

/// Whether it costs less to read these collections one by one than to pass over all records.
pub(super) async fn is_sparse(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    collections: &Collections,
    count: u64,
) -> Result<bool, StoreError> {
    let all = match collections {
        Collections::AllBut(_) => return Ok(false),
        Collections::Only(_) => reader.count(ws, &Prefix::Records).await?,
    };
    Ok(count.saturating_mul(SPARSE_DIVISOR) < all)
}

/// Reads the next records of some collections and moves the walk behind them. `sparse` chooses how a walk begins; one
/// that is under way stays as it is.
pub(super) async fn next_part(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    collections: &Collections,
    walked: &mut Walked,
    sparse: bool,
    pace: &mut Pace,
) -> Result<Part, StoreError> {
    let page = page(reader, ws, collections, walked, sparse, pace.next_records).await?;
    let mut part = Part { last: !page.more, ..Part::default() };
    let mut neighbours = match (page.one_by_one, page.rows.first(), page.rows.last()) {
        (false, Some((first, _)), Some((last, _))) => Neighbours::read(reader, ws, first, last).await?,
        _ => Neighbours::default(),
    };
    let (mut bytes, mut seen) = (0, 0);
    for (id, row) in page.rows {
        if bytes > CHUNK_BYTES {
            part.last = false;
            break;
        }
        seen += 1;
        *walked = after(page.one_by_one, &row, &id);
        if !collections.contains(&row.collection) {
            continue;
        }
        if page.one_by_one {
            neighbours = Neighbours::read(reader, ws, &id, &id).await?;
        }
        let Some(view) = record_view::build(reader, ws, &id, row, &mut neighbours).await? else {
            continue;
        };
        bytes += record_bytes(&view) + view.live_conflicts.len() * CONFLICT_BYTES;
        part.conflicts.extend(conflicts(reader, ws, &view.live_conflicts).await?);
        part.records.push(view);
    }
    pace.learn(seen, bytes);
    Ok(part)
}

async fn conflicts(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    live: &[ConflictId],
) -> Result<Vec<ConflictSummary>, StoreError> {
    if live.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<Key> = live.iter().map(|id| Key::Conflict(*id)).collect();
    let rows = reader.rows(ws, &keys).await?.into_iter().flatten();
    Ok(rows
        .filter_map(|row| match row {
            Row::Conflict(conflict) => Some(conflict.summary()),
            _ => None,
        })
        .collect())
}

/// Reads the next ids of records of some collections, at most `limit`, and moves the walk behind them. Also tells
/// whether nothing follows.
pub(super) async fn next_ids(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    collections: &Collections,
    walked: &mut Walked,
    limit: usize,
) -> Result<(Vec<(CollectionId, RecordId)>, bool), StoreError> {
    let sparse = matches!(collections, Collections::Only(_));
    let page = page(reader, ws, collections, walked, sparse, limit).await?;
    let mut ids = Vec::new();
    for (id, row) in page.rows {
        *walked = after(page.one_by_one, &row, &id);
        if collections.contains(&row.collection) && !matches!(row.existence, Existence::Phantom(_)) {
            ids.push((row.collection, id));
        }
    }
    Ok((ids, !page.more))
}

fn after(one_by_one: bool, row: &RecordRow, id: &RecordId) -> Walked {
    match one_by_one {
        true => Walked::Members { collection: row.collection.clone(), after: id.clone() },
        false => Walked::Records { after: id.clone() },
    }
}

/// Records that follow each other in a walk.
struct Page {
    rows: Vec<(RecordId, RecordRow)>,
    /// Whether they are all of one collection; there may then be any number of other records between them.
    one_by_one: bool,
    more: bool,
}

async fn page(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    collections: &Collections,
    walked: &Walked,
    sparse: bool,
    limit: usize,
) -> Result<Page, StoreError> {
    let after = match (walked, collections) {
        (Walked::Members { collection, after }, Collections::Only(names)) => {
            return members(reader, ws, names.range(collection.clone()..), Some((collection, after)), limit)
                .await;
        }
        (Walked::Nothing, Collections::Only(names)) if sparse => {
            return members(reader, ws, names.iter(), None, limit).await;
        }
        (Walked::Records { after }, _) => Some(Key::Record(after.clone())),
        // A walk that does not fit these collections begins again.
        (Walked::Nothing | Walked::Members { .. }, _) => None,
    };
    let found = reader.range(ws, &Prefix::Records, after.as_ref(), limit, Order::Ascending).await?;
    let rows = found.rows.into_iter().filter_map(|(key, row)| match (key, row) {
        (Key::Record(id), Row::Record(row)) => Some((id, row)),
        _ => None,
    });
    Ok(Page { rows: rows.collect(), one_by_one: false, more: found.more })
}

/// A page of the first of these collections that has records after the place.
async fn members<'c>(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    mut collections: impl Iterator<Item = &'c CollectionId> + Send,
    place: Option<(&CollectionId, &RecordId)>,
    limit: usize,
) -> Result<Page, StoreError> {
    while let Some(collection) = collections.next() {
        let after = place
            .filter(|(begun, _)| *begun == collection)
            .map(|(_, after)| Key::Member(collection.clone(), after.clone()));
        let prefix = Prefix::MembersOf(collection.clone());
        let found = reader.range(ws, &prefix, after.as_ref(), limit, Order::Ascending).await?;
        if found.rows.is_empty() {
            continue;
        }
        let ids: Vec<RecordId> = found
            .rows
            .into_iter()
            .filter_map(|(key, _)| match key {
                Key::Member(_, id) => Some(id),
                _ => None,
            })
            .collect();
        let keys: Vec<Key> = ids.iter().map(|id| Key::Record(id.clone())).collect();
        let rows = ids.into_iter().zip(reader.rows(ws, &keys).await?).filter_map(|(id, row)| match row {
            Some(Row::Record(row)) => Some((id, row)),
            _ => None,
        });
        let rows = rows.collect();
        return Ok(Page { rows, one_by_one: true, more: found.more || collections.next().is_some() });
    }
    Ok(Page { rows: Vec::new(), one_by_one: true, more: false })
}
