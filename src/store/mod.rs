//! Where workspaces are kept: a narrow trait with one method per statement, and its implementations.
//!
//! State is keyed rows in one ordered table per store, led by the workspace, so that the same few statements
//! serve every engine and a distributed database can shard by the workspace. The log of changes has a table of
//! its own because it only grows. Typed keys and rows are encoded once, in [`codec`] and
//! [`stored`], for all stores.

pub mod codec;
mod forward;
pub mod memory;
mod migrations;
mod pending;
pub mod postgres;
mod shared;
pub mod sqlite;
pub mod stored;

use std::sync::Arc;

use async_trait::async_trait;

use syncline_core::causality::{Counter, ReplicaNo, Seq};
use syncline_core::change::Change;
use syncline_core::ids::WorkspaceNo;
use syncline_core::state::{Key, Prefix, Row, WorkspaceHead, WriteBatch};

pub use shared::{Announced, ConnectionContent, SharedConnection, SharedStore};

/// Maximum size of one encoded row, well below what SQLite and Postgres take, so that all stores refuse alike and say
/// whose row it was.
pub const ROW_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Why the store could not do it. Nothing was changed unless said otherwise.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The driver or the database failed; trying again later may succeed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The result of a commit is unknown: the batch is stored whole, or not at all.
    #[error("the result of a commit is unknown: {0}")]
    CommitUnknown(String),
    /// Others wrote to the same rows at the same time, or locked them for too long. Nothing was changed; trying again
    /// helps.
    #[error("others were writing at the same time: {0}")]
    Contended(String),
    /// A workspace of this id exists already.
    #[error("workspace {0} exists already")]
    WorkspaceExists(Arc<str>),
    /// The stored data contradicts itself; this is never retried.
    #[error("the stored data is inconsistent: {0}")]
    Inconsistent(String),
    /// The database does not take a value, however often it is tried: the one who wants to store it has to be told.
    /// Nothing was changed.
    #[error("the database refuses a value: {0}")]
    Refused(String),
    /// The disk is full: reads go on.
    #[error("the disk is full")]
    DiskFull,
    /// The database cannot be used as it is; the text says what to do.
    #[error("{0}")]
    Unusable(String),
}

/// A workspace as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceInfo {
    /// The store's number for it; never changes.
    pub no: WorkspaceNo,
    /// Its id, as its creator chose it; never changes.
    pub id: Arc<str>,
    /// A name for people; may be empty.
    pub display_name: Arc<str>,
    /// When it was created, in milliseconds since the Unix epoch.
    pub created_at_ms: i64,
}

/// One page of a range: rows in the order of their keys.
#[derive(Debug, Default)]
pub struct Page {
    /// The rows with their keys, in the order that was asked for.
    pub rows: Vec<(Key, Row)>,
    /// Whether rows follow after the last one.
    pub more: bool,
}

/// A database of workspaces.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// A snapshot to read from: all its reads show one committed state.
    async fn reader(&self) -> Result<Box<dyn StoreReader>, StoreError>;
    /// A write transaction; dropping it without a commit undoes it. Where one process owns the database there is at
    /// most one at a time. Where several share it, [`StoreReader::head`] locks a workspace until the transaction ends,
    /// and what is read or written before that is not protected from others.
    async fn writer(&self) -> Result<Box<dyn StoreWriter>, StoreError>;
    /// What the servers that share the database can tell each other; `None` where one process owns it, whose memory is
    /// then always the latest.
    fn shared(&self) -> Option<Arc<dyn SharedStore>> {
        None
    }
    /// What kind of store this is, for people.
    fn name(&self) -> &'static str;
    /// Finishes what is under way and closes the database.
    async fn close(&self);
}

/// Reads. Everything is within one workspace, except the list of workspaces.
#[async_trait]
pub trait StoreReader: Send {
    /// Workspaces by id, after `after`, at most `limit`.
    async fn workspaces(
        &mut self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<WorkspaceInfo>, StoreError>;
    /// One workspace by its id.
    async fn workspace(&mut self, id: &str) -> Result<Option<WorkspaceInfo>, StoreError>;
    /// The head of a workspace. A writer of a shared database locks the workspace by this, in a statement of its own,
    /// before it reads on: others that ask wait until its transaction has ended.
    async fn head(&mut self, ws: WorkspaceNo) -> Result<Option<WorkspaceHead>, StoreError>;
    /// Rows by key; in the order of `keys`, `None` for absent ones.
    async fn rows(&mut self, ws: WorkspaceNo, keys: &[Key]) -> Result<Vec<Option<Row>>, StoreError>;
    /// Rows of a range after `after`, at most `limit`, ascending; or descending and before `after`.
    async fn range(
        &mut self,
        ws: WorkspaceNo,
        prefix: &Prefix,
        after: Option<&Key>,
        limit: usize,
        order: Order,
    ) -> Result<Page, StoreError>;
    /// Roughly how many rows a range has; exact for small stores.
    async fn count(&mut self, ws: WorkspaceNo, prefix: &Prefix) -> Result<u64, StoreError>;
    /// Changes with `from_exclusive < seq <= to_inclusive`, in order, at most `limit`.
    async fn changes(
        &mut self,
        ws: WorkspaceNo,
        from_exclusive: Seq,
        to_inclusive: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError>;
    /// The change an operation became.
    async fn change_of(
        &mut self,
        ws: WorkspaceNo,
        replica_no: ReplicaNo,
        counter: Counter,
    ) -> Result<Option<Change>, StoreError>;
}

/// Direction of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The smallest key first.
    Ascending,
    /// The greatest key first.
    Descending,
}

/// Writes, in one transaction.
///
/// A store may gather writes and send them with the commit or the next read, so an error of a write may show only
/// there. After any error the transaction can only be dropped: its commit fails too. What contradicts the stored
/// state (writing to a workspace that is not there, a position or an operation that is in the log already) is
/// [`StoreError::Inconsistent`].
#[async_trait]
pub trait StoreWriter: StoreReader {
    /// Adds a workspace with its head, or fails with [`StoreError::WorkspaceExists`].
    async fn create_workspace(
        &mut self,
        id: &str,
        display_name: &str,
        created_at_ms: i64,
        head: &WorkspaceHead,
    ) -> Result<WorkspaceNo, StoreError>;
    /// Writes the rows and appends the changes of a batch and moves the head.
    async fn write(
        &mut self,
        ws: WorkspaceNo,
        batch: &WriteBatch,
        head: &WorkspaceHead,
    ) -> Result<(), StoreError>;
    /// Makes everything durable. When this returns, it is on disk.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}
