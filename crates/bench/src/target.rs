//! The server that is measured: one that runs, or one of our own in a process of its own.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

use crate::BenchError;
use crate::CONNECTING_MAX;
use crate::args::TargetArgs;
use crate::scratch::ScratchDirectory;

/// The line that says where our own server listens.
const READY: &str = "listens on http://";
/// How long our own server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long it may take to stop before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Connections beside those of the load.
const SPARE_CONNECTIONS: u32 = 64;
/// Streams a connection of our own server takes; calls of a closed loop may all be on one.
const STREAMS_PER_CONNECTION: &str = "1000";
/// Flow control of a connection and of a stream, for feeds of many small frames.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;

/// The server that is measured.
pub struct Target {
    url: String,
    pid: Option<u32>,
    own: Option<Own>,
}

/// A server of our own.
struct Own {
    child: Child,
    database_url: String,
    connections: u32,
    /// Removed after the server has stopped, so it is declared after it.
    directory: ScratchDirectory,
}

impl Target {
    /// The server that the flags name, or a new one that takes this many connections.
    pub async fn open(args: &TargetArgs, connections: u32) -> Result<Target, BenchError> {
        if let Some(url) = &args.target {
            return Ok(Target { url: url.clone(), pid: args.server_pid, own: None });
        }
        let directory = ScratchDirectory::create("bench")?;
        let database_url = match &args.database_url {
            Some(url) => url.clone(),
            None => format!("sqlite:{}", directory.path().join("bench.db").display()),
        };
        let connections = connections + SPARE_CONNECTIONS;
        let (child, url) = start(&database_url, connections).await?;
        let pid = child.id();
        Ok(Target { url, pid, own: Some(Own { child, database_url, connections, directory }) })
    }

    /// Resident memory of the server, when its process is known and on this machine.
    pub fn rss_bytes(&self) -> Option<u64> {
        rss_bytes(self.pid?)
    }

    /// Size of our own server's database, when it is a file.
    pub(super) fn database_bytes(&self) -> Option<u64> {
        let entries = std::fs::read_dir(self.own.as_ref()?.directory.path()).ok()?;
        Some(entries.filter_map(Result::ok).filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum())
    }

    /// Stops our own server, starts it again over the same database, and returns how long it took until it listened.
    /// `None` for a server that is not ours.
    pub(super) async fn restart(&mut self) -> Result<Option<Duration>, BenchError> {
        let Some(own) = &mut self.own else { return Ok(None) };
        stop(&mut own.child).await;
        let begun = Instant::now();
        let (child, url) = start(&own.database_url, own.connections).await?;
        let took = begun.elapsed();
        self.pid = child.id();
        self.url = url;
        own.child = child;
        Ok(Some(took))
    }

    /// A connection.
    pub async fn connect(&self) -> Result<Channel, BenchError> {
        connect(&self.url).await
    }

    /// This many connections.
    pub async fn connect_many(&self, count: u32) -> Result<Vec<Channel>, BenchError> {
        let room = Arc::new(Semaphore::new(CONNECTING_MAX));
        let connecting: Vec<_> = (0..count)
            .map(|_| {
                let (url, room) = (self.url.clone(), room.clone());
                tokio::spawn(async move {
                    let _place = room.acquire().await;
                    connect(&url).await
                })
            })
            .collect();
        let mut channels = Vec::with_capacity(connecting.len());
        for connection in connecting {
            channels.push(connection.await.map_err(|error| BenchError::Other(error.to_string()))??);
        }
        Ok(channels)
    }

    /// Stops our own server and removes its database.
    pub async fn close(mut self) {
        if let Some(own) = &mut self.own {
            stop(&mut own.child).await;
        }
    }
}

/// A connection, as a client of many small frames makes it.
async fn connect(url: &str) -> Result<Channel, BenchError> {
    let failed = |source| BenchError::Connect { target: url.to_owned(), source };
    Endpoint::from_shared(url.to_owned())
        .map_err(failed)?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .connect()
        .await
        .map_err(failed)
}

/// Starts a server and waits until it listens.
async fn start(database_url: &str, connections: u32) -> Result<(Child, String), BenchError> {
    let program: PathBuf = std::env::current_exe().map_err(|e| BenchError::Other(e.to_string()))?;
    let mut child = Command::new(&program)
        .args(["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "", "--log-level", "warn"])
        .args(["--database-url", database_url, "--max-connections", &connections.to_string()])
        .args(["--max-streams-per-connection", STREAMS_PER_CONNECTION])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| BenchError::Other(format!("{}: {error}", program.display())))?;
    let output = child.stdout.take();
    let ready = tokio::time::timeout(START_TIMEOUT, address(output)).await;
    match ready {
        Ok(Some(address)) => Ok((child, format!("http://{address}"))),
        Ok(None) => {
            Err(BenchError::Other("the server ended before it was ready; what it said is above".to_owned()))
        }
        Err(_) => {
            Err(BenchError::Other(format!("the server was not ready within {} s", START_TIMEOUT.as_secs())))
        }
    }
}

async fn address(output: Option<tokio::process::ChildStdout>) -> Option<String> {
    let mut lines = BufReader::new(output?).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some((_, rest)) = line.split_once(READY) {
            let address = rest.split_whitespace().next().unwrap_or_default().to_owned();
            // What it says later is read and forgotten, so that it never waits for a reader.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Some(address);
        }
    }
    None
}

/// Asks a server to stop, and kills it when it does not.
async fn stop(child: &mut Child) {
    let asked = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
        .is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
    if asked && tokio::time::timeout(STOP_TIMEOUT, child.wait()).await.is_ok() {
        return;
    }
    if let Err(error) = child.kill().await {
        tracing::warn!(%error, "the server that was measured cannot be stopped");
    }
}

/// Resident memory of a process; Linux only.
fn rss_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
