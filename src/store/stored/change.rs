//! Accepted operations with what they did: the log. A change is written once and never rewritten, so it may carry what
//! this version does not know; but a kind of effect that it does not know cannot be read.

use super::message::{
    Blob, Code, Coded, Fault, Kind, Message, Nested, Reader, Sint, Text, Uint, choice, codes, message,
};
use syncline_core::change::{Change, Effect, EffectKind};
use syncline_core::conflict::ConflictEventKind;
use syncline_core::merge::text::{SettledHunk, Splice};

message! { Change, skips {
    1 seq: one Uint,
    2 dot: need Nested,
    3 author: need Nested,
    4 context: need Nested,
    5 request_id: opt Text,
    6 correlation_id: one Text,
    7 actor: one Text,
    8 client_time_ms: opt Sint,
    9 committed_at_ms: one Sint,
    10 mutations: rep Nested,
    11 effects: rep Nested,
    12 settlement: need Nested,
    13 operation_hash: need Blob,
    14 chain: need Blob,
    15 hash_salt: need Blob,
} }

message! { Effect, skips {
    1 collection: one Text,
    2 record: one Text,
    3 field: opt Text,
    4 mutation_index: one Uint,
    5 previous_seq: one Uint,
    6 kind: need Nested,
} }

choice! { EffectKind {
    1 RecordCreated {},
    2 RecordDeleted {},
    3 RecordRestored {},
    4 Existence {},
    5 Register { 1 value: opt Nested },
    6 Text { 1 splices: rep Nested, 2 hunks: rep Nested, 3 known_seq: one Uint },
    7 Counter { 1 value: one Sint, 2 added: one Sint },
    8 Set { 1 added: rep Nested, 2 removed: rep Nested },
    9 Conflict { 1 event: need Code, 2 summary: need Nested },
    10 Link { 1 target: opt Text },
    11 Links { 1 added: rep Text, 2 removed: rep Text },
} }

choice! { Splice { 1 Retain(Uint), 2 Insert(Text), 3 Delete(Text) } }

message! { SettledHunk, skips {
    1 hunk: need Nested,
    2 suppressed_by: opt Uint,
} }

codes! { ConflictEventKind {
    1 Opened, 2 Changed, 3 Deferred, 4 Reminded, 5 Assigned, 6 Closed, 7 Reopened,
} }
