//! NATS JetStream: publish, and wait for the acknowledgement.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use syncline_bench::driver::{Caller, Due};

use crate::error::CompareError;
use crate::process;
use connection::Connection;

mod connection;

const STREAM: &str = "compare";
const SUBJECTS: &str = "compare.>";
/// How long a server that starts may take for an answer before it is asked anew.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an acknowledgement may take.
const ACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(10);
/// The first version that can sync each write.
const SYNCS_EACH_WRITE_FROM: (u32, u32) = (2, 10);
/// What a stream may keep on disk.
const STORE_BYTES_MAX: u64 = 16 << 30;

/// Version of a nats-server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    major: u32,
    minor: u32,
    text: String,
}

impl Version {
    /// Reads `nats-server: v2.9.10`.
    fn parse(said: &str) -> Option<Version> {
        let (_, text) = said.trim().split_once(" v")?;
        let mut parts = text.split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        Some(Version { major, minor, text: text.to_owned() })
    }

    /// Whether an acknowledged write can be on disk.
    pub(crate) fn can_sync_each_write(&self) -> bool {
        (self.major, self.minor) >= SYNCS_EACH_WRITE_FROM
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Asks the program for its version.
pub(crate) fn version(program: &Path) -> Result<Version, CompareError> {
    let said = process::version(program)?;
    let detail = format!("it does not tell its version: {said}");
    Version::parse(&said).ok_or(CompareError::Server { name: "nats-server", detail })
}

/// What the server is configured with.
pub(crate) fn configuration(port: u16, store: &Path, version: &Version) -> String {
    let sync = if version.can_sync_each_write() { "  sync_interval: always\n" } else { "" };
    format!(
        "listen: \"127.0.0.1:{port}\"\njetstream {{\n  store_dir: {store:?}\n  \
         max_file_store: {STORE_BYTES_MAX}\n{sync}}}\n"
    )
}

/// What JetStream answers.
#[derive(Debug, Default, Deserialize)]
struct Answer {
    /// Position of a message in the stream.
    #[serde(default)]
    seq: u64,
    error: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    description: String,
}

impl Answer {
    fn parse(answer: &[u8]) -> Result<Answer, String> {
        let answer: Answer = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
        match answer.error {
            Some(refusal) => Err(refusal.description),
            None => Ok(answer),
        }
    }
}

/// Makes the stream, as soon as there is a server that does.
pub(crate) async fn prepare(address: &str) -> Result<(), String> {
    let preparing = async {
        let connection = Connection::open(address).await?;
        let config = serde_json::json!({
            "name": STREAM,
            "subjects": [SUBJECTS],
            "storage": "file",
            "retention": "limits",
            "num_replicas": 1,
        });
        let subject = format!("$JS.API.STREAM.CREATE.{STREAM}");
        Answer::parse(&connection.request(&subject, config.to_string().as_bytes()).await?).map(drop)
    };
    tokio::time::timeout(ANSWER_TIMEOUT, preparing).await.map_err(|_| "no answer".to_owned())?
}

/// A connection.
pub(crate) async fn connect(address: &str) -> Result<Connection, CompareError> {
    let opened = Connection::open(address).await;
    opened.map_err(|detail| CompareError::Server { name: "nats-server", detail })
}

/// Publishes to a subject of its own, one message at a time.
pub(crate) struct Publisher {
    connection: Connection,
    subject: String,
    payload: Bytes,
    last_sequence: u64,
}

impl Publisher {
    pub(crate) fn new(connection: Connection, number: u32, value_bytes: u32) -> Publisher {
        Publisher {
            connection,
            subject: format!("{STREAM}.{number:05}"),
            payload: vec![b'v'; value_bytes as usize].into(),
            last_sequence: 0,
        }
    }
}

impl Caller for Publisher {
    async fn call(&mut self, _: Due) -> Result<u64, String> {
        let answer = self.connection.request(&self.subject, &self.payload);
        let answer = tokio::time::timeout(ACKNOWLEDGED_TIMEOUT, answer).await;
        let answer = answer.map_err(|_| "no acknowledgement".to_owned())?;
        let sequence = Answer::parse(&answer?)?.seq;
        if sequence <= self.last_sequence {
            return Err(format!("sequence {sequence} after {}", self.last_sequence));
        }
        self.last_sequence = sequence;
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_from_2_10_on_can_sync_each_write() {
        let can = |said: &str| Version::parse(said).map(|v| (v.to_string(), v.can_sync_each_write()));
        assert_eq!(can("nats-server: v2.9.10\n"), Some(("2.9.10".to_owned(), false)));
        assert_eq!(can("nats-server: v2.10.27\n"), Some(("2.10.27".to_owned(), true)));
        assert_eq!(can("nats-server: v3.0.0-beta\n"), Some(("3.0.0-beta".to_owned(), true)));
        assert_eq!(can("something else\n"), None);
    }

    #[test]
    fn only_versions_that_know_it_are_told_to_sync_each_write() {
        let configured = |version: &str| {
            let version = Version::parse(version).expect("a version");
            configuration(4222, Path::new("/data"), &version)
        };
        assert!(!configured("nats-server: v2.9.10").contains("sync_interval"));
        assert!(configured("nats-server: v2.12.0").contains("sync_interval: always"));
    }

    #[test]
    fn a_refusal_is_no_acknowledgement() {
        let sequence = |answer: &[u8]| Answer::parse(answer).map(|answer| answer.seq);
        assert_eq!(sequence(br#"{"stream":"compare","seq":7}"#), Ok(7));
        let refusal = br#"{"error":{"code":503,"description":"insufficient resources"},"seq":0}"#;
        assert_eq!(sequence(refusal), Err("insufficient resources".to_owned()));
        assert!(sequence(b"not json").is_err());
    }
}
