//! Values of registers and elements of sets.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::canonical;
use super::hash::{Hash, hash};
use super::ids::RecordId;
use super::limits::VALUE_DEPTH_MAX;

mod compare;

pub(crate) use compare::int_and_double;

/// A value, opaque to merging. Doubles are kept by their bits, so that every content comes back as it was.
///
/// `==` compares contents and tells an int from a double; whether two values are equal is [`Value::equals`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A double, by its bits.
    DoubleBits(u64),
    /// A text.
    String(Arc<str>),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Values in an order.
    List(Vec<Value>),
    /// Values by name.
    Map(BTreeMap<String, Value>),
    /// A point in time: seconds since 1970, and nanoseconds from there on. Always in the range of the years 1 to 9999.
    Timestamp {
        /// Whole seconds since the beginning of 1970, in UTC; negative before it.
        seconds: i64,
        /// Nanoseconds after that second, 0 to 999,999,999.
        nanos: u32,
    },
}

/// The first second of the year 1.
const SECONDS_MIN: i64 = -62_135_596_800;
/// The last second of the year 9999.
const SECONDS_MAX: i64 = 253_402_300_799;
const NANOS_PER_SECOND: u32 = 1_000_000_000;

/// A link's target as a value.
impl From<RecordId> for Value {
    fn from(target: RecordId) -> Value {
        Value::String(target.into_text())
    }
}

impl Value {
    /// A point in time, if it is within the years 1 to 9999.
    pub fn timestamp(seconds: i64, nanos: i32) -> Option<Value> {
        let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < NANOS_PER_SECOND)?;
        (SECONDS_MIN..=SECONDS_MAX).contains(&seconds).then_some(Value::Timestamp { seconds, nanos })
    }

    /// A string value.
    pub fn string(text: impl Into<Arc<str>>) -> Value {
        Value::String(text.into())
    }

    /// The text of a string value.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether the value can be an element of a set.
    pub fn is_scalar(&self) -> bool {
        !matches!(self, Value::List(_) | Value::Map(_))
    }

    /// Whether the value nests no deeper than allowed.
    pub fn is_shallow(&self) -> bool {
        self.fits_depth(VALUE_DEPTH_MAX)
    }

    fn fits_depth(&self, left: usize) -> bool {
        match self {
            Value::List(values) => left > 0 && values.iter().all(|v| v.fits_depth(left - 1)),
            Value::Map(entries) => left > 0 && entries.values().all(|v| v.fits_depth(left - 1)),
            _ => true,
        }
    }

    /// A set element's identity: the same for equal elements.
    pub fn element_hash(&self) -> Hash {
        let mut form = Vec::with_capacity(64);
        match self {
            Value::DoubleBits(_) => canonical::value(&mut form, &self.representative()),
            _ => canonical::value(&mut form, self),
        }
        hash(&form)
    }

    /// Approximate size in memory, in bytes.
    pub fn weight_bytes(&self) -> usize {
        match self {
            Value::String(s) => s.len() + 8,
            Value::Bytes(b) => b.len() + 8,
            Value::List(l) => 8 + l.iter().map(Value::weight_bytes).sum::<usize>(),
            Value::Map(m) => 8 + m.iter().map(|(k, v)| k.len() + v.weight_bytes()).sum::<usize>(),
            _ => 8,
        }
    }
}
