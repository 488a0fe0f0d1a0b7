//! The command line, and what it comes to.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use syncline_bench::driver::Progress;

/// Syncline and its peers (etcd, NATS JetStream), side by side on this machine: every server is started on loopback with
/// its data on one disk, does the same work in turn several times, and is stopped and removed.
#[derive(Debug, Parser)]
#[command(name = "syncline-compare", version, about)]
pub(crate) struct Args {
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
    /// One short turn of everything with few watchers: shows that it works, and no figures to compare
    #[arg(long)]
    pub quick: bool,
    /// Only these scenarios
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SCENARIO")]
    pub only: Vec<Scenario>,
    /// Only these peers
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PEER", default_values_t = [Peer::Etcd, Peer::Nats])]
    pub peers: Vec<Peer>,
    /// Times that each server does the work of a scenario [default: 3]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub turns: Option<u32>,
    /// How long each server writes in a turn [default: 5]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=60))]
    pub seconds: Option<u32>,
    /// Where a directory for the data of all servers is made; a file system on a real disk
    #[arg(long, value_name = "DIRECTORY", default_value = "target")]
    pub directory: PathBuf,
    /// The syncline to measure; default: the one beside this program
    #[arg(long, value_name = "FILE")]
    pub syncline: Option<PathBuf>,
    /// The etcd to measure; default: the one on the PATH
    #[arg(long, value_name = "FILE")]
    pub etcd: Option<PathBuf>,
    /// The nats-server to measure; default: the one on the PATH
    #[arg(long, value_name = "FILE")]
    pub nats_server: Option<PathBuf>,
}

/// What Syncline is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    Etcd,
    Nats,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Durable writes, 256 in flight over 16 connections
    #[value(name = "writes-256")]
    Writes256,
    /// Durable writes, 64 in flight over 16 connections
    #[value(name = "writes-64")]
    Writes64,
    /// One durable write at a time
    #[value(name = "writes-1")]
    Writes1,
    /// From a write to a watcher, at a moderate rate
    Propagation,
    /// One change to 10,000 watchers over 1,000 connections, and the memory they take
    Fanout,
}

/// Sizes of a run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub scenarios: Vec<Scenario>,
    /// Times that each server does the work of a scenario.
    pub turns: u32,
    /// How long a turn is measured, and how long it runs unmeasured before.
    pub seconds: u32,
    pub warmup_seconds: u32,
    /// Size of every written value.
    pub value_bytes: u32,
    /// Writes a second whose propagation is timed.
    pub rate_per_s: f64,
    /// Watchers that a change goes out to, and the connections they share.
    pub watchers: u32,
    pub watcher_connections: u32,
    /// Changes of a turn that are timed until the last watcher has them.
    pub changes: u32,
    /// Bars for people.
    pub progress: Progress,
    /// Lines for people as figures come in.
    pub talks: bool,
}

/// Size of every written value.
const VALUE_BYTES: u32 = 256;
/// Writes a second in the scenario of propagation: well below what any of the servers can do.
const MODERATE_RATE_PER_S: f64 = 500.0;

impl Plan {
    pub(crate) fn of(args: &Args) -> Plan {
        let quick = args.quick;
        let all = Scenario::value_variants();
        let wanted = |s: &Scenario| args.only.is_empty() || args.only.contains(s);
        Plan {
            scenarios: all.iter().copied().filter(wanted).collect(),
            turns: args.turns.unwrap_or(if quick { 1 } else { 3 }),
            seconds: args.seconds.unwrap_or(if quick { 1 } else { 5 }),
            warmup_seconds: if quick { 0 } else { 1 },
            value_bytes: VALUE_BYTES,
            rate_per_s: MODERATE_RATE_PER_S,
            watchers: if quick { 200 } else { 10_000 },
            watcher_connections: if quick { 20 } else { 1_000 },
            changes: if quick { 3 } else { 20 },
            progress: Progress::new(args.json),
            talks: !args.json,
        }
    }
}
