//! `syncline bench` and `syncline replay`: load on a server, measured as its clients feel it.
//!
//! Without `--target` the server is a process of its own over a temporary database, so that its memory is its own.
//! Load is closed-loop (so many calls in flight) or open-loop (so many calls a second, see [`load`]); latencies are
//! counted from when a call was due. `submit`, `batch`, `feed` and `fanout` end with the history checker: what every
//! client was told is compared with what the service promises, since the speed of a wrong answer is no result. The
//! others check that every operation settles and every record arrives. [`replay`] plays a recorded session of several
//! authors.
//!
//! Nothing here knows the inside of a server: where one is needed, this very program is started as `serve`.

mod alternation;
mod args;
mod author;
mod bootstrap;
mod calls;
mod error;
mod fanout;
mod feed;
mod growth;
mod idle;
mod judge;
mod load;
mod outcome;
mod progress;
pub mod replay;
mod scratch;
mod subscriber;
mod suite;
mod target;
mod workspace;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use outcome::Outcome;

pub use error::BenchError;

/// What `syncline-compare` measures other servers with. No promise is made about it.
pub mod driver {
    pub use crate::args::{OutputArgs, PaceArgs, TargetArgs, ValueArgs};
    pub use crate::calls::{CallArgs, measure_submit};
    pub use crate::fanout::{FanoutArgs, measure as measure_fanout};
    pub use crate::feed::{FeedArgs, measure as measure_feed};
    pub use crate::load::{Caller, Due, Latencies, Measured, Pace, drive};
    pub use crate::outcome::{Outcome, bytes, duration, grouped};
    pub use crate::progress::Progress;
    pub use crate::target::Target;
}

/// Connections that are made at once: a listener's backlog is finite.
const CONNECTING_MAX: usize = 64;

/// Arguments of `syncline bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// The ceiling: calls that are decoded and answered, nothing else
    Noop(calls::CallArgs),
    /// Durable writes, one operation in a call
    Submit(calls::CallArgs),
    /// Many operations in a call, against single ones in the same run
    Batch(calls::BatchArgs),
    /// From a write to the callback of every subscriber, at a steady rate
    Feed(feed::FeedArgs),
    /// One change to very many subscribers: until the last one has it
    Fanout(fanout::FanoutArgs),
    /// Memory of feeds with heartbeats that wait
    Idle(idle::IdleArgs),
    /// A snapshot of a large workspace to a new client
    Bootstrap(bootstrap::BootstrapArgs),
    /// What an operation costs after a long history, and how soon a server is ready over it
    History(growth::HistoryArgs),
    /// What an operation costs when very many replicas were ever seen
    Replicas(growth::ReplicasArgs),
    /// Everything, held against the bars the project sets itself
    All(suite::SuiteArgs),
}

/// Runs a scenario and reports it; fails when calls failed, a bar was missed or the history is wrong.
pub async fn run(args: BenchArgs) -> Result<ExitCode, BenchError> {
    raise_file_limit();
    let (outcome, output) = match args.scenario {
        Scenario::Noop(args) => (calls::noop(&args).await?, args.output),
        Scenario::Submit(args) => (calls::submit(&args).await?, args.output),
        Scenario::Batch(args) => (calls::batch(&args).await?, args.output),
        Scenario::Feed(args) => (feed::run(&args).await?, args.output),
        Scenario::Fanout(args) => (fanout::run(&args).await?, args.output),
        Scenario::Idle(args) => (idle::run(&args).await?, args.output),
        Scenario::Bootstrap(args) => (bootstrap::run(&args).await?, args.output),
        Scenario::History(args) => (growth::history(&args).await?, args.output),
        Scenario::Replicas(args) => (growth::replicas(&args).await?, args.output),
        Scenario::All(args) => return suite::run(&args).await,
    };
    outcome.report(output.json)?;
    Ok(exit_code(&outcome))
}

fn exit_code(outcome: &Outcome) -> ExitCode {
    if outcome.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// As many files as the system lets this process have: thousands of connections are opened.
fn raise_file_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}

/// Prints a line for people. That nobody reads it (a closed pipe) is no reason to stop.
fn say(line: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
