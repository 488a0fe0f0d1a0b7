//! The write transaction.
//!
//! Writes are gathered and go out with the commit, usually as one text: `BEGIN IMMEDIATE`, the statements, `COMMIT`.
//! Only a read sends what was gathered before it, so that it sees those writes. A transaction that is dropped, or whose
//! future is cancelled in the middle, leaves the connection marked; whoever is next rolls back first.

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection};
use tokio::sync::OwnedMutexGuard;

use super::errors::{closed, is_no_transaction, of_statement};
use super::{batch, reads};
use crate::store::pending::{Pending, broken_transaction};
use crate::store::{StoreError, StoreWriter};
use syncline_core::ids::WorkspaceNo;
use syncline_core::state::{WorkspaceHead, WriteBatch};

/// The one connection that writes; whoever holds the lock around this is the writer.
pub(super) struct WriterSlot {
    options: SqliteConnectOptions,
    /// Absent after it broke: the next writer opens another.
    conn: Option<SqliteConnection>,
    /// A transaction may be open on the connection.
    open: bool,
    closed: bool,
}

impl WriterSlot {
    pub fn new(options: SqliteConnectOptions, conn: SqliteConnection) -> WriterSlot {
        WriterSlot { options, conn: Some(conn), open: false, closed: false }
    }

    /// Makes the connection ready for a transaction: alive, and outside of any other.
    async fn clean(&mut self) -> Result<(), StoreError> {
        if self.closed {
            return Err(closed());
        }
        self.roll_back().await;
        if self.conn.is_none() {
            self.conn = Some(self.options.connect().await.map_err(of_statement)?);
        }
        Ok(())
    }

    /// Ends what may be open. A connection on which that fails is given up, which ends it too.
    async fn roll_back(&mut self) {
        if !self.open {
            return;
        }
        if let Some(conn) = &mut self.conn {
            match conn.execute("ROLLBACK").await {
                Ok(_) => {}
                Err(e) if is_no_transaction(&e) => {}
                Err(e) => {
                    tracing::warn!(error = %e, "the writing connection broke and is replaced");
                    self.conn = None;
                }
            }
        }
        self.open = false;
    }

    /// Closes the connection for good.
    pub async fn close(&mut self) {
        self.closed = true;
        self.roll_back().await;
        if let Some(conn) = self.conn.take() {
            // Whatever error this could report, the commits before have already reported.
            let _ = conn.close().await;
        }
    }
}

/// One transaction. Dropping it without a commit undoes it.
pub(super) struct SqliteWriter {
    slot: OwnedMutexGuard<WriterSlot>,
    /// `BEGIN` was sent.
    begun: bool,
    pending: Pending,
    /// Whether a step failed: the transaction then does not hold what its owner thinks.
    failed: bool,
}

impl SqliteWriter {
    pub async fn begin(mut slot: OwnedMutexGuard<WriterSlot>) -> Result<SqliteWriter, StoreError> {
        slot.clean().await?;
        Ok(SqliteWriter { slot, begun: false, pending: Pending::default(), failed: false })
    }

    /// Sends what was gathered. The transaction counts as failed until this has succeeded, so that a cancelled attempt
    /// leaves it failed.
    async fn send(&mut self, commit: bool) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.failed, true) {
            return Err(broken_transaction());
        }
        let begin = !self.begun;
        self.begun = true;
        self.slot.open = true;
        let conn = self.slot.conn.as_mut().ok_or_else(closed)?;
        for batch in batch::plan(std::mem::take(&mut self.pending), begin, commit) {
            batch.run(conn).await?;
        }
        self.failed = false;
        Ok(())
    }

    /// The connection inside the transaction, with everything written so far.
    async fn conn(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        if !self.begun || self.failed || !self.pending.is_empty() {
            self.send(false).await?;
        }
        self.slot.conn.as_mut().ok_or_else(closed)
    }
}

#[async_trait]
impl StoreWriter for SqliteWriter {
    async fn create_workspace(
        &mut self,
        id: &str,
        display_name: &str,
        created_at_ms: i64,
        head: &WorkspaceHead,
    ) -> Result<WorkspaceNo, StoreError> {
        let conn = self.conn().await?;
        let created = async {
            let no: Option<i64> = sqlx::query_scalar(include_str!("../sql/workspace_insert.sql"))
                .bind(id)
                .bind(display_name)
                .bind(created_at_ms)
                .fetch_optional(&mut *conn)
                .await?;
            let Some(no) = no else { return Ok(None) };
            sqlx::query(include_str!("../sql/head_insert.sql"))
                .bind(no)
                .bind(reads::bits(head.epoch.0))
                .bind(reads::bits(head.head_seq.0))
                .bind(head.chain.as_slice())
                .bind(i64::from(head.replica_count))
                .bind(reads::bits(head.commit_count))
                .execute(conn)
                .await?;
            Ok(Some(WorkspaceNo(no)))
        }
        .await;
        self.failed |= !matches!(created, Ok(Some(_)));
        created.map_err(of_statement)?.ok_or_else(|| StoreError::WorkspaceExists(id.into()))
    }

    async fn write(
        &mut self,
        ws: WorkspaceNo,
        batch: &WriteBatch,
        head: &WorkspaceHead,
    ) -> Result<(), StoreError> {
        if self.failed {
            return Err(broken_transaction());
        }
        let added = self.pending.add(ws, batch, head);
        self.failed |= added.is_err();
        added
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        if !self.begun && self.pending.is_empty() && !self.failed {
            return Ok(());
        }
        let sent = self.send(true).await;
        match &sent {
            Ok(()) => self.slot.open = false,
            // What the connection has cached of the file may no longer match it: a failed sync can lose pages. A new
            // connection reads the file again, as a restart would.
            Err(StoreError::CommitUnknown(_)) => {
                self.slot.conn = None;
                self.slot.open = false;
            }
            // Rolls back now rather than before the next write: an open transaction keeps the log from shrinking.
            Err(_) => self.slot.roll_back().await,
        }
        sent
    }
}

/// Reads in the transaction. Reading no keys does not begin the transaction: a commit that only writes is one text.
macro_rules! read {
    ($self:ident, rows($ws:expr, $keys:expr)) => {{
        if $keys.is_empty() && !$self.failed {
            return Ok(Vec::new());
        }
        reads::rows($self.conn().await?, $ws, $keys).await
    }};
    ($self:ident, $method:ident($($argument:expr),*)) => {
        reads::$method($self.conn().await?, $($argument),*).await
    };
}

crate::store_reader!(SqliteWriter, read);
