//! Values, with their nesting counted on the way in.

use bytes::Bytes;

use crate::pb::{self, value::Kind};
use syncline_core::limits::{MAP_NAME_BYTES_MAX, VALUE_DEPTH_MAX};
use syncline_core::refusal::Refusal;
use syncline_core::value::Value;

/// The description of a violation by a time that is out of range.
const TIMESTAMP_RANGE: &str = "a timestamp is from 0001-01-01T00:00:00Z to before 10000-01-01T00:00:00Z, with 0 to 999,999,999 nanoseconds";

/// A value. The recursion ends at the allowed nesting, whatever was sent.
pub fn value_from_pb(value: &pb::Value) -> Result<Value, Refusal> {
    at_depth(value, VALUE_DEPTH_MAX)
}

fn at_depth(value: &pb::Value, levels_left: usize) -> Result<Value, Refusal> {
    let pb::Value { kind } = value;
    match kind {
        None => Err(invalid("a value without a kind; null is a kind")),
        Some(Kind::NullValue(pb::Null {})) => Ok(Value::Null),
        Some(Kind::BoolValue(truth)) => Ok(Value::Bool(*truth)),
        Some(Kind::IntValue(number)) => Ok(Value::Int(*number)),
        Some(Kind::DoubleValue(number)) if number.is_nan() => Err(invalid("NaN is not a value")),
        Some(Kind::DoubleValue(number)) => Ok(Value::DoubleBits(number.to_bits())),
        Some(Kind::StringValue(text)) => Ok(Value::string(text.as_str())),
        Some(Kind::BytesValue(bytes)) => Ok(Value::Bytes(bytes.to_vec())),
        Some(Kind::TimestampValue(prost_types::Timestamp { seconds, nanos })) => {
            Value::timestamp(*seconds, *nanos).ok_or_else(|| invalid(TIMESTAMP_RANGE))
        }
        Some(Kind::ListValue(pb::ListValue { values })) => {
            let below = one_level_below(levels_left)?;
            values.iter().map(|v| at_depth(v, below)).collect::<Result<_, _>>().map(Value::List)
        }
        Some(Kind::MapValue(pb::MapValue { entries })) => {
            let below = one_level_below(levels_left)?;
            let entry = |(name, v): (&String, &pb::Value)| {
                if name.len() > MAP_NAME_BYTES_MAX {
                    return Err(invalid("the name of a map's entry has more than 256 bytes"));
                }
                Ok((name.clone(), at_depth(v, below)?))
            };
            entries.iter().map(entry).collect::<Result<_, _>>().map(Value::Map)
        }
    }
}

fn one_level_below(levels_left: usize) -> Result<usize, Refusal> {
    levels_left.checked_sub(1).ok_or(Refusal::ValueTooDeep { limit: VALUE_DEPTH_MAX as u64 })
}

/// A value that can be an element of a set.
pub(super) fn element_from_pb(value: &pb::Value) -> Result<Value, Refusal> {
    let element = value_from_pb(value)?;
    if element.is_scalar() { Ok(element) } else { Err(invalid("lists and maps cannot be elements of a set")) }
}

fn invalid(detail: &str) -> Refusal {
    Refusal::InvalidValue { detail: detail.to_owned() }
}

/// A value. It nests no deeper than what once came in.
pub fn value_to_pb(value: &Value) -> pb::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(pb::Null {}),
        Value::Bool(truth) => Kind::BoolValue(*truth),
        Value::Int(number) => Kind::IntValue(*number),
        Value::DoubleBits(bits) => Kind::DoubleValue(f64::from_bits(*bits)),
        Value::String(text) => Kind::StringValue(text.to_string()),
        Value::Bytes(bytes) => Kind::BytesValue(Bytes::copy_from_slice(bytes)),
        Value::List(values) => {
            Kind::ListValue(pb::ListValue { values: values.iter().map(value_to_pb).collect() })
        }
        Value::Map(entries) => Kind::MapValue(pb::MapValue {
            entries: entries.iter().map(|(name, v)| (name.clone(), value_to_pb(v))).collect(),
        }),
        Value::Timestamp { seconds, nanos } => Kind::TimestampValue(prost_types::Timestamp {
            seconds: *seconds,
            // Below 10^9, or it would not have become a value.
            nanos: i32::try_from(*nanos).unwrap_or(i32::MAX),
        }),
    };
    pb::Value { kind: Some(kind) }
}

pub(super) fn null_to_pb() -> pb::Value {
    pb::Value { kind: Some(Kind::NullValue(pb::Null {})) }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `levels` lists around null.
    pub(in crate::convert) fn nested(levels: usize) -> pb::Value {
        (0..levels).fold(null_to_pb(), |inner, _| pb::Value {
            kind: Some(Kind::ListValue(pb::ListValue { values: vec![inner] })),
        })
    }

    fn nested_maps(levels: usize) -> pb::Value {
        (0..levels).fold(null_to_pb(), |inner, _| pb::Value {
            kind: Some(Kind::MapValue(pb::MapValue { entries: [("k".to_owned(), inner)].into() })),
        })
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<f64>()
                .prop_filter("a number", |d| !d.is_nan())
                .prop_map(|d| Value::DoubleBits(d.to_bits())),
            Just(Value::DoubleBits((-0.0f64).to_bits())),
            any::<String>().prop_map(Value::string),
            proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
            (-62_135_596_800..=253_402_300_799_i64, 0..1_000_000_000_u32)
                .prop_map(|(seconds, nanos)| Value::Timestamp { seconds, nanos }),
        ];
        leaf.prop_recursive(6, 40, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                proptest::collection::btree_map("[a-z é]{0,20}", inner, 0..4).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_come_back_as_they_went(value in any_value()) {
            prop_assert_eq!(value_from_pb(&value_to_pb(&value)), Ok(value.clone()));
            prop_assert_eq!(element_from_pb(&value_to_pb(&value)).is_ok(), value.is_scalar());
        }
    }

    #[test]
    fn nesting_is_limited_as_in_the_domain() {
        for build in [nested, nested_maps] {
            let deepest = value_from_pb(&build(VALUE_DEPTH_MAX)).expect("as deep as can be");
            assert!(deepest.is_shallow());
            for levels in [VALUE_DEPTH_MAX + 1, 60] {
                assert_eq!(value_from_pb(&build(levels)), Err(Refusal::ValueTooDeep { limit: 30 }));
            }
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        let quiet_nan = pb::Value { kind: Some(Kind::DoubleValue(f64::NAN)) };
        let other_nan = pb::Value { kind: Some(Kind::DoubleValue(-f64::NAN)) };
        let inside =
            pb::Value { kind: Some(Kind::ListValue(pb::ListValue { values: vec![pb::Value::default()] })) };
        let long_name = pb::Value {
            kind: Some(Kind::MapValue(pb::MapValue { entries: [("n".repeat(257), null_to_pb())].into() })),
        };
        let time = |seconds, nanos| pb::Value {
            kind: Some(Kind::TimestampValue(prost_types::Timestamp { seconds, nanos })),
        };
        let times = [
            time(-62_135_596_801, 999_999_999),
            time(253_402_300_800, 0),
            time(0, -1),
            time(0, 1_000_000_000),
        ];
        for value in [pb::Value::default(), quiet_nan, other_nan, inside, long_name].into_iter().chain(times)
        {
            assert!(matches!(value_from_pb(&value), Err(Refusal::InvalidValue { .. })), "{value:?}");
        }
        for value in [nested(1), nested_maps(1)] {
            assert!(matches!(element_from_pb(&value), Err(Refusal::InvalidValue { .. })), "{value:?}");
        }
    }
}
