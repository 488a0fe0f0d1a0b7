//! WorkspaceService.

use tonic::{Request, Response, Status};

use crate::engine::{Engine, WorkspaceStatus};
use crate::grpc::served::workspace_service_server::WorkspaceService;
use syncline_core::ids::Dot;
use syncline_core::schema::UpdatedSchema;
use syncline_core::view::FeedCursor;
use syncline_protocol::convert::{
    cursor_to_pb, dot_to_pb, label_from_pb, schema_difference_to_pb, schema_to_pb, schema_update_from_pb,
    workspace_id_from_pb, workspace_to_pb,
};
use syncline_protocol::pb;
use syncline_protocol::status::Failure;

use super::{after_token, failed, note_workspace, page_size, page_token, parsed_token};

/// WorkspaceService over an engine.
pub struct Workspaces {
    engine: Engine,
}

impl Workspaces {
    /// Serves this engine.
    pub fn new(engine: Engine) -> Workspaces {
        Workspaces { engine }
    }
}

fn status_to_pb(status: &WorkspaceStatus) -> pb::Workspace {
    let info = &status.info;
    workspace_to_pb(&info.id, &info.display_name, info.created_at_ms, &status.head, status.schema_version)
}

#[tonic::async_trait]
impl WorkspaceService for Workspaces {
    async fn create_workspace(
        &self,
        request: Request<pb::CreateWorkspaceRequest>,
    ) -> Result<Response<pb::CreateWorkspaceResponse>, Status> {
        let pb::CreateWorkspaceRequest { workspace_id, display_name, schema } = request.into_inner();
        note_workspace(&workspace_id);
        let id = workspace_id_from_pb(&workspace_id, "workspace_id");
        let name = label_from_pb(&display_name, "display_name");
        let (id, name) = match (id, name) {
            (Ok(id), Ok(name)) => (id, name),
            (id, name) => {
                let violations = [id.err(), name.err()].into_iter().flatten().collect();
                return Err(Failure::invalid_request(violations).into());
            }
        };
        let schema = schema_update_from_pb(&schema.unwrap_or_default())?;
        let status = self.engine.create_workspace(&id, &name, &schema).await.map_err(failed)?;
        Ok(Response::new(pb::CreateWorkspaceResponse { workspace: Some(status_to_pb(&status)) }))
    }

    async fn get_workspace(
        &self,
        request: Request<pb::GetWorkspaceRequest>,
    ) -> Result<Response<pb::GetWorkspaceResponse>, Status> {
        let pb::GetWorkspaceRequest { workspace_id } = request.into_inner();
        note_workspace(&workspace_id);
        let status = self.engine.workspace(&workspace_id).await.map_err(failed)?;
        Ok(Response::new(pb::GetWorkspaceResponse { workspace: Some(status_to_pb(&status)) }))
    }

    async fn list_workspaces(
        &self,
        request: Request<pb::ListWorkspacesRequest>,
    ) -> Result<Response<pb::ListWorkspacesResponse>, Status> {
        let pb::ListWorkspacesRequest { page_size: size, page_token: token } = request.into_inner();
        let limit = page_size(size, 100, 1_000);
        let after = after_token("workspaces", &token)?;
        let workspaces = self.engine.workspaces(after, limit).await.map_err(failed)?;
        let next = workspaces.last().filter(|_| workspaces.len() == limit).map(|w| w.info.id.clone());
        Ok(Response::new(pb::ListWorkspacesResponse {
            workspaces: workspaces.iter().map(status_to_pb).collect(),
            next_page_token: next.map(|id| page_token("workspaces", id)).unwrap_or_default(),
        }))
    }

    async fn get_schema(
        &self,
        request: Request<pb::GetSchemaRequest>,
    ) -> Result<Response<pb::GetSchemaResponse>, Status> {
        let pb::GetSchemaRequest { workspace_id } = request.into_inner();
        note_workspace(&workspace_id);
        let (schema, schema_version) = self.engine.schema(&workspace_id).await.map_err(failed)?;
        Ok(Response::new(pb::GetSchemaResponse { schema: Some(schema_to_pb(&schema)), schema_version }))
    }

    async fn update_schema(
        &self,
        request: Request<pb::UpdateSchemaRequest>,
    ) -> Result<Response<pb::UpdateSchemaResponse>, Status> {
        let pb::UpdateSchemaRequest { workspace_id, schema, schema_version, validate_only } =
            request.into_inner();
        note_workspace(&workspace_id);
        let update = schema_update_from_pb(&schema.unwrap_or_default())?;
        let updated = self.engine.update_schema(&workspace_id, update, schema_version, validate_only).await;
        let UpdatedSchema { schema, differences } = updated.map_err(failed)?;
        Ok(Response::new(pb::UpdateSchemaResponse {
            schema: Some(schema_to_pb(&schema)),
            schema_version: schema.version,
            differences: differences.iter().map(schema_difference_to_pb).collect(),
        }))
    }

    async fn get_version_vector(
        &self,
        request: Request<pb::GetVersionVectorRequest>,
    ) -> Result<Response<pb::GetVersionVectorResponse>, Status> {
        let pb::GetVersionVectorRequest { workspace_id, page_size: size, page_token: token } =
            request.into_inner();
        note_workspace(&workspace_id);
        let after = parsed_token("vector", &token)?;
        let limit = page_size(size, 1_000, 10_000);
        let vector = self.engine.version_vector(&workspace_id, after, limit).await.map_err(failed)?;
        let entries = vector
            .entries
            .iter()
            .map(|(replica, row)| pb::VersionVectorEntry {
                last_settled: Some(dot_to_pb(Dot { replica: *replica, counter: row.last_settled })),
                last_accepted_counter: row.last_accepted.0,
            })
            .collect();
        Ok(Response::new(pb::GetVersionVectorResponse {
            entries,
            next_page_token: vector.next.map(|id| page_token("vector", id)).unwrap_or_default(),
            head_seq: vector.head_seq,
        }))
    }

    async fn get_head(
        &self,
        request: Request<pb::GetHeadRequest>,
    ) -> Result<Response<pb::GetHeadResponse>, Status> {
        let pb::GetHeadRequest { workspace_id } = request.into_inner();
        note_workspace(&workspace_id);
        let head = self.engine.head(&workspace_id).await.map_err(failed)?;
        let cursor = FeedCursor { epoch: head.epoch, seq: head.seq, chain: Some(head.chain) };
        Ok(Response::new(pb::GetHeadResponse { cursor: Some(cursor_to_pb(&workspace_id, &cursor)) }))
    }
}
