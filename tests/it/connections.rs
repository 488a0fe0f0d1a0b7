//! ConnectionService: who is here, under a lease, and how good the link is.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::harness::ops::card;
use crate::harness::workspace::answer;
use crate::harness::{Reason, TestServer, Workspace, fails, pb, until, within};
use pb::keep_alive_request::Message;
use pb::send_heartbeat_request::Connection as Presented;

fn start(ws: &Workspace, replica_id: &str, name: &str) -> pb::ConnectionStart {
    pb::ConnectionStart {
        workspace_id: ws.id.clone(),
        replica_id: replica_id.to_owned(),
        client_name: name.to_owned(),
        actor: format!("{name}'s owner"),
    }
}

fn heartbeat(heartbeat_id: u64, echo: Option<&pb::Heartbeat>, seq: u64) -> pb::Heartbeat {
    let echo_heartbeat_id = echo.map_or(0, |heard| heard.heartbeat_id);
    pb::Heartbeat { heartbeat_id, echo_heartbeat_id, echo_delay_us: 1, seq }
}

fn started(start: pb::ConnectionStart) -> pb::KeepAliveRequest {
    pb::KeepAliveRequest { message: Some(Message::Start(start)) }
}

fn beating(heartbeat: pb::Heartbeat) -> pb::KeepAliveRequest {
    pb::KeepAliveRequest { message: Some(Message::Heartbeat(heartbeat)) }
}

/// A first unary call, as a browser makes it.
pub(crate) fn opening(ws: &Workspace, start: pb::ConnectionStart) -> pb::SendHeartbeatRequest {
    let connection = Some(Presented::Start(start));
    pb::SendHeartbeatRequest { workspace_id: ws.id.clone(), connection, ..Default::default() }
}

/// A unary call of a connection that is open.
pub(crate) fn going_on(ws: &Workspace, connection_id: &str) -> pb::SendHeartbeatRequest {
    let connection = Some(Presented::ConnectionId(connection_id.to_owned()));
    pb::SendHeartbeatRequest { workspace_id: ws.id.clone(), connection, ..Default::default() }
}

/// A connection whose heartbeats come by stream.
struct Link {
    say: mpsc::Sender<pb::KeepAliveRequest>,
    heard: Streaming<pb::KeepAliveResponse>,
}

impl Link {
    async fn open(ws: &Workspace, start: pb::ConnectionStart) -> Link {
        Link::try_open(ws, vec![started(start)]).await.expect("a connection")
    }

    async fn try_open(ws: &Workspace, messages: Vec<pb::KeepAliveRequest>) -> Result<Link, Status> {
        let (say, said) = mpsc::channel(8);
        for message in messages {
            say.send(message).await.expect("room");
        }
        let opened =
            within("KeepAlive", ws.clients.connections().keep_alive(ReceiverStream::new(said))).await?;
        Ok(Link { say, heard: opened.into_inner() })
    }

    async fn send(&self, heartbeat: pb::Heartbeat) {
        let _ = self.say.send(beating(heartbeat)).await;
    }

    async fn try_next(&mut self) -> Result<Option<pb::KeepAliveResponse>, Status> {
        within("a heartbeat", self.heard.message()).await
    }

    async fn next(&mut self) -> pb::KeepAliveResponse {
        self.try_next().await.expect("a heartbeat").expect("not the end")
    }

    /// The error that ends the stream.
    async fn failure(&mut self) -> Status {
        loop {
            match self.try_next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended without an error"),
                Err(status) => return status,
            }
        }
    }
}

async fn list(ws: &Workspace, page_size: u32, page_token: &str) -> pb::ListConnectionsResponse {
    let request = pb::ListConnectionsRequest {
        workspace_id: ws.id.clone(),
        page_size,
        page_token: page_token.to_owned(),
    };
    answer(within("ListConnections", ws.clients.connections().list_connections(request)).await)
}

pub(crate) async fn present(ws: &Workspace) -> Vec<pb::Connection> {
    list(ws, 0, "").await.connections
}

/// One heartbeat by a unary call.
pub(crate) async fn unary(
    ws: &Workspace,
    request: pb::SendHeartbeatRequest,
) -> Result<pb::SendHeartbeatResponse, Status> {
    within("SendHeartbeat", ws.clients.connections().send_heartbeat(request))
        .await
        .map(tonic::Response::into_inner)
}

pub(crate) async fn disconnect(ws: &Workspace, connection_id: &str) {
    let request =
        pb::DisconnectRequest { workspace_id: ws.id.clone(), connection_id: connection_id.to_owned() };
    answer(within("Disconnect", ws.clients.connections().disconnect(request)).await);
}

/// Rows of connections are written once a second.
const ROW_OUTLIVES_LEASE: Duration = Duration::from_millis(1_500);

/// With heartbeats every second, a lease is 2.5 seconds.
const QUICK: [(&str, &str); 2] = [("heartbeat.interval_seconds", "1"), ("database.url", "memory:")];

#[tokio::test]
async fn heartbeats_by_stream_measure_the_round_trip_at_both_ends() {
    let server = TestServer::with(&QUICK).await;
    let ws = server.workspace("w").await;
    ws.write(vec![card("c1").create()]).await;
    let replica = ws.replica(1, "").id;
    let mut link = Link::open(&ws, start(&ws, &replica, "phone")).await;
    let first = link.next().await;
    let told = first.server.expect("what the server knows");
    assert_eq!((told.head_seq, told.epoch), (1, ws.epoch));
    assert_eq!((told.heartbeat_interval_ms, told.lease_ms), (1_000, 2_500));
    let mut last = first.heartbeat.expect("a heartbeat");
    assert_eq!((last.heartbeat_id, last.echo_heartbeat_id), (1, 0));
    assert_eq!(first.end(), pb::ConnectionEnd::Unspecified);

    let mut quality = pb::LinkQuality::default();
    for heartbeat_id in 1..5 {
        link.send(heartbeat(heartbeat_id, Some(&last), 1)).await;
        let next = link.next().await;
        assert_eq!(next.connection_id, first.connection_id);
        let heard = next.heartbeat.expect("a heartbeat");
        assert_eq!((heard.heartbeat_id, heard.echo_heartbeat_id), (last.heartbeat_id + 1, heartbeat_id));
        last = heard;
        quality = next.server.expect("the server's view").quality.expect("a quality");
    }
    assert_eq!(quality.received_count, 4);
    assert_eq!(quality.missed_count, 0);
    assert!((1..10_000_000).contains(&quality.round_trip_us), "{quality:?}");
    let connection = present(&ws).await.remove(0);
    assert_eq!(connection.quality, Some(quality));
    assert_eq!((connection.connection_id, connection.seq), (first.connection_id, 1));
}

#[tokio::test]
async fn a_heartbeat_that_expects_an_answer_is_answered_at_once() {
    // The interval is 15 seconds: an answer within the test's patience of 5 is no ordinary heartbeat.
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let mut link = Link::open(&ws, start(&ws, "", "phone")).await;
    link.next().await;
    for heartbeat_id in 1..6 {
        let head = ws.write(vec![card(&format!("c{heartbeat_id}")).create()]).await;
        link.send(heartbeat(heartbeat_id, None, 0)).await;
        let answer =
            tokio::time::timeout(Duration::from_secs(5), link.next()).await.expect("an answer at once");
        assert_eq!(answer.heartbeat.map(|h| h.echo_heartbeat_id), Some(heartbeat_id));
        assert_eq!(answer.server.map(|s| s.head_seq), Some(head), "the client knows its lag");
    }
}

#[tokio::test]
async fn everybody_who_is_connected_is_listed_by_pages() {
    let server = TestServer::in_memory().await;
    let (ws, other) = (server.workspace("w").await, server.workspace("other").await);
    let replica = ws.replica(1, "").id;
    let mut phone = Link::open(&ws, start(&ws, &replica, "phone")).await;
    let mut reader = Link::open(&ws, start(&ws, "", "reader")).await;
    let mut elsewhere = Link::open(&other, start(&other, "", "elsewhere")).await;
    let opened = opening(&ws, start(&ws, "", "browser"));
    let browser = unary(&ws, opened).await.expect("a connection");
    let mut expected =
        vec![phone.next().await.connection_id, reader.next().await.connection_id, browser.connection_id];
    elsewhere.next().await;
    expected.sort();

    let all = present(&ws).await;
    assert_eq!(all.iter().map(|c| c.connection_id.clone()).collect::<Vec<_>>(), expected);
    let phone = all.iter().find(|c| c.client_name == "phone").expect("the phone");
    assert_eq!((&phone.replica_id, phone.actor.as_str()), (&replica, "phone's owner"));
    assert_eq!(phone.transport(), pb::ConnectionTransport::Stream);
    let (connect, heard, lease) = (phone.connect_time, phone.last_heartbeat_time, phone.lease_expire_time);
    assert!(connect.is_some() && heard.map(|t| t.seconds) < lease.map(|t| t.seconds));
    let browser = all.iter().find(|c| c.client_name == "browser").expect("the browser");
    assert_eq!(browser.transport(), pb::ConnectionTransport::Unary);

    let mut paged = Vec::new();
    let mut token = String::new();
    loop {
        let page = list(&ws, 2, &token).await;
        assert!(page.connections.len() <= 2);
        paged.extend(page.connections.into_iter().map(|c| c.connection_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, expected);
    let request = pb::ListConnectionsRequest {
        page_token: "other:1".to_owned(),
        workspace_id: ws.id.clone(),
        page_size: 0,
    };
    fails(
        within("ListConnections", ws.clients.connections().list_connections(request)).await,
        Reason::InvalidPageToken,
    );
}

#[tokio::test]
async fn a_browser_sends_heartbeats_by_unary_calls_and_tells_what_it_measured() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let head = ws.write(vec![card("c1").create()]).await;
    let opened = pb::SendHeartbeatRequest {
        heartbeat: Some(heartbeat(1, None, 0)),
        ..opening(&ws, start(&ws, "", "browser"))
    };
    let first = unary(&ws, opened).await.expect("a connection");
    assert_eq!(first.heartbeat.map(|h| h.echo_heartbeat_id), Some(1));
    assert_eq!(first.server.as_ref().map(|s| (s.head_seq, s.lease_ms)), Some((head, 37_500)));
    for (heartbeat_id, measured) in [(2, 8_000), (3, 8_800)] {
        let next = pb::SendHeartbeatRequest {
            heartbeat: Some(heartbeat(heartbeat_id, None, head)),
            measured_round_trip_us: measured,
            ..going_on(&ws, &first.connection_id)
        };
        let answer = unary(&ws, next).await.expect("a heartbeat");
        assert_eq!(answer.connection_id, first.connection_id);
        assert_eq!(answer.heartbeat.map(|h| h.echo_heartbeat_id), Some(heartbeat_id));
    }
    let connection = present(&ws).await.remove(0);
    let quality = connection.quality.expect("a quality");
    assert_eq!((connection.seq, quality.received_count), (head, 3));
    assert_eq!((quality.round_trip_us, quality.jitter_us), (8_100, 50), "smoothed by 1/8 and 1/16");
}

#[tokio::test]
async fn a_connection_without_heartbeats_ends_with_its_lease() {
    let server = TestServer::with(&QUICK).await;
    let ws = server.workspace("w").await;
    let opened = opening(&ws, start(&ws, "", "browser"));
    let browser = unary(&ws, opened).await.expect("a connection");
    let mut silent = Link::open(&ws, start(&ws, "", "phone")).await;
    let id = silent.next().await.connection_id;
    assert_eq!(present(&ws).await.len(), 2);
    let fault = fails(Err::<(), _>(silent.failure().await), Reason::UnknownConnection);
    assert_eq!(fault.metadata["connection_id"], id);
    until("an empty list", || async { present(&ws).await.is_empty().then_some(()) }).await;
    // It stays over, whenever the client asks: the row that servers on one database share outlives the lease by the time
    // it took to write it.
    let over_at = Instant::now();
    while over_at.elapsed() < ROW_OUTLIVES_LEASE {
        let late = going_on(&ws, &browser.connection_id);
        let fault = fails(unary(&ws, late).await, Reason::UnknownConnection);
        assert_eq!(fault.metadata["connection_id"], browser.connection_id);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The client opens another one and goes on.
    let again = opening(&ws, start(&ws, "", "browser"));
    assert_ne!(unary(&ws, again).await.expect("a connection").connection_id, browser.connection_id);
}

#[tokio::test]
async fn heartbeats_that_did_not_come_are_counted() {
    let server = TestServer::with(&QUICK).await;
    let ws = server.workspace("w").await;
    for _ in 0..10 {
        let opened = opening(&ws, start(&ws, "", "browser"));
        let connection_id = unary(&ws, opened).await.expect("a connection").connection_id;
        // Between one and a half intervals, when a heartbeat counts as missed, and two and a half, when the lease ends.
        tokio::time::sleep(Duration::from_millis(1_800)).await;
        match unary(&ws, going_on(&ws, &connection_id)).await {
            Ok(answer) => {
                let quality = answer.server.expect("a state").quality.expect("a quality");
                assert_eq!((quality.received_count, quality.missed_count), (2, 1));
                return;
            }
            // This machine was slower than the lease: once more.
            Err(status) => drop(fails(Err::<(), _>(status), Reason::UnknownConnection)),
        }
    }
    panic!("no heartbeat within a lease in ten attempts");
}

#[tokio::test]
async fn a_connection_can_be_ended_and_ending_it_again_is_no_error() {
    let server = TestServer::with(&QUICK).await;
    let ws = server.workspace("w").await;
    let mut link = Link::open(&ws, start(&ws, "", "phone")).await;
    let id = link.next().await.connection_id;
    disconnect(&ws, &id).await;
    assert!(present(&ws).await.is_empty());
    disconnect(&ws, &id).await;
    disconnect(&ws, "no such thing").await;
    link.send(heartbeat(1, None, 0)).await;
    fails(Err::<(), _>(link.failure().await), Reason::UnknownConnection);
}

#[tokio::test]
async fn presence_ends_with_the_stream() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let mut one = Link::open(&ws, start(&ws, "", "one")).await;
    let mut two = Link::open(&ws, start(&ws, "", "two")).await;
    one.next().await;
    two.next().await;
    assert_eq!(present(&ws).await.len(), 2);
    // One closes its side, the other just goes.
    let Link { say, mut heard } = one;
    drop(say);
    drop(two);
    while within("the end", heard.message()).await.expect("no error").is_some() {}
    until("an empty list", || async { present(&ws).await.is_empty().then_some(()) }).await;
}

#[tokio::test]
async fn a_stopping_server_says_so_in_its_last_message() {
    let mut server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let mut link = Link::open(&ws, start(&ws, "", "phone")).await;
    link.next().await;
    server.begin_stop();
    let last = link.next().await;
    assert_eq!(last.end(), pb::ConnectionEnd::Draining);
    assert_eq!(link.try_next().await.expect("no error"), None);
    server.stop().await;
}

#[tokio::test]
async fn a_connection_begins_with_start_and_has_one() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let nothing = pb::KeepAliveRequest { message: None };
    for first in [beating(heartbeat(1, None, 0)), nothing.clone()] {
        fails(Link::try_open(&ws, vec![first]).await.map(|_| ()), Reason::StreamProtocol);
    }
    let first = started(start(&ws, "", "phone"));
    for second in [first.clone(), nothing] {
        let mut twice = Link::try_open(&ws, vec![first.clone(), second]).await.expect("a connection");
        fails(Err::<(), _>(twice.failure().await), Reason::StreamProtocol);
    }
    let neither = pb::SendHeartbeatRequest { workspace_id: ws.id.clone(), ..Default::default() };
    assert_eq!(fails(unary(&ws, neither).await, Reason::InvalidRequest).violations[0].0, "connection");
    fails(unary(&ws, going_on(&ws, "")).await, Reason::UnknownConnection);
    let nowhere = pb::SendHeartbeatRequest {
        workspace_id: "nowhere".to_owned(),
        ..opening(&ws, pb::ConnectionStart { workspace_id: String::new(), ..start(&ws, "", "phone") })
    };
    fails(unary(&ws, nowhere).await, Reason::UnknownWorkspace);
    let nil = start(&ws, "00000000-0000-0000-0000-000000000000", "phone");
    let fault = fails(unary(&ws, opening(&ws, nil)).await, Reason::InvalidRequest);
    assert_eq!(fault.violations[0].0, "start.replica_id");
    until("an empty list", || async { present(&ws).await.is_empty().then_some(()) }).await;
}

#[tokio::test]
async fn a_connection_belongs_to_the_workspace_it_was_opened_in() {
    let server = TestServer::in_memory().await;
    let (ws, other) = (server.workspace("w").await, server.workspace("other").await);
    let elsewhere = opening(&ws, start(&other, "", "browser"));
    let fault = fails(unary(&ws, elsewhere).await, Reason::InvalidRequest);
    assert_eq!(fault.violations[0].0, "start.workspace_id");
    // The workspace of a unary start may be left out: the request has it.
    let nameless = pb::ConnectionStart { workspace_id: String::new(), ..start(&ws, "", "browser") };
    let id = unary(&ws, opening(&ws, nameless)).await.expect("a connection").connection_id;
    fails(unary(&other, going_on(&other, &id)).await, Reason::UnknownConnection);
    disconnect(&other, &id).await;
    unary(&ws, going_on(&ws, &id)).await.expect("still there");
    assert_eq!((present(&ws).await.len(), present(&other).await.len()), (1, 0));
    disconnect(&ws, &id).await;
    assert!(present(&ws).await.is_empty());
    let request = pb::DisconnectRequest { workspace_id: "nowhere".to_owned(), connection_id: id };
    let disconnected = within("Disconnect", ws.clients.connections().disconnect(request)).await;
    fails(disconnected, Reason::UnknownWorkspace);
}
