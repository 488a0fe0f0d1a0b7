//! A database of PostgreSQL 15 or later, which any number of servers may share.
//!
//! The lock of a workspace is its head row ([`writer`]); caches are valid only against it. Everything else that servers
//! tell each other is a hint ([`shared`], [`listen`]). Connections have state on the server (prepared statements,
//! `LISTEN`), so a connection pooler in between must give each one a session of its own ("session mode").

mod connections;
mod errors;
mod inspect;
mod listen;
mod open;
mod reader;
mod reads;
mod session;
mod settings;
mod shared;
mod write;
mod writer;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::postgres::PgConnectOptions;

use super::{SharedStore, Store, StoreError, StoreReader, StoreWriter};
use connections::PgPool;
use listen::NotificationListener;
use reader::PostgresReader;
use shared::Shared;
use writer::PostgresWriter;

pub use inspect::{Finding, Severity};

/// Default for how many snapshots can be open at a time.
const READERS_DEFAULT: u32 = 8;
/// Default for how many write transactions can be open at a time.
const WRITERS_DEFAULT: u32 = 8;
/// Connections for announcements and presence.
const SIGNALS: u32 = 2;
/// The number of connections that listen for announcements.
const LISTENERS: u32 = 1;

/// Which database, and how it is used.
#[derive(Clone)]
pub struct PostgresOptions {
    connect: PgConnectOptions,
    /// Snapshots that can be open at a time; more wait. Each is a connection.
    pub readers: u32,
    /// Write transactions that can be open at a time; more wait. Each is a connection.
    pub writers: u32,
}

impl PostgresOptions {
    /// The defaults for a database at `postgres://USER:PASSWORD@HOST:PORT/DATABASE?PARAMETERS`. What the address leaves
    /// open comes from the environment and the password file, as for `psql`. The error never repeats the address.
    pub fn new(url: &str) -> Result<PostgresOptions, StoreError> {
        let connect = url.parse().map_err(|_| {
            StoreError::Unusable(
                "the address of the database is none; expected postgres://USER:PASSWORD@HOST:PORT/DATABASE"
                    .to_owned(),
            )
        })?;
        Ok(PostgresOptions { connect, readers: READERS_DEFAULT, writers: WRITERS_DEFAULT })
    }

    /// Connections that a server needs at most.
    pub fn connections_needed(&self) -> u32 {
        self.readers.max(1).saturating_add(self.writers.max(1)).saturating_add(SIGNALS + LISTENERS)
    }
}

/// Shows where the database is, and never the password.
impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("host", &self.connect.get_host())
            .field("socket", &self.connect.get_socket())
            .field("database", &self.connect.get_database())
            .field("readers", &self.readers)
            .field("writers", &self.writers)
            .finish_non_exhaustive()
    }
}

/// A store in a Postgres database.
pub struct PostgresStore {
    readers: PgPool,
    writers: PgPool,
    signals: PgPool,
    shared: Arc<Shared>,
}

impl PostgresStore {
    /// Opens the database, migrating it as needed; several servers may do so at once. Refuses a database that cannot
    /// guarantee durability, that a newer server has migrated, or that this server cannot work with, and reports
    /// everything that is wrong at once.
    pub async fn open(options: PostgresOptions) -> Result<PostgresStore, StoreError> {
        open::prepare(&options).await?;
        let connections = |purpose, count| PgPool::new(purpose, settings::pooled(&options.connect), count);
        let readers = connections("reading", options.readers);
        let writers = connections("writing", options.writers);
        let signals = PgPool::new("signals", settings::signalling(&options.connect), SIGNALS);
        let listener = NotificationListener::new(settings::listening(&options.connect));
        let shared = Arc::new(Shared::new(readers.clone(), signals.clone(), listener));
        Ok(PostgresStore { readers, writers, signals, shared })
    }

    /// Migrates the database.
    pub async fn migrate_only(options: PostgresOptions) -> Result<(), StoreError> {
        open::prepare(&options).await
    }

    /// Everything that [`PostgresStore::open`] would check, good and bad, without changing anything. `now_ms` is this
    /// machine's clock.
    pub async fn inspect(options: &PostgresOptions, now_ms: &(dyn Fn() -> i64 + Sync)) -> Vec<Finding> {
        inspect::inspect(options, Some(now_ms)).await
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn reader(&self) -> Result<Box<dyn StoreReader>, StoreError> {
        self.readers.open()?;
        Ok(Box::new(PostgresReader::new(self.readers.clone())))
    }

    async fn writer(&self) -> Result<Box<dyn StoreWriter>, StoreError> {
        self.writers.open()?;
        Ok(Box::new(PostgresWriter::new(self.writers.clone())))
    }

    fn shared(&self) -> Option<Arc<dyn SharedStore>> {
        Some(self.shared.clone())
    }

    fn name(&self) -> &'static str {
        "postgres"
    }

    async fn close(&self) {
        self.shared.close().await;
        tokio::join!(self.readers.close(), self.writers.close(), self.signals.close());
    }
}
