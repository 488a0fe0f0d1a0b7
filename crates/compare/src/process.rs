//! A server as a child process: found, started, ready, stopped. It never outlives its owner.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::error::CompareError;

/// How long a server may take to start, and how often it is asked whether it is ready.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How long it may take to stop when asked to, before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a killed process is waited for: its data cannot be removed while it writes.
const DEATH_TIMEOUT: Duration = Duration::from_secs(5);
const DEATH_POLL: Duration = Duration::from_millis(5);
/// The end of a log that is shown, in lines.
const LOG_LINES: usize = 15;
/// Where programs of servers are on systems that leave it out of the PATH of ordinary users.
const MORE_PATHS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"];

/// A child process with its log.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

/// The absolute path of a program.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path: OsString = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(MORE_PATHS.iter().map(PathBuf::from))
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// What a program says of its version.
pub(crate) fn version(program: &Path) -> Result<String, CompareError> {
    let output = std::process::Command::new(program)
        .arg("--version")
        .output()
        .map_err(|source| CompareError::Spawn { program: program.to_owned(), source })?;
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(said.lines().next().unwrap_or_default().trim().to_owned())
}

/// A port of the loopback interface that was free a moment ago.
pub(crate) fn free_port() -> Result<u16, CompareError> {
    let address = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    address.map(|a| a.port()).map_err(|source| CompareError::Port { source })
}

impl Process {
    /// Starts a program; what it says goes to a file `log` in the directory.
    pub(crate) fn start(
        name: &'static str,
        directory: &Path,
        mut command: Command,
    ) -> Result<Process, CompareError> {
        let log = directory.join("log");
        let failed = |source| CompareError::File { path: log.clone(), source };
        let out = std::fs::File::create(&log).map_err(failed)?;
        let err = out.try_clone().map_err(failed)?;
        let program = PathBuf::from(command.as_std().get_program());
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| CompareError::Spawn { program, source })?;
        Ok(Process { name, child, log })
    }

    /// Its process id, as long as it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// What it has written so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn end_of_log(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// Asks again and again until there is an answer; if there never is one, the error says what was wrong.
    pub(crate) async fn ready<T>(
        &mut self,
        mut ask: impl AsyncFnMut(&Process) -> Result<T, String>,
    ) -> Result<T, CompareError> {
        let begun = Instant::now();
        loop {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return Err(CompareError::Ended { name: self.name, log: self.end_of_log() });
            }
            let last = match ask(self).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if begun.elapsed() > START_TIMEOUT {
                return Err(CompareError::NotReady {
                    name: self.name,
                    seconds: START_TIMEOUT.as_secs(),
                    last,
                    log: self.end_of_log(),
                });
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Asks it to stop, and kills it when it does not.
    pub(crate) async fn stop(mut self) {
        let asked = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        if asked {
            // Whether it went or not, the rest is done as for a process that was given up.
            let _ = tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await;
        }
    }
}

impl Drop for Process {
    /// Kills it and waits until it is gone. This blocks for a moment, so that the directory can be removed after it.
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) || self.child.start_kill().is_err() {
            return;
        }
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < DEATH_TIMEOUT {
            std::thread::sleep(DEATH_POLL);
        }
    }
}
