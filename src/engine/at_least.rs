//! Reads that contain what their caller has already seen, on another server or in a feed.

use std::time::Duration;

use tokio::time::Instant;

use crate::store::StoreReader;
use syncline_core::causality::Seq;
use syncline_core::fault;
use syncline_core::ids::WorkspaceNo;
use syncline_core::state::WorkspaceHead;
use syncline_core::view::FeedCursor;

use super::load::{chain_at, committed_head};
use super::{Engine, EngineError};

/// How long a read waits for a position that the store does not have yet.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(1);
/// How often the store is read meanwhile, in case no announcement of a commit reaches this server.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Engine {
    /// A reader that shows everything up to `at_least`, with the head that it shows. While the store has not reached
    /// it, this waits for up to [`CATCH_UP_TIMEOUT`].
    pub(super) async fn reader_at_least(
        &self,
        ws: WorkspaceNo,
        at_least: Option<&FeedCursor>,
    ) -> Result<(Box<dyn StoreReader>, WorkspaceHead), EngineError> {
        let give_up_at = Instant::now() + CATCH_UP_TIMEOUT;
        loop {
            let mut reader = self.inner.store.reader().await?;
            let head = committed_head(&mut *reader, ws).await?;
            let Some(wanted) = at_least.filter(|_| !fault!(AtLeastUnchecked)) else {
                return Ok((reader, head));
            };
            if wanted.epoch != head.epoch {
                return Err(EngineError::WrongEpoch { epoch: wanted.epoch, expected_epoch: head.epoch });
            }
            if wanted.seq <= head.head_seq {
                same_history(&mut *reader, ws, &head, wanted).await?;
                return Ok((reader, head));
            }
            drop(reader);
            if Instant::now() >= give_up_at {
                return Err(EngineError::NotCaughtUp { seq: wanted.seq, head_seq: head.head_seq });
            }
            self.wait_for(ws, wanted.seq, give_up_at.min(Instant::now() + LOOK_EVERY)).await?;
        }
    }

    /// Waits until a position is shown here, or until it is time to look at the store again.
    async fn wait_for(&self, ws: WorkspaceNo, seq: Seq, until: Instant) -> Result<(), EngineError> {
        let hub = self.hub(ws).await?;
        let mut heads = hub.watch();
        tokio::select! {
            _ = heads.wait_for(|head| head.seq >= seq) => Ok(()),
            () = tokio::time::sleep_until(until) => Ok(()),
            () = self.draining().cancelled() => Err(EngineError::ShuttingDown),
        }
    }
}

/// Refuses a position whose chain, if the caller kept it, is not that of this history.
async fn same_history(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    head: &WorkspaceHead,
    wanted: &FeedCursor,
) -> Result<(), EngineError> {
    let Some(chain) = wanted.chain else { return Ok(()) };
    let here = match wanted.seq == head.head_seq {
        true => Some(head.chain),
        false => chain_at(reader, ws, wanted.seq).await?,
    };
    if here.is_some_and(|here| here != chain) {
        return Err(EngineError::HistoryRewound { base_seq: wanted.seq });
    }
    Ok(())
}
