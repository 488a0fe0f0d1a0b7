//! Conditions on records as they come in.

use syncline_core::filter::{Comparison, Filter, Node, Operator};

use crate::pb::{self, filter::Node as PbNode};
use crate::status::{Failure, FieldViolation};

use super::field::violation_of;
use super::value::value_from_pb;

/// A condition; `field` is where the request has it. What is wrong with it is named by its place in the tree.
pub fn filter_from_pb(filter: &pb::Filter, field: &str) -> Result<Filter, Failure> {
    let root = node_from_pb(filter, field)?;
    Filter::new(root).map_err(|error| {
        let at = if error.path.is_empty() { field.to_owned() } else { format!("{field}.{}", error.path) };
        invalid(FieldViolation::new(at, error.fault.to_string()))
    })
}

/// The recursion ends where the decoder's does: it refuses messages that nest more than 100 levels.
fn node_from_pb(filter: &pb::Filter, at: &str) -> Result<Node, Failure> {
    let pb::Filter { node } = filter;
    match node {
        None => Err(invalid(FieldViolation::new(at, "needs a condition this server knows"))),
        Some(PbNode::AllOf(list)) => nodes_from_pb(list, &format!("{at}.all_of")).map(Node::AllOf),
        Some(PbNode::AnyOf(list)) => nodes_from_pb(list, &format!("{at}.any_of")).map(Node::AnyOf),
        Some(PbNode::NegationOf(node)) => {
            node_from_pb(node, &format!("{at}.negation_of")).map(|node| Node::Not(Box::new(node)))
        }
        Some(PbNode::Comparison(comparison)) => {
            comparison_from_pb(comparison, &format!("{at}.comparison")).map(Node::Compare)
        }
        Some(PbNode::Present(pb::FieldPresent { field_id })) => Ok(Node::Present(field_id.as_str().into())),
    }
}

fn nodes_from_pb(list: &pb::FilterList, at: &str) -> Result<Vec<Node>, Failure> {
    let pb::FilterList { filters } = list;
    let node = |(index, filter)| node_from_pb(filter, &format!("{at}.filters[{index}]"));
    filters.iter().enumerate().map(node).collect()
}

fn comparison_from_pb(comparison: &pb::Comparison, at: &str) -> Result<Comparison, Failure> {
    let pb::Comparison { field_id, op, values } = comparison;
    let op = operator_from_pb(*op, &format!("{at}.op"))?;
    let value = |(index, value)| {
        value_from_pb(value)
            .map_err(|refusal| invalid(violation_of(format!("{at}.values[{index}]"), &refusal)))
    };
    let values = values.iter().enumerate().map(value).collect::<Result<_, _>>()?;
    Ok(Comparison { field: field_id.as_str().into(), op, values })
}

fn operator_from_pb(number: i32, at: &str) -> Result<Operator, Failure> {
    use pb::ComparisonOperator as Pb;
    let unknown = || Failure::unknown_enum_value(at, number);
    Ok(match Pb::try_from(number).map_err(|_| unknown())? {
        Pb::Unspecified => return Err(unknown()),
        Pb::Equals => Operator::Equals,
        Pb::NotEquals => Operator::NotEquals,
        Pb::Less => Operator::Less,
        Pb::AtMost => Operator::AtMost,
        Pb::Greater => Operator::Greater,
        Pb::AtLeast => Operator::AtLeast,
        Pb::In => Operator::In,
        Pb::Contains => Operator::Contains,
        Pb::ContainsText => Operator::ContainsText,
        Pb::StartsWith => Operator::StartsWith,
    })
}

fn invalid(violation: FieldViolation) -> Failure {
    Failure::invalid_request(vec![violation])
}

#[cfg(test)]
mod tests {
    use syncline_core::value::Value;

    use super::super::value::value_to_pb;
    use super::*;
    use pb::ComparisonOperator as Op;

    fn filter(node: PbNode) -> pb::Filter {
        pb::Filter { node: Some(node) }
    }

    fn compare(field_id: &str, op: i32, values: Vec<pb::Value>) -> pb::Filter {
        filter(PbNode::Comparison(pb::Comparison { field_id: field_id.into(), op, values }))
    }

    fn one(op: Op) -> pb::Filter {
        compare("f", op.into(), vec![value_to_pb(&Value::string("x"))])
    }

    fn present(field_id: &str) -> pb::Filter {
        filter(PbNode::Present(pb::FieldPresent { field_id: field_id.into() }))
    }

    fn not(inner: pb::Filter) -> pb::Filter {
        filter(PbNode::NegationOf(Box::new(inner)))
    }

    fn all(filters: Vec<pb::Filter>) -> pb::Filter {
        filter(PbNode::AllOf(pb::FilterList { filters }))
    }

    fn any(filters: Vec<pb::Filter>) -> pb::Filter {
        filter(PbNode::AnyOf(pb::FilterList { filters }))
    }

    #[test]
    fn conditions_are_taken_as_they_are() {
        let sent = all(vec![one(Op::Equals), any(vec![not(one(Op::Contains)), present("g")])]);
        let comparison =
            |op| Node::Compare(Comparison { field: "f".into(), op, values: vec![Value::string("x")] });
        let expected = Node::AllOf(vec![
            comparison(Operator::Equals),
            Node::AnyOf(vec![Node::Not(Box::new(comparison(Operator::Contains))), Node::Present("g".into())]),
        ]);
        assert_eq!(filter_from_pb(&sent, "filter").expect("a condition").root(), &expected);
    }

    #[test]
    fn every_operator_has_its_own_meaning() {
        let operators: Vec<Operator> = (1..=10)
            .map(|number| {
                let op = Op::try_from(number).expect("an operator");
                match filter_from_pb(&one(op), "filter").expect("a condition").root() {
                    Node::Compare(comparison) => comparison.op,
                    other => panic!("{other:?}"),
                }
            })
            .collect();
        let names: Vec<String> = operators.iter().map(|op| format!("{op:?}")).collect();
        let expected = [
            "Equals",
            "NotEquals",
            "Less",
            "AtMost",
            "Greater",
            "AtLeast",
            "In",
            "Contains",
            "ContainsText",
            "StartsWith",
        ];
        assert_eq!(names, expected);
        assert!(Op::try_from(11).is_err(), "a new operator needs a meaning here");
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let null = || vec![pb::Value { kind: Some(pb::value::Kind::NullValue(pb::Null {})) }];
        let deep = (0..8).fold(present("f"), |inner, _| not(inner));
        let cases = [
            (pb::Filter::default(), "filter", ""),
            (all(vec![]), "filter.all_of.filters", ""),
            (all(vec![present("f"), not(pb::Filter::default())]), "filter.all_of.filters[1].negation_of", ""),
            (any(vec![present("a b")]), "filter.any_of.filters[0].present.field_id", ""),
            (compare("f", 1, vec![]), "filter.comparison.values", ""),
            (compare("f", 10, null()), "filter.comparison.values[0]", ""),
            (compare("f", 7, vec![pb::Value::default()]), "filter.comparison.values[0]", "INVALID_VALUE"),
            (
                not(compare("f", 1, vec![super::super::value::tests::nested(31)])),
                "filter.negation_of.comparison.values[0]",
                "VALUE_TOO_DEEP",
            ),
            (deep, &["filter"].into_iter().chain(["negation_of"; 8]).collect::<Vec<_>>().join("."), ""),
        ];
        for (sent, field, reason) in cases {
            let failure = filter_from_pb(&sent, "filter").expect_err(field);
            assert_eq!(failure.reason(), pb::ErrorReason::InvalidRequest);
            let found: Vec<_> =
                failure.violations().iter().map(|v| (v.field.as_str(), v.reason.as_str())).collect();
            assert_eq!(found, [(field, reason)]);
        }
        for number in [0, 11, -1] {
            let failure =
                filter_from_pb(&not(compare("f", number, null())), "filter").expect_err("no operator");
            assert_eq!(failure.reason(), pb::ErrorReason::UnknownEnumValue);
            assert_eq!(failure.metadata()["field"], "filter.negation_of.comparison.op");
            assert_eq!(failure.metadata()["value"], number.to_string());
        }
    }
}
