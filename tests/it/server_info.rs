//! ServerService, and what every feed begins with.

use pb::server_service_client::ServerServiceClient;

use crate::harness::workspace::answer;
use crate::harness::{Feed, Kind, TestServer, pb, within};

#[tokio::test]
async fn a_server_says_what_it_is_and_can_do_to_anybody_and_in_every_feed() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let mut client = ServerServiceClient::new(ws.clients.channel.clone());
    let told = within("GetServerInfo", client.get_server_info(pb::GetServerInfoRequest {})).await;
    let info = answer(told).server.expect("a server");
    assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
    for feature in [pb::Feature::Subscriptions, pb::Feature::FeedSnapshot, pb::Feature::AllOrNothing] {
        assert!(info.features.contains(&feature.into()), "{feature:?}");
    }
    let limit = |name: &str| info.limits.iter().find(|limit| limit.name == name).map(|limit| limit.value);
    assert_eq!(limit("operation_bytes"), Some(256 * 1024));
    assert_eq!(limit("feeds_per_stream_count"), Some(16));
    for kind in [Kind::Watch, Kind::Subscribe] {
        let opened = Feed::open(&ws, kind, None).await.opened;
        assert_eq!(opened.server.as_ref(), Some(&info));
        assert_eq!(opened.horizon_seq, 0, "all of the history is there");
    }
}
