//! A snapshot on a connection of its own.

use sqlx::{Sqlite, SqlitePool, Transaction};

use super::errors::of_statement;
use super::reads;
use crate::store::StoreError;

/// Takes the snapshot at once: after `BEGIN` alone, SQLite would take it with the first read.
const BEGIN_SNAPSHOT: &str = "BEGIN; SELECT 1 FROM workspace_head LIMIT 1";

/// Reads one committed state. The transaction ends when this is dropped, whatever was under way: the driver
/// queues the rollback on the connection before the pool can hand it to anybody else, and undoes a `BEGIN`
/// that nobody waited for.
pub(super) struct SqliteReader {
    snapshot: Transaction<'static, Sqlite>,
}

impl SqliteReader {
    pub async fn begin(pool: &SqlitePool) -> Result<SqliteReader, StoreError> {
        let snapshot = pool.begin_with(BEGIN_SNAPSHOT).await.map_err(of_statement)?;
        Ok(SqliteReader { snapshot })
    }
}

/// Reads in the snapshot.
macro_rules! read {
    ($self:ident, $method:ident($($argument:expr),*)) => {
        reads::$method(&mut $self.snapshot, $($argument),*).await
    };
}

crate::store_reader!(SqliteReader, read);
