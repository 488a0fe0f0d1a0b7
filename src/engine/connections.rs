//! Presence: who is connected, under a lease, and how good the link is as seen from here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use uuid::Uuid;

use crate::domain::causality::Seq;
use crate::domain::ids::ReplicaId;

use super::EngineError;
use super::hub::lock;

/// Beats without which the other side counts as gone: 2.5 intervals.
const LEASE_INTERVALS_HALVES: u64 = 5;
/// Weight of a new measurement in the smoothed round trip, as a divisor (RFC 6298's 1/8).
const ROUND_TRIP_SMOOTHING: u64 = 8;
/// Weight of a new measurement in the jitter, as a divisor (RFC 3550's 1/16).
const JITTER_SMOOTHING: u64 = 16;

/// How a connection beats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Stream,
    Unary,
}

/// A link as measured from this side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkQuality {
    /// Smoothed; 0 before the first measurement.
    pub round_trip_us: u64,
    pub jitter_us: u64,
    pub received_count: u64,
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
    pub id: Uuid,
    pub workspace: Arc<str>,
    pub replica: Option<ReplicaId>,
    pub client_name: Arc<str>,
    pub actor: Arc<str>,
    pub transport: Transport,
    pub connected_at_ms: i64,
    pub last_beat_at_ms: i64,
    pub lease_expires_at_ms: i64,
    pub seq: Seq,
    pub quality: LinkQuality,
}

/// A beat as it came in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beat {
    pub seq: Seq,
    /// The round trip, when it could be measured.
    pub round_trip_us: Option<u64>,
}

/// All connections of this server.
pub struct Connections {
    connections: Mutex<BTreeMap<Uuid, Connection>>,
    beat_interval_ms: u64,
}

impl Connections {
    pub(super) fn new(beat_interval_ms: u64) -> Connections {
        Connections { connections: Mutex::default(), beat_interval_ms }
    }

    /// How often to beat.
    pub fn beat_interval_ms(&self) -> u64 {
        self.beat_interval_ms
    }

    /// How long a connection lives without a beat.
    pub fn lease_ms(&self) -> u64 {
        self.beat_interval_ms * LEASE_INTERVALS_HALVES / 2
    }

    /// Opens a connection under a fresh id.
    #[allow(clippy::too_many_arguments, reason = "each is a fact of its own about the client")]
    pub fn open(
        &self,
        id: Uuid,
        workspace: Arc<str>,
        replica: Option<ReplicaId>,
        client_name: Arc<str>,
        actor: Arc<str>,
        transport: Transport,
        now_ms: i64,
    ) {
        let connection = Connection {
            id,
            workspace,
            replica,
            client_name,
            actor,
            transport,
            connected_at_ms: now_ms,
            last_beat_at_ms: now_ms,
            lease_expires_at_ms: now_ms.saturating_add_unsigned(self.lease_ms()),
            seq: 0,
            quality: LinkQuality::default(),
        };
        lock(&self.connections).insert(id, connection);
        self.count();
    }

    /// Takes in a beat and renews the lease. Intervals that passed without one count as missed.
    pub fn beat(&self, id: Uuid, beat: Beat, now_ms: i64) -> Result<LinkQuality, EngineError> {
        let mut connections = lock(&self.connections);
        let connection = connections
            .get_mut(&id)
            .filter(|c| c.lease_expires_at_ms > now_ms)
            .ok_or_else(|| EngineError::UnknownConnection { id: id.to_string() })?;
        let silent_ms = u64::try_from(now_ms.saturating_sub(connection.last_beat_at_ms)).unwrap_or(0);
        // A beat may be late by half an interval before one counts as missed.
        let interval = self.beat_interval_ms.max(1);
        let missed = (silent_ms + interval / 2) / interval;
        connection.quality.missed_count += missed.saturating_sub(1);
        connection.quality.received_count += 1;
        if let Some(round_trip_us) = beat.round_trip_us {
            connection.quality.measure(round_trip_us);
        }
        connection.seq = connection.seq.max(beat.seq);
        connection.last_beat_at_ms = now_ms;
        connection.lease_expires_at_ms = now_ms.saturating_add_unsigned(self.lease_ms());
        Ok(connection.quality)
    }

    /// The workspace of a connection.
    pub fn workspace_of(&self, id: Uuid) -> Option<Arc<str>> {
        lock(&self.connections).get(&id).map(|c| c.workspace.clone())
    }

    /// Ends a connection.
    pub fn close(&self, id: Uuid) {
        lock(&self.connections).remove(&id);
        self.count();
    }

    /// Ends connections whose lease is over.
    pub fn expire(&self, now_ms: i64) {
        let mut connections = lock(&self.connections);
        let before = connections.len();
        connections.retain(|_, c| c.lease_expires_at_ms > now_ms);
        let changed = before != connections.len();
        drop(connections);
        if changed {
            self.count();
        }
    }

    /// Connections of a workspace by id, after `after`.
    pub fn list(&self, workspace: &str, after: Option<Uuid>, limit: usize) -> Vec<Connection> {
        use std::ops::Bound;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        lock(&self.connections)
            .range((start, Bound::Unbounded))
            .map(|(_, connection)| connection)
            .filter(|c| &*c.workspace == workspace)
            .take(limit)
            .cloned()
            .collect()
    }

    fn count(&self) {
        let connections = lock(&self.connections);
        let streams = connections.values().filter(|c| c.transport == Transport::Stream).count();
        let unary = connections.len() - streams;
        drop(connections);
        metrics::gauge!(crate::telemetry::CONNECTIONS, "transport" => "stream").set(streams as f64);
        metrics::gauge!(crate::telemetry::CONNECTIONS, "transport" => "unary").set(unary as f64);
    }
}
