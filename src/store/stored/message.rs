//! How messages are declared, written and read.
//!
//! A message is a protobuf message: fields by number, in ascending order, each with its layout. A field without a
//! value takes no bytes. A declaration names the field of the program's type, its number, its presence and its kind:
//!
//! ```text
//! message! { HoldUsage, keeps unknown { 1 count: one Uint, 2 bytes: one Uint } }
//! ```
//!
//! | presence | written | when it is absent |
//! |---|---|---|
//! | `one` | unless it is 0, false or empty | 0, false or empty |
//! | `need` | always | the message cannot be read |
//! | `opt` | where there is one | none |
//! | `rep` | once for each | none |
//! | `map` | once for each entry, as a message of key (1) and value (2) | none |
//!
//! A number is never used for something else. The number of a dropped field is listed in a comment of its message.
//!
//! What becomes of fields that this version does not know is said by every message:
//!
//! * `keeps` a field of the program's type that holds them: for messages that are rewritten.
//! * `closed`: it cannot be read, since nobody would keep them, or ignoring them would mean something else.
//! * `skips`: they are left out. Only for what is written once and never again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use syncline_core::causality::{Counter, ReplicaNo, Seq};
use syncline_core::ids::{CollectionId, Epoch, FieldId, RecordId, ReplicaId};
use syncline_core::wire::{put_bytes, put_fixed64, put_message, put_sint, put_uint, unzigzag};

/// Maximum depth of nested messages: more than is ever written.
const DEPTH_MAX: u8 = 64;

/// Why bytes are not the message they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The bytes end within a field.
    Cut,
    /// A tag or a length that no field has.
    Malformed,
    /// The field has another layout than its kind.
    Layout,
    /// A number that its field cannot hold.
    Range,
    /// A text that is not UTF-8, or bytes of a wrong length.
    Content,
    /// Messages are nested deeper than the limit.
    TooDeep,
    /// A field that every such message has is absent.
    Missing { message: &'static str, field: u32 },
    /// A field of a newer version, in a message that cannot carry it.
    UnknownField { message: &'static str, field: u32 },
    /// A choice or a code of a newer version.
    UnknownCode { of: &'static str, code: u64 },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let newer = "a newer version of the server wrote it; update this server";
        match self {
            Fault::Cut => f.write_str("it ends within a field"),
            Fault::Malformed => f.write_str("it is not made of fields"),
            Fault::Layout => f.write_str("a field has the layout of another kind"),
            Fault::Range => f.write_str("a number is out of the range of its field"),
            Fault::Content => f.write_str("the content of a field is not of its kind"),
            Fault::TooDeep => write!(f, "it nests more than {DEPTH_MAX} messages"),
            Fault::Missing { message, field } => write!(f, "field {field} of {message} is missing"),
            Fault::UnknownField { message, field } => {
                write!(f, "field {field} of {message} is unknown: {newer}")
            }
            Fault::UnknownCode { of, code } => write!(f, "{code} is no {of} that this server knows: {newer}"),
        }
    }
}

/// The content of a field as it was found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Raw<'a> {
    Varint(u64),
    Fixed64(u64),
    /// The bytes, with the depth that a message in them would have.
    Bytes(&'a [u8], u8),
    Fixed32,
}

/// A field: its number, its content, and all its bytes.
type FoundField<'a> = (u32, Raw<'a>, &'a [u8]);

/// Reads fields one after the other.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    depth: u8,
}

impl<'a> Reader<'a> {
    /// Reads a message that is not nested in another.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes, depth: 0 }
    }

    /// The next field.
    #[inline]
    pub fn next(&mut self) -> Result<Option<FoundField<'a>>, Fault> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let start = self.rest;
        let tag = self.varint()?;
        let field = u32::try_from(tag >> 3).map_err(|_| Fault::Malformed)?;
        if field == 0 {
            return Err(Fault::Malformed);
        }
        let raw = match tag & 7 {
            0 => Raw::Varint(self.varint()?),
            1 => Raw::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Fault::Cut)?;
                let (content, rest) = self.rest.split_at_checked(length).ok_or(Fault::Cut)?;
                self.rest = rest;
                Raw::Bytes(content, self.depth + 1)
            }
            5 => {
                self.array::<4>()?;
                Raw::Fixed32
            }
            _ => return Err(Fault::Malformed),
        };
        let length = start.len() - self.rest.len();
        Ok(Some((field, raw, start.get(..length).unwrap_or_default())))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Fault> {
        // Most tags, lengths and numbers are of one byte.
        match self.rest.split_first() {
            Some((byte, rest)) if byte & 0x80 == 0 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Fault> {
        let mut number = 0;
        for (at, byte) in self.rest.iter().enumerate().take(10) {
            if at == 9 && *byte > 1 {
                return Err(Fault::Malformed);
            }
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(at + 1..).unwrap_or_default();
                return Ok(number);
            }
        }
        Err(if self.rest.len() < 10 { Fault::Cut } else { Fault::Malformed })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (part, rest) = self.rest.split_first_chunk().ok_or(Fault::Cut)?;
        self.rest = rest;
        Ok(*part)
    }
}

/// A type that is stored as a message.
pub(super) trait Message: Sized {
    /// The name in errors about a message that cannot be read.
    const NAME: &'static str;
    /// Appends its fields.
    fn put(&self, out: &mut Vec<u8>);
    /// Takes its fields.
    fn get(reader: Reader<'_>) -> Result<Self, Fault>;
}

/// A kind of field, for a type of the program.
pub(super) trait Kind<T> {
    /// Whether the value is what stands for an absent field.
    fn is_absent(value: &T) -> bool;
    /// Appends the field, whatever its value.
    fn put(value: &T, field: u32, out: &mut Vec<u8>);
    /// The value of a field.
    fn get(raw: Raw<'_>) -> Result<T, Fault>;
}

/// An unsigned number or a boolean.
pub(super) struct Uint;
/// A signed number.
pub(super) struct Sint;
/// A number whose bits are random or nearly so.
pub(super) struct Fixed;
/// A text in UTF-8.
pub(super) struct Text;
/// Bytes; for hashes and UUIDs, their 16 bytes.
pub(super) struct Blob;
/// A nested message.
pub(super) struct Nested;
/// One of the numbers of a `codes!`.
pub(super) struct Code;

macro_rules! uint_kind {
    ($($type:ty),*) => {$(
        impl Kind<$type> for Uint {
            fn is_absent(value: &$type) -> bool {
                *value == 0
            }
            fn put(value: &$type, field: u32, out: &mut Vec<u8>) {
                put_uint(out, field, u64::from(*value));
            }
            fn get(raw: Raw<'_>) -> Result<$type, Fault> {
                <$type>::try_from(varint(raw)?).map_err(|_| Fault::Range)
            }
        }
    )*};
}

uint_kind!(u64, u32, u16);

impl Kind<bool> for Uint {
    fn is_absent(value: &bool) -> bool {
        !*value
    }
    fn put(value: &bool, field: u32, out: &mut Vec<u8>) {
        put_uint(out, field, u64::from(*value));
    }
    fn get(raw: Raw<'_>) -> Result<bool, Fault> {
        match varint(raw)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Fault::Range),
        }
    }
}

impl Kind<i64> for Sint {
    fn is_absent(value: &i64) -> bool {
        *value == 0
    }
    fn put(value: &i64, field: u32, out: &mut Vec<u8>) {
        put_sint(out, field, *value);
    }
    fn get(raw: Raw<'_>) -> Result<i64, Fault> {
        varint(raw).map(unzigzag)
    }
}

impl Kind<u64> for Fixed {
    fn is_absent(value: &u64) -> bool {
        *value == 0
    }
    fn put(value: &u64, field: u32, out: &mut Vec<u8>) {
        put_fixed64(out, field, *value);
    }
    fn get(raw: Raw<'_>) -> Result<u64, Fault> {
        match raw {
            Raw::Fixed64(number) => Ok(number),
            _ => Err(Fault::Layout),
        }
    }
}

macro_rules! bytes_kind {
    ($kind:ty, $type:ty, $as_bytes:expr, $from_bytes:expr) => {
        impl Kind<$type> for $kind {
            fn is_absent(value: &$type) -> bool {
                let as_bytes: fn(&$type) -> &[u8] = $as_bytes;
                as_bytes(value).is_empty()
            }
            fn put(value: &$type, field: u32, out: &mut Vec<u8>) {
                let as_bytes: fn(&$type) -> &[u8] = $as_bytes;
                put_bytes(out, field, as_bytes(value));
            }
            fn get(raw: Raw<'_>) -> Result<$type, Fault> {
                let from_bytes: fn(&[u8]) -> Option<$type> = $from_bytes;
                from_bytes(bytes(raw)?).ok_or(Fault::Content)
            }
        }
    };
}

bytes_kind!(Text, Arc<str>, |text| text.as_bytes(), |bytes| std::str::from_utf8(bytes).ok().map(Arc::from));
bytes_kind!(Text, String, |text| text.as_bytes(), |bytes| std::str::from_utf8(bytes).ok().map(str::to_owned));
bytes_kind!(Text, CollectionId, |text| text.as_bytes(), |bytes| std::str::from_utf8(bytes)
    .ok()
    .map(CollectionId::from));
bytes_kind!(Text, RecordId, |text| text.as_bytes(), |bytes| std::str::from_utf8(bytes)
    .ok()
    .map(RecordId::from));
bytes_kind!(Text, FieldId, |text| text.as_bytes(), |bytes| std::str::from_utf8(bytes)
    .ok()
    .map(FieldId::from));
bytes_kind!(Blob, Vec<u8>, |bytes| bytes, |bytes| Some(bytes.to_vec()));
bytes_kind!(Blob, [u8; 16], |bytes| bytes, |bytes| bytes.try_into().ok());
bytes_kind!(Blob, [u8; 32], |bytes| bytes, |bytes| bytes.try_into().ok());
bytes_kind!(Blob, Uuid, |id| id.as_bytes(), |bytes| Uuid::from_slice(bytes).ok());

/// Types that wrap a single value are stored as that value.
macro_rules! wrapped_kind {
    ($kind:ty: $($name:ident),*) => {$(
        impl Kind<$name> for $kind {
            fn is_absent(value: &$name) -> bool {
                <$kind as Kind<_>>::is_absent(&value.0)
            }
            fn put(value: &$name, field: u32, out: &mut Vec<u8>) {
                <$kind as Kind<_>>::put(&value.0, field, out);
            }
            fn get(raw: Raw<'_>) -> Result<$name, Fault> {
                <$kind as Kind<_>>::get(raw).map($name)
            }
        }
    )*};
}

wrapped_kind!(Uint: Seq, ReplicaNo, Counter);
wrapped_kind!(Fixed: Epoch);
wrapped_kind!(Blob: ReplicaId);

impl<T: Message> Kind<T> for Nested {
    fn is_absent(_: &T) -> bool {
        false
    }
    fn put(value: &T, field: u32, out: &mut Vec<u8>) {
        put_message(out, field, |out| value.put(out));
    }
    fn get(raw: Raw<'_>) -> Result<T, Fault> {
        T::get(nested(raw)?)
    }
}

impl<T: Message> Message for Arc<T> {
    const NAME: &'static str = T::NAME;

    fn put(&self, out: &mut Vec<u8>) {
        T::put(self, out);
    }

    fn get(reader: Reader<'_>) -> Result<Arc<T>, Fault> {
        T::get(reader).map(Arc::new)
    }
}

/// A type whose values are numbered.
pub(super) trait Coded: Sized {
    fn code(&self) -> u64;
    fn of_code(code: u64) -> Result<Self, Fault>;
}

impl<T: Coded> Kind<T> for Code {
    fn is_absent(_: &T) -> bool {
        false
    }
    fn put(value: &T, field: u32, out: &mut Vec<u8>) {
        put_uint(out, field, value.code());
    }
    fn get(raw: Raw<'_>) -> Result<T, Fault> {
        T::of_code(varint(raw)?)
    }
}

/// The number in a field.
pub(super) fn varint(raw: Raw<'_>) -> Result<u64, Fault> {
    match raw {
        Raw::Varint(number) => Ok(number),
        _ => Err(Fault::Layout),
    }
}

fn bytes(raw: Raw<'_>) -> Result<&[u8], Fault> {
    match raw {
        Raw::Bytes(content, _) => Ok(content),
        _ => Err(Fault::Layout),
    }
}

/// The message in a field.
pub(super) fn nested(raw: Raw<'_>) -> Result<Reader<'_>, Fault> {
    match raw {
        Raw::Bytes(_, depth) if depth > DEPTH_MAX => Err(Fault::TooDeep),
        Raw::Bytes(content, depth) => Ok(Reader { rest: content, depth }),
        _ => Err(Fault::Layout),
    }
}

/// Appends the entries of a map, in the order of their keys.
pub(super) fn put_map<K: Ord, V, KK: Kind<K>, VK: Kind<V>>(
    map: &BTreeMap<K, V>,
    field: u32,
    out: &mut Vec<u8>,
) {
    for (key, value) in map {
        put_message(out, field, |out| {
            KK::put(key, 1, out);
            VK::put(value, 2, out);
        });
    }
}

/// Takes an entry of a map.
pub(super) fn get_entry<K: Ord, V, KK: Kind<K>, VK: Kind<V>>(
    map: &mut BTreeMap<K, V>,
    raw: Raw<'_>,
) -> Result<(), Fault> {
    let mut reader = nested(raw)?;
    let (mut key, mut value) = (None, None);
    while let Some((field, raw, _)) = reader.next()? {
        match field {
            1 => key = Some(KK::get(raw)?),
            2 => value = Some(VK::get(raw)?),
            field => return Err(Fault::UnknownField { message: "an entry", field }),
        }
    }
    let missing = |field| Fault::Missing { message: "an entry", field };
    map.insert(key.ok_or(missing(1))?, value.ok_or(missing(2))?);
    Ok(())
}

/// Declares the fields of a struct as a message. See the head of this file.
macro_rules! message {
    ($type:ident, keeps $unknown:ident { $($fields:tt)* }) => {
        message!(@impl $type, [$unknown], keep, { $($fields)* });
    };
    ($type:ident, closed { $($fields:tt)* }) => {
        message!(@impl $type, [], close, { $($fields)* });
    };
    ($type:ident, skips { $($fields:tt)* }) => {
        message!(@impl $type, [], skip, { $($fields)* });
    };
    (@impl $type:ident, [$($unknown:ident)?], $policy:ident,
        { $($number:literal $name:ident: $presence:ident $kind:ident $(to $value:ident)?),* $(,)? }) => {
        impl Message for $type {
            const NAME: &'static str = stringify!($type);

            fn put(&self, out: &mut Vec<u8>) {
                // Every field of the type is named here, so that a new field must be given a number.
                let $type { $($name,)* $($unknown,)? } = self;
                $(message!(@put $presence $kind $($value)?, $name, $number, out);)*
                $(out.extend_from_slice($unknown.fields());)?
            }

            fn get(mut reader: Reader<'_>) -> Result<Self, Fault> {
                $(let mut $name = message!(@slot $presence);)*
                $(let mut $unknown: Vec<u8> = Vec::new();)?
                while let Some((number, raw, _all)) = reader.next()? {
                    match number {
                        $($number => message!(@get $presence $kind $($value)?, $name, raw),)*
                        _ => message!(@unknown $policy, number, _all, [$($unknown)?]),
                    }
                }
                Ok($type {
                    $($name: message!(@finish $presence, $name, $number),)*
                    $($unknown: syncline_core::unknown::Unknown::new(&$unknown),)?
                })
            }
        }
    };
    (@put one $kind:ident, $name:ident, $number:literal, $out:ident) => {
        if !<$kind as Kind<_>>::is_absent($name) {
            <$kind as Kind<_>>::put($name, $number, $out);
        }
    };
    (@put need $kind:ident, $name:ident, $number:literal, $out:ident) => {
        <$kind as Kind<_>>::put($name, $number, $out)
    };
    (@put opt $kind:ident, $name:ident, $number:literal, $out:ident) => {
        if let Some(value) = $name {
            <$kind as Kind<_>>::put(value, $number, $out);
        }
    };
    (@put rep $kind:ident, $name:ident, $number:literal, $out:ident) => {
        for value in $name {
            <$kind as Kind<_>>::put(value, $number, $out);
        }
    };
    (@put map $kind:ident $value:ident, $name:ident, $number:literal, $out:ident) => {
        put_map::<_, _, $kind, $value>($name, $number, $out)
    };
    (@slot rep) => { Vec::new() };
    (@slot map) => { std::collections::BTreeMap::new() };
    (@slot $presence:ident) => { None };
    (@get rep $kind:ident, $name:ident, $raw:ident) => { $name.push(<$kind as Kind<_>>::get($raw)?) };
    (@get map $kind:ident $value:ident, $name:ident, $raw:ident) => {
        get_entry::<_, _, $kind, $value>(&mut $name, $raw)?
    };
    (@get $presence:ident $kind:ident, $name:ident, $raw:ident) => {
        $name = Some(<$kind as Kind<_>>::get($raw)?)
    };
    (@finish one, $name:ident, $number:literal) => { $name.unwrap_or_default() };
    (@finish need, $name:ident, $number:literal) => {
        $name.ok_or(Fault::Missing { message: Self::NAME, field: $number })?
    };
    (@finish $presence:ident, $name:ident, $number:literal) => { $name };
    (@unknown keep, $number:ident, $all:ident, [$unknown:ident]) => { $unknown.extend_from_slice($all) };
    (@unknown close, $number:ident, $all:ident, []) => {
        return Err(Fault::UnknownField { message: Self::NAME, field: $number })
    };
    (@unknown skip, $number:ident, $all:ident, []) => { () };
}

/// Declares the variants of an enum as a message that has exactly one of its fields. A variant is `{}` (an empty
/// message), `{ fields }` (a message), or `(Kind)` for the one value in it.
macro_rules! choice {
    ($type:ident { $($number:literal $variant:ident $content:tt),* $(,)? }) => {
        impl Message for $type {
            const NAME: &'static str = stringify!($type);

            fn put(&self, out: &mut Vec<u8>) {
                // Every variant is named here, so that a new one must be given a number.
                match self {
                    $(choice!(@pattern $type, $variant, $content, value) => {
                        choice!(@put $number, $content, value, out)
                    })*
                }
            }

            fn get(mut reader: Reader<'_>) -> Result<Self, Fault> {
                let Some((number, raw, _)) = reader.next()? else {
                    return Err(Fault::Missing { message: Self::NAME, field: 0 });
                };
                let chosen = match number {
                    $($number => choice!(@get $type, $variant, $content, raw),)*
                    number => return Err(Fault::UnknownCode { of: Self::NAME, code: u64::from(number) }),
                };
                match reader.next()? {
                    None => Ok(chosen),
                    Some((field, _, _)) => Err(Fault::UnknownField { message: Self::NAME, field }),
                }
            }
        }
    };
    (@pattern $type:ident, $variant:ident, {}, $value:ident) => { $type::$variant {} };
    (@pattern $type:ident, $variant:ident, ($kind:ident), $value:ident) => { $type::$variant($value) };
    (@pattern $type:ident, $variant:ident,
        { $($number:literal $name:ident: $presence:ident $kind:ident),+ $(,)? }, $value:ident) => {
        $type::$variant { $($name),+ }
    };
    (@put $number:literal, {}, $value:ident, $out:ident) => { syncline_core::wire::put_message($out, $number, |_| {}) };
    (@put $number:literal, ($kind:ident), $value:ident, $out:ident) => {
        <$kind as Kind<_>>::put($value, $number, $out)
    };
    (@put $outer:literal, { $($number:literal $name:ident: $presence:ident $kind:ident),+ $(,)? },
        $value:ident, $out:ident) => {
        syncline_core::wire::put_message($out, $outer, |out| {
            $(message!(@put $presence $kind, $name, $number, out);)+
        })
    };
    (@get $type:ident, $variant:ident, {}, $raw:ident) => {{
        if let Some((field, _, _)) = $crate::store::stored::message::nested($raw)?.next()? {
            return Err(Fault::UnknownField { message: stringify!($variant), field });
        }
        $type::$variant {}
    }};
    (@get $type:ident, $variant:ident, ($kind:ident), $raw:ident) => {
        $type::$variant(<$kind as Kind<_>>::get($raw)?)
    };
    (@get $type:ident, $variant:ident,
        { $($number:literal $name:ident: $presence:ident $kind:ident),+ $(,)? }, $raw:ident) => {{
        let mut reader = $crate::store::stored::message::nested($raw)?;
        $(let mut $name = message!(@slot $presence);)+
        while let Some((number, raw, _)) = reader.next()? {
            match number {
                $($number => message!(@get $presence $kind, $name, raw),)+
                field => return Err(Fault::UnknownField { message: stringify!($variant), field }),
            }
        }
        $type::$variant { $($name: message!(@finish $presence, $name, $number)),+ }
    }};
}

/// Numbers the variants of an enum without content. 0 is none.
macro_rules! codes {
    ($type:ident { $($number:literal $variant:ident),* $(,)? }) => {
        impl Coded for $type {
            fn code(&self) -> u64 {
                match self {
                    $($type::$variant => $number,)*
                }
            }

            fn of_code(code: u64) -> Result<Self, Fault> {
                match code {
                    $($number => Ok($type::$variant),)*
                    code => Err(Fault::UnknownCode { of: stringify!($type), code }),
                }
            }
        }
    };
}

pub(super) use {choice, codes, message};
