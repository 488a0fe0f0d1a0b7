//! A request id with the operation it became. Never rewritten: an id that is used again after it expired is a new one.

use super::message::{Blob, Fault, Kind, Message, Reader, Sint, Uint, message};
use syncline_core::state::RequestRow;

message! { RequestRow, skips {
    1 operation_hash: need Blob,
    2 counter: one Uint,
    3 expires_at_ms: one Sint,
} }
