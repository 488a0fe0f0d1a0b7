//! The write transaction.
//!
//! Writes are gathered and go out before the next read, or with the commit. The lock of a workspace is its head row:
//! whoever asks for the head waits for it, in a statement of its own, and every statement after that has a snapshot of
//! its own, so it sees what the previous holder of the lock has committed.

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::connections::PgPool;
use super::errors::{of_commit, of_statement};
use super::session::PgSession;
use super::{reads, write};
use crate::store::pending::{Pending, broken_transaction};
use crate::store::{StoreError, StoreWriter};
use syncline_core::ids::WorkspaceNo;
use syncline_core::state::{WorkspaceHead, WriteBatch};

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
/// In a failed transaction, `COMMIT` alone would report success and undo everything. The statement before it fails in
/// that case, which ends the text.
const COMMIT: &str = "SELECT 1; COMMIT";
const ROLLBACK: &str = "ROLLBACK";

/// One transaction. Takes a connection when it first needs one; dropping it without a commit undoes it.
pub(super) struct PostgresWriter {
    connections: PgPool,
    session: Option<PgSession>,
    pending: Pending,
    /// Whether something was sent that a commit has to keep.
    wrote: bool,
    /// Whether a step failed or was cancelled: the transaction then does not hold what its owner thinks.
    failed: bool,
}

impl PostgresWriter {
    pub fn new(connections: PgPool) -> PostgresWriter {
        PostgresWriter {
            connections,
            session: None,
            pending: Pending::default(),
            wrote: false,
            failed: false,
        }
    }

    /// Begins a step. The transaction counts as failed until [`PostgresWriter::done`], so that a cancelled step leaves
    /// it failed.
    fn start(&mut self) -> Result<(), StoreError> {
        match std::mem::replace(&mut self.failed, true) {
            true => Err(broken_transaction()),
            false => Ok(()),
        }
    }

    fn done<T>(&mut self, step: Result<T, StoreError>) -> Result<T, StoreError> {
        self.failed = step.is_err();
        step
    }

    /// The connection inside the transaction, with everything written so far. Has to be followed by `done`.
    async fn session(&mut self) -> Result<&mut PgSession, StoreError> {
        self.start()?;
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(self.connections.begin(BEGIN).await?.0),
        };
        for batch in write::plan(std::mem::take(&mut self.pending)) {
            self.wrote = true;
            batch.run(session).await?;
        }
        Ok(session)
    }

    async fn locked_head(&mut self, ws: WorkspaceNo) -> Result<Vec<PgRow>, StoreError> {
        let lock = include_str!("../sql/postgres/head_lock.sql");
        if self.session.is_some() || !self.pending.is_empty() {
            let session = self.session().await?;
            return session.rows(sqlx::query(lock).bind(ws.0)).await.map_err(of_statement);
        }
        // Begins and locks in one round trip, because every transaction starts like this.
        self.start()?;
        let text = format!("{BEGIN}; {}", lock.replace("$1", &ws.to_string()));
        let (session, rows) = self.connections.begin(&text).await?;
        self.session = Some(session);
        Ok(rows)
    }
}

async fn create(
    session: &mut PgSession,
    id: &str,
    display_name: &str,
    created_at_ms: i64,
    head: &WorkspaceHead,
) -> Result<WorkspaceNo, StoreError> {
    let insert = sqlx::query(include_str!("../sql/workspace_insert.sql"))
        .bind(id)
        .bind(display_name)
        .bind(created_at_ms);
    let rows = session.rows(insert).await.map_err(of_statement)?;
    let Some(row) = rows.first() else { return Err(StoreError::WorkspaceExists(id.into())) };
    let no = row.try_get(0).map(WorkspaceNo).map_err(of_statement)?;
    let insert = sqlx::query(include_str!("../sql/head_insert.sql"))
        .bind(no.0)
        .bind(reads::bits(head.epoch.0))
        .bind(reads::position(head.head_seq))
        .bind(head.chain.as_slice())
        .bind(i64::from(head.replica_count))
        .bind(reads::bits(head.commit_count));
    session.rows(insert).await.map_err(of_statement)?;
    Ok(no)
}

#[async_trait]
impl StoreWriter for PostgresWriter {
    async fn create_workspace(
        &mut self,
        id: &str,
        display_name: &str,
        created_at_ms: i64,
        head: &WorkspaceHead,
    ) -> Result<WorkspaceNo, StoreError> {
        let created = create(self.session().await?, id, display_name, created_at_ms, head).await;
        self.wrote = true;
        self.done(created)
    }

    async fn write(
        &mut self,
        ws: WorkspaceNo,
        batch: &WriteBatch,
        head: &WorkspaceHead,
    ) -> Result<(), StoreError> {
        self.start()?;
        let added = self.pending.add(ws, batch, head);
        self.done(added)
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        if self.session.is_none() && self.pending.is_empty() && !self.failed {
            return Ok(());
        }
        // The server writes a lock to its log as well, so a commit of nothing but a lock would wait for the disk.
        let nothing_written = self.pending.is_empty() && !self.wrote;
        let session = self.session().await?;
        match nothing_written {
            true => session.text(ROLLBACK).await.map_err(of_statement)?,
            false => session.text(COMMIT).await.map_err(of_commit)?,
        };
        session.ended();
        Ok(())
    }
}

/// Reads in the transaction. Reading the head locks it, and reading no keys needs no round trip.
macro_rules! read {
    ($self:ident, head($ws:expr)) => {{
        let rows = $self.locked_head($ws).await?;
        let read = rows.first().map(reads::head_of).transpose();
        $self.done(read)
    }};
    ($self:ident, rows($ws:expr, $keys:expr)) => {{
        if $keys.is_empty() && !$self.failed {
            return Ok(Vec::new());
        }
        let read = reads::rows($self.session().await?, $ws, $keys).await;
        $self.done(read)
    }};
    ($self:ident, $method:ident($($argument:expr),*)) => {{
        let read = reads::$method($self.session().await?, $($argument),*).await;
        $self.done(read)
    }};
}

crate::store_reader!(PostgresWriter, read);
