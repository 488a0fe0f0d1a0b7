//! The canonical form of an operation: the one sequence of bytes that stands for its content.
//!
//! It is the protobuf encoding of the message `syncline.v1.Operation`, made unique by the rules of
//! `docs/canonical-form.md`: fields in the order of their numbers, nothing for a field that is absent or has its
//! default value, the entries of a map by the bytes of their keys, the shortest form of every number. A field that is
//! added to the message later is absent in every operation of today, so it changes no hash of today.
//!
//! Two operations are the same content exactly if their canonical forms are the same bytes.

use super::ids::{ConflictId, Dot, Epoch};
use super::merge::text::Hunk;
use super::operation::{
    Action, CausalContext, ConflictAction, ConflictMutation, Identity, Knowledge, Mutation, Operation,
    RecordMutation, TextChoice,
};
use super::value::Value;
use super::wire::{Layout, put_bytes, put_fixed64, put_message, put_sint, put_tag, put_uint, put_varint};

/// Numbers of the fields of `syncline.v1.Operation`.
mod operation_field {
    pub const DOT: u32 = 1;
    pub const REQUEST_ID: u32 = 2;
    pub const CONTEXT: u32 = 3;
    pub const LATEST: u32 = 4;
    pub const MUTATIONS: u32 = 5;
    pub const CORRELATION_ID: u32 = 6;
    pub const DEPENDS_ON: u32 = 7;
    pub const ACTOR: u32 = 8;
    pub const CLIENT_TIME: u32 = 9;
    pub const AWAIT_RECORDS: u32 = 10;
    pub const AFTER_REQUEST_IDS: u32 = 11;
}

/// Numbers of the fields of `syncline.v1.Mutation`.
mod mutation_field {
    pub const RECORD: u32 = 1;
    pub const CONFLICT: u32 = 2;
}

/// Numbers of the fields of `syncline.v1.RecordMutation`.
mod record_field {
    pub const COLLECTION_ID: u32 = 1;
    pub const RECORD_ID: u32 = 2;
    pub const CREATE: u32 = 3;
    pub const DELETE: u32 = 4;
    pub const RESTORE: u32 = 5;
    pub const SET: u32 = 6;
    pub const EDIT_TEXT: u32 = 7;
    pub const REPLACE_TEXT: u32 = 8;
    pub const INCREMENT: u32 = 9;
    pub const ASSIGN_COUNTER: u32 = 10;
    pub const ADD_ELEMENTS: u32 = 11;
    pub const REMOVE_ELEMENTS: u32 = 12;
    pub const CLEAR_ELEMENTS: u32 = 13;
    pub const LINK: u32 = 14;
    pub const UNLINK: u32 = 15;
    pub const DECIDE_TEXT: u32 = 16;
    pub const OBSERVED_SEQ: u32 = 20;
    pub const RESOLVES_CONFLICT_ID: u32 = 21;
}

/// Numbers of the fields of `syncline.v1.ConflictMutation`.
mod conflict_field {
    pub const CONFLICT_ID: u32 = 1;
    pub const DEFER: u32 = 2;
    pub const ASSIGN: u32 = 3;
    pub const REOPEN: u32 = 4;
    /// Never on the wire: only the server reminds.
    pub const REMIND: u32 = 5;
}

/// Numbers of the kinds of `syncline.v1.Value`.
mod value_field {
    pub const NULL: u32 = 1;
    pub const BOOL: u32 = 2;
    pub const INT: u32 = 3;
    pub const DOUBLE: u32 = 4;
    pub const STRING: u32 = 5;
    pub const BYTES: u32 = 6;
    pub const LIST: u32 = 7;
    pub const MAP: u32 = 8;
    pub const TIMESTAMP: u32 = 9;
}

/// The canonical form of an operation whose content is well-formed. Of a malformed operation only a hash of what was
/// sent is kept ([`Operation::content_hash`]).
pub fn operation(operation: &Operation) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let Operation {
        identity,
        knowledge,
        mutations,
        depends_on,
        after_requests,
        await_records,
        correlation_id,
        actor,
        client_time_ms,
        malformed: _,
    } = operation;
    match identity {
        Identity::Dot(id) => put_dot(&mut out, operation_field::DOT, id),
        Identity::Request(id) => put_bytes(&mut out, operation_field::REQUEST_ID, id.as_bytes()),
    }
    match knowledge {
        Knowledge::Context(known) => {
            put_message(&mut out, operation_field::CONTEXT, |out| context(out, known))
        }
        Knowledge::Latest => put_message(&mut out, operation_field::LATEST, |_| {}),
    }
    for each in mutations {
        put_message(&mut out, operation_field::MUTATIONS, |out| mutation(out, each));
    }
    text(&mut out, operation_field::CORRELATION_ID, correlation_id);
    for dot in depends_on {
        put_dot(&mut out, operation_field::DEPENDS_ON, dot);
    }
    text(&mut out, operation_field::ACTOR, actor);
    if let Some(at_ms) = client_time_ms {
        put_message(&mut out, operation_field::CLIENT_TIME, |out| time(out, *at_ms));
    }
    if *await_records {
        put_uint(&mut out, operation_field::AWAIT_RECORDS, 1);
    }
    for id in after_requests {
        put_bytes(&mut out, operation_field::AFTER_REQUEST_IDS, id.as_bytes());
    }
    out
}

fn context(out: &mut Vec<u8>, context: &CausalContext) {
    let CausalContext { epoch, base_seq, base_chain, extras } = context;
    if *epoch != Epoch::NONE {
        put_fixed64(out, 1, epoch.0);
    }
    uint(out, 2, base_seq.0);
    for dot in extras {
        put_dot(out, 3, dot);
    }
    if let Some(chain) = base_chain {
        put_bytes(out, 4, chain);
    }
}

fn put_dot(out: &mut Vec<u8>, field: u32, dot: &Dot) {
    let Dot { replica, counter } = dot;
    put_message(out, field, |out| {
        let mut canonical = [0; uuid::fmt::Hyphenated::LENGTH];
        put_bytes(out, 1, replica.0.hyphenated().encode_lower(&mut canonical).as_bytes());
        uint(out, 2, counter.0);
    });
}

fn mutation(out: &mut Vec<u8>, mutation: &Mutation) {
    match mutation {
        Mutation::Record(change) => {
            put_message(out, mutation_field::RECORD, |out| record_mutation(out, change));
        }
        Mutation::Conflict(change) => {
            put_message(out, mutation_field::CONFLICT, |out| conflict_mutation(out, change));
        }
    }
}

fn record_mutation(out: &mut Vec<u8>, mutation: &RecordMutation) {
    let RecordMutation { collection, record, action: done, observed_seq, resolves } = mutation;
    text(out, record_field::COLLECTION_ID, collection);
    text(out, record_field::RECORD_ID, record);
    action(out, done);
    if let Some(seq) = observed_seq {
        put_uint(out, record_field::OBSERVED_SEQ, seq.0);
    }
    if let Some(conflict) = resolves {
        conflict_id(out, record_field::RESOLVES_CONFLICT_ID, conflict);
    }
}

fn conflict_mutation(out: &mut Vec<u8>, mutation: &ConflictMutation) {
    let ConflictMutation { conflict, action } = mutation;
    conflict_id(out, conflict_field::CONFLICT_ID, conflict);
    match action {
        ConflictAction::Defer { revision, remind_at_ms } => put_message(out, conflict_field::DEFER, |out| {
            uint(out, 1, *revision);
            put_message(out, 2, |out| time(out, *remind_at_ms));
        }),
        ConflictAction::Assign { assignee } => put_message(out, conflict_field::ASSIGN, |out| {
            if let Some(assignee) = assignee {
                put_bytes(out, 1, assignee.as_bytes());
            }
        }),
        ConflictAction::Reopen => put_message(out, conflict_field::REOPEN, |_| {}),
        ConflictAction::Remind => put_message(out, conflict_field::REMIND, |_| {}),
    }
}

fn action(out: &mut Vec<u8>, action: &Action) {
    use record_field as field_no;
    match action {
        Action::Create { fields, replace_deleted } => put_message(out, field_no::CREATE, |out| {
            initial_values(out, fields);
            uint(out, 2, u64::from(*replace_deleted));
        }),
        Action::Delete => put_message(out, field_no::DELETE, |_| {}),
        Action::Restore => put_message(out, field_no::RESTORE, |_| {}),
        Action::Set { field, value: new } => put_message(out, field_no::SET, |out| {
            text(out, 1, field);
            put_message(out, 2, |out| value(out, new));
        }),
        Action::EditText { field, hunks } => put_message(out, field_no::EDIT_TEXT, |out| {
            text(out, 1, field);
            hunks.iter().for_each(|each| put_message(out, 2, |out| hunk(out, each)));
        }),
        Action::ReplaceText { field, text: new } => put_message(out, field_no::REPLACE_TEXT, |out| {
            text(out, 1, field);
            text(out, 2, new);
        }),
        Action::DecideText { field, choice } => put_message(out, field_no::DECIDE_TEXT, |out| {
            text(out, 1, field);
            match choice {
                TextChoice::Alternative(seq) => put_uint(out, 2, seq.0),
                TextChoice::Base => put_message(out, 3, |_| {}),
                TextChoice::Current => put_message(out, 4, |_| {}),
                TextChoice::Text(new) => put_bytes(out, 5, new.as_bytes()),
            }
        }),
        Action::Increment { field, by } => put_message(out, field_no::INCREMENT, |out| {
            text(out, 1, field);
            sint(out, 2, *by);
        }),
        Action::AssignCounter { field, value } => put_message(out, field_no::ASSIGN_COUNTER, |out| {
            text(out, 1, field);
            sint(out, 2, *value);
        }),
        Action::AddElements { field, elements: some } => {
            put_message(out, field_no::ADD_ELEMENTS, |out| elements(out, field, some));
        }
        Action::RemoveElements { field, elements: some } => {
            put_message(out, field_no::REMOVE_ELEMENTS, |out| elements(out, field, some));
        }
        Action::ClearElements { field } => {
            put_message(out, field_no::CLEAR_ELEMENTS, |out| text(out, 1, field));
        }
        Action::Link { field, target } => put_message(out, field_no::LINK, |out| {
            text(out, 1, field);
            text(out, 2, target);
        }),
        Action::Unlink { field, target } => put_message(out, field_no::UNLINK, |out| {
            text(out, 1, field);
            if let Some(target) = target {
                put_bytes(out, 2, target.as_bytes());
            }
        }),
    }
}

/// A map: its entries by the bytes of their keys.
fn initial_values(out: &mut Vec<u8>, fields: &[(super::ids::FieldId, Value)]) {
    let mut entry = |field: &str, initial: &Value| {
        put_message(out, 1, |out| {
            text(out, 1, field);
            put_message(out, 2, |out| value(out, initial));
        });
    };
    if fields.is_sorted_by(|(a, _), (b, _)| a <= b) {
        fields.iter().for_each(|(field, initial)| entry(field, initial));
        return;
    }
    let mut sorted: Vec<&(super::ids::FieldId, Value)> = fields.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    sorted.into_iter().for_each(|(field, initial)| entry(field, initial));
}

fn hunk(out: &mut Vec<u8>, hunk: &Hunk) {
    let Hunk { pos, del, ins } = hunk;
    uint(out, 1, u64::from(*pos));
    uint(out, 2, u64::from(*del));
    text(out, 3, ins);
}

fn elements(out: &mut Vec<u8>, field: &str, elements: &[Value]) {
    text(out, 1, field);
    elements.iter().for_each(|element| put_message(out, 2, |out| value(out, element)));
}

/// Appends a value. Its kind is written even if its content is the default.
pub(super) fn value(out: &mut Vec<u8>, of: &Value) {
    match of {
        Value::Null => put_message(out, value_field::NULL, |_| {}),
        Value::Bool(truth) => put_uint(out, value_field::BOOL, u64::from(*truth)),
        Value::Int(number) => put_sint(out, value_field::INT, *number),
        Value::DoubleBits(bits) => put_fixed64(out, value_field::DOUBLE, *bits),
        Value::String(text) => put_bytes(out, value_field::STRING, text.as_bytes()),
        Value::Bytes(bytes) => put_bytes(out, value_field::BYTES, bytes),
        Value::List(values) => put_message(out, value_field::LIST, |out| {
            values.iter().for_each(|each| put_message(out, 1, |out| value(out, each)));
        }),
        Value::Map(entries) => put_message(out, value_field::MAP, |out| {
            for (name, content) in entries {
                put_message(out, 1, |out| {
                    text(out, 1, name);
                    put_message(out, 2, |out| value(out, content));
                });
            }
        }),
        Value::Timestamp { seconds, nanos } => put_message(out, value_field::TIMESTAMP, |out| {
            int(out, 1, *seconds);
            int(out, 2, i64::from(*nanos));
        }),
    }
}

/// A `google.protobuf.Timestamp`.
fn time(out: &mut Vec<u8>, at_ms: i64) {
    const NANOS_PER_MS: i64 = 1_000_000;
    int(out, 1, at_ms.div_euclid(1_000));
    int(out, 2, at_ms.rem_euclid(1_000) * NANOS_PER_MS);
}

fn conflict_id(out: &mut Vec<u8>, field: u32, conflict: &ConflictId) {
    text(out, field, &conflict.to_string());
}

fn text(out: &mut Vec<u8>, field: u32, text: &str) {
    if !text.is_empty() {
        put_bytes(out, field, text.as_bytes());
    }
}

fn uint(out: &mut Vec<u8>, field: u32, number: u64) {
    if number != 0 {
        put_uint(out, field, number);
    }
}

fn sint(out: &mut Vec<u8>, field: u32, number: i64) {
    if number != 0 {
        put_sint(out, field, number);
    }
}

/// A signed number as `int32` and `int64` are: a negative one takes ten bytes.
fn int(out: &mut Vec<u8>, field: u32, number: i64) {
    if number != 0 {
        put_tag(out, field, Layout::Varint);
        put_varint(out, number.cast_unsigned());
    }
}

#[cfg(test)]
mod tests;
