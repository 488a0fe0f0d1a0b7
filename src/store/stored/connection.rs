//! What servers tell each other about a connection. The server that has it writes all of it anew with every heartbeat.

use super::message::{Blob, Fault, Kind, Message, Reader, Sint, Text, Uint, message};
use crate::store::ConnectionContent;

message! { ConnectionContent, skips {
    1 server: need Blob,
    2 workspace: one Text,
    3 replica: opt Blob,
    4 client_name: one Text,
    5 actor: one Text,
    6 streams: one Uint,
    7 connected_at_ms: one Sint,
    8 last_heartbeat_at_ms: one Sint,
    9 seq: one Uint,
    10 round_trip_us: one Uint,
    11 jitter_us: one Uint,
    12 received_count: one Uint,
    13 missed_count: one Uint,
} }
