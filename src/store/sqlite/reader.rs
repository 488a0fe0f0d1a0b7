//! A snapshot on a connection of its own.

use async_trait::async_trait;
use sqlx::{Sqlite, SqlitePool, Transaction};

use super::errors::of_statement;
use super::reads;
use crate::store::{Order, Page, StoreError, StoreReader, WorkspaceInfo};
use syncline_core::causality::{Counter, ReplicaNo, Seq};
use syncline_core::change::Change;
use syncline_core::ids::WorkspaceNo;
use syncline_core::state::{Key, Prefix, Row, WorkspaceHead};

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

#[async_trait]
impl StoreReader for SqliteReader {
    async fn workspaces(
        &mut self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<WorkspaceInfo>, StoreError> {
        reads::workspaces(&mut self.snapshot, after, limit).await
    }

    async fn workspace(&mut self, id: &str) -> Result<Option<WorkspaceInfo>, StoreError> {
        reads::workspace(&mut self.snapshot, id).await
    }

    async fn head(&mut self, ws: WorkspaceNo) -> Result<Option<WorkspaceHead>, StoreError> {
        reads::head(&mut self.snapshot, ws).await
    }

    async fn rows(&mut self, ws: WorkspaceNo, keys: &[Key]) -> Result<Vec<Option<Row>>, StoreError> {
        reads::rows(&mut self.snapshot, ws, keys).await
    }

    async fn range(
        &mut self,
        ws: WorkspaceNo,
        prefix: &Prefix,
        after: Option<&Key>,
        limit: usize,
        order: Order,
    ) -> Result<Page, StoreError> {
        reads::range(&mut self.snapshot, ws, prefix, after, limit, order).await
    }

    async fn count(&mut self, ws: WorkspaceNo, prefix: &Prefix) -> Result<u64, StoreError> {
        reads::count(&mut self.snapshot, ws, prefix).await
    }

    async fn changes(
        &mut self,
        ws: WorkspaceNo,
        from_exclusive: Seq,
        to_inclusive: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        reads::changes(&mut self.snapshot, ws, from_exclusive, to_inclusive, limit).await
    }

    async fn change_of(
        &mut self,
        ws: WorkspaceNo,
        replica_no: ReplicaNo,
        counter: Counter,
    ) -> Result<Option<Change>, StoreError> {
        reads::change_of(&mut self.snapshot, ws, replica_no, counter).await
    }
}
