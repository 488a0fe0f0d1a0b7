//! DiagnosticsService: what operators measure a server with.

use tonic::{Request, Response, Status};

use crate::grpc::served::diagnostics::diagnostics_service_server::DiagnosticsService;
use syncline_protocol::pb::diagnostics::{NoopRequest, NoopResponse};

/// DiagnosticsService. It deliberately does not use the engine.
#[derive(Debug, Default)]
pub struct Diagnostics;

#[tonic::async_trait]
impl DiagnosticsService for Diagnostics {
    async fn noop(&self, request: Request<NoopRequest>) -> Result<Response<NoopResponse>, Status> {
        let NoopRequest { submit } = request.into_inner();
        let count = submit.map_or(0, |submit| submit.operations.len());
        let operation_count = u32::try_from(count).unwrap_or(u32::MAX);
        Ok(Response::new(NoopResponse { operation_count }))
    }
}
