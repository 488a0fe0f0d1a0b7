//! Opening a database: what is refused, migrations.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::{ConnectOptions, Connection, Executor as _, PgConnection};
use tokio::time::timeout;

use super::PostgresOptions;
use super::errors::{of_statement, unavailable};
use super::inspect::{self, Schema, Severity};
use super::settings::{CONNECT_TIMEOUT, plain};
use crate::store::StoreError;
use crate::store::migrations::{Dialect, migrator};
use crate::store::stored;

/// How long a migration may take, the wait for that of another server included.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(10 * 60);

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
    // Finds the first row by its key, even in a table so small that the planner would rather scan it.
    conn.execute("SET enable_seqscan = off").await.map_err(of_statement)?;
    let first: Option<Vec<u8>> = sqlx::query_scalar(include_str!("../sql/stored_format.sql"))
        .fetch_optional(&mut conn)
        .await
        .map_err(of_statement)?;
    stored::check_format(first.as_deref())?;
    // All queries are done; if closing fails, the server notices that the connection is gone.
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
