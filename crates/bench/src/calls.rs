//! Unary calls: `noop`, `submit`, `batch`.

use clap::Args;
use syncline_core::causality::Seq;
use syncline_core::ids::{Epoch, ReplicaId};
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::BenchError;
use crate::args::{OutputArgs, PaceArgs, TargetArgs, ValueArgs};
use crate::author::{Author, Habit};
use crate::judge::{Seen, judge};
use crate::load::{Caller, Due, Measured, Pace, drive};
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::target::Target;
use crate::workspace::{Workspace, record_id, set, text};
use syncline_client::Replica;
use syncline_protocol::pb;
use syncline_protocol::pb::diagnostics::diagnostics_service_client::DiagnosticsServiceClient;

/// Arguments of `noop` and `submit`.
#[derive(Debug, Clone, Args)]
pub struct CallArgs {
    /// The server that the calls go to.
    #[command(flatten)]
    pub target: TargetArgs,
    /// How many calls are made, how fast, and for how long.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// What a call writes.
    #[command(flatten)]
    pub value: ValueArgs,
    /// How the result is shown.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Arguments of `batch`.
#[derive(Debug, Clone, Args)]
pub(super) struct BatchArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub value: ValueArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Operations in a call
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub operations_per_call: u32,
    /// Calls on their way at a time, of both kinds
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub in_flight: u32,
    /// How long is measured, each kind for half of it
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=86_400))]
    pub seconds: u32,
}

/// Calls that do nothing, with the message of a Submit.
struct Idler {
    service: DiagnosticsServiceClient<Channel>,
    request: pb::SubmitRequest,
}

impl Caller for Idler {
    async fn call(&mut self, _: Due) -> Result<u64, String> {
        let request = pb::diagnostics::NoopRequest { submit: Some(self.request.clone()) };
        match self.service.noop(request).await {
            Ok(answer) if answer.get_ref().operation_count == 1 => Ok(1),
            Ok(_) => Err("the server decoded another message".to_owned()),
            Err(status) => Err(format!("{}: {}", status.code(), status.message())),
        }
    }
}

/// `syncline bench noop`.
pub(super) async fn noop(args: &CallArgs) -> Result<Outcome, BenchError> {
    let target = Target::open(&args.target, args.pace.connections).await?;
    let measured = measure_noop(&target, args, &Progress::new(args.output.json)).await;
    let rss_bytes = target.rss_bytes();
    target.close().await;
    Ok(Outcome { rss_bytes, ..Outcome::of("noop", measured?) })
}

pub(super) async fn measure_noop(
    target: &Target,
    args: &CallArgs,
    progress: &Progress,
) -> Result<Measured, BenchError> {
    let channels = target.connect_many(args.pace.connections).await?;
    let mut replica = Replica::new(ReplicaId(crate::scratch::fresh_id()), Epoch(1), Seq(1));
    let mutations = vec![set(&record_id(0), &text(args.value.value_bytes))];
    let request = pb::SubmitRequest {
        workspace_id: "bench".to_owned(),
        operations: vec![replica.operation(mutations)],
        ..Default::default()
    };
    let callers = spread(&channels, args.pace.in_flight)
        .map(|(_, channel)| Idler {
            service: DiagnosticsServiceClient::new(channel),
            request: request.clone(),
        })
        .collect();
    Ok(drive(callers, Pace::from(&args.pace), progress).await?.0)
}

/// Numbers the callers, and spreads them over the connections in turn.
fn spread(channels: &[Channel], callers: u32) -> impl Iterator<Item = (u64, Channel)> {
    (0..u64::from(callers)).zip(channels.iter().cycle().cloned())
}

/// `syncline bench submit`.
pub(super) async fn submit(args: &CallArgs) -> Result<Outcome, BenchError> {
    let target = Target::open(&args.target, args.pace.connections).await?;
    let outcome = measure_submit(&target, args, &Progress::new(args.output.json)).await;
    target.close().await;
    outcome
}

/// Measures writes in a workspace of its own, one operation in a call, and judges them.
pub async fn measure_submit(
    target: &Target,
    args: &CallArgs,
    progress: &Progress,
) -> Result<Outcome, BenchError> {
    let channels = target.connect_many(args.pace.connections).await?;
    let channel = target.connect().await?;
    let records = u64::from(args.pace.in_flight) * u64::from(args.value.records);
    let workspace = Workspace::create(&channel, records, args.value.value_bytes, progress).await?;
    let authors = authors(&channels, &workspace, args.pace.in_flight, args.value, 1);
    let (measured, authors) = drive(authors, Pace::from(&args.pace), progress).await?;
    let mut outcome = Outcome { rss_bytes: target.rss_bytes(), ..Outcome::of("submit", measured) };
    let recorders = authors.into_iter().map(Author::into_recorder).collect();
    let seen = Seen { recorders, ..Seen::default() };
    judge(&channel, &workspace, seen, &mut outcome, progress).await?;
    Ok(outcome)
}

fn authors(
    channels: &[Channel],
    workspace: &Workspace,
    count: u32,
    value: ValueArgs,
    operations_per_call: u32,
) -> Vec<Author> {
    let records = u64::from(value.records);
    let clock = Instant::now();
    spread(channels, count)
        .map(|(n, channel)| {
            let habit = Habit {
                first_record: n * records,
                records,
                value_bytes: value.value_bytes,
                operations_per_call,
                clock,
            };
            Author::new(channel, workspace, habit)
        })
        .collect()
}

/// `syncline bench batch`: single operations and many in a call, each in a workspace of its own on one server, in turn.
pub(super) async fn batch(args: &BatchArgs) -> Result<Outcome, BenchError> {
    let target = Target::open(&args.target, args.in_flight).await?;
    let outcome = measure_batch(&target, args, &Progress::new(args.output.json)).await;
    target.close().await;
    outcome
}

/// Turns that each kind gets.
const TURNS: u32 = 4;

async fn measure_batch(
    target: &Target,
    args: &BatchArgs,
    progress: &Progress,
) -> Result<Outcome, BenchError> {
    let channels = target.connect_many(args.in_flight).await?;
    let channel = target.connect().await?;
    let records = u64::from(args.in_flight) * u64::from(args.value.records);
    let value_bytes = args.value.value_bytes;
    let alone = Workspace::create(&channel, records, value_bytes, progress).await?;
    let together = Workspace::create(&channel, records, value_bytes, progress).await?;
    let mut singles = authors(&channels, &alone, args.in_flight, args.value, 1);
    let mut batches = authors(&channels, &together, args.in_flight, args.value, args.operations_per_call);
    let turn = std::time::Duration::from_secs(args.seconds.into()) / (2 * TURNS);
    let pace = Pace { rate_per_s: None, warmup: turn / 10, measured: turn };
    let (mut of_singles, mut of_batches) = (None, None);
    for _ in 0..TURNS {
        let (measured, back) = drive(singles, pace, progress).await?;
        singles = back;
        merge(&mut of_singles, measured);
        let (measured, back) = drive(batches, pace, progress).await?;
        batches = back;
        merge(&mut of_batches, measured);
    }
    let (Some(of_singles), Some(of_batches)) = (of_singles, of_batches) else {
        return Err(BenchError::Other("nothing was measured".to_owned()));
    };
    let single_rate = of_singles.rate_per_s();
    let mut outcome = Outcome { rss_bytes: target.rss_bytes(), ..Outcome::of("batch", of_batches) };
    outcome.errors += of_singles.errors;
    outcome.first_error = outcome.first_error.or(of_singles.first_error);
    outcome.figures = vec![
        ("operations_per_call", args.operations_per_call.into()),
        ("single_rate_per_s", single_rate),
        ("batch_over_single", outcome.rate_per_s / single_rate.max(f64::EPSILON)),
    ];
    for (workspace, authors) in [(alone, singles), (together, batches)] {
        let recorders = authors.into_iter().map(Author::into_recorder).collect();
        let seen = Seen { recorders, ..Seen::default() };
        judge(&channel, &workspace, seen, &mut outcome, progress).await?;
    }
    Ok(outcome)
}

fn merge(whole: &mut Option<Measured>, part: Measured) {
    match whole {
        None => *whole = Some(part),
        Some(whole) => {
            whole.latencies.add(&part.latencies);
            whole.operations += part.operations;
            whole.errors += part.errors;
            whole.seconds += part.seconds;
            whole.first_error = whole.first_error.take().or(part.first_error);
        }
    }
}
