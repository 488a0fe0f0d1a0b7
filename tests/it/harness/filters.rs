//! Conditions in short.

use pb::ComparisonOperator as Op;
use pb::filter::Node;
use syncline_protocol::pb;

use super::IntoValue;

fn filter(node: Node) -> pb::Filter {
    pb::Filter { node: Some(node) }
}

/// A comparison of a field with any values.
pub fn compare(field_id: &str, op: Op, values: Vec<pb::Value>) -> pb::Filter {
    filter(Node::Comparison(pb::Comparison { field_id: field_id.to_owned(), op: op.into(), values }))
}

/// A comparison of a field with one value.
pub fn is(field_id: &str, op: Op, value: impl IntoValue) -> pb::Filter {
    compare(field_id, op, vec![value.into_value()])
}

/// The field has this value.
pub fn equals(field_id: &str, value: impl IntoValue) -> pb::Filter {
    is(field_id, Op::Equals, value)
}

/// The field has a value.
pub fn present(field_id: &str) -> pb::Filter {
    filter(Node::Present(pb::FieldPresent { field_id: field_id.to_owned() }))
}

/// All of these hold.
pub fn all(filters: Vec<pb::Filter>) -> pb::Filter {
    filter(Node::AllOf(pb::FilterList { filters }))
}

/// One of these holds.
pub fn any(filters: Vec<pb::Filter>) -> pb::Filter {
    filter(Node::AnyOf(pb::FilterList { filters }))
}

/// This does not hold.
pub fn not(negated: pb::Filter) -> pb::Filter {
    filter(Node::NegationOf(Box::new(negated)))
}
