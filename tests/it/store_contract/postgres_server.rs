//! What only a store behind a server of its own has: lost connections, locks of others, unknown commits.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Executor, PgConnection};
use syncline::store::postgres::PostgresStore;

use super::Database;
use super::fixtures::*;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

async fn number(conn: &mut PgConnection, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(conn).await.unwrap()
}

/// Waits until a query gives a number.
async fn until_number(conn: &mut PgConnection, sql: &str, wanted: i64) {
    number_within(PATIENCE, conn, sql, wanted).await;
}

async fn number_within(patience: Duration, conn: &mut PgConnection, sql: &str, wanted: i64) {
    let started = Instant::now();
    loop {
        let found = number(conn, sql).await;
        if found == wanted {
            return;
        }
        assert!(started.elapsed() < patience, "{found} instead of {wanted}: {sql}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const IN_TRANSACTION: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                              AND pid <> pg_backend_pid() AND backend_type = 'client backend' \
                              AND (state LIKE 'idle in transaction%' OR state = 'active')";
const CONNECTED: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                         AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
const TERMINATE: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                         WHERE datname = current_database() AND pid <> pg_backend_pid() \
                         AND backend_type = 'client backend'";

/// A connection that is ended by the server in the middle of a transaction undoes it and is a failure that may pass;
/// whoever comes next notices nothing.
#[tokio::test]
async fn an_ended_connection_undoes_its_transaction() {
    let database = Database::create().await;
    let store = database.store().await;
    let mut superuser = database.superuser().await;
    let ws = workspace(&store, "w").await;
    for n in 1..=3 {
        let mut writer = store.writer().await.unwrap();
        writer.head(ws).await.unwrap();
        writer.write(ws, &batch([], vec![change(n, 9, 9)]), &head(n)).await.unwrap();
        writer.count(ws, &Prefix::Records).await.unwrap();
        let mut open = reader(&store).await;
        open.head(ws).await.unwrap();
        number(&mut superuser, TERMINATE).await;
        let result = writer.commit().await;
        assert!(matches!(result, Err(StoreError::CommitUnknown(_) | StoreError::Database(_))), "{result:?}");
        let result = open.head(ws).await;
        assert!(matches!(result, Err(StoreError::Database(_))), "{result:?}");
        // Kept connections are dead as well, and are replaced without a word.
        assert_eq!(reader(&store).await.head(ws).await.unwrap(), Some(head(n - 1)));
        store.shared().unwrap().announce(&[ws]).await.unwrap();
        write(&store, ws, &batch([], vec![change(n, 1, n)]), &head(n)).await.unwrap();
    }
}

/// Connections that were kept and have died meanwhile are replaced without a word, however many they are.
#[tokio::test]
async fn dead_connections_are_replaced() {
    let database = Database::create().await;
    let store = database.store().await;
    let mut superuser = database.superuser().await;
    let ws = workspace(&store, "w").await;
    let mut readers = Vec::new();
    for _ in 0..5 {
        let mut open = reader(&store).await;
        open.head(ws).await.unwrap();
        readers.push(open);
    }
    drop(readers);
    until_number(&mut superuser, IN_TRANSACTION, 0).await;
    assert_eq!(number(&mut superuser, TERMINATE).await, 6);
    until_number(&mut superuser, CONNECTED, 0).await;
    assert_eq!(reader(&store).await.head(ws).await.unwrap(), Some(head(0)));
    assert_eq!(store.shared().unwrap().heads(&[ws]).await.unwrap(), [(ws, head(0))]);
    write(&store, ws, &batch([], vec![change(1, 1, 1)]), &head(1)).await.unwrap();
}

/// Whoever waits too long for a head is told that others are writing; nothing was done.
#[tokio::test]
async fn a_head_that_stays_locked_is_contended() {
    let database = Database::create().await;
    let store = database.store().await;
    let ws = workspace(&store, "w").await;
    let mut first = store.writer().await.unwrap();
    first.head(ws).await.unwrap();
    let mut second = store.writer().await.unwrap();
    let result = second.head(ws).await;
    assert!(matches!(result, Err(StoreError::Contended(_))), "{result:?}");
    let result = second.commit().await;
    assert!(matches!(result, Err(StoreError::Inconsistent(_))), "{result:?}");
    first.write(ws, &batch([], vec![change(1, 1, 1)]), &head(1)).await.unwrap();
    first.commit().await.unwrap();
}

/// Two writers that lock two workspaces in opposite order do not wait for ever: one of them is told to try again.
#[tokio::test]
async fn a_deadlock_is_contended() {
    let database = Database::create().await;
    let store = database.store().await;
    let (a, b) = (workspace(&store, "a").await, workspace(&store, "b").await);
    let (mut first, mut second) = (store.writer().await.unwrap(), store.writer().await.unwrap());
    first.head(a).await.unwrap();
    second.head(b).await.unwrap();
    let results = tokio::join!(
        async {
            let result = first.head(b).await;
            drop(first);
            result
        },
        async {
            let result = second.head(a).await;
            drop(second);
            result
        }
    );
    let contended = |r: &Result<_, StoreError>| matches!(r, Err(StoreError::Contended(_)));
    assert!(contended(&results.0) || contended(&results.1), "{results:?}");
}

/// A thousand calls that are given up at any moment leave no transaction open and no connection behind.
#[tokio::test]
async fn a_thousand_cancelled_calls_leave_nothing_open() {
    let database = Database::create().await;
    let store = database.store().await;
    let mut superuser = database.superuser().await;
    let ws = workspace(&store, "w").await;
    let rows = (0..300).map(|n| (record(&n.to_string()), Some(Arc::new(row(n))))).collect();
    write(&store, ws, &WriteBatch { rows, changes: Vec::new() }, &head(0)).await.unwrap();
    for n in 0..1_000_usize {
        let polls = 1 + n % 7;
        if n % 2 == 0 {
            let reading = async {
                let mut reader = store.reader().await?;
                reader.range(ws, &Prefix::Records, None, 99, Order::Ascending).await?;
                reader.head(ws).await
            };
            drop(give_up_after(polls, reading).await);
        } else {
            let writing = async {
                let mut writer = store.writer().await?;
                let head = writer.head(ws).await?.unwrap();
                writer.write(ws, &put([(record("a"), n as u64)]), &head).await?;
                writer.count(ws, &Prefix::Records).await?;
                writer.commit().await
            };
            drop(give_up_after(polls, writing).await);
        }
        if n % 100 == 99 {
            // Sooner than the server would end them by itself.
            number_within(Duration::from_secs(3), &mut superuser, IN_TRANSACTION, 0).await;
            // The connections that are being cleaned up are among those that may be open at all.
            assert!(number(&mut superuser, CONNECTED).await <= 16 + 3);
        }
    }
    write(&store, ws, &batch([], vec![change(1, 1, 1)]), &head(1)).await.unwrap();
    assert_eq!(reader(&store).await.head(ws).await.unwrap(), Some(head(1)));
}

/// Makes every commit of something in the log wait, so that it can be interrupted.
async fn slow_commits(superuser: &mut PgConnection, then: &str) {
    let sql = format!(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {then}; RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON change_log DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION slow()"
    );
    superuser.execute(AssertSqlSafe(sql)).await.unwrap();
}

/// A connection that is lost while the commit is under way leaves its result unknown, and says so.
#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_unknown() {
    let database = Database::create().await;
    let store = Arc::new(database.store().await);
    let mut superuser = database.superuser().await;
    let ws = workspace(&*store, "w").await;
    slow_commits(&mut superuser, "PERFORM pg_sleep(3)").await;
    let committing = tokio::spawn({
        let store = store.clone();
        async move { write(&*store, ws, &batch([], vec![change(1, 1, 1)]), &head(1)).await }
    });
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                  AND wait_event = 'PgSleep' AND query LIKE '%COMMIT%'";
    until_number(&mut superuser, asleep, 1).await;
    number(&mut superuser, TERMINATE).await;
    let result = committing.await.unwrap();
    assert!(matches!(result, Err(StoreError::CommitUnknown(_))), "{result:?}");
    let stored = reader(&*store).await.head(ws).await.unwrap().unwrap().head_seq;
    assert!(stored <= 1);
}

/// A commit that the server refuses is known to be undone, and says why.
#[tokio::test]
async fn a_refused_commit_is_no_unknown_one() {
    let database = Database::create().await;
    let store = database.store().await;
    let mut superuser = database.superuser().await;
    let ws = workspace(&store, "w").await;
    for (n, (code, expected)) in
        [("40001", "Contended"), ("23505", "Inconsistent"), ("53100", "DiskFull"), ("57014", "Database")]
            .into_iter()
            .enumerate()
    {
        if n > 0 {
            superuser.execute("DROP TRIGGER slow ON change_log; DROP FUNCTION slow").await.unwrap();
        }
        slow_commits(&mut superuser, &format!("RAISE EXCEPTION 'no' USING ERRCODE = '{code}'")).await;
        let result = write(&store, ws, &batch([], vec![change(1, 1, 1)]), &head(1)).await;
        let error = format!("{:?}", result.unwrap_err());
        assert!(error.starts_with(expected), "{code}: {error}");
        assert_eq!(reader(&store).await.head(ws).await.unwrap(), Some(head(0)));
    }
}

/// When all connections are in use, others wait for one, and are told after a while.
#[tokio::test]
async fn exhausted_connections_are_named() {
    let database = Database::create().await;
    let mut options = database.options();
    (options.readers, options.writers) = (2, 1);
    let store = PostgresStore::open(options).await.unwrap();
    let ws = workspace(&store, "w").await;
    let (mut first, mut second, mut third) =
        (reader(&store).await, reader(&store).await, reader(&store).await);
    first.head(ws).await.unwrap();
    second.head(ws).await.unwrap();
    let error = third.head(ws).await.unwrap_err().to_string();
    assert!(error.contains("none of the 2 database connections for reading"), "{error}");
    drop(first);
    reader(&store).await.head(ws).await.unwrap();
}

/// Listening goes on after the connection was lost, and says that something may have been missed.
#[tokio::test]
async fn listening_goes_on_after_a_lost_connection() {
    use syncline::store::Announced;
    let database = Database::create().await;
    let store = database.store().await;
    let mut superuser = database.superuser().await;
    let shared = store.shared().unwrap();
    let heard =
        async || tokio::time::timeout(PATIENCE, shared.announced()).await.expect("something is heard");
    assert_eq!(heard().await, Announced::Unsure);
    for ws in (1..=3).map(WorkspaceNo) {
        shared.announce(&[ws]).await.unwrap();
        assert_eq!(heard().await, Announced::Workspaces(vec![ws]));
        number(&mut superuser, TERMINATE).await;
        assert_eq!(heard().await, Announced::Unsure);
    }
}

/// A closed store says so.
#[tokio::test]
async fn a_closed_store_refuses_work() {
    let database = Database::create().await;
    let store = database.store().await;
    let ws = workspace(&store, "w").await;
    let mut early = reader(&store).await;
    store.close().await;
    assert!(matches!(store.reader().await.err(), Some(StoreError::Unusable(_))));
    assert!(matches!(store.writer().await.err(), Some(StoreError::Unusable(_))));
    assert!(matches!(early.head(ws).await, Err(StoreError::Unusable(_))));
    store.close().await;
    until_number(&mut database.superuser().await, CONNECTED, 0).await;
}

/// A server that stands still, and one that is killed, are failures that pass: calls end within their time, and
/// everything goes on without a restart within seconds of the database's return.
#[tokio::test]
async fn a_database_that_stops_and_comes_back_is_used_again() {
    let database = Database::alone().await;
    let store = database.store().await;
    let ws = workspace(&store, "w").await;
    let mut seq = 0;
    for kill in [false, true] {
        let mut open = reader(&store).await;
        open.head(ws).await.unwrap();
        let mut writer = store.writer().await.unwrap();
        writer.head(ws).await.unwrap();
        if kill {
            database.cluster().kill()
        } else {
            database.cluster().pause()
        }
        let started = Instant::now();
        let batch = batch([], vec![change(seq + 1, 1, seq + 1)]);
        writer.write(ws, &batch, &head(seq + 1)).await.unwrap();
        let (read, committed, fresh) =
            tokio::join!(open.head(ws), writer.commit(), async { reader(&store).await.head(ws).await });
        for error in [read.err(), committed.err(), fresh.err()] {
            assert!(matches!(error, Some(StoreError::Database(_))), "{error:?}");
        }
        assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
        if kill {
            database.cluster().restart()
        } else {
            database.cluster().resume()
        }
        let returned = Instant::now();
        while let Err(error) = write(&store, ws, &batch, &head(seq + 1)).await {
            assert!(matches!(error, StoreError::Database(_) | StoreError::Contended(_)), "{error:?}");
            assert!(returned.elapsed() < PATIENCE);
        }
        assert!(returned.elapsed() < Duration::from_secs(5), "{:?}", returned.elapsed());
        seq += 1;
        assert_eq!(reader(&store).await.head(ws).await.unwrap(), Some(head(seq)));
    }
    store.close().await;
}
