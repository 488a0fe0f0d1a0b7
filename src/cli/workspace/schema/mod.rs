//! `syncline workspace schema`: the schema of a workspace, as a file and from one.

mod apply;
mod differences;
mod get;

use clap::Subcommand;
use syncline_core::schema::Schema;
use syncline_protocol::convert::schema_from_pb;
use syncline_protocol::pb;

use crate::cli::CliError;
use crate::cli::remote::{Remote, RemoteError};

/// Commands about the schema of a workspace.
#[derive(Debug, Subcommand)]
pub(super) enum SchemaCommand {
    /// Print the schema as a file that `apply` takes
    Get(get::GetArgs),
    /// Add what a file declares, and change the policies it names; what it does not mention stays
    Apply(apply::ApplyArgs),
}

/// Runs a command about the schema of a workspace.
pub(super) async fn run(command: SchemaCommand) -> Result<(), CliError> {
    match command {
        SchemaCommand::Get(args) => get::run(args).await,
        SchemaCommand::Apply(args) => apply::run(args).await,
    }
}

/// The schema of a workspace.
pub(in crate::cli) async fn read_schema(remote: &Remote, id: &str) -> Result<Schema, RemoteError> {
    let request = pb::GetSchemaRequest { workspace_id: id.to_owned() };
    let found = remote.workspaces().get_schema(request).await;
    let answer = found.map_err(|status| remote.failed(id, &status))?.into_inner();
    schema_from_pb(&answer.schema.unwrap_or_default(), answer.schema_version)
        .map_err(|failure| RemoteError::Newer(failure.message().to_owned()))
}
