//! `syncline workspace create`.

use clap::Args;
use syncline_core::ids::is_label;
use syncline_core::limits::LABEL_BYTES_MAX;
use syncline_protocol::convert::schema_update_to_pb;
use syncline_protocol::pb;

use super::parse_workspace_id;
use super::view::WorkspaceView;
use crate::cli::remote::{Remote, TargetArgs};
use crate::cli::schema_file::{self, Source};
use crate::cli::{CliError, say, say_json};

/// Arguments of `syncline workspace create`.
#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// The id: 1 to 64 of a-z 0-9 -
    #[arg(value_name = "ID", value_parser = parse_workspace_id)]
    id: String,
    /// A name for people
    #[arg(long, value_name = "NAME", default_value = "", value_parser = parse_name)]
    name: String,
    /// A file with the schema, YAML or JSON (docs/schema.md); `-` for standard input. Without one, fields get their kind
    /// from what is written first
    #[arg(long, value_name = "FILE")]
    schema: Option<Source>,
    #[command(flatten)]
    target: TargetArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn parse_name(text: &str) -> Result<String, String> {
    if is_label(text) {
        return Ok(text.to_owned());
    }
    Err(format!("a name has at most {LABEL_BYTES_MAX} bytes and no control characters"))
}

/// Creates a workspace and says that it is there.
pub(super) async fn run(args: CreateArgs) -> Result<(), CliError> {
    let schema = match &args.schema {
        Some(source) => Some(schema_update_to_pb(&schema_file::read(source)?)),
        None => None,
    };
    let remote = Remote::connect(&args.target).await?;
    let request =
        pb::CreateWorkspaceRequest { workspace_id: args.id.clone(), display_name: args.name, schema };
    let created = remote.workspaces().create_workspace(request).await;
    let answer = created.map_err(|status| remote.failed(&args.id, &status))?.into_inner();
    let view = WorkspaceView::of(answer.workspace)?;
    if args.json {
        return say_json(&view);
    }
    say(&format!("workspace {} is there, with schema version {}", view.id(), view.schema_version()));
    Ok(())
}
