//! `syncline bench feed`: from a write to the callback of every subscriber, at a steady rate.
//!
//! A change is timed from when its write was due at its author until a subscriber's own code has it: the call, the
//! commit, the feed and both connections are in the figure.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::BenchError;
use crate::args::{OutputArgs, TargetArgs, ValueArgs, positive};
use crate::author::{Author, Habit};
use crate::judge::{Seen, judge};
use crate::load::{Pace, drive};
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::subscriber::{Sink, Slim, record};
use crate::target::Target;
use crate::workspace::Workspace;
use syncline_core::history::FeedRecorder;

/// Feeds, over all workspaces, that are written down whole for the history checker.
const RECORDED_FEEDS: u32 = 4;
/// After the last write everybody must have everything within this.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Authors, at least.
const AUTHORS_MIN: u32 = 64;

/// Arguments of `feed`.
#[derive(Debug, Clone, Args)]
pub struct FeedArgs {
    /// The server that is written to and followed.
    #[command(flatten)]
    pub target: TargetArgs,
    /// What an operation writes.
    #[command(flatten)]
    pub value: ValueArgs,
    /// How the result is shown.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Workspaces that are written to
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub workspaces: u32,
    /// Feeds that follow each workspace
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub streams: u32,
    /// TCP connections that feeds are spread over, and as many for writes; a server takes 32 feeds on one unless told
    /// otherwise
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: u32,
    /// Writes a second over all workspaces, one operation each
    #[arg(long, value_name = "PER_SECOND", default_value = "1000", value_parser = positive)]
    pub rate: f64,
    /// How long is measured
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: u32,
    /// How long runs before, unmeasured
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=3_600))]
    pub warmup_seconds: u32,
}

/// `syncline bench feed`.
pub(super) async fn run(args: &FeedArgs) -> Result<Outcome, BenchError> {
    let target = Target::open(&args.target, 2 * args.connections).await?;
    let outcome = measure(&target, args, &Progress::new(args.output.json)).await;
    target.close().await;
    outcome
}

/// Everybody who follows one workspace.
struct Audience {
    end: watch::Sender<Option<u64>>,
    slim: Vec<JoinHandle<Result<(), String>>>,
    recorded: Vec<JoinHandle<Result<FeedRecorder, String>>>,
}

/// The same on a server that is running.
pub async fn measure(target: &Target, args: &FeedArgs, progress: &Progress) -> Result<Outcome, BenchError> {
    let channel = target.connect().await?;
    let writing = target.connect_many(args.connections).await?;
    let reading = target.connect_many(args.connections).await?;
    let authors_each = AUTHORS_MIN.div_ceil(args.workspaces);
    let mut workspaces = Vec::new();
    let bar = progress.steps("creating workspaces", args.workspaces.into());
    for _ in 0..args.workspaces {
        let records = u64::from(authors_each) * u64::from(args.value.records);
        workspaces
            .push(Workspace::create(&channel, records, args.value.value_bytes, &Progress::new(true)).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let clock = Instant::now();
    let rss_before = target.rss_bytes();
    let mut audiences = Vec::new();
    // Known only when the load begins; feeds that are open by then are told of nothing before it.
    let pace = Pace {
        rate_per_s: Some(args.rate),
        warmup: Duration::from_secs(args.warmup_seconds.into()),
        measured: Duration::from_secs(args.seconds.into()),
    };
    let opening = progress.steps("opening feeds", u64::from(args.workspaces) * u64::from(args.streams));
    let mut feeds = reading.iter().cycle().cloned();
    let mut opened = Vec::new();
    for (n, workspace) in workspaces.iter().enumerate() {
        let (mut slim, mut recorded) = (Vec::new(), Vec::new());
        let (end, ends) = watch::channel(None);
        for stream in 0..args.streams {
            let Some(channel) = feeds.next() else { break };
            if stream == 0 && n < RECORDED_FEEDS as usize {
                let (is_open, open) = oneshot::channel();
                let name = format!("feed of workspace {n}");
                let follows = record(channel.clone(), workspace.clone(), name, clock, is_open, ends.clone());
                recorded.push(tokio::spawn(follows));
                open.await.map_err(|_| BenchError::Other("a recorded feed did not open".to_owned()))?;
            }
            slim.push(Slim::open(channel, workspace).await.map_err(BenchError::Other)?);
            opening.inc(1);
        }
        opened.push((slim, ends));
        audiences.push(Audience { end, slim: Vec::new(), recorded });
    }
    opening.finish_and_clear();
    let begins = clock.elapsed() + pace.warmup;
    let sink = Arc::new(Sink::new(clock, begins)?);
    for (n, (audience, (slim, ends))) in audiences.iter_mut().zip(opened).enumerate() {
        for (stream, feed) in slim.into_iter().enumerate() {
            let shard = n * args.streams as usize + stream;
            audience.slim.push(tokio::spawn(feed.follow(shard, sink.clone(), ends.clone())));
        }
    }
    let authors = authors(&writing, &workspaces, authors_each, args.value, clock);
    let (written, authors) = drive(authors, pace, progress).await?;
    let rss_bytes = target.rss_bytes();
    let ended = Instant::now();
    let mut outcome = Outcome::of("feed", written);
    outcome.figures.push(("write_p50_us", outcome.p50_us as f64));
    outcome.figures.push(("write_p99_us", outcome.p99_us as f64));
    let mut heads = vec![0; workspaces.len()];
    for author in &authors {
        if let Some(n) = workspaces.iter().position(|w| w.id == author.workspace().id) {
            heads[n] = author.base_seq().max(heads[n]);
        }
    }
    let mut seen: Vec<Seen> = workspaces.iter().map(|_| Seen::default()).collect();
    for ((audience, head), seen) in audiences.into_iter().zip(&heads).zip(&mut seen) {
        let _ = audience.end.send(Some(*head));
        for task in audience.slim {
            outcome.take_failure(within(ended, task).await.and_then(|followed| followed));
        }
        for task in audience.recorded {
            match within(ended, task).await.and_then(|followed| followed) {
                Ok(recorder) => seen.feeds.push(recorder),
                Err(error) => outcome.take_failure(Err(error)),
            }
        }
    }
    for author in authors {
        if let Some(n) = workspaces.iter().position(|w| w.id == author.workspace().id) {
            seen[n].recorders.push(author.into_recorder());
        }
    }
    outcome.take_latencies(&sink.latencies().await?);
    let delivered = sink.delivered.load(Ordering::Relaxed);
    let frames = sink.frames.load(Ordering::Relaxed);
    let seconds = (pace.warmup + pace.measured).as_secs_f64();
    outcome.streams = Some(u64::from(args.workspaces) * u64::from(args.streams));
    outcome.rss_bytes = rss_bytes;
    outcome.figures.push(("deliveries_per_s", delivered as f64 / seconds));
    outcome.figures.push(("changes_per_frame", delivered as f64 / frames.max(1) as f64));
    if let (Some(before), Some(after)) = (rss_before, rss_bytes) {
        outcome.figures.push(("rss_growth_bytes", after as f64 - before as f64));
    }
    let bar = progress.steps("checking histories", workspaces.len() as u64);
    for (workspace, seen) in workspaces.iter().zip(seen) {
        judge(&channel, workspace, seen, &mut outcome, &Progress::new(true)).await?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(outcome)
}

/// A task's result, if it comes soon enough after the last write.
async fn within<T>(ended: Instant, task: JoinHandle<T>) -> Result<T, String> {
    let abort = task.abort_handle();
    match tokio::time::timeout_at(ended + DRAIN_TIMEOUT, task).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => {
            abort.abort();
            Err(format!("a feed did not get everything within {} s", DRAIN_TIMEOUT.as_secs()))
        }
    }
}

fn authors(
    channels: &[Channel],
    workspaces: &[Workspace],
    authors_each: u32,
    value: ValueArgs,
    clock: Instant,
) -> Vec<Author> {
    let records = u64::from(value.records);
    let mut channels = channels.iter().cycle().cloned();
    let mut authors = Vec::new();
    for n in 0..u64::from(authors_each) {
        for workspace in workspaces {
            let habit = Habit {
                first_record: n * records,
                records,
                value_bytes: value.value_bytes,
                operations_per_call: 1,
                clock,
            };
            authors.extend(channels.next().map(|channel| Author::new(channel, workspace, habit)));
        }
    }
    authors
}
