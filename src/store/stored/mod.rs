//! What a store keeps: rows, changes and connections as messages with numbered fields.
//!
//! These declarations are the format. The program's own types can change as they like; what is written here is what
//! databases hold, and `golden.txt` has the bytes of one message of each kind. A field that is added gets the next free
//! number of its message. It must be absent in everything that was written before, and a server that does not know it
//! keeps it where it rewrites the row (see [`message`]).
//!
//! ```text
//! row         format (1 byte) ‖ kind of row (1 byte) ‖ message
//! change      format (1 byte) ‖ message
//! connection  format (1 byte) ‖ message
//! ```
//!
//! Stored bytes that cannot be decoded give an error, never a panic: disks do fail.

mod causality;
mod change;
mod conflict;
mod connection;
mod element;
mod field;
mod held;
mod message;
mod operation;
mod record;
mod refusal;
mod rejection;
mod replica;
mod request;
mod schema;
mod scope;
#[cfg(test)]
mod tests;
mod value;

use super::{ConnectionContent, StoreError};
use message::{Blob, Fault, Kind, Message, Reader, message};
use syncline_core::change::Change;
use syncline_core::hash::Secret;
use syncline_core::ids::ReplicaId;
use syncline_core::state::Row;

/// Number of the current format. Format 1 was never released; the next format will be read in addition to this one.
pub const FORMAT: u8 = 2;

/// Numbers of the kinds of rows, as they are stored: a new kind takes the next free number, and no number is ever used
/// again.
mod kind {
    pub const SCHEMA: u8 = 1;
    pub const REPLICA: u8 = 2;
    pub const REPLICA_NUMBER: u8 = 3;
    pub const RECORD: u8 = 4;
    pub const FIELD: u8 = 5;
    pub const ELEMENT: u8 = 6;
    pub const UNIT: u8 = 7;
    pub const CONFLICT: u8 = 8;
    pub const SCOPE: u8 = 9;
    pub const REJECTION: u8 = 10;
    pub const HELD: u8 = 11;
    pub const HOLD_USAGE: u8 = 12;
    pub const REQUEST: u8 = 13;
    pub const SECRET: u8 = 14;
}

/// A row as bytes.
pub fn encode_row(row: &Row) -> Vec<u8> {
    match row {
        Row::Schema(schema) => encode(&[kind::SCHEMA], schema),
        Row::Replica(replica) => encode(&[kind::REPLICA], replica),
        Row::ReplicaNumber(replica) => encode(&[kind::REPLICA_NUMBER], &ReplicaNumber { replica: *replica }),
        Row::Record(record) => encode(&[kind::RECORD], record),
        Row::Field(field) => encode(&[kind::FIELD], field),
        Row::Element(element) => encode(&[kind::ELEMENT], element),
        Row::Unit => encode(&[kind::UNIT], &Unit {}),
        Row::Conflict(conflict) => encode(&[kind::CONFLICT], &**conflict),
        Row::Scope(scope) => encode(&[kind::SCOPE], scope),
        Row::Rejection(rejection) => encode(&[kind::REJECTION], rejection),
        Row::Held(held) => encode(&[kind::HELD], &**held),
        Row::HoldUsage(usage) => encode(&[kind::HOLD_USAGE], usage),
        Row::Request(request) => encode(&[kind::REQUEST], request),
        Row::Secret(secret) => encode(&[kind::SECRET], &SecretBytes { secret: *secret.bytes() }),
    }
}

/// A row from its bytes.
pub fn decode_row(bytes: &[u8]) -> Result<Row, StoreError> {
    let content = content("row", bytes)?;
    let Some((kind, content)) = content.split_first() else {
        return Err(unreadable("row", bytes, "it has no kind"));
    };
    let reader = Reader::new(content);
    let row = match *kind {
        kind::SCHEMA => Message::get(reader).map(Row::Schema),
        kind::REPLICA => Message::get(reader).map(Row::Replica),
        kind::REPLICA_NUMBER => ReplicaNumber::get(reader).map(|number| Row::ReplicaNumber(number.replica)),
        kind::RECORD => Message::get(reader).map(Row::Record),
        kind::FIELD => Message::get(reader).map(Row::Field),
        kind::ELEMENT => Message::get(reader).map(Row::Element),
        kind::UNIT => Unit::get(reader).map(|Unit {}| Row::Unit),
        kind::CONFLICT => Message::get(reader).map(|conflict| Row::Conflict(Box::new(conflict))),
        kind::SCOPE => Message::get(reader).map(Row::Scope),
        kind::REJECTION => Message::get(reader).map(Row::Rejection),
        kind::HELD => Message::get(reader).map(|held| Row::Held(Box::new(held))),
        kind::HOLD_USAGE => Message::get(reader).map(Row::HoldUsage),
        kind::REQUEST => Message::get(reader).map(Row::Request),
        kind::SECRET => SecretBytes::get(reader).map(|bytes| Row::Secret(Secret::new(bytes.secret))),
        code => Err(Fault::UnknownCode { of: "kind of row", code: u64::from(code) }),
    };
    row.map_err(|fault| unreadable("row", bytes, &fault.to_string()))
}

/// A change as bytes.
pub fn encode_change(change: &Change) -> Vec<u8> {
    encode(&[], change)
}

/// A change from its bytes.
pub fn decode_change(bytes: &[u8]) -> Result<Change, StoreError> {
    decode("change", bytes)
}

/// What servers tell each other about a connection, as bytes.
pub fn encode_connection(content: &ConnectionContent) -> Vec<u8> {
    encode(&[], content)
}

/// What servers tell each other about a connection, from its bytes.
pub fn decode_connection(bytes: &[u8]) -> Result<ConnectionContent, StoreError> {
    decode("connection", bytes)
}

/// Refuses a database whose first row is of another format, before anything of it is read or written.
pub(super) fn check_format(first_row: Option<&[u8]>) -> Result<(), StoreError> {
    match first_row.and_then(|bytes| bytes.first()) {
        None | Some(&FORMAT) => Ok(()),
        Some(format) => {
            Err(StoreError::Unusable(format!("the database cannot be used: {}", foreign_format(*format))))
        }
    }
}

/// Why content of another format cannot be read, with what to do about it.
fn foreign_format(format: u8) -> String {
    let remedy = if format < FORMAT {
        "an unreleased version of the server wrote it; start with an empty database"
    } else {
        "a newer version of the server wrote it; update this server"
    };
    format!("its format is {format}, this server knows {FORMAT}: {remedy}")
}

fn encode<M: Message>(kind: &[u8], message: &M) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.push(FORMAT);
    out.extend_from_slice(kind);
    message.put(&mut out);
    out
}

fn decode<M: Message>(what: &str, bytes: &[u8]) -> Result<M, StoreError> {
    M::get(Reader::new(content(what, bytes)?)).map_err(|fault| unreadable(what, bytes, &fault.to_string()))
}

fn content<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a [u8], StoreError> {
    match bytes.split_first() {
        Some((&FORMAT, content)) => Ok(content),
        Some((format, _)) => Err(unreadable(what, bytes, &foreign_format(*format))),
        None => Err(unreadable(what, bytes, "it is empty")),
    }
}

fn unreadable(what: &str, bytes: &[u8], why: &str) -> StoreError {
    StoreError::Inconsistent(format!("a stored {what} of {} bytes cannot be read: {why}", bytes.len()))
}

/// A replica's id by its number, which is in the key. Never rewritten.
struct ReplicaNumber {
    replica: ReplicaId,
}

message! { ReplicaNumber, skips {
    1 replica: need Blob,
} }

/// A workspace's secret. Never rewritten.
struct SecretBytes {
    secret: [u8; 32],
}

message! { SecretBytes, skips {
    1 secret: need Blob,
} }

/// A row whose key says it all: members, backlinks, waiters, wakes, reminders. Never rewritten.
struct Unit {}

impl Message for Unit {
    const NAME: &'static str = "Unit";

    fn put(&self, _: &mut Vec<u8>) {}

    fn get(mut reader: Reader<'_>) -> Result<Self, Fault> {
        while reader.next()?.is_some() {}
        Ok(Unit {})
    }
}
