//! Conditions on records: one tree for lists, views, rules and clients.
//!
//! A tree is built from [`Node`]s and checked once, by [`Filter::new`]; a [`Filter`] can then be evaluated on any
//! number of records. Evaluation is pure: it looks at the fields of one record and at nothing else. What a condition
//! means is written in `filter.proto`; `clients/vectors/filter.json` has examples that every client has to agree
//! with.

mod check;
mod evaluate;
mod operand;

#[cfg(test)]
mod tests;

pub use check::{FilterError, FilterFault};

use crate::ids::FieldId;
use crate::value::Value;

/// Levels of a tree; a single comparison has one.
pub const FILTER_DEPTH_MAX: usize = 8;
/// Nodes of a tree, lists and negations included.
pub const FILTER_NODES_MAX: usize = 64;
/// Conditions in one list.
pub const FILTER_LIST_MAX: usize = 32;
/// Values of one `In`.
pub const FILTER_VALUES_MAX: usize = 1_000;

/// A condition that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    root: Node,
}

/// A part of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// All of these hold.
    AllOf(Vec<Node>),
    /// At least one of these holds.
    AnyOf(Vec<Node>),
    /// This does not hold.
    Not(Box<Node>),
    /// A comparison of a field.
    Compare(Comparison),
    /// The field has a value other than null, an element, or a target.
    Present(FieldId),
}

/// A comparison of a field with one value, or with several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The field.
    pub field: FieldId,
    /// How it is compared.
    pub op: Operator,
    /// Exactly one; one or more for [`Operator::In`].
    pub values: Vec<Value>,
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// The field has this value.
    Equals,
    /// The field has another value, null included.
    NotEquals,
    /// The field's value is less.
    Less,
    /// The field's value is less or equal.
    AtMost,
    /// The field's value is greater.
    Greater,
    /// The field's value is greater or equal.
    AtLeast,
    /// The field has one of these values.
    In,
    /// The set has this element, or the to-many link this target.
    Contains,
    /// The text or string contains this one.
    ContainsText,
    /// The text or string starts with this one.
    StartsWith,
}
