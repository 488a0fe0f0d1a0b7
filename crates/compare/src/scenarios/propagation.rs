//! From a write to a watcher, at a moderate rate: timed from when the write was due at its writer until the watcher's own
//! code has the change.
//!
//! On both sides 64 writers share 16 connections and two watchers follow everything: of Syncline's two, one is timed
//! and one is written down for the history checker; of etcd's two, one is timed.

use std::time::Duration;

use syncline_bench::driver::{FeedArgs, Latencies, Pace, ValueArgs, drive, duration, measure_feed};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::writes::{KEYS_PER_WRITER, turn_of_peer};
use super::{output, turn_of};
use crate::args::Plan;
use crate::disk::Disk;
use crate::error::CompareError;
use crate::peers::etcd;
use crate::report::{Better, Line, Unit, talk};
use crate::servers::{Programs, Server, target_args};
use crate::turns::{Turn, order};

/// Connections of the writers, and as many at most of the watchers.
const CONNECTIONS: u32 = 16;
/// Writers that take what is due in turn, as many as Syncline's load has authors.
const WRITERS: u32 = 64;
/// Watchers of etcd: one timed, one that only follows.
const WATCHERS: usize = 2;
/// After the last write everybody must have everything within this.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) async fn run(programs: &Programs, disk: &Disk, plan: &Plan) -> Result<Vec<Line>, CompareError> {
    let Some((program, _)) = &programs.etcd else { return Ok(Vec::new()) };
    let what = format!("{} writes a second, one watcher", plan.rate_per_s);
    talk(plan, &what);
    let syncline = Server::syncline(programs, disk, CONNECTIONS * 2).await?;
    let etcd = Server::etcd(program, disk).await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 0..plan.turns {
        for side in order(2, number) {
            let (name, turn) = match side {
                0 => ("Syncline", feed(&syncline, plan).await?),
                _ => ("Etcd", watch(&etcd, plan).await?),
            };
            let (p50, p99) = (duration(turn.p50_us), duration(turn.p99_us));
            talk(plan, &format!("  turn {}/{}  {name}: p50 {p50}, p99 {p99}", number + 1, plan.turns));
            if side == 0 { ours.push(turn) } else { theirs.push(turn) }
        }
    }
    syncline.close().await?;
    etcd.close().await?;
    let line = |part: &str, figure: fn(&Turn) -> f64| Line {
        what: format!("{what}: from write to watcher, {part}"),
        peer: "etcd watch",
        unit: Unit::Microseconds,
        better: Better::Less,
        ..Line::of(&ours, &theirs, figure)
    };
    Ok(vec![line("p50", |turn| turn.p50_us as f64), line("p99", |turn| turn.p99_us as f64)])
}

async fn feed(server: &Server, plan: &Plan) -> Result<Turn, CompareError> {
    let args = FeedArgs {
        target: target_args(None, None),
        value: ValueArgs { value_bytes: plan.value_bytes, records: 1 },
        output: output(plan),
        workspaces: 1,
        streams: 1,
        connections: CONNECTIONS,
        rate: plan.rate_per_s,
        seconds: plan.seconds,
        warmup_seconds: plan.warmup_seconds,
    };
    Ok(turn_of(measure_feed(&server.target, &args, &plan.progress).await?))
}

async fn watch(server: &Server, plan: &Plan) -> Result<Turn, CompareError> {
    let failed = |detail| CompareError::Server { name: "etcd", detail };
    let writing = server.target.connect_many(CONNECTIONS).await?;
    let reading = server.target.connect_many(CONNECTIONS).await?;
    let pace = Pace {
        rate_per_s: Some(plan.rate_per_s),
        warmup: Duration::from_secs(plan.warmup_seconds.into()),
        measured: Duration::from_secs(plan.seconds.into()),
    };
    let clock = Instant::now();
    let mut watchers = Vec::new();
    for channel in reading.into_iter().take(WATCHERS) {
        watchers.push(etcd::Watcher::open(channel).await.map_err(failed)?);
    }
    let (end, ends) = watch::channel(None);
    let timed_from_ns = etcd::nanoseconds(clock, Instant::now() + pace.warmup);
    let following: Vec<_> = watchers
        .into_iter()
        .map(|watcher| tokio::spawn(follow(watcher, clock, timed_from_ns, ends.clone())))
        .collect();
    let writers = (0..WRITERS).zip(writing.iter().cycle().cloned());
    let writers =
        writers.map(|(n, channel)| etcd::Writer::new(channel, n, KEYS_PER_WRITER, plan.value_bytes, clock));
    let (written, writers) = drive(writers.collect(), pace, &plan.progress).await?;
    let last = writers.iter().map(|writer| writer.last_revision).max().unwrap_or(0);
    end.send_replace(Some(last));
    let mut turn = turn_of_peer(&written, "etcd");
    for (number, task) in following.into_iter().enumerate() {
        match within(task).await {
            Ok(latencies) if number == 0 => {
                turn.p50_us = latencies.quantile_us(0.5);
                turn.p99_us = latencies.quantile_us(0.99);
            }
            Ok(_) => {}
            Err(error) => turn.problems.push(format!("etcd: {error}")),
        }
    }
    Ok(turn)
}

async fn within(mut task: JoinHandle<Result<Latencies, String>>) -> Result<Latencies, String> {
    match tokio::time::timeout(DRAIN_TIMEOUT, &mut task).await {
        Ok(Ok(followed)) => followed,
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => {
            task.abort();
            Err(format!("a watcher did not get everything within {} s", DRAIN_TIMEOUT.as_secs()))
        }
    }
}

/// Follows until the end is known and reached, and returns how long the changes took that were due late enough.
async fn follow(
    mut watcher: etcd::Watcher,
    clock: Instant,
    timed_from_ns: u64,
    mut end: watch::Receiver<Option<i64>>,
) -> Result<Latencies, String> {
    let mut latencies = Latencies::new().map_err(|error| error.to_string())?;
    loop {
        if (*end.borrow()).is_some_and(|end| watcher.revision() >= end) {
            return Ok(latencies);
        }
        let changes = tokio::select! {
            changes = watcher.next() => changes?,
            changed = end.changed() => {
                changed.map_err(|_| "the turn was given up".to_owned())?;
                continue;
            }
        };
        let now_ns = etcd::nanoseconds(clock, Instant::now());
        for change in changes.iter().filter(|change| change.due_ns >= timed_from_ns) {
            latencies.record(Duration::from_nanos(now_ns.saturating_sub(change.due_ns)));
        }
    }
}
