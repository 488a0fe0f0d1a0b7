//! Whether a condition holds for a record.

use std::cmp::Ordering;

use super::operand::{Operand, compare, order};
use super::{Comparison, Filter, Node, Operator};
use crate::value::Value;
use crate::view::{FieldStateView, RecordView};

/// How a condition finds a field of the record it is evaluated on; `None` for a field that the record does not have.
type Fields<'f, 'r> = &'f dyn Fn(&str) -> Option<&'r FieldStateView>;

impl Filter {
    /// Whether the condition holds for a record.
    pub fn matches(&self, record: &RecordView) -> bool {
        self.holds(&|field| record.fields.get(field).map(|field| &field.state))
    }

    /// Whether the condition holds for a record whose fields are found by `fields`.
    pub fn holds<'r>(&self, fields: Fields<'_, 'r>) -> bool {
        holds(&self.root, fields)
    }
}

fn holds<'r>(node: &Node, fields: Fields<'_, 'r>) -> bool {
    match node {
        Node::AllOf(nodes) => nodes.iter().all(|node| holds(node, fields)),
        Node::AnyOf(nodes) => nodes.iter().any(|node| holds(node, fields)),
        Node::Not(node) => !holds(node, fields),
        Node::Compare(comparison) => comparison_holds(comparison, fields(&comparison.field)),
        Node::Present(field) => is_present(fields(field)),
    }
}

fn is_present(state: Option<&FieldStateView>) -> bool {
    match state {
        Some(FieldStateView::Elements(elements)) => !elements.is_empty(),
        Some(FieldStateView::Targets(targets)) => !targets.is_empty(),
        single => !matches!(Operand::of_field(single), None | Some(Operand::Null)),
    }
}

fn comparison_holds(comparison: &Comparison, state: Option<&FieldStateView>) -> bool {
    let Comparison { field: _, op, values } = comparison;
    if *op == Operator::Contains {
        return values.first().is_some_and(|value| contains(state, value));
    }
    let Some(field) = Operand::of_field(state) else {
        return false;
    };
    if *op == Operator::In {
        return values.binary_search_by(|value| order(value.into(), field)).is_ok();
    }
    values.first().is_some_and(|value| single_holds(*op, field, value.into()))
}

fn single_holds(op: Operator, field: Operand<'_>, value: Operand<'_>) -> bool {
    let compared = compare(field, value);
    match op {
        Operator::Equals | Operator::In => compared == Some(Ordering::Equal),
        Operator::NotEquals => compared != Some(Ordering::Equal),
        Operator::Less => compared == Some(Ordering::Less),
        Operator::AtMost => matches!(compared, Some(Ordering::Less | Ordering::Equal)),
        Operator::Greater => compared == Some(Ordering::Greater),
        Operator::AtLeast => matches!(compared, Some(Ordering::Greater | Ordering::Equal)),
        Operator::ContainsText => text_holds(field, value, |text, part| text.contains(part)),
        Operator::StartsWith => text_holds(field, value, |text, part| text.starts_with(part)),
        // A single value has no elements.
        Operator::Contains => false,
    }
}

fn text_holds(field: Operand<'_>, value: Operand<'_>, holds: fn(&str, &str) -> bool) -> bool {
    match (field, value) {
        (Operand::Text(text), Operand::Text(part)) => holds(text, part),
        _ => false,
    }
}

/// Whether a set has an element, or a to-many link a target.
fn contains(state: Option<&FieldStateView>, wanted: &Value) -> bool {
    match (state, wanted) {
        (Some(FieldStateView::Elements(elements)), _) => {
            elements.iter().any(|element| order(element.into(), wanted.into()).is_eq())
        }
        (Some(FieldStateView::Targets(targets)), Value::String(target)) => {
            targets.iter().any(|it| **it == **target)
        }
        _ => false,
    }
}
