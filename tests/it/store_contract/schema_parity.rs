//! Both engines have one schema, every statement is valid where it is used, and everything leads with the workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use syncline_core::causality::{Counter, ReplicaNo, Seq};

use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row as _, SqlSafeStr as _};

use super::fixtures::*;
use super::{Database, fast};
use syncline::store::sqlite::{SqliteStore, generated_statements};

/// Tables that one engine has and the other needs not: where one server owns the database, who is connected is known in
/// its memory.
const ONLY_IN_POSTGRES: [&str; 1] = ["connection"];
/// The list of workspaces, where numbers come from, and the driver's own.
const WITHOUT_WORKSPACE: [&str; 2] = ["workspace", "_sqlx_migrations"];
/// Statements about no workspace in particular.
const OF_NO_WORKSPACE: [&str; 7] = [
    "stored_format.sql",
    "workspace_page.sql",
    "workspace_by_id.sql",
    "workspace_insert.sql",
    "announce.sql",
    "server_settings.sql",
    "migrations_applied.sql",
];

/// File names and texts of the statements in a folder below `src/store/sql`.
fn statements(folder: &str) -> BTreeMap<String, String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/store/sql").join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// Every statement can be prepared by the engines that run it.
#[tokio::test]
async fn every_statement_is_valid_on_its_engines() {
    let database = Database::create().await;
    let mut postgres = database.superuser().await;
    let mut sqlite = migrated_sqlite().await;
    let common = statements("");
    let only_postgres = statements("postgres");
    assert!(common.len() >= 10 && only_postgres.len() >= 10);
    for (name, text) in common.iter().chain(&only_postgres) {
        let text = AssertSqlSafe(text.clone()).into_sql_str();
        (&mut postgres).prepare(text).await.unwrap_or_else(|e| panic!("{name} on Postgres: {e}"));
    }
    for (name, text) in &common {
        let text = AssertSqlSafe(text.clone()).into_sql_str();
        (&mut sqlite.1).prepare(text).await.unwrap_or_else(|e| panic!("{name} on SQLite: {e}"));
    }
    for text in generated_statements() {
        let prepared = AssertSqlSafe(text.clone()).into_sql_str();
        (&mut sqlite.1).prepare(prepared).await.unwrap_or_else(|e| panic!("{text} on SQLite: {e}"));
    }
}

/// Table, column, type, whether it must be there, and its place in the primary key.
type Columns = BTreeSet<(String, String, &'static str, bool, i64)>;

async fn migrated_sqlite() -> (tempfile::TempDir, sqlx::SqliteConnection) {
    let directory = tempfile::TempDir::new().unwrap();
    SqliteStore::migrate_only(fast(&directory)).await.unwrap();
    let path = directory.path().join("syncline.db");
    let conn = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    (directory, conn)
}

fn common_type(name: &str) -> &'static str {
    match name.to_ascii_lowercase().as_str() {
        "integer" | "bigint" => "number",
        "text" => "text",
        "blob" | "bytea" => "bytes",
        other => panic!("{other} is not one of the types that every engine has"),
    }
}

async fn sqlite_columns() -> Columns {
    let (_directory, mut conn) = migrated_sqlite().await;
    let sql = "SELECT t.name, c.name, c.type, c.\"notnull\" OR c.pk > 0, c.pk FROM sqlite_schema t, \
               pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\' \
               AND t.name NOT LIKE 'sqlite%'";
    let rows = sqlx::query(sql).fetch_all(&mut conn).await.unwrap();
    rows.iter().map(|r| (r.get(0), r.get(1), common_type(r.get(2)), r.get(3), r.get(4))).collect()
}

async fn postgres_columns(conn: &mut sqlx::PgConnection) -> Columns {
    let sql = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
               coalesce(array_position(i.indkey::int2[], a.attnum), -1)::bigint + 1 \
               FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
               LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary \
               WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace \
               AND c.relname <> '_sqlx_migrations'";
    let rows = sqlx::query(sql).fetch_all(conn).await.unwrap();
    rows.iter().map(|r| (r.get(0), r.get(1), common_type(r.get(2)), r.get(3), r.get(4))).collect()
}

/// Tables, columns, their types and the primary keys are the same on both engines.
#[tokio::test]
async fn both_engines_have_one_schema() {
    let database = Database::create().await;
    let mut postgres = postgres_columns(&mut database.superuser().await).await;
    assert!(ONLY_IN_POSTGRES.iter().all(|table| postgres.iter().any(|column| column.0 == *table)));
    postgres.retain(|column| !ONLY_IN_POSTGRES.contains(&column.0.as_str()));
    assert_eq!(sqlite_columns().await, postgres);
}

/// Every key and index leads with the workspace, so that a database that distributes tables by a column can spread the
/// schema as it is.
#[tokio::test]
async fn every_index_leads_with_the_workspace() {
    let database = Database::create().await;
    let sql = "SELECT c.relname::text, x.relname::text, a.attname::text FROM pg_index i \
               JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid \
               LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] \
               WHERE c.relnamespace = 'public'::regnamespace";
    let rows = sqlx::query(sql).fetch_all(&mut database.superuser().await).await.unwrap();
    let mut indexed = BTreeSet::new();
    for row in &rows {
        let (table, index, first): (String, String, Option<String>) = (row.get(0), row.get(1), row.get(2));
        if !WITHOUT_WORKSPACE.contains(&table.as_str()) {
            assert_eq!(first.as_deref(), Some("workspace_no"), "{index} on {table}");
            indexed.insert(table);
        }
    }
    assert_eq!(indexed.len(), 4, "{indexed:?}");
}

/// Every statement names its workspace: by a condition, or as the first column of what it inserts.
#[test]
fn every_statement_names_its_workspace() {
    let mut texts: Vec<(String, String)> = statements("").into_iter().chain(statements("postgres")).collect();
    texts.extend(generated_statements().into_iter().map(|text| ("generated".to_owned(), text)));
    for (name, text) in texts {
        if OF_NO_WORKSPACE.contains(&name.as_str()) {
            continue;
        }
        let code: String = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
        for table in ["workspace_head", "change_log", "state", "connection"] {
            for verb in ["FROM", "UPDATE", "INTO"] {
                for (at, _) in code.match_indices(&format!("{verb} {table}")) {
                    let after = &code[at + verb.len() + 1 + table.len()..];
                    if after.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                        continue;
                    }
                    let named = match verb {
                        "INTO" => after.trim_start().starts_with("(workspace_no"),
                        _ => {
                            let condition = after.split("WHERE").nth(1).unwrap_or_default();
                            let condition = condition.trim_start().trim_start_matches(&format!("{table}."));
                            condition.starts_with("workspace_no")
                                || condition.starts_with("ended.workspace_no")
                        }
                    };
                    assert!(named, "{name}: {verb} {table} without its workspace: {text}");
                }
            }
        }
    }
}

/// No statement's cost grows with the tables: on tables so small that a planner would rather walk them, none is walked.
#[tokio::test]
async fn every_statement_finds_its_rows_by_key() {
    let database = Database::create().await;
    let first = database.store().await;
    let ws = super::log::log_of(&first, 20).await;
    first.close().await;
    // Now the planner knows how small they are.
    (&mut database.superuser().await).execute("VACUUM ANALYZE").await.unwrap();
    let store = database.store().await;
    let shared = store.shared().unwrap();
    // More often than it takes for a plan to be kept for all arguments.
    for n in 1..=20 {
        write(&store, ws, &put([(record("a"), n), (record(&n.to_string()), n)]), &head(20)).await.unwrap();
        write(&store, ws, &batch([(record("a"), None)], Vec::new()), &head(20)).await.unwrap();
        let mut writer = store.writer().await.unwrap();
        writer.head(ws).await.unwrap();
        for reader in [writer.as_mut() as &mut dyn StoreReader, reader(&store).await.as_mut()] {
            reader.rows(ws, &[record("a"), record("1")]).await.unwrap();
            reader.range(ws, &Prefix::Records, None, 5, Order::Ascending).await.unwrap();
            reader.range(ws, &Prefix::Records, None, 5, Order::Descending).await.unwrap();
            reader.count(ws, &Prefix::Records).await.unwrap();
            reader.changes(ws, Seq(3), Seq(9), 5).await.unwrap();
            reader.change_of(ws, ReplicaNo(1), Counter::FIRST).await.unwrap();
            reader.workspace("w").await.unwrap();
            reader.workspaces(None, 5).await.unwrap();
        }
        shared.heads(&[ws]).await.unwrap();
        shared.first_keys(&Prefix::Records, WorkspaceNo(0), 5).await.unwrap();
        shared.connections(ws, None, 5).await.unwrap();
        shared.connection(ws, Uuid::nil()).await.unwrap();
        shared.remove_connections(&[(ws, Uuid::nil())]).await.unwrap();
        shared.put_connections(&[]).await.unwrap();
    }
    // Figures are complete when the sessions have ended.
    store.close().await;
    let mut conn = database.superuser().await;
    let sql = "SELECT relname::text, coalesce(seq_scan, 0), coalesce(idx_scan, 0) FROM pg_stat_user_tables \
               WHERE relname IN ('workspace', 'workspace_head', 'change_log', 'state', 'connection')";
    for attempt in 0.. {
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(sql).fetch_all(&mut conn).await.unwrap();
        assert_eq!(rows.len(), 5);
        let walked: Vec<_> = rows.iter().filter(|(_, walks, _)| *walks > 0).collect();
        assert!(walked.is_empty(), "{walked:?}");
        if rows.iter().all(|(_, _, lookups)| *lookups >= 20) {
            return;
        }
        assert!(attempt < 500, "{rows:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
