//! A snapshot on a connection of its own.

use super::connections::PgPool;
use super::reads;
use super::session::PgSession;
use crate::store::StoreError;
use crate::store::pending::broken_transaction;

/// One snapshot for all statements; the server takes it with the first that reads.
const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Reads one committed state, that of its first read. Takes a connection only then.
pub(super) struct PostgresReader {
    connections: PgPool,
    session: Option<PgSession>,
    /// Whether a statement failed or was cancelled, which ends the snapshot.
    failed: bool,
}

impl PostgresReader {
    pub fn new(connections: PgPool) -> PostgresReader {
        PostgresReader { connections, session: None, failed: false }
    }

    /// The connection inside the snapshot. The reader counts as failed until [`PostgresReader::done`], so that a
    /// cancelled read leaves it failed.
    async fn session(&mut self) -> Result<&mut PgSession, StoreError> {
        if std::mem::replace(&mut self.failed, true) {
            return Err(broken_transaction());
        }
        match &mut self.session {
            Some(session) => Ok(session),
            none => Ok(none.insert(self.connections.begin(BEGIN_SNAPSHOT).await?.0)),
        }
    }

    fn done<T>(&mut self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        self.failed = read.is_err();
        read
    }
}

/// Reads in the snapshot.
macro_rules! read {
    ($self:ident, $method:ident($($argument:expr),*)) => {{
        let read = reads::$method($self.session().await?, $($argument),*).await;
        $self.done(read)
    }};
}

crate::store_reader!(PostgresReader, read);
