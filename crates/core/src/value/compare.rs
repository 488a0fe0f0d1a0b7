//! When two values are equal, and which comes first.
//!
//! Whole numbers and doubles are compared by their numeric value: 1 and 1.0 are equal, and so are 0.0 and -0.0. The
//! comparison is exact. Beyond 2^53 not every whole number is a double, and one that is not equals none. Operators
//! (`==`) tell the kinds apart; they compare contents, not what people mean by a value.

use std::cmp::Ordering;

use super::Value;

/// 2^63: the first double above every `i64`. Its negative is the least `i64`.
const BEYOND_INT: f64 = 9_223_372_036_854_775_808.0;

impl Value {
    /// Whether two values are equal: numbers by their numeric value, lists and maps by what is in them.
    pub fn equals(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Int(_) | Value::DoubleBits(_), Value::Int(_) | Value::DoubleBits(_)) => {
                self == other || self.compare(other) == Some(Ordering::Equal)
            }
            (Value::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b))
            }
            (Value::Map(a), Value::Map(b)) => {
                a.len() == b.len()
                    && a.iter().zip(b).all(|((name, a), (other, b))| name == other && a.equals(b))
            }
            _ => self == other,
        }
    }

    /// Which of two values comes first, where they have an order: numbers, times, and strings by their characters.
    pub fn compare(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
            (Value::Int(a), Value::DoubleBits(b)) => int_and_double(*a, f64::from_bits(*b)),
            (Value::DoubleBits(a), Value::Int(b)) => {
                int_and_double(*b, f64::from_bits(*a)).map(Ordering::reverse)
            }
            (Value::DoubleBits(a), Value::DoubleBits(b)) => {
                f64::from_bits(*a).partial_cmp(&f64::from_bits(*b))
            }
            (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            (Value::Timestamp { .. }, Value::Timestamp { .. }) => Some(self.cmp(other)),
            _ => None,
        }
    }

    /// The value that stands for all that equal this one. Only for what can be an element of a set.
    pub(super) fn representative(&self) -> Value {
        match self {
            Value::DoubleBits(bits) => whole(f64::from_bits(*bits)).map_or_else(|| self.clone(), Value::Int),
            _ => self.clone(),
        }
    }
}

/// Compares a whole number and a double by their numeric value; NaN has no order.
pub(crate) fn int_and_double(int: i64, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    if double >= BEYOND_INT {
        return Some(Ordering::Less);
    }
    if double < -BEYOND_INT {
        return Some(Ordering::Greater);
    }
    // Exact: below 2^63 a double without its fraction is a whole number of 64 bits.
    let below = double.floor();
    #[allow(clippy::cast_possible_truncation, reason = "it is whole and in range")]
    let whole = below as i64;
    Some(int.cmp(&whole).then(if double > below { Ordering::Less } else { Ordering::Equal }))
}

/// The whole number that a double stands for, if it fits 64 bits.
fn whole(double: f64) -> Option<i64> {
    #[allow(clippy::cast_possible_truncation, reason = "the comparison tells whether it is the same number")]
    let int = double as i64;
    (int_and_double(int, double) == Some(Ordering::Equal)).then_some(int)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn double(number: f64) -> Value {
        Value::DoubleBits(number.to_bits())
    }

    /// Numbers near each other, of both kinds, and near the ends of what each can hold.
    fn number() -> impl Strategy<Value = Value> {
        let near = prop_oneof![
            Just(0_i64),
            Just(1 << 53),
            Just(-(1 << 53)),
            Just((1 << 62) + 1),
            Just(i64::MAX),
            Just(i64::MIN),
            any::<i64>()
        ];
        let int = (near, -3..=3_i64).prop_map(|(near, by)| near.saturating_add(by));
        #[allow(clippy::cast_precision_loss, reason = "the nearest double is wanted")]
        let doubles = int.clone().prop_map(|int| double(int as f64));
        prop_oneof![
            int.prop_map(Value::Int),
            doubles,
            (-6..6_i32).prop_map(|halves| double(f64::from(halves) / 2.0)),
            Just(double(-0.0)),
            Just(double(f64::INFINITY)),
            Just(double(f64::NEG_INFINITY)),
            any::<f64>().prop_filter("a number", |d| !d.is_nan()).prop_map(double),
        ]
    }

    /// The exact value of a number, as its whole part and its fraction. Doubles beyond 128 bits are told apart by
    /// themselves.
    fn worth(value: &Value) -> (i128, f64) {
        match value {
            Value::Int(int) => (i128::from(*int), 0.0),
            #[allow(
                clippy::cast_possible_truncation,
                reason = "what is out of range is told by the fraction's place"
            )]
            Value::DoubleBits(bits) => {
                let double = f64::from_bits(*bits);
                if double.abs() < 1e30 {
                    (double.trunc() as i128, double - double.trunc())
                } else {
                    (if double > 0.0 { i128::MAX } else { i128::MIN }, double)
                }
            }
            other => panic!("no number: {other:?}"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn numbers_are_compared_by_what_they_are_worth(a in number(), b in number()) {
            prop_assert_eq!(a.compare(&b), worth(&a).partial_cmp(&worth(&b)));
            prop_assert_eq!(a.equals(&b), worth(&a) == worth(&b));
            prop_assert_eq!(a.compare(&b), b.compare(&a).map(Ordering::reverse));
        }

        #[test]
        fn elements_are_one_element_exactly_if_they_are_equal(a in number(), b in number()) {
            prop_assert_eq!(a.element_hash() == b.element_hash(), a.equals(&b));
        }
    }

    #[test]
    fn beyond_what_doubles_can_count_a_number_equals_only_itself() {
        let odd = (1_i64 << 53) + 1;
        assert!(!Value::Int(odd).equals(&double(9_007_199_254_740_992.0)));
        assert!(Value::Int(odd - 1).equals(&double(9_007_199_254_740_992.0)));
        assert!(!Value::Int(i64::MAX).equals(&double(BEYOND_INT)));
        assert!(Value::Int(i64::MIN).equals(&double(-BEYOND_INT)));
        assert!(!Value::Int(0).equals(&double(f64::from_bits(1))));
    }

    #[test]
    fn numbers_within_lists_and_maps_are_equal_too() {
        let map = |number: Value| Value::Map([("n".to_owned(), Value::List(vec![number]))].into());
        assert!(map(Value::Int(0)).equals(&map(double(-0.0))));
        assert!(!map(Value::Int(0)).equals(&map(double(0.5))));
        assert!(!map(Value::Int(0)).equals(&Value::Map([].into())));
    }

    #[test]
    fn kinds_other_than_numbers_equal_only_their_own() {
        let others =
            [Value::Null, Value::Bool(false), Value::string("0"), Value::Bytes(vec![]), Value::List(vec![])];
        for other in &others {
            assert!(!other.equals(&Value::Int(0)) && other.equals(other));
            assert!(!matches!(other, Value::Null | Value::Bool(_)) || other.compare(other).is_none());
        }
        let time = |seconds, nanos| Value::Timestamp { seconds, nanos };
        assert_eq!(time(-1, 5).compare(&time(-1, 6)), Some(Ordering::Less));
        assert_eq!(time(1, 0).compare(&time(0, 999_999_999)), Some(Ordering::Greater));
        assert_eq!(time(0, 0).compare(&Value::Int(0)), None);
    }
}
