//! A store in memory, for tests and simulation. It keeps encoded bytes, so the codec is exercised as by a
//! database, and it obeys the same contract. Several servers of one process can share it ([`MemoryStore::join`]).

mod shared;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::OwnedMutexGuard;

use super::pending::{Pending, broken_transaction};
use super::{Order, Page, SharedStore, Store, StoreError, StoreReader, StoreWriter, WorkspaceInfo, codec};
use shared::{Board, Member};
use syncline_core::causality::{Counter, ReplicaNo, Seq};
use syncline_core::change::Change;
use syncline_core::ids::WorkspaceNo;
use syncline_core::state::{Key, Prefix, Row, WorkspaceHead, WriteBatch};

/// A store that forgets everything when it is dropped.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
    /// Present when servers share the store: what this one's handle needs for that.
    member: Option<Arc<Member>>,
}

/// How the next commit fails, for tests of the layers above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// Nothing is stored, and the caller knows.
    DiskFull,
    /// Nothing is stored, but the caller cannot know.
    UnknownLost,
    /// Everything is stored, but the caller cannot know.
    UnknownStored,
}

#[derive(Debug, Default)]
struct Shared {
    committed: Mutex<Arc<Tables>>,
    writing: Arc<tokio::sync::Mutex<()>>,
    fault: Mutex<Option<CommitFault>>,
    board: Board,
}

/// A committed state. Readers hold on to it; a writer copies only the workspaces it changes, and only while
/// somebody still reads them.
#[derive(Debug, Clone, Default)]
struct Tables {
    infos: BTreeMap<Arc<str>, WorkspaceInfo>,
    workspaces: BTreeMap<WorkspaceNo, Arc<Workspace>>,
}

#[derive(Debug, Clone)]
struct Workspace {
    head: WorkspaceHead,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    log: BTreeMap<Seq, Vec<u8>>,
    dots: BTreeMap<(ReplicaNo, Counter), Seq>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// Makes the next commit that writes anything fail.
    pub fn fail_next_commit(&self, fault: CommitFault) {
        *lock(&self.shared.fault) = Some(fault);
    }

    fn committed(&self) -> Arc<Tables> {
        lock(&self.shared.committed).clone()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn reader(&self) -> Result<Box<dyn StoreReader>, StoreError> {
        Ok(Box::new(MemoryReader { tables: self.committed() }))
    }

    async fn writer(&self) -> Result<Box<dyn StoreWriter>, StoreError> {
        let turn = self.shared.writing.clone().lock_owned().await;
        Ok(Box::new(MemoryWriter {
            store: self.clone(),
            pending: Pending::default(),
            draft: None,
            failed: false,
            _turn: turn,
        }))
    }

    fn shared(&self) -> Option<Arc<dyn SharedStore>> {
        self.member.clone().map(|member| member as Arc<dyn SharedStore>)
    }

    fn name(&self) -> &'static str {
        "memory"
    }

    async fn close(&self) {
        drop(self.shared.writing.lock().await);
    }
}

impl Tables {
    fn workspaces(&self, after: Option<&str>, limit: usize) -> Vec<WorkspaceInfo> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.infos
            .range::<str, _>((start, Bound::Unbounded))
            .map(|(_, info)| info.clone())
            .take(limit)
            .collect()
    }

    fn rows(&self, ws: WorkspaceNo, keys: &[Key]) -> Result<Vec<Option<Row>>, StoreError> {
        let rows = self.workspaces.get(&ws).map(|w| &w.rows);
        let row = |key| {
            let key = codec::encode_key(key)?;
            rows.and_then(|rows| rows.get(&key)).map(|value| codec::decode_row(value)).transpose()
        };
        keys.iter().map(row).collect()
    }

    fn range(
        &self,
        ws: WorkspaceNo,
        prefix: &Prefix,
        after: Option<&Key>,
        limit: usize,
        order: Order,
    ) -> Result<Page, StoreError> {
        let (start, end) = codec::page_range(prefix, after, order)?;
        let Some(workspace) = self.workspaces.get(&ws).filter(|_| start < end) else {
            return Ok(Page::default());
        };
        let found = workspace.rows.range(start..end);
        let mut found: Box<dyn Iterator<Item = _>> = match order {
            Order::Ascending => Box::new(found),
            Order::Descending => Box::new(found.rev()),
        };
        let rows = found
            .by_ref()
            .take(limit)
            .map(|(key, value)| Ok((codec::decode_key(key)?, codec::decode_row(value)?)))
            .collect::<Result<_, StoreError>>()?;
        Ok(Page { rows, more: found.next().is_some() })
    }

    fn count(&self, ws: WorkspaceNo, prefix: &Prefix) -> Result<u64, StoreError> {
        let (start, end) = codec::prefix_range(prefix)?;
        Ok(self.workspaces.get(&ws).map_or(0, |w| w.rows.range(start..end).count() as u64))
    }

    fn changes(&self, ws: WorkspaceNo, from: Seq, to: Seq, limit: usize) -> Result<Vec<Change>, StoreError> {
        match self.workspaces.get(&ws) {
            Some(workspace) if from < to => workspace
                .log
                .range((Bound::Excluded(from), Bound::Included(to)))
                .take(limit)
                .map(|(_, content)| codec::decode_change(content))
                .collect(),
            _ => Ok(Vec::new()),
        }
    }

    fn change_of(
        &self,
        ws: WorkspaceNo,
        replica: ReplicaNo,
        counter: Counter,
    ) -> Result<Option<Change>, StoreError> {
        let content = self.workspaces.get(&ws).and_then(|w| w.log.get(w.dots.get(&(replica, counter))?));
        content.map(|content| codec::decode_change(content)).transpose()
    }

    fn create(
        &mut self,
        id: &str,
        name: &str,
        created_at_ms: i64,
        head: WorkspaceHead,
    ) -> Result<WorkspaceNo, StoreError> {
        if self.infos.contains_key(id) {
            return Err(StoreError::WorkspaceExists(Arc::from(id)));
        }
        let no = self.workspaces.last_key_value().map_or(WorkspaceNo(1), |(last, _)| WorkspaceNo(last.0 + 1));
        let id: Arc<str> = Arc::from(id);
        let info = WorkspaceInfo { no, id: id.clone(), display_name: Arc::from(name), created_at_ms };
        let workspace =
            Workspace { head, rows: BTreeMap::new(), log: BTreeMap::new(), dots: BTreeMap::new() };
        self.infos.insert(id, info);
        self.workspaces.insert(no, Arc::new(workspace));
        Ok(no)
    }

    /// Refuses what a database would refuse by its constraints, before anything is changed.
    fn check(&self, pending: &Pending) -> Result<(), StoreError> {
        if let Some(ws) = pending.heads.keys().find(|ws| !self.workspaces.contains_key(ws)) {
            return Err(StoreError::Inconsistent(format!("there is no workspace number {ws}")));
        }
        let mut seqs = BTreeMap::new();
        let mut dots = BTreeMap::new();
        for change in &pending.changes {
            let dot = (change.replica_no, change.counter);
            let known = self
                .workspaces
                .get(&change.ws)
                .is_some_and(|w| w.log.contains_key(&change.seq) || w.dots.contains_key(&dot));
            let twice = seqs.insert((change.ws, change.seq), ()).is_some()
                | dots.insert((change.ws, dot), ()).is_some();
            if known || twice {
                let detail = format!("change {} or its operation is in the log already", change.seq);
                return Err(StoreError::Inconsistent(detail));
            }
        }
        Ok(())
    }

    fn apply(&mut self, pending: Pending) -> Result<(), StoreError> {
        self.check(&pending)?;
        for (ws, head) in pending.heads {
            self.change(ws, |w| w.head = head);
        }
        for ((ws, key), value) in pending.rows {
            self.change(ws, |w| match value {
                Some(value) => drop(w.rows.insert(key, value)),
                None => drop(w.rows.remove(&key)),
            });
        }
        for row in pending.changes {
            self.change(row.ws, |w| {
                w.dots.insert((row.replica_no, row.counter), row.seq);
                w.log.insert(row.seq, row.content);
            });
        }
        Ok(())
    }

    fn change(&mut self, ws: WorkspaceNo, change: impl FnOnce(&mut Workspace)) {
        if let Some(workspace) = self.workspaces.get_mut(&ws) {
            change(Arc::make_mut(workspace));
        }
    }
}

struct MemoryReader {
    tables: Arc<Tables>,
}

struct MemoryWriter {
    store: MemoryStore,
    pending: Pending,
    /// The state with this transaction's writes; made only when the writer reads or creates.
    draft: Option<Tables>,
    failed: bool,
    _turn: OwnedMutexGuard<()>,
}

impl MemoryReader {
    fn tables(&mut self) -> Result<&Tables, StoreError> {
        Ok(&self.tables)
    }
}

impl MemoryWriter {
    fn tables(&mut self) -> Result<&mut Tables, StoreError> {
        if self.failed {
            return Err(broken_transaction());
        }
        let draft = self.draft.get_or_insert_with(|| Tables::clone(&self.store.committed()));
        if let Err(e) = draft.apply(std::mem::take(&mut self.pending)) {
            self.failed = true;
            return Err(e);
        }
        Ok(draft)
    }

    fn store_all(self) -> Result<(), StoreError> {
        let mut committed = lock(&self.store.shared.committed);
        match self.draft {
            Some(mut draft) => {
                draft.apply(self.pending)?;
                *committed = Arc::new(draft);
                Ok(())
            }
            None => Arc::make_mut(&mut committed).apply(self.pending),
        }
    }
}

/// Reads the tables.
macro_rules! read {
    ($self:ident, workspaces($after:expr, $limit:expr)) => {
        Ok($self.tables()?.workspaces($after, $limit))
    };
    ($self:ident, workspace($id:expr)) => {
        Ok($self.tables()?.infos.get($id).cloned())
    };
    ($self:ident, head($ws:expr)) => {
        Ok($self.tables()?.workspaces.get(&$ws).map(|w| w.head))
    };
    ($self:ident, $method:ident($($argument:expr),*)) => {
        $self.tables()?.$method($($argument),*)
    };
}

crate::store_reader!(MemoryReader, read);
crate::store_reader!(MemoryWriter, read);

#[async_trait]
impl StoreWriter for MemoryWriter {
    async fn create_workspace(
        &mut self,
        id: &str,
        display_name: &str,
        created_at_ms: i64,
        head: &WorkspaceHead,
    ) -> Result<WorkspaceNo, StoreError> {
        let created = self.tables()?.create(id, display_name, created_at_ms, *head);
        self.failed |= created.is_err();
        created
    }

    async fn write(
        &mut self,
        ws: WorkspaceNo,
        batch: &WriteBatch,
        head: &WorkspaceHead,
    ) -> Result<(), StoreError> {
        if self.failed {
            return Err(broken_transaction());
        }
        let added = self.pending.add(ws, batch, head);
        self.failed |= added.is_err();
        added
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        if self.failed {
            return Err(broken_transaction());
        }
        let unknown = |text: &str| Err(StoreError::CommitUnknown(text.to_owned()));
        let fault = match self.draft.is_none() && self.pending.is_empty() {
            true => None,
            false => lock(&self.store.shared.fault).take(),
        };
        match fault {
            None => self.store_all(),
            Some(CommitFault::DiskFull) => Err(StoreError::DiskFull),
            Some(CommitFault::UnknownLost) => unknown("a simulated failure before the commit"),
            Some(CommitFault::UnknownStored) => {
                self.store_all()?;
                unknown("a simulated failure after the commit")
            }
        }
    }
}

/// Locks a mutex even if it is poisoned: a panic leaves nothing half done under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
