//! Feeds: following a workspace's changes from a cursor, without gap or repetition.
//!
//! A feed is pulled by its stream: what the client does not read is not produced, and costs no memory. It reads the
//! recent changes near the head and the store further back; the head only tells when to look.
//!
//! A feed whose client lacks records that it asks for loads them first ([`Loading`]). Its position does not move
//! meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use syncline_core::causality::Seq;
use syncline_core::conflict::ConflictSummary;
use syncline_core::fault;
use syncline_core::hash::{self, CHAIN_START, Hash};
use syncline_core::ids::{CollectionId, Epoch, RecordId, WorkspaceNo};
use syncline_core::resume::{Loading, Resume};
use syncline_core::selection::Collections;
use syncline_core::view::{FeedCursor, RecordView};

use super::feed_loading::Underway;
use super::hub::{EncodedChange, Hub, PublishedHead};
use super::load::{chain_at, committed_head};
use super::{Engine, EngineError};

/// Maximum number of changes in a frame.
const FRAME_CHANGES_MAX: usize = 256;
/// Approximate maximum size of a frame; a single larger change still goes into one frame.
pub const FRAME_BYTES: usize = 64 * 1024;
/// Changes that a feed which is behind reads from the store first; more when they turn out to be small.
const READ_CHANGES_MIN: usize = 16;
/// The gap between two frames of a feed is this many microseconds for each feed of the workspace, so that changes for
/// very many feeds are sent in fewer frames. The first change after a pause is sent at once.
const FRAME_GAP_PER_FEED_US: u64 = 50;
/// The longest gap.
const FRAME_GAP_MAX: Duration = Duration::from_millis(100);
/// Shorter gaps are skipped, because timers are no finer than this.
const FRAME_GAP_MIN: Duration = Duration::from_millis(1);
/// A feed sends a checkpoint after this time without any other frame.
const CHECKPOINT_AFTER: Duration = Duration::from_secs(15);
/// A client that leaves changes waiting this long is told to come back.
const UNREAD_MAX: Duration = Duration::from_secs(30);

/// The history before this position is compacted. So far, none is.
pub const HORIZON_SEQ: Seq = Seq(0);

/// Where a feed starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// After what was delivered before.
    Cursor(Box<Resume>),
    /// At the beginning of the history.
    Beginning,
    /// After the newest position.
    Head,
    /// With all records, and then with what comes after.
    Snapshot,
}

/// Why a feed cannot go on from a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetReason {
    /// The cursor belongs to another history: the epoch or the chain differs.
    WrongEpoch,
    /// The cursor is ahead of the head: the history was rewound.
    FutureCursor,
}

/// Why the server ends a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoAwayReason {
    /// The server is stopping.
    Draining,
    /// The stream has reached its greatest age.
    MaxAge,
    /// The client left items waiting for too long.
    SlowConsumer,
}

/// What a feed delivers.
#[derive(Debug)]
pub enum FeedItem {
    /// Changes that follow each other without a gap; at least one.
    Changes {
        /// The position before the first of them.
        from_exclusive: Seq,
        /// The changes in their order, as many as fit a frame.
        changes: Vec<Arc<EncodedChange>>,
        /// The head when they were taken; the client may be behind it.
        head: PublishedHead,
    },
    /// Nothing is new up to the feed's position: a sign of life after a time without anything else.
    Checkpoint {
        /// The head now; a paused feed may be behind it.
        head: PublishedHead,
    },
    /// Records are going to be loaded. If it is unknown what the client has, the client drops it first.
    LoadingBegun {
        /// Whether the client is to drop everything first, because all of it comes again.
        from_scratch: bool,
        /// Roughly how many records enter in total, for a progress bar.
        estimated_count: u64,
        /// How many choices were made on this stream.
        choice_count: u32,
    },
    /// Records of collections that were not asked for before, with their live conflicts.
    Entered {
        /// Whole records, deleted ones included.
        records: Vec<RecordView>,
        /// All live conflicts of these records.
        conflicts: Vec<ConflictSummary>,
        /// The position as of which they were read.
        as_of_seq: Seq,
        /// Records loaded so far, these included.
        loaded_count: u64,
    },
    /// Records of collections that are no longer asked for.
    Left(Vec<(CollectionId, RecordId)>),
    /// Everything that was asked for is loaded, as of positions up to this one.
    LoadingFinished {
        /// Records that were loaded altogether.
        loaded_count: u64,
        /// The position from which on the client has everything consistent; changes up to it may still come.
        complete_from_seq: Seq,
    },
    /// The last item.
    GoAway(GoAwayReason),
    /// The last item: the database does not continue what was handed over.
    Reset(ResetReason),
}

impl FeedItem {
    /// Whether nothing follows.
    pub fn is_last(&self) -> bool {
        matches!(self, FeedItem::GoAway(_) | FeedItem::Reset(_))
    }
}

/// The answer to opening a feed.
pub enum Opened {
    /// The feed, ready to be followed.
    Feed(Box<Feed>),
    /// No feed can go on from the cursor.
    Reset {
        /// Why it cannot.
        reason: ResetReason,
        /// The head of the workspace as it is now.
        head: PublishedHead,
    },
}

/// A feed of one workspace.
pub struct Feed {
    engine: Engine,
    ws: WorkspaceNo,
    hub: Arc<Hub>,
    heads: watch::Receiver<PublishedHead>,
    epoch: Epoch,
    seq: Seq,
    chain: Option<Hash>,
    asked: Collections,
    /// Present until the client has everything that was asked for, as of its position.
    loading: Option<Box<Underway>>,
    choice_count: u32,
    paused: bool,
    /// How many changes are read from the store at a time: about as many as fit into a frame.
    read_changes: usize,
    ends_at: Instant,
    /// When the last item was handed over.
    handed_at: Instant,
    checkpoint_at: Instant,
}

impl Engine {
    /// Opens a feed of some collections.
    pub async fn open_feed(
        &self,
        workspace: &str,
        origin: Origin,
        asked: Collections,
    ) -> Result<Opened, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let hub = self.hub(ws).await?;
        let heads = hub.watch();
        let ahead = matches!(&origin, Origin::Cursor(resume) if resume.position.seq > hub.head().seq);
        if ahead && !fault!(LaggingServerResets) {
            // Another server may have shown the client more than this one has heard of.
            self.catch_up_hub(ws, &hub).await?;
        }
        let head = hub.head();
        let at_head = FeedCursor { epoch: head.epoch, seq: head.seq, chain: Some(head.chain) };
        let (position, loading) = match origin {
            Origin::Cursor(resume) => (resume.position, resume.loading_of(&asked)),
            Origin::Beginning => {
                (FeedCursor { epoch: head.epoch, seq: Seq::START, chain: Some(CHAIN_START) }, None)
            }
            Origin::Head => (at_head, None),
            Origin::Snapshot => (at_head, Some(Loading::from_scratch())),
        };
        if let Some(reason) = self.refuse_cursor(ws, &head, &position).await? {
            return Ok(Opened::Reset { reason, head });
        }
        let now = Instant::now();
        // ±10 %: streams opened together must not all end together.
        let age = self.inner.options.stream_age_max_ms;
        let jitter = self.inner.randomness.number() % (age / 5).max(1);
        let mut feed = Feed {
            engine: self.clone(),
            ws,
            hub,
            heads,
            epoch: head.epoch,
            seq: resumed(position.seq, head.seq),
            chain: position.chain,
            asked,
            loading: None,
            choice_count: 0,
            paused: false,
            read_changes: READ_CHANGES_MIN,
            ends_at: now + Duration::from_millis(age - age / 10 + jitter),
            handed_at: now,
            checkpoint_at: now + CHECKPOINT_AFTER,
        };
        feed.load(loading);
        if fault!(LoadingResumesTooFar)
            && let Some(underway) = &mut feed.loading
        {
            underway.skip_one(&mut *self.inner.store.reader().await?, ws, &feed.asked).await?;
        }
        Ok(Opened::Feed(Box::new(feed)))
    }

    async fn refuse_cursor(
        &self,
        ws: WorkspaceNo,
        head: &PublishedHead,
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
            Some(head.chain)
        } else {
            chain_at(&mut *self.inner.store.reader().await?, ws, position.seq).await?
        };
        Ok((Some(chain) != expected && !fault!(ChainUnchecked)).then_some(ResetReason::WrongEpoch))
    }
}

impl Feed {
    /// The head now.
    pub fn head(&self) -> PublishedHead {
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

    /// What it was asked for.
    pub fn asked(&self) -> &Collections {
        &self.asked
    }

    /// How far loading what was asked for has come; `None` when the client has all of it.
    pub fn loading(&self) -> Option<&Loading> {
        self.loading.as_deref().map(|underway| &underway.loading)
    }

    /// Hands over nothing but checkpoints until resumed.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Takes another choice of collections and loads what the client lacks of it. The client is told even if it lacks
    /// nothing.
    pub fn choose(&mut self, wanted: Collections) {
        self.choice_count = self.choice_count.saturating_add(1);
        let loading = match self.loading.take() {
            Some(underway) => underway.loading.turned(&self.asked, &wanted),
            None => Loading::turn(&self.asked),
        };
        self.asked = wanted;
        self.load(Some(loading));
    }

    fn load(&mut self, loading: Option<Loading>) {
        let loading = loading.filter(|_| !fault!(DifferenceNotLoaded));
        let chunk_records_max = self.engine.options().chunk_records_max;
        self.loading = loading.map(|loading| Box::new(Underway::new(loading, chunk_records_max)));
    }

    /// Whether records are still to be loaded.
    fn loads(&self) -> bool {
        self.loading.as_ref().is_some_and(|underway| underway.is_loading())
    }

    /// Waits until there may be something to take. Cancelling loses nothing.
    pub async fn ready(&mut self) {
        loop {
            let head = *self.heads.borrow_and_update();
            let ends = self.engine.draining().is_cancelled() || Instant::now() >= self.ends_at;
            if ends || self.rewound(&head).is_some() || (self.loads() && !self.paused) {
                return;
            }
            if head.seq > self.seq && !self.paused {
                let Some(until) = self.wait_for_more(&head) else { return };
                // This wait is short, so a stop or the end of the feed is noticed right afterwards.
                tokio::time::sleep_until(until).await;
                continue;
            }
            let draining = self.engine.draining().clone();
            tokio::select! {
                changed = self.heads.changed() => if changed.is_err() { return },
                () = draining.cancelled() => {}
                () = tokio::time::sleep_until(self.ends_at) => {}
                () = tokio::time::sleep_until(self.checkpoint_at) => return,
            }
        }
    }

    /// The next item, if there is one. `asked_at` is when the stream was asked for room for it: a long wait since then
    /// means that the client reads slowly.
    pub async fn take(&mut self, asked_at: Instant) -> Result<Option<FeedItem>, EngineError> {
        let head = *self.heads.borrow_and_update();
        if self.engine.draining().is_cancelled() || self.heads.has_changed().is_err() {
            return Ok(Some(FeedItem::GoAway(GoAwayReason::Draining)));
        }
        if Instant::now() >= self.ends_at {
            return Ok(Some(FeedItem::GoAway(GoAwayReason::MaxAge)));
        }
        if let Some(reason) = self.rewound(&head) {
            return Ok(Some(FeedItem::Reset(reason)));
        }
        let loads = self.loads();
        if (loads || head.seq > self.seq) && !self.paused {
            if asked_at.elapsed() > UNREAD_MAX {
                return Ok(Some(FeedItem::GoAway(GoAwayReason::SlowConsumer)));
            }
            // Boxed, so that a waiting feed does not reserve memory for the state of loading.
            let item = match loads {
                true => Box::pin(self.next_loaded()).await?,
                false => self.changes(head).await?,
            };
            self.handed();
            return Ok(Some(item));
        }
        if Instant::now() >= self.checkpoint_at {
            self.handed();
            return Ok(Some(FeedItem::Checkpoint { head: self.hub.head() }));
        }
        Ok(None)
    }

    /// The next step of loading.
    async fn next_loaded(&mut self) -> Result<FeedItem, EngineError> {
        let mut reader = self.engine.inner.store.reader().await?;
        let head = committed_head(&mut *reader, self.ws).await?;
        if head.epoch != self.epoch {
            return Ok(FeedItem::Reset(ResetReason::WrongEpoch));
        }
        if head.head_seq < self.seq {
            return Ok(FeedItem::Reset(ResetReason::FutureCursor));
        }
        let Some(underway) = &mut self.loading else {
            return Ok(FeedItem::Checkpoint { head: self.hub.head() });
        };
        if !underway.is_continued(&mut *reader, self.ws, &head).await? {
            return Ok(FeedItem::Reset(ResetReason::WrongEpoch));
        }
        let item =
            underway.next(&mut *reader, self.ws, &head, &self.asked, self.seq, self.choice_count).await?;
        if underway.is_over_at(self.seq) {
            self.loading = None;
        }
        Ok(item)
    }

    /// Until when a frame waits for more changes, if it should.
    fn wait_for_more(&self, head: &PublishedHead) -> Option<Instant> {
        if head.seq - self.seq >= FRAME_CHANGES_MAX as u64 {
            return None;
        }
        let feeds = u64::try_from(self.hub.subscriber_count()).unwrap_or(u64::MAX);
        let gap = Duration::from_micros(feeds.saturating_mul(FRAME_GAP_PER_FEED_US)).min(FRAME_GAP_MAX);
        let until = self.handed_at + gap;
        (gap >= FRAME_GAP_MIN && until > Instant::now()).then_some(until)
    }

    async fn changes(&mut self, head: PublishedHead) -> Result<FeedItem, EngineError> {
        let changes = match self.hub.since(self.seq, FRAME_CHANGES_MAX) {
            Some(changes) if !changes.is_empty() => self.fitting(changes)?,
            _ => self.stored(head).await?,
        };
        if let (Some(chain), Some(first)) = (self.chain, changes.first())
            && hash::chain(&chain, &first.change.operation_hash) != first.change.chain
        {
            return Ok(FeedItem::Reset(ResetReason::WrongEpoch));
        }
        // The recent changes may have grown since the head was read, but they never go beyond the hub's head.
        let beyond = changes.last().is_some_and(|last| last.change.seq > head.seq);
        let head = if beyond { self.hub.head() } else { head };
        if let Some(reason) = self.rewound(&head) {
            return Ok(FeedItem::Reset(reason));
        }
        if let Some(underway) = &self.loading
            && changes.iter().any(|shown| underway.contradicts(shown.change.seq, &shown.change.chain))
        {
            return Ok(FeedItem::Reset(ResetReason::WrongEpoch));
        }
        let from_exclusive = self.seq;
        if let Some(last) = changes.last() {
            self.seq = last.change.seq;
            self.chain = Some(last.change.chain);
        }
        if self.loading.as_ref().is_some_and(|underway| underway.is_over_at(self.seq)) {
            self.loading = None;
        }
        Ok(FeedItem::Changes { from_exclusive, changes, head })
    }

    /// The next changes from the store. Reads not many more than fit into a frame: what does not fit is read in vain.
    async fn stored(&mut self, head: PublishedHead) -> Result<Vec<Arc<EncodedChange>>, EngineError> {
        let mut reader = self.engine.inner.store.reader().await?;
        let found = reader.changes(self.ws, self.seq, head.seq, self.read_changes).await?;
        drop(reader);
        let read = found.len();
        let found = found.into_iter().map(|change| Arc::new(EncodedChange::new(Arc::new(change)))).collect();
        let fitting = self.fitting(found)?;
        let next = if fitting.len() < read { fitting.len() } else { self.read_changes.saturating_mul(2) };
        self.read_changes = next.clamp(1, FRAME_CHANGES_MAX);
        Ok(fitting)
    }

    /// The reason for a reset if the head no longer continues what was handed over: the database was restored, or a
    /// failover lost commits.
    fn rewound(&self, head: &PublishedHead) -> Option<ResetReason> {
        match head {
            head if head.epoch != self.epoch => Some(ResetReason::WrongEpoch),
            head if head.seq < self.seq => Some(ResetReason::FutureCursor),
            head if head.seq == self.seq && self.chain.is_some_and(|chain| chain != head.chain) => {
                Some(ResetReason::WrongEpoch)
            }
            _ => None,
        }
    }

    /// The beginning of a run that fits into a frame. Only here is it checked that the run has no gap.
    fn fitting(&self, changes: Vec<Arc<EncodedChange>>) -> Result<Vec<Arc<EncodedChange>>, EngineError> {
        let mut bytes = 0;
        let mut fitting = Vec::with_capacity(changes.len());
        for change in changes {
            let expected = self.seq + fitting.len() as u64 + 1;
            if change.change.seq != expected && !fault!(RecentGapServed) {
                let detail = format!("the log goes on with {} after {}", change.change.seq, expected - 1);
                return Err(crate::store::StoreError::Inconsistent(detail).into());
            }
            bytes += change.change.weight_bytes();
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
