//! A record's existence: rewritten by creates, deletes and restores.

use super::message::{Fault, Kind, Message, Nested, Reader, Text, Uint, choice, message};
use syncline_core::state::{Existence, ExistenceHead, RecordRow};

message! { RecordRow, keeps unknown {
    1 collection: one Text,
    2 existence: need Nested,
    3 created: need Nested,
    4 last_seq: one Uint,
    5 heads: rep Nested,
} }

message! { ExistenceHead, keeps unknown {
    1 stamp: need Nested,
    2 delete: one Uint,
} }

choice! { Existence { 1 Alive {}, 2 Deleted {}, 3 Phantom(Nested) } }
