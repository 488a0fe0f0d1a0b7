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
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    #[error("{0}")]
    Server(#[from] ServerError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Engine(#[from] EngineError),
    #[error("{0}")]
    Telemetry(#[from] TelemetryError),
    #[error("{0}")]
    Bench(#[from] BenchError),
    #[error("{0}")]
    Remote(#[from] RemoteError),
    #[error("{0}")]
    SchemaFile(#[from] SchemaFileError),
    #[error("{0}")]
    Schema(#[from] SchemaError),
    #[error("{0}")]
    Print(#[from] PrintError),
    #[error("cannot write {path}: {source}")]
    Write { path: String, source: std::io::Error },
    #[error("{0}")]
    Other(String),
}
