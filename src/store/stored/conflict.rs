//! A conflict with its context: rewritten by whatever happens to it.

use super::message::{
    Blob, Code, Coded, Fault, Kind, Message, Nested, Reader, Sint, Text, Uint, codes, message,
};
use syncline_core::conflict::{
    Alternative, AlternativeState, CloseReason, Closing, Conflict, ConflictEvent, ConflictKind,
    ConflictStatus, ConflictSummary, Cut, TextRange,
};

message! { Conflict, keeps unknown {
    1 id: need Nested,
    2 kind: need Code,
    3 scope: need Nested,
    4 collection: one Text,
    5 status: need Code,
    6 revision: one Uint,
    7 opened_at_ms: one Sint,
    8 parent: opt Nested,
    9 provisional: need Code,
    10 base: opt Nested,
    11 base_exact: one Uint,
    12 record_at_opening: rep Nested,
    13 alternatives: rep Nested,
    14 pairs: rep Nested,
    15 assignee: one Text,
    16 remind_at_ms: opt Sint,
    17 defer_count: one Uint,
    18 closing: opt Nested,
    19 events: rep Nested,
    20 region: opt Nested,
} }

// Never rewritten: a conflict that is opened again has none.
message! { Closing, skips {
    1 seq: one Uint,
    2 at_ms: one Sint,
    3 reason: need Code,
} }

message! { Alternative, keeps unknown {
    1 stamp: need Nested,
    2 rank: one Uint,
    3 state: need Code,
    4 value: opt Nested,
    6 action: opt Code,
    7 dot: need Nested,
    8 actor: one Text,
    9 correlation_id: one Text,
    10 client_time_ms: opt Sint,
    11 committed_at_ms: one Sint,
    12 author: need Nested,
    13 context: need Nested,
    14 siblings: rep Text,
    15 cut: opt Nested,
    // 5 was the hunk of a text.
    16 suppressed_by: opt Uint,
} }

message! { Cut, closed {
    1 whole_bytes: one Uint,
    2 hash: need Blob,
} }

message! { TextRange, closed {
    1 start: one Uint,
    2 end: one Uint,
} }

message! { ConflictEvent, keeps unknown {
    1 kind: need Code,
    2 seq: one Uint,
    3 at_ms: one Sint,
    4 actor: one Text,
    5 revision: one Uint,
    6 status: need Code,
    7 detail: one Text,
} }

// A part of a change, which is written once.
message! { ConflictSummary, skips {
    1 id: need Nested,
    2 kind: need Code,
    3 scope: need Nested,
    4 collection: one Text,
    5 status: need Code,
    6 revision: one Uint,
    7 parent: opt Nested,
    8 assignee: one Text,
    9 remind_at_ms: opt Sint,
    10 defer_count: one Uint,
    11 closing: opt Nested,
    12 alternative_count: one Uint,
} }

codes! { ConflictKind { 1 Register, 2 TextOverlap, 3 EditDelete, 4 Relationship } }

codes! { ConflictStatus { 1 Open, 2 Deferred, 3 Resolved, 4 Obsolete, 5 Superseded } }

codes! { CloseReason { 1 Resolved, 2 Converged, 3 Deleted, 4 Superseded, 5 Policy, 6 Merged } }

codes! { AlternativeState { 1 Head, 2 Shadow, 3 Suppressed } }
