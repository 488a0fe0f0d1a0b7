//! ChangeService: feeds both ways, feeds for browsers, snapshots.

mod feed;
mod router;
mod sender;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use crate::engine::feed::{Opened, Origin};
use crate::engine::{Engine, snapshot};
use crate::grpc::outflow::{Outflow, Peer};
use crate::grpc::served;
use crate::grpc::served::change_service_server::ChangeService;
use crate::telemetry;
use syncline_protocol::convert::{
    collections_from_pb, conflict_to_pb, cursor_from_pb, feed_cursor_to_pb, record_to_pb, selection_to_bytes,
};
use syncline_protocol::pb;
use syncline_protocol::pb::subscribe_request::Message as Said;
use syncline_protocol::status::{Failure, FieldViolation};

use super::{OVERLOADED_RETRY, at_least_from_pb, failed, note_workspace};
use feed::Subscription;
use router::{Inbox, Router};
use sender::Sender;

/// Maximum number of feeds and snapshots open at a time on this server.
pub(super) const STREAMS_MAX: usize = 20_000;
/// Frames between the feeds of a stream and the stream: one being sent, one ready.
const FRAMES_AHEAD: usize = 1;
/// How long a client may take to send `start`.
const START_TIMEOUT: Duration = Duration::from_secs(10);

type Frames<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
/// A channel allocates room for 32 items at once, whatever its capacity: errors are boxed to keep that small.
type Item = Result<Bytes, Box<Status>>;

/// ChangeService over an engine.
pub struct Changes {
    shared: Arc<Shared>,
}

/// What all feeds of the service share.
struct Shared {
    engine: Engine,
    permits: Arc<Semaphore>,
    metrics: FeedMetrics,
}

/// Handles of the metrics of every frame, so that counting needs no look-up by name.
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
        let permits = Arc::new(Semaphore::new(STREAMS_MAX));
        Changes { shared: Arc::new(Shared { engine, permits, metrics: FeedMetrics::new() }) }
    }
}

impl Shared {
    fn permit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        self.permits.clone().try_acquire_owned().map_err(|_| Failure::overloaded(OVERLOADED_RETRY))
    }

    /// Opens the feed that the client numbered `id`.
    async fn open(
        self: &Arc<Shared>,
        id: u32,
        start: pb::FeedStart,
    ) -> Result<(Subscription, Opened), Failure> {
        // What a client understands beyond the first version does not matter yet: nothing newer is ever sent.
        let pb::FeedStart { workspace_id, origin, filter, client_name: _, understands: _ } = start;
        let collections = collections_from_pb(filter)?;
        // An unknown workspace is reported first: a cursor of another one is wrong only if this one exists.
        let permit = self.permit()?;
        let origin = origin_from_pb(origin, &workspace_id)?;
        let from = match &origin {
            Origin::Cursor(resume) => Some(resume.position),
            Origin::Beginning | Origin::Head | Origin::Snapshot => None,
        };
        let selection = selection_to_bytes(&collections);
        let opened = self.engine.open_feed(&workspace_id, origin, collections).await?;
        Ok((Subscription::new(self.clone(), id, workspace_id, selection, from, permit), opened))
    }
}

fn origin_from_pb(origin: Option<pb::feed_start::Origin>, workspace_id: &str) -> Result<Origin, Failure> {
    use pb::feed_start::Origin as From;
    match origin {
        Some(From::Cursor(cursor)) => {
            Ok(Origin::Cursor(Box::new(cursor_from_pb(cursor, workspace_id, "start.cursor")?)))
        }
        Some(From::Beginning(pb::FromBeginning {})) => Ok(Origin::Beginning),
        Some(From::Head(pb::FromHead {})) => Ok(Origin::Head),
        Some(From::Snapshot(pb::FromSnapshot {})) => Ok(Origin::Snapshot),
        None => {
            let why = "say where the feed starts: cursor, beginning, head or snapshot";
            Err(Failure::invalid_request(vec![FieldViolation::new("start.origin", why)]))
        }
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
        let outflow = outflow_of(&request);
        let mut said = request.into_inner();
        let first = tokio::time::timeout(START_TIMEOUT, said.message())
            .await
            .map_err(|_| Failure::stream_protocol("no start within 10 seconds"))??;
        let Some(pb::SubscribeRequest { subscription_id, message: Some(Said::Start(start)) }) = first else {
            return Err(Failure::stream_protocol("the first message must be start").into());
        };
        note_workspace(&start.workspace_id);
        let (subscription, opened) = self.shared.open(subscription_id, start).await?;
        let (frames, receiver) = Sender::channel(outflow);
        let router = Router::new(self.shared.clone(), said, subscription_id, frames.clone());
        tokio::spawn(serve(subscription, opened, frames, Inbox::Stream(Box::new(router))));
        Ok(Response::new(Box::pin(mapped(receiver, |frame| served::SubscribeResponse { frame }))))
    }

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let outflow = outflow_of(&request);
        let Some(start) = request.into_inner().start else {
            return Err(Failure::stream_protocol("start is missing").into());
        };
        note_workspace(&start.workspace_id);
        let (subscription, opened) = self.shared.open(0, start).await?;
        let (frames, receiver) = Sender::channel(outflow);
        tokio::spawn(serve(subscription, opened, frames, Inbox::Silent));
        Ok(Response::new(Box::pin(mapped(receiver, |frame| served::WatchResponse { frame }))))
    }

    async fn snapshot(
        &self,
        request: Request<pb::SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let outflow = outflow_of(&request);
        let pb::SnapshotRequest { workspace_id, filter, at_least } = request.into_inner();
        note_workspace(&workspace_id);
        let at_least = at_least_from_pb(at_least, &workspace_id)?;
        let collections = collections_from_pb(filter)?;
        let permit = self.shared.permit()?;
        let selection = selection_to_bytes(&collections);
        let snapshot = self.shared.engine.snapshot(&workspace_id, collections, at_least.as_ref());
        let mut snapshot = snapshot.await.map_err(failed)?;
        let (chunks, receiver) = mpsc::channel(FRAMES_AHEAD);
        tokio::spawn(async move {
            let _permit = permit;
            loop {
                // Nothing is read before it may wait for the client.
                let room = tokio::select! {
                    room = outflow.room(snapshot::CHUNK_BYTES) => room,
                    () = chunks.closed() => return,
                };
                let chunk = match snapshot.next().await {
                    Ok(Some(chunk)) => Ok(chunk_to_pb(&workspace_id, selection.clone(), chunk)),
                    Ok(None) => return,
                    Err(error) => Err(failed(error)),
                };
                let over = chunk.is_err();
                if chunks.send((chunk, room)).await.is_err() || over {
                    return;
                }
            }
        });
        let chunks = ReceiverStream::new(receiver).map(|(chunk, _room)| chunk);
        Ok(Response::new(Box::pin(chunks)))
    }
}

/// Serves the feed that a stream began with until either side ends it, and as long as others are open on the stream.
/// Everything sent is a frame or, last, an error.
async fn serve(mut subscription: Subscription, opened: Opened, frames: Sender, mut inbox: Inbox) {
    let outcome = subscription.run(opened, &frames, &mut inbox).await;
    let outcome = match outcome {
        Err(Ended::Feed(failure)) if inbox.is_shared() => {
            // The client may be gone; then there is nobody to tell.
            let _ = frames.send(Ok(subscription.failed(&failure))).await;
            Ok(())
        }
        Err(Ended::Feed(failure)) => Err(failure.into()),
        Err(Ended::Stream(status)) => Err(status),
        Ok(()) => Ok(()),
    };
    drop(subscription);
    let outcome = match outcome {
        Ok(()) => inbox.until_others_end().await,
        Err(status) => Err(status),
    };
    if let Err(status) = outcome {
        let _ = frames.send(Err(Box::new(status))).await;
    }
}

/// What ends early.
enum Ended {
    /// One feed.
    Feed(Failure),
    /// The whole stream.
    Stream(Status),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Ended {
        Ended::Feed(failure)
    }
}

impl From<Status> for Ended {
    fn from(status: Status) -> Ended {
        Ended::Stream(status)
    }
}

/// What waits for the peer of a call; on a connection that nobody watches over, for this call alone.
fn outflow_of<T>(request: &Request<T>) -> Arc<Outflow> {
    request.extensions().get::<Peer>().map_or_else(Arc::default, |peer| Arc::clone(&peer.outflow))
}

fn mapped<T: Send + 'static>(
    receiver: mpsc::Receiver<Item>,
    wrap: fn(Bytes) -> T,
) -> impl Stream<Item = Result<T, Status>> + Send {
    ReceiverStream::new(receiver).map(move |frame| frame.map(wrap).map_err(|status| *status))
}

fn chunk_to_pb(workspace_id: &str, selection: Bytes, chunk: snapshot::Chunk) -> pb::SnapshotResponse {
    let snapshot::Chunk { position, records, conflicts, complete, sent_count, estimated_count } = chunk;
    pb::SnapshotResponse {
        cursor: Some(feed_cursor_to_pb(workspace_id, &position, selection, None)),
        records: records
            .iter()
            .map(|view| pb::RecordSnapshot { record: Some(record_to_pb(view)), as_of_seq: position.seq.0 })
            .collect(),
        conflicts: conflicts.iter().map(conflict_to_pb).collect(),
        complete,
        sent_count,
        estimated_count,
    }
}
