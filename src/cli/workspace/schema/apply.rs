//! `syncline workspace schema apply`.

use clap::Args;
use serde::Serialize;
use syncline_protocol::convert::schema_update_to_pb;
use syncline_protocol::pb;

use super::differences::Difference;
use super::read_schema;
use crate::cli::remote::{Remote, TargetArgs};
use crate::cli::schema_file::{self, Source};
use crate::cli::workspace::parse_workspace_id;
use crate::cli::{CliError, say, say_json};

/// Arguments of `syncline workspace schema apply`.
#[derive(Debug, Args)]
pub(in crate::cli::workspace) struct ApplyArgs {
    /// The workspace
    #[arg(value_name = "ID", value_parser = parse_workspace_id)]
    id: String,
    /// The file, YAML or JSON (docs/schema.md); `-` for standard input
    #[arg(value_name = "FILE")]
    file: Source,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Apply only to this version of the schema, for example the one that --dry-run showed; without it, to the version
    /// that the workspace has when the command begins
    #[arg(long, value_name = "VERSION")]
    expect_version: Option<u64>,
    #[command(flatten)]
    target: TargetArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What an update changed, or would change.
#[derive(Debug, Serialize)]
struct Applied {
    workspace_id: String,
    dry_run: bool,
    /// The version that the update was made for.
    from_version: u64,
    /// The version afterwards, or as it would be.
    schema_version: u64,
    differences: Vec<Difference>,
}

/// Applies a file to the schema of a workspace and says what changed.
///
/// The version is read once. When somebody else changes the schema meanwhile, the command fails and does not try again:
/// the differences would not be those that were looked at.
pub(super) async fn run(args: ApplyArgs) -> Result<(), CliError> {
    let update = schema_file::read(&args.file)?;
    let remote = Remote::connect(&args.target).await?;
    let from_version = match args.expect_version {
        Some(version) => version,
        None => read_schema(&remote, &args.id).await?.version,
    };
    let request = pb::UpdateSchemaRequest {
        workspace_id: args.id.clone(),
        schema: Some(schema_update_to_pb(&update)),
        schema_version: from_version,
        validate_only: args.dry_run,
    };
    let updated = remote.workspaces().update_schema(request).await;
    let answer = updated.map_err(|status| remote.failed(&args.id, &status))?.into_inner();
    let applied = Applied {
        workspace_id: args.id,
        dry_run: args.dry_run,
        from_version,
        schema_version: answer.schema_version,
        differences: answer.differences.into_iter().map(Difference::of).collect(),
    };
    if args.json {
        return say_json(&applied);
    }
    for difference in &applied.differences {
        say(&difference.to_string());
    }
    say(&summary(&applied));
    Ok(())
}

fn summary(applied: &Applied) -> String {
    let Applied { workspace_id, dry_run, from_version, schema_version, differences } = applied;
    match (differences.len(), dry_run) {
        (0, _) => {
            format!(
                "nothing to change: the schema of {workspace_id}, version {schema_version}, has all of it"
            )
        }
        (count, true) => {
            let things = if count == 1 { "difference" } else { "differences" };
            format!(
                "{count} {things}; nothing was applied. To apply exactly this: --expect-version {from_version}"
            )
        }
        (_, false) => format!("applied: the schema of {workspace_id} has the version {schema_version} now"),
    }
}
