//! `syncline workspace schema get`.

use std::path::PathBuf;

use clap::Args;

use super::read_schema;
use crate::cli::remote::{Remote, TargetArgs};
use crate::cli::schema_file::{self, Detail, Format};
use crate::cli::workspace::parse_workspace_id;
use crate::cli::{CliError, say_text};

/// Arguments of `syncline workspace schema get`.
#[derive(Debug, Args)]
pub(in crate::cli::workspace) struct GetArgs {
    /// The workspace
    #[arg(value_name = "ID", value_parser = parse_workspace_id)]
    id: String,
    /// In what to print it
    #[arg(long, value_enum, default_value = "yaml")]
    format: Format,
    /// Print the policies of every field, not only those that are not the default
    #[arg(long)]
    full: bool,
    /// A file to write to instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
}

/// Prints the schema of a workspace.
pub(super) async fn run(args: GetArgs) -> Result<(), CliError> {
    let remote = Remote::connect(&args.target).await?;
    let schema = read_schema(&remote, &args.id).await?;
    let detail = if args.full { Detail::Full } else { Detail::Short };
    let about = format!("The schema of the workspace {}, version {}.", args.id, schema.version);
    let text = schema_file::print(&schema, args.format, detail, &about)?;
    say_text(&text, args.out.as_deref())
}
