//! What only a store in files has: opening, locks, damage, and full disks.

use syncline::store::sqlite::{SqliteOptions, SqliteStore};
use syncline_core::causality::Seq;
use tempfile::TempDir;

use super::fixtures::*;
use super::{fast, transactions::a_cancelled_reader_leaves_nothing_open};

/// Everything committed is there after closing and opening again.
#[tokio::test]
async fn a_database_keeps_everything_when_it_is_opened_again() {
    let directory = TempDir::new().unwrap();
    let options = SqliteOptions::new(directory.path().join("deep/down/syncline.db"));
    let mut ws = WorkspaceNo(0);
    for n in 0..3 {
        let store = SqliteStore::open(options.clone()).await.unwrap();
        if n == 0 {
            ws = workspace(&store, "w").await;
        }
        let mut reader = store.reader().await.unwrap();
        assert_eq!(reader.head(ws).await.unwrap(), Some(head(n)));
        assert_eq!(reader.count(ws, &Prefix::Records).await.unwrap(), n);
        drop(reader);
        let batch = batch([(record(&n.to_string()), Some(row(n)))], vec![change(n + 1, 1, n + 1)]);
        write(&store, ws, &batch, &head(n + 1)).await.unwrap();
        store.close().await;
    }
}

/// One process at a time: a second one is told which file is in use and what to do, and gets its turn
/// when the first is closed.
#[tokio::test]
async fn a_second_process_is_refused_by_the_lock() {
    let directory = TempDir::new().unwrap();
    let first = SqliteStore::open(fast(&directory)).await.unwrap();
    // A lock of another open file counts like one of another process.
    let Err(StoreError::Unusable(text)) = SqliteStore::open(fast(&directory)).await else {
        panic!("a second server opened the database");
    };
    assert!(text.contains("syncline.db") && text.contains("stop it"), "{text}");
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    first.close().await;
    SqliteStore::open(fast(&directory)).await.unwrap().close().await;
}

/// The database is readable by its owner alone, and so is the log beside it.
#[cfg(unix)]
#[tokio::test]
async fn the_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(fast(&directory)).await.unwrap();
    workspace(&store, "w").await;
    for file in ["syncline.db", "syncline.db-wal", "syncline.db.lock"] {
        let mode = std::fs::metadata(directory.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    store.close().await;
}

/// A database of the format before the first release is refused when it is opened, with what to do.
#[tokio::test]
async fn an_unreleased_format_is_refused() {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(fast(&directory)).await.unwrap();
    let ws = workspace(&store, "w").await;
    write(&store, ws, &batch([(record("r"), Some(row(1)))], vec![]), &head(0)).await.unwrap();
    store.close().await;
    let mut conn = plain_connection(&directory).await;
    sqlx::query("UPDATE state SET value = x'0105'").execute(&mut conn).await.unwrap();
    sqlx::Connection::close(conn).await.unwrap();
    let Err(StoreError::Unusable(text)) = SqliteStore::open(fast(&directory)).await else {
        panic!("it was opened");
    };
    assert!(text.contains("format is 1") && text.contains("start with an empty database"), "{text}");
}

/// A database that a newer server wrote is left alone.
#[tokio::test]
async fn a_newer_schema_is_refused() {
    let directory = TempDir::new().unwrap();
    SqliteStore::migrate_only(fast(&directory)).await.unwrap();
    let mut conn = plain_connection(&directory).await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9000, 'newer', TRUE, x'00', 0)";
    sqlx::query(newer).execute(&mut conn).await.unwrap();
    sqlx::Connection::close(conn).await.unwrap();
    let Err(StoreError::Unusable(text)) = SqliteStore::open(fast(&directory)).await else {
        panic!("a newer database was opened");
    };
    assert!(text.contains("9000") && text.contains("newer version"), "{text}");
}

/// A file that is no database is named, not overwritten.
#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("syncline.db");
    std::fs::write(&path, "not a database, but long enough to be looked at as one: ".repeat(40)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let result = SqliteStore::open(fast(&directory)).await.err();
    assert!(
        matches!(&result, Some(StoreError::Unusable(text)) if text.contains("syncline.db")),
        "{result:?}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// After readers and writers were given up, no transaction is left that would keep the log from shrinking.
#[tokio::test]
async fn cancelled_transactions_do_not_pin_the_log() {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(fast(&directory)).await.unwrap();
    a_cancelled_reader_leaves_nothing_open(&store).await;
    for polls in 0..6 {
        drop(give_up_after(polls, store.reader()).await);
    }
    let mut conn = plain_connection(&directory).await;
    let busy: (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut conn).await.unwrap();
    assert_eq!(busy.0, 0);
    sqlx::Connection::close(conn).await.unwrap();
    store.close().await;
}

/// What is stored and cannot be read is reported as such, and only it.
#[tokio::test]
async fn damaged_rows_are_reported() {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(fast(&directory)).await.unwrap();
    let ws = workspace(&store, "w").await;
    let rows = batch([(record("a"), Some(row(1))), (record("b"), Some(row(2)))], vec![change(1, 1, 1)]);
    write(&store, ws, &rows, &head(1)).await.unwrap();
    store.close().await;
    let mut conn = plain_connection(&directory).await;
    for sql in
        ["UPDATE state SET value = x'02ff' WHERE key = x'046100'", "UPDATE change_log SET content = x'02'"]
    {
        assert_eq!(sqlx::query(sql).execute(&mut conn).await.unwrap().rows_affected(), 1);
    }
    sqlx::Connection::close(conn).await.unwrap();
    let store = SqliteStore::open(fast(&directory)).await.unwrap();
    let mut reader = store.reader().await.unwrap();
    assert!(matches!(reader.rows(ws, &[record("a")]).await, Err(StoreError::Inconsistent(_))));
    assert!(matches!(reader.changes(ws, Seq(0), Seq(9), 9).await, Err(StoreError::Inconsistent(_))));
    assert_eq!(row_of(&mut *reader, ws, record("b")).await, Some(row(2)));
    drop(reader);
    store.close().await;
}

/// A closed store says so.
#[tokio::test]
async fn a_closed_store_refuses_work() {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(fast(&directory)).await.unwrap();
    store.close().await;
    assert!(matches!(store.reader().await.err(), Some(StoreError::Unusable(_))));
    assert!(matches!(store.writer().await.err(), Some(StoreError::Unusable(_))));
    store.close().await;
}

/// A disk that is full is told apart: the transaction is undone, and reads go on.
#[tokio::test]
async fn a_full_disk_is_told_apart() {
    let directory = TempDir::new().unwrap();
    let options = SqliteOptions { size_bytes_max: Some(1024 * 1024), ..fast(&directory) };
    let store = SqliteStore::open(options).await.unwrap();
    let ws = workspace(&store, "w").await;
    let mut stored = 0;
    let error = loop {
        let rows = (0..400).map(|n| (record(&format!("{stored}-{n}")), Some(Arc::new(row(n))))).collect();
        match write(
            &store,
            ws,
            &WriteBatch { rows, changes: vec![Arc::new(change(stored + 1, 1, stored + 1))] },
            &head(stored + 1),
        )
        .await
        {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::DiskFull), "{error:?}");
    let mut reader = store.reader().await.unwrap();
    assert_eq!(reader.head(ws).await.unwrap(), Some(head(stored)));
    assert_eq!(reader.count(ws, &Prefix::Records).await.unwrap(), stored * 400);
    drop(reader);
    write(&store, ws, &WriteBatch::default(), &head(stored)).await.unwrap();
    store.close().await;
}

async fn plain_connection(directory: &TempDir) -> sqlx::SqliteConnection {
    use sqlx::ConnectOptions;
    let path = directory.path().join("syncline.db");
    sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}
