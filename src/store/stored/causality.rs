//! Who wrote what, and what they knew: parts of other messages. They get no further fields; additions belong in the
//! message that contains them.

use super::message::{Blob, Fault, Fixed, Kind, Message, Nested, Reader, Uint, message};
use syncline_core::causality::{Author, Extra, Stamp};
use syncline_core::ids::{ConflictId, Dot};
use syncline_core::operation::CausalContext;

message! { Stamp, closed {
    1 seq: one Uint,
    2 replica_no: one Uint,
    3 counter: one Uint,
} }

message! { Extra, closed {
    1 replica_no: one Uint,
    2 counter: one Uint,
} }

message! { Author, closed {
    1 replica_no: one Uint,
    2 counter: one Uint,
    3 base_seq: one Uint,
    4 extras: rep Nested,
    5 own_requests: rep Uint,
} }

message! { Dot, closed {
    1 replica: need Blob,
    2 counter: one Uint,
} }

message! { CausalContext, closed {
    1 epoch: one Fixed,
    2 base_seq: one Uint,
    3 extras: rep Nested,
    4 base_chain: opt Blob,
} }

message! { ConflictId, closed {
    1 opened_seq: one Uint,
    2 index: one Uint,
} }
