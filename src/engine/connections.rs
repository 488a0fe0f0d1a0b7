//! Presence: who is connected under a lease, and the quality of each link as this server measures it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use syncline_core::causality::Seq;
use syncline_core::fault;
use syncline_core::ids::{ReplicaId, WorkspaceNo};

use super::EngineError;
use super::hub::lock;

/// Time without a heartbeat after which the other side counts as gone, in half intervals (5 are 2.5 intervals).
const LEASE_INTERVALS_HALVES: u64 = 5;
/// Weight of a new measurement in the smoothed round trip, as a divisor (RFC 6298's 1/8).
const ROUND_TRIP_SMOOTHING: u64 = 8;
/// Weight of a new measurement in the jitter, as a divisor (RFC 3550's 1/16).
const JITTER_SMOOTHING: u64 = 16;

/// Maximum number of closed connections kept until other servers can be told.
const CLOSED_WAITING_MAX: usize = 100_000;

/// How a connection's heartbeats arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// On a stream that stays open.
    Stream,
    /// In single calls.
    Unary,
}

/// A link as measured from this side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkQuality {
    /// Smoothed; 0 before the first measurement.
    pub round_trip_us: u64,
    /// Smoothed variation of the round trip; 0 before the second measurement.
    pub jitter_us: u64,
    /// Heartbeats received.
    pub received_count: u64,
    /// Heartbeats that were due and did not arrive.
    pub missed_count: u64,
}

impl LinkQuality {
    /// Takes in a measured round trip.
    pub fn measure(&mut self, round_trip_us: u64) {
        if self.round_trip_us == 0 {
            self.round_trip_us = round_trip_us.max(1);
            return;
        }
        let deviation = round_trip_us.abs_diff(self.round_trip_us);
        self.jitter_us = smooth(self.jitter_us, deviation, JITTER_SMOOTHING);
        self.round_trip_us = smooth(self.round_trip_us, round_trip_us, ROUND_TRIP_SMOOTHING).max(1);
    }
}

fn smooth(old: u64, new: u64, divisor: u64) -> u64 {
    if new >= old { old + (new - old) / divisor } else { old - (old - new) / divisor }
}

/// One client's presence.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its identity, drawn by the server when it opened.
    pub id: Uuid,
    /// The number of its workspace.
    pub ws: WorkspaceNo,
    /// The id of its workspace.
    pub workspace: Arc<str>,
    /// The client's replica; none for a reader.
    pub replica: Option<ReplicaId>,
    /// The client's name for people, as it gave it; may be empty.
    pub client_name: Arc<str>,
    /// Who the client says it is; may be empty.
    pub actor: Arc<str>,
    /// How its heartbeats arrive.
    pub transport: Transport,
    /// When it opened, in milliseconds since the Unix epoch.
    pub connected_at_ms: i64,
    /// When its last heartbeat arrived, or when it opened; in milliseconds since the Unix epoch.
    pub last_heartbeat_at_ms: i64,
    /// When its lease ends, by the monotonic clock: a step of the wall clock neither ends nor extends a lease.
    pub lease_ends: Instant,
    /// The furthest feed position that the client has reported; 0 before its first report.
    pub seq: Seq,
    /// The link as this side measures it.
    pub quality: LinkQuality,
}

impl Connection {
    /// What is left of its lease; 0 when it is over.
    pub fn lease_left_ms(&self) -> u64 {
        if fault!(LeaseNeverEnds) {
            return u64::from(u32::MAX);
        }
        let left = self.lease_ends.saturating_duration_since(Instant::now());
        // Rounded up, so that a lease that has not ended never shows 0.
        u64::try_from(left.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)
    }
}

/// When a lease of this length that begins now will end.
pub(super) fn lease_for(lease_ms: u64) -> Instant {
    let now = Instant::now();
    now.checked_add(Duration::from_millis(lease_ms)).unwrap_or(now)
}

/// A heartbeat as it was received.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heartbeat {
    /// The client's position in the feed.
    pub seq: Seq,
    /// The round trip, when it could be measured.
    pub round_trip_us: Option<u64>,
}

/// A client as it introduced itself.
#[derive(Debug, Clone)]
pub struct Newcomer {
    /// The identity that its connection gets.
    pub id: Uuid,
    /// The number of the workspace that it joins.
    pub ws: WorkspaceNo,
    /// The id of that workspace.
    pub workspace: Arc<str>,
    /// Its replica; none for a reader.
    pub replica: Option<ReplicaId>,
    /// Its name for people; may be empty.
    pub client_name: Arc<str>,
    /// Who it says it is; may be empty.
    pub actor: Arc<str>,
    /// How its heartbeats will arrive.
    pub transport: Transport,
}

/// All connections of this server.
pub struct Presence {
    all: Mutex<All>,
    heartbeat_interval_ms: u64,
    /// Whether other servers must be told of changes.
    mirrored: bool,
}

#[derive(Default)]
struct All {
    connections: BTreeMap<Uuid, Connection>,
    /// Opened or renewed since the other servers were last told.
    renewed: BTreeSet<Uuid>,
    /// Closed since then.
    closed: BTreeSet<(WorkspaceNo, Uuid)>,
}

/// What changed among the connections of this server.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub renewed: Vec<Connection>,
    pub closed: BTreeSet<(WorkspaceNo, Uuid)>,
}

impl Presence {
    pub(super) fn new(heartbeat_interval_ms: u64, mirrored: bool) -> Presence {
        Presence { all: Mutex::default(), heartbeat_interval_ms, mirrored }
    }

    /// How often both sides send a heartbeat.
    pub fn heartbeat_interval_ms(&self) -> u64 {
        self.heartbeat_interval_ms
    }

    /// How long a connection lives without a heartbeat.
    pub fn lease_ms(&self) -> u64 {
        self.heartbeat_interval_ms * LEASE_INTERVALS_HALVES / 2
    }

    /// Opens a connection.
    pub(super) fn open(&self, newcomer: Newcomer, now_ms: i64) {
        let Newcomer { id, ws, workspace, replica, client_name, actor, transport } = newcomer;
        self.adopt(Connection {
            id,
            ws,
            workspace,
            replica,
            client_name,
            actor,
            transport,
            connected_at_ms: now_ms,
            last_heartbeat_at_ms: now_ms,
            lease_ends: lease_for(self.lease_ms()),
            seq: Seq::START,
            quality: LinkQuality::default(),
        });
    }

    /// Takes over a connection as it stands.
    pub(super) fn adopt(&self, connection: Connection) {
        let mut all = lock(&self.all);
        self.note(&mut all, connection.id);
        all.connections.insert(connection.id, connection);
        drop(all);
        self.count();
    }

    fn note(&self, all: &mut All, id: Uuid) {
        if self.mirrored {
            all.renewed.insert(id);
        }
    }

    /// Takes in a heartbeat of a connection of this server and renews the lease. Intervals that passed without one
    /// count as missed.
    pub fn take_heartbeat(
        &self,
        id: Uuid,
        heartbeat: Heartbeat,
        now_ms: i64,
    ) -> Result<LinkQuality, EngineError> {
        let mut all = lock(&self.all);
        let connection = all
            .connections
            .get_mut(&id)
            .filter(|c| c.lease_left_ms() > 0)
            .ok_or_else(|| EngineError::UnknownConnection { id: id.to_string() })?;
        let silent_ms = u64::try_from(now_ms.saturating_sub(connection.last_heartbeat_at_ms)).unwrap_or(0);
        // A heartbeat may be late by half an interval before one counts as missed.
        let interval = self.heartbeat_interval_ms.max(1);
        let missed = (silent_ms + interval / 2) / interval;
        connection.quality.missed_count += missed.saturating_sub(1);
        connection.quality.received_count += 1;
        if let Some(round_trip_us) = heartbeat.round_trip_us {
            connection.quality.measure(round_trip_us);
        }
        connection.seq = connection.seq.max(heartbeat.seq);
        connection.last_heartbeat_at_ms = now_ms;
        connection.lease_ends = lease_for(self.lease_ms());
        let quality = connection.quality;
        self.note(&mut all, id);
        Ok(quality)
    }

    /// The workspace of a connection.
    pub(super) fn workspace_of(&self, id: Uuid) -> Option<WorkspaceNo> {
        let all = lock(&self.all);
        all.connections.get(&id).filter(|c| c.lease_left_ms() > 0).map(|c| c.ws)
    }

    /// Ends a connection of this server.
    pub fn close(&self, id: Uuid) {
        let mut all = lock(&self.all);
        if let Some(connection) = all.connections.remove(&id)
            && self.mirrored
        {
            all.closed.insert((connection.ws, id));
        }
        drop(all);
        self.count();
    }

    /// Ends connections whose lease is over.
    pub fn expire(&self) {
        let mut all = lock(&self.all);
        let before = all.connections.len();
        all.connections.retain(|_, c| c.lease_left_ms() > 0);
        let changed = before != all.connections.len();
        drop(all);
        if changed {
            self.count();
        }
    }

    /// This server's connections of a workspace by id, after `after`.
    pub(super) fn list(&self, workspace: &str, after: Option<Uuid>, limit: usize) -> Vec<Connection> {
        use std::ops::Bound;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        lock(&self.all)
            .connections
            .range((start, Bound::Unbounded))
            .map(|(_, connection)| connection)
            .filter(|c| &*c.workspace == workspace && c.lease_left_ms() > 0)
            .take(limit)
            .cloned()
            .collect()
    }

    /// Takes out the changes that the other servers have not been told yet.
    pub(super) fn take_changed(&self) -> Changed {
        let mut all = lock(&self.all);
        let renewed = std::mem::take(&mut all.renewed);
        let renewed = renewed.iter().filter_map(|id| all.connections.get(id).cloned()).collect();
        Changed { renewed, closed: std::mem::take(&mut all.closed) }
    }

    /// Puts back changes that the other servers could not be told.
    pub(super) fn put_back(&self, changed: Changed) {
        let mut all = lock(&self.all);
        let ids = changed.renewed.iter().map(|connection| connection.id);
        all.renewed.extend(ids);
        // Beyond the limit they are dropped: the leases end these connections anyway.
        if all.closed.len() < CLOSED_WAITING_MAX {
            all.closed.extend(changed.closed);
        }
    }

    fn count(&self) {
        let all = lock(&self.all);
        let streams = all.connections.values().filter(|c| c.transport == Transport::Stream).count();
        let unary = all.connections.len() - streams;
        drop(all);
        metrics::gauge!(crate::telemetry::CONNECTIONS, "transport" => "stream").set(streams as f64);
        metrics::gauge!(crate::telemetry::CONNECTIONS, "transport" => "unary").set(unary as f64);
    }
}
