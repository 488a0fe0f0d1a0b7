//! The store of one simulated server: the shared memory store behind faults.
//!
//! Its transactions behave as those of a shared database: a writer sees what others commit until it asks for the head,
//! which takes the lock; only from then on does it have the workspace to itself.

use std::sync::Arc;

use async_trait::async_trait;

use super::store_faults::StoreFaults;
use syncline::store::memory::{CommitFault, MemoryStore};
use syncline::store::{SharedStore, Store, StoreError, StoreReader, StoreWriter};
use syncline_core::fault;
use syncline_core::ids::WorkspaceNo;
use syncline_core::state::{WorkspaceHead, WriteBatch};

/// One server's handle.
#[derive(Clone)]
pub(super) struct SimStore {
    inner: MemoryStore,
    shared: Option<Arc<dyn SharedStore>>,
    store_faults: Arc<StoreFaults>,
    server: usize,
}

impl SimStore {
    pub(super) fn new(
        inner: MemoryStore,
        shared: Option<Arc<dyn SharedStore>>,
        store_faults: Arc<StoreFaults>,
        server: usize,
    ) -> SimStore {
        SimStore { inner, shared, store_faults, server }
    }
}

#[async_trait]
impl Store for SimStore {
    async fn reader(&self) -> Result<Box<dyn StoreReader>, StoreError> {
        self.store_faults.before(self.server).await;
        Ok(Box::new(SimReader { inner: self.inner.reader().await?, store: self.clone() }))
    }

    async fn writer(&self) -> Result<Box<dyn StoreWriter>, StoreError> {
        self.store_faults.before(self.server).await;
        Ok(Box::new(SimWriter { inner: None, store: self.clone() }))
    }

    fn shared(&self) -> Option<Arc<dyn SharedStore>> {
        self.shared.clone()
    }

    fn name(&self) -> &'static str {
        "memory"
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

struct SimReader {
    inner: Box<dyn StoreReader>,
    store: SimStore,
}

impl SimReader {
    async fn at_hand(&mut self, _locks: bool) -> Result<Hand<'_>, StoreError> {
        Ok(Hand::Snapshot(&mut *self.inner))
    }
}

struct SimWriter {
    /// Present once the transaction has the lock.
    inner: Option<Box<dyn StoreWriter>>,
    store: SimStore,
}

impl SimWriter {
    async fn locked(&mut self) -> Result<&mut Box<dyn StoreWriter>, StoreError> {
        if self.inner.is_none() {
            self.inner = Some(self.store.inner.writer().await?);
        }
        self.inner.as_mut().ok_or_else(|| StoreError::Unusable("no writer".to_owned()))
    }

    async fn at_hand(&mut self, locks: bool) -> Result<Hand<'_>, StoreError> {
        if (locks && !fault!(HeadNotLocked)) || self.inner.is_some() {
            let writer: &mut dyn StoreWriter = &mut **self.locked().await?;
            return Ok(Hand::Writer(writer));
        }
        Ok(Hand::Reader(self.store.inner.reader().await?))
    }
}

/// What a statement reads from: a snapshot, the writer's transaction, or what is committed now.
enum Hand<'w> {
    Snapshot(&'w mut dyn StoreReader),
    Writer(&'w mut dyn StoreWriter),
    Reader(Box<dyn StoreReader>),
}

impl Hand<'_> {
    fn reader(&mut self) -> &mut dyn StoreReader {
        match self {
            Hand::Snapshot(reader) => &mut **reader,
            Hand::Writer(writer) => &mut **writer,
            Hand::Reader(reader) => &mut **reader,
        }
    }
}

/// Reads from what is at hand, after the faults that are due. Only a read of the head may take the lock.
macro_rules! read {
    ($self:ident, head($ws:expr)) => {{
        $self.store.store_faults.before($self.store.server).await;
        $self.at_hand(true).await?.reader().head($ws).await
    }};
    ($self:ident, $method:ident($($argument:expr),*)) => {{
        $self.store.store_faults.before($self.store.server).await;
        $self.at_hand(false).await?.reader().$method($($argument),*).await
    }};
}

syncline::store_reader!(SimReader, read);
syncline::store_reader!(SimWriter, read);

#[async_trait]
impl StoreWriter for SimWriter {
    async fn create_workspace(
        &mut self,
        id: &str,
        display_name: &str,
        created_at_ms: i64,
        head: &WorkspaceHead,
    ) -> Result<WorkspaceNo, StoreError> {
        self.store.store_faults.before(self.store.server).await;
        self.locked().await?.create_workspace(id, display_name, created_at_ms, head).await
    }

    async fn write(
        &mut self,
        ws: WorkspaceNo,
        batch: &WriteBatch,
        head: &WorkspaceHead,
    ) -> Result<(), StoreError> {
        self.store.store_faults.before(self.store.server).await;
        self.locked().await?.write(ws, batch, head).await
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        let SimStore { store_faults, server, .. } = self.store.clone();
        store_faults.before(server).await;
        let Some(inner) = self.inner.take() else { return Ok(()) };
        let unknown = || Err(StoreError::CommitUnknown("the connection broke".to_owned()));
        match store_faults.commit_fault() {
            None => inner.commit().await?,
            Some(CommitFault::DiskFull) => return Err(StoreError::DiskFull),
            Some(CommitFault::UnknownLost) => return unknown(),
            Some(CommitFault::UnknownStored) => {
                inner.commit().await?;
                return unknown();
            }
        }
        store_faults.after(server).await;
        Ok(())
    }
}
