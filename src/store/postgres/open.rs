//! Opening a database: settings of connections, what is refused, migrations.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor as _, PgConnection};
use tokio::time::timeout;

use super::PostgresOptions;
use super::errors::{of_statement, unavailable};
use super::inspect::{self, Schema, Severity};
use crate::store::StoreError;
use crate::store::migrations::{Dialect, migrator};
use crate::store::stored;

/// The server's limit for one statement: below ours, so that it is the server which says what it was.
const STATEMENT_TIMEOUT_MS: u32 = 4_000;
/// How long a statement waits for a lock.
const LOCK_TIMEOUT_MS: u32 = 2_000;
/// A transaction whose owner says nothing for this long is ended by the server.
const IDLE_IN_TRANSACTION_TIMEOUT_MS: u32 = 5_000;
/// How often the server looks whether the owner of a running statement is still there.
const CONNECTION_CHECK_INTERVAL_MS: u32 = 1_000;
/// How long a migration may take, the wait for that of another server included.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long it may take to connect for the first time.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What all our connections have in common.
pub(super) fn plain(given: &PgConnectOptions) -> PgConnectOptions {
    let named = match given.get_application_name() {
        Some(_) => given.clone(),
        None => given.clone().application_name("syncline"),
    };
    // A rollback where there is no transaction is no news.
    named.options([("client_min_messages", "error")]).disable_statement_logging()
}

/// Connections of readers and writers.
pub(super) fn pooled(given: &PgConnectOptions) -> PgConnectOptions {
    plain(given)
        .options([
            ("statement_timeout", STATEMENT_TIMEOUT_MS),
            ("lock_timeout", LOCK_TIMEOUT_MS),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT_MS),
            ("client_connection_check_interval", CONNECTION_CHECK_INTERVAL_MS),
            // A server that ends idle sessions would only make us connect again and again.
            ("idle_session_timeout", 0),
        ])
        .options([
            ("default_transaction_isolation", "read committed"),
            // Every statement of ours finds its rows by key. A plan that was made while a table was small must not be
            // one that walks the table.
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("jit", "off"),
        ])
}

/// Connections for what may be lost in a crash.
pub(super) fn signalling(given: &PgConnectOptions) -> PgConnectOptions {
    pooled(given).options([("synchronous_commit", "off")])
}

/// The connection that listens.
pub(super) fn listening(given: &PgConnectOptions) -> PgConnectOptions {
    plain(given).options([("idle_session_timeout", "0")])
}

/// Refuses what cannot be worked with, and brings the schema up to date.
pub(super) async fn prepare(options: &PostgresOptions) -> Result<(), StoreError> {
    let settings = plain(&options.connect);
    let mut conn = match timeout(CONNECT_TIMEOUT, settings.connect()).await {
        Ok(connected) => connected.map_err(of_statement)?,
        Err(_) => {
            let text = format!("the database accepted no connection within {} s", CONNECT_TIMEOUT.as_secs());
            return Err(unavailable(ErrorKind::TimedOut, text));
        }
    };
    let inspection = inspect::of_connection(&mut conn, options, None).await.map_err(of_statement)?;
    let mut wrong = Vec::new();
    for finding in inspection.findings {
        match finding.severity {
            Severity::Bad => wrong.push(format!("{}: {}", finding.what, finding.detail)),
            Severity::Note => tracing::warn!(what = finding.what, "{}", finding.detail),
            Severity::Good => {}
        }
    }
    if !wrong.is_empty() {
        return Err(StoreError::Unusable(format!("the database cannot be used: {}", wrong.join("; "))));
    }
    if inspection.schema != Schema::Current {
        migrate(&mut conn).await?;
    }
    // The first row is found by its key, even in a table so small that a planner would rather walk it.
    conn.execute("SET enable_seqscan = off").await.map_err(of_statement)?;
    let first: Option<Vec<u8>> = sqlx::query_scalar(include_str!("../sql/stored_format.sql"))
        .fetch_optional(&mut conn)
        .await
        .map_err(of_statement)?;
    stored::check_format(first.as_deref())?;
    // All was said; the server notices a missing goodbye as well.
    let _ = conn.close().await;
    Ok(())
}

/// Servers that start together wait for each other at the migrator's own lock.
async fn migrate(conn: &mut PgConnection) -> Result<(), StoreError> {
    let unusable = |text: String| StoreError::Unusable(text);
    let migrated = timeout(MIGRATION_TIMEOUT, migrator(Dialect::Postgres).run(conn)).await;
    let Ok(migrated) = migrated else {
        return Err(unavailable(
            ErrorKind::TimedOut,
            format!("migrating took longer than {} s, or another server did", MIGRATION_TIMEOUT.as_secs()),
        ));
    };
    migrated.map_err(|e| match e {
        MigrateError::VersionMissing(version) => unusable(inspect::newer(version)),
        MigrateError::Execute(e) => of_statement(e),
        MigrateError::ExecuteMigration(e, version) => match of_statement(e) {
            StoreError::Database(e) => unusable(format!("migrating to schema {version} failed: {e}")),
            other => other,
        },
        other => unusable(format!("the database cannot be migrated: {other}")),
    })
}
