//! Presence across servers: each server writes what it knows of its own connections to the store they share, a few
//! times a minute and many connections at once, so that every server can tell who is there, and a client that sends
//! heartbeats in single calls can send them to any server.

use std::sync::Arc;
use std::time::Duration;
use syncline_core::causality::Seq;

use uuid::Uuid;

use crate::store::{ConnectionContent, SharedConnection, SharedStore, StoreError};
use syncline_core::ids::{ReplicaId, WorkspaceNo};

use super::connections::{Connection, Heartbeat, LinkQuality, Newcomer, Transport, lease_for};
use super::{Engine, EngineError};

/// How often changes are written.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// How often leases are checked; even before that, a connection whose lease is over is no longer shown.
const EXPIRE_EVERY: Duration = Duration::from_millis(250);
/// Maximum number of connections written in one statement.
const WRITE_MAX: usize = 1_000;
/// How long a stopping server tries to tell the others who left.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

impl Engine {
    /// Opens a connection under a fresh id.
    pub async fn open_connection(
        &self,
        workspace: &str,
        replica: Option<ReplicaId>,
        client_name: Arc<str>,
        actor: Arc<str>,
        transport: Transport,
    ) -> Result<Uuid, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let id = self.random_id();
        let newcomer =
            Newcomer { id, ws, workspace: workspace.into(), replica, client_name, actor, transport };
        self.connections().open(newcomer, self.now_ms());
        Ok(id)
    }

    /// Takes in a heartbeat, also one of a connection that another server opened.
    pub async fn take_heartbeat(
        &self,
        workspace: &str,
        id: Uuid,
        heartbeat: Heartbeat,
    ) -> Result<LinkQuality, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        if self.connections().workspace_of(id).is_none()
            && let Some(shared) = self.inner.store.shared()
            && let Some(there) = shared.connection(ws, id).await?
            // The heartbeats of a stream arrive at the server that it is connected to.
            && !there.content.streams
            // A connection that this server wrote itself and no longer has is over: a row outlives its lease by the
            // time it took to write it.
            && there.content.server != self.inner.server_id
        {
            self.connections().adopt(from_shared(there));
        }
        if self.connections().workspace_of(id) != Some(ws) {
            return Err(EngineError::UnknownConnection { id: id.to_string() });
        }
        self.connections().take_heartbeat(id, heartbeat, self.now_ms())
    }

    /// Ends a connection of a workspace, wherever it was opened.
    pub async fn close_connection(&self, workspace: &str, id: Uuid) -> Result<(), EngineError> {
        let ws = self.workspace_no(workspace).await?;
        if self.connections().workspace_of(id) == Some(ws) {
            self.connections().close(id);
        }
        if let Some(shared) = self.inner.store.shared() {
            shared.remove_connections(&[(ws, id)]).await?;
        }
        Ok(())
    }

    /// Connections of a workspace to any server by id, after `after`, at most `limit`.
    pub async fn list_connections(
        &self,
        workspace: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Connection>, EngineError> {
        let ws = self.workspace_no(workspace).await?;
        let mut own = self.connections().list(workspace, after, limit);
        let Some(shared) = self.inner.store.shared() else { return Ok(own) };
        let mut after = after;
        let mut all: Vec<Connection> = Vec::new();
        loop {
            let page = shared.connections(ws, after, limit).await?;
            after = page.last().map(|last| last.id);
            let over = page.len() < limit;
            // For connections of this server, memory is more recent than the store.
            let here = self.inner.server_id;
            let others = page.into_iter().filter(|there| there.content.server != here);
            all.extend(others.map(from_shared));
            if over || all.len() >= limit {
                break;
            }
        }
        own.retain(|mine| !all.iter().any(|other| newer_elsewhere(mine, other)));
        all.retain(|other| !own.iter().any(|mine| mine.id == other.id));
        all.extend(own);
        all.sort_by_key(|connection| connection.id);
        all.truncate(limit);
        Ok(all)
    }

    /// Ends connections whose lease is over, until the service stops.
    pub(super) async fn expire_connections(self) {
        loop {
            tokio::select! {
                () = self.draining().cancelled() => return,
                () = tokio::time::sleep(EXPIRE_EVERY) => self.connections().expire(),
            }
        }
    }

    /// Writes what changed among this server's connections, until the service stops.
    pub(super) async fn mirror_connections(self, shared: Arc<dyn SharedStore>) {
        let mut failing = false;
        loop {
            tokio::select! {
                () = self.draining().cancelled() => return,
                () = tokio::time::sleep(WRITE_EVERY) => {}
            }
            match self.write_connections(&*shared).await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "other servers cannot be told who is connected here");
                }
                Err(_) => {}
            }
        }
    }

    /// Tells the other servers at the end who left. Connections whose heartbeats are single calls may go on at another
    /// server.
    pub(super) async fn deregister(&self) {
        if let Some(shared) = self.inner.store.shared() {
            // If this fails, the other servers are wrong for no longer than a lease.
            let _ = tokio::time::timeout(FAREWELL_MAX, self.write_connections(&*shared)).await;
        }
    }

    async fn write_connections(&self, shared: &dyn SharedStore) -> Result<(), StoreError> {
        let changed = self.connections().take_changed();
        let written = async {
            let closed: Vec<(WorkspaceNo, Uuid)> = changed.closed.iter().copied().collect();
            for some in closed.chunks(WRITE_MAX) {
                shared.remove_connections(some).await?;
            }
            let server = self.inner.server_id;
            let renewed: Vec<SharedConnection> =
                changed.renewed.iter().filter_map(|there| to_shared(there, server)).collect();
            for some in renewed.chunks(WRITE_MAX) {
                shared.put_connections(some).await?;
            }
            Ok(())
        };
        let written = written.await;
        if written.is_err() {
            self.connections().put_back(changed);
        }
        written
    }
}

/// Whether a connection of this server has moved to another one since.
fn newer_elsewhere(mine: &Connection, other: &Connection) -> bool {
    mine.id == other.id && other.quality.received_count > mine.quality.received_count
}

/// A connection with what is left of its lease, if anything.
fn to_shared(connection: &Connection, server: Uuid) -> Option<SharedConnection> {
    let lease_ms = Some(connection.lease_left_ms()).filter(|left| *left > 0)?;
    let LinkQuality { round_trip_us, jitter_us, received_count, missed_count } = connection.quality;
    Some(SharedConnection {
        ws: connection.ws,
        id: connection.id,
        lease_ms,
        content: ConnectionContent {
            server,
            workspace: connection.workspace.clone(),
            replica: connection.replica,
            client_name: connection.client_name.clone(),
            actor: connection.actor.clone(),
            streams: connection.transport == Transport::Stream,
            connected_at_ms: connection.connected_at_ms,
            last_heartbeat_at_ms: connection.last_heartbeat_at_ms,
            seq: connection.seq.0,
            round_trip_us,
            jitter_us,
            received_count,
            missed_count,
        },
    })
}

fn from_shared(there: SharedConnection) -> Connection {
    let SharedConnection { ws, id, lease_ms, content } = there;
    Connection {
        id,
        ws,
        workspace: content.workspace,
        replica: content.replica,
        client_name: content.client_name,
        actor: content.actor,
        transport: if content.streams { Transport::Stream } else { Transport::Unary },
        connected_at_ms: content.connected_at_ms,
        last_heartbeat_at_ms: content.last_heartbeat_at_ms,
        lease_ends: lease_for(lease_ms),
        seq: Seq(content.seq),
        quality: LinkQuality {
            round_trip_us: content.round_trip_us,
            jitter_us: content.jitter_us,
            received_count: content.received_count,
            missed_count: content.missed_count,
        },
    }
}
