//! Peers that misuse their connection: they are ended, and cost nobody anything.

use prost::Message as _;
use syncline_protocol::pb;

use crate::harness::http2::{DATA, GO_AWAY, Http2, RESET};
use crate::harness::{IntoValue as _, TestServer, on, within};

const LIST: &str = "/syncline.v1.WorkspaceService/ListWorkspaces";

/// More streams than any peer opens by mistake.
const STREAMS: usize = 20_000;

#[tokio::test]
async fn a_peer_that_provokes_resets_is_sent_away() {
    let server = TestServer::in_memory().await;
    let mut peer = Http2::connect(server.address()).await;
    let mut resets = 0;
    let sent_away = within("the end of the connection", async {
        for _ in 0..STREAMS {
            if !peer.provoke_a_reset(LIST).await {
                return true;
            }
            match peer.next().await {
                Some(frame) if frame.kind == GO_AWAY => return true,
                Some(frame) if frame.kind == RESET => resets += 1,
                Some(_) => {}
                None => return true,
            }
        }
        false
    });
    assert!(sent_away.await, "{STREAMS} streams were reset, and the peer may go on");
    assert!(resets < 2_000, "{resets} resets");
    // Others are served.
    let clients = server.clients().await;
    let listed = clients.workspaces().list_workspaces(pb::ListWorkspacesRequest::default()).await;
    assert!(listed.is_ok(), "{listed:?}");
}

/// The window that a peer has who says nothing of it.
const WINDOW_BYTES: usize = 65_535;

#[tokio::test]
async fn a_peer_that_does_not_read_does_not_hold_up_a_stop() {
    // Longer than the test waits for the stop: what has to be waited for would fail it.
    let settings = [("database.url", "memory:"), ("server.drain_seconds", "600")];
    let mut server = TestServer::with(&settings).await;
    let ws = server.workspace("w").await;
    for n in 0..8 {
        let title = "long ".repeat(6_000);
        ws.write(vec![on("cards", &format!("c{n}")).create_with([("title", title.as_str().into_value())])])
            .await;
    }
    let start = pb::FeedStart {
        workspace_id: "w".to_owned(),
        origin: Some(pb::feed_start::Origin::Beginning(pb::FromBeginning {})),
        ..Default::default()
    };
    let mut peer = Http2::connect(server.address()).await;
    peer.call("/syncline.v1.ChangeService/Watch", &pb::WatchRequest { start: Some(start) }.encode_to_vec())
        .await;
    let mut read = 0;
    within("as much as the window takes", async {
        while read < WINDOW_BYTES {
            let frame = peer.next().await.expect("a frame");
            read += if frame.kind == DATA { frame.payload.len() } else { 0 };
        }
    })
    .await;
    drop(ws);
    // It answers pings, so that nothing else ends it, and never gives room back.
    let peer = tokio::spawn(async move { while peer.next().await.is_some() {} });
    server.stop().await;
    within("the end of the peer", peer).await.expect("no panic");
}
