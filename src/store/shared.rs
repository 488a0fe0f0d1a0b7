//! What servers that share a database tell and ask each other through it.
//!
//! Nothing here decides anything: the order of a workspace is decided by the lock of its head alone. Announcements are
//! hints, and presence is only shown to people.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;
use syncline_core::ids::{ReplicaId, WorkspaceNo};
use syncline_core::state::{Key, Prefix, WorkspaceHead};

/// A database that several servers write to.
#[async_trait]
pub trait SharedStore: Send + Sync + 'static {
    /// Tells the other servers that these workspaces have new commits. A hint: when it is lost, the others find out by
    /// their next poll. Never part of a write transaction.
    async fn announce(&self, workspaces: &[WorkspaceNo]) -> Result<(), StoreError>;

    /// Waits for what any server announced, this one included. Cancelling loses at most a hint.
    async fn announced(&self) -> Announced;

    /// The committed heads of workspaces, in one statement; those that do not exist are left out.
    async fn heads(
        &self,
        workspaces: &[WorkspaceNo],
    ) -> Result<Vec<(WorkspaceNo, WorkspaceHead)>, StoreError>;

    /// For workspaces after a number, by number, at most `limit`: the first key of a range, if it has one.
    async fn first_keys(
        &self,
        prefix: &Prefix,
        after: WorkspaceNo,
        limit: usize,
    ) -> Result<Vec<(WorkspaceNo, Option<Key>)>, StoreError>;

    /// Writes or renews connections; each lease begins now, by the database's clock. Connections of their workspaces
    /// whose lease has ended are removed.
    async fn put_connections(&self, connections: &[SharedConnection]) -> Result<(), StoreError>;

    /// Removes connections; those that do not exist are ignored.
    async fn remove_connections(&self, connections: &[(WorkspaceNo, Uuid)]) -> Result<(), StoreError>;

    /// A workspace's connections whose lease runs, by id, after `after`, at most `limit`.
    async fn connections(
        &self,
        ws: WorkspaceNo,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<SharedConnection>, StoreError>;

    /// A connection whose lease runs.
    async fn connection(&self, ws: WorkspaceNo, id: Uuid) -> Result<Option<SharedConnection>, StoreError>;
}

/// What [`SharedStore::announced`] heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announced {
    /// These workspaces may have new commits.
    Workspaces(Vec<WorkspaceNo>),
    /// Announcements may have been lost: any workspace may have new commits.
    Unsure,
}

/// A client's connection as all servers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedConnection {
    /// The number of its workspace.
    pub ws: WorkspaceNo,
    /// Its identity.
    pub id: Uuid,
    /// How long the connection counts as present without being renewed; when read, what is left of it.
    pub lease_ms: u64,
    /// What the servers tell each other about it.
    pub content: ConnectionContent,
}

/// What servers tell each other about a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionContent {
    /// The server that has it, by the id of its current run.
    pub server: Uuid,
    /// The id of its workspace.
    pub workspace: Arc<str>,
    /// The client's replica; none for a reader.
    pub replica: Option<ReplicaId>,
    /// The client's name for people, as it gave it; may be empty.
    pub client_name: Arc<str>,
    /// Who the client says it is; may be empty.
    pub actor: Arc<str>,
    /// Whether its heartbeats arrive on a stream; otherwise they are single calls.
    pub streams: bool,
    /// When it opened, in milliseconds since the Unix epoch.
    pub connected_at_ms: i64,
    /// When its last heartbeat arrived, or when it opened; in milliseconds since the Unix epoch.
    pub last_heartbeat_at_ms: i64,
    /// The furthest feed position that the client has reported; 0 before its first report.
    pub seq: u64,
    /// Smoothed round trip in microseconds, as its server measures it; 0 before the first measurement.
    pub round_trip_us: u64,
    /// Smoothed variation of the round trip in microseconds.
    pub jitter_us: u64,
    /// Heartbeats received.
    pub received_count: u64,
    /// Heartbeats that were due and did not arrive.
    pub missed_count: u64,
}
