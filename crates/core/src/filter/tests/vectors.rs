//! Conditions with their answers as vectors that clients in other languages run: `clients/vectors/filter.json`.
//!
//! The answers are written here by hand; the evaluator has to agree with them, and the file is made from them.
//! Records and conditions are in protobuf's JSON. `UPDATE_VECTORS=1 cargo test -p syncline-core vectors` writes the file;
//! without it the test checks that it is up to date.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::*;

/// A record's fields, by name.
type Record = Vec<(&'static str, FieldStateView)>;

struct Vector {
    record: Record,
    filter: Node,
    expected: bool,
}

/// How a field's value compares with another one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    Less,
    Equal,
    Greater,
    /// Two values that are not equal and have no order: of different kinds, or lists and maps.
    Apart,
    /// The field has no single value, so that it is compared with `contains` only.
    NotSingle,
}

impl Stands {
    /// The answers of the seven operators that compare values, in the order of [`OPERATORS`].
    fn answers(self) -> [bool; 7] {
        match self {
            //                 =      ≠      <      ≤      >      ≥     in
            Stands::Less => [false, true, true, true, false, false, false],
            Stands::Equal => [true, false, false, true, false, true, true],
            Stands::Greater => [false, true, false, false, true, true, false],
            Stands::Apart => [false, true, false, false, false, false, false],
            Stands::NotSingle => [false; 7],
        }
    }
}

fn register(value: Value) -> FieldStateView {
    FieldStateView::Register(value)
}

fn int(number: i64) -> FieldStateView {
    register(Value::Int(number))
}

fn string(text: &str) -> FieldStateView {
    register(Value::string(text))
}

fn text(text: &str) -> FieldStateView {
    FieldStateView::Text(text.to_owned())
}

fn elements(values: Vec<Value>) -> FieldStateView {
    FieldStateView::Elements(values)
}

fn link(target: Option<&str>) -> FieldStateView {
    FieldStateView::Target(target.map(Into::into))
}

fn links(targets: &[&str]) -> FieldStateView {
    FieldStateView::Targets(targets.iter().map(|target| (*target).into()).collect())
}

/// Fields and values, and how they compare with each other.
fn pairs() -> Vec<(Option<FieldStateView>, Value, Stands)> {
    use Stands::{Apart, Equal, Greater, Less, NotSingle};
    let two_53 = 9_007_199_254_740_992.0;
    let two_63 = 9_223_372_036_854_775_808.0;
    vec![
        // Nothing there.
        (None, Value::Null, Equal),
        (None, Value::Bool(false), Apart),
        (None, Value::Int(0), Apart),
        (None, Value::string(""), Apart),
        (Some(register(Value::Null)), Value::Null, Equal),
        (Some(register(Value::Null)), Value::string("null"), Apart),
        // Truth values.
        (Some(register(Value::Bool(false))), Value::Bool(true), Less),
        (Some(register(Value::Bool(true))), Value::Bool(true), Equal),
        (Some(register(Value::Bool(true))), Value::Int(1), Apart),
        (Some(register(Value::Bool(true))), Value::string("true"), Apart),
        // Numbers.
        (Some(int(1)), Value::Int(2), Less),
        (Some(int(2)), Value::Int(2), Equal),
        (Some(int(-1)), Value::Int(-2), Greater),
        (Some(int(1)), double(1.0), Equal),
        (Some(int(1)), double(1.5), Less),
        (Some(int(-1)), double(-1.5), Greater),
        (Some(register(double(1.0))), Value::Int(1), Equal),
        (Some(register(double(0.0))), double(-0.0), Equal),
        (Some(register(double(-0.0))), Value::Int(0), Equal),
        (Some(register(double(0.1))), double(0.2), Less),
        (Some(int((1 << 53) + 1)), double(two_53), Greater),
        (Some(int(1 << 53)), double(two_53), Equal),
        (Some(int((1 << 53) + 1)), Value::Int(1 << 53), Greater),
        (Some(int(i64::MAX)), double(two_63), Less),
        (Some(int(i64::MAX)), Value::Int(i64::MAX - 1), Greater),
        (Some(int(i64::MIN)), double(-two_63), Equal),
        (Some(int(i64::MIN)), double(f64::NEG_INFINITY), Greater),
        (Some(register(double(f64::INFINITY))), Value::Int(i64::MAX), Greater),
        (Some(register(double(f64::INFINITY))), double(f64::INFINITY), Equal),
        (Some(int(1)), Value::string("1"), Apart),
        (Some(FieldStateView::Counter(3)), Value::Int(3), Equal),
        (Some(FieldStateView::Counter(3)), double(3.5), Less),
        (Some(FieldStateView::Counter(0)), Value::Null, Apart),
        // Strings and texts.
        (Some(string("a")), Value::string("b"), Less),
        (Some(string("a")), Value::string("a"), Equal),
        (Some(string("a")), Value::string("A"), Greater),
        (Some(string("a")), Value::string("ab"), Less),
        (Some(string("10")), Value::string("9"), Less),
        (Some(string("")), Value::Null, Apart),
        (Some(string("\u{e9}")), Value::string("e\u{301}"), Greater),
        (Some(string("\u{ff5e}")), Value::string("🦊"), Less),
        (Some(string("🦊")), Value::string("🦋"), Less),
        (Some(string("a")), Value::Bytes(b"a".to_vec()), Apart),
        (Some(text("whole text")), Value::string("whole text"), Equal),
        (Some(text("whole text")), Value::string("whole"), Greater),
        (Some(text("")), Value::Null, Apart),
        (Some(text("1")), Value::Int(1), Apart),
        // Bytes.
        (Some(register(Value::Bytes(vec![1, 255]))), Value::Bytes(vec![2]), Less),
        (Some(register(Value::Bytes(vec![200]))), Value::Bytes(vec![100]), Greater),
        (Some(register(Value::Bytes(vec![]))), Value::Bytes(vec![]), Equal),
        // Times.
        (Some(register(time(1_700_000_000, 0))), time(1_700_000_000, 1), Less),
        (Some(register(time(1_700_000_000, 500_000_000))), time(1_700_000_000, 500_000_000), Equal),
        (Some(register(time(0, 0))), time(-1, 999_999_999), Greater),
        (Some(register(time(0, 0))), Value::Int(0), Apart),
        (Some(register(time(0, 0))), Value::string("1970-01-01T00:00:00Z"), Apart),
        // Lists and maps.
        (Some(register(list(vec![Value::Int(1), Value::Null]))), list(vec![double(1.0), Value::Null]), Equal),
        (Some(register(list(vec![Value::Int(1)]))), list(vec![Value::Int(2)]), Apart),
        (Some(register(list(vec![Value::Int(1)]))), Value::Int(1), Apart),
        (
            Some(register(map([("b", Value::Int(1)), ("a", Value::Null)]))),
            map([("a", Value::Null), ("b", double(1.0))]),
            Equal,
        ),
        (Some(register(map([("a", Value::Int(1))]))), map([("a", Value::Int(2))]), Apart),
        (Some(register(map([("a", Value::Null)]))), map([]), Apart),
        // To-one links are compared as the id of their target.
        (Some(link(Some("p1"))), Value::string("p1"), Equal),
        (Some(link(Some("p1"))), Value::string("p2"), Less),
        (Some(link(None)), Value::Null, Equal),
        (Some(link(None)), Value::string(""), Apart),
        // Sets and to-many links have no single value.
        (Some(elements(vec![Value::Int(1)])), Value::Int(1), NotSingle),
        (Some(elements(vec![])), Value::Null, NotSingle),
        (Some(links(&["p1"])), Value::string("p1"), NotSingle),
        (Some(links(&[])), Value::Null, NotSingle),
    ]
}

fn fields(state: Option<FieldStateView>) -> Record {
    state.map(|state| ("f", state)).into_iter().collect()
}

/// Every pair with the seven operators that compare values.
fn comparisons() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (state, value, stands) in pairs() {
        for (op, expected) in OPERATORS.into_iter().zip(stands.answers()) {
            let filter = compare(op, vec![value.clone()]);
            vectors.push(Vector { record: fields(state.clone()), filter, expected });
        }
    }
    vectors
}

/// What is said about elements, parts of texts, presence and several values.
fn others() -> Vec<Vector> {
    let contains = |value: Value| compare(Operator::Contains, vec![value]);
    let contains_text = |part: &str| compare(Operator::ContainsText, vec![Value::string(part)]);
    let starts_with = |part: &str| compare(Operator::StartsWith, vec![Value::string(part)]);
    let one_of = |values: Vec<Value>| compare(Operator::In, values);
    let present = || Node::Present("f".into());
    let tags = || elements(vec![Value::Int(1), Value::string("a"), Value::Bool(true), double(2.5)]);
    let several = || vec![Value::string("b"), Value::Int(3), Value::Null, Value::string("a"), double(1.0)];
    let cases: Vec<(Option<FieldStateView>, Node, bool)> = vec![
        (Some(tags()), contains(Value::Int(1)), true),
        (Some(tags()), contains(double(1.0)), true),
        (Some(tags()), contains(Value::string("1")), false),
        (Some(tags()), contains(double(2.5)), true),
        (Some(tags()), contains(Value::Null), false),
        (Some(elements(vec![Value::Null])), contains(Value::Null), true),
        (Some(elements(vec![])), contains(Value::Null), false),
        (Some(elements(vec![double(-0.0)])), contains(Value::Int(0)), true),
        (Some(links(&["p1", "p2"])), contains(Value::string("p2")), true),
        (Some(links(&["p1", "p2"])), contains(Value::string("p3")), false),
        (Some(links(&["1"])), contains(Value::Int(1)), false),
        (Some(link(Some("p1"))), contains(Value::string("p1")), false),
        (Some(string("a")), contains(Value::string("a")), false),
        (Some(register(list(vec![Value::Int(1)]))), contains(Value::Int(1)), false),
        (None, contains(Value::Null), false),
        (Some(text("a fox 🦊 ran")), contains_text("🦊 r"), true),
        (Some(text("a fox ran")), contains_text("Fox"), false),
        (Some(text("a fox ran")), contains_text(""), true),
        (Some(text("")), contains_text(""), true),
        (Some(string("a fox ran")), contains_text("ran"), true),
        (Some(string("caf\u{e9}")), contains_text("cafe\u{301}"), false),
        (Some(link(Some("person-1"))), contains_text("son"), true),
        (Some(int(12)), contains_text("1"), false),
        (Some(elements(vec![Value::string("fox")])), contains_text("fox"), false),
        (None, contains_text(""), false),
        (Some(text("a fox ran")), starts_with("a f"), true),
        (Some(text("a fox ran")), starts_with("fox"), false),
        (Some(string("🦊🦋")), starts_with("🦊"), true),
        (Some(string("a")), starts_with("ab"), false),
        (Some(link(Some("person-1"))), starts_with("person-"), true),
        (Some(register(Value::Null)), starts_with(""), false),
        (Some(links(&["person-1"])), starts_with("person"), false),
        (Some(string("a")), one_of(several()), true),
        (Some(string("c")), one_of(several()), false),
        (Some(int(1)), one_of(several()), true),
        (Some(FieldStateView::Counter(3)), one_of(several()), true),
        (Some(register(double(3.0))), one_of(several()), true),
        (Some(register(double(3.5))), one_of(several()), false),
        (None, one_of(several()), true),
        (Some(link(Some("b"))), one_of(several()), true),
        (Some(tags()), one_of(several()), false),
        (None, present(), false),
        (Some(register(Value::Null)), present(), false),
        (Some(register(Value::Bool(false))), present(), true),
        (Some(int(0)), present(), true),
        (Some(string("")), present(), true),
        (Some(register(list(vec![]))), present(), true),
        (Some(text("")), present(), true),
        (Some(FieldStateView::Counter(0)), present(), true),
        (Some(link(None)), present(), false),
        (Some(link(Some("p1"))), present(), true),
        (Some(elements(vec![])), present(), false),
        (Some(elements(vec![Value::Null])), present(), true),
        (Some(links(&[])), present(), false),
        (Some(links(&["p1"])), present(), true),
    ];
    let vector = |(state, filter, expected)| Vector { record: fields(state), filter, expected };
    cases.into_iter().map(vector).collect()
}

/// Whole conditions on one record.
fn trees() -> Vec<Vector> {
    let record = || -> Record {
        vec![
            ("title", string("Plan the launch")),
            ("status", string("open")),
            ("votes", FieldStateView::Counter(12)),
            ("notes", text("call Grace")),
            ("owner", link(Some("ada"))),
            ("tags", elements(vec![Value::string("red"), Value::string("big")])),
        ]
    };
    let is = |field: &str, op, value: &str| compare_field(field, op, vec![Value::string(value)]);
    let open = || is("status", Operator::Equals, "open");
    let done = || is("status", Operator::Equals, "done");
    let many = || compare_field("votes", Operator::AtLeast, vec![Value::Int(10)]);
    let red = || is("tags", Operator::Contains, "red");
    let due = || Node::Present("due".into());
    let cases = vec![
        (Node::AllOf(vec![open(), many(), red()]), true),
        (Node::AllOf(vec![open(), many(), due()]), false),
        (Node::AnyOf(vec![done(), due(), red()]), true),
        (Node::AnyOf(vec![done(), due()]), false),
        (not(done()), true),
        (not(open()), false),
        (not(not(open())), true),
        (Node::AllOf(vec![open()]), true),
        (Node::AnyOf(vec![done()]), false),
        (Node::AllOf(vec![Node::AnyOf(vec![done(), open()]), not(due())]), true),
        (Node::AllOf(vec![Node::AnyOf(vec![done(), open()]), due()]), false),
        (Node::AnyOf(vec![Node::AllOf(vec![done(), many()]), Node::AllOf(vec![open(), red()])]), true),
        (not(Node::AnyOf(vec![done(), due()])), true),
        (not(Node::AllOf(vec![open(), many()])), false),
        // Neither less nor at least: a missing field has no order with a number.
        (compare_field("due", Operator::Less, vec![Value::Int(5)]), false),
        (not(compare_field("due", Operator::AtLeast, vec![Value::Int(5)])), true),
        (is("owner", Operator::Equals, "ada"), true),
        (is("notes", Operator::ContainsText, "Grace"), true),
        // The names of fields are told apart by case.
        (is("Status", Operator::Equals, "open"), false),
        (is("Status", Operator::NotEquals, "open"), true),
    ];
    cases.into_iter().map(|(filter, expected)| Vector { record: record(), filter, expected }).collect()
}

/// Conditions that are refused, and where the fault is.
fn refused() -> Vec<(Node, &'static str)> {
    let leaf = || compare(Operator::Equals, vec![Value::Int(1)]);
    let deep = (0..8).fold(leaf(), |inner, _| not(inner));
    let wide = Node::AllOf(vec![Node::AnyOf(vec![leaf(); 32]), Node::AnyOf(vec![leaf(); 30])]);
    vec![
        (
            deep,
            "negation_of.negation_of.negation_of.negation_of.negation_of.negation_of.negation_of.negation_of",
        ),
        (wide, "all_of.filters[1].any_of.filters[29]"),
        (Node::AllOf(vec![]), "all_of.filters"),
        (Node::AnyOf(vec![]), "any_of.filters"),
        (Node::AllOf(vec![leaf(); 33]), "all_of.filters"),
        (Node::Present(String::new().into()), "present.field_id"),
        (not(compare_field("a b", Operator::Equals, vec![Value::Null])), "negation_of.comparison.field_id"),
        (compare(Operator::Equals, vec![]), "comparison.values"),
        (compare(Operator::NotEquals, vec![Value::Int(1), Value::Int(2)]), "comparison.values"),
        (compare(Operator::In, vec![]), "comparison.values"),
        (compare(Operator::Contains, vec![list(vec![])]), "comparison.values[0]"),
        (compare(Operator::ContainsText, vec![Value::Int(1)]), "comparison.values[0]"),
        (
            Node::AnyOf(vec![leaf(), compare(Operator::StartsWith, vec![Value::Null])]),
            "any_of.filters[1].comparison.values[0]",
        ),
    ]
}

fn double_json(number: f64) -> Json {
    match number {
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        number => json!(number),
    }
}

/// Base64 as RFC 4648 has it, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let number = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= chunk.len() { char::from(DIGITS[number]) } else { '=' });
        }
    }
    text
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::Null => json!({ "nullValue": {} }),
        Value::Bool(truth) => json!({ "boolValue": truth }),
        Value::Int(number) => json!({ "intValue": number.to_string() }),
        Value::DoubleBits(bits) => json!({ "doubleValue": double_json(f64::from_bits(*bits)) }),
        Value::String(text) => json!({ "stringValue": text }),
        Value::Bytes(bytes) => json!({ "bytesValue": base64(bytes) }),
        Value::List(values) => json!({ "listValue": { "values": values_json(values) } }),
        Value::Map(entries) => {
            let entries: BTreeMap<_, _> = entries.iter().map(|(name, v)| (name, value_json(v))).collect();
            json!({ "mapValue": { "entries": entries } })
        }
        Value::Timestamp { seconds, nanos } => json!({ "timestampValue": time_text(*seconds, *nanos) }),
    }
}

/// A time of 1969 to 2100 as RFC 3339 writes it, with as many digits of a second as protobuf's JSON has.
fn time_text(seconds: i64, nanos: u32) -> String {
    let (mut day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    while day < 0 {
        year -= 1;
        day += if leap(year) { 366 } else { 365 };
    }
    while day >= if leap(year) { 366 } else { 365 } {
        day -= if leap(year) { 366 } else { 365 };
        year += 1;
    }
    let mut month = 1;
    for length in [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let fraction = match nanos {
        0 => String::new(),
        nanos if nanos % 1_000_000 == 0 => format!(".{:03}", nanos / 1_000_000),
        nanos if nanos % 1_000 == 0 => format!(".{:06}", nanos / 1_000),
        nanos => format!(".{nanos:09}"),
    };
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z", day + 1)
}

#[test]
fn times_are_written_as_rfc_3339() {
    assert_eq!(time_text(0, 0), "1970-01-01T00:00:00Z");
    assert_eq!(time_text(-1, 999_999_999), "1969-12-31T23:59:59.999999999Z");
    assert_eq!(time_text(1_700_000_000, 500_000_000), "2023-11-14T22:13:20.500Z");
    assert_eq!(time_text(1_709_164_800, 1_000), "2024-02-29T00:00:00.000001Z");
}

fn values_json(values: &[Value]) -> Json {
    values.iter().map(value_json).collect()
}

fn field_json(state: &FieldStateView) -> Json {
    match state {
        FieldStateView::Register(value) => json!({ "registerValue": value_json(value) }),
        FieldStateView::Text(text) => json!({ "text": text }),
        FieldStateView::Counter(number) => json!({ "counter": number.to_string() }),
        FieldStateView::Elements(values) => json!({ "elements": { "values": values_json(values) } }),
        FieldStateView::Target(None) => json!({ "link": {} }),
        FieldStateView::Target(Some(target)) => json!({ "link": { "targetRecordId": target.as_str() } }),
        FieldStateView::Targets(targets) => {
            let ids: Vec<&str> = targets.iter().map(|target| &**target).collect();
            json!({ "links": { "recordIds": ids } })
        }
    }
}

fn operator_name(op: Operator) -> &'static str {
    match op {
        Operator::Equals => "EQUALS",
        Operator::NotEquals => "NOT_EQUALS",
        Operator::Less => "LESS",
        Operator::AtMost => "AT_MOST",
        Operator::Greater => "GREATER",
        Operator::AtLeast => "AT_LEAST",
        Operator::In => "IN",
        Operator::Contains => "CONTAINS",
        Operator::ContainsText => "CONTAINS_TEXT",
        Operator::StartsWith => "STARTS_WITH",
    }
}

fn filter_json(node: &Node) -> Json {
    let list = |nodes: &[Node]| json!({ "filters": nodes.iter().map(filter_json).collect::<Json>() });
    match node {
        Node::AllOf(nodes) => json!({ "allOf": list(nodes) }),
        Node::AnyOf(nodes) => json!({ "anyOf": list(nodes) }),
        Node::Not(node) => json!({ "negationOf": filter_json(node) }),
        Node::Present(field) => json!({ "present": { "fieldId": field.as_str() } }),
        Node::Compare(Comparison { field, op, values }) => json!({ "comparison": {
            "fieldId": field.as_str(),
            "op": format!("COMPARISON_OPERATOR_{}", operator_name(*op)),
            "values": values_json(values),
        } }),
    }
}

/// One vector a line, so that a change shows where it is.
fn lines(name: &str, items: &[Json]) -> String {
    let items: Vec<String> = items.iter().map(Json::to_string).collect();
    format!("\"{name}\": [\n{}\n]", items.join(",\n"))
}

fn vectors() -> String {
    let mut answered = Vec::new();
    for Vector { record, filter, expected } in comparisons().into_iter().chain(others()).chain(trees()) {
        let fields: BTreeMap<_, _> = record.iter().map(|(id, state)| (*id, field_json(state))).collect();
        answered.push(json!({ "fields": fields, "filter": filter_json(&filter), "expected": expected }));
    }
    assert!(answered.len() > 150, "{} vectors", answered.len());
    let refused: Vec<Json> = refused()
        .into_iter()
        .map(|(filter, path)| json!({ "filter": filter_json(&filter), "path": path }))
        .collect();
    format!("{{\n{},\n{}\n}}\n", lines("answered", &answered), lines("refused", &refused))
}

#[test]
fn the_answers_of_the_vectors_are_those_of_the_evaluator() {
    for Vector { record, filter, expected } in comparisons().into_iter().chain(others()).chain(trees()) {
        let checked = Filter::new(filter.clone()).expect("a condition");
        let fields = |wanted: &str| record.iter().find(|(id, _)| *id == wanted).map(|(_, state)| state);
        assert_eq!(checked.holds(&fields), expected, "{filter:?} on {record:?}");
    }
    for (filter, path) in refused() {
        let error = Filter::new(filter.clone()).expect_err("no condition");
        assert_eq!(error.path, path, "{filter:?}");
    }
}

#[test]
fn bytes_are_written_as_base64() {
    let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
    for (bytes, text) in cases {
        assert_eq!(base64(bytes.as_bytes()), text);
    }
}

#[test]
fn the_filter_vectors_of_clients_are_up_to_date() {
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "..", "clients", "vectors", "filter.json"].iter().collect();
    let now = vectors();
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, &now).expect("writing the vectors");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == now,
        "clients/vectors/filter.json is out of date: UPDATE_VECTORS=1 cargo test -p syncline-core vectors"
    );
}
