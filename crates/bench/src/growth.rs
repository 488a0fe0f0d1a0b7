//! `syncline bench history` and `replicas`: whether an operation costs more as a workspace grows old.
//!
//! Two workspaces of one server, a young one and an old one, are written to in turn, so that changes in the machine's
//! speed affect both alike. The figures compare medians.

use std::time::Duration;
use syncline_core::causality::Seq;

use clap::Args;
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::BenchError;
use crate::alternation::alternate;
use crate::args::{OutputArgs, TargetArgs};
use crate::author::{Author, Habit};
use crate::load::{Caller, Due, Latencies};
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::target::Target;
use crate::workspace::{Workspace, Writers, record_id, set, settled};
use syncline_client::Replica;
use syncline_protocol::pb;
use syncline_protocol::pb::operation_service_client::OperationServiceClient;
use syncline_protocol::pb::workspace_service_client::WorkspaceServiceClient;

/// Records that the measured author and the history before it write to.
const RECORDS: u64 = 1_000;
/// Operations in a call of the second comparison.
const BATCH: u32 = 100;
/// The second comparison makes one call for this many calls of the first.
const BATCH_ROUNDS_DIVISOR: u32 = 10;

/// Arguments of `history`.
#[derive(Debug, Clone, Args)]
pub(super) struct HistoryArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Operations in the history of the old workspace; ten million take about three minutes and 3.5 GB
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub operations: u64,
    /// Operations in the history of the young one
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub few: u64,
    /// Size of a written value
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(0..=2_000))]
    pub value_bytes: u32,
    /// Single operations in each
    #[arg(long, value_name = "NUMBER", default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    pub rounds: u32,
}

/// Arguments of `replicas`.
#[derive(Debug, Clone, Args)]
pub(super) struct ReplicasArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Replicas that wrote once in the old workspace
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub replicas: u64,
    /// Replicas that wrote once in the young one
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub few: u64,
    /// Single operations in each
    #[arg(long, value_name = "NUMBER", default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    pub rounds: u32,
}

/// `syncline bench history`.
pub(super) async fn history(args: &HistoryArgs) -> Result<Outcome, BenchError> {
    let mut target = Target::open(&args.target, 4).await?;
    let progress = Progress::new(args.output.json);
    let outcome = measure_history(&mut target, args, &progress).await;
    target.close().await;
    outcome
}

async fn measure_history(
    target: &mut Target,
    args: &HistoryArgs,
    progress: &Progress,
) -> Result<Outcome, BenchError> {
    let channel = target.connect().await?;
    let mut young = Workspace::create(&channel, RECORDS, args.value_bytes, progress).await?;
    let mut old = Workspace::create(&channel, RECORDS, args.value_bytes, progress).await?;
    young.grow(&channel, args.few, args.value_bytes, RECORDS, Writers::One, progress).await?;
    old.grow(&channel, args.operations, args.value_bytes, RECORDS, Writers::One, progress).await?;
    let mut outcome = Outcome { scenario: "history".to_owned(), ..Outcome::default() };
    if let Some(size) = target.database_bytes() {
        outcome.figures.push(("database_bytes", size as f64));
    }
    if let Some(ready) = target.restart().await? {
        outcome.figures.push(("listening_ms", ready.as_secs_f64() * 1e3));
        // A server that listens may not work yet, so the old workspace must answer.
        let begun = Instant::now();
        let request = pb::GetHeadRequest { workspace_id: old.id.clone() };
        WorkspaceServiceClient::new(target.connect().await?).get_head(request).await?;
        outcome.figures.push(("ready_ms", (ready + begun.elapsed()).as_secs_f64() * 1e3));
    }
    let channel = target.connect().await?;
    let (young, old) = (author(&channel, &young, args.value_bytes), author(&channel, &old, args.value_bytes));
    compare(young, old, args.rounds, &mut outcome, progress).await?;
    outcome.rss_bytes = target.rss_bytes();
    Ok(outcome)
}

/// `syncline bench replicas`.
pub(super) async fn replicas(args: &ReplicasArgs) -> Result<Outcome, BenchError> {
    let target = Target::open(&args.target, 4).await?;
    let outcome = measure_replicas(&target, args, &Progress::new(args.output.json)).await;
    target.close().await;
    outcome
}

async fn measure_replicas(
    target: &Target,
    args: &ReplicasArgs,
    progress: &Progress,
) -> Result<Outcome, BenchError> {
    let channel = target.connect().await?;
    let mut young = Workspace::create(&channel, RECORDS, 0, progress).await?;
    let mut old = Workspace::create(&channel, RECORDS, 0, progress).await?;
    let few = young.grow(&channel, args.few, 0, RECORDS, Writers::Each, progress).await?;
    let many = old.grow(&channel, args.replicas, 0, RECORDS, Writers::Each, progress).await?;
    let mut outcome = Outcome { scenario: "replicas".to_owned(), ..Outcome::default() };
    let (few, many) = (Crowd::new(&channel, &young, few), Crowd::new(&channel, &old, many));
    compare(few, many, args.rounds, &mut outcome, progress).await?;
    outcome.rss_bytes = target.rss_bytes();
    Ok(outcome)
}

/// Replicas that all wrote before and write again, in an order that no cache can predict.
struct Crowd {
    service: OperationServiceClient<Channel>,
    workspace: Workspace,
    /// Each of them knows the number of its last operation.
    replicas: Vec<Replica>,
    base_seq: u64,
    turn: u64,
    operations_per_call: u32,
}

/// Replicas that write the operations of one batch.
const BATCH_WRITERS: u64 = 10;
/// The step through the crowd, a prime, so that all replicas have a turn.
const STRIDE: u64 = 7_919;

impl Crowd {
    fn new(channel: &Channel, workspace: &Workspace, replicas: Vec<Replica>) -> Crowd {
        Crowd {
            service: OperationServiceClient::new(channel.clone()),
            workspace: workspace.clone(),
            replicas,
            base_seq: workspace.head_seq,
            turn: 0,
            operations_per_call: 1,
        }
    }
}

impl Measurable for Crowd {
    fn batched(&mut self) {
        self.operations_per_call = BATCH;
    }
}

impl Caller for Crowd {
    async fn call(&mut self, _: Due) -> Result<u64, String> {
        let (count, crowd) = (u64::from(self.operations_per_call), self.replicas.len() as u64);
        let mut operations = Vec::new();
        for n in 0..count {
            let who = (self.turn * BATCH_WRITERS + n % BATCH_WRITERS) * STRIDE % crowd.max(1);
            let who = usize::try_from(who).unwrap_or(0);
            let Some(replica) = self.replicas.get_mut(who) else { break };
            replica.saw_up_to(Seq(self.base_seq));
            let mutations = vec![set(&record_id(0), "")];
            operations.push(replica.operation(mutations));
        }
        self.turn += 1;
        let request =
            pb::SubmitRequest { workspace_id: self.workspace.id.clone(), operations, ..Default::default() };
        let answer = self.service.submit(request).await.map_err(|status| status.to_string())?;
        self.base_seq = settled(answer.into_inner()).map_err(|error| error.to_string())?;
        Ok(count)
    }
}

/// A caller that can make calls of one operation, and of many.
trait Measurable: Caller {
    /// From now on calls carry [`BATCH`] operations.
    fn batched(&mut self);
}

impl Measurable for Author {
    fn batched(&mut self) {
        self.operations_per_call(BATCH);
    }
}

/// An author that writes to records all over the workspace.
fn author(channel: &Channel, workspace: &Workspace, value_bytes: u32) -> Author {
    let habit = Habit {
        first_record: 0,
        records: RECORDS,
        value_bytes,
        operations_per_call: 1,
        clock: Instant::now(),
    };
    Author::new(channel.clone(), workspace, habit)
}

/// Writes to both in turn, first one operation in a call, then many.
async fn compare<C: Measurable>(
    mut young: C,
    mut old: C,
    rounds: u32,
    outcome: &mut Outcome,
    progress: &Progress,
) -> Result<(), BenchError> {
    let started = Instant::now();
    let (few, many) = alternate(&mut young, &mut old, rounds, "single operations", progress).await?;
    let batches = (rounds / BATCH_ROUNDS_DIVISOR).max(1);
    young.batched();
    old.batched();
    let (few_batched, many_batched) = alternate(&mut young, &mut old, batches, "batches", progress).await?;
    outcome.seconds = started.elapsed().as_secs_f64();
    outcome.operations = 2 * (u64::from(rounds) + u64::from(batches) * u64::from(BATCH));
    outcome.rate_per_s = outcome.operations as f64 / outcome.seconds.max(f64::EPSILON);
    outcome.take_latencies(&many);
    outcome.figures.extend([
        ("young_p50_us", few.quantile_us(0.5) as f64),
        ("old_p50_us", many.quantile_us(0.5) as f64),
        ("old_over_young", ratio(&few, &many)),
        ("young_batch_p50_us", few_batched.quantile_us(0.5) as f64),
        ("old_batch_p50_us", many_batched.quantile_us(0.5) as f64),
        ("old_over_young_batch", ratio(&few_batched, &many_batched)),
    ]);
    Ok(())
}

fn ratio(below: &Latencies, above: &Latencies) -> f64 {
    let us = |latencies: &Latencies| Duration::from_micros(latencies.quantile_us(0.5)).as_secs_f64();
    us(above) / us(below).max(f64::EPSILON)
}
