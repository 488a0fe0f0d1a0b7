//! What SQLite's errors mean for callers.

use std::path::Path;

use crate::store::StoreError;

const SQLITE_ERROR: i32 = 1;
const SQLITE_PERM: i32 = 3;
const SQLITE_READONLY: i32 = 8;
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_FULL: i32 = 13;
const SQLITE_CANTOPEN: i32 = 14;
const SQLITE_TOOBIG: i32 = 18;
const SQLITE_CONSTRAINT: i32 = 19;
const SQLITE_NOTADB: i32 = 26;

/// The primary result code, when the error is SQLite's.
fn code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

/// An error of a statement that is known to have changed nothing.
pub(super) fn of_statement(error: sqlx::Error) -> StoreError {
    match code(&error) {
        Some(SQLITE_FULL) => StoreError::DiskFull,
        Some(SQLITE_TOOBIG) => StoreError::Refused(error.to_string()),
        // A duplicate row: the caller's picture of the stored data is wrong.
        Some(SQLITE_CONSTRAINT | SQLITE_CORRUPT | SQLITE_NOTADB) => {
            StoreError::Inconsistent(error.to_string())
        }
        _ => match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnIndexOutOfBounds { .. } => {
                StoreError::Inconsistent(error.to_string())
            }
            sqlx::Error::Encode(_) => StoreError::Refused(error.to_string()),
            sqlx::Error::PoolClosed => closed(),
            other => StoreError::Database(other),
        },
    }
}

/// An error of the commit itself. A full disk is noticed while the log is written, before the commit counts; after a
/// failed sync of the log it is unknown what a restart will find.
pub(super) fn of_commit(error: sqlx::Error) -> StoreError {
    match code(&error) {
        Some(SQLITE_FULL) => StoreError::DiskFull,
        _ => StoreError::CommitUnknown(error.to_string()),
    }
}

/// An error while opening: where waiting does not help, somebody has to act.
pub(super) fn of_open(path: &Path, error: sqlx::Error) -> StoreError {
    let path = path.display();
    match code(&error) {
        Some(SQLITE_NOTADB | SQLITE_CORRUPT) => StoreError::Unusable(format!(
            "{path} is not a sound SQLite database ({error}); restore it from a backup or give another path"
        )),
        Some(SQLITE_PERM | SQLITE_READONLY | SQLITE_CANTOPEN) => StoreError::Unusable(format!(
            "{path} cannot be opened for writing ({error}); check the owner and the permissions of the file and \
             its directory"
        )),
        _ => of_statement(error),
    }
}

/// An error of the file system while opening.
pub(super) fn of_file(path: &Path, what: &str, error: &std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::StorageFull => StoreError::DiskFull,
        _ => StoreError::Unusable(format!("{what} {} failed: {error}", path.display())),
    }
}

/// Whether a rollback failed only because SQLite had rolled back by itself, or the commit went through.
pub(super) fn is_no_transaction(error: &sqlx::Error) -> bool {
    code(error) == Some(SQLITE_ERROR) && error.to_string().contains("no transaction is active")
}

/// The store was closed.
pub(super) fn closed() -> StoreError {
    StoreError::Unusable("the store is closed".to_owned())
}
