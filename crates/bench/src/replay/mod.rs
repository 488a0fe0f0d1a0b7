//! `syncline replay`: a recorded editing session of several authors, through the running service.
//!
//! Every author is a client of its own, with its own replica, its own feed, and its own causal context that claims
//! exactly what the recording says the author knew. Authors submit at the same time; what arrives before its causes is
//! held by the server. One operation per recorded transaction.

mod author;
mod compose;
mod trace;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use syncline_core::ids::ReplicaId;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tonic::transport::Channel;

use syncline_protocol::pb;
use syncline_protocol::pb::conflict_service_client::ConflictServiceClient;
use syncline_protocol::pb::operation_service_client::OperationServiceClient;
use syncline_protocol::pb::record_service_client::RecordServiceClient;
use syncline_protocol::pb::workspace_service_client::WorkspaceServiceClient;

use crate::args::TargetArgs;
use crate::scratch::fresh_id;
use crate::target::Target;
use crate::{BenchError, say};
use author::Author;
use trace::Trace;

/// Collection, record and field the session is replayed into.
const COLLECTION: &str = "documents";
const RECORD: &str = "document";
const FIELD: &str = "body";
/// Transactions on their way at a time.
const WINDOW: u32 = 256;
/// Responses up to this size: the feed and the final text.
const RESPONSE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Arguments of `syncline replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A gzipped JSON trace of a concurrent editing session
    trace: PathBuf,
    /// A running server, as http://127.0.0.1:7447; without it, one is started on a temporary database
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// The database of the server that is started; default: a temporary SQLite file
    #[arg(long, value_name = "URL", conflicts_with = "target")]
    database_url: Option<String>,
    /// Print one JSON object instead of a progress bar and a table
    #[arg(long)]
    json: bool,
    /// Transactions on their way at a time
    #[arg(long, value_name = "NUMBER", default_value_t = WINDOW, value_parser = clap::value_parser!(u32).range(1..=1000))]
    window: u32,
}

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Outcome {
    /// Operations that were submitted, one for each recorded transaction.
    pub operations: u64,
    /// Accepted operations that did not simply apply: they merged with concurrent ones, or conflicted.
    pub merged: u64,
    /// Conflicts that the workspace has after the replay, closed ones included.
    pub conflicts: u64,
    /// Operations that were rejected.
    pub rejected: u64,
    /// Whether the text in the end is the one that the recording ends with.
    pub final_text_equal: bool,
    /// How long the replay took, without connecting.
    pub seconds: f64,
    /// Operations a second, over the whole replay.
    pub operations_per_second: f64,
    /// Authors of the recording, each of them a client of its own.
    pub authors: usize,
}

impl ReplayArgs {
    /// A replay on a server of its own.
    pub(super) fn of(trace: PathBuf, json: bool) -> ReplayArgs {
        ReplayArgs { trace, target: None, database_url: None, json, window: WINDOW }
    }
}

/// Replays a trace.
pub(super) async fn measure(args: &ReplayArgs) -> Result<Outcome, BenchError> {
    let trace = Trace::read(&args.trace)?;
    let flags =
        TargetArgs { target: args.target.clone(), database_url: args.database_url.clone(), server_pid: None };
    let connections = u32::try_from(trace.authors).unwrap_or(u32::MAX);
    let target = Target::open(&flags, connections.saturating_add(1)).await?;
    let outcome = replay(&trace, &target, args).await;
    target.close().await;
    outcome
}

/// Replays a trace and reports; fails when the final text differs.
pub async fn run(args: ReplayArgs) -> Result<ExitCode, BenchError> {
    let outcome = measure(&args).await?;
    report(&outcome, args.json)?;
    Ok(if outcome.final_text_equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(outcome: &Outcome, json: bool) -> Result<(), BenchError> {
    if json {
        let line = serde_json::to_string(outcome).map_err(|error| BenchError::Other(error.to_string()))?;
        say(&line);
        return Ok(());
    }
    let yes_no = if outcome.final_text_equal { "yes" } else { "no" };
    say(&format!("authors:               {}", outcome.authors));
    say(&format!("operations:            {}", outcome.operations));
    say(&format!("merged:                {}", outcome.merged));
    say(&format!("conflicts:             {}", outcome.conflicts));
    say(&format!("rejected:              {}", outcome.rejected));
    say(&format!("seconds:               {:.2}", outcome.seconds));
    say(&format!("operations per second: {:.0}", outcome.operations_per_second));
    say(&format!("final text equal: {yes_no}"));
    Ok(())
}

async fn replay(trace: &Trace, target: &Target, args: &ReplayArgs) -> Result<Outcome, BenchError> {
    let channel = target.connect().await?;
    let workspace = format!("replay-{}", fresh_id());
    let created = prepare(&channel, &workspace).await?;
    let mut authors = Vec::with_capacity(trace.authors);
    for index in 0..trace.authors {
        authors.push(
            Author::start(target.connect().await?, index, &workspace, created, ReplicaId(fresh_id())).await?,
        );
    }
    let names: Vec<ReplicaId> = authors.iter().map(Author::replica).collect();
    let bar = progress(trace.transactions.len() as u64, args.json);
    let started = Instant::now();
    for window in trace.windows(args.window as usize) {
        let submissions = authors.iter_mut().map(|author| author.submit(trace, window.clone(), &names));
        for submitted in futures_join(submissions.collect()).await {
            submitted?;
        }
        let mut settled_seq = created;
        for author in &mut authors {
            settled_seq = settled_seq.max(author.settled(&workspace).await?);
        }
        for author in &mut authors {
            author.catch_up(settled_seq).await?;
        }
        bar.inc(window.len() as u64);
    }
    let seconds = started.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let operations = trace.transactions.len() as u64;
    let merged = authors.iter().map(|a| a.merged).sum();
    let rejected = authors.iter().map(|a| a.rejected).sum();
    Ok(Outcome {
        operations,
        merged,
        rejected,
        conflicts: count_conflicts(&channel, &workspace).await?,
        final_text_equal: final_text(&channel, &workspace).await? == trace.final_text,
        seconds,
        operations_per_second: operations as f64 / seconds.max(f64::EPSILON),
        authors: trace.authors,
    })
}

/// Runs all at once and waits for all.
async fn futures_join<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut pinned: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut waiting = false;
        for (future, done) in &mut pinned {
            if done.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *done = Some(value),
                    std::task::Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    pinned.into_iter().filter_map(|(_, done)| done).collect()
}

fn progress(length: u64, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} operations, {per_sec}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

/// Creates the workspace and the empty document; returns the position everybody starts from.
async fn prepare(channel: &Channel, workspace: &str) -> Result<u64, BenchError> {
    let text = pb::FieldSchema { kind: pb::FieldKind::Text.into(), ..Default::default() };
    let collection = pb::CollectionSchema { fields: [(FIELD.to_owned(), text)].into() };
    WorkspaceServiceClient::new(channel.clone())
        .create_workspace(pb::CreateWorkspaceRequest {
            workspace_id: workspace.to_owned(),
            display_name: "Replay".to_owned(),
            schema: Some(pb::Schema {
                strict: Some(true),
                collections: [(COLLECTION.to_owned(), collection)].into(),
            }),
        })
        .await?;
    let create = pb::RecordMutation {
        collection_id: COLLECTION.to_owned(),
        record_id: RECORD.to_owned(),
        action: Some(pb::record_mutation::Action::CreateRecord(pb::CreateRecord::default())),
        ..Default::default()
    }
    .into();
    let operation = pb::Operation {
        identity: Some(pb::operation::Identity::RequestId("create".to_owned())),
        knowledge: Some(pb::operation::Knowledge::Latest(pb::Latest {})),
        mutations: vec![create],
        ..Default::default()
    };
    let answer = OperationServiceClient::new(channel.clone())
        .submit(pb::SubmitRequest {
            workspace_id: workspace.to_owned(),
            operations: vec![operation],
            ..Default::default()
        })
        .await?
        .into_inner();
    Ok(answer.head_seq)
}

async fn final_text(channel: &Channel, workspace: &str) -> Result<String, BenchError> {
    let answer = RecordServiceClient::new(channel.clone())
        .max_decoding_message_size(RESPONSE_BYTES_MAX)
        .get_record(pb::GetRecordRequest {
            workspace_id: workspace.to_owned(),
            record_id: RECORD.to_owned(),
            at_least: None,
        })
        .await?
        .into_inner();
    let state =
        answer.record.and_then(|mut record| record.fields.remove(FIELD)).and_then(|field| field.state);
    Ok(match state {
        Some(pb::field_state::State::Text(text)) => text,
        _ => String::new(),
    })
}

async fn count_conflicts(channel: &Channel, workspace: &str) -> Result<u64, BenchError> {
    let answer = ConflictServiceClient::new(channel.clone())
        .get_conflict_statistics(pb::GetConflictStatisticsRequest { workspace_id: workspace.to_owned() })
        .await?
        .into_inner();
    Ok(answer.total_count)
}
