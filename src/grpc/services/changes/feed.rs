//! One feed on a stream: it sends frames and takes in what the client says about the feed.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::engine::feed::{Feed, FeedItem, GoAwayReason, HORIZON_SEQ, Opened, ResetReason};
use crate::grpc::frame::{self, Run};
use crate::grpc::services::server_info::server_info;
use syncline_core::causality::Seq;
use syncline_core::conflict::ConflictSummary;
use syncline_core::fault;
use syncline_core::ids::{CollectionId, RecordId};
use syncline_core::view::{FeedCursor, RecordView};
use syncline_protocol::convert::{
    collections_from_pb, conflict_to_pb, failure_to_pb, feed_cursor_to_pb, record_to_pb, selection_to_bytes,
};
use syncline_protocol::pb;
use syncline_protocol::pb::frame::Content;
use syncline_protocol::pb::subscribe_request::Message as Said;
use syncline_protocol::status::Failure;

use super::router::Inbox;
use super::{Ended, Sender, Shared};

/// One feed on one stream.
pub(super) struct Subscription {
    shared: Arc<Shared>,
    /// Its number, as the client chose it.
    id: u32,
    workspace_id: String,
    /// What it was asked for, as its cursors carry it.
    selection: Bytes,
    /// The position of the cursor that it was opened with.
    from: Option<FeedCursor>,
    acknowledged: Seq,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.metrics.subscribers.decrement(1);
    }
}

impl Subscription {
    pub(super) fn new(
        shared: Arc<Shared>,
        id: u32,
        workspace_id: String,
        selection: Bytes,
        from: Option<FeedCursor>,
        permit: OwnedSemaphorePermit,
    ) -> Subscription {
        shared.metrics.subscribers.increment(1);
        Subscription { shared, id, workspace_id, selection, from, acknowledged: Seq::START, _permit: permit }
    }

    /// Serves the feed until either side ends it.
    pub(super) async fn run(
        &mut self,
        opened: Opened,
        frames: &Sender,
        inbox: &mut Inbox,
    ) -> Result<(), Ended> {
        let mut feed = match opened {
            Opened::Feed(feed) => feed,
            Opened::Reset { reason, head } => {
                let head = FeedCursor { epoch: head.epoch, seq: head.seq, chain: Some(head.chain) };
                let cursor = self.from.unwrap_or(head);
                let cursor = feed_cursor_to_pb(&self.workspace_id, &cursor, self.selection.clone(), None);
                let _ = frames.send(Ok(frame::frame(reset_to_pb(reason), cursor, self.id))).await;
                return Ok(());
            }
        };
        let head = feed.head();
        let opened = pb::FeedOpened {
            head_seq: head.seq.0,
            schema_version: head.schema_version,
            horizon_seq: HORIZON_SEQ.0,
            server: Some(server_info().clone()),
        };
        let first = self.frame(Content::Opened(opened), &feed);
        if frames.send(Ok(first)).await.is_err() {
            return Ok(());
        }
        self.follow(&mut feed, frames, inbox).await
    }

    async fn follow(&mut self, feed: &mut Feed, frames: &Sender, inbox: &mut Inbox) -> Result<(), Ended> {
        let mut waiting_since = None;
        loop {
            tokio::select! {
                () = feed.ready() => {}
                said = inbox.next() => {
                    let Some(said) = said? else { return Ok(()) };
                    if !self.hear(said, feed)? {
                        return Ok(());
                    }
                    continue;
                }
                () = frames.closed() => return Ok(()),
            }
            // Reserves a place in the channel before anything is produced: what cannot be sent would only cost memory.
            // All feeds of a stream wait for the same place, each in its turn.
            let asked_at = *waiting_since.get_or_insert_with(Instant::now);
            let place = tokio::select! {
                place = frames.reserve() => match place {
                    Ok(place) => place,
                    Err(_) => return Ok(()),
                },
                said = inbox.next() => {
                    let Some(said) = said? else { return Ok(()) };
                    if !self.hear(said, feed)? {
                        return Ok(());
                    }
                    continue;
                }
            };
            waiting_since = None;
            let Some(item) = feed.take(asked_at).await.map_err(Failure::from)? else { continue };
            let last = item.is_last();
            place.send(Ok(self.frame_of(item, feed)));
            if last {
                return Ok(());
            }
        }
    }

    /// Takes in what the client says about this feed; returns whether the feed goes on.
    fn hear(&mut self, said: Said, feed: &mut Feed) -> Result<bool, Failure> {
        match said {
            Said::Start(_) => return Err(Failure::stream_protocol("start comes once for a feed")),
            Said::Acknowledge(pb::FeedAcknowledge { seq_inclusive }) => {
                if seq_inclusive > feed.position().seq.0 {
                    return Err(Failure::stream_protocol("acknowledged more than was sent"));
                }
                self.acknowledged = self.acknowledged.max(Seq(seq_inclusive));
            }
            Said::Pause(pb::FeedPause {}) => feed.pause(true),
            Said::Resume(pb::FeedResume {}) => feed.pause(false),
            Said::Filter(filter) => {
                feed.choose(collections_from_pb(Some(filter))?);
                self.selection = selection_to_bytes(feed.asked());
            }
            Said::Stop(pb::FeedStop {}) => return Ok(false),
        }
        Ok(true)
    }

    /// The frame of an item, encoded.
    fn frame_of(&self, item: FeedItem, feed: &Feed) -> Bytes {
        let content = match item {
            FeedItem::Changes { from_exclusive, changes, head } => {
                let to = changes.last().map_or(from_exclusive, |shown| shown.change.seq);
                let metrics = &self.shared.metrics;
                metrics.delivered.increment(changes.len() as u64);
                // Measured only for a feed that keeps up; one that catches up on history says nothing about lag.
                if let Some(first) = changes.first().filter(|_| to == head.seq) {
                    let now_ms = self.shared.engine.now_ms();
                    let lag_ms = now_ms.saturating_sub(first.change.committed_at_ms).max(0);
                    metrics.lag.record(lag_ms as f64 / 1000.0);
                }
                let run = Run {
                    from_seq_exclusive: from_exclusive,
                    to_seq_inclusive: to,
                    changes: &changes,
                    head_seq: head.seq,
                    schema_version: head.schema_version,
                };
                return frame::changes_frame(&run, feed.asked(), &self.cursor(feed), self.id);
            }
            FeedItem::Checkpoint { head } => Content::Checkpoint(pb::Checkpoint { head_seq: head.seq.0 }),
            FeedItem::Reset(reason) => reset_to_pb(reason),
            FeedItem::GoAway(reason) => go_away_to_pb(reason),
            FeedItem::LoadingBegun { from_scratch, estimated_count, choice_count: filter_count } => {
                Content::LoadingBegun(pb::LoadingBegun { from_scratch, estimated_count, filter_count })
            }
            FeedItem::Entered { records, conflicts, as_of_seq, loaded_count } => {
                entered_to_pb(&records, &conflicts, as_of_seq, loaded_count)
            }
            FeedItem::Left(left) => left_to_pb(&left),
            FeedItem::LoadingFinished { loaded_count, complete_from_seq } => {
                Content::LoadingFinished(pb::LoadingFinished {
                    loaded_count,
                    complete_from_seq: complete_from_seq.0,
                })
            }
        };
        self.frame(content, feed)
    }

    fn frame(&self, content: Content, feed: &Feed) -> Bytes {
        let mut cursor = self.cursor(feed);
        if fault!(GoAwayAtHead) && matches!(content, Content::GoAway(_)) {
            let head = feed.head();
            (cursor.seq_inclusive, cursor.chain) = (head.seq.0, Bytes::copy_from_slice(&head.chain));
        }
        frame::frame(content, cursor, self.id)
    }

    fn cursor(&self, feed: &Feed) -> pb::Cursor {
        feed_cursor_to_pb(&self.workspace_id, &feed.position(), self.selection.clone(), feed.loading())
    }

    /// The last frame of a feed that fails while others of its stream go on.
    pub(super) fn failed(&self, failure: &Failure) -> Bytes {
        feed_failed(self.id, failure)
    }
}

/// The last frame of a feed that fails, or could not be opened, while others of its stream go on. Its earlier frames
/// have the cursors to resume from.
pub(super) fn feed_failed(id: u32, failure: &Failure) -> Bytes {
    frame::last_frame(Content::FeedFailed(failure_to_pb(failure)), id)
}

fn reset_to_pb(reason: ResetReason) -> Content {
    let reason = match reason {
        ResetReason::WrongEpoch => pb::ResetReason::WrongEpoch,
        ResetReason::FutureCursor => pb::ResetReason::FutureCursor,
    };
    Content::HistoryReset(pb::HistoryReset { reason: reason.into() })
}

fn go_away_to_pb(reason: GoAwayReason) -> Content {
    let reason = match reason {
        GoAwayReason::Draining => pb::GoAwayReason::Draining,
        GoAwayReason::MaxAge => pb::GoAwayReason::MaxAge,
        GoAwayReason::SlowConsumer => pb::GoAwayReason::SlowConsumer,
    };
    // One address serves all of a workspace's clients.
    Content::GoAway(pb::GoAway { reason: reason.into(), address: String::new() })
}

fn entered_to_pb(
    records: &[RecordView],
    conflicts: &[ConflictSummary],
    as_of_seq: Seq,
    loaded_count: u64,
) -> Content {
    let snapshot = |view| pb::RecordSnapshot { record: Some(record_to_pb(view)), as_of_seq: as_of_seq.0 };
    Content::RecordsEntered(pb::RecordsEntered {
        records: records.iter().map(snapshot).collect(),
        conflicts: conflicts.iter().map(conflict_to_pb).collect(),
        loaded_count,
    })
}

fn left_to_pb(left: &[(CollectionId, RecordId)]) -> Content {
    let record = |(collection, record): &(CollectionId, RecordId)| pb::RecordLeft {
        collection_id: collection.to_string(),
        record_id: record.to_string(),
        reason: pb::LeaveReason::NoLongerMatches.into(),
    };
    Content::RecordsLeft(pb::RecordsLeft { records: left.iter().map(record).collect() })
}
