//! `syncline workspace list`.

use clap::Args;
use serde::Serialize;
use syncline_protocol::pb;

use super::view::{WorkspaceView, table, text_of};
use crate::cli::remote::{Remote, TargetArgs};
use crate::cli::{CliError, say, say_json};

/// Workspaces asked for at a time.
const PAGE_SIZE: u32 = 1_000;

/// Arguments of `syncline workspace list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct List {
    workspaces: Vec<WorkspaceView>,
}

/// Lists all workspaces, page by page.
pub(super) async fn run(args: ListArgs) -> Result<(), CliError> {
    let remote = Remote::connect(&args.target).await?;
    let mut workspaces = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListWorkspacesRequest { page_size: PAGE_SIZE, page_token };
        let listed = remote.workspaces().list_workspaces(request).await;
        let page = listed.map_err(|status| remote.failed("", &status))?.into_inner();
        for workspace in page.workspaces {
            workspaces.push(WorkspaceView::of(Some(workspace))?);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    if args.json {
        return say_json(&List { workspaces });
    }
    if workspaces.is_empty() {
        say("there are no workspaces; `syncline workspace create ID` makes one");
        return Ok(());
    }
    let mut table = table();
    table.set_header(["ID", "NAME", "CREATED", "CHANGES", "EPOCH", "SCHEMA"]);
    for workspace in &workspaces {
        table.add_row(workspace.properties().map(|(_, value)| value));
    }
    say(&text_of(&table));
    Ok(())
}
