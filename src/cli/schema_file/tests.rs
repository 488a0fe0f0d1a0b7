//! Schema files as people write them, well and badly.

use proptest::prelude::*;
use syncline_core::schema::{
    Collection, CollectionUpdate, Field, FieldKind, FieldUpdate, OnClash, OnDominate, Provisional, Schema,
    SchemaWord,
};

use syncline_core::unknown::Unknown;

use super::*;

fn yaml(text: &str) -> SchemaUpdate {
    from_yaml(text).unwrap_or_else(|(place, detail)| panic!("{place:?}: {detail}"))
}

fn json(text: &str) -> SchemaUpdate {
    from_json(text).unwrap_or_else(|(place, detail)| panic!("{place:?}: {detail}"))
}

const BOARD: &str = "\
strict: true
collections:
  cards:
    title: register            # the kind alone
    body: text
    votes: counter
    tags: set
    assignee: { kind: to_one, on_clash: settle, provisional: latest }
    blocked_by:
      kind: to_many
      on_dominate: supersede
  people:
  columns: {}
";

fn board() -> SchemaUpdate {
    let assignee = FieldUpdate {
        on_clash: Some(OnClash::Settle),
        provisional: Some(Provisional::Latest),
        ..FieldUpdate::of(FieldKind::ToOne)
    };
    let blocked_by =
        FieldUpdate { on_dominate: Some(OnDominate::Supersede), ..FieldUpdate::of(FieldKind::ToMany) };
    let fields = [
        ("title".into(), FieldUpdate::of(FieldKind::Register)),
        ("body".into(), FieldUpdate::of(FieldKind::Text)),
        ("votes".into(), FieldUpdate::of(FieldKind::Counter)),
        ("tags".into(), FieldUpdate::of(FieldKind::Set)),
        ("assignee".into(), assignee),
        ("blocked_by".into(), blocked_by),
    ];
    let collections = [
        ("cards".into(), CollectionUpdate { fields: fields.into() }),
        ("people".into(), CollectionUpdate::default()),
        ("columns".into(), CollectionUpdate::default()),
    ];
    SchemaUpdate { strict: Some(true), collections: collections.into() }
}

#[test]
fn a_board_reads_alike_in_yaml_and_json() {
    assert_eq!(yaml(BOARD), board());
    let text = r#"{"$schema": "../docs/schema-file.schema.json", "strict": true, "collections": {
        "cards": {"title": "register", "body": {"kind": "text"}, "votes": "counter", "tags": "set",
            "assignee": {"kind": "to_one", "on_clash": "settle", "provisional": "latest"},
            "blocked_by": {"on_dominate": "supersede", "kind": "to_many"}},
        "people": null, "columns": {}}}"#;
    assert_eq!(json(text), board());
    assert_eq!(yaml(&text.replace("            ", "\t")), board(), "JSON is YAML too, on standard input");
}

#[test]
fn what_a_file_does_not_mention_is_not_asked_for() {
    for text in ["{}", "collections: {}", "collections:", "# nothing\n{}\n"] {
        assert_eq!(yaml(text), SchemaUpdate::default(), "{text:?}");
    }
    assert_eq!(yaml("strict: false").strict, Some(false));
}

#[test]
fn words_of_yaml_are_names_too() {
    let update = yaml("collections: { null: { true: register, 12: text, on: set } }");
    let fields: Vec<&str> = update.collections["null"].fields.keys().map(|id| &**id).collect();
    assert_eq!(fields, ["12", "on", "true"]);
}

/// Every mistake with its place in YAML and what the message has to say.
const MISTAKES: [(&str, (u64, u64), &str); 17] = [
    ("strikt: true\n", (1, 1), "a schema file has no key `strikt`; did you mean `strict`?"),
    ("strict: true\nfields: {}\n", (2, 1), "there are `strict`, `collections` and `$schema`"),
    ("strict: yes\n", (1, 9), "bool"),
    ("collections:\n  cards:\n    title: regster\n", (3, 12), "did you mean `register`?"),
    (
        "collections:\n  cards:\n    title: string\n",
        (3, 12),
        "`cards.title`: there is no field kind `string`",
    ),
    ("collections:\n  cards:\n    title: { knd: register }\n", (3, 14), "did you mean `kind`?"),
    ("collections:\n  cards:\n    title: { on_clash: settle }\n", (3, 12), "`cards.title` has no `kind`"),
    (
        "collections:\n  cards:\n    title: { kind: text, on_clash: setle }\n",
        (3, 36),
        "`cards.title`: there is no rule for clashes `setle`; did you mean `settle`?",
    ),
    ("collections:\n  cards:\n    title: { kind: text, on_clash: 1 }\n", (3, 36), "no rule for clashes `1`"),
    ("collections:\n  cards:\n    title: true\n", (3, 5), "a kind for `cards.title`"),
    ("collections:\n  cards:\n    title: [register]\n", (3, 5), "a kind for `cards.title`"),
    ("collections:\n  cards: register\n", (2, 3), "the fields of `cards`"),
    ("collections:\n  cards:\n    \"a b\": text\n", (3, 5), "`a b` cannot be a field of `cards`"),
    ("collections:\n  cärds: {}\n", (2, 3), "`cärds` cannot be a collection"),
    ("collections:\n  cards: {}\n  cards: {}\n", (3, 3), "cards"),
    ("- strict\n", (1, 1), "a schema"),
    ("collections:\n  cards: {\n", (2, 10), "unclosed"),
];

#[test]
fn mistakes_are_told_with_their_place() {
    let mut wrong = Vec::new();
    for (text, expected, message) in MISTAKES {
        match from_yaml(text) {
            Err((Some(place), detail)) if place == expected && detail.contains(message) => {}
            found => wrong.push(format!("{text:?}: expected {expected:?} {message:?}, found {found:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn mistakes_in_json_are_told_with_their_place() {
    let cases = [
        ("{\"strict\": true,\n \"colections\": {}}", 2, "did you mean `collections`?"),
        ("{\"collections\": {\n \"cards\": {\"title\": \"sets\"}}}", 2, "did you mean `set`?"),
        ("{\"collections\": {\"c\": {}, \"c\": {}}}", 1, "the collection `c` stands here twice"),
        (
            "{\"collections\": {\"c\": {\"f\": \"set\",\n\"f\": \"set\"}}}",
            2,
            "the field `c.f` stands here twice",
        ),
        ("{\"collections\": {\"c\": {\"f\": {\"kind\": \"set\", \"kind\": \"set\"}}}}", 1, "`kind` twice"),
        ("{\"strict\": true", 1, "EOF"),
        ("{} {}", 1, "trailing"),
    ];
    for (text, line, message) in cases {
        let (place, detail) = from_json(text).expect_err(text);
        assert_eq!(place.map(|(line, _)| line), Some(line), "{text}: {detail}");
        assert!(detail.contains(message) && !detail.contains(" column "), "{text}: {detail}");
    }
}

#[test]
fn several_documents_aliases_without_end_and_merge_keys_are_refused() {
    assert!(from_yaml("strict: true\n---\nstrict: false\n").is_err());
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b]\n";
    assert!(from_yaml(bomb).is_err());
    let merged = "collections:\n  a: &a { title: register }\n  b: { <<: *a }\n";
    assert!(from_yaml(merged).is_err());
    let shared = "collections:\n  a: &a { title: register }\n  b: *a\n";
    assert_eq!(yaml(shared).collections["a"], yaml(shared).collections["b"], "an alias is fine");
}

#[test]
fn files_are_read_by_their_extension_and_told_by_their_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("a.yaml"), BOARD).expect("written");
    assert_eq!(read(&Source::File(path("a.yaml"))).expect("a schema"), board());
    std::fs::write(path("b.JSON"), "strict: true").expect("written");
    let error = read(&Source::File(path("b.JSON"))).expect_err("not JSON").to_string();
    assert!(error.contains("b.JSON:1:1: "), "{error}");
    let error = read(&Source::File(path("none.yaml"))).expect_err("no file").to_string();
    assert!(error.starts_with("cannot read ") && error.contains("none.yaml"), "{error}");
    std::fs::write(path("bytes.yaml"), [0xff, 0xfe, 0x00]).expect("written");
    let error = read(&Source::File(path("bytes.yaml"))).expect_err("no text").to_string();
    assert!(error.contains("UTF-8"), "{error}");
    let long = "#".repeat(FILE_BYTES_MAX as usize);
    std::fs::write(path("long.yaml"), format!("{long}#")).expect("written");
    let error = read(&Source::File(path("long.yaml"))).expect_err("too long").to_string();
    assert!(error.contains("larger than 1048576 bytes"), "{error}");
    std::fs::write(path("full.yaml"), &long).expect("written");
    assert!(!matches!(read(&Source::File(path("full.yaml"))), Err(SchemaFileError::TooLarge { .. })));
    assert_eq!("-".parse(), Ok(Source::Stdin));
}

#[test]
fn a_schema_is_written_as_people_write_one() {
    let schema = Schema::default().updated(&board()).expect("a schema").schema;
    let text = print(&schema, Format::Yaml, Detail::Short, "A board.").expect("printed");
    let expected = "\
# A board.
strict: true
collections:
  cards:
    assignee: {kind: to_one, provisional: latest, on_clash: settle}
    blocked_by: {kind: to_many, on_dominate: supersede}
    body: text
    tags: set
    title: register
    votes: counter
  columns: {}
  people: {}
";
    assert_eq!(text, expected);
    let text = print(&Schema::default(), Format::Yaml, Detail::Short, "Nothing.").expect("printed");
    assert_eq!(text, "# Nothing.\nstrict: false\ncollections: {}\n");
    let text = print(&schema, Format::Json, Detail::Short, "").expect("printed");
    assert!(text.contains("\"blocked_by\": {\n        \"kind\": \"to_many\","), "{text}");
}

fn any_of<W: SchemaWord + std::fmt::Debug>() -> impl Strategy<Value = W> {
    proptest::sample::select(W::ALL)
}

fn any_field() -> impl Strategy<Value = Field> {
    (any_of(), any_of(), any_of(), any_of()).prop_map(|(kind, provisional, on_clash, on_dominate)| Field {
        kind,
        provisional,
        on_clash,
        on_dominate,
        unknown: Unknown::NONE,
    })
}

/// Names, with those that mean something else in YAML more often.
fn any_name() -> impl Strategy<Value = String> {
    let special = [
        "true",
        "no",
        "on",
        "null",
        "Null",
        "~",
        "-",
        "--",
        "---",
        "1",
        "0x1f",
        "1e3",
        "1_000",
        "0o7",
        "y",
        "NaN",
        "nan",
        "inf",
        "2026-11-30",
        "strict",
        "kind",
        "-1",
        "_",
        "012",
    ];
    let special: Vec<&str> = special.into_iter().filter(|name| syncline_core::ids::is_name(name)).collect();
    prop_oneof![
        proptest::sample::select(special).prop_map(str::to_owned),
        "[A-Za-z0-9_-]{1,64}".prop_map(|name| name),
    ]
}

fn any_schema() -> impl Strategy<Value = Schema> {
    use proptest::collection::btree_map;
    let fields = btree_map(any_name(), any_field(), 0..4);
    (any::<bool>(), btree_map(any_name(), fields, 0..4)).prop_map(|(strict, collections)| Schema {
        strict,
        version: 0,
        collections: collections
            .into_iter()
            .map(|(id, fields)| {
                let fields = fields.into_iter().map(|(id, field)| (id.as_str().into(), field)).collect();
                (id.as_str().into(), Collection { fields, unknown: Unknown::NONE }.into())
            })
            .collect(),
        unknown: Unknown::NONE,
    })
}

proptest! {
    /// What is written makes the same schema of an empty one, and changes nothing in the one it was written from.
    #[test]
    fn what_is_written_reads_back(schema in any_schema(), full in any::<bool>()) {
        let detail = if full { Detail::Full } else { Detail::Short };
        for format in [Format::Yaml, Format::Json] {
            let text = print(&schema, format, detail, "about").expect("printed");
            let read = if format == Format::Json { from_json(&text) } else { from_yaml(&text) };
            let update = read.map_err(|mistake| TestCaseError::fail(format!("{mistake:?} in {text}")))?;
            let made = Schema::default().updated(&update).expect("an update").schema;
            prop_assert_eq!(Schema { version: 0, ..made }, schema.clone(), "{}", text);
            prop_assert!(schema.updated(&update).expect("an update").differences.is_empty());
            if full {
                prop_assert_eq!(update, SchemaUpdate::from(&schema));
            }
        }
    }

    /// No text makes the parser panic.
    #[test]
    fn any_text_is_read_or_refused(text in "[-\\[\\]{}:,&*#'\"a-z0-9 \\n\\t!|>~$]{0,80}") {
        let _ = from_yaml(&text);
        let _ = from_json(&text);
    }
}

/// The JSON Schema that editors use, and the page for people.
mod documents {
    use std::collections::BTreeSet;

    use super::*;

    fn text_of(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn strings(value: &serde_json::Value) -> BTreeSet<&str> {
        value.as_array().expect("a list").iter().filter_map(serde_json::Value::as_str).collect()
    }

    fn words<W: SchemaWord>() -> BTreeSet<&'static str> {
        W::ALL.iter().map(|value| value.word()).collect()
    }

    #[test]
    fn editors_are_told_of_the_same_keys_words_and_limits() {
        let schema: serde_json::Value =
            serde_json::from_str(&text_of("schema-file.schema.json")).expect("JSON");
        let keys = |value: &serde_json::Value| -> BTreeSet<String> {
            assert_eq!(value["additionalProperties"], false, "unknown keys are refused");
            value["properties"].as_object().expect("properties").keys().cloned().collect()
        };
        let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(keys(&schema), owned(&["strict", "collections", "$schema"]));
        let definitions = &schema["$defs"];
        let long = &definitions["policies"];
        assert_eq!(keys(long), owned(&["kind", "provisional", "on_clash", "on_dominate"]));
        assert_eq!(strings(&long["required"]), ["kind"].into());
        assert_eq!(strings(&definitions["kind"]["enum"]), words::<FieldKind>());
        assert_eq!(strings(&long["properties"]["provisional"]["enum"]), words::<Provisional>());
        assert_eq!(strings(&long["properties"]["on_clash"]["enum"]), words::<OnClash>());
        assert_eq!(strings(&long["properties"]["on_dominate"]["enum"]), words::<OnDominate>());
        let collections = &schema["properties"]["collections"];
        assert_eq!(collections["maxProperties"], syncline_core::limits::COLLECTIONS_MAX);
        let fields = &definitions["fields"];
        assert_eq!(fields["maxProperties"], syncline_core::limits::FIELDS_PER_COLLECTION_MAX);
        for names in [&collections["propertyNames"], &fields["propertyNames"]] {
            assert_eq!(names["pattern"], "^[A-Za-z0-9_-]{1,64}$");
        }
    }

    #[test]
    fn the_examples_of_the_page_can_be_read() {
        let page = text_of("schema.md");
        let blocks = |language: &str| -> Vec<String> {
            let fence = format!("```{language}\n");
            page.split(&fence).skip(1).filter_map(|b| b.split("```").next()).map(str::to_owned).collect()
        };
        let (yaml_blocks, json_blocks) = (blocks("yaml"), blocks("json"));
        assert!(!yaml_blocks.is_empty() && !json_blocks.is_empty(), "the page has examples");
        let read: Vec<SchemaUpdate> =
            yaml_blocks.iter().map(|t| yaml(t)).chain(json_blocks.iter().map(|t| json(t))).collect();
        assert!(read.iter().all(|update| *update != SchemaUpdate::default()), "they say something");
        for word in words::<FieldKind>()
            .into_iter()
            .chain(words::<Provisional>())
            .chain(words::<OnClash>())
            .chain(words::<OnDominate>())
        {
            assert!(page.contains(&format!("`{word}`")), "the page explains `{word}`");
        }
    }
}
