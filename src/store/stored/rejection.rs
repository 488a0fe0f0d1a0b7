//! A rejected operation. Never rewritten.

use super::message::{Blob, Fault, Kind, Message, Nested, Reader, Text, Uint, message};
use syncline_core::operation::Rejection;
use syncline_core::state::RejectionRow;

message! { RejectionRow, skips {
    1 operation_hash: need Blob,
    2 rejection: need Nested,
    3 at_seq: one Uint,
    4 correlation_id: one Text,
} }

message! { Rejection, skips {
    1 refusal: need Nested,
    2 mutation_index: opt Uint,
} }
