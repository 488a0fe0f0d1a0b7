//! Listening for what servers announce, on a separate connection that is opened again whenever it is lost.

use std::time::Duration;

use sqlx::Executor;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::time::{Instant, sleep_until, timeout};

use super::session::STATEMENT_TIMEOUT;
use super::shared::announced_in;
use crate::store::Announced;

/// The name of the channel for announcements, within one database.
const CHANNEL: &str = "syncline";
/// A connection that was silent for this long is tested with a query: that a peer has vanished would not be noticed
/// otherwise.
const SILENT_MAX: Duration = Duration::from_secs(30);
/// How long a new connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// First and longest pause between two attempts to connect.
const RECONNECT_AFTER: Duration = Duration::from_millis(50);
const RECONNECT_AFTER_MAX: Duration = Duration::from_secs(2);

/// Receives on one server what any server announces.
pub(super) struct NotificationListener {
    options: PgConnectOptions,
    state: tokio::sync::Mutex<State>,
}

struct State {
    listener: Option<PgListener>,
    /// Failures since the last success.
    failure_count: u32,
    /// No attempt to connect is made before this time.
    not_before: Instant,
    closed: bool,
}

impl NotificationListener {
    /// Connects when it first listens.
    pub fn new(options: PgConnectOptions) -> NotificationListener {
        let state = State { listener: None, failure_count: 0, not_before: Instant::now(), closed: false };
        NotificationListener { options, state: tokio::sync::Mutex::new(state) }
    }

    /// Waits for the next announcement. After every new connection it answers that some may have been lost.
    pub async fn heard(&self) -> Announced {
        let mut state = self.state.lock().await;
        loop {
            if state.closed {
                // Nothing will ever arrive; the owner of the task that waits cancels it.
                drop(state);
                return std::future::pending().await;
            }
            match &mut state.listener {
                Some(listener) => match next(listener).await {
                    Some(announced) => return announced,
                    None => state.lost(),
                },
                None => {
                    sleep_until(state.not_before).await;
                    match timeout(CONNECT_TIMEOUT, connect(&self.options)).await {
                        Ok(Ok(listener)) => {
                            state.listener = Some(listener);
                            state.failure_count = 0;
                            return Announced::Unsure;
                        }
                        Ok(Err(error)) => {
                            tracing::warn!(%error, "listening for other servers failed; polling goes on");
                            state.lost();
                        }
                        Err(_) => state.lost(),
                    }
                }
            }
        }
    }

    /// Stops listening. It does not wait for a task that is listening right now; the task's owner cancels that one.
    pub async fn close(&self) {
        if let Ok(mut state) = self.state.try_lock() {
            state.closed = true;
            state.listener = None;
        }
    }
}

impl State {
    fn lost(&mut self) {
        self.listener = None;
        let pause = RECONNECT_AFTER.saturating_mul(2_u32.saturating_pow(self.failure_count));
        self.not_before = Instant::now() + pause.min(RECONNECT_AFTER_MAX);
        self.failure_count = self.failure_count.saturating_add(1);
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgListener, sqlx::Error> {
    // The driver's listener needs a pool. It gets one with a single connection, which is closed together with it.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .test_before_acquire(false)
        .acquire_timeout(CONNECT_TIMEOUT)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

/// The next announcement; `None` when the connection is lost.
async fn next(listener: &mut PgListener) -> Option<Announced> {
    loop {
        match timeout(SILENT_MAX, listener.try_recv()).await {
            Ok(Ok(Some(notification))) => {
                return Some(
                    announced_in(notification.payload()).map_or(Announced::Unsure, Announced::Workspaces),
                );
            }
            Ok(Ok(None) | Err(_)) => return None,
            Err(_) => match timeout(STATEMENT_TIMEOUT, listener.execute("SELECT 1")).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return None,
            },
        }
    }
}
