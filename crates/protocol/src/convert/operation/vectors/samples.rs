//! Operations of every shape.

use prost_types::Timestamp;

use crate::pb::conflict_mutation::Action as ConflictAction;
use crate::pb::decide_text::Choice;
use crate::pb::record_mutation::Action;
use crate::pb::{self, operation::Identity, operation::Knowledge, value::Kind};

const REPLICA: &str = "6f2d0c3e-95b1-4c0a-8d2f-0123456789ab";
const OTHER: &str = "ffffffff-ffff-4fff-bfff-ffffffffffff";

fn dot(replica: &str, counter: u64) -> pb::Dot {
    pb::Dot { replica_id: replica.to_owned(), counter }
}

fn value(kind: Kind) -> pb::Value {
    pb::Value { kind: Some(kind) }
}

fn int(number: i64) -> pb::Value {
    value(Kind::IntValue(number))
}

fn text(text: &str) -> pb::Value {
    value(Kind::StringValue(text.to_owned()))
}

fn double(number: f64) -> pb::Value {
    value(Kind::DoubleValue(number))
}

fn list(values: Vec<pb::Value>) -> pb::Value {
    value(Kind::ListValue(pb::ListValue { values }))
}

fn map<const N: usize>(entries: [(&str, pb::Value); N]) -> pb::Value {
    let entries = entries.map(|(name, v)| (name.to_owned(), v)).into();
    value(Kind::MapValue(pb::MapValue { entries }))
}

fn null() -> pb::Value {
    value(Kind::NullValue(pb::Null {}))
}

fn on_card(action: Action) -> pb::RecordMutation {
    pb::RecordMutation {
        collection_id: "cards".to_owned(),
        record_id: "card-1".to_owned(),
        action: Some(action),
        observed_seq: None,
        resolves_conflict_id: None,
    }
}

fn on_record(action: Action) -> pb::Mutation {
    on_card(action).into()
}

fn on_conflict(action: ConflictAction) -> pb::Mutation {
    pb::ConflictMutation { conflict_id: "c12-3".to_owned(), action: Some(action) }.into()
}

fn set(new: pb::Value) -> Action {
    Action::SetField(pb::SetField { field_id: "title".to_owned(), value: Some(new) })
}

fn plain(mutations: Vec<pb::Mutation>) -> pb::Operation {
    pb::Operation {
        identity: Some(Identity::Dot(dot(REPLICA, 3))),
        knowledge: Some(Knowledge::Context(context(1, 10))),
        mutations,
        correlation_id: String::new(),
        depends_on: vec![],
        actor: String::new(),
        client_time: None,
        await_records: false,
        after_request_ids: vec![],
    }
}

fn context(epoch: u64, base_seq: u64) -> pb::CausalContext {
    pb::CausalContext { epoch, base_seq, ..Default::default() }
}

fn one(action: Action) -> pb::Operation {
    plain(vec![on_record(action)])
}

fn time(seconds: i64, nanos: i32) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos })
}

/// Every sample with its name.
pub fn all() -> Vec<(&'static str, pb::Operation)> {
    let mut all = frames();
    all.extend(actions());
    all.extend(values().into_iter().map(|(name, new)| (name, one(set(new)))));
    all.extend(refused());
    all
}

/// What stands around the mutations.
fn frames() -> Vec<(&'static str, pb::Operation)> {
    let base = || one(Action::DeleteRecord(pb::DeleteRecord {}));
    let context = |epoch, base_seq, extras| {
        Some(Knowledge::Context(pb::CausalContext { extras, ..context(epoch, base_seq) }))
    };
    vec![
        ("a dot and a context", base()),
        ("an empty context", pb::Operation { knowledge: context(0, 0, vec![]), ..base() }),
        (
            "the greatest epoch and position",
            pb::Operation { knowledge: context((1 << 63) - 1, (1 << 63) - 1, vec![]), ..base() },
        ),
        (
            "extras in the order given",
            pb::Operation {
                knowledge: context(
                    0x0102_0304_0506_0708,
                    300,
                    vec![dot(OTHER, 2), dot(&OTHER.replace("4", "3"), 1)],
                ),
                ..base()
            },
        ),
        (
            "a context with its chain",
            pb::Operation {
                knowledge: Some(Knowledge::Context(pb::CausalContext {
                    epoch: 1,
                    base_seq: 10,
                    extras: vec![dot(OTHER, 2)],
                    base_chain: (0..16).collect::<Vec<u8>>().into(),
                })),
                ..base()
            },
        ),
        (
            "a request id after others of its caller",
            pb::Operation {
                identity: Some(Identity::RequestId("import:3".to_owned())),
                after_request_ids: vec!["import:2".to_owned(), "import:1".to_owned()],
                ..base()
            },
        ),
        (
            "a request id that knows everything",
            pb::Operation {
                identity: Some(Identity::RequestId("import:2024-01-01.7".to_owned())),
                knowledge: Some(Knowledge::Latest(pb::Latest {})),
                ..base()
            },
        ),
        (
            "a request id with a context",
            pb::Operation { identity: Some(Identity::RequestId("r".to_owned())), ..base() },
        ),
        (
            "the greatest counter",
            pb::Operation { identity: Some(Identity::Dot(dot(OTHER, u64::MAX >> 1))), ..base() },
        ),
        (
            "labels, dependencies, a time, await_records",
            pb::Operation {
                correlation_id: "trace-é🦊".to_owned(),
                actor: "Ada Lovelace".to_owned(),
                depends_on: vec![dot(OTHER, 9), dot(REPLICA, 1)],
                client_time: time(1_700_000_000, 123_000_000),
                await_records: true,
                ..base()
            },
        ),
        ("the time zero", pb::Operation { client_time: time(0, 0), ..base() }),
        ("a time before 1970", pb::Operation { client_time: time(-1, 999_000_000), ..base() }),
        (
            "a time finer than a millisecond is cut",
            pb::Operation { client_time: time(1_700_000_000, 123_456_789), ..base() },
        ),
        (
            "an earlier reading and a resolution",
            plain(vec![
                pb::RecordMutation {
                    observed_seq: Some(7),
                    resolves_conflict_id: Some("c9-0".to_owned()),
                    ..on_card(set(int(1)))
                }
                .into(),
            ]),
        ),
        (
            "a reading at position 0 is not none",
            plain(vec![pb::RecordMutation { observed_seq: Some(0), ..on_card(set(int(1))) }.into()]),
        ),
        (
            "several mutations in the order given",
            plain(vec![on_record(set(int(2))), on_record(set(int(1))), on_record(set(int(2)))]),
        ),
        ("a message of more than 127 bytes", plain((0..20).map(|n| on_record(set(int(n)))).collect())),
    ]
}

fn actions() -> Vec<(&'static str, pb::Operation)> {
    let field_id = || "f_1".to_owned();
    let fields = |fields: Vec<(&str, pb::Value)>| {
        let fields = fields.into_iter().map(|(id, v)| (id.to_owned(), v)).collect();
        Action::CreateRecord(pb::CreateRecord { fields, replace_deleted: false })
    };
    let hunk = |position, delete_count, insert: &str| pb::TextHunk {
        position,
        delete_count,
        insert: insert.to_owned(),
    };
    let elements = || vec![text("b"), text("a"), int(0), null()];
    let target_record_id = || "card-2".to_owned();
    vec![
        ("create_record without values", one(fields(vec![]))),
        (
            "create_record, its fields by the bytes of their ids",
            one(fields(vec![
                ("b", int(1)),
                ("a_", text("x")),
                ("B", null()),
                ("a", text("")),
                ("-", int(-1)),
            ])),
        ),
        (
            "create_record in the place of a deleted record",
            one(Action::CreateRecord(pb::CreateRecord {
                fields: [("a".to_owned(), int(1))].into(),
                replace_deleted: true,
            })),
        ),
        ("restore_record", one(Action::RestoreRecord(pb::RestoreRecord {}))),
        (
            "edit_text",
            one(Action::EditText(pb::EditText {
                field_id: field_id(),
                hunks: vec![hunk(0, 0, "né"), hunk(3, 2, ""), hunk(u32::MAX - 1, 1, "🦊")],
            })),
        ),
        (
            "edit_text without hunks",
            one(Action::EditText(pb::EditText { field_id: field_id(), hunks: vec![] })),
        ),
        (
            "replace_text",
            one(Action::ReplaceText(pb::ReplaceText {
                field_id: field_id(),
                text: "line\nline\u{0}".to_owned(),
            })),
        ),
        (
            "replace_text by nothing",
            one(Action::ReplaceText(pb::ReplaceText { field_id: field_id(), text: String::new() })),
        ),
        (
            "decide_text for an alternative",
            one(Action::DecideText(pb::DecideText {
                field_id: field_id(),
                choice: Some(Choice::AlternativeSeq(0)),
            })),
        ),
        (
            "decide_text for what all sides started from",
            one(Action::DecideText(pb::DecideText {
                field_id: field_id(),
                choice: Some(Choice::Base(pb::UseBase {})),
            })),
        ),
        (
            "decide_text for what is shown",
            one(Action::DecideText(pb::DecideText {
                field_id: field_id(),
                choice: Some(Choice::Current(pb::KeepCurrent {})),
            })),
        ),
        (
            "decide_text by nothing",
            one(Action::DecideText(pb::DecideText {
                field_id: field_id(),
                choice: Some(Choice::Text(String::new())),
            })),
        ),
        (
            "increment_counter",
            one(Action::IncrementCounter(pb::IncrementCounter { field_id: field_id(), by: -1 })),
        ),
        (
            "increment_counter by nothing",
            one(Action::IncrementCounter(pb::IncrementCounter { field_id: field_id(), by: 0 })),
        ),
        (
            "assign_counter",
            one(Action::AssignCounter(pb::AssignCounter { field_id: field_id(), value: i64::MAX })),
        ),
        (
            "add_elements in the order given",
            one(Action::AddElements(pb::AddElements { field_id: field_id(), elements: elements() })),
        ),
        (
            "remove_elements",
            one(Action::RemoveElements(pb::RemoveElements { field_id: field_id(), elements: elements() })),
        ),
        ("clear_elements", one(Action::ClearElements(pb::ClearElements { field_id: field_id() }))),
        (
            "link_record",
            one(Action::LinkRecord(pb::LinkRecord {
                field_id: field_id(),
                target_record_id: target_record_id(),
            })),
        ),
        (
            "unlink_record",
            one(Action::UnlinkRecord(pb::UnlinkRecord {
                field_id: field_id(),
                target_record_id: Some(target_record_id()),
            })),
        ),
        (
            "unlink_record whatever is linked",
            one(Action::UnlinkRecord(pb::UnlinkRecord { field_id: field_id(), target_record_id: None })),
        ),
        (
            "defer_conflict",
            plain(vec![on_conflict(ConflictAction::Defer(pb::DeferConflict {
                revision: 300,
                remind_time: time(1_800_000_000, 0),
            }))]),
        ),
        (
            "assign_conflict",
            plain(vec![on_conflict(ConflictAction::Assign(pb::AssignConflict {
                assignee: Some("Grace".to_owned()),
            }))]),
        ),
        (
            "assign_conflict to nobody",
            plain(vec![on_conflict(ConflictAction::Assign(pb::AssignConflict { assignee: None }))]),
        ),
        ("reopen_conflict", plain(vec![on_conflict(ConflictAction::Reopen(pb::ReopenConflict {}))])),
    ]
}

fn values() -> Vec<(&'static str, pb::Value)> {
    let nested = (0..16).fold(null(), |inner, _| list(vec![inner]));
    vec![
        ("null", null()),
        ("false", value(Kind::BoolValue(false))),
        ("true", value(Kind::BoolValue(true))),
        ("int 0", int(0)),
        ("int 1", int(1)),
        ("int -1", int(-1)),
        ("the least int", int(i64::MIN)),
        ("the greatest int", int(i64::MAX)),
        ("double 0", double(0.0)),
        ("double -0", double(-0.0)),
        ("double 1 is another content than int 1", double(1.0)),
        ("double -1.5", double(-1.5)),
        ("the least double above 0", double(f64::from_bits(1))),
        ("the greatest double", double(f64::MAX)),
        ("infinity", double(f64::INFINITY)),
        ("minus infinity", double(f64::NEG_INFINITY)),
        ("an empty string", text("")),
        ("a string of many alphabets", text("aé漢字🦊👩‍👩‍👧 עברית\u{0}\u{ffff}")),
        ("a decomposed letter is another content than a composed one", text("e\u{301}")),
        ("a composed letter", text("é")),
        ("no bytes", value(Kind::BytesValue(bytes::Bytes::new()))),
        ("bytes", value(Kind::BytesValue(vec![0, 1, 127, 128, 255].into()))),
        ("an empty list", list(vec![])),
        ("a list in the order given", list(vec![int(2), int(1), null(), text("x")])),
        ("an empty map", map([])),
        (
            "a map by the bytes of its names",
            map([("é", int(1)), ("z", int(2)), ("", int(3)), ("🦊", null()), ("Z", map([]))]),
        ),
        ("values in values", nested),
        (
            "a timestamp",
            value(Kind::TimestampValue(Timestamp { seconds: 1_700_000_000, nanos: 123_456_789 })),
        ),
        ("the timestamp zero", value(Kind::TimestampValue(Timestamp { seconds: 0, nanos: 0 }))),
        (
            "the first timestamp",
            value(Kind::TimestampValue(Timestamp { seconds: -62_135_596_800, nanos: 0 })),
        ),
    ]
}

/// Content that no server accepts: hashed as it was sent.
fn refused() -> Vec<(&'static str, pb::Operation)> {
    let no_value = Action::SetField(pb::SetField { field_id: "title".to_owned(), value: None });
    let too_deep = (0..17).fold(null(), |inner, _| list(vec![inner]));
    vec![
        ("for display: an actor too long", pb::Operation { actor: "é".repeat(65), ..one(set(int(1))) }),
        (
            "for display: an actor of two lines",
            pb::Operation { actor: "a\nb".to_owned(), ..one(set(int(1))) },
        ),
        (
            "for display: a time of no calendar",
            pb::Operation { client_time: time(253_402_300_800, 0), ..one(set(int(2))) },
        ),
        ("refused: no mutation", plain(vec![])),
        (
            "refused: no action",
            plain(vec![pb::RecordMutation { action: None, ..on_card(set(null())) }.into()]),
        ),
        ("refused: a mutation of nothing", plain(vec![pb::Mutation { mutation: None }])),
        ("refused: no value", one(no_value)),
        ("refused: a value without a kind", one(set(pb::Value { kind: None }))),
        ("refused: values too deep", one(set(too_deep))),
        ("refused: NaN", one(set(double(f64::NAN)))),
        (
            "refused: a timestamp out of range",
            one(set(value(Kind::TimestampValue(Timestamp { seconds: 253_402_300_800, nanos: 0 })))),
        ),
        (
            "refused: a field id that is none",
            one(Action::SetField(pb::SetField { field_id: "a b".to_owned(), value: Some(int(1)) })),
        ),
        ("refused: a label too long", pb::Operation { correlation_id: "x".repeat(129), ..one(set(int(1))) }),
        (
            "refused: a label too long, and its time as it was sent",
            pb::Operation {
                correlation_id: "x".repeat(129),
                client_time: time(1, 123_456_789),
                ..one(set(int(1)))
            },
        ),
        (
            "refused: an earlier reading of a set",
            plain(vec![
                pb::RecordMutation {
                    observed_seq: Some(1),
                    ..on_card(Action::ClearElements(pb::ClearElements { field_id: "tags".to_owned() }))
                }
                .into(),
            ]),
        ),
    ]
}
