//! Postgres in trouble under a server that is never restarted: every failure is typed, nothing is half done, and the
//! server works again within 5 seconds of the database's return.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Executor as _};
use tokio::task::JoinSet;

use crate::harness::ops::card;
use crate::harness::postgres::Database;
use crate::harness::receipts::{original, settled};
use crate::harness::workspace::state;
use crate::harness::{Feed, Kind, Reason, Replica, TestServer, Workspace, fails, pb, until};

/// "Ready within 5 s of its return without a restart."
const BACK_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for one failure: a connection that does not answer is given up after 5 s, and opening another 3 s later.
const FAILS_TIMEOUT: Duration = Duration::from_secs(15);

/// A server on a cluster of its own, a workspace with a card, and an author.
struct Scene {
    database: Database,
    _server: TestServer,
    ws: Workspace,
    ada: Replica,
}

impl Scene {
    async fn new() -> Scene {
        let database = Database::alone().await;
        let server = TestServer::with(&[("database.url", &database.url())]).await;
        let ws = server.workspace("w").await;
        ws.write(vec![card("c").create()]).await;
        let ada = ws.replica(1, "ada").having_seen(1);
        Scene { database, _server: server, ws, ada }
    }

    fn vote(&mut self) -> pb::Operation {
        self.ada.op(vec![card("c").increment("votes", 1)])
    }

    /// A write that fails in time and says so.
    async fn fails(&mut self) -> pb::Operation {
        let operation = self.vote();
        let started = Instant::now();
        fails(self.ws.try_submit(vec![operation.clone()]).await, Reason::StoreUnavailable);
        assert!(started.elapsed() < FAILS_TIMEOUT, "{:?}", started.elapsed());
        operation
    }

    /// The operation is sent until it has an outcome, which has to be soon.
    async fn works_again(&mut self, operation: pb::Operation) {
        let back = Instant::now();
        loop {
            match self.ws.try_submit(vec![operation.clone()]).await {
                Ok(answer) => {
                    settled(&original(&answer.receipts[0]));
                    break;
                }
                failed => drop(fails(failed, Reason::StoreUnavailable)),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(back.elapsed() < BACK_TIMEOUT, "back after {:?}", back.elapsed());
    }

    /// Every vote counts once, the log has no gap, and no transaction was left open.
    async fn all_is_well(&mut self) {
        let votes = state(&self.ws.record("c").await, "votes");
        assert_eq!(votes, pb::field_state::State::Counter(self.ada.counter.cast_signed()));
        let head = 1 + self.ada.counter;
        assert_eq!(self.ws.head_seq().await, head);
        assert_eq!(Feed::open(&self.ws, Kind::Watch, None).await.until(head).await.len() as u64, head);
        self.database.has_no_idle_transaction().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_restarted_is_used_again() {
    let mut scene = Scene::new().await;
    let mut feed = Feed::open(&scene.ws, Kind::Watch, None).await;
    feed.until(1).await;
    for _ in 0..3 {
        tokio::task::block_in_place(|| scene.database.cluster().stop());
        let operation = scene.fails().await;
        tokio::task::block_in_place(|| scene.database.cluster().restart());
        scene.works_again(operation).await;
    }
    scene.all_is_well().await;
    // The feed was open all the time, and has what it needs in memory.
    feed.until(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stands_still_fails_calls_in_time_and_is_used_again() {
    let mut scene = Scene::new().await;
    scene.database.cluster().pause();
    let operation = scene.fails().await;
    fails(scene.ws.try_read("c").await, Reason::StoreUnavailable);
    scene.database.cluster().resume();
    scene.works_again(operation).await;
    scene.all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terminated_sessions_lose_nothing() {
    let mut scene = Scene::new().await;
    let mut admin = scene.database.superuser().await;
    for _ in 0..20 {
        scene.database.terminate_sessions(&mut admin).await;
        let operation = scene.vote();
        scene.works_again(operation).await;
    }
    scene.all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_left_is_a_failure_that_passes() {
    let mut scene = Scene::new().await;
    let mut admin = scene.database.superuser().await;
    let name = scene.database.name().to_owned();
    let limit = |count: i32| AssertSqlSafe(format!("ALTER DATABASE {name} CONNECTION LIMIT {count}"));
    admin.execute(limit(0)).await.expect("a limit");
    scene.database.terminate_sessions(&mut admin).await;
    let operation = scene.fails().await;
    admin.execute(limit(-1)).await.expect("no limit");
    scene.works_again(operation).await;
    scene.all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_result_is_unknown_is_settled_by_sending_again() {
    let mut scene = Scene::new().await;
    let mut admin = scene.database.superuser().await;
    // The commit itself takes its time, with and without effect.
    admin
        .execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END'; \
             CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON change_log DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION slow()",
        )
        .await
        .expect("a trigger");
    let mut failures = 0;
    for n in 0..6 {
        let operation = scene.vote();
        let (ws, sent) = (scene.ws.clone(), operation.clone());
        let call = tokio::spawn(async move { ws.try_submit(vec![sent]).await });
        in_commit(&mut admin).await;
        tokio::time::sleep(Duration::from_millis(n * 100)).await;
        scene.database.terminate_sessions(&mut admin).await;
        match call.await.expect("no panic") {
            Ok(_) => {}
            failed => {
                fails(failed, Reason::StoreUnavailable);
                failures += 1;
            }
        }
        scene.works_again(operation).await;
    }
    assert!(failures > 0, "no commit was cut off");
    scene.all_is_well().await;
}

async fn in_commit(admin: &mut sqlx::PgConnection) {
    let running = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND pid <> pg_backend_pid() AND state = 'active' AND query ILIKE '%COMMIT'";
    while sqlx::query_scalar::<_, i64>(running).fetch_one(&mut *admin).await.expect("an answer") == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_cancelled_calls_leave_no_transaction_open() {
    let database = Database::create().await;
    let server = TestServer::with(&[("database.url", &database.url())]).await;
    let ws = server.workspace("w").await;
    ws.write(vec![card("c").create()]).await;
    let mut calls = JoinSet::new();
    for n in 0..1_000_u64 {
        let ws = ws.clone();
        calls.spawn(async move {
            let patience = Duration::from_micros(n * 7_919 % 12_000);
            let call = async {
                match n % 4 {
                    0 => drop(ws.write(vec![card("c").increment("votes", 1)]).await),
                    1 => drop(ws.record("c").await),
                    2 => drop(ws.inbox().await),
                    _ => drop(Feed::open(&ws, Kind::Watch, None).await.until(1).await),
                }
            };
            drop(tokio::time::timeout(patience, call).await);
        });
        if calls.len() >= 50 {
            calls.join_next().await.expect("a call").expect("no panic");
        }
    }
    while let Some(call) = calls.join_next().await {
        call.expect("no panic");
    }
    database.has_no_idle_transaction().await;
    // What was cancelled is done or not, and never by half; some of it is still on its way.
    until("as many votes as changes", || async {
        let votes = state(&ws.record("c").await, "votes");
        (votes == pb::field_state::State::Counter(ws.head_seq().await.cast_signed() - 1)).then_some(())
    })
    .await;
    database.has_no_idle_transaction().await;
}
