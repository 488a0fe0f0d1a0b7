//! Keys as bytes: the same for every store. Rows and changes are in [`super::stored`].
//!
//! Keys keep their order: within a kind, comparing two encodings byte by byte gives what comparing the keys
//! gives, and every [`Prefix`] is one contiguous range. A key is
//!
//! ```text
//! space (1 byte, one per kind of key) ‖ parts
//! text    its UTF-8 bytes ‖ 00      identifiers never contain NUL, so the shorter of two sorts first
//! number  big-endian; i64 with its sign bit flipped
//! UUIDs and hashes  their 16 bytes
//! choices 1 byte in the order of the variants ‖ parts
//! ```
//!
//! Stored bytes that cannot be decoded give an error, never a panic: disks do fail.

use syncline_core::causality::{Counter, ReplicaNo, Seq};
use uuid::Uuid;

pub use super::stored::{
    decode_change, decode_connection, decode_row, encode_change, encode_connection, encode_row,
};
use super::{Order, StoreError};
use syncline_core::conflict::{Scope, ScopePart};
use syncline_core::hash::Hash;
use syncline_core::ids::{ConflictId, Dot, ReplicaId};
use syncline_core::operation::WaitOn;
use syncline_core::state::{Key, Prefix};

#[cfg(test)]
mod tests;

/// First bytes of keys, as they are stored: a new kind takes the next free number, wherever it stands in [`Key`], and
/// no number is ever used again.
mod space {
    pub const SCHEMA: u8 = 1;
    pub const REPLICA: u8 = 2;
    pub const REPLICA_NUMBER: u8 = 3;
    pub const RECORD: u8 = 4;
    pub const MEMBER: u8 = 5;
    pub const FIELD: u8 = 6;
    pub const ELEMENT: u8 = 7;
    pub const BACKLINK: u8 = 8;
    pub const CONFLICT: u8 = 9;
    pub const SCOPE: u8 = 10;
    pub const REMINDER: u8 = 11;
    pub const REJECTION: u8 = 12;
    pub const HELD: u8 = 13;
    pub const WAITER: u8 = 14;
    pub const HOLD_USAGE: u8 = 15;
    pub const WAKE: u8 = 16;
    pub const REQUEST: u8 = 17;
    pub const SECRET: u8 = 18;
}

/// A key as bytes. Fails only for a text that contains NUL, which no valid identifier does.
pub fn encode_key(key: &Key) -> Result<Vec<u8>, StoreError> {
    let out = match key {
        Key::Schema => KeyWriter::new(space::SCHEMA),
        Key::Replica(id) => KeyWriter::new(space::REPLICA).replica(*id),
        Key::ReplicaNumber(no) => KeyWriter::new(space::REPLICA_NUMBER).raw(&no.0.to_be_bytes()),
        Key::Record(record) => KeyWriter::new(space::RECORD).text(record)?,
        Key::Member(collection, record) => KeyWriter::new(space::MEMBER).text(collection)?.text(record)?,
        Key::Field(record, field) => KeyWriter::new(space::FIELD).text(record)?.text(field)?,
        Key::Element(record, field, hash) => {
            KeyWriter::new(space::ELEMENT).text(record)?.text(field)?.raw(hash)
        }
        Key::Backlink(target, source, field) => {
            KeyWriter::new(space::BACKLINK).text(target)?.text(source)?.text(field)?
        }
        Key::Conflict(id) => KeyWriter::new(space::CONFLICT).conflict(id),
        Key::Scope(scope) => {
            let out = KeyWriter::new(space::SCOPE).text(&scope.record)?;
            match &scope.part {
                ScopePart::Record => out.raw(&[0]),
                ScopePart::Field(field) => out.raw(&[1]).text(field)?,
                ScopePart::Link(field, target) => out.raw(&[2]).text(field)?.text(target)?,
                ScopePart::Region(field, conflict) => out.raw(&[3]).text(field)?.conflict(conflict),
            }
        }
        Key::Reminder(at_ms, conflict) => KeyWriter::new(space::REMINDER).signed(*at_ms).conflict(conflict),
        Key::Rejection(replica, counter) => {
            KeyWriter::new(space::REJECTION).raw(&replica.0.to_be_bytes()).raw(&counter.0.to_be_bytes())
        }
        Key::Held(dot) => KeyWriter::new(space::HELD).dot(dot),
        Key::Waiter(on, dot) => KeyWriter::new(space::WAITER).wait_on(on)?.dot(dot),
        Key::HoldUsage(replica) => {
            let out = KeyWriter::new(space::HOLD_USAGE);
            match replica {
                None => out.raw(&[0]),
                Some(id) => out.raw(&[1]).replica(*id),
            }
        }
        Key::Wake(on) => KeyWriter::new(space::WAKE).wait_on(on)?,
        Key::Request(id) => KeyWriter::new(space::REQUEST).text(id)?,
        Key::Secret => KeyWriter::new(space::SECRET),
    };
    Ok(out.0)
}

/// A key from its bytes.
pub fn decode_key(bytes: &[u8]) -> Result<Key, StoreError> {
    KeyReader(bytes).key().ok_or_else(|| {
        let shown: String = bytes.iter().take(64).map(|b| format!("{b:02x}")).collect();
        StoreError::Inconsistent(format!("a key of {} bytes is not one: {shown}", bytes.len()))
    })
}

/// The encoded bounds of a page of a range, the second one exclusive: the keys that follow `after` in this order, if
/// given.
pub fn page_range(
    prefix: &Prefix,
    after: Option<&Key>,
    order: Order,
) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let (mut start, mut end) = prefix_range(prefix)?;
    match (after.map(encode_key).transpose()?, order) {
        (Some(after), Order::Ascending) => start = start.max(successor(after)),
        (Some(after), Order::Descending) => end = end.min(after),
        (None, _) => {}
    }
    Ok((start, end))
}

/// The encodings of a range's keys are exactly those of existing keys in `[start, end)`.
pub fn prefix_range(prefix: &Prefix) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let between = |space: u8, first: &str, last: &str| {
        let start = KeyWriter::new(space).text(first)?.0;
        Ok((start, after_prefix(&KeyWriter::new(space).text(last)?.0)))
    };
    let out = match prefix {
        Prefix::FieldsBetween(first, last) => return between(space::FIELD, first, last),
        Prefix::ElementsBetween(first, last) => return between(space::ELEMENT, first, last),
        Prefix::ScopesBetween(first, last) => return between(space::SCOPE, first, last),
        Prefix::Records => KeyWriter::new(space::RECORD),
        Prefix::MembersOf(collection) => KeyWriter::new(space::MEMBER).text(collection)?,
        Prefix::FieldsOf(record) => KeyWriter::new(space::FIELD).text(record)?,
        Prefix::ElementsOf(record, field) => KeyWriter::new(space::ELEMENT).text(record)?.text(field)?,
        Prefix::BacklinksOf(target) => KeyWriter::new(space::BACKLINK).text(target)?,
        Prefix::ScopesOf(record) => KeyWriter::new(space::SCOPE).text(record)?,
        Prefix::WaitersOn(on) => KeyWriter::new(space::WAITER).wait_on(on)?,
        Prefix::Waiters => KeyWriter::new(space::WAITER),
        Prefix::Wakes => KeyWriter::new(space::WAKE),
        Prefix::Replicas => KeyWriter::new(space::REPLICA),
        Prefix::Conflicts => KeyWriter::new(space::CONFLICT),
        Prefix::Scopes => KeyWriter::new(space::SCOPE),
        Prefix::Reminders => KeyWriter::new(space::REMINDER),
        Prefix::HeldOperations => KeyWriter::new(space::HELD),
        Prefix::Requests => KeyWriter::new(space::REQUEST),
    };
    let end = after_prefix(&out.0);
    Ok((out.0, end))
}

/// The smallest byte string greater than every one that starts with `prefix`.
fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    // The space is the first byte and below FF, so there is always a byte that can be increased.
    let kept = prefix.iter().rposition(|b| *b != u8::MAX).map_or(0, |last| last + 1);
    let mut end = prefix[..kept].to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// The smallest byte string greater than `key`: where a page after it starts.
pub(super) fn successor(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

/// Builds a key.
struct KeyWriter(Vec<u8>);

impl KeyWriter {
    fn new(space: u8) -> KeyWriter {
        let mut out = Vec::with_capacity(64);
        out.push(space);
        KeyWriter(out)
    }

    fn raw(mut self, bytes: &[u8]) -> KeyWriter {
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, text: &str) -> Result<KeyWriter, StoreError> {
        if text.as_bytes().contains(&0) {
            return Err(StoreError::Inconsistent(format!("an identifier contains NUL: {text:?}")));
        }
        Ok(self.raw(text.as_bytes()).raw(&[0]))
    }

    fn signed(self, number: i64) -> KeyWriter {
        self.raw(&(number.cast_unsigned() ^ (1 << 63)).to_be_bytes())
    }

    fn replica(self, id: ReplicaId) -> KeyWriter {
        self.raw(id.0.as_bytes())
    }

    fn dot(self, dot: &Dot) -> KeyWriter {
        self.replica(dot.replica).raw(&dot.counter.0.to_be_bytes())
    }

    fn conflict(self, id: &ConflictId) -> KeyWriter {
        self.raw(&id.opened_seq.0.to_be_bytes()).raw(&id.index.to_be_bytes())
    }

    fn wait_on(self, on: &WaitOn) -> Result<KeyWriter, StoreError> {
        match on {
            WaitOn::Operation(dot) => Ok(self.raw(&[0]).dot(dot)),
            WaitOn::Record(record) => self.raw(&[1]).text(record),
        }
    }
}

/// Takes a key apart; `None` as soon as something does not fit.
struct KeyReader<'a>(&'a [u8]);

impl KeyReader<'_> {
    fn key(mut self) -> Option<Key> {
        let [space] = self.raw()?;
        let key = match space {
            space::SCHEMA => Key::Schema,
            space::REPLICA => Key::Replica(self.replica()?),
            space::REPLICA_NUMBER => Key::ReplicaNumber(self.replica_no()?),
            space::RECORD => Key::Record(self.text()?),
            space::MEMBER => Key::Member(self.text()?, self.text()?),
            space::FIELD => Key::Field(self.text()?, self.text()?),
            space::ELEMENT => Key::Element(self.text()?, self.text()?, self.raw::<{ size_of::<Hash>() }>()?),
            space::BACKLINK => Key::Backlink(self.text()?, self.text()?, self.text()?),
            space::CONFLICT => Key::Conflict(self.conflict()?),
            space::SCOPE => Key::Scope(Scope { record: self.text()?, part: self.scope_part()? }),
            space::REMINDER => Key::Reminder(self.signed()?, self.conflict()?),
            space::REJECTION => Key::Rejection(self.replica_no()?, Counter(self.number()?)),
            space::HELD => Key::Held(self.dot()?),
            space::WAITER => Key::Waiter(self.wait_on()?, self.dot()?),
            space::HOLD_USAGE => match self.raw()? {
                [0] => Key::HoldUsage(None),
                [1] => Key::HoldUsage(Some(self.replica()?)),
                _ => return None,
            },
            space::WAKE => Key::Wake(self.wait_on()?),
            space::REQUEST => Key::Request(self.text()?),
            space::SECRET => Key::Secret,
            _ => return None,
        };
        self.0.is_empty().then_some(key)
    }

    fn raw<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (part, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*part)
    }

    fn text<T: for<'t> From<&'t str>>(&mut self) -> Option<T> {
        let length = self.0.iter().position(|b| *b == 0)?;
        let text = std::str::from_utf8(&self.0[..length]).ok()?;
        let text = T::from(text);
        self.0 = &self.0[length + 1..];
        Some(text)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.raw()?))
    }

    fn signed(&mut self) -> Option<i64> {
        Some((self.number()? ^ (1 << 63)).cast_signed())
    }

    fn replica(&mut self) -> Option<ReplicaId> {
        Some(ReplicaId(Uuid::from_bytes(self.raw()?)))
    }

    fn replica_no(&mut self) -> Option<ReplicaNo> {
        Some(ReplicaNo(u32::from_be_bytes(self.raw()?)))
    }

    fn dot(&mut self) -> Option<Dot> {
        Some(Dot { replica: self.replica()?, counter: Counter(self.number()?) })
    }

    fn conflict(&mut self) -> Option<ConflictId> {
        Some(ConflictId { opened_seq: Seq(self.number()?), index: u16::from_be_bytes(self.raw()?) })
    }

    fn scope_part(&mut self) -> Option<ScopePart> {
        match self.raw()? {
            [0] => Some(ScopePart::Record),
            [1] => Some(ScopePart::Field(self.text()?)),
            [2] => Some(ScopePart::Link(self.text()?, self.text()?)),
            [3] => Some(ScopePart::Region(self.text()?, self.conflict()?)),
            _ => None,
        }
    }

    fn wait_on(&mut self) -> Option<WaitOn> {
        match self.raw()? {
            [0] => Some(WaitOn::Operation(self.dot()?)),
            [1] => Some(WaitOn::Record(self.text()?)),
            _ => None,
        }
    }
}
