//! Laws of evaluation, over every field and value of a small world, and over random trees and numbers.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

/// What a value is, spelled out so that two values are equal exactly when their spellings are. Numbers are in units of
/// 1/2^40.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Spelling {
    Null,
    Bool(bool),
    Number(i128),
    Text(Vec<char>),
    Bytes(Vec<u8>),
    List(Vec<Spelling>),
    Map(Vec<(String, Spelling)>),
    /// In nanoseconds.
    Time(i128),
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "infinities become the ends of the range; nothing else is so far off"
)]
fn number(double: f64) -> i128 {
    (double * 2_f64.powi(40)) as i128
}

fn spelling(value: &Value) -> Spelling {
    match value {
        Value::Null => Spelling::Null,
        Value::Bool(truth) => Spelling::Bool(*truth),
        Value::Int(whole) => Spelling::Number(i128::from(*whole) << 40),
        Value::DoubleBits(bits) => Spelling::Number(number(f64::from_bits(*bits))),
        Value::String(text) => Spelling::Text(text.chars().collect()),
        Value::Bytes(bytes) => Spelling::Bytes(bytes.clone()),
        Value::List(values) => Spelling::List(values.iter().map(spelling).collect()),
        Value::Map(entries) => {
            Spelling::Map(entries.iter().map(|(name, value)| (name.clone(), spelling(value))).collect())
        }
        Value::Timestamp { seconds, nanos } => {
            Spelling::Time(i128::from(*seconds) * 1_000_000_000 + i128::from(*nanos))
        }
    }
}

/// The one value of a field, by the words of the protocol.
fn single(state: Option<&FieldStateView>) -> Option<Spelling> {
    match state {
        None | Some(FieldStateView::Target(None)) => Some(Spelling::Null),
        Some(FieldStateView::Register(value)) => Some(spelling(value)),
        Some(FieldStateView::Text(text)) => Some(Spelling::Text(text.chars().collect())),
        Some(FieldStateView::Counter(whole)) => Some(Spelling::Number(i128::from(*whole) << 40)),
        Some(FieldStateView::Target(Some(target))) => Some(Spelling::Text(target.chars().collect())),
        Some(FieldStateView::Elements(_) | FieldStateView::Targets(_)) => None,
    }
}

fn ordered(a: &Spelling, b: &Spelling) -> bool {
    !matches!(a, Spelling::List(_) | Spelling::Map(_))
        && std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// The same question, answered from spellings.
fn expected(op: Operator, state: Option<&FieldStateView>, value: &Value) -> bool {
    let wanted = spelling(value);
    if op == Operator::Contains {
        return match state {
            Some(FieldStateView::Elements(elements)) => elements.iter().any(|e| spelling(e) == wanted),
            Some(FieldStateView::Targets(targets)) => {
                targets.iter().any(|t| Spelling::Text(t.chars().collect()) == wanted)
            }
            _ => false,
        };
    }
    let Some(field) = single(state) else { return false };
    match op {
        Operator::Equals | Operator::In => field == wanted,
        Operator::NotEquals => field != wanted,
        Operator::Less => ordered(&field, &wanted) && field < wanted,
        Operator::AtMost => field == wanted || (ordered(&field, &wanted) && field < wanted),
        Operator::Greater => ordered(&field, &wanted) && field > wanted,
        Operator::AtLeast => field == wanted || (ordered(&field, &wanted) && field > wanted),
        Operator::ContainsText | Operator::StartsWith => match (field, wanted) {
            (Spelling::Text(text), Spelling::Text(part)) => {
                let starts = |at: usize| text[at..].starts_with(&part);
                starts(0) || (op == Operator::ContainsText && (0..=text.len()).any(starts))
            }
            _ => false,
        },
        Operator::Contains => unreachable!("answered above"),
    }
}

/// Every comparison of the small world that is a condition.
fn every_comparison(mut each: impl FnMut(Operator, Option<&FieldStateView>, &Value)) {
    for state in states() {
        for value in values() {
            for op in OPERATORS {
                if Filter::new(compare(op, vec![value.clone()])).is_ok() {
                    each(op, state.as_ref(), &value);
                }
            }
        }
    }
}

#[test]
fn every_comparison_is_what_the_words_say() {
    let mut count = 0;
    every_comparison(|op, state, value| {
        count += 1;
        let answer = holds(compare(op, vec![value.clone()]), state);
        assert_eq!(answer, expected(op, state, value), "{state:?} {op:?} {value:?}");
    });
    assert!(count > 20_000, "{count} comparisons");
}

#[test]
fn comparisons_agree_with_each_other() {
    for state in states() {
        let state = state.as_ref();
        let single = single(state).is_some();
        for value in values() {
            let is = |op| holds(compare(op, vec![value.clone()]), state);
            let (equals, less, greater) = (is(Operator::Equals), is(Operator::Less), is(Operator::Greater));
            let context = format!("{state:?} and {value:?}");
            assert_eq!(is(Operator::AtMost), less || equals, "{context}");
            assert_eq!(is(Operator::AtLeast), greater || equals, "{context}");
            assert_eq!(is(Operator::NotEquals), single && !equals, "{context}");
            assert_eq!(is(Operator::In), equals, "{context}");
            assert!(u8::from(equals) + u8::from(less) + u8::from(greater) <= 1, "{context}");
        }
    }
}

#[test]
fn a_comparison_turned_round_is_the_opposite_one() {
    for a in values() {
        for b in values() {
            let is = |field: &Value, op, value: &Value| {
                holds(compare(op, vec![value.clone()]), Some(&FieldStateView::Register(field.clone())))
            };
            let context = format!("{a:?} and {b:?}");
            assert_eq!(is(&a, Operator::Less, &b), is(&b, Operator::Greater, &a), "{context}");
            assert_eq!(is(&a, Operator::AtMost, &b), is(&b, Operator::AtLeast, &a), "{context}");
            assert_eq!(is(&a, Operator::Equals, &b), is(&b, Operator::Equals, &a), "{context}");
            assert!(is(&a, Operator::Equals, &a));
        }
    }
}

#[test]
fn a_field_is_present_when_it_is_something_else_than_null() {
    for state in states() {
        let present = holds(Node::Present("f".into()), state.as_ref());
        let expected = match &state {
            Some(FieldStateView::Elements(elements)) => !elements.is_empty(),
            Some(FieldStateView::Targets(targets)) => !targets.is_empty(),
            state => holds(compare(Operator::NotEquals, vec![Value::Null]), state.as_ref()),
        };
        assert_eq!(present, expected, "{state:?}");
    }
}

#[test]
fn in_is_any_of_equals_whatever_the_order_of_its_values() {
    let mut random = StdRng::seed_from_u64(3);
    let (values, states) = (values(), states());
    for _ in 0..5_000 {
        let state = states[random.random_range(0..states.len())].as_ref();
        let count = random.random_range(1..12);
        let some: Vec<Value> =
            (0..count).map(|_| values[random.random_range(0..values.len())].clone()).collect();
        let equals = some.iter().any(|value| holds(compare(Operator::Equals, vec![value.clone()]), state));
        assert_eq!(holds(compare(Operator::In, some.clone()), state), equals, "{state:?} in {some:?}");
    }
}

#[test]
fn whole_numbers_and_doubles_compare_by_value_also_where_doubles_have_gaps() {
    let mut random = StdRng::seed_from_u64(4);
    for round in 0..200_000 {
        let whole: i64 = match round % 4 {
            0 => random.random(),
            1 => (1 << random.random_range(50..63)) + random.random_range(-3..4),
            2 => -(1 << random.random_range(50..63)) + random.random_range(-3..4),
            _ => random.random_range(-5..5),
        };
        #[allow(clippy::cast_precision_loss, reason = "a double near the whole number")]
        let near = whole as f64;
        let double_near = match random.random_range(0..4) {
            0 => near.next_up(),
            1 => near.next_down(),
            2 => near + random.random_range(-2_i32..3) as f64 / 4.0,
            _ => near,
        };
        let field = FieldStateView::Register(Value::Int(whole));
        let exact = (i128::from(whole) << 40).cmp(&number(double_near));
        // The exact numbers here cannot tell apart what is nearer than 1/2^40.
        if double_near.fract() != 0.0 && double_near.fract().abs() < 1e-6 {
            continue;
        }
        let is = |op| holds(compare(op, vec![double(double_near)]), Some(&field));
        let answers = (is(Operator::Less), is(Operator::Equals), is(Operator::Greater));
        assert_eq!(answers, (exact.is_lt(), exact.is_eq(), exact.is_gt()), "{whole} and {double_near:?}");
    }
}

#[test]
fn the_smallest_differences_count() {
    let two_63 = 9_223_372_036_854_775_808.0;
    let cases = [
        (0, 5e-324, Operator::Less),
        (0, -5e-324, Operator::Greater),
        (0, -0.0, Operator::Equals),
        (3, 3_f64.next_up(), Operator::Less),
        (3, 3_f64.next_down(), Operator::Greater),
        (-3, (-3_f64).next_down(), Operator::Greater),
        (i64::MAX, two_63, Operator::Less),
        (i64::MIN, -two_63, Operator::Equals),
        (i64::MIN, (-two_63).next_down(), Operator::Greater),
        (i64::MAX, f64::INFINITY, Operator::Less),
        (i64::MIN, f64::NEG_INFINITY, Operator::Greater),
        ((1 << 53) + 1, 9_007_199_254_740_992.0, Operator::Greater),
    ];
    for (whole, number, op) in cases {
        for (field, value) in [
            (FieldStateView::Counter(whole), double(number)),
            (FieldStateView::Register(Value::Int(whole)), double(number)),
        ] {
            for other in [Operator::Less, Operator::Equals, Operator::Greater] {
                let answer = holds(compare(other, vec![value.clone()]), Some(&field));
                assert_eq!(answer, other == op, "{whole} {other:?} {number:?}");
            }
        }
    }
}

/// Any tree of at most so many levels over the fields `a`, `b` and `c`, with what it is made of.
fn any_tree(random: &mut StdRng, levels: u32) -> Node {
    let fields = ["a", "b", "c"];
    let field = fields[random.random_range(0..fields.len())];
    let values = values();
    let some = |random: &mut StdRng, level| {
        let count = random.random_range(1..4);
        (0..count).map(|_| any_tree(random, level)).collect::<Vec<_>>()
    };
    match random.random_range(0..if levels > 1 { 5 } else { 2 }) {
        0 => Node::Present(field.into()),
        1 => {
            let op = OPERATORS[random.random_range(0..7)];
            compare_field(field, op, vec![values[random.random_range(0..values.len())].clone()])
        }
        2 => Node::AllOf(some(random, levels - 1)),
        3 => Node::AnyOf(some(random, levels - 1)),
        _ => not(any_tree(random, levels - 1)),
    }
}

/// The opposite of a tree, with negations at its leaves only.
fn opposite(node: &Node) -> Node {
    match node {
        Node::AllOf(nodes) => Node::AnyOf(nodes.iter().map(opposite).collect()),
        Node::AnyOf(nodes) => Node::AllOf(nodes.iter().map(opposite).collect()),
        Node::Not(node) => (**node).clone(),
        leaf => not(leaf.clone()),
    }
}

#[test]
fn trees_obey_the_laws_of_logic() {
    let mut random = StdRng::seed_from_u64(5);
    let states = states();
    let (mut held, mut checked) = (0, 0);
    for _ in 0..20_000 {
        let tree = any_tree(&mut random, 4);
        let Ok(filter) = Filter::new(tree.clone()) else { continue };
        let record: Vec<(&str, Option<FieldStateView>)> =
            ["a", "b", "c"].map(|f| (f, states[random.random_range(0..states.len())].clone())).to_vec();
        let fields = |wanted: &str| {
            record.iter().find(|(field, _)| *field == wanted).and_then(|(_, state)| state.as_ref())
        };
        let answer = filter.holds(&fields);
        let says = |node: Node| Filter::new(node).map(|filter| filter.holds(&fields));
        for same in [not(not(tree.clone())), Node::AllOf(vec![tree.clone()]), Node::AnyOf(vec![tree.clone()])]
        {
            assert_eq!(says(same), Ok(answer), "{tree:?}");
        }
        for contrary in [not(tree.clone()), opposite(&tree)] {
            assert!(says(contrary).is_ok_and(|other| other != answer), "{tree:?}");
        }
        if let Node::AllOf(nodes) | Node::AnyOf(nodes) = &tree {
            let truths: Vec<bool> = nodes.iter().map(|node| says(node.clone()) == Ok(true)).collect();
            let all = matches!(tree, Node::AllOf(_));
            let expected = if all { !truths.contains(&false) } else { truths.contains(&true) };
            assert_eq!(answer, expected, "{tree:?}");
        }
        held += usize::from(answer);
        checked += 1;
    }
    assert!(checked > 10_000 && held > checked / 5 && held < checked * 4 / 5, "{held} of {checked} hold");
}
