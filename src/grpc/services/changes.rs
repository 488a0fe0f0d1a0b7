//! ChangeService: feeds both ways, feeds for browsers, snapshots.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::engine::feed::{Feed, FeedItem, GoAwayReason, Opened, ResetReason};
use crate::engine::{Engine, snapshot};
use crate::grpc::frame::{self, Run};
use crate::grpc::served;
use crate::grpc::served::change_service_server::ChangeService;
use crate::telemetry;
use syncline_core::causality::Seq;
use syncline_core::fault;
use syncline_core::ids::CollectionId;
use syncline_core::view::FeedCursor;
use syncline_protocol::convert::{
    collections_from_pb, cursor_from_pb, cursor_to_pb, label_from_pb, record_to_pb, summary_to_pb,
};
use syncline_protocol::pb;
use syncline_protocol::pb::subscribe_request::Message as Said;
use syncline_protocol::status::Failure;

use super::{OVERLOADED_RETRY, failed, note_workspace};

/// Feeds and snapshots open at a time on this server.
const STREAMS_MAX: usize = 20_000;
/// Frames between a feed and its stream: one being sent, one ready.
const FRAMES_AHEAD: usize = 1;
/// How long a client may take to send `start`.
const START_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

type Frames<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// ChangeService over an engine.
pub struct Changes {
    engine: Engine,
    permits: Arc<Semaphore>,
    metrics: FeedMetrics,
}

/// Handles of what every frame is counted in, so that it costs no look-up by name.
#[derive(Clone)]
struct FeedMetrics {
    subscribers: metrics::Gauge,
    delivered: metrics::Counter,
    lag: metrics::Histogram,
}

impl FeedMetrics {
    fn new() -> FeedMetrics {
        FeedMetrics {
            subscribers: metrics::gauge!(telemetry::FEED_SUBSCRIBERS),
            delivered: metrics::counter!(telemetry::FEED_CHANGES_DELIVERED_TOTAL),
            lag: metrics::histogram!(telemetry::FEED_LAG_SECONDS),
        }
    }
}

impl Changes {
    /// Serves this engine. Make it after the metrics were started: it keeps handles.
    pub fn new(engine: Engine) -> Changes {
        Changes { engine, permits: Arc::new(Semaphore::new(STREAMS_MAX)), metrics: FeedMetrics::new() }
    }

    fn permit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        self.permits.clone().try_acquire_owned().map_err(|_| Failure::overloaded(OVERLOADED_RETRY))
    }

    async fn open(&self, start: pb::FeedStart) -> Result<(Session, Opened), Status> {
        let pb::FeedStart { workspace_id, cursor, filter, client_name } = start;
        note_workspace(&workspace_id);
        label_from_pb(&client_name, "start.client_name").map_err(|v| Failure::invalid_request(vec![v]))?;
        let collections = collections_from_pb(filter)?;
        // An unknown workspace comes first: a cursor of another one is only wrong where there is one to compare.
        let permit = self.permit()?;
        let after = cursor.map(|c| cursor_from_pb(c, &workspace_id, "start.cursor")).transpose()?;
        let opened = self.engine.open_feed(&workspace_id, after).await.map_err(failed)?;
        self.metrics.subscribers.increment(1);
        let session = Session {
            engine: self.engine.clone(),
            metrics: self.metrics.clone(),
            workspace_id,
            collections,
            asked: after,
            _permit: permit,
            acknowledged: 0,
        };
        Ok((session, opened))
    }
}

#[tonic::async_trait]
impl ChangeService for Changes {
    type SubscribeStream = Frames<served::SubscribeResponse>;
    type WatchStream = Frames<served::WatchResponse>;
    type SnapshotStream = Frames<pb::SnapshotResponse>;

    async fn subscribe(
        &self,
        request: Request<Streaming<pb::SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let mut said = request.into_inner();
        let first = tokio::time::timeout(START_WITHIN, said.message())
            .await
            .map_err(|_| Failure::stream_protocol("no start within 10 seconds"))??;
        let Some(Said::Start(start)) = first.and_then(|m| m.message) else {
            return Err(Failure::stream_protocol("the first message must be start").into());
        };
        let (session, opened) = self.open(start).await?;
        let (frames, receiver) = mpsc::channel(FRAMES_AHEAD);
        tokio::spawn(session.serve(opened, frames, Some(said)));
        Ok(Response::new(Box::pin(mapped(receiver, |frame| served::SubscribeResponse { frame }))))
    }

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let Some(start) = request.into_inner().start else {
            return Err(Failure::stream_protocol("start is missing").into());
        };
        let (session, opened) = self.open(start).await?;
        let (frames, receiver) = mpsc::channel(FRAMES_AHEAD);
        tokio::spawn(session.serve(opened, frames, None));
        Ok(Response::new(Box::pin(mapped(receiver, |frame| served::WatchResponse { frame }))))
    }

    async fn snapshot(
        &self,
        request: Request<pb::SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let pb::SnapshotRequest { workspace_id, filter } = request.into_inner();
        note_workspace(&workspace_id);
        let collections = collections_from_pb(filter)?;
        let wanted = collections.into_iter().flatten().map(|c| c.to_string()).collect();
        let permit = self.permit()?;
        let mut snapshot = self.engine.snapshot(&workspace_id, wanted).await.map_err(failed)?;
        let (chunks, receiver) = mpsc::channel(FRAMES_AHEAD);
        tokio::spawn(async move {
            let _permit = permit;
            loop {
                let chunk = match snapshot.next().await {
                    Ok(Some(chunk)) => Ok(chunk_to_pb(&workspace_id, chunk)),
                    Ok(None) => return,
                    Err(error) => Err(failed(error)),
                };
                let over = chunk.is_err();
                if chunks.send(chunk).await.is_err() || over {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

fn mapped<T: Send + 'static>(
    receiver: mpsc::Receiver<Item>,
    wrap: fn(Bytes) -> T,
) -> impl Stream<Item = Result<T, Status>> + Send {
    use tokio_stream::StreamExt as _;
    ReceiverStream::new(receiver).map(move |frame| frame.map(wrap).map_err(|status| *status))
}

/// One feed on one stream.
struct Session {
    engine: Engine,
    metrics: FeedMetrics,
    workspace_id: String,
    collections: Option<BTreeSet<CollectionId>>,
    asked: Option<FeedCursor>,
    acknowledged: Seq,
    _permit: OwnedSemaphorePermit,
}

/// A channel has room for 32 at once, whatever it is told: errors are boxed to keep that small.
type Item = Result<Bytes, Box<Status>>;
type Sender = mpsc::Sender<Item>;

impl Session {
    /// Serves the feed until either side ends it. Everything sent is a frame or, last, an error.
    async fn serve(mut self, opened: Opened, frames: Sender, said: Option<Streaming<pb::SubscribeRequest>>) {
        let outcome = self.run(opened, &frames, said).await;
        self.metrics.subscribers.decrement(1);
        if let Err(status) = outcome {
            // The client may be gone; then there is nobody to tell.
            let _ = frames.send(Err(Box::new(status))).await;
        }
    }

    async fn run(
        &mut self,
        opened: Opened,
        frames: &Sender,
        said: Option<Streaming<pb::SubscribeRequest>>,
    ) -> Result<(), Status> {
        let mut feed = match opened {
            Opened::Feed(feed) => feed,
            Opened::Reset { reason, head } => {
                let cursor = FeedCursor { epoch: head.epoch, seq: head.seq, chain: Some(head.chain) };
                let cursor = self.asked.unwrap_or(cursor);
                let content = pb::frame::Content::Reset(pb::FeedReset { reason: reset_to_pb(reason).into() });
                let _ = frames.send(Ok(self.frame(content, cursor))).await;
                return Ok(());
            }
        };
        let head = feed.head();
        let opened = pb::FeedOpened { head_seq: head.seq, schema_version: head.schema_version };
        let first = self.frame(pb::frame::Content::Opened(opened), feed.position());
        if frames.send(Ok(first)).await.is_err() {
            return Ok(());
        }
        self.follow(&mut feed, frames, said).await
    }

    async fn follow(
        &mut self,
        feed: &mut Feed,
        frames: &Sender,
        mut said: Option<Streaming<pb::SubscribeRequest>>,
    ) -> Result<(), Status> {
        loop {
            // A place in the channel first: what cannot be sent is not produced.
            let place = tokio::select! {
                place = frames.reserve() => match place {
                    Ok(place) => place,
                    Err(_) => return Ok(()),
                },
                message = heard(&mut said) => {
                    self.hear(message?, feed, &mut said)?;
                    continue;
                }
            };
            let item = tokio::select! {
                item = feed.next() => item.map_err(failed)?,
                message = heard(&mut said) => {
                    drop(place);
                    self.hear(message?, feed, &mut said)?;
                    continue;
                }
                () = frames.closed() => return Ok(()),
            };
            let last = matches!(item, FeedItem::GoAway(_) | FeedItem::Reset(_));
            place.send(Ok(self.frame_of(item, feed)));
            if last {
                return Ok(());
            }
        }
    }

    /// Takes in a message of the client. The end of its side is no reason to stop sending.
    fn hear(
        &mut self,
        message: Option<pb::SubscribeRequest>,
        feed: &mut Feed,
        said: &mut Option<Streaming<pb::SubscribeRequest>>,
    ) -> Result<(), Status> {
        let Some(pb::SubscribeRequest { message }) = message else {
            *said = None;
            return Ok(());
        };
        match message {
            Some(Said::Start(_)) => Err(Failure::stream_protocol("start comes once").into()),
            Some(Said::Acknowledge(pb::FeedAcknowledge { seq_inclusive })) => {
                if seq_inclusive > feed.position().seq {
                    return Err(Failure::stream_protocol("acknowledged more than was sent").into());
                }
                self.acknowledged = self.acknowledged.max(seq_inclusive);
                Ok(())
            }
            Some(Said::Pause(pb::FeedPause {})) => {
                feed.pause(true);
                Ok(())
            }
            Some(Said::Resume(pb::FeedResume {})) => {
                feed.pause(false);
                Ok(())
            }
            Some(Said::Filter(filter)) => {
                self.collections = collections_from_pb(Some(filter))?;
                Ok(())
            }
            None => Err(Failure::stream_protocol("a message without content").into()),
        }
    }

    /// The frame of an item, encoded.
    fn frame_of(&self, item: FeedItem, feed: &Feed) -> Bytes {
        let mut cursor = feed.position();
        let content = match item {
            FeedItem::Changes { from_exclusive, changes, head } => {
                let to = changes.last().map_or(from_exclusive, |shown| shown.change.seq);
                self.metrics.delivered.increment(changes.len() as u64);
                // Of a feed that keeps up; one that catches up on history says nothing about lag.
                if let Some(first) = changes.first().filter(|_| to == head.seq) {
                    let lag_ms = self.engine.now_ms().saturating_sub(first.change.committed_at_ms).max(0);
                    self.metrics.lag.record(lag_ms as f64 / 1000.0);
                }
                let run = Run {
                    from_seq_exclusive: from_exclusive,
                    to_seq_inclusive: to,
                    changes: &changes,
                    head_seq: head.seq,
                    schema_version: head.schema_version,
                };
                let cursor = cursor_to_pb(&self.workspace_id, &cursor);
                return frame::changes_frame(&run, self.collections.as_ref(), &cursor);
            }
            FeedItem::Checkpoint { head } => {
                pb::frame::Content::Checkpoint(pb::Checkpoint { head_seq: head.seq })
            }
            FeedItem::Reset(reason) => {
                pb::frame::Content::Reset(pb::FeedReset { reason: reset_to_pb(reason).into() })
            }
            FeedItem::GoAway(reason) => {
                let reason = match reason {
                    GoAwayReason::Draining => pb::GoAwayReason::Draining,
                    GoAwayReason::MaxAge => pb::GoAwayReason::MaxAge,
                    GoAwayReason::SlowConsumer => pb::GoAwayReason::SlowConsumer,
                };
                pb::frame::Content::GoAway(pb::GoAway { reason: reason.into() })
            }
        };
        if fault!(GoAwayAtHead) && matches!(content, pb::frame::Content::GoAway(_)) {
            (cursor.seq, cursor.chain) = (feed.head().seq, Some(feed.head().chain));
        }
        self.frame(content, cursor)
    }

    fn frame(&self, content: pb::frame::Content, cursor: FeedCursor) -> Bytes {
        frame::frame(content, cursor_to_pb(&self.workspace_id, &cursor))
    }
}

/// The next message of a client that can send any; otherwise never.
async fn heard(
    said: &mut Option<Streaming<pb::SubscribeRequest>>,
) -> Result<Option<pb::SubscribeRequest>, Status> {
    match said {
        Some(stream) => stream.message().await,
        None => std::future::pending().await,
    }
}

fn reset_to_pb(reason: ResetReason) -> pb::ResetReason {
    match reason {
        ResetReason::WrongEpoch => pb::ResetReason::WrongEpoch,
        ResetReason::FutureCursor => pb::ResetReason::FutureCursor,
    }
}

fn chunk_to_pb(workspace_id: &str, chunk: snapshot::Chunk) -> pb::SnapshotResponse {
    let snapshot::Chunk { position, records, conflicts, complete, sent_count, estimated_count } = chunk;
    pb::SnapshotResponse {
        cursor: Some(cursor_to_pb(workspace_id, &position)),
        records: records
            .iter()
            .map(|view| pb::RecordSnapshot { record: Some(record_to_pb(view)), as_of_seq: position.seq })
            .collect(),
        conflicts: conflicts.iter().map(summary_to_pb).collect(),
        complete,
        sent_count,
        estimated_count,
    }
}
