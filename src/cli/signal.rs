//! Signals that ask a server to stop.

use tokio_util::sync::CancellationToken;

/// Cancelled by the first SIGINT or SIGTERM; a second one ends the process at once.
pub(super) fn shutdown() -> CancellationToken {
    let token = CancellationToken::new();
    let stopping = token.clone();
    tokio::spawn(async move {
        wait().await;
        stopping.cancel();
        wait().await;
        tracing::warn!("second signal: leaving at once");
        std::process::exit(130);
    });
    token
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
