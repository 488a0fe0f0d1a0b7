//! Why a run came to nothing, as one line for people.

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The server that is measured cannot be reached.
    #[error("cannot reach {target}: {source}")]
    Connect {
        /// The server's address.
        target: String,
        /// What the transport says.
        source: tonic::transport::Error,
    },
    /// A call failed that must not.
    #[error("the server answered {}: {}", .0.code(), .0.message())]
    Call(#[from] Box<tonic::Status>),
    /// A recorded session cannot be read.
    #[error("{path}: {detail}")]
    Trace {
        /// Its file.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

impl From<tonic::Status> for BenchError {
    fn from(status: tonic::Status) -> BenchError {
        BenchError::Call(Box::new(status))
    }
}
