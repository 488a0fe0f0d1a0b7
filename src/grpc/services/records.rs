//! RecordService.

use tonic::{Request, Response, Status};

use crate::engine::Engine;
use crate::grpc::served::record_service_server::RecordService;
use syncline_protocol::convert::{
    context_to_pb, field_filters_from_pb, name_from_pb, record_change_to_pb, record_to_pb,
};
use syncline_protocol::pb;
use syncline_protocol::status::Failure;

use super::{after_token, failed, note_workspace, page_size, page_token, parsed_token};

/// RecordService over an engine.
pub struct Records {
    engine: Engine,
}

impl Records {
    /// Serves this engine.
    pub fn new(engine: Engine) -> Records {
        Records { engine }
    }
}

#[tonic::async_trait]
impl RecordService for Records {
    async fn get_record(
        &self,
        request: Request<pb::GetRecordRequest>,
    ) -> Result<Response<pb::GetRecordResponse>, Status> {
        let pb::GetRecordRequest { workspace_id, record_id } = request.into_inner();
        note_workspace(&workspace_id);
        let record = name_from_pb(&record_id, "record_id").map_err(|v| Failure::invalid_request(vec![v]))?;
        let (view, context) = self.engine.record(&workspace_id, &record).await.map_err(failed)?;
        Ok(Response::new(pb::GetRecordResponse {
            record: Some(record_to_pb(&view)),
            context: Some(context_to_pb(&context)),
        }))
    }

    async fn list_records(
        &self,
        request: Request<pb::ListRecordsRequest>,
    ) -> Result<Response<pb::ListRecordsResponse>, Status> {
        let pb::ListRecordsRequest {
            workspace_id,
            collection_id,
            filters,
            page_size: size,
            page_token: token,
            include_deleted,
        } = request.into_inner();
        note_workspace(&workspace_id);
        let collection =
            name_from_pb(&collection_id, "collection_id").map_err(|v| Failure::invalid_request(vec![v]))?;
        let filters = field_filters_from_pb(&filters)?;
        let after = after_token("records", &token)?;
        let limit = page_size(size, 100, 1_000);
        let (page, context) = self
            .engine
            .records(&workspace_id, &collection, &filters, include_deleted, after, limit)
            .await
            .map_err(failed)?;
        Ok(Response::new(pb::ListRecordsResponse {
            records: page.records.iter().map(record_to_pb).collect(),
            next_page_token: page.next.map(|record| page_token("records", record)).unwrap_or_default(),
            context: Some(context_to_pb(&context)),
        }))
    }

    async fn list_record_history(
        &self,
        request: Request<pb::ListRecordHistoryRequest>,
    ) -> Result<Response<pb::ListRecordHistoryResponse>, Status> {
        let pb::ListRecordHistoryRequest { workspace_id, record_id, page_size: size, page_token: token } =
            request.into_inner();
        note_workspace(&workspace_id);
        let record = name_from_pb(&record_id, "record_id").map_err(|v| Failure::invalid_request(vec![v]))?;
        let before = parsed_token("history", &token)?;
        let limit = page_size(size, 50, 200);
        let (changes, next) =
            self.engine.record_history(&workspace_id, &record, before, limit).await.map_err(failed)?;
        Ok(Response::new(pb::ListRecordHistoryResponse {
            changes: changes.iter().filter_map(|c| record_change_to_pb(c, &record)).collect(),
            next_page_token: next.map(|seq| page_token("history", seq)).unwrap_or_default(),
        }))
    }
}
