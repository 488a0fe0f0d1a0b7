//! What connections to a Postgres are asked to do, and what they have in common.

use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

/// The server's limit for one statement: below ours, so that the error comes from the server.
const STATEMENT_TIMEOUT_MS: u32 = 4_000;
/// How long a statement waits for a lock.
const LOCK_TIMEOUT_MS: u32 = 2_000;
/// A transaction whose owner sends nothing for this long is ended by the server.
const IDLE_IN_TRANSACTION_TIMEOUT_MS: u32 = 5_000;
/// How often the server looks whether the owner of a running statement is still there.
const CONNECTION_CHECK_INTERVAL_MS: u32 = 1_000;
/// How long it may take to connect for the first time.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What all our connections have in common.
pub(super) fn plain(given: &PgConnectOptions) -> PgConnectOptions {
    let named = match given.get_application_name() {
        Some(_) => given.clone(),
        None => given.clone().application_name("syncline"),
    };
    // The server's warning about a rollback without a transaction is of no interest.
    named.options([("client_min_messages", "error")]).disable_statement_logging()
}

/// Connections of readers and writers.
pub(super) fn pooled(given: &PgConnectOptions) -> PgConnectOptions {
    plain(given)
        .options([
            ("statement_timeout", STATEMENT_TIMEOUT_MS),
            ("lock_timeout", LOCK_TIMEOUT_MS),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT_MS),
            ("client_connection_check_interval", CONNECTION_CHECK_INTERVAL_MS),
            // A server that ends idle sessions would only make us connect again and again.
            ("idle_session_timeout", 0),
        ])
        .options([
            ("default_transaction_isolation", "read committed"),
            // Every statement of ours finds its rows by key. A plan that was made while a table was small must not scan
            // the table.
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("jit", "off"),
        ])
}

/// Connections for writes that may be lost in a crash.
pub(super) fn signalling(given: &PgConnectOptions) -> PgConnectOptions {
    pooled(given).options([("synchronous_commit", "off")])
}

/// The connection that listens.
pub(super) fn listening(given: &PgConnectOptions) -> PgConnectOptions {
    plain(given).options([("idle_session_timeout", "0")])
}
