//! What the tests share: a server in this process, generated clients over real sockets, replicas that keep counter
//! and context as a client does, a feed reader that checks every frame, a model that folds effects, errors as
//! `error.proto` documents them. Nothing here sleeps to be ready, and every wait has an end.

pub mod errors;
pub mod feed;
pub mod filters;
pub mod http2;
pub mod model;
pub mod observer;
pub mod ops;
pub mod postgres;
pub mod raw;
pub mod receipts;
pub mod replica;
pub mod server;
pub mod web;
pub mod workspace;

use std::future::Future;
use std::time::Duration;

pub use errors::{Reason, fails, fails_with};
pub use feed::{Feed, Heard, Kind};
pub use ops::{IntoValue, on};
pub use replica::Replica;
pub use server::TestServer;
pub use syncline_protocol::pb;
pub use workspace::Workspace;

/// Longer than anything takes on a busy machine: a wait that hangs fails its test instead of the whole run.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// The output of `future`, or a failure that says what did not come.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// Asks again until the answer is there; for what the server does by itself some time later.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    within(what, async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}
