//! One change to very many watchers, timed from the write until the last one has it; and the memory they take.
//!
//! Each watcher is a stream of its own: a feed of Syncline, a watch of etcd. Each turn has a new server, so that its
//! memory is that of these watchers and not of those before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use syncline_bench::driver::{
    Caller as _, Due, FanoutArgs, Latencies, ValueArgs, bytes, duration, grouped, measure_fanout,
};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{output, turn_of};
use crate::args::Plan;
use crate::disk::Disk;
use crate::error::CompareError;
use crate::peers::etcd::{Watcher, Writer};
use crate::report::{Better, Line, Unit, talk};
use crate::servers::{Programs, Server, target_args};
use crate::turns::{Turn, order};

/// A change that has not reached everybody by then is a failure.
const SERVED_TIMEOUT: Duration = Duration::from_secs(30);
/// Watches that are opened at once, as in Syncline's load.
const OPENING_MAX: usize = 64;
/// The goal for the ratio of Syncline's figure to etcd's.
const GOAL: f64 = 0.6;

/// A turn, and the server's memory before the watchers came and with them.
struct Served {
    turn: Turn,
    memory_before: Option<u64>,
    memory: Option<u64>,
}

pub(super) async fn run(programs: &Programs, disk: &Disk, plan: &Plan) -> Result<Vec<Line>, CompareError> {
    let Some((program, _)) = &programs.etcd else { return Ok(Vec::new()) };
    let (watchers, connections) = (grouped(plan.watchers.into()), grouped(plan.watcher_connections.into()));
    let what = format!("one change to {watchers} watchers over {connections} connections");
    talk(plan, &what);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 0..plan.turns {
        for side in order(2, number) {
            let (name, served) = match side {
                0 => ("Syncline", feeds(programs, disk, plan).await?),
                _ => ("Etcd", watches(program, disk, plan).await?),
            };
            let (p50, p99) = (duration(served.turn.p50_us), duration(served.turn.p99_us));
            let memory = bytes(served.memory.unwrap_or(0));
            let of = plan.turns;
            talk(
                plan,
                &format!(
                    "  turn {}/{of}  {name}: last one p50 {p50}, p99 {p99}, memory {memory}",
                    number + 1
                ),
            );
            if side == 0 { ours.push(served) } else { theirs.push(served) }
        }
    }
    Ok(lines(&what, &ours, &theirs, plan))
}

fn lines(what: &str, ours: &[Served], theirs: &[Served], plan: &Plan) -> Vec<Line> {
    let turns = |served: &[Served]| served.iter().map(|s| s.turn.clone()).collect::<Vec<_>>();
    let served = Line {
        what: format!("{what}: last one served, p50"),
        peer: "etcd watch",
        unit: Unit::Microseconds,
        better: Better::Less,
        goal: Some(GOAL),
        ..Line::of(&turns(ours), &turns(theirs), |turn| turn.p50_us as f64)
    };
    let memory = |of: &str, figure: &dyn Fn(&Served) -> Option<f64>| {
        let all = |served: &[Served]| served.iter().map(figure).collect::<Option<Vec<f64>>>();
        // Unknown where the system does not tell it.
        Some(Line {
            what: format!("memory of the server{of}"),
            peer: "etcd watch",
            unit: Unit::Bytes,
            better: Better::Less,
            comparable: true,
            syncline: all(ours)?,
            other: all(theirs)?,
            ..Line::default()
        })
    };
    let whole = memory(&format!(" with {} watchers", grouped(plan.watchers.into())), &|served| {
        served.memory.map(|memory| memory as f64)
    });
    let each = memory(", growth for each watcher", &|served| {
        let growth = served.memory?.saturating_sub(served.memory_before?);
        Some(growth as f64 / f64::from(plan.watchers.max(1)))
    });
    [Some(served), whole, each].into_iter().flatten().collect()
}

async fn feeds(programs: &Programs, disk: &Disk, plan: &Plan) -> Result<Served, CompareError> {
    let server = Server::syncline(programs, disk, plan.watcher_connections).await?;
    let args = FanoutArgs {
        target: target_args(None, None),
        value: ValueArgs { value_bytes: plan.value_bytes, records: 1 },
        output: output(plan),
        streams: plan.watchers,
        connections: plan.watcher_connections,
        rounds: plan.changes,
    };
    let memory_before = server.target.rss_bytes();
    let outcome = measure_fanout(&server.target, &args, &plan.progress).await?;
    let memory = outcome.rss_bytes;
    server.close().await?;
    Ok(Served { turn: turn_of(outcome), memory_before, memory })
}

/// Who has the change of this round.
struct Round {
    served: AtomicU64,
    all: u64,
    over: Notify,
}

async fn watches(program: &std::path::PathBuf, disk: &Disk, plan: &Plan) -> Result<Served, CompareError> {
    let failed = |detail| CompareError::Server { name: "etcd", detail };
    let server = Server::etcd(program, disk).await?;
    let memory_before = server.target.rss_bytes();
    let channel = server.target.connect().await?;
    let channels = server.target.connect_many(plan.watcher_connections).await?;
    let round = Arc::new(Round { served: AtomicU64::new(0), all: plan.watchers.into(), over: Notify::new() });
    let bar = plan.progress.steps("opening watches", plan.watchers.into());
    let room = Arc::new(Semaphore::new(OPENING_MAX));
    let mut opening = JoinSet::new();
    for channel in channels.iter().cycle().take(plan.watchers as usize).cloned() {
        let room = room.clone();
        opening.spawn(async move {
            let _place = room.acquire().await;
            Watcher::open(channel).await
        });
    }
    let mut watchers = JoinSet::new();
    while let Some(opened) = opening.join_next().await {
        let watcher = opened.map_err(|error| failed(error.to_string()))?.map_err(failed)?;
        watchers.spawn(follow(watcher, round.clone()));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let mut writer = Writer::new(channel, 0, 1, plan.value_bytes, Instant::now());
    let (last, problems) = changes(&mut writer, &mut watchers, &round, plan).await?;
    let memory = server.target.rss_bytes();
    drop(watchers);
    server.close().await?;
    let turn = Turn {
        rate_per_s: 0.0,
        p50_us: last.quantile_us(0.5),
        p99_us: last.quantile_us(0.99),
        operations: u64::from(plan.changes) * u64::from(plan.watchers),
        problems,
    };
    Ok(Served { turn, memory_before, memory })
}

/// Writes change after change, and returns how long until the last watcher had each, and what went wrong.
async fn changes(
    writer: &mut Writer,
    watchers: &mut JoinSet<Result<(), String>>,
    round: &Arc<Round>,
    plan: &Plan,
) -> Result<(Latencies, Vec<String>), CompareError> {
    let mut last = Latencies::new()?;
    let bar = plan.progress.steps("changes", plan.changes.into());
    for _ in 0..plan.changes {
        round.served.store(0, Ordering::SeqCst);
        let begun = Instant::now();
        let wrong = match writer.call(Due { at: begun }).await {
            Err(error) => Some(error),
            Ok(_) => tokio::select! {
                () = round.over.notified() => None,
                ended = watchers.join_next() => Some(match ended {
                    Some(Ok(Err(error))) => error,
                    _ => "a watcher ended".to_owned(),
                }),
                () = tokio::time::sleep(SERVED_TIMEOUT) => {
                    let served = round.served.load(Ordering::SeqCst);
                    Some(format!("only {served} of {} watchers have the change", round.all))
                }
            },
        };
        if let Some(wrong) = wrong {
            return Ok((last, vec![format!("etcd: {wrong}")]));
        }
        last.record(begun.elapsed());
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok((last, Vec::new()))
}

async fn follow(mut watcher: Watcher, round: Arc<Round>) -> Result<(), String> {
    loop {
        for _ in watcher.next().await? {
            if round.served.fetch_add(1, Ordering::SeqCst) + 1 == round.all {
                round.over.notify_one();
            }
        }
    }
}
