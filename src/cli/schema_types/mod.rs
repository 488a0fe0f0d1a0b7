//! `syncline schema types`: the types of a programming language for the records of a schema.

mod typescript;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use syncline_core::schema::Schema;

use super::remote::{Remote, TargetArgs};
use super::schema_file::{self, Source};
use super::workspace::{parse_workspace_id, read_schema};
use super::{CliError, say_text};

/// Arguments of `syncline schema`.
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    #[command(subcommand)]
    command: SchemaCommand,
}

#[derive(Debug, Subcommand)]
enum SchemaCommand {
    /// Print types for the records of a schema, for a programming language
    Types(TypesArgs),
}

/// Arguments of `syncline schema types`.
#[derive(Debug, Args)]
struct TypesArgs {
    #[command(flatten)]
    from: FromArgs,
    /// The programming language
    #[arg(long, value_enum)]
    language: Language,
    /// A file to write to instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
}

/// Where the schema comes from.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct FromArgs {
    /// A schema file, YAML or JSON (docs/schema.md); `-` for standard input
    #[arg(value_name = "FILE")]
    file: Option<Source>,
    /// A workspace of a running server
    #[arg(long, value_name = "ID", value_parser = parse_workspace_id)]
    workspace: Option<String>,
}

/// Languages that types can be printed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// TypeScript, for the client in clients/typescript
    #[value(name = "ts", alias = "typescript")]
    TypeScript,
}

/// Runs a command about schemas.
pub(super) async fn run(args: SchemaArgs) -> Result<ExitCode, CliError> {
    let SchemaCommand::Types(args) = args.command;
    let schema = schema_of(&args).await?;
    let text = match args.language {
        Language::TypeScript => typescript::print(&schema),
    };
    say_text(&text, args.out.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

/// The schema of a workspace or of a file; a file is applied to an empty schema.
async fn schema_of(args: &TypesArgs) -> Result<Schema, CliError> {
    if let Some(id) = &args.from.workspace {
        let remote = Remote::connect(&args.target).await?;
        return Ok(read_schema(&remote, id).await?);
    }
    let update = schema_file::read(args.from.file.as_ref().unwrap_or(&Source::Stdin))?;
    Ok(Schema::default().updated(&update)?.schema)
}
