//! A field of a record: rewritten by every write of it. One message has the values of all field kinds side by side, so
//! that what a newer version adds is kept in one place.

use super::message::{Code, Fault, Kind, Message, Nested, Reader, Sint, Text, Uint, message};
use syncline_core::causality::Seq;
use syncline_core::schema::FieldKind;
use syncline_core::state::{CounterHead, FieldRow, FieldValue, RegionPlace, RegisterHead};
use syncline_core::unknown::Unknown;

/// Numbers of the fields.
mod number {
    /// The field kind, which says which of the following make up the value.
    pub const KIND: u32 = 1;
    pub const LAST_SEQ: u32 = 2;
    /// Of registers and to-one links.
    pub const HEADS: u32 = 3;
    pub const TEXT: u32 = 4;
    pub const COUNTER_HEADS: u32 = 5;
    /// Of sets and to-many links.
    pub const COUNT: u32 = 6;
    /// Of texts.
    pub const REGIONS: u32 = 7;
}

impl Message for FieldRow {
    const NAME: &'static str = "FieldRow";

    fn put(&self, out: &mut Vec<u8>) {
        let FieldRow { value, last_seq, regions, unknown } = self;
        Code::put(&value.kind(), number::KIND, out);
        Uint::put(last_seq, number::LAST_SEQ, out);
        match value {
            FieldValue::Register(heads) | FieldValue::ToOne(heads) => {
                heads.iter().for_each(|head| Nested::put(head, number::HEADS, out));
            }
            FieldValue::Text(text) if text.is_empty() => {}
            FieldValue::Text(text) => Text::put(text, number::TEXT, out),
            FieldValue::Counter(heads) => {
                heads.iter().for_each(|head| Nested::put(head, number::COUNTER_HEADS, out));
            }
            FieldValue::Set { count: 0 } | FieldValue::ToMany { count: 0 } => {}
            FieldValue::Set { count } | FieldValue::ToMany { count } => Uint::put(count, number::COUNT, out),
        }
        regions.iter().for_each(|place| Nested::put(place, number::REGIONS, out));
        out.extend_from_slice(unknown.fields());
    }

    fn get(mut reader: Reader<'_>) -> Result<Self, Fault> {
        let (mut kind, mut last_seq, mut text, mut count) = (None, 0, String::new(), 0);
        let (mut heads, mut counter_heads, mut regions) = (Vec::new(), Vec::new(), Vec::new());
        let mut unknown = Vec::new();
        while let Some((field, raw, all)) = reader.next()? {
            match field {
                number::KIND => kind = Some(Code::get(raw)?),
                number::LAST_SEQ => last_seq = Uint::get(raw)?,
                number::HEADS => heads.push(Nested::get(raw)?),
                number::TEXT => text = Text::get(raw)?,
                number::COUNTER_HEADS => counter_heads.push(Nested::get(raw)?),
                number::COUNT => count = Uint::get(raw)?,
                number::REGIONS => regions.push(Nested::get(raw)?),
                _ => unknown.extend_from_slice(all),
            }
        }
        let value = match kind {
            Some(FieldKind::Register) => FieldValue::Register(heads),
            Some(FieldKind::Text) => FieldValue::Text(text),
            Some(FieldKind::Counter) => FieldValue::Counter(counter_heads),
            Some(FieldKind::Set) => FieldValue::Set { count },
            Some(FieldKind::ToOne) => FieldValue::ToOne(heads),
            Some(FieldKind::ToMany) => FieldValue::ToMany { count },
            None => return Err(Fault::Missing { message: Self::NAME, field: number::KIND }),
        };
        Ok(FieldRow { value, last_seq: Seq(last_seq), regions, unknown: Unknown::new(&unknown) })
    }
}

message! { RegisterHead, keeps unknown {
    1 stamp: need Nested,
    2 rank: one Uint,
    3 value: need Nested,
} }

message! { CounterHead, keeps unknown {
    1 stamp: need Nested,
    2 rank: one Uint,
    3 value: one Sint,
    4 increments: one Sint,
} }

message! { RegionPlace, closed {
    1 conflict: need Nested,
    2 range: need Nested,
} }
