//! What a condition must fulfil before it is evaluated.

use super::operand::{Operand, order};
use super::{
    Comparison, FILTER_DEPTH_MAX, FILTER_LIST_MAX, FILTER_NODES_MAX, FILTER_VALUES_MAX, Filter, Node,
    Operator,
};
use crate::ids::is_name;
use crate::value::Value;

/// Why a condition was refused, and where in it the fault is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct FilterError {
    /// The part at fault, by the names of `filter.proto`: `all_of.filters[1].comparison.values`. Empty for the whole
    /// condition.
    pub path: String,
    /// What is wrong there.
    pub fault: FilterFault,
}

/// What is wrong with a part of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilterFault {
    /// Too many levels.
    #[error("the condition has more than {limit} levels; write it flatter")]
    TooDeep {
        /// How many are allowed.
        limit: usize,
    },
    /// Too many nodes in the whole tree.
    #[error("the condition has more than {limit} nodes; ask in several calls")]
    TooManyNodes {
        /// How many are allowed.
        limit: usize,
    },
    /// A list without a condition, or with too many.
    #[error("must have 1 to {limit} conditions, and has {count}")]
    ListLength {
        /// How many are allowed.
        limit: usize,
        /// How many there are.
        count: usize,
    },
    /// Not the id of a field.
    #[error("must be 1 to 64 of [A-Za-z0-9_-]")]
    FieldId,
    /// A comparison with no value, or with too many.
    #[error("must have {allowed} values, and has {count}", allowed = Allowed(*limit))]
    ValueCount {
        /// How many this operator allows.
        limit: usize,
        /// How many there are.
        count: usize,
    },
    /// A list or a map cannot be an element of a set.
    #[error("lists and maps cannot be elements of a set")]
    NotAnElement,
    /// A text is searched for something that is not a string.
    #[error("must be a string")]
    NotAString,
}

/// How many values an operator allows, in words.
struct Allowed(usize);

impl std::fmt::Display for Allowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            1 => f.write_str("exactly 1"),
            limit => write!(f, "1 to {limit}"),
        }
    }
}

impl FilterError {
    fn at(path: impl Into<String>, fault: FilterFault) -> FilterError {
        FilterError { path: path.into(), fault }
    }

    /// The same error as seen from one level further up.
    fn below(self, step: &str) -> FilterError {
        let path = if self.path.is_empty() { step.to_owned() } else { format!("{step}.{}", self.path) };
        FilterError { path, fault: self.fault }
    }
}

impl Filter {
    /// Checks a condition.
    pub fn new(mut root: Node) -> Result<Filter, FilterError> {
        let mut nodes_left = FILTER_NODES_MAX;
        check(&mut root, FILTER_DEPTH_MAX, &mut nodes_left)?;
        Ok(Filter { root })
    }

    /// The condition as it was built, except that the values of every `In` are sorted and without duplicates.
    pub fn root(&self) -> &Node {
        &self.root
    }
}

fn check(node: &mut Node, levels_left: usize, nodes_left: &mut usize) -> Result<(), FilterError> {
    let Some(levels_left) = levels_left.checked_sub(1) else {
        return Err(FilterError::at("", FilterFault::TooDeep { limit: FILTER_DEPTH_MAX }));
    };
    let Some(left) = nodes_left.checked_sub(1) else {
        return Err(FilterError::at("", FilterFault::TooManyNodes { limit: FILTER_NODES_MAX }));
    };
    *nodes_left = left;
    match node {
        Node::AllOf(nodes) => check_list(nodes, levels_left, nodes_left).map_err(|e| e.below("all_of")),
        Node::AnyOf(nodes) => check_list(nodes, levels_left, nodes_left).map_err(|e| e.below("any_of")),
        Node::Not(node) => check(node, levels_left, nodes_left).map_err(|e| e.below("negation_of")),
        Node::Compare(comparison) => check_comparison(comparison).map_err(|e| e.below("comparison")),
        Node::Present(field) => check_field(field).map_err(|e| e.below("present")),
    }
}

fn check_list(nodes: &mut [Node], levels_left: usize, nodes_left: &mut usize) -> Result<(), FilterError> {
    let count = nodes.len();
    if count == 0 || count > FILTER_LIST_MAX {
        return Err(FilterError::at("filters", FilterFault::ListLength { limit: FILTER_LIST_MAX, count }));
    }
    for (index, node) in nodes.iter_mut().enumerate() {
        check(node, levels_left, nodes_left).map_err(|e| e.below(&format!("filters[{index}]")))?;
    }
    Ok(())
}

fn check_field(field: &str) -> Result<(), FilterError> {
    if is_name(field) { Ok(()) } else { Err(FilterError::at("field_id", FilterFault::FieldId)) }
}

fn check_comparison(comparison: &mut Comparison) -> Result<(), FilterError> {
    let Comparison { field, op, values } = comparison;
    check_field(field)?;
    let limit = if *op == Operator::In { FILTER_VALUES_MAX } else { 1 };
    let count = values.len();
    if count == 0 || count > limit {
        return Err(FilterError::at("values", FilterFault::ValueCount { limit, count }));
    }
    for (index, value) in values.iter().enumerate() {
        let fault = match op {
            Operator::Contains => (!value.is_scalar()).then_some(FilterFault::NotAnElement),
            Operator::ContainsText | Operator::StartsWith => {
                (!matches!(value, Value::String(_))).then_some(FilterFault::NotAString)
            }
            Operator::Equals
            | Operator::NotEquals
            | Operator::Less
            | Operator::AtMost
            | Operator::Greater
            | Operator::AtLeast
            | Operator::In => None,
        };
        if let Some(fault) = fault {
            return Err(FilterError::at(format!("values[{index}]"), fault));
        }
    }
    // Sorted, so that looking one up takes few comparisons.
    values.sort_by(|a, b| order(Operand::from(a), Operand::from(b)));
    values.dedup_by(|a, b| order(Operand::from(&*a), Operand::from(&*b)).is_eq());
    Ok(())
}
