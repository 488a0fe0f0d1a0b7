//! Opening a database file: lock, permissions, settings, migrations, and a check that the settings took effect.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};

use super::SqliteOptions;
use super::errors::{of_file, of_open};
use crate::store::StoreError;
use crate::store::migrations::{Dialect, migrator};
use crate::store::stored;

/// The first release in which a reset of the write-ahead log can no longer corrupt the database.
const SQLITE_VERSION_MIN: (u32, u32, u32) = (3, 51, 3);
/// Pages in the write-ahead log before it is copied into the database. Copies are rare, since each one writes a page
/// only once, however often it changed.
const CHECKPOINT_PAGES: &str = "20000";
/// Negative: KiB rather than pages.
const WRITER_CACHE_KIB: &str = "-65536";
const READER_CACHE_KIB: &str = "-16384";
/// More than all texts in use: compiling one again costs as much as running it.
const STATEMENT_CACHE_CAPACITY: usize = 512;
/// Maximum number of rows on their way from the connection's thread.
const ROW_BUFFER: usize = 256;
/// How long to wait for a lock of another program (a backup, a shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The writer's connection, ready to use, and the file that keeps other processes out while it is open.
pub(super) struct Opened {
    pub conn: SqliteConnection,
    pub writer_options: SqliteConnectOptions,
    pub lock: File,
}

pub(super) async fn open(options: &SqliteOptions) -> Result<Opened, StoreError> {
    let path = &options.path;
    create_directory(path)?;
    let lock = lock(path)?;
    create_file(path)?;
    let writer_options = writer_options(options);
    let mut conn = writer_options.connect().await.map_err(|e| of_open(path, e))?;
    check(&mut conn, options).await?;
    migrate(&mut conn, path).await?;
    check_format(&mut conn, path).await?;
    Ok(Opened { conn, writer_options, lock })
}

fn common_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .foreign_keys(false)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(STATEMENT_CACHE_CAPACITY)
        .row_buffer_size(ROW_BUFFER)
        .pragma("mmap_size", "0")
        .pragma("temp_store", "memory")
        .disable_statement_logging()
}

fn writer_options(options: &SqliteOptions) -> SqliteConnectOptions {
    let synchronous =
        if options.synchronous_full { SqliteSynchronous::Full } else { SqliteSynchronous::Normal };
    let pages_max =
        options.size_bytes_max.map(|bytes| (bytes / u64::from(options.page_size_bytes.max(1))).max(1));
    common_options(&options.path)
        .page_size(options.page_size_bytes)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("cache_size", WRITER_CACHE_KIB)
        // SQLite's own limit when there is none.
        .pragma("max_page_count", pages_max.unwrap_or(4_294_967_294).to_string())
        .thread_name(|_| "sqlite-writer".to_owned())
}

/// Settings of the connections that read.
pub(super) fn reader_options(options: &SqliteOptions) -> SqliteConnectOptions {
    common_options(&options.path)
        .read_only(true)
        // Only the writer copies the log back.
        .pragma("wal_autocheckpoint", "0")
        .pragma("cache_size", READER_CACHE_KIB)
        .thread_name(|n| format!("sqlite-reader-{n}"))
}

fn create_directory(path: &Path) -> Result<(), StoreError> {
    let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) else { return Ok(()) };
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(|e| of_file(directory, "creating the directory", &e))
}

fn private_file() -> OpenOptions {
    let mut file = OpenOptions::new();
    file.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    file
}

/// Creates the database for its owner alone; SQLite gives the files beside it the same permissions.
fn create_file(path: &Path) -> Result<(), StoreError> {
    private_file().open(path).map(drop).map_err(|e| of_file(path, "opening", &e))
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Keeps a second server away from the database: two sequencers would assign one position twice. The operating system
/// releases the lock when the process ends, however it ends; the file stays.
fn lock(path: &Path) -> Result<File, StoreError> {
    let lock_path = lock_path(path);
    let mut file =
        private_file().open(&lock_path).map_err(|e| of_file(&lock_path, "opening the lock", &e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            let owner = match file.read_to_string(&mut owner) {
                Ok(_) if !owner.trim().is_empty() => format!(" (process {})", owner.trim()),
                _ => String::new(),
            };
            return Err(StoreError::Unusable(format!(
                "{} is in use by another process{owner}, which holds {}; stop it first, or give another database",
                path.display(),
                lock_path.display()
            )));
        }
        Err(TryLockError::Error(e)) => return Err(of_file(&lock_path, "locking", &e)),
    }
    // For people who wonder who holds the lock; the lock itself does not need it.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// Checks the settings that durability depends on instead of assuming them.
async fn check(conn: &mut SqliteConnection, options: &SqliteOptions) -> Result<(), StoreError> {
    let path = options.path.as_path();
    let version: String = scalar(conn, path, "SELECT sqlite_version()").await?;
    if parse_version(&version) < Some(SQLITE_VERSION_MIN) {
        let (major, minor, patch) = SQLITE_VERSION_MIN;
        return Err(StoreError::Unusable(format!(
            "this binary was built with SQLite {version}, which can corrupt databases; build it with \
             {major}.{minor}.{patch} or later"
        )));
    }
    let journal_mode: String = scalar(conn, path, "PRAGMA journal_mode").await?;
    if journal_mode != "wal" {
        return Err(StoreError::Unusable(format!(
            "{} cannot use a write-ahead log (journal mode {journal_mode}); put it on a local file system",
            path.display()
        )));
    }
    let synchronous: i64 = scalar(conn, path, "PRAGMA synchronous").await?;
    let wanted = if options.synchronous_full { 2 } else { 1 };
    if synchronous != wanted {
        return Err(StoreError::Unusable(format!(
            "SQLite did not take the setting synchronous = {wanted} (it is {synchronous}); commits would not be durable"
        )));
    }
    Ok(())
}

async fn scalar<T>(conn: &mut SqliteConnection, path: &Path, sql: &'static str) -> Result<T, StoreError>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + Send + Unpin,
{
    sqlx::query_scalar(sql).fetch_one(conn).await.map_err(|e| of_open(path, e))
}

fn parse_version(version: &str) -> Option<(u32, u32, u32)> {
    let mut parts = version.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

async fn check_format(conn: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let first: Option<Vec<u8>> = sqlx::query_scalar(include_str!("../sql/stored_format.sql"))
        .fetch_optional(conn)
        .await
        .map_err(|e| of_open(path, e))?;
    stored::check_format(first.as_deref())
}

async fn migrate(conn: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let path_shown = path.display();
    migrator(Dialect::Sqlite).run(conn).await.map_err(|e| match e {
        MigrateError::VersionMissing(version) => StoreError::Unusable(format!(
            "{path_shown} has schema {version}, which this version of the server does not know; use the newer \
             version that wrote it, or restore a backup from before"
        )),
        MigrateError::Execute(e) => of_open(path, e),
        MigrateError::ExecuteMigration(e, version) => match of_open(path, e) {
            StoreError::Database(e) => StoreError::Unusable(format!("migrating {path_shown} to schema {version} failed: {e}")),
            other => other,
        },
        other => StoreError::Unusable(format!("{path_shown} cannot be migrated: {other}")),
    })
}
