//! RecordService.

use tonic::{Request, Response, Status};

use crate::engine::{Engine, WantedRecords};
use crate::grpc::served::record_service_server::RecordService;
use syncline_protocol::convert::{
    context_to_pb, filter_from_pb, name_from_pb, record_change_to_pb, record_to_pb,
};
use syncline_protocol::pb;
use syncline_protocol::status::Failure;

use super::{
    after_token, at_least_from_pb, bound_listing, failed, note_workspace, page_size, page_token, parsed_token,
};

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
        let pb::GetRecordRequest { workspace_id, record_id, at_least } = request.into_inner();
        note_workspace(&workspace_id);
        let record = name_from_pb(&record_id, "record_id").map_err(|v| Failure::invalid_request(vec![v]))?;
        let at_least = at_least_from_pb(at_least, &workspace_id)?;
        let read = self.engine.record(&workspace_id, &record, at_least.as_ref()).await;
        let (view, context) = read.map_err(failed)?;
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
            filter,
            page_size: size,
            page_token: token,
            include_deleted,
            at_least,
        } = request.into_inner();
        note_workspace(&workspace_id);
        let collection =
            name_from_pb(&collection_id, "collection_id").map_err(|v| Failure::invalid_request(vec![v]))?;
        let filter = filter.map(|filter| filter_from_pb(&filter, "filter")).transpose()?;
        let at_least = at_least_from_pb(at_least, &workspace_id)?;
        let wanted = WantedRecords { collection, filter, include_deleted };
        let listing = bound_listing("records", &wanted);
        let after = after_token(&listing, &token)?;
        let limit = page_size(size, 100, 1_000);
        let read = self.engine.records(&workspace_id, &wanted, at_least.as_ref(), after, limit).await;
        let (page, context) = read.map_err(failed)?;
        Ok(Response::new(pb::ListRecordsResponse {
            records: page.records.iter().map(record_to_pb).collect(),
            next_page_token: page.next.map(|record| page_token(&listing, record)).unwrap_or_default(),
            context: Some(context_to_pb(&context)),
        }))
    }

    async fn list_record_history(
        &self,
        request: Request<pb::ListRecordHistoryRequest>,
    ) -> Result<Response<pb::ListRecordHistoryResponse>, Status> {
        let pb::ListRecordHistoryRequest {
            workspace_id,
            record_id,
            page_size: size,
            page_token: token,
            at_least,
        } = request.into_inner();
        note_workspace(&workspace_id);
        let record = name_from_pb(&record_id, "record_id").map_err(|v| Failure::invalid_request(vec![v]))?;
        let at_least = at_least_from_pb(at_least, &workspace_id)?;
        let listing = bound_listing("history", &record);
        let before = parsed_token(&listing, &token)?;
        let limit = page_size(size, 50, 200);
        let read = self.engine.record_history(&workspace_id, &record, at_least.as_ref(), before, limit).await;
        let (changes, next) = read.map_err(failed)?;
        Ok(Response::new(pb::ListRecordHistoryResponse {
            changes: changes.iter().filter_map(|c| record_change_to_pb(c, &record)).collect(),
            next_page_token: next.map(|seq| page_token(&listing, seq)).unwrap_or_default(),
        }))
    }
}
