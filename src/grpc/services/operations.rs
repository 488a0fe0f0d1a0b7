//! OperationService.

use std::time::Instant;

use syncline_core::limits::OPERATIONS_PER_CALL_MAX;
use syncline_core::operation::{Identity, Operation};
use syncline_protocol::convert::{
    Nameless, dot_from_pb, operations_from_bytes, outcome_counts_to_pb, receipt_to_pb, request_id_from_pb,
};
use syncline_protocol::pb;
use syncline_protocol::status::{Failure, FieldViolation};
use tonic::{Request, Response, Status};

use super::{failed, note_workspace};
use crate::engine::Engine;
use crate::grpc::served;
use crate::grpc::served::operation_service_server::OperationService;
use crate::telemetry;

/// OperationService over an engine.
pub struct Operations {
    engine: Engine,
}

impl Operations {
    /// Serves this engine.
    pub fn new(engine: Engine) -> Operations {
        Operations { engine }
    }
}

/// The place of an operation in its call: where the receipt of a nameless one is, and where one of the engine belongs.
type Place = Option<pb::Receipt>;

/// Takes out of a call what the engine can settle.
fn apart(submitted: Vec<Result<Operation, Nameless>>) -> (Vec<Operation>, Vec<Place>) {
    let mut operations = Vec::with_capacity(submitted.len());
    let place = |one| match one {
        Ok(operation) => {
            operations.push(operation);
            None
        }
        Err(nameless) => Some(Nameless::receipt(&nameless)),
    };
    let places = submitted.into_iter().map(place).collect();
    (operations, places)
}

/// The receipts of all operations of a call, in its order.
fn together(places: Vec<Place>, settled: impl Iterator<Item = pb::Receipt>) -> Vec<pb::Receipt> {
    let mut settled = settled.fuse();
    places.into_iter().filter_map(|place| place.or_else(|| settled.next())).collect()
}

#[tonic::async_trait]
impl OperationService for Operations {
    async fn submit(
        &self,
        request: Request<served::SubmitRequest>,
    ) -> Result<Response<pb::SubmitResponse>, Status> {
        let started = Instant::now();
        // Every client understands what a receipt says, so nothing depends on what else this one understands.
        let served::SubmitRequest { workspace_id, operations, all_or_nothing, understands: _ } =
            request.into_inner();
        note_workspace(&workspace_id);
        let submitted = operations_from_bytes(operations)?;
        let violations = submitted.iter().enumerate();
        let violations = violations.filter_map(|(index, one)| Some(one.as_ref().err()?.violation(index)));
        if all_or_nothing {
            let violations: Vec<FieldViolation> = violations.collect();
            if !violations.is_empty() {
                return Err(Failure::invalid_request(violations).into());
            }
        }
        let (operations, places) = apart(submitted);
        if let Some(first) = operations.first() {
            let span = tracing::Span::current();
            if let Identity::Dot(dot) = &first.identity {
                span.record("replica", tracing::field::display(dot.replica));
            }
            if !first.correlation_id.is_empty() {
                span.record("correlation_id", &*first.correlation_id);
            }
        }
        let (receipts, head_seq) =
            self.engine.submit(&workspace_id, operations, all_or_nothing).await.map_err(failed)?;
        metrics::histogram!(telemetry::SUBMIT_SECONDS).record(started.elapsed().as_secs_f64());
        let receipts = together(places, receipts.iter().map(receipt_to_pb));
        let counts = Some(outcome_counts_to_pb(&receipts));
        Ok(Response::new(pb::SubmitResponse { receipts, head_seq, counts }))
    }

    async fn get_receipts(
        &self,
        request: Request<pb::GetReceiptsRequest>,
    ) -> Result<Response<pb::GetReceiptsResponse>, Status> {
        let pb::GetReceiptsRequest { workspace_id, dots, request_ids } = request.into_inner();
        note_workspace(&workspace_id);
        let count = dots.len() + request_ids.len();
        if count > OPERATIONS_PER_CALL_MAX {
            return Err(Failure::too_many_operations(count).into());
        }
        let mut violations = Vec::new();
        let mut asked = Vec::with_capacity(dots.len());
        for (index, dot) in dots.iter().enumerate() {
            match dot_from_pb(dot, &format!("dots[{index}]")) {
                Ok(dot) => asked.push(dot),
                Err(violation) => violations.push(violation),
            }
        }
        let mut requests = Vec::with_capacity(request_ids.len());
        for (index, id) in request_ids.iter().enumerate() {
            match request_id_from_pb(id, &format!("request_ids[{index}]")) {
                Ok(id) => requests.push(id),
                Err(violation) => violations.push(violation),
            }
        }
        if !violations.is_empty() {
            return Err(Failure::invalid_request(violations).into());
        }
        let receipts = self.engine.receipts(&workspace_id, &asked, &requests).await.map_err(failed)?;
        let receipts = receipts.iter().map(receipt_to_pb).collect();
        Ok(Response::new(pb::GetReceiptsResponse { receipts }))
    }

    async fn abandon_counter(
        &self,
        request: Request<pb::AbandonCounterRequest>,
    ) -> Result<Response<pb::AbandonCounterResponse>, Status> {
        let pb::AbandonCounterRequest { workspace_id, dot } = request.into_inner();
        note_workspace(&workspace_id);
        let dot = dot_from_pb(&dot.unwrap_or_default(), "dot")
            .map_err(|violation| Failure::invalid_request(vec![violation]))?;
        let receipt = self.engine.abandon(&workspace_id, dot).await.map_err(failed)?;
        Ok(Response::new(pb::AbandonCounterResponse { receipt: Some(receipt_to_pb(&receipt)) }))
    }
}
