//! A store in memory that several servers of one process share, as they would a database.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;
use tokio::time::Instant;
use uuid::Uuid;

use super::{MemoryStore, lock};
use crate::store::{Announced, Order, SharedConnection, SharedStore, StoreError};
use syncline_core::ids::WorkspaceNo;
use syncline_core::state::{Key, Prefix, WorkspaceHead};

/// Maximum number of announcements that wait for one server; beyond it, the server looks at all workspaces.
const ANNOUNCEMENTS_WAITING_MAX: usize = 1_024;

/// What servers share in addition to the tables.
#[derive(Debug)]
pub(super) struct Board {
    announcements: broadcast::Sender<Vec<WorkspaceNo>>,
    silent: AtomicBool,
    connections: Mutex<BTreeMap<(WorkspaceNo, Uuid), (Instant, SharedConnection)>>,
}

impl Default for Board {
    fn default() -> Board {
        Board {
            announcements: broadcast::channel(ANNOUNCEMENTS_WAITING_MAX).0,
            silent: AtomicBool::new(false),
            connections: Mutex::default(),
        }
    }
}

/// One server's part in a shared store.
#[derive(Debug)]
pub(super) struct Member {
    store: MemoryStore,
    heard: tokio::sync::Mutex<broadcast::Receiver<Vec<WorkspaceNo>>>,
}

impl MemoryStore {
    /// A handle for one more server, which then shares the store with all others that joined.
    pub fn join(&self) -> MemoryStore {
        let alone = MemoryStore { shared: self.shared.clone(), member: None };
        let heard = tokio::sync::Mutex::new(self.shared.board.announcements.subscribe());
        let member = Member { store: alone, heard };
        MemoryStore { shared: self.shared.clone(), member: Some(std::sync::Arc::new(member)) }
    }

    /// Drops every announcement, or delivers them again.
    pub fn lose_announcements(&self, lose: bool) {
        self.shared.board.silent.store(lose, Ordering::SeqCst);
    }
}

#[async_trait]
impl SharedStore for Member {
    async fn announce(&self, workspaces: &[WorkspaceNo]) -> Result<(), StoreError> {
        let board = &self.store.shared.board;
        if !board.silent.load(Ordering::SeqCst) {
            // It is no failure if nobody listens.
            let _ = board.announcements.send(workspaces.to_vec());
        }
        Ok(())
    }

    async fn announced(&self) -> Announced {
        match self.heard.lock().await.recv().await {
            Ok(workspaces) => Announced::Workspaces(workspaces),
            Err(_) => Announced::Unsure,
        }
    }

    async fn heads(
        &self,
        workspaces: &[WorkspaceNo],
    ) -> Result<Vec<(WorkspaceNo, WorkspaceHead)>, StoreError> {
        let tables = self.store.committed();
        Ok(workspaces.iter().filter_map(|ws| Some((*ws, tables.workspaces.get(ws)?.head))).collect())
    }

    async fn first_keys(
        &self,
        prefix: &Prefix,
        after: WorkspaceNo,
        limit: usize,
    ) -> Result<Vec<(WorkspaceNo, Option<Key>)>, StoreError> {
        let tables = self.store.committed();
        let numbers = tables.workspaces.range((Bound::Excluded(after), Bound::Unbounded)).take(limit);
        numbers
            .map(|(ws, _)| {
                let page = tables.range(*ws, prefix, None, 1, Order::Ascending)?;
                Ok((*ws, page.rows.into_iter().next().map(|(key, _)| key)))
            })
            .collect()
    }

    async fn put_connections(&self, connections: &[SharedConnection]) -> Result<(), StoreError> {
        let now = Instant::now();
        let mut all = lock(&self.store.shared.board.connections);
        all.retain(|_, (ends_at, _)| *ends_at > now);
        for connection in connections {
            let ends_at = now + Duration::from_millis(connection.lease_ms);
            all.insert((connection.ws, connection.id), (ends_at, connection.clone()));
        }
        Ok(())
    }

    async fn remove_connections(&self, connections: &[(WorkspaceNo, Uuid)]) -> Result<(), StoreError> {
        let mut all = lock(&self.store.shared.board.connections);
        connections.iter().for_each(|connection| drop(all.remove(connection)));
        Ok(())
    }

    async fn connections(
        &self,
        ws: WorkspaceNo,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<SharedConnection>, StoreError> {
        let now = Instant::now();
        let start = match after {
            Some(id) => Bound::Excluded((ws, id)),
            None => Bound::Included((ws, Uuid::nil())),
        };
        let all = lock(&self.store.shared.board.connections);
        let of_workspace = all.range((start, Bound::Included((ws, Uuid::max()))));
        Ok(of_workspace.filter_map(|(_, row)| living(row, now)).take(limit).collect())
    }

    async fn connection(&self, ws: WorkspaceNo, id: Uuid) -> Result<Option<SharedConnection>, StoreError> {
        let all = lock(&self.store.shared.board.connections);
        Ok(all.get(&(ws, id)).and_then(|row| living(row, Instant::now())))
    }
}

/// A row whose lease runs, with what is left of it.
fn living((ends_at, connection): &(Instant, SharedConnection), now: Instant) -> Option<SharedConnection> {
    let left = ends_at.checked_duration_since(now).filter(|left| !left.is_zero())?;
    let lease_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    Some(SharedConnection { lease_ms, ..connection.clone() })
}
