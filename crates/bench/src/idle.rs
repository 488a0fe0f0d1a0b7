//! `syncline bench idle`: memory of feeds with heartbeats that wait, a connection each.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::BenchError;
use crate::CONNECTING_MAX;
use crate::args::{OutputArgs, TargetArgs};
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::target::Target;
use crate::workspace::Workspace;
use syncline_protocol::pb;
use syncline_protocol::pb::change_service_client::ChangeServiceClient;
use syncline_protocol::pb::connection_service_client::ConnectionServiceClient;
use syncline_protocol::pb::keep_alive_request::Message;

/// Connections that are opened before memory is read for the first time: what the first ones cost belongs to the server
/// and not to a stream.
const FIRST: u32 = 100;

/// Arguments of `idle`.
#[derive(Debug, Clone, Args)]
pub(super) struct IdleArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Feeds, each with a heartbeat stream beside it on a connection of its own
    #[arg(long, value_name = "NUMBER", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub streams: u32,
    /// How long they wait, with heartbeats, before memory is read
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: u32,
}

/// One client: a feed and heartbeats on one connection. It answers heartbeats until it is dropped.
struct Client {
    feed: Streaming<pb::SubscribeResponse>,
    _to_feed: mpsc::Sender<pb::SubscribeRequest>,
    heartbeats: Streaming<pb::KeepAliveResponse>,
    to_heartbeats: mpsc::Sender<pb::KeepAliveRequest>,
}

/// `syncline bench idle`.
pub(super) async fn run(args: &IdleArgs) -> Result<Outcome, BenchError> {
    let target = Target::open(&args.target, args.streams).await?;
    let outcome = measure(&target, args, &Progress::new(args.output.json)).await;
    target.close().await;
    outcome
}

async fn measure(target: &Target, args: &IdleArgs, progress: &Progress) -> Result<Outcome, BenchError> {
    let channel = target.connect().await?;
    let workspace = Workspace::create(&channel, 1, 0, progress).await?;
    let mut clients = JoinSet::new();
    let bar = progress.steps("opening feeds", args.streams.into());
    let first = FIRST.min(args.streams.div_ceil(2));
    open(target, &workspace, first, &mut clients, &bar).await?;
    let before = target.rss_bytes();
    open(target, &workspace, args.streams - first, &mut clients, &bar).await?;
    bar.finish_and_clear();
    let mut outcome = Outcome { scenario: "idle".to_owned(), ..Outcome::default() };
    let waited = Duration::from_secs(args.seconds.into());
    let shown = progress.timed(waited, || 0);
    tokio::select! {
        () = tokio::time::sleep(waited) => {}
        ended = clients.join_next() => {
            outcome.take_failure(ended.map_or(Ok(()), |e| e.unwrap_or_else(|e| Err(e.to_string()))));
        }
    }
    drop(shown);
    let after = target.rss_bytes();
    outcome.operations = clients.len() as u64;
    outcome.seconds = waited.as_secs_f64();
    outcome.streams = Some(args.streams.into());
    outcome.rss_bytes = after;
    if let (Some(before), Some(after)) = (before, after) {
        outcome.rss_bytes_per_stream =
            Some(after.saturating_sub(before) / u64::from(args.streams - first).max(1));
    }
    Ok(outcome)
}

async fn open(
    target: &Target,
    workspace: &Workspace,
    count: u32,
    clients: &mut JoinSet<Result<(), String>>,
    bar: &indicatif::ProgressBar,
) -> Result<(), BenchError> {
    let room = Arc::new(Semaphore::new(CONNECTING_MAX));
    let mut opening = JoinSet::new();
    for channel in target.connect_many(count).await? {
        let (workspace, room) = (workspace.clone(), room.clone());
        opening.spawn(async move {
            let _place = room.acquire().await;
            Client::open(channel, &workspace).await
        });
    }
    while let Some(opened) = opening.join_next().await {
        let client = opened.map_err(|error| BenchError::Other(error.to_string()))?;
        clients.spawn(client?.wait());
        bar.inc(1);
    }
    Ok(())
}

impl Client {
    async fn open(channel: Channel, workspace: &Workspace) -> Result<Client, BenchError> {
        let (to_feed, said) = mpsc::channel(1);
        let start = pb::FeedStart {
            workspace_id: workspace.id.clone(),
            origin: Some(pb::feed_start::Origin::Beginning(pb::FromBeginning {})),
            ..Default::default()
        };
        let start = pb::SubscribeRequest {
            subscription_id: 0,
            message: Some(pb::subscribe_request::Message::Start(start)),
        };
        let gone = |_| BenchError::Other("a stream ended before it began".to_owned());
        to_feed.try_send(start).map_err(gone)?;
        let feed = ChangeServiceClient::new(channel.clone())
            .subscribe(ReceiverStream::new(said))
            .await?
            .into_inner();
        let (to_heartbeats, said) = mpsc::channel(1);
        let start = pb::ConnectionStart { workspace_id: workspace.id.clone(), ..Default::default() };
        let start = pb::KeepAliveRequest { message: Some(Message::Start(start)) };
        to_heartbeats
            .try_send(start)
            .map_err(|_| BenchError::Other("a stream ended before it began".to_owned()))?;
        let heartbeats =
            ConnectionServiceClient::new(channel).keep_alive(ReceiverStream::new(said)).await?.into_inner();
        Ok(Client { feed, _to_feed: to_feed, heartbeats, to_heartbeats })
    }

    /// Echoes heartbeats, and reads what the feed says, for ever.
    async fn wait(mut self) -> Result<(), String> {
        loop {
            tokio::select! {
                frame = self.feed.message() => {
                    if frame.map_err(|status| status.to_string())?.is_none() {
                        return Err("a feed ended".to_owned());
                    }
                }
                heard = self.heartbeats.message() => {
                    let heard = heard.map_err(|status| status.to_string())?;
                    let Some(heartbeat) = heard.and_then(|message| message.heartbeat) else {
                        return Err("a heartbeat ended".to_owned());
                    };
                    let echo = pb::Heartbeat {
                        heartbeat_id: heartbeat.heartbeat_id,
                        echo_heartbeat_id: heartbeat.heartbeat_id,
                        echo_delay_us: 0,
                        seq: 0,
                    };
                    let message = pb::KeepAliveRequest { message: Some(Message::Heartbeat(echo)) };
                    self.to_heartbeats.send(message).await.map_err(|_| "a heartbeat ended".to_owned())?;
                }
            }
        }
    }
}
