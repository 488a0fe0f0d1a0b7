//! The real program as a process of its own: started, spoken to, killed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use syncline_protocol::pb;
use syncline_protocol::pb::workspace_service_client::WorkspaceServiceClient;
use tonic::transport::{Channel, Endpoint};

/// How long a start may take before a test gives up.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The program under test.
pub fn program() -> &'static str {
    env!("CARGO_BIN_EXE_syncline")
}

/// The project's own folder.
pub fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

/// A server process. Dropping it kills it.
pub struct Process {
    child: Child,
    pub address: String,
}

impl Process {
    /// `syncline serve` over a database, on a port.
    pub fn serve(database: &Path, port: u16) -> Process {
        Process::serve_on(&format!("sqlite:{}", database.display()), port)
    }

    /// The same over any database.
    pub fn serve_on(url: &str, port: u16) -> Process {
        let listen = format!("127.0.0.1:{port}");
        let arguments = ["serve", "--listen", &listen, "--metrics-listen", "", "--database-url", url];
        Process::start(&arguments, Path::new("."), "listens on http://")
    }

    /// Any server command; ready when a line of its output holds `marker`, after which the address stands.
    pub fn start(arguments: &[&str], directory: &Path, marker: &str) -> Process {
        let mut child = Command::new(program())
            .args(arguments)
            .args(["--max-connections", "256", "--log-level", "warn"])
            .current_dir(directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the program starts");
        let output = child.stdout.take().expect("its output");
        let started = Instant::now();
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next() {
            let line = line.expect("lines of text");
            if let Some((_, rest)) = line.split_once(marker) {
                let address = rest.split_whitespace().next().unwrap_or_default().to_owned();
                // What it says later is read and forgotten.
                std::thread::spawn(move || lines.count());
                return Process { child, address };
            }
            assert!(started.elapsed() < START_TIMEOUT, "the server does not start");
        }
        panic!("the server ended before it was ready: {:?}", child.wait());
    }

    /// SIGKILL, as a power switch.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM, and how it ended within the time.
    pub fn terminate(&mut self, within: Duration) -> Option<std::process::ExitStatus> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        let started = Instant::now();
        while started.elapsed() < within {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A channel that connects when it is used, and again after the server was away.
pub fn channel(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .expect("an address")
        .connect_timeout(Duration::from_secs(2))
        .timeout(Duration::from_secs(20))
        .connect_lazy()
}

/// Creates a workspace without a schema and returns its epoch.
pub async fn create_workspace(channel: Channel, id: &str) -> u64 {
    let request = pb::CreateWorkspaceRequest { workspace_id: id.to_owned(), ..Default::default() };
    let answer = WorkspaceServiceClient::new(channel).create_workspace(request).await.expect("a workspace");
    answer.into_inner().workspace.expect("a workspace").epoch
}
