//! Loading in a feed: the steps from what its client has to what it asks for.

use crate::store::StoreReader;
use syncline_core::causality::Seq;
use syncline_core::fault;
use syncline_core::hash::Hash;
use syncline_core::ids::WorkspaceNo;
use syncline_core::resume::{Loading, Stage, Walked};
use syncline_core::selection::Collections;
use syncline_core::state::WorkspaceHead;

use super::EngineError;
use super::feed::FeedItem;
use super::load::chain_at;
use super::loading::{self, Pace};

/// Maximum number of ids in a frame of records that leave.
const LEFT_MAX: usize = 1_000;

/// A loading that is under way on a stream.
pub(super) struct Underway {
    pub loading: Loading,
    /// Whether the client was told that it has begun.
    is_told: bool,
    /// Whether all records that enter were sent.
    is_sent: bool,
    sparse: bool,
    pace: Pace,
}

impl Underway {
    pub(super) fn new(loading: Loading, chunk_records_max: usize) -> Underway {
        let pace = Pace::new(chunk_records_max);
        Underway { loading, is_told: false, is_sent: false, sparse: false, pace }
    }

    /// Whether records are still to be loaded.
    pub(super) fn is_loading(&self) -> bool {
        self.loading.stage != Stage::Loaded
    }

    /// Whether the client's position is past everything that was loaded: then its state is no longer needed.
    pub(super) fn is_over_at(&self, position: Seq) -> bool {
        !self.is_loading() && self.loading.read_at.is_none_or(|(seq, _)| seq <= position)
    }

    /// Whether the history that was read before is the one that a reader with this head sees.
    pub(super) async fn is_continued(
        &self,
        reader: &mut dyn StoreReader,
        ws: WorkspaceNo,
        head: &WorkspaceHead,
    ) -> Result<bool, EngineError> {
        match self.loading.read_at {
            None => Ok(true),
            Some((seq, chain)) if seq == head.head_seq => Ok(chain == head.chain),
            Some((seq, _)) if seq > head.head_seq => Ok(false),
            Some((seq, chain)) => Ok(chain_at(reader, ws, seq).await? == Some(chain)),
        }
    }

    /// Whether a change contradicts what was read at its position.
    pub(super) fn contradicts(&self, seq: Seq, chain: &Hash) -> bool {
        self.loading.read_at.is_some_and(|(read_at, read)| read_at == seq && read != *chain)
    }

    /// The next step for a client that asked for `asked`, has made `choice_count` choices on this stream, and is at
    /// `position`.
    pub(super) async fn next(
        &mut self,
        reader: &mut dyn StoreReader,
        ws: WorkspaceNo,
        head: &WorkspaceHead,
        asked: &Collections,
        position: Seq,
        choice_count: u32,
    ) -> Result<FeedItem, EngineError> {
        let (entering, mut leaving) = (self.loading.entering(asked), self.loading.leaving(asked));
        if !std::mem::replace(&mut self.is_told, true) {
            let estimated_count = loading::count(reader, ws, &entering).await?;
            self.sparse = loading::is_sparse(reader, ws, &entering, estimated_count).await?;
            let from_scratch = std::mem::take(&mut self.loading.from_scratch);
            return Ok(FeedItem::LoadingBegun { from_scratch, estimated_count, choice_count });
        }
        if fault!(LeaveForgotten) {
            leaving = Collections::nothing();
        }
        if let Stage::Leaving(walked) = &mut self.loading.stage {
            let (left, last) = match leaving.is_nothing() {
                true => (Vec::new(), true),
                false => loading::next_ids(reader, ws, &leaving, walked, LEFT_MAX).await?,
            };
            if last {
                self.loading.stage = Stage::Entering(Walked::Nothing);
            }
            if !left.is_empty() || !last {
                return Ok(FeedItem::Left(left));
            }
        }
        if let Stage::Entering(walked) = &mut self.loading.stage
            && !entering.is_nothing()
            && !self.is_sent
        {
            let part = loading::next_part(reader, ws, &entering, walked, self.sparse, &mut self.pace).await?;
            self.is_sent = part.last;
            self.loading.read_at = Some((head.head_seq, head.chain));
            self.loading.loaded_count += part.records.len() as u64;
            if !part.records.is_empty() || !part.last {
                return Ok(FeedItem::Entered {
                    records: part.records,
                    conflicts: part.conflicts,
                    as_of_seq: head.head_seq,
                    loaded_count: self.loading.loaded_count,
                });
            }
        }
        self.loading.stage = Stage::Loaded;
        let complete_from_seq = self.loading.read_at.map_or(position, |(seq, _)| seq);
        Ok(FeedItem::LoadingFinished { loaded_count: self.loading.loaded_count, complete_from_seq })
    }

    /// For the seeded fault `LoadingResumesTooFar`.
    pub(super) async fn skip_one(
        &mut self,
        reader: &mut dyn StoreReader,
        ws: WorkspaceNo,
        asked: &Collections,
    ) -> Result<(), EngineError> {
        let entering = self.loading.entering(asked);
        if let Stage::Entering(walked @ (Walked::Records { .. } | Walked::Members { .. })) =
            &mut self.loading.stage
        {
            loading::next_ids(reader, ws, &entering, walked, 1).await?;
        }
        Ok(())
    }
}
