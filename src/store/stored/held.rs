//! Held operations, and how much is held. The operation itself is closed: a server must not settle one that says more
//! than it understands.

use super::message::{Blob, Fault, Kind, Message, Nested, Reader, Sint, Uint, message};
use syncline_core::state::{HeldRow, HoldUsage};

message! { HeldRow, keeps unknown {
    1 operation: need Nested,
    2 operation_hash: need Blob,
    3 waits_on: need Nested,
    4 expires_at_ms: one Sint,
    5 weight_bytes: one Uint,
} }

message! { HoldUsage, keeps unknown {
    1 count: one Uint,
    2 bytes: one Uint,
} }
