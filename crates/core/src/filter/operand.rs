//! What a comparison compares: single values, whether they come from a field or from the condition.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::value::{Value, int_and_double};
use crate::view::FieldStateView;

/// A single value, borrowed from where it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operand<'a> {
    Null,
    Bool(bool),
    Whole(i64),
    Double(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    List(&'a [Value]),
    Map(&'a BTreeMap<String, Value>),
    /// Seconds since 1970, and nanoseconds from there on.
    Time((i64, u32)),
}

/// Kinds whose values are compared with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Null,
    Bool,
    Number,
    Text,
    Bytes,
    List,
    Map,
    Time,
}

impl<'a> From<&'a Value> for Operand<'a> {
    fn from(value: &'a Value) -> Operand<'a> {
        match value {
            Value::Null => Operand::Null,
            Value::Bool(truth) => Operand::Bool(*truth),
            Value::Int(number) => Operand::Whole(*number),
            Value::DoubleBits(bits) => Operand::Double(f64::from_bits(*bits)),
            Value::String(text) => Operand::Text(text),
            Value::Bytes(bytes) => Operand::Bytes(bytes),
            Value::List(values) => Operand::List(values),
            Value::Map(entries) => Operand::Map(entries),
            Value::Timestamp { seconds, nanos } => Operand::Time((*seconds, *nanos)),
        }
    }
}

impl<'a> Operand<'a> {
    /// The one value that a field has, a missing field included; `None` for a set or a to-many link.
    pub(super) fn of_field(state: Option<&'a FieldStateView>) -> Option<Operand<'a>> {
        Some(match state {
            None | Some(FieldStateView::Target(None)) => Operand::Null,
            Some(FieldStateView::Register(value)) => Operand::from(value),
            Some(FieldStateView::Text(text)) => Operand::Text(text),
            Some(FieldStateView::Counter(number)) => Operand::Whole(*number),
            Some(FieldStateView::Target(Some(target))) => Operand::Text(target),
            Some(FieldStateView::Elements(_) | FieldStateView::Targets(_)) => return None,
        })
    }

    fn class(self) -> Class {
        match self {
            Operand::Null => Class::Null,
            Operand::Bool(_) => Class::Bool,
            Operand::Whole(_) | Operand::Double(_) => Class::Number,
            Operand::Text(_) => Class::Text,
            Operand::Bytes(_) => Class::Bytes,
            Operand::List(_) => Class::List,
            Operand::Map(_) => Class::Map,
            Operand::Time(_) => Class::Time,
        }
    }
}

/// A total order over all values. Values that are equal in it are equal for a condition, too. Between kinds, and within
/// lists and maps, it serves only for looking values up.
pub(super) fn order(a: Operand<'_>, b: Operand<'_>) -> Ordering {
    match (a, b) {
        (Operand::Bool(a), Operand::Bool(b)) => a.cmp(&b),
        (Operand::Whole(a), Operand::Whole(b)) => a.cmp(&b),
        // NaN is not a value, so numbers can always be compared; 0 and -0 are equal.
        (Operand::Whole(a), Operand::Double(b)) => int_and_double(a, b).unwrap_or(Ordering::Less),
        (Operand::Double(a), Operand::Whole(b)) => {
            int_and_double(b, a).map_or(Ordering::Greater, Ordering::reverse)
        }
        (Operand::Double(a), Operand::Double(b)) => a.partial_cmp(&b).unwrap_or_else(|| a.total_cmp(&b)),
        (Operand::Time(a), Operand::Time(b)) => a.cmp(&b),
        // The order of UTF-8 is the order of the scalar values.
        (Operand::Text(a), Operand::Text(b)) => a.cmp(b),
        (Operand::Bytes(a), Operand::Bytes(b)) => a.cmp(b),
        (Operand::List(a), Operand::List(b)) => {
            let pairs = a.iter().zip(b).map(|(a, b)| order(a.into(), b.into()));
            first_difference(pairs).then(a.len().cmp(&b.len()))
        }
        (Operand::Map(a), Operand::Map(b)) => {
            let pairs = a.iter().zip(b);
            let pairs = pairs.map(|((m, a), (n, b))| m.cmp(n).then_with(|| order(a.into(), b.into())));
            first_difference(pairs).then(a.len().cmp(&b.len()))
        }
        (a, b) => a.class().cmp(&b.class()),
    }
}

fn first_difference(mut pairs: impl Iterator<Item = Ordering>) -> Ordering {
    pairs.find(|pair| pair.is_ne()).unwrap_or(Ordering::Equal)
}

/// How two values compare for a condition: values of different kinds do not, and lists and maps have no order, so that
/// two of them compare only when they are equal.
pub(super) fn compare(a: Operand<'_>, b: Operand<'_>) -> Option<Ordering> {
    if a.class() != b.class() {
        return None;
    }
    let ordering = order(a, b);
    match a.class() {
        Class::List | Class::Map => ordering.is_eq().then_some(ordering),
        Class::Null | Class::Bool | Class::Number | Class::Text | Class::Bytes | Class::Time => {
            Some(ordering)
        }
    }
}
