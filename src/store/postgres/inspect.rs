//! Everything that is right and wrong with a database and its server, reported at once.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{ConnectOptions, Connection, Row as _};
use tokio::time::timeout;

use super::PostgresOptions;
use super::errors::{io, of_statement};
use super::settings::{CONNECT_TIMEOUT, plain};
use crate::store::StoreError;
use crate::store::migrations::{Dialect, migrator};

/// The first release that has all statements and settings that are used.
const VERSION_MIN: i32 = 150_000;
/// The difference between the two clocks above which it is worth a note.
const CLOCK_DIFFERENCE_MAX: Duration = Duration::from_secs(5);
/// How long each query may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Number of connections that should be left for others on the server.
const SPARE_CONNECTIONS: i64 = 5;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// As it should be.
    Good,
    /// A server starts, but somebody should know.
    Note,
    /// A server refuses to start.
    Bad,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was checked, in a word or two for people.
    pub what: &'static str,
    /// What was found and, if it is wrong, what to do.
    pub detail: String,
}

/// How the schema compares with this binary's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schema {
    Current,
    /// Migrations are missing, or that could not be determined.
    Behind,
}

/// What an inspection found.
pub(super) struct Inspection {
    pub findings: Vec<Finding>,
    pub schema: Schema,
}

pub(super) fn newer(version: i64) -> String {
    format!(
        "it has schema {version}, which this version of the server does not know; use the newer version that wrote \
         it, or restore a backup from before"
    )
}

/// Inspects over a connection of its own. A failure on the way is a finding as well.
pub(super) async fn inspect(
    options: &PostgresOptions,
    now_ms: Option<&(dyn Fn() -> i64 + Sync)>,
) -> Vec<Finding> {
    let bad = |what, error: sqlx::Error| {
        let detail = match of_statement(error) {
            StoreError::Database(error) => error.to_string(),
            other => other.to_string(),
        };
        vec![Finding { severity: Severity::Bad, what, detail }]
    };
    let mut conn = match timeout(CONNECT_TIMEOUT, plain(&options.connect).connect()).await {
        Ok(Ok(conn)) => conn,
        Ok(Err(error)) => return bad("connection", error),
        Err(_) => return bad("connection", no_answer()),
    };
    let findings = match of_connection(&mut conn, options, now_ms).await {
        Ok(inspection) => inspection.findings,
        Err(error) => bad("inspection", error),
    };
    // All queries are done; if closing fails, the server notices that the connection is gone.
    let _ = conn.close().await;
    findings
}

fn no_answer() -> sqlx::Error {
    io(ErrorKind::TimedOut, format!("the database did not answer within {} s", ANSWER_TIMEOUT.as_secs()))
}

/// Inspects over this connection.
pub(super) async fn of_connection(
    conn: &mut PgConnection,
    options: &PostgresOptions,
    now_ms: Option<&(dyn Fn() -> i64 + Sync)>,
) -> Result<Inspection, sqlx::Error> {
    let mut report = Report::default();
    let row = one(conn, include_str!("../sql/postgres/server_settings.sql")).await?;
    let here_ms = now_ms.map(|now| now());
    version(&mut report, &row)?;
    durability(&mut report, &row)?;
    role(&mut report, &row)?;
    connections(&mut report, &row, options)?;
    if let Some(here_ms) = here_ms {
        clock(&mut report, here_ms, row.try_get("now_ms")?);
    }
    let schema = schema(conn, &mut report, &row).await?;
    Ok(Inspection { findings: report.0, schema })
}

async fn one(conn: &mut PgConnection, sql: &'static str) -> Result<PgRow, sqlx::Error> {
    timeout(ANSWER_TIMEOUT, sqlx::query(sql).fetch_one(conn)).await.unwrap_or_else(|_| Err(no_answer()))
}

#[derive(Default)]
struct Report(Vec<Finding>);

impl Report {
    /// Reports a check as good, or as bad with what to do.
    fn check(
        &mut self,
        what: &'static str,
        good: bool,
        good_detail: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (severity, detail) =
            if good { (Severity::Good, good_detail.into()) } else { (Severity::Bad, remedy.into()) };
        self.0.push(Finding { severity, what, detail });
    }

    fn note(&mut self, what: &'static str, detail: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Note, what, detail: detail.into() });
    }
}

fn version(report: &mut Report, row: &PgRow) -> Result<(), sqlx::Error> {
    let (number, text): (i32, String) = (row.try_get("version_number")?, row.try_get("version_text")?);
    report.check(
        "version",
        number >= VERSION_MIN,
        format!("PostgreSQL {text}"),
        format!("PostgreSQL {text} is too old; use {} or newer", VERSION_MIN / 10_000),
    );
    let encoding: String = row.try_get("encoding")?;
    report.check(
        "encoding",
        encoding == "UTF8",
        encoding.clone(),
        format!("the database is in {encoding}; create one with ENCODING 'UTF8'"),
    );
    Ok(())
}

/// Checks the settings that durability depends on instead of assuming them.
fn durability(report: &mut Report, row: &PgRow) -> Result<(), sqlx::Error> {
    let recovery: bool = row.try_get("in_recovery")?;
    report.check(
        "role of the server",
        !recovery,
        "it accepts writes",
        "it is in recovery (a standby), and accepts no writes; give the address of the primary",
    );
    if row.try_get::<String, _>("read_only")? == "on" && !recovery {
        report.check(
            "default_transaction_read_only",
            false,
            "",
            "it is on, so nothing can be written; turn it off for this role and database",
        );
    }
    for (name, column) in [
        ("fsync", "fsync"),
        ("full_page_writes", "full_page_writes"),
        ("synchronous_commit", "synchronous_commit"),
    ] {
        let value: String = row.try_get(column)?;
        report.check(
            name,
            value != "off",
            value,
            format!("{name} is off: a crash could lose or damage what was confirmed; turn it on"),
        );
    }
    Ok(())
}

fn role(report: &mut Report, row: &PgRow) -> Result<(), sqlx::Error> {
    let (name, superuser): (String, bool) = (row.try_get("role_name")?, row.try_get("superuser")?);
    report.check(
        "role",
        !superuser,
        format!("{name} is an ordinary role"),
        format!("{name} is a superuser; create a role of its own for Syncline (CREATE ROLE syncline LOGIN)"),
    );
    let (local, encrypted): (bool, bool) = (row.try_get("local")?, row.try_get("encrypted")?);
    if !local && !encrypted {
        report.note("transport", "the connection crosses a network without TLS; add sslmode=verify-full");
    }
    Ok(())
}

fn connections(report: &mut Report, row: &PgRow, options: &PostgresOptions) -> Result<(), sqlx::Error> {
    let needed = i64::from(options.connections_needed());
    for (what, column, remedy) in [
        ("max_connections", "connections_max", "raise max_connections"),
        ("connections of the role", "role_connections_max", "raise the role's CONNECTION LIMIT"),
        ("connections of the database", "database_connections_max", "raise the database's CONNECTION LIMIT"),
    ] {
        let max: i64 = row.try_get(column)?;
        if max >= 0 {
            report.check(
                what,
                needed <= max,
                format!("{max}, each server needs up to {needed}"),
                format!(
                    "{max} are allowed and a server needs up to {needed}; {remedy} or lower database.readers"
                ),
            );
        }
    }
    let (max, used): (i64, i64) = (row.try_get("connections_max")?, row.try_get("connections_used")?);
    if needed <= max && used + needed + SPARE_CONNECTIONS > max {
        report.note(
            "connections in use",
            format!("{used} of {max} are in use and a server needs up to {needed}; raise max_connections"),
        );
    }
    Ok(())
}

fn clock(report: &mut Report, here_ms: i64, there_ms: i64) {
    let difference_ms = here_ms.abs_diff(there_ms);
    if u128::from(difference_ms) > CLOCK_DIFFERENCE_MAX.as_millis() {
        let side = if here_ms > there_ms { "behind" } else { "ahead of" };
        report.note(
            "clock",
            format!(
                "the database's clock is {:.1} s {side} this machine's; set both by NTP",
                difference_ms as f64 / 1_000.0
            ),
        );
    } else {
        report.check("clock", true, "agrees with this machine's", "");
    }
}

async fn schema(conn: &mut PgConnection, report: &mut Report, row: &PgRow) -> Result<Schema, sqlx::Error> {
    let Some(namespace) = row.try_get::<Option<String>, _>("namespace")? else {
        let remedy =
            "the search_path of this role names no schema that is there; create one or set search_path";
        report.check("schema", false, "", remedy);
        return Ok(Schema::Behind);
    };
    let known = migrator(Dialect::Postgres);
    let applied = if row.try_get("migrated")? { applied(conn).await? } else { Vec::new() };
    let mut bad = Vec::new();
    for (version, success, checksum) in &applied {
        match known.iter().find(|m| m.version == *version) {
            None => bad.push(newer(*version)),
            Some(_) if !success => bad.push(format!(
                "migration {version} was begun and not finished; restore a backup from before, or have it looked at"
            )),
            Some(migration) if migration.checksum[..] != checksum[..] => bad.push(format!(
                "migration {version} is not the one that this version of the server has; use the version that wrote it"
            )),
            Some(_) => {}
        }
    }
    let missing = known.iter().filter(|m| !applied.iter().any(|(version, ..)| *version == m.version)).count();
    if missing > 0 && !row.try_get::<bool, _>("may_create")? {
        bad.push(format!(
            "this role may not create tables in schema {namespace}, and {missing} migrations are missing; \
             GRANT CREATE ON SCHEMA {namespace} to it, or run `syncline migrate` with a role that may"
        ));
    }
    match (bad.is_empty(), missing) {
        (true, 0) => report.check("schema", true, format!("{namespace} has this version's tables"), ""),
        (true, _) => report.note(
            "migrations",
            format!("{missing} are missing in schema {namespace}; a server applies them when it starts"),
        ),
        (false, _) => {}
    }
    bad.into_iter().for_each(|detail| report.check("schema", false, "", detail));
    Ok(if missing == 0 { Schema::Current } else { Schema::Behind })
}

/// Version, whether it was finished, and checksum of every migration of the database.
async fn applied(conn: &mut PgConnection) -> Result<Vec<(i64, bool, Vec<u8>)>, sqlx::Error> {
    let query = sqlx::query_as(include_str!("../sql/postgres/migrations_applied.sql"));
    timeout(ANSWER_TIMEOUT, query.fetch_all(conn)).await.unwrap_or_else(|_| Err(no_answer()))
}
