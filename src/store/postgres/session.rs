//! One connection in use: every statement has a deadline, and nothing unfinished is ever passed on.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Execute, Executor, PgConnection, Postgres};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use super::connections::PgPool;
use super::errors::{io, is_disconnect};

/// How long one statement may take. Longer than the server's own limits, which give better errors: this one is for a
/// server that does not answer at all.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an abandoned connection may take to become usable again; after that it is closed.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_secs(1);

/// What the server may still hold for this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is no transaction and no pending answer.
    Clean,
    /// A transaction may be open, or an answer pending: the connection has to be rolled back.
    Open,
}

/// A connection used by one caller. Dropping it, at any moment, leaves no transaction open: what is under way is waited
/// for and rolled back in a task of its own, or the connection is closed.
pub(super) struct PgSession {
    /// Absent after it broke.
    conn: Option<PgConnection>,
    opened_at: Instant,
    /// Whether it was used before; the server may be gone since.
    kept: bool,
    state: State,
    permit: Option<OwnedSemaphorePermit>,
    home: PgPool,
}

impl PgSession {
    pub fn new(
        conn: PgConnection,
        opened_at: Instant,
        kept: bool,
        permit: OwnedSemaphorePermit,
        home: PgPool,
    ) -> PgSession {
        PgSession { conn: Some(conn), opened_at, kept, state: State::Clean, permit: Some(permit), home }
    }

    /// Whether the connection was used before.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    /// Whether the connection broke.
    pub fn is_lost(&self) -> bool {
        self.conn.is_none()
    }

    /// Runs one statement with arguments.
    pub async fn rows(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, sqlx::Error> {
        self.run(query).await
    }

    /// Runs a text without arguments: one statement or several in one round trip, which ends at the first that fails.
    /// The texts are ours, and the only values in them are numbers.
    pub async fn text(&mut self, text: &str) -> Result<Vec<PgRow>, sqlx::Error> {
        self.run(sqlx::raw_sql(AssertSqlSafe(text))).await
    }

    /// Notes that the transaction has ended, or that there was none: others can use the connection at once.
    pub fn ended(&mut self) {
        self.state = State::Clean;
    }

    async fn run<'q, E>(&mut self, query: E) -> Result<Vec<PgRow>, sqlx::Error>
    where
        E: Execute<'q, Postgres> + 'q,
    {
        let Some(conn) = &mut self.conn else {
            return Err(io(ErrorKind::NotConnected, "the connection to the database was lost"));
        };
        self.state = State::Open;
        match timeout(STATEMENT_TIMEOUT, conn.fetch_all(query)).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(e)) => {
                if is_disconnect(&e) {
                    self.cut();
                }
                Err(e)
            }
            Err(_) => {
                self.cut();
                let text = format!("the database did not answer within {} s", STATEMENT_TIMEOUT.as_secs());
                Err(io(ErrorKind::TimedOut, text))
            }
        }
    }

    /// Drops the connection without closing it properly: its state is unknown, and the server may not answer.
    fn cut(&mut self) {
        self.conn = None;
        self.home.discard_idle();
    }
}

impl Drop for PgSession {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        if self.state == State::Clean {
            self.home.keep(conn, self.opened_at);
            return;
        }
        // Without a runtime, dropping the connection closes it, which ends everything as well.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (home, opened_at, permit) = (self.home.clone(), self.opened_at, self.permit.take());
        runtime.spawn(async move {
            // Held until the connection is clean or closed, so that there are never more connections than the limit.
            let _permit = permit;
            if let Some(conn) = roll_back(conn).await {
                home.keep(conn, opened_at);
            }
        });
    }
}

/// Ends what may be open. The driver first reads what is left of an answer that nobody waited for.
async fn roll_back(mut conn: PgConnection) -> Option<PgConnection> {
    let cleaned = timeout(CLEAN_UP_TIMEOUT, async {
        match conn.execute("ROLLBACK").await {
            // This error is the answer to the abandoned statement; the connection can still be used.
            Err(e) if !is_disconnect(&e) => conn.execute("ROLLBACK").await.map(drop),
            other => other.map(drop),
        }
    });
    match cleaned.await {
        Ok(Ok(())) => Some(conn),
        _ => None,
    }
}
