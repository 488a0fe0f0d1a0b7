//! Why a comparison could not be made.

use std::path::PathBuf;

use syncline_bench::BenchError;

/// Why a comparison could not be made, as one line or a few for people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompareError {
    #[error(
        "{program} is not on the PATH; install it (Debian, Ubuntu: sudo apt-get install {package}) or name it with {flag}"
    )]
    Missing { program: &'static str, package: &'static str, flag: &'static str },
    #[error("there is no {path}; build it first (cargo build --release) or name it with --syncline")]
    NoSyncline { path: PathBuf },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error(
        "{path} is a file system in memory, where a synced write costs nothing; choose a directory on a disk with --directory"
    )]
    NoDisk { path: PathBuf },
    #[error("{program} cannot be started: {source}")]
    Spawn { program: PathBuf, source: std::io::Error },
    #[error("{name} ended before it was ready; the end of its log:\n{log}")]
    Ended { name: &'static str, log: String },
    #[error("{name} was not ready within {seconds} s ({last}); the end of its log:\n{log}")]
    NotReady { name: &'static str, seconds: u64, last: String, log: String },
    #[error("no free port: {source}")]
    Port { source: std::io::Error },
    #[error("this needs {needed} open files and the system allows {allowed} (ulimit -n)")]
    Files { needed: u64, allowed: u64 },
    #[error("signals cannot be received: {source}")]
    Signals { source: std::io::Error },
    #[error("interrupted; all servers are stopped and their data is removed")]
    Interrupted,
    #[error("{name}: {detail}")]
    Server { name: &'static str, detail: String },
    #[error("{0}")]
    Driver(#[from] BenchError),
    #[error("the report cannot be written: {source}")]
    Report { source: serde_json::Error },
}
