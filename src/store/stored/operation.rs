//! Operations and their mutations, as part of changes and of what is held. Closed: what a newer version's author
//! asked for beside is not left out in silence.

use super::message::{Blob, Fault, Kind, Message, Nested, Reader, Sint, Text, Uint, choice, message};
use syncline_core::merge::text::Hunk;
use syncline_core::operation::{
    Action, Identity, Knowledge, Malformed, Mutation, Operation, Settlement, WaitOn,
};

message! { Operation, closed {
    1 identity: need Nested,
    2 knowledge: need Nested,
    3 mutations: rep Nested,
    4 depends_on: rep Nested,
    5 await_records: one Uint,
    6 correlation_id: one Text,
    7 actor: one Text,
    8 client_time_ms: opt Sint,
    9 malformed: opt Nested,
} }

choice! { Identity { 1 Dot(Nested), 2 Request(Text) } }

choice! { Knowledge { 1 Context(Nested), 2 Latest {} } }

message! { Malformed, closed {
    1 refusal: need Nested,
    2 mutation_index: opt Uint,
    3 content_hash: need Blob,
} }

message! { Mutation, closed {
    1 collection: one Text,
    2 record: one Text,
    3 action: need Nested,
    4 observed_seq: opt Uint,
    5 resolves: opt Nested,
} }

choice! { Action {
    1 Create { 1 fields: rep Nested },
    2 Delete {},
    3 Restore {},
    4 Set { 1 field: one Text, 2 value: need Nested },
    5 EditText { 1 field: one Text, 2 hunks: rep Nested },
    6 ReplaceText { 1 field: one Text, 2 text: one Text },
    7 Increment { 1 field: one Text, 2 by: one Sint },
    8 AssignCounter { 1 field: one Text, 2 value: one Sint },
    9 AddElements { 1 field: one Text, 2 elements: rep Nested },
    10 RemoveElements { 1 field: one Text, 2 elements: rep Nested },
    11 ClearElements { 1 field: one Text },
    12 Link { 1 field: one Text, 2 target: one Text },
    13 Unlink { 1 field: one Text, 2 target: opt Text },
    14 Defer { 1 conflict: need Nested, 2 revision: one Uint, 3 remind_at_ms: one Sint },
    15 Assign { 1 conflict: need Nested, 2 assignee: one Text },
    16 Reopen { 1 conflict: need Nested },
    17 Remind { 1 conflict: need Nested },
} }

message! { Hunk, closed {
    1 pos: one Uint,
    2 del: one Uint,
    3 ins: one Text,
} }

message! { Settlement, closed {
    1 merged: one Uint,
    2 conflicts: rep Nested,
    3 remaining: rep Nested,
} }

choice! { WaitOn { 1 Operation(Nested), 2 Record(Text) } }
