//! Values, and pairs with them. A kind of value that this version does not know cannot be read.

use std::sync::Arc;

use super::message::{
    Blob, Fault, Fixed, Kind, Message, Nested, Reader, Sint, Text, Uint, get_entry, nested, put_map,
};
use syncline_core::causality::Seq;
use syncline_core::ids::FieldId;
use syncline_core::value::Value;
use syncline_core::wire::put_message;

/// Numbers of the kinds, as in the protocol. 10 to 12 are reserved for decimals and for references to blobs and
/// records.
mod number {
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

impl Message for Value {
    const NAME: &'static str = "Value";

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => put_message(out, number::NULL, |_| {}),
            Value::Bool(truth) => Uint::put(truth, number::BOOL, out),
            Value::Int(value) => Sint::put(value, number::INT, out),
            Value::DoubleBits(bits) => Fixed::put(bits, number::DOUBLE, out),
            Value::String(text) => Text::put(text, number::STRING, out),
            Value::Bytes(bytes) => Blob::put(bytes, number::BYTES, out),
            Value::List(values) => put_message(out, number::LIST, |out| {
                values.iter().for_each(|value| Nested::put(value, 1, out));
            }),
            Value::Map(entries) => put_message(out, number::MAP, |out| {
                put_map::<_, _, Text, Nested>(entries, 1, out);
            }),
            Value::Timestamp { seconds, nanos } => put_message(out, number::TIMESTAMP, |out| {
                Sint::put(seconds, 1, out);
                Uint::put(nanos, 2, out);
            }),
        }
    }

    fn get(mut reader: Reader<'_>) -> Result<Self, Fault> {
        let Some((kind, raw, _)) = reader.next()? else {
            return Err(Fault::Missing { message: Self::NAME, field: 0 });
        };
        let value = match kind {
            number::NULL => match nested(raw)?.next()? {
                None => Value::Null,
                Some((field, _, _)) => return Err(Fault::UnknownField { message: "Null", field }),
            },
            number::BOOL => Value::Bool(Uint::get(raw)?),
            number::INT => Value::Int(Sint::get(raw)?),
            number::DOUBLE => Value::DoubleBits(Fixed::get(raw)?),
            number::STRING => Value::String(Text::get(raw)?),
            number::BYTES => Value::Bytes(Blob::get(raw)?),
            number::LIST => Value::List(list(nested(raw)?)?),
            number::MAP => {
                let mut entries = std::collections::BTreeMap::new();
                let mut reader = nested(raw)?;
                while let Some((field, raw, _)) = reader.next()? {
                    match field {
                        1 => get_entry::<_, _, Text, Nested>(&mut entries, raw)?,
                        field => return Err(Fault::UnknownField { message: "Map", field }),
                    }
                }
                Value::Map(entries)
            }
            number::TIMESTAMP => timestamp(nested(raw)?)?,
            code => return Err(Fault::UnknownCode { of: "kind of value", code: u64::from(code) }),
        };
        match reader.next()? {
            None => Ok(value),
            Some((field, _, _)) => Err(Fault::UnknownField { message: Self::NAME, field }),
        }
    }
}

fn timestamp(mut reader: Reader<'_>) -> Result<Value, Fault> {
    let (mut seconds, mut nanos) = (0, 0_u32);
    while let Some((field, raw, _)) = reader.next()? {
        match field {
            1 => seconds = Sint::get(raw)?,
            2 => nanos = Uint::get(raw)?,
            field => return Err(Fault::UnknownField { message: "Timestamp", field }),
        }
    }
    let nanos = i32::try_from(nanos).map_err(|_| Fault::Range)?;
    Value::timestamp(seconds, nanos).ok_or(Fault::Range)
}

fn list(mut reader: Reader<'_>) -> Result<Vec<Value>, Fault> {
    let mut values = Vec::new();
    while let Some((field, raw, _)) = reader.next()? {
        match field {
            1 => values.push(Nested::get(raw)?),
            field => return Err(Fault::UnknownField { message: "List", field }),
        }
    }
    Ok(values)
}

/// A pair of two fields, 1 and 2, that are both there.
macro_rules! pair {
    ($first:ty as $first_kind:ident, $second:ty as $second_kind:ident) => {
        impl Message for ($first, $second) {
            const NAME: &'static str = "a pair";

            fn put(&self, out: &mut Vec<u8>) {
                <$first_kind as Kind<$first>>::put(&self.0, 1, out);
                <$second_kind as Kind<$second>>::put(&self.1, 2, out);
            }

            fn get(mut reader: Reader<'_>) -> Result<Self, Fault> {
                let (mut first, mut second) = (None, None);
                while let Some((field, raw, _)) = reader.next()? {
                    match field {
                        1 => first = Some(<$first_kind as Kind<$first>>::get(raw)?),
                        2 => second = Some(<$second_kind as Kind<$second>>::get(raw)?),
                        field => return Err(Fault::UnknownField { message: Self::NAME, field }),
                    }
                }
                let missing = |field| Fault::Missing { message: Self::NAME, field };
                Ok((first.ok_or(missing(1))?, second.ok_or(missing(2))?))
            }
        }
    };
}

// A field with its value: initial values of a record, a record as it was when a conflict opened.
pair!(Arc<str> as Text, Value as Nested);
pair!(FieldId as Text, Value as Nested);
// Two positions that clash.
pair!(Seq as Uint, Seq as Uint);

/// A conflict that a resolution did not close, with the positions that it had not seen.
impl Message for (syncline_core::ids::ConflictId, Vec<Seq>) {
    const NAME: &'static str = "Remaining";

    fn put(&self, out: &mut Vec<u8>) {
        Nested::put(&self.0, 1, out);
        self.1.iter().for_each(|seq| Uint::put(seq, 2, out));
    }

    fn get(mut reader: Reader<'_>) -> Result<Self, Fault> {
        let (mut conflict, mut unseen) = (None, Vec::new());
        while let Some((field, raw, _)) = reader.next()? {
            match field {
                1 => conflict = Some(Nested::get(raw)?),
                2 => unseen.push(Uint::get(raw)?),
                field => return Err(Fault::UnknownField { message: Self::NAME, field }),
            }
        }
        Ok((conflict.ok_or(Fault::Missing { message: Self::NAME, field: 1 })?, unseen))
    }
}
