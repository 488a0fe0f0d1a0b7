//! Finds fields that this version of the protocol does not have.
//!
//! Protobuf drops unknown fields in silence, and with them a precondition on which a newer client may rely. A server
//! that does not know a field refuses the request instead. Looking at every byte twice would cost much for something
//! that hardly ever happens, so a request is looked at only if it is suspicious: if what was decoded would be encoded
//! in another number of bytes than were received. There are legal reasons for that as well (defaults written out,
//! numbers written longer than necessary, a message in two parts); then the bytes are walked along the descriptors.
//!
//! Equal lengths mean that nothing was dropped, because an unknown field takes at least two bytes and no legal encoding
//! is shorter than ours, with one exception: a repeated number that is not packed saves one byte where it stands once.
//! So no request may have two such fields; a test sees to that.

mod shape;
#[cfg(test)]
mod tests;

use std::fmt;

use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use shape::{Content, FieldShape, Shape, Shapes};

/// How much of the key of a map is shown in a path.
const KEY_BYTES_SHOWN_MAX: usize = 64;

/// A message in which unknown fields are refused.
#[derive(Debug, Clone, Copy)]
pub struct Strict {
    /// Its full name.
    pub message: &'static str,
    /// Fields that are looked into elsewhere.
    pub apart: &'static [&'static str],
}

impl Strict {
    /// The first unknown field of a message, given the message as decoded and the bytes it was decoded from.
    pub fn unknown_field<M: Message>(&self, decoded: &M, bytes: &[u8]) -> Option<FieldPath> {
        if decoded.encoded_len() == bytes.len() {
            return None;
        }
        let shapes = Shapes::of_protocol();
        let walk = Walk { shapes, apart: self.apart };
        walk.message(shapes.named(self.message)?, bytes).map(FieldPath::outward)
    }
}

/// Where a field is: `operations[3].context.77`. The last part is the field's number, since its name is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath(Vec<String>);

impl FieldPath {
    fn outward(mut inward: Vec<String>) -> FieldPath {
        inward.reverse();
        FieldPath(inward)
    }

    /// The place in a repeated field of this name that the path begins with.
    pub fn index_in(&self, field: &str) -> Option<u32> {
        let index = self.0.first()?.strip_prefix(field)?.strip_prefix('[')?.strip_suffix(']')?;
        index.parse().ok()
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// The parts of a path, the innermost first.
type Inward = Vec<String>;

/// A walk through bytes that prost has decoded already: whatever is not well-formed here was skipped there, or is not
/// reached.
struct Walk<'s> {
    shapes: &'s Shapes,
    apart: &'s [&'s str],
}

impl Walk<'_> {
    fn message(&self, shape: &Shape, mut bytes: &[u8]) -> Option<Inward> {
        let mut counts: Vec<(u32, usize)> = Vec::new();
        while !bytes.is_empty() {
            let (number, wire_type) = decode_key(&mut bytes).ok()?;
            let Some(field) = shape.field(number) else { return Some(vec![number.to_string()]) };
            let Some(inner) = payload(&mut bytes, number, wire_type)? else { continue };
            let index = count(&mut counts, number);
            if self.apart.contains(&field.name.as_str()) {
                continue;
            }
            if let Some(found) = self.field(field, index, inner) {
                return Some(found);
            }
        }
        None
    }

    fn field(&self, field: &FieldShape, index: usize, bytes: &[u8]) -> Option<Inward> {
        match field.content {
            Content::Plain => None,
            Content::Map(entry) => self.entry(field, self.shapes.at(entry)?, bytes),
            Content::Message(shape) => {
                let mut found = self.message(self.shapes.at(shape)?, bytes)?;
                let name = &field.name;
                found.push(if field.repeated { format!("{name}[{index}]") } else { name.clone() });
                Some(found)
            }
        }
    }

    /// An entry of a map: a message with a key and a value.
    fn entry(&self, map: &FieldShape, entry: &Shape, bytes: &[u8]) -> Option<Inward> {
        let mut found = self.message(entry, bytes)?;
        // The entry itself has no name in a path: what is in its value is named as part of the map.
        if found.last().is_some_and(|part| part == "value") {
            found.pop();
        }
        found.push(format!("{}[{}]", map.name, key_of(bytes)));
        Some(found)
    }
}

/// What a length-delimited field holds; nothing for other fields, which are passed over. `None` at malformed bytes.
fn payload<'b>(bytes: &mut &'b [u8], number: u32, wire_type: WireType) -> Option<Option<&'b [u8]>> {
    if wire_type != WireType::LengthDelimited {
        skip_field(wire_type, number, bytes, DecodeContext::default()).ok()?;
        return Some(None);
    }
    let length = usize::try_from(decode_varint(bytes).ok()?).ok()?;
    let (inner, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(Some(inner))
}

/// How often a field was met before.
fn count(counts: &mut Vec<(u32, usize)>, number: u32) -> usize {
    match counts.iter_mut().find(|(met, _)| *met == number) {
        Some((_, times)) => {
            *times += 1;
            *times
        }
        None => {
            counts.push((number, 0));
            0
        }
    }
}

/// The key of a map's entry, as far as it is a text: the maps of this protocol have no other keys.
fn key_of(mut entry: &[u8]) -> String {
    let mut key = String::new();
    while let Ok((number, wire_type)) = decode_key(&mut entry) {
        match payload(&mut entry, number, wire_type) {
            Some(Some(text)) if number == 1 => key = String::from_utf8_lossy(text).into_owned(),
            Some(_) => {}
            None => break,
        }
    }
    key.truncate(key.floor_char_boundary(KEY_BYTES_SHOWN_MAX));
    key
}
