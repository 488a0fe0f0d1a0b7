//! What simulated servers tell each other through their store: the memory store's own, behind faults.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::store_faults::StoreFaults;
use syncline::store::{Announced, SharedConnection, SharedStore, StoreError};
use syncline_core::ids::WorkspaceNo;
use syncline_core::state::{Key, Prefix, WorkspaceHead};

/// One server's part in the shared store.
pub(super) struct SimShared {
    pub inner: Arc<dyn SharedStore>,
    pub store_faults: Arc<StoreFaults>,
    pub server: usize,
}

#[async_trait]
impl SharedStore for SimShared {
    async fn announce(&self, workspaces: &[WorkspaceNo]) -> Result<(), StoreError> {
        self.store_faults.before(self.server).await;
        self.inner.announce(workspaces).await
    }

    async fn announced(&self) -> Announced {
        self.inner.announced().await
    }

    async fn heads(
        &self,
        workspaces: &[WorkspaceNo],
    ) -> Result<Vec<(WorkspaceNo, WorkspaceHead)>, StoreError> {
        self.store_faults.before(self.server).await;
        self.inner.heads(workspaces).await
    }

    async fn first_keys(
        &self,
        prefix: &Prefix,
        after: WorkspaceNo,
        limit: usize,
    ) -> Result<Vec<(WorkspaceNo, Option<Key>)>, StoreError> {
        self.store_faults.before(self.server).await;
        self.inner.first_keys(prefix, after, limit).await
    }

    async fn put_connections(&self, connections: &[SharedConnection]) -> Result<(), StoreError> {
        self.store_faults.before(self.server).await;
        self.inner.put_connections(connections).await
    }

    async fn remove_connections(&self, connections: &[(WorkspaceNo, Uuid)]) -> Result<(), StoreError> {
        self.store_faults.before(self.server).await;
        self.inner.remove_connections(connections).await
    }

    async fn connections(
        &self,
        ws: WorkspaceNo,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<SharedConnection>, StoreError> {
        self.store_faults.before(self.server).await;
        self.inner.connections(ws, after, limit).await
    }

    async fn connection(&self, ws: WorkspaceNo, id: Uuid) -> Result<Option<SharedConnection>, StoreError> {
        self.store_faults.before(self.server).await;
        self.inner.connection(ws, id).await
    }
}
