//! Why a command failed, as one line or a list for people.

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
    #[error("cannot reach {target}: {source}")]
    Connect { target: String, source: tonic::transport::Error },
    #[error("the server answered {}: {}", .0.code(), .0.message())]
    Call(#[from] Box<tonic::Status>),
    #[error("{path}: {detail}")]
    Trace { path: String, detail: String },
    #[error("{0}")]
    Other(String),
}

impl From<tonic::Status> for CliError {
    fn from(status: tonic::Status) -> CliError {
        CliError::Call(Box::new(status))
    }
}
