//! Real proxies between a client and the server: what a client is sent arrives at once, not when a feed ends.
//! `docs/proxies.md` has the configurations; these tests take them from there.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pb::change_service_client::ChangeServiceClient;
use pb::frame::Content;
use prost::Message as _;
use tempfile::TempDir;
use tonic::transport::Endpoint;

use crate::harness::ops::card;
use crate::harness::web::{Part, Response, grpc_web};
use crate::harness::{TestServer, Workspace, pb, until, within};

const WATCH: &str = "/syncline.v1.ChangeService/Watch";
const DOCUMENT: &str = include_str!("../../docs/proxies.md");
/// How long a change may take through a proxy on the same machine.
const AT_ONCE: Duration = Duration::from_secs(2);
/// How long nothing is written in the long test.
const IDLE: Duration = Duration::from_secs(5 * 60);
/// The addresses in the document: where the proxy listens, and where the server is.
const LISTENS: &str = "8080";
const SERVER: &str = "127.0.0.1:7447";

/// A program that stands between.
struct Proxy {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    /// Starts a program with the configuration that the document gives under this title.
    async fn start(title: &str, server: SocketAddr) -> Proxy {
        let configuration = configurations().remove(title).unwrap_or_else(|| panic!("{title} is documented"));
        Proxy::start_with(title, &configuration, server).await
    }

    async fn start_with(title: &str, configuration: &str, server: SocketAddr) -> Proxy {
        let folder = TempDir::new().expect("a folder");
        // Free now, and taken by nobody else before the proxy does, unless by a rare accident.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let configuration =
            configuration.replace(LISTENS, &address.port().to_string()).replace(SERVER, &server.to_string());
        let child = program(title, &configuration, &folder).spawn().unwrap_or_else(|e| {
            panic!("{title}: {e}; scripts/test.sh installs the proxies");
        });
        let proxy = Proxy { child, address, _folder: folder };
        until("the proxy listens", || async { tokio::net::TcpStream::connect(address).await.ok() }).await;
        proxy
    }
}

/// The configurations of the document, by the title above each.
fn configurations() -> BTreeMap<&'static str, String> {
    let mut found = BTreeMap::new();
    let (mut title, mut block) = ("", None::<String>);
    for line in DOCUMENT.lines() {
        match (&mut block, line) {
            (None, line) if line.starts_with("```") => block = Some(String::new()),
            (Some(text), "```") => {
                found.insert(title, std::mem::take(text));
                block = None;
            }
            (Some(text), line) => text.extend([line, "\n"]),
            (None, line) => title = line.strip_prefix("## ").unwrap_or(title),
        }
    }
    found
}

/// How a proxy is started as an ordinary program, with everything it writes in a folder of its own.
fn program(title: &str, configuration: &str, folder: &TempDir) -> Command {
    let file = folder.path().join("configuration");
    let own = folder.path().display();
    let mut command = match title.split_whitespace().next() {
        Some("nginx") => {
            let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|name| format!("{name}_temp_path {own}/{name};\n"))
                .concat();
            let whole = format!(
                "daemon off;\nmaster_process off;\npid {own}/pid;\nerror_log stderr warn;\nevents {{}}\nhttp {{\n\
                 access_log off;\n{temporary}{configuration}}}\n"
            );
            std::fs::write(&file, whole).expect("a configuration");
            let mut command = Command::new("nginx");
            command.arg("-c").arg(&file).arg("-p").arg(folder.path()).args(["-e", "stderr"]);
            command
        }
        Some("HAProxy") => {
            std::fs::write(&file, configuration).expect("a configuration");
            let mut command = Command::new("haproxy");
            command.arg("-db").arg("-f").arg(&file);
            command
        }
        Some("Caddy") => {
            let ours = format!(
                "{{\n  admin off\n  auto_https off\n  log {{\n    level ERROR\n  }}\n  storage file_system {own}\n"
            );
            std::fs::write(&file, configuration.replacen("{\n", &ours, 1)).expect("a configuration");
            let mut command = Command::new("caddy");
            command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file).env("HOME", folder.path());
            command
        }
        _ => panic!("no program for {title}"),
    };
    // Programs of servers are where the PATH of ordinary users may not lead.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin")).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn from_the_beginning(ws: &Workspace) -> pb::WatchRequest {
    let start = pb::FeedStart {
        workspace_id: ws.id.clone(),
        origin: Some(pb::feed_start::Origin::Beginning(pb::FromBeginning {})),
        ..Default::default()
    };
    pb::WatchRequest { start: Some(start) }
}

async fn next_frame(response: &mut Response) -> Content {
    match response.part().await {
        Some(Part::Message(bytes)) => {
            let told = pb::WatchResponse::decode(bytes.as_slice()).expect("a frame");
            told.frame.and_then(|frame| frame.content).expect("content")
        }
        other => panic!("no frame: {other:?}"),
    }
}

/// What a browser follows through a proxy comes when it is written, after a silence, too.
async fn a_browser_follows(title: &str, silence: Duration) {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let proxy = Proxy::start(title, server.address()).await;
    let mut response = grpc_web(proxy.address, WATCH, &from_the_beginning(&ws).encode_to_vec()).await;
    assert_eq!(response.status, 200);
    assert!(matches!(next_frame(&mut response).await, Content::Opened(_)));
    ws.write(vec![card("c1").create()]).await;
    assert!(matches!(next_frame(&mut response).await, Content::Changes(_)));
    tokio::time::sleep(silence).await;
    let written = Instant::now();
    ws.write(vec![card("c1").increment("votes", 1)]).await;
    loop {
        match next_frame(&mut response).await {
            Content::Checkpoint(_) => {}
            Content::Changes(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(written.elapsed() < AT_ONCE, "{title} held a change back for {:?}", written.elapsed());
}

/// What a client with gRPC follows through a proxy comes when it is written, after a silence, too.
async fn a_client_follows(title: &str, silence: Duration) {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let proxy = Proxy::start(title, server.address()).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", proxy.address)).expect("an address");
    let channel = within("a connection", endpoint.connect()).await.expect("a connection");
    let mut client = ChangeServiceClient::new(channel);
    let opened = within("a feed", client.watch(from_the_beginning(&ws))).await.expect("a feed");
    let mut frames = opened.into_inner();
    let mut next = async || {
        let frame = within("a frame", frames.message()).await.expect("no error").expect("a frame").frame;
        frame.and_then(|frame| frame.content).expect("content")
    };
    assert!(matches!(next().await, Content::Opened(_)));
    ws.write(vec![card("c1").create()]).await;
    assert!(matches!(next().await, Content::Changes(_)));
    tokio::time::sleep(silence).await;
    let written = Instant::now();
    ws.write(vec![card("c1").increment("votes", 1)]).await;
    loop {
        match next().await {
            Content::Checkpoint(_) => {}
            Content::Changes(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(written.elapsed() < AT_ONCE, "{title} held a change back for {:?}", written.elapsed());
}

#[tokio::test]
async fn browsers_follow_through_nginx() {
    a_browser_follows("nginx for browsers", Duration::ZERO).await;
}

/// The control: what the test above would see if nginx were not told.
#[tokio::test]
async fn an_nginx_that_does_not_listen_holds_a_feed_back() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    ws.write(vec![card("c1").create()]).await;
    let title = "nginx for browsers";
    let deaf = configurations()[title]
        .replace("proxy_pass", "proxy_ignore_headers X-Accel-Buffering;\n    proxy_pass");
    let proxy = Proxy::start_with(title, &deaf, server.address()).await;
    let first_frame = async {
        let request = from_the_beginning(&ws).encode_to_vec();
        next_frame(&mut grpc_web(proxy.address, WATCH, &request).await).await
    };
    assert!(tokio::time::timeout(AT_ONCE, first_frame).await.is_err(), "a frame came");
}

#[tokio::test]
async fn clients_follow_through_nginx() {
    a_client_follows("nginx for gRPC", Duration::ZERO).await;
}

#[tokio::test]
async fn browsers_follow_through_haproxy() {
    a_browser_follows("HAProxy for browsers", Duration::ZERO).await;
}

#[tokio::test]
async fn clients_follow_through_haproxy() {
    a_client_follows("HAProxy for gRPC", Duration::ZERO).await;
}

#[tokio::test]
async fn browsers_follow_through_caddy() {
    a_browser_follows("Caddy", Duration::ZERO).await;
}

#[tokio::test]
async fn clients_follow_through_caddy() {
    a_client_follows("Caddy", Duration::ZERO).await;
}

#[tokio::test]
#[ignore = "five minutes: make proxies"]
async fn five_idle_minutes_end_no_feed() {
    tokio::join!(
        a_browser_follows("nginx for browsers", IDLE),
        a_client_follows("nginx for gRPC", IDLE),
        a_browser_follows("HAProxy for browsers", IDLE),
        a_client_follows("HAProxy for gRPC", IDLE),
        a_browser_follows("Caddy", IDLE),
        a_client_follows("Caddy", IDLE),
    );
}
