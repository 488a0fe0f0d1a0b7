//! Durable writes, so many on their way at a time: Syncline's Submit with one operation, etcd's Put, NATS's publish.

use syncline_bench::driver::{
    CallArgs, Caller, Measured, Pace, PaceArgs, ValueArgs, drive, duration, grouped, measure_submit,
};
use tokio::time::Instant;

use super::{output, turn_of};
use crate::args::Plan;
use crate::disk::Disk;
use crate::error::CompareError;
use crate::peers::{etcd, nats};
use crate::report::{Better, Line, Unit, talk};
use crate::servers::{NatsServer, Programs, Server, target_args};
use crate::turns::{Turn, order};

/// Keys of a writer, as many as an author of Syncline's load has records.
pub(super) const KEYS_PER_WRITER: u32 = 8;

/// How many writes at a time, and what of them is compared.
pub(super) struct Load {
    what: &'static str,
    connections: u32,
    in_flight: u32,
    unit: Unit,
    better: Better,
    /// For the ratio of Syncline's figure to etcd's.
    bar: Option<f64>,
    goal: Option<f64>,
}

pub(super) const IN_FLIGHT_256: Load = Load {
    what: "writes, 256 in flight over 16 connections",
    connections: 16,
    in_flight: 256,
    unit: Unit::PerSecond,
    better: Better::More,
    bar: Some(1.0),
    goal: Some(2.0),
};

pub(super) const IN_FLIGHT_64: Load = Load {
    what: "writes, 64 in flight over 16 connections",
    connections: 16,
    in_flight: 64,
    unit: Unit::PerSecond,
    better: Better::More,
    bar: None,
    goal: None,
};

pub(super) const IN_FLIGHT_1: Load = Load {
    what: "one write at a time, p50",
    connections: 1,
    in_flight: 1,
    unit: Unit::Microseconds,
    better: Better::Less,
    bar: Some(1.5),
    goal: Some(0.8),
};

/// Who has a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Syncline,
    Etcd,
    Nats,
}

struct Servers {
    syncline: Server,
    etcd: Option<Server>,
    nats: Option<NatsServer>,
}

pub(super) async fn run(
    load: &Load,
    programs: &Programs,
    disk: &Disk,
    plan: &Plan,
) -> Result<Vec<Line>, CompareError> {
    talk(plan, load.what);
    // A workspace has a connection of its own beside those of the load, in every turn.
    let syncline = Server::syncline(programs, disk, load.connections * 2).await?;
    let etcd = match &programs.etcd {
        Some((program, _)) => Some(Server::etcd(program, disk).await?),
        None => None,
    };
    let nats = match &programs.nats {
        Some((program, version)) => Some(NatsServer::start(program, version, disk).await?),
        None => None,
    };
    let servers = Servers { syncline, etcd, nats };
    let turns = turns(load, &servers, plan).await?;
    servers.syncline.close().await?;
    if let Some(etcd) = servers.etcd {
        etcd.close().await?;
    }
    if let Some(nats) = servers.nats {
        nats.close().await?;
    }
    Ok(lines(load, programs, &turns))
}

async fn turns(load: &Load, servers: &Servers, plan: &Plan) -> Result<Vec<(Side, Turn)>, CompareError> {
    let mut sides = vec![Side::Syncline];
    sides.extend(servers.etcd.is_some().then_some(Side::Etcd));
    sides.extend(servers.nats.is_some().then_some(Side::Nats));
    let mut turns = Vec::new();
    for number in 0..plan.turns {
        for side in order(sides.len(), number).filter_map(|n| sides.get(n).copied()) {
            let turn = match (side, &servers.etcd, &servers.nats) {
                (Side::Syncline, ..) => turn_of(submit(load, &servers.syncline, plan).await?),
                (Side::Etcd, Some(etcd), _) => put(load, etcd, plan).await?,
                (Side::Nats, _, Some(nats)) => publish(load, nats, plan).await?,
                _ => continue,
            };
            let rate = grouped(turn.rate_per_s.round() as u64);
            let (p50, p99) = (duration(turn.p50_us), duration(turn.p99_us));
            let of = plan.turns;
            talk(plan, &format!("  turn {}/{of}  {side:?}: {rate}/s, p50 {p50}, p99 {p99}", number + 1));
            turns.push((side, turn));
        }
    }
    Ok(turns)
}

fn lines(load: &Load, programs: &Programs, turns: &[(Side, Turn)]) -> Vec<Line> {
    let of = |side: Side| -> Vec<Turn> {
        turns.iter().filter(|(s, _)| *s == side).map(|(_, turn)| turn.clone()).collect()
    };
    let figure = |turn: &Turn| match load.unit {
        Unit::PerSecond => turn.rate_per_s,
        Unit::Microseconds | Unit::Bytes => turn.p50_us as f64,
    };
    let syncline = of(Side::Syncline);
    let line = |peer: &'static str, side, comparable, bar, goal| Line {
        what: load.what.to_owned(),
        peer,
        unit: load.unit,
        better: load.better,
        comparable,
        bar,
        goal,
        ..Line::of(&syncline, &of(side), figure)
    };
    let mut lines = Vec::new();
    if programs.etcd.is_some() {
        lines.push(line("etcd Put", Side::Etcd, true, load.bar, load.goal));
    }
    if let Some((_, version)) = &programs.nats {
        let durable = version.can_sync_each_write();
        lines.push(line("NATS publish", Side::Nats, durable, None, None));
    }
    lines
}

async fn submit(
    load: &Load,
    server: &Server,
    plan: &Plan,
) -> Result<syncline_bench::driver::Outcome, CompareError> {
    let args = CallArgs {
        // The server that was opened is the one that is called.
        target: target_args(None, None),
        pace: pace(load, plan),
        value: ValueArgs { value_bytes: plan.value_bytes, records: 1 },
        output: output(plan),
    };
    Ok(measure_submit(&server.target, &args, &plan.progress).await?)
}

fn pace(load: &Load, plan: &Plan) -> PaceArgs {
    PaceArgs {
        connections: load.connections,
        in_flight: load.in_flight,
        rate: None,
        seconds: plan.seconds,
        warmup_seconds: plan.warmup_seconds,
    }
}

async fn put(load: &Load, server: &Server, plan: &Plan) -> Result<Turn, CompareError> {
    let channels = server.target.connect_many(load.connections).await?;
    let clock = Instant::now();
    let writers = (0..load.in_flight).zip(channels.iter().cycle().cloned());
    let writers =
        writers.map(|(n, channel)| etcd::Writer::new(channel, n, KEYS_PER_WRITER, plan.value_bytes, clock));
    measured(writers.collect(), load, plan, "etcd").await
}

async fn publish(load: &Load, server: &NatsServer, plan: &Plan) -> Result<Turn, CompareError> {
    let mut connections = Vec::new();
    for _ in 0..load.connections {
        connections.push(nats::connect(&server.address).await?);
    }
    let publishers = (0..load.in_flight).zip(connections.iter().cycle().cloned());
    let publishers = publishers.map(|(n, connection)| nats::Publisher::new(connection, n, plan.value_bytes));
    measured(publishers.collect(), load, plan, "nats").await
}

async fn measured<C: Caller>(
    callers: Vec<C>,
    load: &Load,
    plan: &Plan,
    name: &str,
) -> Result<Turn, CompareError> {
    let (measured, _) = drive(callers, Pace::from(&pace(load, plan)), &plan.progress).await?;
    Ok(turn_of_peer(&measured, name))
}

/// A turn of a peer.
pub(super) fn turn_of_peer(measured: &Measured, name: &str) -> Turn {
    let first = measured.first_error.as_deref().unwrap_or("unknown");
    let failed = (measured.errors > 0)
        .then(|| format!("{name}: {} calls failed, the first one: {first}", measured.errors));
    Turn {
        rate_per_s: measured.rate_per_s(),
        p50_us: measured.latencies.quantile_us(0.5),
        p99_us: measured.latencies.quantile_us(0.99),
        operations: measured.operations,
        problems: failed.into_iter().collect(),
    }
}
