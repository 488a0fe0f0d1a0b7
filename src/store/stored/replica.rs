//! A replica: rewritten by every operation of it.

use super::message::{Fault, Kind, Message, Reader, Uint, message};
use syncline_core::state::ReplicaRow;

message! { ReplicaRow, keeps unknown {
    1 no: one Uint,
    2 last_settled: one Uint,
    3 last_accepted: one Uint,
    4 last_base: one Uint,
} }
