//! `syncline workspace show`.

use clap::Args;
use serde::Serialize;
use syncline_protocol::pb;

use super::parse_workspace_id;
use super::schema::read_schema;
use super::view::{WorkspaceView, table, text_of};
use crate::cli::remote::{Remote, TargetArgs};
use crate::cli::{CliError, say, say_json};

/// Arguments of `syncline workspace show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The workspace
    #[arg(value_name = "ID", value_parser = parse_workspace_id)]
    id: String,
    #[command(flatten)]
    target: TargetArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    workspace: WorkspaceView,
    strict: bool,
    collections: Vec<ShownCollection>,
}

#[derive(Debug, Serialize)]
struct ShownCollection {
    collection_id: String,
    field_count: usize,
}

/// Shows a workspace, with what its schema declares.
pub(super) async fn run(args: ShowArgs) -> Result<(), CliError> {
    let remote = Remote::connect(&args.target).await?;
    let request = pb::GetWorkspaceRequest { workspace_id: args.id.clone() };
    let found = remote.workspaces().get_workspace(request).await;
    let answer = found.map_err(|status| remote.failed(&args.id, &status))?.into_inner();
    let schema = read_schema(&remote, &args.id).await?;
    let shown = Shown {
        workspace: WorkspaceView::of(answer.workspace)?,
        strict: schema.strict,
        collections: schema
            .collections
            .iter()
            .map(|(id, collection)| ShownCollection {
                collection_id: id.to_string(),
                field_count: collection.fields.len(),
            })
            .collect(),
    };
    if args.json {
        return say_json(&shown);
    }
    let mut table = table();
    for (name, value) in shown.workspace.properties() {
        table.add_row([name.to_owned(), value]);
    }
    let undeclared = if shown.strict { "refused" } else { "get their kind from what is written first" };
    table.add_row(["undeclared fields", undeclared]);
    for ShownCollection { collection_id, field_count } in &shown.collections {
        table.add_row([format!("collection {collection_id}"), format!("{field_count} fields")]);
    }
    say(&text_of(&table));
    Ok(())
}
