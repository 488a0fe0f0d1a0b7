//! A database that goes back on what it had committed, under a running server: a restored backup, or a standby that was
//! promoted without having received everything. Nobody is shown two histories as one.

use sqlx::Executor as _;

use crate::harness::ops::card;
use crate::harness::postgres::Database;
use crate::harness::workspace::{latest, request_id};
use crate::harness::{Feed, Heard, Kind, TestServer, Workspace, pb, until};

const TABLES: [&str; 3] = ["workspace_head", "change_log", "state"];

/// A server whose database was at position 7, went on to 10 before the eyes of a feed, and is back at 7.
struct Rewound {
    _database: Database,
    _server: TestServer,
    ws: Workspace,
    at_seven: pb::Cursor,
    /// It has delivered up to position 10.
    feed: Feed,
}

async fn rewound() -> Rewound {
    let database = Database::create().await;
    let server = TestServer::with(&[("database.url", &database.url())]).await;
    let ws = server.workspace("w").await;
    write(&ws, 7).await;
    let at_seven = ws.head().await;
    let mut admin = database.superuser().await;
    for table in TABLES {
        let copy = format!("CREATE TABLE saved_{table} AS TABLE {table}");
        admin.execute(sqlx::AssertSqlSafe(copy)).await.expect("a copy");
    }
    write(&ws, 3).await;
    let mut feed = Feed::open(&ws, Kind::Watch, None).await;
    feed.until(10).await;
    let back: Vec<String> = TABLES
        .iter()
        .map(|table| format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM saved_{table};"))
        .collect();
    let back = format!("BEGIN; {} COMMIT", back.concat());
    admin.execute(sqlx::AssertSqlSafe(back)).await.expect("the past");
    Rewound { _database: database, _server: server, ws, at_seven, feed }
}

/// So many operations in one call.
async fn write(ws: &Workspace, count: usize) {
    let call = request_id();
    let operation = |n: usize| latest(vec![card(&format!("{call}-{n}")).create()]);
    ws.submit_all((0..count).map(operation).collect()).await;
}

#[tokio::test]
async fn a_feed_that_saw_more_than_there_is_now_is_reset() {
    let mut scene = rewound().await;
    assert!(matches!(scene.feed.ending().await, Heard::Reset(pb::ResetReason::FutureCursor)));
    assert_eq!(scene.ws.head_seq().await, 7);
}

#[tokio::test]
async fn a_feed_never_goes_on_with_another_history() {
    let mut scene = rewound().await;
    // Past the old head, before anybody has noticed.
    write(&scene.ws, 5).await;
    assert!(matches!(scene.feed.ending().await, Heard::Reset(pb::ResetReason::WrongEpoch)));
    // One that had seen only what is still there goes on, along the chain of what is there now.
    let resumed = Feed::open(&scene.ws, Kind::Watch, Some(scene.at_seven.clone())).await.until(12).await;
    let whole = Feed::open(&scene.ws, Kind::Watch, None).await.until(12).await;
    assert_eq!(resumed, whole[7..]);
}

#[tokio::test]
async fn another_history_of_the_same_length_is_noticed() {
    let mut scene = rewound().await;
    write(&scene.ws, 3).await;
    assert!(matches!(scene.feed.ending().await, Heard::Reset(pb::ResetReason::WrongEpoch)));
    until("the head of what is there now", || async {
        let whole = Feed::open(&scene.ws, Kind::Watch, None).await.until(10).await;
        (scene.ws.head().await.chain == whole[9].chain).then_some(())
    })
    .await;
}
