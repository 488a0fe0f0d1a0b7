//! Feeds: following a workspace's changes from a cursor, without gap or repetition.
//!
//! A feed is pulled by its stream: what the client does not read is not produced, and costs no memory. It reads the
//! ring near the head and the store further back; the head is only a hint when to look.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use syncline_core::causality::Seq;
use syncline_core::change::{Change, EffectKind};
use syncline_core::fault;
use syncline_core::hash::{self, CHAIN_START, Hash};
use syncline_core::ids::{Epoch, WorkspaceNo};
use syncline_core::merge::text::Splice;
use syncline_core::operation::Action;
use syncline_core::view::FeedCursor;

use super::hub::{Head, Hub, Shown};
use super::{Engine, EngineError};

/// Changes in a frame.
const FRAME_CHANGES_MAX: usize = 256;
/// Size of a frame, about; a single larger change still goes in one.
const FRAME_BYTES: usize = 512 * 1024;
/// Between two frames of a feed lie so many microseconds for each feed of the workspace: a change that goes to very many
/// shall not make each of them a frame of its own. The first change after a pause goes at once.
const FRAME_GAP_PER_FEED_US: u64 = 50;
/// The longest gap.
const FRAME_GAP_MAX: Duration = Duration::from_millis(100);
/// Timers are no finer.
const FRAME_GAP_MIN: Duration = Duration::from_millis(1);
/// Without another frame, a checkpoint after this time.
const CHECKPOINT_AFTER: Duration = Duration::from_secs(15);
/// A client that leaves changes waiting this long is told to come back.
const UNREAD_MAX: Duration = Duration::from_secs(30);

/// Why a feed cannot go on from a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetReason {
    WrongEpoch,
    FutureCursor,
}

/// Why the server ends a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoAwayReason {
    Draining,
    MaxAge,
    SlowConsumer,
}

/// What a feed delivers.
#[derive(Debug, Clone)]
pub enum FeedItem {
    Changes {
        from_exclusive: Seq,
        changes: Vec<Arc<Shown>>,
        head: Head,
    },
    Checkpoint {
        head: Head,
    },
    /// The last item.
    GoAway(GoAwayReason),
    /// The last item: the database does not continue what was handed over.
    Reset(ResetReason),
}

/// The answer to opening a feed.
pub enum Opened {
    Feed(Box<Feed>),
    Reset { reason: ResetReason, head: Head },
}

/// A feed of one workspace.
pub struct Feed {
    engine: Engine,
    ws: WorkspaceNo,
    hub: Arc<Hub>,
    heads: watch::Receiver<Head>,
    epoch: Epoch,
    seq: Seq,
    chain: Option<Hash>,
    paused: bool,
    ends_at: Instant,
    /// When the last item was handed over.
    handed_at: Instant,
    checkpoint_at: Instant,
}

impl Engine {
    /// Opens a feed after a position, or from the beginning.
    pub async fn open_feed(&self, workspace: &str, after: Option<FeedCursor>) -> Result<Opened, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let hub = self.hub(ws).await?;
        let heads = hub.watch();
        if after.is_some_and(|after| after.seq > hub.head().seq) && !fault!(LaggingServerResets) {
            // Another server may have shown the client more than this one has heard of.
            self.catch_up_hub(ws, &hub).await?;
        }
        let head = hub.head();
        let position = after.unwrap_or(FeedCursor { epoch: head.epoch, seq: 0, chain: Some(CHAIN_START) });
        if let Some(reason) = self.refuse_cursor(ws, &head, &position).await? {
            return Ok(Opened::Reset { reason, head });
        }
        let now = Instant::now();
        // ±10 %: streams opened together must not all end together.
        let age = self.inner.options.stream_age_max_ms;
        let jitter = self.inner.randomness.number() % (age / 5).max(1);
        Ok(Opened::Feed(Box::new(Feed {
            engine: self.clone(),
            ws,
            hub,
            heads,
            epoch: head.epoch,
            seq: resumed(position.seq, head.seq),
            chain: position.chain,
            paused: false,
            ends_at: now + Duration::from_millis(age - age / 10 + jitter),
            handed_at: now,
            checkpoint_at: now + CHECKPOINT_AFTER,
        })))
    }

    async fn refuse_cursor(
        &self,
        ws: WorkspaceNo,
        head: &Head,
        position: &FeedCursor,
    ) -> Result<Option<ResetReason>, EngineError> {
        if position.epoch != head.epoch && !fault!(EpochUnchecked) {
            return Ok(Some(ResetReason::WrongEpoch));
        }
        if position.seq > head.seq {
            return Ok(Some(ResetReason::FutureCursor));
        }
        let Some(chain) = position.chain else { return Ok(None) };
        let expected = if position.seq == head.seq {
            head.chain
        } else if position.seq == 0 {
            CHAIN_START
        } else {
            let mut reader = self.inner.store.reader().await?;
            let at = reader.changes(ws, position.seq - 1, position.seq, 1).await?;
            at.first().map_or(CHAIN_START, |c| c.chain)
        };
        Ok((chain != expected && !fault!(ChainUnchecked)).then_some(ResetReason::WrongEpoch))
    }
}

impl Feed {
    /// The head now.
    pub fn head(&self) -> Head {
        self.hub.head()
    }

    /// Where the feed stands: everything up to here was handed over.
    pub fn position(&self) -> FeedCursor {
        if fault!(CursorOfHead) {
            let head = self.hub.head();
            return FeedCursor { epoch: head.epoch, seq: head.seq, chain: Some(head.chain) };
        }
        FeedCursor { epoch: self.epoch, seq: self.seq, chain: self.chain }
    }

    /// Hands over no changes until resumed.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// The next item. Cancelling loses nothing.
    pub async fn next(&mut self) -> Result<FeedItem, EngineError> {
        let called_at = Instant::now();
        loop {
            let head = *self.heads.borrow_and_update();
            if self.engine.draining().is_cancelled() {
                return Ok(FeedItem::GoAway(GoAwayReason::Draining));
            }
            if Instant::now() >= self.ends_at {
                return Ok(FeedItem::GoAway(GoAwayReason::MaxAge));
            }
            if let Some(reason) = self.rewound(&head) {
                return Ok(FeedItem::Reset(reason));
            }
            if head.seq > self.seq && !self.paused {
                if called_at.duration_since(self.handed_at) > UNREAD_MAX {
                    return Ok(FeedItem::GoAway(GoAwayReason::SlowConsumer));
                }
                let Some(until) = self.wait_for_more(&head) else { return self.changes(head).await };
                // Short: a stop or an end comes right after.
                tokio::time::sleep_until(until).await;
                continue;
            }
            let draining = self.engine.draining().clone();
            tokio::select! {
                changed = self.heads.changed() => {
                    if changed.is_err() {
                        return Ok(FeedItem::GoAway(GoAwayReason::Draining));
                    }
                }
                () = draining.cancelled() => {}
                () = tokio::time::sleep_until(self.ends_at) => {}
                () = tokio::time::sleep_until(self.checkpoint_at) => {
                    self.handed();
                    return Ok(FeedItem::Checkpoint { head: self.hub.head() });
                }
            }
        }
    }

    /// Until when a frame waits for more changes, if it should.
    fn wait_for_more(&self, head: &Head) -> Option<Instant> {
        if head.seq - self.seq >= FRAME_CHANGES_MAX as Seq {
            return None;
        }
        let feeds = u64::try_from(self.hub.follower_count()).unwrap_or(u64::MAX);
        let gap = Duration::from_micros(feeds.saturating_mul(FRAME_GAP_PER_FEED_US)).min(FRAME_GAP_MAX);
        let until = self.handed_at + gap;
        (gap >= FRAME_GAP_MIN && until > Instant::now()).then_some(until)
    }

    async fn changes(&mut self, head: Head) -> Result<FeedItem, EngineError> {
        let changes = match self.hub.since(self.seq, FRAME_CHANGES_MAX) {
            Some(changes) if !changes.is_empty() => changes,
            _ => {
                let mut reader = self.engine.inner.store.reader().await?;
                let found = reader.changes(self.ws, self.seq, head.seq, FRAME_CHANGES_MAX).await?;
                found.into_iter().map(|change| Arc::new(Shown::new(Arc::new(change)))).collect()
            }
        };
        let changes = self.fitting(changes)?;
        if let (Some(chain), Some(first)) = (self.chain, changes.first())
            && hash::chain(&chain, &first.change.operation_hash) != first.change.chain
        {
            return Ok(FeedItem::Reset(ResetReason::WrongEpoch));
        }
        // The ring may have got more since the head was read, and it never has what the head has not reached.
        let beyond = changes.last().is_some_and(|last| last.change.seq > head.seq);
        let head = if beyond { self.hub.head() } else { head };
        if let Some(reason) = self.rewound(&head) {
            return Ok(FeedItem::Reset(reason));
        }
        let from_exclusive = self.seq;
        if let Some(last) = changes.last() {
            self.seq = last.change.seq;
            self.chain = Some(last.change.chain);
        }
        self.handed();
        Ok(FeedItem::Changes { from_exclusive, changes, head })
    }

    /// Whether the head no longer stands on what was handed over: the database was restored, or a failover lost
    /// commits.
    fn rewound(&self, head: &Head) -> Option<ResetReason> {
        match head {
            head if head.epoch != self.epoch => Some(ResetReason::WrongEpoch),
            head if head.seq < self.seq => Some(ResetReason::FutureCursor),
            head if head.seq == self.seq && self.chain.is_some_and(|chain| chain != head.chain) => {
                Some(ResetReason::WrongEpoch)
            }
            _ => None,
        }
    }

    /// The beginning of a run that fits a frame; that it has no gap is checked here, once and for all.
    fn fitting(&self, changes: Vec<Arc<Shown>>) -> Result<Vec<Arc<Shown>>, EngineError> {
        let mut bytes = 0;
        let mut fitting = Vec::with_capacity(changes.len());
        for change in changes {
            let expected = self.seq + fitting.len() as Seq + 1;
            if change.change.seq != expected && !fault!(RingGapServed) {
                let detail = format!("the log goes on with {} after {}", change.change.seq, expected - 1);
                return Err(crate::store::StoreError::Inconsistent(detail).into());
            }
            bytes += weight_bytes(&change.change);
            if bytes > FRAME_BYTES && !fitting.is_empty() {
                break;
            }
            fitting.push(change);
        }
        if fitting.is_empty() {
            let detail = format!("the log ends at {} before its head", self.seq);
            return Err(crate::store::StoreError::Inconsistent(detail).into());
        }
        Ok(fitting)
    }

    fn handed(&mut self) {
        self.handed_at = Instant::now();
        self.checkpoint_at = self.handed_at + CHECKPOINT_AFTER;
    }
}

/// Where a feed goes on: after its cursor.
fn resumed(seq: Seq, head_seq: Seq) -> Seq {
    match seq {
        _ if fault!(ResumeSkipsOne) && seq < head_seq => seq + 1,
        _ if fault!(ResumeRepeatsOne) => seq.saturating_sub(1),
        _ => seq,
    }
}

/// Size of a change on the wire, about.
pub(super) fn weight_bytes(change: &Change) -> usize {
    let effects: usize = change
        .effects
        .iter()
        .map(|effect| match &effect.kind {
            EffectKind::Register { value: Some(value) } => value.weight_bytes(),
            EffectKind::Text { splices, hunks, .. } => {
                let text: usize = splices
                    .iter()
                    .map(|s| match s {
                        Splice::Retain(_) => 4,
                        Splice::Insert(text) | Splice::Delete(text) => text.len() + 4,
                    })
                    .sum();
                text + hunks.iter().map(|h| h.hunk.ins.len() + 16).sum::<usize>()
            }
            EffectKind::Set { added, removed } => {
                added.iter().chain(removed).map(syncline_core::value::Value::weight_bytes).sum()
            }
            _ => 64,
        })
        .map(|bytes| bytes + 96)
        .sum();
    let mutations: usize = change
        .mutations
        .iter()
        .map(|mutation| match &mutation.action {
            Action::Set { value, .. } => value.weight_bytes(),
            _ => 0,
        })
        .sum();
    192 + effects + mutations
}
