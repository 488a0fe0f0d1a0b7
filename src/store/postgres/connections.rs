//! A pool of connections that are kept open between uses, up to a maximum number.
//!
//! The driver's own pool is not used, for two reasons: it pings the server whenever a connection is returned, without a
//! time limit, so that a server that stops answering blocks the whole pool; and a connection that is returned clean
//! needs no round trip at all.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::errors::{closed, io, is_disconnect, is_passing, of_statement, unavailable};
use super::session::PgSession;
use crate::store::StoreError;

/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that was idle for longer than this is pinged before it is used.
const IDLE_UNTESTED_MAX: Duration = Duration::from_secs(30);
/// How long that ping may take.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection older than this is replaced: the memory of its process on the server only grows.
const LIFETIME_MAX: Duration = Duration::from_secs(30 * 60);
/// First and longest pause between two attempts to connect.
const RECONNECT_AFTER: Duration = Duration::from_millis(20);
const RECONNECT_AFTER_MAX: Duration = Duration::from_millis(250);
/// How long closing the pool waits for connections in use, and for each connection to close properly.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);

/// Connections for one purpose.
#[derive(Clone)]
pub(super) struct PgPool {
    inner: Arc<Inner>,
}

struct Inner {
    /// What the connections are for, in words for people.
    purpose: &'static str,
    options: PgConnectOptions,
    count_max: u32,
    permits: Arc<Semaphore>,
    /// Connections outside of any transaction, with no answer pending. The one returned last is used first.
    idle: Mutex<Vec<IdleConnection>>,
}

/// A connection and its age.
pub(super) struct IdleConnection {
    pub conn: PgConnection,
    pub opened_at: Instant,
    pub idle_since: Instant,
}

impl PgPool {
    /// A pool whose connections are opened only when they are needed.
    pub fn new(purpose: &'static str, options: PgConnectOptions, count_max: u32) -> PgPool {
        let count_max = count_max.max(1);
        let permits = Arc::new(Semaphore::new(count_max as usize));
        PgPool { inner: Arc::new(Inner { purpose, options, count_max, permits, idle: Mutex::default() }) }
    }

    /// Fails if the pool was closed.
    pub fn open(&self) -> Result<(), StoreError> {
        if self.inner.permits.is_closed() { Err(closed()) } else { Ok(()) }
    }

    /// A connection for exclusive use. Waits a limited time for one to become free and for the server to accept it.
    pub async fn session(&self) -> Result<PgSession, StoreError> {
        let deadline = Instant::now() + ACQUIRE_TIMEOUT;
        let permit = timeout_at(deadline, self.inner.permits.clone().acquire_owned())
            .await
            .map_err(|_| {
                unavailable(
                    ErrorKind::TimedOut,
                    format!(
                        "none of the {} database connections for {} became free within {} s",
                        self.inner.count_max,
                        self.inner.purpose,
                        ACQUIRE_TIMEOUT.as_secs()
                    ),
                )
            })?
            .map_err(|_| closed())?;
        while let Some(mut kept) = self.pop() {
            if kept.opened_at.elapsed() >= LIFETIME_MAX {
                continue;
            }
            let fresh = kept.idle_since.elapsed() < IDLE_UNTESTED_MAX;
            if fresh || matches!(timeout(PING_TIMEOUT, kept.conn.ping()).await, Ok(Ok(()))) {
                return Ok(PgSession::new(kept.conn, kept.opened_at, true, permit, self.clone()));
            }
        }
        let conn = self.connect(deadline).await?;
        Ok(PgSession::new(conn, Instant::now(), false, permit, self.clone()))
    }

    /// Runs a text that begins a transaction, and returns the connection to go on with. If a kept connection turns out
    /// to be dead, nothing was begun, and another one is tried once.
    pub async fn begin(&self, text: &str) -> Result<(PgSession, Vec<PgRow>), StoreError> {
        let mut session = self.session().await?;
        match session.text(text).await {
            Ok(rows) => Ok((session, rows)),
            Err(e) if session.is_kept() && is_disconnect(&e) && !is_timeout(&e) => {
                drop(session);
                let mut session = self.session().await?;
                let rows = session.text(text).await.map_err(of_statement)?;
                Ok((session, rows))
            }
            Err(e) => Err(of_statement(e)),
        }
    }

    async fn connect(&self, deadline: Instant) -> Result<PgConnection, StoreError> {
        let mut pause = RECONNECT_AFTER;
        loop {
            match timeout_at(deadline, connect_to_primary(&self.inner.options)).await {
                Ok(Ok(conn)) => return Ok(conn),
                Ok(Err(e)) if is_passing(&e) && Instant::now() + pause < deadline => {
                    sleep(pause).await;
                    pause = (pause * 2).min(RECONNECT_AFTER_MAX);
                }
                Ok(Err(e)) => return Err(of_statement(e)),
                Err(_) => {
                    return Err(unavailable(
                        ErrorKind::TimedOut,
                        format!("the database accepted no connection within {} s", ACQUIRE_TIMEOUT.as_secs()),
                    ));
                }
            }
        }
    }

    fn pop(&self) -> Option<IdleConnection> {
        self.inner.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Takes back a clean connection.
    pub fn keep(&self, conn: PgConnection, opened_at: Instant) {
        if !self.inner.permits.is_closed() {
            let kept = IdleConnection { conn, opened_at, idle_since: Instant::now() };
            self.inner.idle.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
        }
    }

    /// Drops the idle connections after one has broken: the server may be gone, and all of them with it.
    pub fn discard_idle(&self) {
        let idle = std::mem::take(&mut *self.inner.idle.lock().unwrap_or_else(PoisonError::into_inner));
        drop(idle);
    }

    /// Waits a limited time for connections in use, closes the idle ones properly, and gives out no more.
    pub async fn close(&self) {
        let all = self.inner.permits.clone().acquire_many_owned(self.inner.count_max);
        // Connections were in use for too long, or the pool was closed before: either way there is nothing more to wait
        // for.
        let _ = timeout(CLOSE_TIMEOUT, all).await;
        self.inner.permits.close();
        while let Some(kept) = self.pop() {
            let _ = timeout(GOODBYE_TIMEOUT, kept.conn.close()).await;
        }
    }
}

/// A connection to a server that accepts writes. For a while after a failover, an address may lead to a server that is
/// a standby now, where writes fail and reads are stale.
async fn connect_to_primary(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut conn = options.connect().await?;
    let standby: bool = sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(&mut conn).await?;
    match standby {
        true => Err(io(ErrorKind::ConnectionRefused, "the address leads to a standby")),
        false => Ok(conn),
    }
}

fn is_timeout(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(e) if e.kind() == ErrorKind::TimedOut)
}
