//! Workspaces: creating and reading them, their schemas, heads and version vectors.

use std::sync::Arc;
use syncline_core::causality::Seq;

use crate::store::{Order, StoreReader, WorkspaceInfo};
use syncline_core::hash::Secret;
use syncline_core::ids::{Epoch, ReplicaId, WorkspaceNo, is_workspace_id};
use syncline_core::schema::{Schema, SchemaUpdate, UpdatedSchema};
use syncline_core::state::{Key, Prefix, ReplicaRow, Row, WorkspaceHead};

use super::error::StoreFailure;
use super::hub::{Hub, PublishedHead, published_head};
use super::lane::Job;
use super::load::{committed_head, read_schema};
use super::{Engine, EngineError};

/// How often creating a workspace is tried while other servers create the same one.
const CREATE_ATTEMPTS_MAX: u32 = 3;

/// A workspace as it stands.
#[derive(Debug, Clone)]
pub struct WorkspaceStatus {
    /// What was set when it was created.
    pub info: WorkspaceInfo,
    /// Its committed head.
    pub head: WorkspaceHead,
    /// The version of its schema; 0 when nothing was ever declared or derived.
    pub schema_version: u64,
}

/// A page of a version vector: replicas with what they settled.
#[derive(Debug, Clone, Default)]
pub struct Vector {
    /// Replicas by id, each with what the server has of it.
    pub entries: Vec<(ReplicaId, ReplicaRow)>,
    /// The replica after which the next page begins; none when this is the last page.
    pub next: Option<ReplicaId>,
    /// The newest position when the page was read.
    pub head_seq: u64,
}

impl Engine {
    /// Creates a workspace with what the update makes of an empty schema, or returns the one that exists with an equal
    /// schema.
    pub async fn create_workspace(
        &self,
        id: &str,
        display_name: &str,
        schema: &SchemaUpdate,
    ) -> Result<WorkspaceStatus, EngineError> {
        let randomness = &self.inner.randomness;
        // Below 2^63; 0 stands for a history that is not known yet.
        let epoch = Epoch((randomness.number() >> 1).max(1));
        let secret = Secret::drawn([(); 3].map(|()| randomness.uuid()));
        let (id, display_name): (Arc<str>, Arc<str>) = (id.into(), display_name.into());
        let declared = Schema::default().updated(schema)?.schema;
        let job_schema = declared.clone();
        let job_id = id.clone();
        let mut attempts = CREATE_ATTEMPTS_MAX;
        loop {
            let (id, display_name, schema) = (job_id.clone(), display_name.clone(), job_schema.clone());
            let job = |reply| Job::CreateWorkspace { id, display_name, epoch, secret, schema, reply };
            attempts -= 1;
            match self.enqueue(job).await {
                // Another server created it at the same moment: the next attempt finds it.
                Err(EngineError::Store(StoreFailure::Contended)) if attempts > 0 => {}
                created => {
                    created?;
                    break;
                }
            };
        }
        let (schema, _) = self.schema(&id).await?;
        // A workspace that is not strict derives fields in addition to those declared; that does not make its schema
        // another one.
        let agrees = schema.strict == declared.strict
            && schema.has_all(&declared)
            && (!declared.strict || declared.has_all(&schema));
        if !agrees {
            return Err(EngineError::WorkspaceExists { id: id.to_string() });
        }
        self.workspace(&id).await
    }

    /// One workspace.
    pub async fn workspace(&self, id: &str) -> Result<WorkspaceStatus, EngineError> {
        let unknown = || EngineError::UnknownWorkspace { id: id.to_owned() };
        if !is_workspace_id(id) {
            return Err(unknown());
        }
        let mut reader = self.inner.store.reader().await?;
        let info = reader.workspace(id).await?.ok_or_else(unknown)?;
        status(&mut *reader, info).await
    }

    /// Workspaces by id, after `after`.
    pub async fn workspaces(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<WorkspaceStatus>, EngineError> {
        let mut reader = self.inner.store.reader().await?;
        let mut all = Vec::new();
        for info in reader.workspaces(after, limit).await? {
            all.push(status(&mut *reader, info).await?);
        }
        Ok(all)
    }

    /// The short number of a workspace.
    pub(super) async fn workspace_no(&self, id: &str) -> Result<WorkspaceNo, EngineError> {
        if let Some(no) = self.inner.hubs.number_of(id) {
            return Ok(no);
        }
        let unknown = || EngineError::UnknownWorkspace { id: id.to_owned() };
        // No workspace has an invalid id, and not every database would accept one.
        if !is_workspace_id(id) {
            return Err(unknown());
        }
        let mut reader = self.inner.store.reader().await?;
        let info = reader.workspace(id).await?.ok_or_else(unknown)?;
        self.inner.hubs.remember(info.id, info.no);
        Ok(info.no)
    }

    /// The schema and its version.
    pub async fn schema(&self, workspace: &str) -> Result<(Schema, u64), EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let mut reader = self.inner.store.reader().await?;
        let schema = read_schema(&mut *reader, ws).await?;
        let version = schema.version;
        Ok((schema, version))
    }

    /// Updates the schema, if it is the one that the update was made for; or says only what the update would change.
    pub async fn update_schema(
        &self,
        workspace: &str,
        update: SchemaUpdate,
        version: u64,
        validate_only: bool,
    ) -> Result<UpdatedSchema, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let job = |reply| Job::UpdateSchema { ws, update, version, validate_only, reply };
        Ok(self.enqueue(job).await??)
    }

    /// The newest committed position, whichever server committed it.
    pub async fn head(&self, workspace: &str) -> Result<PublishedHead, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let hub = self.hub(ws).await?;
        if self.inner.peers.is_some() {
            self.catch_up_hub(ws, &hub).await?;
        }
        Ok(hub.head())
    }

    /// The newest position that this server has shown or is about to; other servers may be further.
    pub async fn shown_head(&self, workspace: &str) -> Result<PublishedHead, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        match self.inner.hubs.touch(ws).filter(|hub| hub.head().epoch != Epoch::NONE) {
            Some(hub) => Ok(hub.head()),
            None => Ok(self.hub(ws).await?.head()),
        }
    }

    /// Shows the commits that the store has of a workspace now: other servers may write to it too, or the result of a
    /// commit here was unknown.
    pub(super) async fn catch_up_hub(&self, ws: WorkspaceNo, hub: &Arc<Hub>) -> Result<(), EngineError> {
        super::follow::show(self.inner.store.clone(), ws, hub.clone()).await
    }

    /// A page of the server's version vector, by replica id.
    pub async fn version_vector(
        &self,
        workspace: &str,
        after: Option<ReplicaId>,
        limit: usize,
    ) -> Result<Vector, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let mut reader = self.inner.store.reader().await?;
        let head = committed_head(&mut *reader, ws).await?;
        let after = after.map(Key::Replica);
        let page = reader.range(ws, &Prefix::Replicas, after.as_ref(), limit, Order::Ascending).await?;
        let entries: Vec<(ReplicaId, ReplicaRow)> = page
            .rows
            .into_iter()
            .filter_map(|(key, row)| match (key, row) {
                (Key::Replica(id), Row::Replica(replica)) => Some((id, replica)),
                _ => None,
            })
            .collect();
        let next = entries.last().filter(|_| page.more).map(|(id, _)| *id);
        Ok(Vector { entries, next, head_seq: head.head_seq.0 })
    }

    /// A workspace's hub, started at the committed head.
    pub(super) async fn hub(&self, ws: WorkspaceNo) -> Result<Arc<Hub>, EngineError> {
        // A hub that another task has just created shows nothing yet.
        if let Some(hub) = self.inner.hubs.get(ws).filter(|hub| hub.head().epoch != Epoch::NONE) {
            return Ok(hub);
        }
        // The hub must exist before the head is read, so that a commit in between is published into it.
        let empty = PublishedHead { epoch: Epoch::NONE, seq: Seq::START, chain: [0; 16], schema_version: 0 };
        let hub = self.inner.hubs.get_or_create(ws, empty);
        let mut reader = self.inner.store.reader().await?;
        let head = committed_head(&mut *reader, ws).await?;
        let schema = read_schema(&mut *reader, ws).await?;
        hub.start(published_head(&head, schema.version));
        Ok(hub)
    }
}

async fn status(reader: &mut dyn StoreReader, info: WorkspaceInfo) -> Result<WorkspaceStatus, EngineError> {
    let head = committed_head(reader, info.no).await?;
    let schema_version = read_schema(reader, info.no).await?.version;
    Ok(WorkspaceStatus { info, head, schema_version })
}
