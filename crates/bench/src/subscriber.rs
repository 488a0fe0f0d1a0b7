//! Subscribers under load: they follow a feed, check that its frames tile, and time every change.
//!
//! Most of them read no more of a change than they need ([`SlimChange`]): with a thousand subscribers in one process
//! the decoding would be measured and not the server. A few decode everything, for the history checker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use syncline_core::causality::Seq;

use bytes::Bytes;
use prost::Message as _;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::BenchError;
use crate::author::nanoseconds;
use crate::judge::FRAME_BYTES_MAX;
use crate::load::Latencies;
use crate::workspace::Workspace;
use syncline_client::check_tiling;
use syncline_core::history::{FeedRecorder, Place};
use syncline_core::view::FeedCursor;
use syncline_protocol::convert::{cursor_to_pb, place_from_pb, record_frame};
use syncline_protocol::pb;
use syncline_protocol::pb::change_service_client::ChangeServiceClient;

const WATCH: &str = "/syncline.v1.ChangeService/Watch";
/// How long a feed may take to open.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// A WatchResponse whose changes are left as they came.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SlimWatchResponse {
    #[prost(message, optional, tag = "1")]
    pub frame: Option<SlimFrame>,
}

/// A Frame, see [`SlimWatchResponse`].
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SlimFrame {
    #[prost(message, optional, tag = "1")]
    pub opened: Option<pb::FeedOpened>,
    #[prost(message, optional, tag = "2")]
    pub changes: Option<SlimChanges>,
    #[prost(message, optional, tag = "4")]
    pub reset: Option<pb::HistoryReset>,
    #[prost(message, optional, tag = "5")]
    pub go_away: Option<pb::GoAway>,
}

/// Changes, see [`SlimWatchResponse`].
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SlimChanges {
    #[prost(uint64, tag = "1")]
    pub from_seq_exclusive: u64,
    #[prost(uint64, tag = "2")]
    pub to_seq_inclusive: u64,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub changes: Vec<Bytes>,
}

/// What is read of a Change.
#[derive(Clone, PartialEq, prost::Message)]
struct SlimChange {
    #[prost(uint64, tag = "1")]
    seq: u64,
    #[prost(string, tag = "4")]
    correlation_id: String,
}

/// What all subscribers of a run share.
pub(super) struct Sink {
    /// The run's clock.
    pub clock: Instant,
    /// Changes that were due before this are not timed.
    pub timed_from_ns: u64,
    /// Changes delivered to all.
    pub delivered: AtomicU64,
    /// Frames with changes, to all.
    pub frames: AtomicU64,
    /// Each serves some of the subscribers, so that they rarely wait for each other.
    latencies: Vec<Mutex<Latencies>>,
}

/// Histograms of a run.
const SHARDS: usize = 16;

impl Sink {
    pub(super) fn new(clock: Instant, timed_from: Duration) -> Result<Sink, BenchError> {
        let latencies = (0..SHARDS).map(|_| Latencies::new().map(Mutex::new)).collect::<Result<_, _>>()?;
        Ok(Sink {
            clock,
            timed_from_ns: u64::try_from(timed_from.as_nanos()).unwrap_or(u64::MAX),
            delivered: AtomicU64::new(0),
            frames: AtomicU64::new(0),
            latencies,
        })
    }

    async fn take(&self, shard: usize, dues_ns: &[u64], now_ns: u64) {
        let Some(latencies) = self.latencies.get(shard % SHARDS) else { return };
        let mut latencies = latencies.lock().await;
        for due in dues_ns.iter().filter(|due| **due >= self.timed_from_ns) {
            latencies.record(Duration::from_nanos(now_ns.saturating_sub(*due)));
        }
    }

    /// All latencies.
    pub(super) async fn latencies(&self) -> Result<Latencies, BenchError> {
        let mut whole = Latencies::new()?;
        for shard in &self.latencies {
            whole.add(&*shard.lock().await);
        }
        Ok(whole)
    }
}

/// One open feed that reads little.
pub(super) struct Slim {
    stream: Streaming<SlimWatchResponse>,
    pub position: u64,
}

impl Slim {
    /// Opens a feed after a position and waits until the server has opened it.
    pub(super) async fn open(channel: Channel, workspace: &Workspace) -> Result<Slim, String> {
        let request = pb::WatchRequest { start: Some(start(workspace)) };
        let opening = async {
            let mut grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(FRAME_BYTES_MAX);
            grpc.ready().await.map_err(|error| error.to_string())?;
            let codec = tonic_prost::ProstCodec::<pb::WatchRequest, SlimWatchResponse>::default();
            let path = http::uri::PathAndQuery::from_static(WATCH);
            let answer = grpc.server_streaming(tonic::Request::new(request), path, codec).await;
            let mut stream = answer.map_err(|status| status.to_string())?.into_inner();
            match stream.message().await.map_err(|status| status.to_string())?.and_then(|m| m.frame) {
                Some(SlimFrame { opened: Some(_), .. }) => Ok(stream),
                other => Err(format!("the feed did not open: {other:?}")),
            }
        };
        let stream = tokio::time::timeout(OPEN_TIMEOUT, opening)
            .await
            .map_err(|_| "the feed did not open in time".to_owned())??;
        Ok(Slim { stream, position: workspace.head_seq })
    }

    /// The next changes. Whatever does not continue the feed is an error.
    pub(super) async fn next(&mut self) -> Result<SlimChanges, String> {
        loop {
            let message = self.stream.message().await.map_err(|status| status.to_string())?;
            let Some(frame) = message.and_then(|m| m.frame) else { return Err("the feed ended".to_owned()) };
            if frame.reset.is_some() || frame.go_away.is_some() {
                return Err(format!("the server ended the feed: {frame:?}"));
            }
            // A checkpoint.
            let Some(changes) = frame.changes else { continue };
            let (from, to) = (changes.from_seq_exclusive, changes.to_seq_inclusive);
            check_tiling(Seq(self.position), Seq(from), Seq(to), changes.changes.len())
                .map_err(|error| error.to_string())?;
            self.position = to;
            return Ok(changes);
        }
    }

    /// Follows until the end is known and reached.
    pub(super) async fn follow(
        mut self,
        shard: usize,
        sink: Arc<Sink>,
        mut end: watch::Receiver<Option<u64>>,
    ) -> Result<(), String> {
        let mut dues = Vec::new();
        loop {
            if (*end.borrow()).is_some_and(|end| self.position >= end) {
                return Ok(());
            }
            let changes = tokio::select! {
                changes = self.next() => changes?,
                changed = end.changed() => {
                    changed.map_err(|_| "the run was given up".to_owned())?;
                    continue;
                }
            };
            let now_ns = nanoseconds(sink.clock, Instant::now());
            dues.clear();
            let first = changes.from_seq_exclusive + 1;
            for (index, bytes) in changes.changes.into_iter().enumerate() {
                let change = SlimChange::decode(bytes).map_err(|error| error.to_string())?;
                if change.seq != first + index as u64 {
                    return Err(format!("change {} at the place of {}", change.seq, first + index as u64));
                }
                dues.push(change.correlation_id.parse().unwrap_or(0));
            }
            sink.delivered.fetch_add(dues.len() as u64, Ordering::Relaxed);
            sink.frames.fetch_add(1, Ordering::Relaxed);
            sink.take(shard, &dues, now_ns).await;
        }
    }
}

fn start(workspace: &Workspace) -> pb::FeedStart {
    let cursor = FeedCursor { epoch: workspace.epoch, seq: Seq(workspace.head_seq), chain: None };
    let cursor = cursor_to_pb(&workspace.id, &cursor);
    pb::FeedStart {
        workspace_id: workspace.id.clone(),
        origin: Some(pb::feed_start::Origin::Cursor(cursor)),
        ..Default::default()
    }
}

/// One feed that is written down whole, for the history checker.
pub(super) async fn record(
    channel: Channel,
    workspace: Workspace,
    name: String,
    clock: Instant,
    opened: tokio::sync::oneshot::Sender<()>,
    mut end: watch::Receiver<Option<u64>>,
) -> Result<FeedRecorder, String> {
    let mut recorder = FeedRecorder::new(name, false);
    let mut opened = Some(opened);
    let mut place = Place { epoch: workspace.epoch, seq: Seq(workspace.head_seq), chain: None };
    recorder.asked_anew(nanoseconds(clock, Instant::now()), place);
    let mut stream = ChangeServiceClient::new(channel)
        .max_decoding_message_size(FRAME_BYTES_MAX)
        .watch(pb::WatchRequest { start: Some(start(&workspace)) })
        .await
        .map_err(|status| status.to_string())?
        .into_inner();
    loop {
        if (*end.borrow()).is_some_and(|end| place.seq >= end) {
            recorder.must_be_at_head();
            return Ok(recorder);
        }
        let message = tokio::select! {
            message = stream.message() => message.map_err(|status| status.to_string())?,
            changed = end.changed() => {
                changed.map_err(|_| "the run was given up".to_owned())?;
                continue;
            }
        };
        let Some(frame) = message.and_then(|m| m.frame) else { return Err("the feed ended".to_owned()) };
        let at = nanoseconds(clock, Instant::now());
        record_frame(&mut recorder, at, place, &frame).map_err(|error| error.to_string())?;
        place = place_from_pb(frame.cursor.as_ref()).map_err(|error| error.to_string())?;
        if let Some(opened) = opened.take() {
            let _ = opened.send(());
        }
    }
}
