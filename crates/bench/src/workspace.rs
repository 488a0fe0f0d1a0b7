//! Workspaces to write into: made, filled with records, and written to by authors with records of their own.

use syncline_core::causality::Seq;
use syncline_core::ids::{Epoch, ReplicaId};
use tonic::transport::Channel;

use crate::BenchError;
use crate::progress::Progress;
use crate::scratch::fresh_id;
use syncline_client::Replica;
use syncline_protocol::pb;
use syncline_protocol::pb::operation_service_client::OperationServiceClient;
use syncline_protocol::pb::workspace_service_client::WorkspaceServiceClient;

/// Collection and field that are written.
pub(super) const COLLECTION: &str = "items";
pub(super) const FIELD: &str = "value";
/// Records made by one operation, and roughly how many bytes of values one call carries.
const CREATES_PER_OPERATION: usize = 100;
const CALL_BYTES: usize = 512 * 1024;
/// Operations in a call.
const OPERATIONS_PER_CALL_MAX: usize = 500;
/// Roughly how many bytes an operation has beside its value.
const OVERHEAD_BYTES: usize = 120;

/// A workspace on the server that is measured.
#[derive(Debug, Clone)]
pub(super) struct Workspace {
    pub id: String,
    pub epoch: Epoch,
    /// Everything written before the load.
    pub head_seq: u64,
}

impl Workspace {
    /// Makes a new one with a register field, and this many records with a value.
    pub(super) async fn create(
        channel: &Channel,
        records: u64,
        value_bytes: u32,
        progress: &Progress,
    ) -> Result<Workspace, BenchError> {
        let id = format!("bench-{}", fresh_id());
        let register = pb::FieldSchema { kind: pb::FieldKind::Register.into(), ..Default::default() };
        let collection = pb::CollectionSchema { fields: [(FIELD.to_owned(), register)].into() };
        let request = pb::CreateWorkspaceRequest {
            workspace_id: id.clone(),
            display_name: "Benchmark".to_owned(),
            schema: Some(pb::Schema {
                strict: Some(true),
                collections: [(COLLECTION.to_owned(), collection)].into(),
            }),
        };
        let answer =
            WorkspaceServiceClient::new(channel.clone()).create_workspace(request).await?.into_inner();
        let epoch = answer.workspace.map_or(Epoch::NONE, |w| Epoch(w.epoch));
        let mut workspace = Workspace { id, epoch, head_seq: 0 };
        workspace.fill(channel, records, value_bytes, progress).await?;
        Ok(workspace)
    }

    async fn fill(
        &mut self,
        channel: &Channel,
        records: u64,
        value_bytes: u32,
        progress: &Progress,
    ) -> Result<(), BenchError> {
        let mut operations = OperationServiceClient::new(channel.clone());
        let bar = progress.steps("creating records", records);
        let per_record = value_bytes as usize + OVERHEAD_BYTES;
        let per_call = (CALL_BYTES / per_record).max(1) as u64;
        let value = text(value_bytes);
        let mut from = 0;
        while from < records {
            let to = (from + per_call).min(records);
            let names: Vec<u64> = (from..to).collect();
            let all = names.chunks(CREATES_PER_OPERATION).map(|some| {
                operation_by_request(some.iter().map(|n| create(&record_id(*n), &value)).collect())
            });
            let request = pb::SubmitRequest {
                workspace_id: self.id.clone(),
                operations: all.collect(),
                ..Default::default()
            };
            self.head_seq = settled(operations.submit(request).await?.into_inner())?;
            bar.inc(to - from);
            from = to;
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Writes this many operations on records that are there, as many in a call as fit, and returns who wrote them.
    pub(super) async fn grow(
        &mut self,
        channel: &Channel,
        operations: u64,
        value_bytes: u32,
        records: u64,
        writers: Writers,
        progress: &Progress,
    ) -> Result<Vec<Replica>, BenchError> {
        let mut service = OperationServiceClient::new(channel.clone());
        let bar = progress.steps("writing history", operations);
        let per_operation = value_bytes as usize + OVERHEAD_BYTES;
        let per_call = (CALL_BYTES / per_operation).clamp(1, OPERATIONS_PER_CALL_MAX) as u64;
        let value = text(value_bytes);
        let mut replicas = vec![Replica::new(ReplicaId(fresh_id()), self.epoch, Seq(self.head_seq))];
        let mut written = 0;
        while written < operations {
            let to = (written + per_call).min(operations);
            let some: Vec<_> = (written..to)
                .filter_map(|n| {
                    if writers == Writers::Each && n > 0 {
                        replicas.push(Replica::new(ReplicaId(fresh_id()), self.epoch, Seq(self.head_seq)));
                    }
                    let on = record_id(n % records.max(1));
                    replicas.last_mut().map(|replica| {
                        replica.saw_up_to(Seq(self.head_seq));
                        replica.operation(vec![set(&on, &value)])
                    })
                })
                .collect();
            let request =
                pb::SubmitRequest { workspace_id: self.id.clone(), operations: some, ..Default::default() };
            self.head_seq = settled(service.submit(request).await?.into_inner())?;
            bar.inc(to - written);
            written = to;
        }
        bar.finish_and_clear();
        Ok(replicas)
    }
}

/// Who writes a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writers {
    /// One replica writes all of it.
    One,
    /// Every operation is written by a replica of its own.
    Each,
}

/// The head after a call of which every operation settled.
pub(super) fn settled(answer: pb::SubmitResponse) -> Result<u64, BenchError> {
    for receipt in &answer.receipts {
        if !matches!(
            receipt.outcome,
            Some(pb::receipt::Outcome::Applied(_) | pb::receipt::Outcome::Merged(_))
        ) {
            return Err(BenchError::Other(format!("an operation did not settle: {:?}", receipt.outcome)));
        }
    }
    Ok(answer.head_seq)
}

/// The id of a record by its number.
pub(super) fn record_id(number: u64) -> String {
    format!("item-{number:08}")
}

/// A value of this size.
pub(super) fn text(bytes: u32) -> String {
    "v".repeat(bytes as usize)
}

fn string_value(text: &str) -> Option<pb::Value> {
    Some(pb::Value { kind: Some(pb::value::Kind::StringValue(text.to_owned())) })
}

fn create(record: &str, value: &str) -> pb::Mutation {
    let fields = string_value(value).map(|value| (FIELD.to_owned(), value)).into_iter().collect();
    pb::RecordMutation {
        collection_id: COLLECTION.to_owned(),
        record_id: record.to_owned(),
        action: Some(pb::record_mutation::Action::CreateRecord(pb::CreateRecord {
            fields,
            replace_deleted: false,
        })),
        ..Default::default()
    }
    .into()
}

/// Sets the record's field.
pub(super) fn set(record: &str, value: &str) -> pb::Mutation {
    let action = pb::SetField { field_id: FIELD.to_owned(), value: string_value(value) };
    pb::RecordMutation {
        collection_id: COLLECTION.to_owned(),
        record_id: record.to_owned(),
        action: Some(pb::record_mutation::Action::SetField(action)),
        ..Default::default()
    }
    .into()
}

fn operation_by_request(mutations: Vec<pb::Mutation>) -> pb::Operation {
    pb::Operation {
        identity: Some(pb::operation::Identity::RequestId(fresh_id().to_string())),
        knowledge: Some(pb::operation::Knowledge::Latest(pb::Latest {})),
        mutations,
        ..Default::default()
    }
}
