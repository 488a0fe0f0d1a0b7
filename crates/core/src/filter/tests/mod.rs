//! Proofs of the conditions: laws by brute force, refusals, and the vectors for clients.

mod laws;
mod refusals;
mod vectors;

use super::{Comparison, Filter, Node, Operator};
use crate::value::Value;
use crate::view::FieldStateView;

const OPERATORS: [Operator; 10] = [
    Operator::Equals,
    Operator::NotEquals,
    Operator::Less,
    Operator::AtMost,
    Operator::Greater,
    Operator::AtLeast,
    Operator::In,
    Operator::Contains,
    Operator::ContainsText,
    Operator::StartsWith,
];

fn double(number: f64) -> Value {
    Value::DoubleBits(number.to_bits())
}

fn time(seconds: i64, nanos: i32) -> Value {
    Value::timestamp(seconds, nanos).expect("a time")
}

fn list(values: Vec<Value>) -> Value {
    Value::List(values)
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// A comparison of the field `f`.
fn compare(op: Operator, values: Vec<Value>) -> Node {
    compare_field("f", op, values)
}

fn compare_field(field: &str, op: Operator, values: Vec<Value>) -> Node {
    Node::Compare(Comparison { field: field.into(), op, values })
}

fn not(node: Node) -> Node {
    Node::Not(Box::new(node))
}

/// Whether a condition holds for a record whose only field is `f`, in this state; without one, for a record without
/// fields.
fn holds(node: Node, state: Option<&FieldStateView>) -> bool {
    let filter = Filter::new(node).expect("a condition");
    filter.holds(&|field| state.filter(|_| field == "f"))
}

/// Values of every kind, with those among them that are easily confused.
fn values() -> Vec<Value> {
    let whole = [0, 1, -1, 2, (1 << 53) - 1, 1 << 53, (1 << 53) + 1, i64::MAX - 1, i64::MAX, i64::MIN];
    let doubles = [
        0.0,
        -0.0,
        1.0,
        1.5,
        -1.0,
        -0.5,
        9_007_199_254_740_992.0,
        9_223_372_036_854_775_808.0,
        -9_223_372_036_854_775_808.0,
        9_223_372_036_854_774_784.0,
        -9_223_372_036_854_777_856.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    let texts = ["", "a", "A", "ab", "b", "1", "é", "e\u{301}", "\u{ff5e}", "🦊", "true", "null"];
    let mut all = vec![Value::Null, Value::Bool(false), Value::Bool(true)];
    all.extend(whole.map(Value::Int));
    all.extend(doubles.map(double));
    all.extend(texts.map(Value::string));
    all.extend([vec![], vec![0], vec![0, 1], vec![255], b"a".to_vec()].map(Value::Bytes));
    all.extend([time(0, 0), time(0, 1), time(1, 0), time(-1, 999_999_999)]);
    all.extend([
        list(vec![]),
        list(vec![Value::Int(1)]),
        list(vec![double(1.0)]),
        list(vec![Value::string("1")]),
        list(vec![Value::Int(1), Value::Null]),
        map([]),
        map([("a", Value::Int(1))]),
        map([("a", double(1.0))]),
        map([("b", Value::Int(1))]),
        map([("a", list(vec![double(1.0)])), ("b", Value::Null)]),
    ]);
    all
}

/// Fields of every kind; the first one is missing.
fn states() -> Vec<Option<FieldStateView>> {
    let mut all = vec![None];
    all.extend(values().into_iter().map(|value| Some(FieldStateView::Register(value))));
    all.extend(["", "a", "ab", "🦊"].map(|text| Some(FieldStateView::Text(text.to_owned()))));
    all.extend([0, 1, i64::MAX].map(|number| Some(FieldStateView::Counter(number))));
    all.extend([None, Some("a".into())].map(|target| Some(FieldStateView::Target(target))));
    let scalars: Vec<Value> = values().into_iter().filter(Value::is_scalar).collect();
    all.push(Some(FieldStateView::Elements(vec![])));
    all.push(Some(FieldStateView::Elements(vec![Value::Int(1), Value::string("a"), Value::Null])));
    all.push(Some(FieldStateView::Elements(scalars)));
    all.push(Some(FieldStateView::Targets(vec![])));
    all.push(Some(FieldStateView::Targets(vec!["a".into(), "1".into()])));
    all
}
