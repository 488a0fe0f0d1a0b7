//! `syncline bench all`: every scenario, held against the bars the project sets itself.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::args::{OutputArgs, PaceArgs, TargetArgs, ValueArgs};
use crate::calls::{BatchArgs, CallArgs, measure_noop, measure_submit};
use crate::outcome::{Outcome, bytes, duration, grouped};
use crate::progress::Progress;
use crate::replay::{self, ReplayArgs};
use crate::target::Target;
use crate::{BenchError, say};
use crate::{bootstrap, calls, fanout, feed, growth, idle};

/// Turns of each side where two are compared.
const TURNS: usize = 3;

/// Arguments of `all`.
#[derive(Debug, Clone, Args)]
pub(super) struct SuiteArgs {
    #[command(flatten)]
    pub output: OutputArgs,
    /// A Postgres to compare with SQLite (its bar is left out without one)
    #[arg(long, value_name = "URL")]
    pub postgres_url: Option<String>,
    /// A recorded session to replay, see `syncline replay` (its bar is left out without one)
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Small sizes: minutes instead of a quarter of an hour, and no figures to compare with the bars
    #[arg(long)]
    pub quick: bool,
    /// Only lines whose name holds this
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
}

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
struct Line {
    what: &'static str,
    seen: f64,
    unit: Unit,
    bar: f64,
    goal: f64,
    met: bool,
    outcome: Outcome,
}

/// What a figure is, and which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Unit {
    /// A ratio; more is better.
    TimesAtLeast,
    /// A ratio; less is better.
    TimesAtMost,
    /// Microseconds; less is better.
    MicrosecondsAtMost,
    /// Bytes; less is better.
    BytesAtMost,
    /// Operations a second; more is better.
    PerSecondAtLeast,
}

impl Unit {
    fn meets(self, seen: f64, bar: f64) -> bool {
        match self {
            Unit::TimesAtLeast | Unit::PerSecondAtLeast => seen >= bar,
            Unit::TimesAtMost | Unit::MicrosecondsAtMost | Unit::BytesAtMost => seen <= bar,
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Unit::TimesAtLeast | Unit::TimesAtMost => format!("{value:.2}x"),
            Unit::MicrosecondsAtMost => duration(value as u64),
            Unit::BytesAtMost => bytes(value as u64),
            Unit::PerSecondAtLeast => format!("{}/s", grouped(value as u64)),
        }
    }
}

/// Collects lines, and shows each as it comes.
struct Suite<'a> {
    args: &'a SuiteArgs,
    lines: Vec<Line>,
}

impl Suite<'_> {
    fn wants(&self, what: &str) -> bool {
        self.args.only.as_deref().is_none_or(|only| what.contains(only))
    }

    fn take(&mut self, what: &'static str, seen: f64, unit: Unit, bar: f64, goal: f64, outcome: &Outcome) {
        let met = unit.meets(seen, bar) && outcome.is_sound();
        if !self.args.output.json {
            let sound = if outcome.is_sound() { "" } else { "  UNSOUND" };
            say(&format!("{what}: {} (bar {}){sound}", unit.show(seen), unit.show(bar)));
            for detail in outcome.first_error.iter().chain(&outcome.violations) {
                say(detail);
            }
        }
        self.lines.push(Line { what, seen, unit, bar, goal, met, outcome: outcome.clone() });
    }

    /// Adds a line for a time of the outcome.
    fn time(&mut self, what: &'static str, us: u64, bar_ms: f64, goal_ms: f64, outcome: &Outcome) {
        self.take(what, us as f64, Unit::MicrosecondsAtMost, bar_ms * 1e3, goal_ms * 1e3, outcome);
    }
}

/// Runs everything.
pub(super) async fn run(args: &SuiteArgs) -> Result<ExitCode, BenchError> {
    let mut suite = Suite { args, lines: Vec::new() };
    submit_against_noop(&mut suite).await?;
    batch(&mut suite).await?;
    feeds(&mut suite).await?;
    if suite.wants("fan-out") {
        let args = fanout_args(args);
        let outcome = fanout::run(&args).await?;
        suite.time(
            "fan-out: one change to 10,000 subscribers, last one served, p50",
            outcome.p50_us,
            300.0,
            100.0,
            &outcome,
        );
    }
    if suite.wants("idle") {
        let outcome = idle::run(&idle_args(args)).await?;
        let seen = outcome.rss_bytes_per_stream.unwrap_or(u64::MAX) as f64;
        let what = "idle: memory of a feed with its heartbeat, a connection each";
        suite.take(what, seen, Unit::BytesAtMost, 60.0 * 1024.0, 30.0 * 1024.0, &outcome);
    }
    growth(&mut suite).await?;
    if suite.wants("bootstrap") {
        let outcome = bootstrap::run(&bootstrap_args(args)).await?;
        suite.time(
            "bootstrap: snapshot of 1 million records, p50",
            outcome.p50_us,
            20_000.0,
            5_000.0,
            &outcome,
        );
    }
    postgres(&mut suite).await?;
    replayed(&mut suite).await?;
    report(&suite)?;
    let good = |line: &Line| if args.quick { line.outcome.is_sound() } else { line.met };
    Ok(if suite.lines.iter().all(good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(suite: &Suite<'_>) -> Result<(), BenchError> {
    if suite.args.output.json {
        let line =
            serde_json::to_string(&suite.lines).map_err(|error| BenchError::Other(error.to_string()))?;
        say(&line);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["what", "seen", "bar", "goal", "met"]);
    for line in &suite.lines {
        let met = match (suite.args.quick, line.met) {
            (true, _) => "(quick)",
            (false, true) => "yes",
            (false, false) => "NO",
        };
        let show = |value| line.unit.show(value);
        table.add_row([
            line.what.to_owned(),
            show(line.seen),
            show(line.bar),
            show(line.goal),
            met.to_owned(),
        ]);
    }
    say(&table.to_string());
    Ok(())
}

/// The median.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

async fn submit_against_noop(suite: &mut Suite<'_>) -> Result<(), BenchError> {
    let what = "submit: 256 in flight over 16 connections, against noop";
    if !suite.wants(what) {
        return Ok(());
    }
    let args = call_args(suite.args, None);
    let progress = Progress::new(args.output.json);
    let target = Target::open(&args.target, 2 * args.pace.connections).await?;
    let (mut ratios, mut outcome) = (Vec::new(), Outcome::default());
    for _ in 0..TURNS {
        let ceiling = measure_noop(&target, &args, &progress).await?.rate_per_s();
        let submit = measure_submit(&target, &args, &progress).await?;
        ratios.push(submit.rate_per_s / ceiling.max(f64::EPSILON));
        outcome = join(outcome, submit);
        outcome.figures.push(("noop_rate_per_s", ceiling));
    }
    target.close().await;
    suite.take(what, median(ratios), Unit::TimesAtLeast, 0.4, 0.75, &outcome);
    Ok(())
}

/// The newer outcome, unsound if either is.
fn join(before: Outcome, mut now: Outcome) -> Outcome {
    now.errors += before.errors;
    now.first_error = before.first_error.or(now.first_error);
    now.violations = before.violations.or(now.violations);
    now.history_ok = match (before.history_ok, now.history_ok) {
        (Some(a), Some(b)) => Some(a && b),
        (a, b) => a.or(b),
    };
    let mut figures = before.figures;
    figures.append(&mut now.figures);
    now.figures = figures;
    now
}

async fn batch(suite: &mut Suite<'_>) -> Result<(), BenchError> {
    let what = "batch: 100 operations in a call, against single calls, one call at a time";
    if suite.wants(what) {
        let outcome = calls::batch(&batch_args(suite.args)).await?;
        let ratio = outcome.figure("batch_over_single").unwrap_or(0.0);
        suite.take(what, ratio, Unit::TimesAtLeast, 8.0, 20.0, &outcome);
    }
    Ok(())
}

async fn feeds(suite: &mut Suite<'_>) -> Result<(), BenchError> {
    let many = "feed: 1,000 writes/s over 100 workspaces, 10 subscribers each, p99";
    if suite.wants(many) {
        let outcome = feed::run(&feed_args(suite.args, 100, 10)).await?;
        suite.time(many, outcome.p99_us, 25.0, 8.0, &outcome);
    }
    let one = "feed: 1,000 writes/s in one workspace, 1,000 subscribers, p99";
    if suite.wants(one) {
        let outcome =
            feed::run(&feed_args(suite.args, 1, if suite.args.quick { 100 } else { 1_000 })).await?;
        suite.time(one, outcome.p99_us, 500.0, 150.0, &outcome);
    }
    Ok(())
}

async fn growth(suite: &mut Suite<'_>) -> Result<(), BenchError> {
    let what = "replicas: an operation with 100,000 replicas ever seen, against 10";
    if suite.wants(what) {
        let outcome = growth::replicas(&replicas_args(suite.args)).await?;
        let ratio = outcome.figure("old_over_young").unwrap_or(f64::MAX);
        suite.take(what, ratio, Unit::TimesAtMost, 1.3, 1.05, &outcome);
    }
    let what = "history: an operation after 10 million, against 10 thousand";
    if suite.wants(what) {
        let outcome = growth::history(&history_args(suite.args)).await?;
        let ratio = outcome.figure("old_over_young").unwrap_or(f64::MAX);
        suite.take(what, ratio, Unit::TimesAtMost, 1.5, 1.1, &outcome);
        let ready_us = outcome.figure("ready_ms").map_or(u64::MAX, |ms| (ms * 1e3) as u64);
        suite.time(
            "history: start to ready over its database (above 1 GB)",
            ready_us,
            1_000.0,
            100.0,
            &outcome,
        );
    }
    Ok(())
}

async fn postgres(suite: &mut Suite<'_>) -> Result<(), BenchError> {
    let what = "postgres: submit at 256 in flight, against SQLite";
    let Some(url) = suite.args.postgres_url.clone().filter(|_| suite.wants(what)) else { return Ok(()) };
    let (sqlite_args, postgres_args) = (call_args(suite.args, None), call_args(suite.args, Some(url)));
    let progress = Progress::new(suite.args.output.json);
    let sqlite = Target::open(&sqlite_args.target, sqlite_args.pace.connections).await?;
    let postgres = Target::open(&postgres_args.target, postgres_args.pace.connections).await?;
    let (mut ratios, mut outcome) = (Vec::new(), Outcome::default());
    for _ in 0..TURNS {
        let ours = measure_submit(&sqlite, &sqlite_args, &progress).await?;
        let theirs = measure_submit(&postgres, &postgres_args, &progress).await?;
        ratios.push(theirs.rate_per_s / ours.rate_per_s.max(f64::EPSILON));
        outcome = join(outcome, join(ours, theirs));
    }
    sqlite.close().await;
    postgres.close().await;
    suite.take(what, median(ratios), Unit::TimesAtLeast, 0.5, 1.0, &outcome);
    Ok(())
}

async fn replayed(suite: &mut Suite<'_>) -> Result<(), BenchError> {
    let what = "replay: a recorded session of two authors, one operation a keystroke";
    let Some(trace) = suite.args.trace.clone().filter(|_| suite.wants(what)) else { return Ok(()) };
    let replayed = replay::measure(&ReplayArgs::of(trace, suite.args.output.json)).await?;
    let mut outcome = Outcome {
        scenario: "replay".to_owned(),
        operations: replayed.operations,
        seconds: replayed.seconds,
        rate_per_s: replayed.operations_per_second,
        ..Outcome::default()
    };
    if !replayed.final_text_equal {
        outcome.take_failure(Err("the final text differs from the recorded one".to_owned()));
    }
    suite.take(what, replayed.operations_per_second, Unit::PerSecondAtLeast, 5_000.0, 5_000.0, &outcome);
    Ok(())
}

fn own_target(database_url: Option<String>) -> TargetArgs {
    TargetArgs { target: None, database_url, server_pid: None }
}

fn call_args(args: &SuiteArgs, database_url: Option<String>) -> CallArgs {
    let seconds = if args.quick { 2 } else { 6 };
    CallArgs {
        target: own_target(database_url),
        pace: PaceArgs { connections: 16, in_flight: 256, rate: None, seconds, warmup_seconds: 1 },
        value: ValueArgs { value_bytes: 256, records: 1 },
        output: args.output,
    }
}

fn batch_args(args: &SuiteArgs) -> BatchArgs {
    BatchArgs {
        target: own_target(None),
        value: ValueArgs { value_bytes: 256, records: 1 },
        output: args.output,
        operations_per_call: 100,
        in_flight: 1,
        seconds: if args.quick { 4 } else { 20 },
    }
}

fn feed_args(args: &SuiteArgs, workspaces: u32, streams: u32) -> feed::FeedArgs {
    feed::FeedArgs {
        target: own_target(None),
        value: ValueArgs { value_bytes: 256, records: 1 },
        output: args.output,
        workspaces,
        streams,
        connections: 16,
        rate: 1_000.0,
        seconds: if args.quick { 3 } else { 15 },
        warmup_seconds: 3,
    }
}

fn fanout_args(args: &SuiteArgs) -> fanout::FanoutArgs {
    let small = args.quick;
    fanout::FanoutArgs {
        target: own_target(None),
        value: ValueArgs { value_bytes: 256, records: 1 },
        output: args.output,
        streams: if small { 1_000 } else { 10_000 },
        connections: if small { 100 } else { 1_000 },
        rounds: if small { 5 } else { 30 },
    }
}

fn idle_args(args: &SuiteArgs) -> idle::IdleArgs {
    idle::IdleArgs {
        target: own_target(None),
        output: args.output,
        streams: if args.quick { 500 } else { 5_000 },
        seconds: if args.quick { 3 } else { 40 },
    }
}

fn replicas_args(args: &SuiteArgs) -> growth::ReplicasArgs {
    growth::ReplicasArgs {
        target: own_target(None),
        output: args.output,
        replicas: if args.quick { 2_000 } else { 100_000 },
        few: 10,
        rounds: if args.quick { 200 } else { 3_000 },
    }
}

fn history_args(args: &SuiteArgs) -> growth::HistoryArgs {
    growth::HistoryArgs {
        target: own_target(None),
        output: args.output,
        operations: if args.quick { 20_000 } else { 10_000_000 },
        few: if args.quick { 1_000 } else { 10_000 },
        value_bytes: 64,
        rounds: if args.quick { 200 } else { 3_000 },
    }
}

fn bootstrap_args(args: &SuiteArgs) -> bootstrap::BootstrapArgs {
    bootstrap::BootstrapArgs {
        target: own_target(None),
        output: args.output,
        records: if args.quick { 20_000 } else { 1_000_000 },
        value_bytes: 64,
        rounds: 3,
    }
}
