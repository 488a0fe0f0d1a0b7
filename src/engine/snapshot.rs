//! Snapshots: all records for a client that has no position. Read in pages while writes go on; each record says as of
//! which position it was read, so that the feed completes it.

use crate::store::Order;
use syncline_core::conflict::ConflictSummary;
use syncline_core::fault;
use syncline_core::ids::{ConflictId, RecordId, WorkspaceNo};
use syncline_core::state::{Key, Prefix, Row};
use syncline_core::view::{FeedCursor, RecordView};

use super::read::record_bytes;
use super::record_view::{self, Links, Neighbours};
use super::workspaces::committed_head;
use super::{Engine, EngineError};

/// Records in a chunk, at most; as many in the first one as may all be large; and scopes that are looked at at a time.
const CHUNK_RECORDS_MAX: usize = 2_000;
const FIRST_CHUNK_RECORDS: usize = 100;
const SCOPES_PER_CHUNK: usize = 200;
/// Size of a chunk, about.
const CHUNK_BYTES: usize = 512 * 1024;

/// A part of a snapshot.
#[derive(Debug)]
pub struct Chunk {
    pub position: FeedCursor,
    pub records: Vec<RecordView>,
    pub conflicts: Vec<ConflictSummary>,
    pub complete: bool,
    pub sent_count: u64,
    pub estimated_count: u64,
}

/// A snapshot being read.
pub struct Snapshot {
    engine: Engine,
    ws: WorkspaceNo,
    collections: Vec<String>,
    after: Option<RecordId>,
    records_done: bool,
    /// Records to read for the next chunk, by the size of those in the last one.
    next_records: usize,
    conflicts_after: Option<Key>,
    sent_count: u64,
    /// Counted once: it is for a progress bar.
    estimated_count: Option<u64>,
    done: bool,
}

impl Engine {
    /// Begins a snapshot of some collections, or of all.
    pub async fn snapshot(&self, workspace: &str, collections: Vec<String>) -> Result<Snapshot, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        Ok(Snapshot {
            engine: self.clone(),
            ws,
            collections,
            after: None,
            records_done: false,
            next_records: FIRST_CHUNK_RECORDS,
            conflicts_after: None,
            sent_count: 0,
            estimated_count: None,
            done: false,
        })
    }
}

impl Snapshot {
    /// The next chunk; `None` after the complete one.
    pub async fn next(&mut self) -> Result<Option<Chunk>, EngineError> {
        if self.done {
            return Ok(None);
        }
        if self.engine.draining().is_cancelled() {
            return Err(EngineError::ShuttingDown);
        }
        let mut reader = self.engine.inner.store.reader().await?;
        let mut head = committed_head(&mut *reader, self.ws).await?;
        if fault!(SnapshotPositionShown) {
            let shown = self.engine.hub(self.ws).await?.head();
            (head.head_seq, head.chain) = (shown.seq, shown.chain);
        }
        let mut chunk = Chunk {
            position: FeedCursor { epoch: head.epoch, seq: head.head_seq, chain: Some(head.chain) },
            records: Vec::new(),
            conflicts: Vec::new(),
            complete: false,
            sent_count: 0,
            estimated_count: 0,
        };
        chunk.estimated_count = match self.estimated_count {
            Some(count) => count,
            None => reader.count(self.ws, &Prefix::Records).await?,
        };
        self.estimated_count = Some(chunk.estimated_count);
        if self.records_done {
            self.conflicts(&mut *reader, &mut chunk).await?;
        } else {
            self.records(&mut *reader, &mut chunk).await?;
        }
        if fault!(SnapshotPositionLate) {
            let late = committed_head(&mut *self.engine.inner.store.reader().await?, self.ws).await?;
            (chunk.position.seq, chunk.position.chain) = (late.head_seq, Some(late.chain));
        }
        chunk.sent_count = self.sent_count;
        chunk.complete = self.done;
        Ok(Some(chunk))
    }

    async fn records(
        &mut self,
        reader: &mut dyn crate::store::StoreReader,
        chunk: &mut Chunk,
    ) -> Result<(), EngineError> {
        let after = self.after.clone().map(Key::Record);
        let page = reader
            .range(self.ws, &Prefix::Records, after.as_ref(), self.next_records, Order::Ascending)
            .await?;
        let (Some((Key::Record(first), _)), Some((Key::Record(last), _))) =
            (page.rows.first(), page.rows.last())
        else {
            self.records_done = true;
            return Ok(());
        };
        let mut rows = Neighbours::read(reader, self.ws, first, last).await?;
        let (mut bytes, mut seen) = (0, 0);
        self.records_done = !page.more;
        for (key, row) in page.rows {
            let (Key::Record(id), Row::Record(row)) = (key, row) else { continue };
            if bytes > CHUNK_BYTES {
                self.records_done = false;
                break;
            }
            seen += 1;
            self.after = Some(id.clone());
            if !self.wants(&row.collection) {
                continue;
            }
            if let Some(view) =
                record_view::build(reader, self.ws, &id, row, &mut rows, Links::Stored).await?
            {
                bytes += record_bytes(&view);
                chunk.records.push(view);
            }
        }
        // Never many more than before: large records may follow small ones, and all of them are read before they are cut.
        let more = (2 * self.next_records).min(CHUNK_RECORDS_MAX);
        self.next_records = (CHUNK_BYTES * seen / bytes.max(1)).clamp(1, more);
        self.sent_count += chunk.records.len() as u64;
        Ok(())
    }

    async fn conflicts(
        &mut self,
        reader: &mut dyn crate::store::StoreReader,
        chunk: &mut Chunk,
    ) -> Result<(), EngineError> {
        let page = reader
            .range(
                self.ws,
                &Prefix::Scopes,
                self.conflicts_after.as_ref(),
                SCOPES_PER_CHUNK,
                Order::Ascending,
            )
            .await?;
        self.done = !page.more;
        self.conflicts_after = page.rows.last().map(|(key, _)| key.clone());
        let live: Vec<ConflictId> = page
            .rows
            .into_iter()
            .filter_map(|(_, row)| match row {
                Row::Scope(scope) => scope.live,
                _ => None,
            })
            .collect();
        let keys: Vec<Key> = live.into_iter().map(Key::Conflict).collect();
        for row in reader.rows(self.ws, &keys).await?.into_iter().flatten() {
            if let Row::Conflict(conflict) = row
                && self.wants(&conflict.collection)
            {
                chunk.conflicts.push(conflict.summary());
            }
        }
        Ok(())
    }

    fn wants(&self, collection: &str) -> bool {
        self.collections.is_empty() || self.collections.iter().any(|c| c == collection)
    }
}
