//! Peers that misuse their connection: they are ended, and cost nobody anything.

use syncline_protocol::pb;

use crate::harness::http2::{GO_AWAY, Http2, RESET};
use crate::harness::{TestServer, within};

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
