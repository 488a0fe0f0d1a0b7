//! Snapshots: all records for a reader that does not follow the workspace. They are read in chunks while writes go on;
//! each record says as of which position it was read, so that a feed can complete it.

use syncline_core::conflict::ConflictSummary;
use syncline_core::fault;
use syncline_core::ids::WorkspaceNo;
use syncline_core::resume::Walked;
use syncline_core::selection::Collections;
use syncline_core::view::{FeedCursor, RecordView};

use super::load::committed_head;
pub use super::loading::CHUNK_BYTES;
use super::loading::{self, Pace};
use super::{Engine, EngineError};

/// A part of a snapshot.
#[derive(Debug)]
pub struct Chunk {
    /// The position as of which this chunk was read; a later chunk may be newer.
    pub position: FeedCursor,
    /// Records, deleted ones included.
    pub records: Vec<RecordView>,
    /// Live conflicts of these records.
    pub conflicts: Vec<ConflictSummary>,
    /// Whether this is the last chunk.
    pub complete: bool,
    /// Records so far, those of this chunk included.
    pub sent_count: u64,
    /// Roughly how many records the whole snapshot has, for a progress bar.
    pub estimated_count: u64,
}

/// A snapshot being read.
pub struct Snapshot {
    engine: Engine,
    ws: WorkspaceNo,
    collections: Collections,
    walked: Walked,
    pace: Pace,
    sent_count: u64,
    /// Counted once: it is for a progress bar.
    estimated_count: Option<u64>,
    done: bool,
}

impl Engine {
    /// Begins a snapshot of some collections that contains everything up to `at_least`.
    pub async fn snapshot(
        &self,
        workspace: &str,
        collections: Collections,
        at_least: Option<&FeedCursor>,
    ) -> Result<Snapshot, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        if at_least.is_some() {
            // Commits are never taken back: what this reader shows, every later one shows as well.
            self.reader_at_least(ws, at_least).await?;
        }
        Ok(Snapshot {
            engine: self.clone(),
            ws,
            collections,
            walked: Walked::Nothing,
            pace: Pace::new(self.inner.options.chunk_records_max),
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
        let estimated_count = match self.estimated_count {
            Some(count) => count,
            None => loading::count(&mut *reader, self.ws, &self.collections).await?,
        };
        self.estimated_count = Some(estimated_count);
        // Records come in the order of their ids, whatever collections they are of.
        let sparse = false;
        let part = loading::next_part(
            &mut *reader,
            self.ws,
            &self.collections,
            &mut self.walked,
            sparse,
            &mut self.pace,
        )
        .await?;
        if fault!(SnapshotPositionLate) {
            let late = committed_head(&mut *self.engine.inner.store.reader().await?, self.ws).await?;
            (head.head_seq, head.chain) = (late.head_seq, late.chain);
        }
        self.done = part.last;
        self.sent_count += part.records.len() as u64;
        Ok(Some(Chunk {
            position: FeedCursor { epoch: head.epoch, seq: head.head_seq, chain: Some(head.chain) },
            records: part.records,
            conflicts: part.conflicts,
            complete: part.last,
            sent_count: self.sent_count,
            estimated_count,
        }))
    }
}
