//! `syncline bench bootstrap`: a snapshot of a large workspace to a new client.

use clap::Args;
use tokio::time::Instant;

use crate::BenchError;
use crate::args::{OutputArgs, TargetArgs};
use crate::judge::FRAME_BYTES_MAX;
use crate::load::Latencies;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::target::Target;
use crate::workspace::Workspace;
use syncline_protocol::pb;
use syncline_protocol::pb::change_service_client::ChangeServiceClient;
use syncline_protocol::pb::frame::Content;

/// Arguments of `bootstrap`.
#[derive(Debug, Clone, Args)]
pub(super) struct BootstrapArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Records in the workspace
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=50_000_000))]
    pub records: u64,
    /// Size of each record's value
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(0..=2_000))]
    pub value_bytes: u32,
    /// Snapshots, one after the other
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rounds: u32,
}

/// `syncline bench bootstrap`.
pub(super) async fn run(args: &BootstrapArgs) -> Result<Outcome, BenchError> {
    let target = Target::open(&args.target, 4).await?;
    let outcome = measure(&target, args, &Progress::new(args.output.json)).await;
    target.close().await;
    outcome
}

async fn measure(target: &Target, args: &BootstrapArgs, progress: &Progress) -> Result<Outcome, BenchError> {
    let channel = target.connect().await?;
    let workspace = Workspace::create(&channel, args.records, args.value_bytes, progress).await?;
    let mut whole = Latencies::new()?;
    let mut outcome = Outcome { scenario: "bootstrap".to_owned(), ..Outcome::default() };
    let started = Instant::now();
    for _ in 0..args.rounds {
        let begun = Instant::now();
        let bar = progress.steps("taking a snapshot", args.records);
        let start = pb::FeedStart {
            workspace_id: workspace.id.clone(),
            origin: Some(pb::feed_start::Origin::Snapshot(pb::FromSnapshot {})),
            ..Default::default()
        };
        let mut frames = ChangeServiceClient::new(channel.clone())
            .max_decoding_message_size(FRAME_BYTES_MAX)
            .watch(pb::WatchRequest { start: Some(start) })
            .await?
            .into_inner();
        let (mut records, mut complete) = (0, false);
        while let Some(frame) = frames.message().await?.and_then(|message| message.frame) {
            match frame.content {
                Some(Content::RecordsEntered(entered)) => {
                    if records == 0 && !entered.records.is_empty() {
                        outcome.figures.retain(|(name, _)| *name != "first_chunk_us");
                        outcome.figures.push(("first_chunk_us", begun.elapsed().as_secs_f64() * 1e6));
                    }
                    records += entered.records.len() as u64;
                    bar.set_position(records);
                }
                Some(Content::LoadingFinished(_)) => {
                    complete = true;
                    break;
                }
                _ => {}
            }
        }
        bar.finish_and_clear();
        whole.record(begun.elapsed());
        outcome.operations += records;
        if !complete || records != args.records {
            outcome.take_failure(Err(format!("a snapshot of {records} records, of {}", args.records)));
        }
    }
    outcome.seconds = started.elapsed().as_secs_f64();
    outcome.rate_per_s = outcome.operations as f64 / outcome.seconds.max(f64::EPSILON);
    outcome.take_latencies(&whole);
    outcome.rss_bytes = target.rss_bytes();
    Ok(outcome)
}
