//! A connection to a NATS server: requests with their answers, many on their way at a time.
//!
//! The protocol is the public one of docs.nats.io, "client protocol"; of it CONNECT, SUB, PUB, MSG, PING, PONG and -ERR are
//! needed. A client library would do as well, but what it asks of dependencies that are shared with the server (features of
//! `bytes`, `regex`) would have the whole workspace built twice.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

/// Longest line of the protocol that is read, the server's INFO among them.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Messages that wait to be sent, and that are sent in one write.
const QUEUE_MAX: usize = 1_024;
const SENT_AT_ONCE_MAX: usize = 64;
/// What the server shall know of this client; it need not acknowledge each command.
const CONNECT: &str =
    r#"CONNECT {"verbose":false,"pedantic":false,"lang":"rust","version":"0.1.0","name":"syncline-compare"}"#;

/// A connection; clones share it. It closes with the last of them.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    out: mpsc::Sender<Bytes>,
    waiting: Arc<Mutex<Waiting>>,
    /// Answers come to subjects that begin with this.
    inbox: Arc<str>,
    next: Arc<AtomicU64>,
}

/// Who waits for which answer.
#[derive(Debug, Default)]
struct Waiting {
    answers: HashMap<u64, oneshot::Sender<Vec<u8>>>,
    /// Why there will be no more answers, once that is so.
    ended: Option<String>,
}

impl Connection {
    /// Connects to `HOST:PORT`.
    pub(crate) async fn open(address: &str) -> Result<Connection, String> {
        static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (reading, writing) = stream.into_split();
        let (out, queue) = mpsc::channel(QUEUE_MAX);
        let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        let inbox = format!("_INBOX.compare-{}-{number}", std::process::id());
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let begin = format!("{CONNECT}\r\nSUB {inbox}.* 1\r\n");
        out.send(begin.into()).await.map_err(|_| "the connection ended".to_owned())?;
        tokio::spawn(write(writing, queue));
        tokio::spawn(read_until_the_end(reading, waiting.clone(), out.downgrade()));
        Ok(Connection { out, waiting, inbox: inbox.into(), next: Arc::default() })
    }

    /// Sends a message and waits for the answer to it.
    pub(crate) async fn request(&self, subject: &str, payload: &[u8]) -> Result<Vec<u8>, String> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(reason) = &waiting.ended {
                return Err(reason.clone());
            }
            waiting.answers.insert(number, answer);
        }
        let head = format!("PUB {subject} {}.{number} {}\r\n", self.inbox, payload.len());
        let mut message = BytesMut::with_capacity(head.len() + payload.len() + 2);
        message.put(head.as_bytes());
        message.put(payload);
        message.put(&b"\r\n"[..]);
        let gone = || "the connection ended".to_owned();
        self.out.send(message.freeze()).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }
}

/// Sends what is queued, as much at once as there is.
async fn write(mut writing: OwnedWriteHalf, mut queue: mpsc::Receiver<Bytes>) {
    let (mut some, mut whole) = (Vec::with_capacity(SENT_AT_ONCE_MAX), BytesMut::new());
    while queue.recv_many(&mut some, SENT_AT_ONCE_MAX).await > 0 {
        whole.clear();
        some.drain(..).for_each(|message| whole.put(message));
        if writing.write_all(&whole).await.is_err() {
            // The reader ends as well, and tells those who wait.
            return;
        }
    }
}

async fn read_until_the_end(
    reading: OwnedReadHalf,
    waiting: Arc<Mutex<Waiting>>,
    out: mpsc::WeakSender<Bytes>,
) {
    let ended = match read(reading, &waiting, &out).await {
        Ok(()) => "the server ended the connection".to_owned(),
        Err(error) => error,
    };
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.ended = Some(ended);
    // Dropping these tells whoever waits.
    waiting.answers.clear();
}

async fn read(
    reading: OwnedReadHalf,
    waiting: &Mutex<Waiting>,
    out: &mpsc::WeakSender<Bytes>,
) -> Result<(), String> {
    let mut reading = BufReader::new(reading);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reading).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await;
        if read.map_err(|error| error.to_string())? == 0 {
            return Ok(());
        }
        match said(&line)? {
            Said::Answer { number, bytes } => {
                // Two more bytes for the end of the line.
                let mut payload = vec![0; bytes + 2];
                reading.read_exact(&mut payload).await.map_err(|error| error.to_string())?;
                payload.truncate(bytes);
                let answer = waiting.lock().unwrap_or_else(PoisonError::into_inner).answers.remove(&number);
                // The call that waited may have been given up.
                let _ = answer.map(|answer| answer.send(payload));
            }
            Said::Ping => {
                if let Some(out) = out.upgrade() {
                    let _ = out.send(Bytes::from_static(b"PONG\r\n")).await;
                }
            }
            Said::Nothing => {}
        }
    }
}

/// A line of the server.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Answer {
        number: u64,
        bytes: usize,
    },
    Ping,
    /// INFO, PONG, +OK.
    Nothing,
}

fn said(line: &[u8]) -> Result<Said, String> {
    let line = std::str::from_utf8(line).map_err(|error| error.to_string())?.trim_end();
    let mut words = line.split_ascii_whitespace();
    match words.next() {
        Some("MSG") => {
            let number = words.next().and_then(|subject| subject.rsplit('.').next()?.parse().ok());
            let bytes = words.next_back().and_then(|bytes| bytes.parse().ok());
            match (number, bytes) {
                (Some(number), Some(bytes)) if bytes <= ANSWER_BYTES_MAX => {
                    Ok(Said::Answer { number, bytes })
                }
                _ => Err(format!("an answer that is not understood: {line}")),
            }
        }
        Some("PING") => Ok(Said::Ping),
        Some("-ERR") => Err(line.to_owned()),
        _ => Ok(Said::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_other_lines() {
        assert_eq!(said(b"MSG _INBOX.compare-1-2.17 1 29\r\n"), Ok(Said::Answer { number: 17, bytes: 29 }));
        assert_eq!(said(b"MSG _INBOX.a.3 1 reply.to 0\r\n"), Ok(Said::Answer { number: 3, bytes: 0 }));
        assert_eq!(said(b"PING\r\n"), Ok(Said::Ping));
        assert_eq!(said(b"INFO {\"version\":\"2.9.10\"}\r\n"), Ok(Said::Nothing));
        assert!(said(b"-ERR 'Maximum Connections Exceeded'\r\n").is_err());
        assert!(said(b"MSG _INBOX.a.3 1 99999999\r\n").is_err(), "longer than anything that is expected");
    }
}
