//! Operations and their mutations, as part of changes and of what is held. Closed: whatever else the author of a newer
//! version asked for must not be silently left out.

use super::message::{
    Blob, Coded, Fault, Kind, Message, Nested, Reader, Sint, Text, Uint, choice, codes, message,
};
use syncline_core::merge::text::Hunk;
use syncline_core::operation::{
    Action, ConflictAction, ConflictMutation, Identity, Knowledge, Malformed, Mutation, MutationKind,
    Operation, RecordMutation, Settlement, TextChoice, WaitOn,
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
    10 after_requests: rep Text,
} }

choice! { Identity { 1 Dot(Nested), 2 Request(Text) } }

choice! { Knowledge { 1 Context(Nested), 2 Latest {} } }

message! { Malformed, closed {
    1 refusal: need Nested,
    2 mutation_index: opt Uint,
    3 content_hash: need Blob,
} }

choice! { Mutation { 1 Record(Nested), 2 Conflict(Nested) } }

message! { RecordMutation, closed {
    1 collection: one Text,
    2 record: one Text,
    3 action: need Nested,
    4 observed_seq: opt Uint,
    5 resolves: opt Nested,
} }

codes! { MutationKind {
    1 CreateRecord, 2 DeleteRecord, 3 RestoreRecord, 4 SetField, 5 EditText, 6 ReplaceText, 7 IncrementCounter,
    8 AssignCounter, 9 AddElements, 10 RemoveElements, 11 ClearElements, 12 LinkRecord, 13 UnlinkRecord,
    14 DeferConflict, 15 AssignConflict, 16 ReopenConflict, 17 RemindConflict, 18 DecideText,
} }

choice! { Action {
    1 Create { 1 fields: rep Nested, 2 replace_deleted: one Uint },
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
    14 DecideText { 1 field: one Text, 2 choice: need Nested },
} }

choice! { TextChoice { 1 Alternative(Uint), 2 Base {}, 3 Current {}, 4 Text(Text) } }

message! { ConflictMutation, closed {
    1 conflict: need Nested,
    2 action: need Nested,
} }

choice! { ConflictAction {
    1 Defer { 1 revision: one Uint, 2 remind_at_ms: one Sint },
    2 Assign { 1 assignee: opt Text },
    3 Reopen {},
    4 Remind {},
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
