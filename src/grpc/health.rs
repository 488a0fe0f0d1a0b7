//! The standard health check. Its watches end when the service begins to stop, after they have said so: one that stays
//! open would hold up every stop until the end of the drain time.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::{HealthReporter, HealthService, WatchStream};

/// The health service of a server that tells this reporter how it is. `draining` is cancelled after the reporter has been
/// told that the server does not serve any more.
pub fn health_server(reporter: HealthReporter, draining: CancellationToken) -> HealthServer<impl Health> {
    HealthServer::new(EndingHealth { inner: HealthService::from_health_reporter(reporter), draining })
}

struct EndingHealth {
    inner: HealthService,
    draining: CancellationToken,
}

#[tonic::async_trait]
impl Health for EndingHealth {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.inner.check(request).await
    }

    type WatchStream = UntilDraining;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let statuses = self.inner.watch(request).await?.into_inner();
        let draining = Box::pin(self.draining.clone().cancelled_owned());
        Ok(Response::new(UntilDraining { statuses, draining }))
    }
}

/// A watch until the service begins to stop.
struct UntilDraining {
    statuses: WatchStream,
    draining: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Stream for UntilDraining {
    type Item = Result<HealthCheckResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The order matters: the last status comes before the end.
        match Pin::new(&mut self.statuses).poll_next(cx) {
            Poll::Pending => self.draining.as_mut().poll(cx).map(|()| None),
            ready => ready,
        }
    }
}
