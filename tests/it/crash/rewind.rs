//! A database that goes back on what it had committed, under a running server: a restored backup, or a standby that was
//! promoted without having received everything. Nobody is shown two histories as one.

use sqlx::Executor as _;

use crate::harness::ops::card;
use crate::harness::postgres::Database;
use crate::harness::receipts::{applied, refused};
use crate::harness::workspace::{knowing, latest, register, request_id};
use crate::harness::{Feed, Heard, IntoValue as _, Kind, Reason, TestServer, Workspace, pb, until};

const TABLES: [&str; 3] = ["workspace_head", "change_log", "state"];

/// A server whose database was at position 7, went on to 10 before the eyes of a feed, and is back at 7.
struct Rewound {
    _database: Database,
    _server: TestServer,
    ws: Workspace,
    at_seven: pb::Cursor,
    /// It has delivered up to position 10.
    feed: Feed,
    /// What a job read at positions 7 and 10.
    read: [pb::CausalContext; 2],
}

async fn rewound() -> Rewound {
    let database = Database::create().await;
    let server = TestServer::with(&[("database.url", &database.url())]).await;
    let ws = server.workspace("w").await;
    ws.write(vec![card("kept").create_with([("title", "as it was".into_value())])]).await;
    write(&ws, 6).await;
    let at_seven = ws.head().await;
    let before = ws.read("kept").await.1;
    let mut admin = database.superuser().await;
    for table in TABLES {
        let copy = format!("CREATE TABLE saved_{table} AS TABLE {table}");
        admin.execute(sqlx::AssertSqlSafe(copy)).await.expect("a copy");
    }
    ws.write(vec![card("kept").set("title", "lost")]).await;
    write(&ws, 2).await;
    let read = [before, ws.read("kept").await.1];
    let mut feed = Feed::open(&ws, Kind::Watch, None).await;
    feed.until(10).await;
    let back: Vec<String> = TABLES
        .iter()
        .map(|table| format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM saved_{table};"))
        .collect();
    let back = format!("BEGIN; {} COMMIT", back.concat());
    admin.execute(sqlx::AssertSqlSafe(back)).await.expect("the past");
    Rewound { _database: database, _server: server, ws, at_seven, feed, read }
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

#[tokio::test]
async fn a_job_that_read_what_is_gone_does_not_overwrite_what_took_its_place() {
    let scene = rewound().await;
    let [before, gone] = scene.read;
    let write_title = |context: &pb::CausalContext| knowing(context, vec![card("kept").set("title", "mine")]);
    let early = write_title(&gone);
    refused(&scene.ws.submit(early.clone()).await, Reason::ContextAhead);
    // Somebody else writes, past the old head: by its number alone the position is there again.
    scene.ws.write(vec![card("kept").set("title", "after the restore")]).await;
    write(&scene.ws, 4).await;
    let receipt = scene.ws.submit(early.clone()).await;
    assert_eq!(refused(&receipt, Reason::HistoryRewound).metadata["base_seq"], "10");
    let mut ada = scene.ws.replica(1, "ada");
    ada.context = gone.clone();
    let by_ada = scene.ws.submit(ada.op(vec![card("kept").set("title", "hers")])).await;
    assert_eq!(refused(&by_ada, Reason::HistoryRewound).expected_counter, 1);
    assert_eq!(register(&scene.ws.record("kept").await, "title"), "after the restore".into_value());
    // What both histories have in common is as good as ever: it meets what was written since.
    crate::harness::receipts::one_conflict(&scene.ws.submit(write_title(&before)).await);
    // Read again, decided again, under the same request id.
    let (_, now) = scene.ws.read("kept").await;
    let knowledge = Some(pb::operation::Knowledge::Context(now));
    applied(&scene.ws.submit(pb::Operation { knowledge, ..early }).await);
    // Who does not say what it saw is taken at its word, as before.
    let silent = pb::CausalContext { base_chain: Default::default(), ..gone };
    crate::harness::receipts::settled(&scene.ws.submit(write_title(&silent)).await);
}
