//! A running server that a command talks to, and what went wrong with it in words for people.

use std::time::Duration;

use clap::Args;
use syncline_protocol::pb::ErrorReason as Reason;
use syncline_protocol::pb::workspace_service_client::WorkspaceServiceClient;
use syncline_protocol::status::told;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// Where a server listens unless it is told otherwise.
const DEFAULT_TARGET: &str = "http://127.0.0.1:7447";
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer: a schema may grow, update by update, beyond what fits into one call.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Which server.
#[derive(Debug, Clone, Args)]
pub(super) struct TargetArgs {
    /// The server, as http://HOST:PORT
    #[arg(long, value_name = "URL", env = "SYNCLINE_TARGET", default_value = DEFAULT_TARGET, value_parser = parse_target)]
    target: String,
}

fn parse_target(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|_| "expected an address as http://HOST:PORT".to_owned())?;
    match uri.scheme_str() {
        Some("http") if uri.host().is_some() => Ok(text.to_owned()),
        Some("https") => Err("this program cannot speak TLS yet; use http://HOST:PORT".to_owned()),
        _ => Err("expected an address as http://HOST:PORT".to_owned()),
    }
}

/// Why a server did not do what a command asked of it.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Nobody answers.
    #[error(
        "no server answers at {target}: {detail}; start one with `syncline dev` or `syncline serve`, \
         or name another one with --target"
    )]
    NoServer {
        /// The address.
        target: String,
        /// What the system says.
        detail: String,
    },
    /// The server has no such workspace.
    #[error(
        "there is no workspace `{id}` at {target}; `syncline workspace list` shows those there are, \
         and `syncline workspace create {id}` makes it"
    )]
    UnknownWorkspace {
        /// The workspace.
        id: String,
        /// The server's address.
        target: String,
    },
    /// The workspace is there already and is another one.
    #[error(
        "the workspace `{id}` exists with another schema, and nothing was changed; \
         `syncline workspace schema apply {id} FILE` changes the schema of a workspace"
    )]
    WorkspaceExists {
        /// The workspace.
        id: String,
    },
    /// The schema is not the one that the update was made for.
    #[error(
        "the schema of `{id}` has changed and has the version {version} now; nothing was applied. \
         Look at what the file would change now (--dry-run), and apply it again"
    )]
    SchemaChanged {
        /// The workspace.
        id: String,
        /// The schema's version now.
        version: String,
    },
    /// The server refused the call.
    #[error("{detail} ({reason})")]
    Refused {
        /// In the server's words.
        detail: String,
        /// The reason as `docs/errors.md` lists it.
        reason: String,
    },
    /// An answer that is not one of a Syncline server.
    #[error("the server at {target} answered {code}: {detail}; is it a Syncline server?")]
    Foreign {
        /// The server's address.
        target: String,
        /// What kind of failure it was.
        code: Code,
        /// In its words.
        detail: String,
    },
    /// The server did not answer in time.
    #[error("the server at {target} did not answer within {} s", CALL_TIMEOUT.as_secs())]
    Silent {
        /// The server's address.
        target: String,
    },
    /// The answer lacks something.
    #[error("the server's answer has no {0}; is it a Syncline server?")]
    Incomplete(&'static str),
    /// The answer has something that this program does not know.
    #[error("the server's answer has something that this program is too old for: {0}; update it")]
    Newer(String),
}

/// A server that can be called.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    target: String,
    channel: Channel,
}

impl Remote {
    /// Connects.
    pub(super) async fn connect(args: &TargetArgs) -> Result<Remote, RemoteError> {
        let target = args.target.clone();
        let no_server = |error: &dyn std::error::Error| RemoteError::NoServer {
            target: target.clone(),
            detail: root_cause(error),
        };
        let endpoint = Endpoint::from_shared(target.clone()).map_err(|error| no_server(&error))?;
        let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(CALL_TIMEOUT);
        let channel = endpoint.connect().await.map_err(|error| no_server(&error))?;
        Ok(Remote { target, channel })
    }

    /// The service for workspaces.
    pub(super) fn workspaces(&self) -> WorkspaceServiceClient<Channel> {
        WorkspaceServiceClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Why a call about a workspace failed.
    pub(super) fn failed(&self, id: &str, status: &Status) -> RemoteError {
        let (id, target) = (id.to_owned(), self.target.clone());
        let Some(told) = told(status) else {
            // The transport cancels a call that ran out of time, and also one whose connection broke.
            let timed_out = status.message() == tonic::TimeoutExpired(()).to_string();
            return match status.code() {
                Code::DeadlineExceeded => RemoteError::Silent { target },
                Code::Cancelled if timed_out => RemoteError::Silent { target },
                code => RemoteError::Foreign { target, code, detail: status.message().to_owned() },
            };
        };
        match told.reason() {
            Some(Reason::UnknownWorkspace) => RemoteError::UnknownWorkspace { id, target },
            Some(Reason::WorkspaceExists) => RemoteError::WorkspaceExists { id },
            Some(Reason::SchemaChanged) => {
                let version = told.metadata.get("schema_version").cloned().unwrap_or_default();
                RemoteError::SchemaChanged { id, version }
            }
            _ => RemoteError::Refused { detail: status.message().to_owned(), reason: told.name },
        }
    }
}

/// What the innermost error says: those around it say only that there was one.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
