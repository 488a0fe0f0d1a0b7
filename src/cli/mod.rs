//! The command line.

mod dev;
mod doctor;
mod error;
mod migrate;
mod remote;
mod schema_file;
mod schema_types;
mod serve;
mod signal;
mod workspace;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use syncline_bench::BenchArgs;
use syncline_bench::replay::{self, ReplayArgs};

use crate::config::{Flags, Preset};

pub use error::CliError;

/// Self-hosted sync: one causal, gapless order, merges, a conflict inbox, live feeds.
#[derive(Debug, Parser)]
#[command(name = "syncline", version, about, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a server to try things out: embedded database under ./.syncline, an example workspace
    Dev(#[command(flatten)] Flags),
    /// Start a server
    Serve(#[command(flatten)] Flags),
    /// Bring the database to this version's schema and stop
    Migrate(#[command(flatten)] Flags),
    /// Check configuration, database, ports and limits, and say what to fix
    Doctor(#[command(flatten)] Flags),
    /// Create and show workspaces of a running server, and change their schemas
    Workspace(workspace::WorkspaceArgs),
    /// Make something of a schema, a file or that of a workspace
    Schema(schema_types::SchemaArgs),
    /// Put load on a server and measure it as its clients feel it
    Bench(BenchArgs),
    /// Replay a recorded editing session of several authors through the service
    Replay(ReplayArgs),
}

impl Cli {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, CliError> {
        match self.command {
            Command::Dev(mut flags) => {
                flags.preset = Preset::DEV;
                dev::run(flags).await
            }
            Command::Serve(flags) => serve::run(flags).await,
            Command::Migrate(flags) => migrate::run(flags).await,
            Command::Doctor(flags) => doctor::run(flags).await,
            Command::Workspace(args) => workspace::run(args).await,
            Command::Schema(args) => schema_types::run(args).await,
            Command::Bench(args) => Ok(syncline_bench::run(args).await?),
            Command::Replay(args) => Ok(replay::run(args).await?),
        }
    }
}

/// Prints one JSON object for programs.
fn say_json(value: &impl serde::Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::Other(error.to_string()))?;
    say(&text);
    Ok(())
}

/// Prints a text, or writes it into a file, in a folder that is made if need be, and says so.
fn say_text(text: &str, out: Option<&Path>) -> Result<(), CliError> {
    let Some(path) = out else {
        say(text.trim_end_matches('\n'));
        return Ok(());
    };
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder
        .and_then(|()| std::fs::write(path, text))
        .map_err(|source| CliError::Write { path: path.display().to_string(), source })?;
    say(&format!("wrote {}", path.display()));
    Ok(())
}

/// Prints a line for people. A closed pipe must not stop a server.
fn say(line: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
