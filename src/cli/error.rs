//! Why a command failed, as one line or a list for people.

use syncline_bench::BenchError;
use syncline_core::schema::SchemaError;

use super::remote::RemoteError;
use super::schema_file::{PrintError, SchemaFileError};
use crate::config::ConfigErrors;
use crate::engine::EngineError;
use crate::server::ServerError;
use crate::store::StoreError;
use crate::telemetry::TelemetryError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration has mistakes.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// The server could not be built.
    #[error("{0}")]
    Server(#[from] ServerError),
    /// The store failed, or cannot be used as it is.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The engine refused what was asked, or could not do it.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// Logging or metrics could not be started.
    #[error("{0}")]
    Telemetry(#[from] TelemetryError),
    /// A benchmark or a replay did not come to a result.
    #[error("{0}")]
    Bench(#[from] BenchError),
    /// A running server did not do what the command asked of it.
    #[error("{0}")]
    Remote(#[from] RemoteError),
    /// A schema file cannot be used.
    #[error("{0}")]
    SchemaFile(#[from] SchemaFileError),
    /// The workspace's schema cannot be changed like that.
    #[error("{0}")]
    Schema(#[from] SchemaError),
    /// A schema could not be written as a schema file: a fault of this program.
    #[error("{0}")]
    Print(#[from] PrintError),
    /// A file could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file that was to be written.
        path: String,
        /// Why the operating system refused.
        source: std::io::Error,
    },
    /// Anything else, in words for people.
    #[error("{0}")]
    Other(String),
}
