//! What Postgres' errors mean for callers.

use std::io::ErrorKind;

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::store::StoreError;

fn of_postgres(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// The five-character code of the error, if it came from the server.
fn code(error: &sqlx::Error) -> Option<&str> {
    of_postgres(error).map(PgDatabaseError::code)
}

/// Whether the connection is gone, or must not be used any more.
pub(super) fn is_disconnect(error: &sqlx::Error) -> bool {
    match of_postgres(error) {
        // A server that no longer accepts writes has become a standby.
        Some(e) => matches!(e.severity(), PgSeverity::Fatal | PgSeverity::Panic) || e.code() == "25006",
        None => matches!(
            error,
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed
        ),
    }
}

/// Whether trying to connect again in a moment may help: the server is starting, stopping or full.
pub(super) fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(e) => {
            // A socket file is missing while its server restarts.
            matches!(
                e.kind(),
                ErrorKind::ConnectionRefused | ErrorKind::NotFound | ErrorKind::ConnectionReset
            )
        }
        _ => matches!(code(error), Some("53300" | "57P01" | "57P02" | "57P03")),
    }
}

/// An error of a statement that is known to have changed nothing.
pub(super) fn of_statement(error: sqlx::Error) -> StoreError {
    let text = || error.to_string();
    match code(&error) {
        // A transaction that has to be repeated, a deadlock, a lock that was not free in time.
        Some("40001" | "40P01" | "55P03") => return StoreError::Contended(text()),
        Some("53100") => return StoreError::DiskFull,
        // After a failover, what was the primary may be a standby.
        Some("25006") => {
            return unavailable(
                ErrorKind::ReadOnlyFilesystem,
                "the database accepts no writes; it is a standby, or default_transaction_read_only is set",
            );
        }
        // The login, the database, a permission or the schema is wrong: somebody has to act.
        Some(code)
            if code.starts_with("28") || code.starts_with("42") || matches!(code, "3D000" | "3F000") =>
        {
            return StoreError::Unusable(format!("the database refused ({code}): {}", text()));
        }
        // A duplicate row, a value out of its range, a damaged page: either the caller's picture of the stored data is
        // wrong, or the stored data is.
        Some(code) if ["22", "23", "XX"].iter().any(|class| code.starts_with(class)) => {
            return StoreError::Inconsistent(text());
        }
        // Larger than a limit of the database.
        Some(code) if code.starts_with("54") => return StoreError::Refused(text()),
        _ => {}
    }
    match error {
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::RowNotFound => StoreError::Inconsistent(text()),
        sqlx::Error::Encode(_) => StoreError::Refused(text()),
        other => StoreError::Database(other),
    }
}

/// An error of the commit itself. If the server reports the error and keeps the connection open, the commit is known to
/// be undone; if the connection is lost, it is unknown whether it was done.
pub(super) fn of_commit(error: sqlx::Error) -> StoreError {
    match of_postgres(&error) {
        Some(_) if !is_disconnect(&error) => of_statement(error),
        _ => StoreError::CommitUnknown(error.to_string()),
    }
}

/// The database cannot be reached or does not answer; trying again later may help.
pub(super) fn unavailable(kind: ErrorKind, text: impl Into<String>) -> StoreError {
    StoreError::Database(io(kind, text))
}

/// A failure of the connection in words of our own.
pub(super) fn io(kind: ErrorKind, text: impl Into<String>) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(kind, text.into()))
}

/// The store was closed.
pub(super) fn closed() -> StoreError {
    StoreError::Unusable("the store is closed".to_owned())
}
