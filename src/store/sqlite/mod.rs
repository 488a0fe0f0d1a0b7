//! A database in an SQLite file: one process, one writer, a few readers.
//!
//! The driver gives every connection a thread of its own, and every text of SQL is a round trip to it. So the
//! writer gathers what a transaction writes and sends it as one text where it can ([`batch`], [`shapes`]).
//! Writing goes through one connection behind an asynchronous lock; readers have snapshots that neither wait
//! for the writer nor hold it up.

mod batch;
mod errors;
mod open;
mod reader;
mod reads;
mod shapes;
mod writer;

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;

use super::{Store, StoreError, StoreReader, StoreWriter};
use reader::SqliteReader;
use writer::{SqliteWriter, WriterSlot};

#[doc(hidden)]
pub use shapes::generated_statements;

/// Where the database is and how it is used.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The file; it and its directory are created when missing. The write-ahead log and a lock file are beside it.
    pub path: PathBuf,
    /// Snapshots that can be open at a time; more wait. Each is a connection with a thread.
    pub readers: u32,
    /// Whether a commit waits for the disk. Without it, a power cut can undo the last commits.
    pub synchronous_full: bool,
    /// Page size of a new database, a power of two from 512 to 65536.
    pub page_size_bytes: u32,
    /// Size of the file beyond which writing fails as on a full disk; reads go on.
    pub size_bytes_max: Option<u64>,
}

impl SqliteOptions {
    /// The defaults for a database at `path`.
    pub fn new(path: impl Into<PathBuf>) -> SqliteOptions {
        SqliteOptions {
            path: path.into(),
            readers: 3,
            synchronous_full: true,
            // With random updates a commit writes fewer bytes in small pages than in larger ones.
            page_size_bytes: 4096,
            size_bytes_max: None,
        }
    }
}

/// A store in an SQLite file.
pub struct SqliteStore {
    readers: SqlitePool,
    writer: Arc<tokio::sync::Mutex<WriterSlot>>,
    /// Held as long as anything may touch the file.
    lock: Mutex<Option<File>>,
}

impl SqliteStore {
    /// Opens the database, creating or migrating it as needed. Refuses one that another process has open, that a newer
    /// server wrote, or that cannot guarantee durability.
    pub async fn open(options: SqliteOptions) -> Result<SqliteStore, StoreError> {
        let opened = open::open(&options).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(options.readers.max(1))
            // A ping would be one more round trip, only to a thread of this same process.
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(open::reader_options(&options))
            .await
            .map_err(|e| errors::of_open(&options.path, e))?;
        let writer = Arc::new(tokio::sync::Mutex::new(WriterSlot::new(opened.writer_options, opened.conn)));
        Ok(SqliteStore { readers, writer, lock: Mutex::new(Some(opened.lock)) })
    }

    /// Creates or migrates the database and closes it again.
    pub async fn migrate_only(options: SqliteOptions) -> Result<(), StoreError> {
        SqliteStore::open(options).await?.close().await;
        Ok(())
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn reader(&self) -> Result<Box<dyn StoreReader>, StoreError> {
        Ok(Box::new(SqliteReader::begin(&self.readers).await?))
    }

    async fn writer(&self) -> Result<Box<dyn StoreWriter>, StoreError> {
        let slot = self.writer.clone().lock_owned().await;
        Ok(Box::new(SqliteWriter::begin(slot).await?))
    }

    fn name(&self) -> &'static str {
        "sqlite"
    }

    async fn close(&self) {
        // Readers first: the last connection to close copies the write-ahead log into the database, and only the
        // writer's connection can do that.
        self.readers.close().await;
        self.writer.lock().await.close().await;
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(lock);
    }
}
