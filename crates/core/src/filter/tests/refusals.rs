//! Conditions that are not valid, and what is said about them.

use super::super::{FILTER_DEPTH_MAX, FILTER_LIST_MAX, FILTER_NODES_MAX, FILTER_VALUES_MAX, FilterFault};
use super::*;

fn leaf() -> Node {
    compare(Operator::Equals, vec![Value::Int(1)])
}

fn refused(node: Node) -> (String, FilterFault) {
    let error = Filter::new(node).expect_err("no condition");
    assert!(error.to_string().contains(&error.fault.to_string()));
    (error.path, error.fault)
}

#[test]
fn a_tree_has_eight_levels_at_most() {
    let nested = |levels: usize| (1..levels).fold(leaf(), |inner, _| not(inner));
    assert!(Filter::new(nested(FILTER_DEPTH_MAX)).is_ok());
    let path = ["negation_of"; FILTER_DEPTH_MAX].join(".");
    assert_eq!(refused(nested(FILTER_DEPTH_MAX + 1)), (path, FilterFault::TooDeep { limit: 8 }));
    // However deep the condition is, the check itself does not go deeper.
    assert_eq!(refused(nested(5_000)).1, FilterFault::TooDeep { limit: 8 });
}

#[test]
fn a_tree_has_64_nodes_at_most() {
    let list = |leaves: usize, last: Node| {
        Node::AllOf((0..leaves).map(|_| leaf()).chain(std::iter::once(last)).collect())
    };
    let wide = |last: usize| list(31, Node::AnyOf((0..last).map(|_| leaf()).collect()));
    assert!(Filter::new(wide(FILTER_NODES_MAX - 33)).is_ok());
    let (path, fault) = refused(wide(32));
    assert_eq!(path, "all_of.filters[31].any_of.filters[31]");
    assert_eq!(fault, FilterFault::TooManyNodes { limit: 64 });
}

#[test]
fn a_list_has_1_to_32_conditions() {
    assert!(Filter::new(Node::AnyOf(vec![leaf(); FILTER_LIST_MAX])).is_ok());
    for count in [0, FILTER_LIST_MAX + 1] {
        let (path, fault) = refused(not(Node::AnyOf(vec![leaf(); count])));
        assert_eq!(path, "negation_of.any_of.filters");
        assert_eq!(fault, FilterFault::ListLength { limit: 32, count });
    }
}

#[test]
fn a_comparison_has_the_values_its_operator_takes() {
    let values = |count| vec![Value::Int(7); count];
    for op in OPERATORS {
        let limit = if op == Operator::In { FILTER_VALUES_MAX } else { 1 };
        for count in [0, limit + 1] {
            let (path, fault) = refused(compare(op, values(count)));
            assert_eq!(
                (path.as_str(), fault),
                ("comparison.values", FilterFault::ValueCount { limit, count })
            );
        }
    }
    assert!(Filter::new(compare(Operator::In, values(FILTER_VALUES_MAX))).is_ok());
}

#[test]
fn a_field_has_a_name_that_a_field_can_have() {
    let long = "f".repeat(65);
    for name in ["", "a b", "é", "a.b", long.as_str()] {
        let (path, fault) = refused(Node::Present(name.into()));
        assert_eq!((path.as_str(), fault), ("present.field_id", FilterFault::FieldId));
        let tree = Node::AllOf(vec![leaf(), compare_field(name, Operator::Equals, vec![Value::Null])]);
        assert_eq!(refused(tree), ("all_of.filters[1].comparison.field_id".to_owned(), FilterFault::FieldId));
    }
}

#[test]
fn a_value_fits_its_operator() {
    for value in values() {
        let contains = Filter::new(compare(Operator::Contains, vec![value.clone()]));
        assert_eq!(contains.is_ok(), value.is_scalar());
        for op in [Operator::ContainsText, Operator::StartsWith] {
            let searches = Filter::new(compare(op, vec![value.clone()]));
            assert_eq!(searches.is_ok(), matches!(value, Value::String(_)));
        }
    }
    let tree = not(compare(Operator::Contains, vec![list(vec![])]));
    assert_eq!(refused(tree), ("negation_of.comparison.values[0]".to_owned(), FilterFault::NotAnElement));
    let (path, fault) = refused(compare(Operator::StartsWith, vec![Value::Int(1)]));
    assert_eq!((path.as_str(), fault), ("comparison.values[0]", FilterFault::NotAString));
}

#[test]
fn the_values_of_in_are_kept_once_each_and_equal_conditions_are_equal() {
    let one = Filter::new(compare(Operator::In, vec![Value::string("b"), Value::Int(1), Value::string("a")]));
    let other = Filter::new(compare(
        Operator::In,
        vec![Value::string("a"), Value::Int(1), Value::string("b"), Value::string("a")],
    ));
    assert_eq!(one, other);
}
