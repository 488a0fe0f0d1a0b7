//! Operations that wait, and how much waits. The operation itself is closed: one that says more than this server
//! understands must not be settled by it.

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
