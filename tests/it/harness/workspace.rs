//! One workspace through generated clients.

use std::sync::atomic::{AtomicU64, Ordering};

use pb::change_service_client::ChangeServiceClient;
use pb::conflict_service_client::ConflictServiceClient;
use pb::connection_service_client::ConnectionServiceClient;
use pb::operation_service_client::OperationServiceClient;
use pb::record_service_client::RecordServiceClient;
use pb::workspace_service_client::WorkspaceServiceClient;
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::{Replica, pb, receipts, within};

/// Clients of all services over one connection.
#[derive(Debug, Clone)]
pub struct Clients {
    pub channel: Channel,
}

impl Clients {
    /// Over this connection.
    pub fn over(channel: Channel) -> Clients {
        Clients { channel }
    }

    pub fn operations(&self) -> OperationServiceClient<Channel> {
        OperationServiceClient::new(self.channel.clone())
    }

    pub fn changes(&self) -> ChangeServiceClient<Channel> {
        ChangeServiceClient::new(self.channel.clone())
    }

    pub fn connections(&self) -> ConnectionServiceClient<Channel> {
        ConnectionServiceClient::new(self.channel.clone())
    }

    pub fn conflicts(&self) -> ConflictServiceClient<Channel> {
        ConflictServiceClient::new(self.channel.clone())
    }

    pub fn records(&self) -> RecordServiceClient<Channel> {
        RecordServiceClient::new(self.channel.clone())
    }

    pub fn workspaces(&self) -> WorkspaceServiceClient<Channel> {
        WorkspaceServiceClient::new(self.channel.clone())
    }
}

/// A field of a schema with the default policies, spelled out as the server returns them.
pub fn field(kind: pb::FieldKind) -> pb::FieldSchema {
    pb::FieldSchema {
        kind: kind.into(),
        provisional: pb::ProvisionalRule::Incumbent.into(),
        on_clash: pb::ClashRule::Open.into(),
        on_dominate: pb::DominateRule::Keep.into(),
    }
}

/// A collection of a schema.
pub fn collection<const N: usize>(fields: [(&str, pb::FieldSchema); N]) -> pb::CollectionSchema {
    pb::CollectionSchema { fields: fields.into_iter().map(|(id, spec)| (id.to_owned(), spec)).collect() }
}

/// Cards with a field of every kind, and people they can be linked to.
pub fn schema() -> pb::Schema {
    use pb::FieldKind::{Counter, Register, Set, Text, ToMany, ToOne};
    let cards = collection([
        ("title", field(Register)),
        ("status", field(Register)),
        ("notes", field(Text)),
        ("votes", field(Counter)),
        ("tags", field(Set)),
        ("owner", field(ToOne)),
        ("blocks", field(ToMany)),
    ]);
    let people = collection([("name", field(Register))]);
    pb::Schema {
        strict: Some(true),
        collections: [("cards".to_owned(), cards), ("people".to_owned(), people)].into(),
    }
}

static REQUESTS: AtomicU64 = AtomicU64::new(1);

/// A request id that no other call of this process uses.
pub fn request_id() -> String {
    format!("r{}", REQUESTS.fetch_add(1, Ordering::Relaxed))
}

/// An operation with a request id and all knowledge, as a job writes.
pub fn latest(mutations: Vec<pb::Mutation>) -> pb::Operation {
    pb::Operation {
        identity: Some(pb::operation::Identity::RequestId(request_id())),
        knowledge: Some(pb::operation::Knowledge::Latest(pb::Latest {})),
        mutations,
        ..Default::default()
    }
}

/// The operation of a job that knows what a read showed.
pub fn knowing(context: &pb::CausalContext, mutations: Vec<pb::Mutation>) -> pb::Operation {
    let knowledge = Some(pb::operation::Knowledge::Context(context.clone()));
    pb::Operation { knowledge, ..latest(mutations) }
}

/// A workspace as a client sees it.
#[derive(Debug, Clone)]
pub struct Workspace {
    pub id: String,
    pub epoch: u64,
    pub clients: Clients,
}

/// The answer of a call that has to succeed.
#[track_caller]
pub fn answer<T>(result: Result<Response<T>, Status>) -> T {
    match result {
        Ok(response) => response.into_inner(),
        Err(status) => panic!("{:?}: {}", status.code(), status.message()),
    }
}

impl Workspace {
    /// The `n`th replica of this workspace, which has seen nothing.
    pub fn replica(&self, n: u128, actor: &str) -> Replica {
        Replica::new(n, self.epoch, actor)
    }

    /// Submits operations that are to settle together or not at all; the whole answer.
    pub async fn submit_together(&self, operations: Vec<pb::Operation>) -> pb::SubmitResponse {
        let answered = self.try_submit_together(operations).await;
        answered.unwrap_or_else(|status| panic!("{:?}: {}", status.code(), status.message()))
    }

    /// Submits operations that are to settle together or not at all; the answer or why there is none.
    pub async fn try_submit_together(
        &self,
        operations: Vec<pb::Operation>,
    ) -> Result<pb::SubmitResponse, Status> {
        let request = pb::SubmitRequest {
            workspace_id: self.id.clone(),
            operations,
            all_or_nothing: true,
            understands: vec![pb::Feature::Views.into(), 4_711],
        };
        within("Submit", self.clients.operations().submit(request)).await.map(tonic::Response::into_inner)
    }

    /// Submits, and shows the whole outcome.
    pub async fn try_submit(&self, operations: Vec<pb::Operation>) -> Result<pb::SubmitResponse, Status> {
        let request = pb::SubmitRequest { workspace_id: self.id.clone(), operations, ..Default::default() };
        within("Submit", self.clients.operations().submit(request)).await.map(Response::into_inner)
    }

    /// Receipts of operations, in their order.
    pub async fn submit_all(&self, operations: Vec<pb::Operation>) -> Vec<pb::Receipt> {
        let count = operations.len();
        let response = self.try_submit(operations).await.unwrap_or_else(|s| panic!("Submit: {s}"));
        assert_eq!(response.receipts.len(), count, "one receipt for each operation");
        response.receipts
    }

    /// The receipt of one operation.
    pub async fn submit(&self, operation: pb::Operation) -> pb::Receipt {
        self.submit_all(vec![operation]).await.remove(0)
    }

    /// The position of an operation with which nothing is concurrent.
    pub async fn apply(&self, operation: pb::Operation) -> u64 {
        receipts::applied(&self.submit(operation).await)
    }

    /// Writes as a job without a replica; the position.
    pub async fn write(&self, mutations: Vec<pb::Mutation>) -> u64 {
        receipts::settled(&self.submit(latest(mutations)).await)
    }

    /// The cursor at the newest position.
    pub async fn head(&self) -> pb::Cursor {
        let request = pb::GetHeadRequest { workspace_id: self.id.clone() };
        answer(within("GetHead", self.clients.workspaces().get_head(request)).await).cursor.expect("a cursor")
    }

    /// The newest position.
    pub async fn head_seq(&self) -> u64 {
        self.head().await.seq_inclusive
    }

    /// The cursor at the beginning.
    pub fn beginning(&self) -> pb::Cursor {
        pb::Cursor { workspace_id: self.id.clone(), epoch: self.epoch, ..Default::default() }
    }

    /// A read of a record, which may fail.
    pub async fn try_read(&self, record_id: &str) -> Result<pb::GetRecordResponse, Status> {
        let (workspace_id, record_id) = (self.id.clone(), record_id.to_owned());
        let request = pb::GetRecordRequest { workspace_id, record_id, at_least: None };
        within("GetRecord", self.clients.records().get_record(request)).await.map(Response::into_inner)
    }

    /// A record and what the read stands for.
    pub async fn read(&self, record_id: &str) -> (pb::Record, pb::CausalContext) {
        let read = self.try_read(record_id).await.unwrap_or_else(|s| panic!("GetRecord {record_id}: {s}"));
        (read.record.expect("a record"), read.context.expect("a context"))
    }

    /// A record.
    pub async fn record(&self, record_id: &str) -> pb::Record {
        self.read(record_id).await.0
    }

    /// The text of a field.
    pub async fn text(&self, record_id: &str, field_id: &str) -> String {
        match state(&self.record(record_id).await, field_id) {
            pb::field_state::State::Text(text) => text,
            other => panic!("no text: {other:?}"),
        }
    }

    /// Outcomes as they are stored, by dot.
    pub async fn receipts(&self, dots: Vec<pb::Dot>) -> Vec<pb::Receipt> {
        self.receipts_of(dots, Vec::new()).await
    }

    /// Outcomes as they are stored, by dot and by request id.
    pub async fn receipts_of(&self, dots: Vec<pb::Dot>, request_ids: Vec<String>) -> Vec<pb::Receipt> {
        let request = pb::GetReceiptsRequest { workspace_id: self.id.clone(), dots, request_ids };
        answer(within("GetReceipts", self.clients.operations().get_receipts(request)).await).receipts
    }

    /// Gives up a lost counter.
    pub async fn abandon(&self, dot: pb::Dot) -> Result<pb::Receipt, Status> {
        let request = pb::AbandonCounterRequest { workspace_id: self.id.clone(), dot: Some(dot) };
        let response = within("AbandonCounter", self.clients.operations().abandon_counter(request)).await?;
        Ok(response.into_inner().receipt.expect("a receipt"))
    }

    /// A conflict with its context.
    pub async fn conflict(&self, conflict_id: &str) -> pb::GetConflictResponse {
        let (workspace_id, conflict_id) = (self.id.clone(), conflict_id.to_owned());
        let request = pb::GetConflictRequest { workspace_id, conflict_id, at_least: None };
        answer(within("GetConflict", self.clients.conflicts().get_conflict(request)).await)
    }

    /// A conflict without its context.
    pub async fn summary(&self, conflict_id: &str) -> pb::Conflict {
        self.conflict(conflict_id).await.conflict.expect("a summary")
    }

    /// Open and deferred conflicts, newest first.
    pub async fn inbox(&self) -> Vec<pb::Conflict> {
        let request = pb::ListConflictsRequest { workspace_id: self.id.clone(), ..Default::default() };
        answer(within("ListConflicts", self.clients.conflicts().list_conflicts(request)).await).conflicts
    }

    /// Ids of all live conflicts, from all pages.
    pub async fn inbox_of_all(&self) -> std::collections::BTreeSet<String> {
        let mut ids = std::collections::BTreeSet::new();
        let mut page_token = String::new();
        loop {
            let request =
                pb::ListConflictsRequest { workspace_id: self.id.clone(), page_token, ..Default::default() };
            let page =
                answer(within("ListConflicts", self.clients.conflicts().list_conflicts(request)).await);
            ids.extend(page.conflicts.into_iter().map(|c| c.conflict_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return ids;
            }
        }
    }

    /// Updates the schema as it stands; the answer.
    pub async fn update_schema(&self, schema: pb::Schema) -> pb::UpdateSchemaResponse {
        let (_, schema_version) = self.schema().await;
        let request = pb::UpdateSchemaRequest {
            workspace_id: self.id.clone(),
            schema: Some(schema),
            schema_version,
            validate_only: false,
        };
        answer(within("UpdateSchema", self.clients.workspaces().update_schema(request)).await)
    }

    /// The schema as it stands, with its version.
    pub async fn schema(&self) -> (pb::Schema, u64) {
        let request = pb::GetSchemaRequest { workspace_id: self.id.clone() };
        let found = answer(within("GetSchema", self.clients.workspaces().get_schema(request)).await);
        (found.schema.expect("a schema"), found.schema_version)
    }
}

/// The state of a record's field.
#[track_caller]
pub fn state(record: &pb::Record, field_id: &str) -> pb::field_state::State {
    let field = record.fields.get(field_id);
    let state = field.and_then(|f| f.state.clone());
    state.unwrap_or_else(|| panic!("no field {field_id} in {record:?}"))
}

/// A to-one link's state.
pub fn link(target_record_id: Option<&str>) -> pb::field_state::State {
    pb::field_state::State::Link(pb::LinkState { target_record_id: target_record_id.map(str::to_owned) })
}

/// A to-many link's state.
pub fn links(record_ids: &[&str]) -> pb::field_state::State {
    let record_ids = record_ids.iter().map(|id| (*id).to_owned()).collect();
    pb::field_state::State::Links(pb::RecordIdList { record_ids })
}

/// The value of a record's register field.
#[track_caller]
pub fn register(record: &pb::Record, field_id: &str) -> pb::Value {
    match state(record, field_id) {
        pb::field_state::State::RegisterValue(value) => value,
        other => panic!("no register: {other:?}"),
    }
}
