//! Syncline and its peers, side by side on one machine: `make compare`. What is measured, and why it is fair, is in
//! README.md beside this crate.

mod args;
mod directory;
mod disk;
mod error;
mod machine;
mod peers;
mod process;
mod report;
mod scenarios;
mod servers;
mod turns;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Plan};
use error::CompareError;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("compare: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(until_interrupted(&args)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the comparison. When it is interrupted it is dropped, and with it go the servers and their data.
async fn until_interrupted(args: &Args) -> Result<ExitCode, CompareError> {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|source| CompareError::Signals { source })?;
    tokio::select! {
        outcome = compare(args) => outcome,
        _ = tokio::signal::ctrl_c() => Err(CompareError::Interrupted),
        _ = terminated.recv() => Err(CompareError::Interrupted),
    }
}

async fn compare(args: &Args) -> Result<ExitCode, CompareError> {
    let plan = Plan::of(args);
    machine::raise_file_limit(&plan)?;
    let programs = servers::Programs::find(args)?;
    let disk = disk::Disk::create(&args.directory).await?;
    let mut report =
        report::Report::new(args, &plan, machine::Machine::look(), disk.description(), &programs);
    report.begin();
    for scenario in plan.scenarios.clone() {
        let lines = scenarios::run(scenario, &programs, &disk, &plan).await?;
        report.take(lines);
    }
    disk.remove()?;
    report.end()
}
