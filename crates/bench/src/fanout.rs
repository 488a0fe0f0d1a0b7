//! `syncline bench fanout`: one change to very many subscribers, timed until the last one has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::BenchError;
use crate::CONNECTING_MAX;
use crate::args::{OutputArgs, TargetArgs, ValueArgs};
use crate::author::{Author, Habit};
use crate::judge::{Seen, judge};
use crate::load::{Caller as _, Due, Latencies};
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::subscriber::Slim;
use crate::target::Target;
use crate::workspace::Workspace;

/// A change that has not reached everybody by then is an error.
const SERVED_TIMEOUT: Duration = Duration::from_secs(30);

/// Arguments of `fanout`.
#[derive(Debug, Clone, Args)]
pub struct FanoutArgs {
    /// The server that the feeds are opened on.
    #[command(flatten)]
    pub target: TargetArgs,
    /// What a change writes.
    #[command(flatten)]
    pub value: ValueArgs,
    /// How the result is shown.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Feeds that follow the workspace
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub streams: u32,
    /// TCP connections that they are spread over
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: u32,
    /// Changes, one after the other
    #[arg(long, value_name = "NUMBER", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rounds: u32,
}

/// Who has the change of this round.
#[derive(Default)]
struct Round {
    served: AtomicU64,
    all: AtomicU64,
    over: Notify,
}

/// `syncline bench fanout`.
pub(super) async fn run(args: &FanoutArgs) -> Result<Outcome, BenchError> {
    let target = Target::open(&args.target, args.connections).await?;
    let outcome = measure(&target, args, &Progress::new(args.output.json)).await;
    target.close().await;
    outcome
}

/// The same on a server that is running.
pub async fn measure(target: &Target, args: &FanoutArgs, progress: &Progress) -> Result<Outcome, BenchError> {
    let channel = target.connect().await?;
    let value_bytes = args.value.value_bytes;
    let workspace = Workspace::create(&channel, 1, value_bytes, progress).await?;
    let channels = target.connect_many(args.connections).await?;
    let round = Arc::new(Round::default());
    let bar = progress.steps("opening feeds", args.streams.into());
    let room = Arc::new(Semaphore::new(CONNECTING_MAX));
    let mut opening = JoinSet::new();
    for channel in channels.iter().cycle().take(args.streams as usize).cloned() {
        let (workspace, room) = (workspace.clone(), room.clone());
        opening.spawn(async move {
            let _place = room.acquire().await;
            Slim::open(channel, &workspace).await
        });
    }
    let mut feeds = JoinSet::new();
    while let Some(opened) = opening.join_next().await {
        let feed =
            opened.map_err(|error| BenchError::Other(error.to_string()))?.map_err(BenchError::Other)?;
        feeds.spawn(follow(feed, round.clone()));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let habit =
        Habit { first_record: 0, records: 1, value_bytes, operations_per_call: 1, clock: Instant::now() };
    let mut author = Author::new(channel.clone(), &workspace, habit);
    let (mut last, mut outcome) = (Latencies::new()?, Outcome::default());
    let bar = progress.steps("changes", args.rounds.into());
    let started = Instant::now();
    for _ in 0..args.rounds {
        round.served.store(0, Ordering::SeqCst);
        round.all.store(args.streams.into(), Ordering::SeqCst);
        let begun = Instant::now();
        let over = round.over.notified();
        author.call(Due { at: begun }).await.map_err(BenchError::Other)?;
        tokio::select! {
            () = over => last.record(begun.elapsed()),
            ended = feeds.join_next() => {
                outcome.take_failure(ended.map_or(Ok(()), |e| e.unwrap_or_else(|e| Err(e.to_string()))));
                break;
            }
            () = tokio::time::sleep(SERVED_TIMEOUT) => {
                let served = round.served.load(Ordering::SeqCst);
                outcome.take_failure(Err(format!("only {served} of {} feeds have the change", args.streams)));
                break;
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    outcome.scenario = "fanout".to_owned();
    outcome.operations = last.count() * u64::from(args.streams);
    outcome.seconds = started.elapsed().as_secs_f64();
    outcome.rate_per_s = outcome.operations as f64 / outcome.seconds.max(f64::EPSILON);
    outcome.take_latencies(&last);
    outcome.streams = Some(args.streams.into());
    outcome.rss_bytes = target.rss_bytes();
    drop(feeds);
    let seen = Seen { recorders: vec![author.into_recorder()], ..Seen::default() };
    judge(&channel, &workspace, seen, &mut outcome, progress).await?;
    Ok(outcome)
}

async fn follow(mut feed: Slim, round: Arc<Round>) -> Result<(), String> {
    loop {
        feed.next().await?;
        if round.served.fetch_add(1, Ordering::SeqCst) + 1 == round.all.load(Ordering::SeqCst) {
            round.over.notify_one();
        }
    }
}
