//! etcd: Put, and a watch on a stream of its own for each watcher.

use std::time::Duration;

use bytes::Bytes;
use syncline_bench::driver::{Caller, Due};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

/// Generated from `proto/etcd.proto`.
#[allow(clippy::doc_markdown, reason = "generated")]
mod pb {
    tonic::include_proto!("etcdserverpb");
}

/// All keys begin with this, and none is at or behind the end.
const PREFIX: &str = "compare/";
const PREFIX_END: &str = "compare0";
/// How long a server that starts may take for an answer before it is asked anew.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a watch may take to begin.
const WATCH_TIMEOUT: Duration = Duration::from_secs(30);
/// Digits in which a value tells, at its front, when its write was due.
const DUE_DIGITS: usize = 20;

/// Whether a server is there that takes writes.
pub(crate) async fn answers(url: &str) -> Result<(), String> {
    let asking = async {
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| error.to_string())?;
        let channel = endpoint.connect().await.map_err(|error| error.to_string())?;
        let put = pb::PutRequest { key: "ready".into(), value: Bytes::new() };
        pb::kv_client::KvClient::new(channel).put(put).await.map_err(|status| status.to_string())?;
        Ok(())
    };
    tokio::time::timeout(ANSWER_TIMEOUT, asking).await.map_err(|_| "no answer".to_owned())?
}

/// Writes to keys of its own in turn, one Put at a time.
pub(crate) struct Writer {
    service: pb::kv_client::KvClient<Channel>,
    keys: Vec<Bytes>,
    next_key: usize,
    value_bytes: usize,
    /// The run's clock starts here; values tell when their write was due.
    clock: Instant,
    /// Revision of its last write.
    pub last_revision: i64,
}

impl Writer {
    pub(crate) fn new(channel: Channel, number: u32, keys: u32, value_bytes: u32, clock: Instant) -> Writer {
        Writer {
            service: pb::kv_client::KvClient::new(channel),
            keys: (0..keys).map(|key| format!("{PREFIX}{number:05}/{key:03}").into()).collect(),
            next_key: 0,
            value_bytes: value_bytes as usize,
            clock,
            last_revision: 0,
        }
    }
}

impl Caller for Writer {
    async fn call(&mut self, due: Due) -> Result<u64, String> {
        let key = self.keys.get(self.next_key).cloned().unwrap_or_default();
        self.next_key = (self.next_key + 1) % self.keys.len().max(1);
        let due_ns = nanoseconds(self.clock, due.at);
        let mut value = format!("{due_ns:0DUE_DIGITS$}").into_bytes();
        value.resize(self.value_bytes.max(DUE_DIGITS), b'v');
        let put = pb::PutRequest { key, value: value.into() };
        let answer = self.service.put(put).await.map_err(|status| status.to_string())?.into_inner();
        let revision = answer.header.map_or(0, |header| header.revision);
        if revision <= self.last_revision {
            return Err(format!("revision {revision} after {}", self.last_revision));
        }
        self.last_revision = revision;
        Ok(1)
    }
}

/// Nanoseconds of the run's clock.
pub(crate) fn nanoseconds(clock: Instant, at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(clock).as_nanos()).unwrap_or(u64::MAX)
}

/// One change as a watcher gets it.
pub(crate) struct Change {
    /// When its write was due, by the run's clock.
    pub due_ns: u64,
}

/// Follows all keys.
pub(crate) struct Watcher {
    stream: Streaming<pb::WatchResponse>,
    /// A watch ends when its requests do.
    _requests: mpsc::Sender<pb::WatchRequest>,
    revision: i64,
}

impl Watcher {
    /// Opens a watch and waits until the server has opened it.
    pub(crate) async fn open(channel: Channel) -> Result<Watcher, String> {
        let create = pb::WatchCreateRequest { key: PREFIX.into(), range_end: PREFIX_END.into() };
        let create = pb::watch_request::RequestUnion::CreateRequest(create);
        let opening = async {
            let (requests, said) = mpsc::channel(1);
            let first = pb::WatchRequest { request_union: Some(create) };
            requests.try_send(first).map_err(|error| error.to_string())?;
            let answer = pb::watch_client::WatchClient::new(channel).watch(ReceiverStream::new(said)).await;
            let mut stream = answer.map_err(|status| status.to_string())?.into_inner();
            match stream.message().await.map_err(|status| status.to_string())? {
                Some(answer) if answer.created && !answer.canceled => {
                    Ok(Watcher { stream, _requests: requests, revision: 0 })
                }
                other => Err(format!("the watch did not begin: {other:?}")),
            }
        };
        tokio::time::timeout(WATCH_TIMEOUT, opening)
            .await
            .map_err(|_| "the watch did not begin in time".to_owned())?
    }

    /// The revision of the last change it has.
    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }

    /// The next changes; the end of the watch is an error, and so is a change out of order.
    pub(crate) async fn next(&mut self) -> Result<Vec<Change>, String> {
        loop {
            let message = self.stream.message().await.map_err(|status| status.to_string())?;
            let Some(message) = message else { return Err("the watch ended".to_owned()) };
            if message.canceled {
                return Err(format!("the server ended the watch: {}", message.cancel_reason));
            }
            let mut changes = Vec::with_capacity(message.events.len());
            for kv in message.events.into_iter().filter_map(|event| event.kv) {
                // One write is one revision here, and each is a change of a key that is watched.
                if kv.mod_revision <= self.revision
                    || (self.revision != 0 && kv.mod_revision != self.revision + 1)
                {
                    return Err(format!("revision {} after {}", kv.mod_revision, self.revision));
                }
                self.revision = kv.mod_revision;
                changes.push(Change { due_ns: due_ns(&kv.value) });
            }
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }
}

/// When the write of a value was due, as the value says.
fn due_ns(value: &[u8]) -> u64 {
    value.get(..DUE_DIGITS).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_tells_when_its_write_was_due() {
        let mut value = format!("{:0DUE_DIGITS$}", 1_234_567_u64).into_bytes();
        value.resize(256, b'v');
        assert_eq!(due_ns(&value), 1_234_567);
        assert_eq!(due_ns(b"short"), 0);
    }
}
