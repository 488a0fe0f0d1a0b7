//! Opening a Postgres: migrations by several servers at once, and everything that is refused.

use sqlx::{AssertSqlSafe, Executor};
use syncline::store::postgres::{Finding, PostgresOptions, PostgresStore, Severity};

use super::Database;
use super::fixtures::*;

async fn superuser(database: &Database, sql: &str) {
    let sql = sql.replace("DATABASE_NAME", database.name());
    database.superuser().await.execute(AssertSqlSafe(sql)).await.unwrap();
}

/// What a server is told when it tries.
async fn refusal(options: PostgresOptions) -> String {
    match PostgresStore::open(options).await.err() {
        Some(StoreError::Unusable(text)) => text,
        other => panic!("not refused: {other:?}"),
    }
}

async fn findings(database: &Database, clock_ms: i64) -> Vec<Finding> {
    PostgresStore::inspect(&database.options(), &|| clock_ms).await
}

fn of(severity: Severity, findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().filter(|f| f.severity == severity).map(|f| f.what).collect()
}

/// Servers that start at once on an empty database wait for each other's migration.
#[tokio::test]
async fn servers_that_start_at_once_migrate_once() {
    let database = Database::empty().await;
    let found = findings(&database, 0).await;
    assert_eq!(of(Severity::Bad, &found), Vec::<&str>::new(), "{found:?}");
    assert!(of(Severity::Note, &found).contains(&"migrations"), "{found:?}");
    let open = || PostgresStore::open(database.options());
    let (a, b, c, d) = tokio::join!(open(), open(), open(), open());
    for store in [a, b, c, d] {
        let store = store.unwrap();
        assert_eq!(reader(&store).await.workspaces(None, 9).await.unwrap(), []);
        store.close().await;
    }
    assert!(!of(Severity::Note, &findings(&database, 0).await).contains(&"migrations"));
}

/// A role that may not create tables can run a server over a database that is migrated, and is told what is missing
/// where it is not.
#[tokio::test]
async fn the_right_to_create_tables_is_needed_for_migrations_only() {
    let database = Database::create().await;
    superuser(
        &database,
        "ALTER DATABASE DATABASE_NAME OWNER TO tests; REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    )
    .await;
    database.store().await.close().await;
    superuser(&database, "DELETE FROM _sqlx_migrations WHERE version = 3").await;
    let text = refusal(database.options()).await;
    assert!(text.contains("GRANT CREATE") && text.contains("syncline migrate"), "{text}");
}

/// A database that a newer server wrote, that was changed, or whose migration was not finished, is left alone.
#[tokio::test]
async fn another_schema_is_refused() {
    for (sql, said) in [
        (
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9000, 'newer', TRUE, '\\x00', 0)",
            "newer version",
        ),
        ("UPDATE _sqlx_migrations SET success = FALSE WHERE version = 2", "not finished"),
        ("UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 2", "not the one"),
    ] {
        let database = Database::create().await;
        superuser(&database, sql).await;
        let text = refusal(database.options()).await;
        assert!(text.contains(said), "{text}");
    }
}

/// Everything that is wrong is said at once, with what to do, by the inspection and by the refusal alike.
#[tokio::test]
async fn everything_wrong_is_said_at_once() {
    let database = Database::alone().await;
    superuser(&database, "ALTER SYSTEM SET fsync = off").await;
    superuser(&database, "ALTER SYSTEM SET full_page_writes = off").await;
    superuser(
        &database,
        "SELECT pg_reload_conf(); ALTER ROLE syncline SUPERUSER CONNECTION LIMIT 4; \
         ALTER DATABASE DATABASE_NAME SET synchronous_commit = off; \
         ALTER DATABASE DATABASE_NAME SET default_transaction_read_only = on; \
         ALTER DATABASE DATABASE_NAME CONNECTION LIMIT 18; \
         SET default_transaction_read_only = off; UPDATE _sqlx_migrations SET success = FALSE WHERE version = 1",
    )
    .await;
    let expected = [
        "default_transaction_read_only",
        "fsync",
        "full_page_writes",
        "synchronous_commit",
        "role",
        "connections of the role",
        "connections of the database",
        "schema",
    ];
    let found = findings(&database, 0).await;
    assert_eq!(of(Severity::Bad, &found), expected, "{found:?}");
    assert_eq!(of(Severity::Note, &found), ["clock"], "{found:?}");
    let text = refusal(database.options()).await;
    assert!(expected.iter().all(|what| text.contains(what)), "{text}");
}

/// A database that cannot be reached, does not exist, or does not know the role is a finding, without the password.
#[tokio::test]
async fn an_unreachable_database_is_a_finding() {
    let database = Database::create().await;
    let url = database.url();
    let missing = url.replace(database.name(), "nowhere");
    let stranger = database.url_of("stranger");
    for (url, said) in [
        (format!("{missing}&password=hunter2"), "nowhere"),
        (format!("{stranger}&password=hunter2"), "stranger"),
        ("postgres://u:hunter2@127.0.0.1:1/x".to_owned(), "refused"),
        ("postgres:///x?host=/nowhere&user=u&password=hunter2".to_owned(), "No such file"),
    ] {
        let options = PostgresOptions::new(&url).unwrap();
        assert!(!format!("{options:?}").contains("hunter2"));
        let found = PostgresStore::inspect(&options, &|| 0).await;
        assert_eq!(of(Severity::Bad, &found), ["connection"]);
        assert!(found[0].detail.contains(said) && !found[0].detail.contains("hunter2"), "{found:?}");
        assert!(PostgresStore::open(options).await.is_err());
    }
}
