//! The servers that are measured: which programs they are, and how each is started on loopback over a new directory.

use std::path::PathBuf;

use serde::Serialize;
use syncline_bench::driver::{Target, TargetArgs};
use tokio::process::Command;

use crate::args::{Args, Peer};
use crate::directory::Directory;
use crate::disk::Disk;
use crate::error::CompareError;
use crate::peers::nats::Version;
use crate::peers::{etcd, nats};
use crate::process::{Process, find, free_port, version};

/// The line in which Syncline says where it listens.
const SYNCLINE_LISTENS: &str = "listens on http://";
/// Connections that Syncline takes beside those of the load.
const SPARE_CONNECTIONS: u32 = 64;
/// Calls and feeds that Syncline takes on one connection; etcd sets no limit.
const STREAMS_PER_CONNECTION: &str = "1000";
/// Writes stop when etcd's database has reached this size. The default, 2 GB, is little for long runs.
const ETCD_QUOTA_BYTES: &str = "8589934592";

/// The programs.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub syncline: (PathBuf, String),
    pub etcd: Option<(PathBuf, String)>,
    pub nats: Option<(PathBuf, Version)>,
}

/// What a server promises of a write that it has answered.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Guarantee {
    pub server: String,
    /// Whether the write was synced to the disk before the answer.
    pub durable: bool,
    pub how: &'static str,
}

impl Programs {
    /// Looks for what will be started, before anything is.
    pub(crate) fn find(args: &Args) -> Result<Programs, CompareError> {
        let syncline = match &args.syncline {
            Some(path) => path.clone(),
            None => std::env::current_exe()
                .map_err(|source| CompareError::File { path: PathBuf::from("syncline-compare"), source })?
                .with_file_name("syncline"),
        };
        if !syncline.is_file() {
            return Err(CompareError::NoSyncline { path: syncline });
        }
        let wanted = |peer: Peer, given: &Option<PathBuf>, program, package, flag| {
            if !args.peers.contains(&peer) {
                return Ok(None);
            }
            let found = given.clone().or_else(|| find(program));
            found.map(Some).ok_or(CompareError::Missing { program, package, flag })
        };
        let etcd = wanted(Peer::Etcd, &args.etcd, "etcd", "etcd-server", "--etcd")?;
        let nats = wanted(Peer::Nats, &args.nats_server, "nats-server", "nats-server", "--nats-server")?;
        let nats =
            nats.map(|program| nats::version(&program).map(|version| (program, version))).transpose()?;
        let said = version(&syncline)?;
        let syncline = (syncline, said.trim_start_matches("syncline ").to_owned());
        let etcd = etcd.map(|program| {
            version(&program).map(|said| (program, said.trim_start_matches("etcd Version: ").to_owned()))
        });
        Ok(Programs { syncline, etcd: etcd.transpose()?, nats })
    }

    /// What each server promises, in words for people.
    pub(crate) fn guarantees(&self) -> Vec<Guarantee> {
        let syncline = Guarantee {
            server: format!("Syncline {}", self.syncline.1),
            durable: true,
            how: "SQLite, synchronous=FULL: a commit is synced before its writes are answered (the default)",
        };
        let etcd = self.etcd.as_ref().map(|(_, version)| Guarantee {
            server: format!("etcd {version}"),
            durable: true,
            how: "one member: its log is synced before a Put is answered (the default)",
        });
        let nats = self.nats.as_ref().map(|(_, version)| Guarantee {
            server: format!("NATS JetStream {version}"),
            durable: version.can_sync_each_write(),
            how: if version.can_sync_each_write() {
                "file storage, sync_interval: always: each message is synced before it is acknowledged"
            } else {
                "file storage; this version cannot sync each write (2.10 can), so it acknowledges what is not yet on \
                 disk: shown beside the others, and no durable ratio is made of it"
            },
        });
        [Some(syncline), etcd, nats].into_iter().flatten().collect()
    }
}

/// A server over gRPC. When it is dropped, it stops and its data is removed.
pub(crate) struct Server {
    pub target: Target,
    process: Process,
    /// Removed after the process has ended, so it is declared after it.
    directory: Directory,
}

impl Server {
    /// Syncline over a new SQLite database, for this many connections.
    pub(crate) async fn syncline(
        programs: &Programs,
        disk: &Disk,
        connections: u32,
    ) -> Result<Server, CompareError> {
        let directory = disk.directory("syncline")?;
        let database = format!("sqlite:{}", directory.path().join("syncline.db").display());
        let mut command = Command::new(&programs.syncline.0);
        without_settings(&mut command, "SYNCLINE_");
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "", "--log-level", "warn"])
            .args(["--database-url", &database])
            .args(["--max-connections", &(connections + SPARE_CONNECTIONS).to_string()])
            .args(["--max-streams-per-connection", STREAMS_PER_CONNECTION]);
        let mut process = Process::start("syncline", directory.path(), command)?;
        let address = process
            .ready(async |process| {
                let log = process.log();
                let rest = log.split_once(SYNCLINE_LISTENS).map(|(_, rest)| rest);
                // Only a whole line counts, not one that is written in part.
                let line = rest.and_then(|rest| rest.split_once('\n')).map(|(line, _)| line);
                let address = line.and_then(|line| line.split_whitespace().next());
                address.map(str::to_owned).ok_or_else(|| "it does not listen".to_owned())
            })
            .await?;
        let target = open(format!("http://{address}"), &process).await?;
        Ok(Server { target, process, directory })
    }

    /// A cluster of one etcd, with etcd's defaults.
    pub(crate) async fn etcd(program: &PathBuf, disk: &Disk) -> Result<Server, CompareError> {
        let directory = disk.directory("etcd")?;
        let client = format!("http://127.0.0.1:{}", free_port()?);
        let peer = format!("http://127.0.0.1:{}", free_port()?);
        let mut command = Command::new(program);
        without_settings(&mut command, "ETCD_");
        // 3.4 starts on other processors than amd64 only when it is told to.
        if cfg!(target_arch = "aarch64") {
            command.env("ETCD_UNSUPPORTED_ARCH", "arm64");
        }
        command
            .args(["--name", "compare", "--logger", "zap", "--log-level", "error"])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("compare={peer}")])
            .args(["--quota-backend-bytes", ETCD_QUOTA_BYTES])
            .arg("--data-dir")
            .arg(directory.path().join("data"));
        let mut process = Process::start("etcd", directory.path(), command)?;
        process.ready(async |_| etcd::answers(&client).await).await?;
        let target = open(client, &process).await?;
        Ok(Server { target, process, directory })
    }

    /// Stops it and removes its data.
    pub(crate) async fn close(self) -> Result<(), CompareError> {
        self.process.stop().await;
        self.directory.remove()
    }
}

/// A NATS server; see [`Server`].
pub(crate) struct NatsServer {
    /// Host and port.
    pub address: String,
    process: Process,
    directory: Directory,
}

impl NatsServer {
    /// JetStream on files, syncing each write where the version can.
    pub(crate) async fn start(
        program: &PathBuf,
        version: &Version,
        disk: &Disk,
    ) -> Result<NatsServer, CompareError> {
        let directory = disk.directory("nats")?;
        let port = free_port()?;
        let configuration = nats::configuration(port, &directory.path().join("data"), version);
        let path = directory.path().join("nats.conf");
        std::fs::write(&path, configuration)
            .map_err(|source| CompareError::File { path: path.clone(), source })?;
        let mut command = Command::new(program);
        command.arg("--config").arg(&path);
        let mut process = Process::start("nats-server", directory.path(), command)?;
        let address = format!("127.0.0.1:{port}");
        process.ready(async |_| nats::prepare(&address).await).await?;
        Ok(NatsServer { address, process, directory })
    }

    /// Stops it and removes its data.
    pub(crate) async fn close(self) -> Result<(), CompareError> {
        self.process.stop().await;
        self.directory.remove()
    }
}

async fn open(url: String, process: &Process) -> Result<Target, CompareError> {
    Ok(Target::open(&target_args(Some(url), process.id()), 0).await?)
}

/// The flags of the load driver for a server that runs.
pub(crate) fn target_args(target: Option<String>, server_pid: Option<u32>) -> TargetArgs {
    TargetArgs { target, database_url: None, server_pid }
}

/// Removes settings from the environment that the caller made for a server of its own.
fn without_settings(command: &mut Command, prefix: &str) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
}
