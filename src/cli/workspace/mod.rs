//! `syncline workspace`: workspaces and their schemas on a running server.

mod create;
mod list;
mod schema;
mod show;
mod view;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use syncline_core::ids::is_workspace_id;

use super::CliError;
pub(super) use schema::read_schema;

/// Arguments of `syncline workspace`.
#[derive(Debug, Args)]
pub(super) struct WorkspaceArgs {
    #[command(subcommand)]
    command: WorkspaceCommand,
}

#[derive(Debug, Subcommand)]
enum WorkspaceCommand {
    /// Create a workspace; one that is there with an equal schema is left as it is
    Create(create::CreateArgs),
    /// List the workspaces by id
    List(list::ListArgs),
    /// Show one workspace
    Show(show::ShowArgs),
    /// Read and change the schema of a workspace
    #[command(subcommand)]
    Schema(schema::SchemaCommand),
}

/// Runs a command about workspaces.
pub(super) async fn run(args: WorkspaceArgs) -> Result<ExitCode, CliError> {
    match args.command {
        WorkspaceCommand::Create(args) => create::run(args).await?,
        WorkspaceCommand::List(args) => list::run(args).await?,
        WorkspaceCommand::Show(args) => show::run(args).await?,
        WorkspaceCommand::Schema(command) => schema::run(command).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// An id that a workspace can have; anything else is a mistake in the command already.
pub(super) fn parse_workspace_id(text: &str) -> Result<String, String> {
    if is_workspace_id(text) {
        return Ok(text.to_owned());
    }
    Err("the id of a workspace is 1 to 64 of a-z 0-9 -, and starts with a letter or digit".to_owned())
}
