//! Signals that ask a server to stop.
//!
//! They are heard in a thread and a runtime of their own. Whatever keeps the server's own threads busy, a stop begins when
//! it is asked for, and ends in time.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long a stop may take beyond the drain time, until the process is ended from here. The engine's own limits are
/// shorter.
const STOP_MARGIN: Duration = Duration::from_secs(10);

/// Cancelled by the first SIGINT or SIGTERM; a second one ends the process at once, and so does a stop that has not
/// come to its end in time.
pub(super) fn shutdown(drain: Duration) -> CancellationToken {
    let token = CancellationToken::new();
    let stopping = token.clone();
    let spawned = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(listen(stopping, drain.saturating_add(STOP_MARGIN))),
            Err(error) => tracing::warn!(%error, "signals cannot be heard; they end the process at once"),
        }
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "signals cannot be heard; they end the process at once");
    }
    token
}

async fn listen(stopping: CancellationToken, stop_max: Duration) {
    wait().await;
    stopping.cancel();
    tokio::select! {
        () = wait() => {
            tracing::warn!("second signal: leaving at once");
            std::process::exit(130);
        }
        () = tokio::time::sleep(stop_max) => {
            tracing::warn!("the stop takes too long: leaving; what was acknowledged is on disk");
            std::process::exit(1);
        }
    }
}

async fn wait() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be heard; SIGINT still can");
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
