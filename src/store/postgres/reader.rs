//! A snapshot on a connection of its own.

use async_trait::async_trait;

use super::connections::PgPool;
use super::reads;
use super::session::PgSession;
use crate::store::pending::broken_transaction;
use crate::store::{Order, Page, StoreError, StoreReader, WorkspaceInfo};
use syncline_core::causality::{Counter, ReplicaNo, Seq};
use syncline_core::change::Change;
use syncline_core::ids::WorkspaceNo;
use syncline_core::state::{Key, Prefix, Row, WorkspaceHead};

/// One snapshot for all statements; the server takes it with the first that reads.
const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Reads one committed state, that of its first read. Takes a connection only then.
pub(super) struct PostgresReader {
    connections: PgPool,
    session: Option<PgSession>,
    /// A statement failed or was given up: the server has ended the snapshot.
    failed: bool,
}

impl PostgresReader {
    pub fn new(connections: PgPool) -> PostgresReader {
        PostgresReader { connections, session: None, failed: false }
    }

    /// The connection inside the snapshot. Counts as failed until [`PostgresReader::done`], so that a cancelled read
    /// does.
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

#[async_trait]
impl StoreReader for PostgresReader {
    async fn workspaces(
        &mut self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<WorkspaceInfo>, StoreError> {
        let read = reads::workspaces(self.session().await?, after, limit).await;
        self.done(read)
    }

    async fn workspace(&mut self, id: &str) -> Result<Option<WorkspaceInfo>, StoreError> {
        let read = reads::workspace(self.session().await?, id).await;
        self.done(read)
    }

    async fn head(&mut self, ws: WorkspaceNo) -> Result<Option<WorkspaceHead>, StoreError> {
        let read = reads::head(self.session().await?, ws).await;
        self.done(read)
    }

    async fn rows(&mut self, ws: WorkspaceNo, keys: &[Key]) -> Result<Vec<Option<Row>>, StoreError> {
        let read = reads::rows(self.session().await?, ws, keys).await;
        self.done(read)
    }

    async fn range(
        &mut self,
        ws: WorkspaceNo,
        prefix: &Prefix,
        after: Option<&Key>,
        limit: usize,
        order: Order,
    ) -> Result<Page, StoreError> {
        let read = reads::range(self.session().await?, ws, prefix, after, limit, order).await;
        self.done(read)
    }

    async fn count(&mut self, ws: WorkspaceNo, prefix: &Prefix) -> Result<u64, StoreError> {
        let read = reads::count(self.session().await?, ws, prefix).await;
        self.done(read)
    }

    async fn changes(
        &mut self,
        ws: WorkspaceNo,
        from_exclusive: Seq,
        to_inclusive: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        let read = reads::changes(self.session().await?, ws, from_exclusive, to_inclusive, limit).await;
        self.done(read)
    }

    async fn change_of(
        &mut self,
        ws: WorkspaceNo,
        replica_no: ReplicaNo,
        counter: Counter,
    ) -> Result<Option<Change>, StoreError> {
        let read = reads::change_of(self.session().await?, ws, replica_no, counter).await;
        self.done(read)
    }
}
