//! One row or more of each kind, with something in every field.

use uuid::Uuid;

use crate::store::ConnectionContent;
use syncline_core::causality::{Author, Counter, Extra, ReplicaNo, Seq, Stamp};
use syncline_core::change::{Change, Effect, EffectKind};
use syncline_core::conflict::ConflictEventKind;
use syncline_core::conflict::{
    Alternative, AlternativeState, CloseReason, Closing, Conflict, ConflictEvent, ConflictKind,
    ConflictStatus, Cut, Scope, ScopePart, TextRange,
};
use syncline_core::hash::Secret;
use syncline_core::ids::{ConflictId, Dot, Epoch, ReplicaId};
use syncline_core::merge::text::{Hunk, SettledHunk, Splice};
use syncline_core::operation::{
    Action, CausalContext, ConflictAction, ConflictMutation, Identity, Knowledge, Malformed, Mutation,
    MutationKind, Operation, RecordMutation, Rejection, Settlement, TextChoice, WaitOn,
};
use syncline_core::refusal::Refusal;
use syncline_core::schema::{Collection, Field, FieldKind, OnClash, OnDominate, Provisional, Schema};
use syncline_core::state::{
    Addition, CounterHead, ElementRow, Existence, ExistenceHead, FieldRow, FieldValue, HeldRow, HoldUsage,
    RecordRow, RegionPlace, RegisterHead, RejectionRow, ReplicaRow, RequestRow, Row, ScopeRow,
};
use syncline_core::unknown::Unknown;
use syncline_core::value::Value;

fn id<T: for<'t> From<&'t str>>(text: &str) -> T {
    T::from(text)
}

fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + n)
}

fn dot(counter: u64) -> Dot {
    Dot { replica: ReplicaId(uuid(1)), counter: Counter(counter) }
}

fn stamp(seq: u64) -> Stamp {
    Stamp { seq: Seq(seq), replica_no: ReplicaNo(3), counter: Counter(300) }
}

fn author() -> Author {
    let extras = vec![Extra { replica_no: ReplicaNo(9), counter: Counter(2) }];
    Author {
        replica_no: ReplicaNo(3),
        counter: Counter(300),
        base_seq: Seq(128),
        extras,
        own_requests: vec![Counter(7), Counter(300)],
    }
}

fn context() -> CausalContext {
    CausalContext { extras: vec![dot(2)], ..CausalContext::at(Epoch(0x0123_4567_89ab_cdef), Seq(128)) }
}

fn hunk() -> Hunk {
    Hunk { pos: 4, del: 2, ins: "né 🦊".to_owned() }
}

fn conflict_id() -> ConflictId {
    ConflictId { opened_seq: Seq(77), index: 1 }
}

/// Every kind of value.
fn values() -> Vec<Value> {
    let map = [("a".to_owned(), Value::Int(-1)), ("é".to_owned(), Value::List(vec![Value::Null]))];
    vec![
        Value::Null,
        Value::Bool(false),
        Value::Bool(true),
        Value::Int(0),
        Value::Int(i64::MIN),
        Value::DoubleBits((-0.0_f64).to_bits()),
        Value::string("grün"),
        Value::Bytes(vec![0, 255]),
        Value::List(vec![Value::Bool(true), Value::string("")]),
        Value::Map(map.into()),
        Value::Timestamp { seconds: -62_135_596_800, nanos: 999_999_999 },
    ]
}

fn scopes() -> [ScopePart; 4] {
    [
        ScopePart::Record,
        ScopePart::Field(id("title")),
        ScopePart::Link(id("column"), id("todo")),
        ScopePart::Region(id("body"), conflict_id()),
    ]
}

fn all_actions() -> Vec<Action> {
    let field: syncline_core::ids::FieldId = id("f");
    vec![
        Action::Create {
            fields: vec![(id("a"), Value::Int(1)), (id("b"), Value::Null)],
            replace_deleted: false,
        },
        Action::Create { fields: Vec::new(), replace_deleted: true },
        Action::Delete,
        Action::Restore,
        Action::Set { field: field.clone(), value: Value::Int(5) },
        Action::EditText { field: field.clone(), hunks: vec![hunk()] },
        Action::DecideText { field: field.clone(), choice: TextChoice::Alternative(Seq(77)) },
        Action::DecideText { field: field.clone(), choice: TextChoice::Base },
        Action::DecideText { field: field.clone(), choice: TextChoice::Current },
        Action::DecideText { field: field.clone(), choice: TextChoice::Text("né".to_owned()) },
        Action::ReplaceText { field: field.clone(), text: "whole".to_owned() },
        Action::Increment { field: field.clone(), by: -2 },
        Action::AssignCounter { field: field.clone(), value: 9 },
        Action::AddElements { field: field.clone(), elements: vec![Value::Int(1), Value::string("x")] },
        Action::RemoveElements { field: field.clone(), elements: vec![Value::Bool(true)] },
        Action::ClearElements { field: field.clone() },
        Action::Link { field: field.clone(), target: id("t") },
        Action::Unlink { field: field.clone(), target: Some(id("t")) },
        Action::Unlink { field, target: None },
    ]
}

fn all_conflict_actions() -> Vec<ConflictAction> {
    vec![
        ConflictAction::Defer { revision: 4, remind_at_ms: 1_700_000_000_000 },
        ConflictAction::Assign { assignee: Some(id("ada")) },
        ConflictAction::Assign { assignee: None },
        ConflictAction::Reopen,
        ConflictAction::Remind,
    ]
}

fn mutations() -> Vec<Mutation> {
    let on_record = |action| {
        let (collection, record, resolves) = (id("cards"), id("card-1"), Some(conflict_id()));
        RecordMutation { collection, record, action, observed_seq: Some(Seq(0)), resolves }.into()
    };
    let on_conflict = |action| ConflictMutation { conflict: conflict_id(), action }.into();
    let on_records = all_actions().into_iter().map(on_record);
    on_records.chain(all_conflict_actions().into_iter().map(on_conflict)).collect()
}

fn all_refusals() -> Vec<Refusal> {
    let (detail, conflict, record) =
        (|| "why".to_owned(), conflict_id(), id::<syncline_core::ids::RecordId>("r"));
    vec![
        Refusal::OperationTooLarge { bytes: 300_000, limit: 262_144 },
        Refusal::InvalidOperation { field: "actor".to_owned(), detail: detail() },
        Refusal::InvalidValue { detail: detail() },
        Refusal::ValueTooDeep { limit: 16 },
        Refusal::UnknownAction,
        Refusal::UndeclaredCollection { collection: id("c") },
        Refusal::UndeclaredField { collection: id("c"), field: id("f") },
        Refusal::KindMismatch { field: id("f"), kind: FieldKind::ToMany, action: MutationKind::SetField },
        Refusal::ContextAhead { base_seq: Seq(5), head_seq: Seq(4) },
        Refusal::WrongEpoch { epoch: Epoch(1), expected_epoch: Epoch(2) },
        Refusal::InvalidContext { detail: detail() },
        Refusal::ReplicaForked { dot: dot(1) },
        Refusal::RequestIdReused { request_id: id("q") },
        Refusal::HoldQuota { expected_counter: Counter(3) },
        Refusal::CausalityCycle { detail: detail() },
        Refusal::Abandoned,
        Refusal::DependencyRejected { dot: dot(1) },
        Refusal::RecordNotFound { record: record.clone() },
        Refusal::RecordExists { record: record.clone() },
        Refusal::RecordDeleted { record: record.clone() },
        Refusal::CollectionMismatch { record, collection: id("c") },
        Refusal::InvalidTextEdit { hunk_index: 2, detail: detail() },
        Refusal::PositionOutOfBounds { position: 9, delete_count: 1, text_length: 8 },
        Refusal::TextTooLarge { limit_bytes: 1_048_576 },
        Refusal::EffectTooLarge { bytes: 12_000_000, limit: 1_638_400 },
        Refusal::CounterOutOfRange { field: id("f") },
        Refusal::SetTooLarge { field: id("f"), limit: 10_000 },
        Refusal::TooManySides { record: id("r"), limit: 256 },
        Refusal::ConflictNotFound { conflict },
        Refusal::ConflictChanged { conflict, revision: 2 },
        Refusal::ConflictNotLive { conflict, status: ConflictStatus::Resolved },
        Refusal::ConflictLive { conflict },
        Refusal::Inconsistent { detail: detail() },
        Refusal::HistoryRewound { base_seq: Seq(7) },
        Refusal::NotAllSettled { operation_index: 3 },
        Refusal::UnknownField { field: "operations[0].77".to_owned() },
    ]
}

fn schema() -> Row {
    let fields = [
        ("body", FieldKind::Text, Provisional::Incumbent, OnClash::Open, OnDominate::Keep),
        ("column", FieldKind::ToOne, Provisional::Latest, OnClash::Settle, OnDominate::Supersede),
        ("tags", FieldKind::Set, Provisional::Min, OnClash::Open, OnDominate::Keep),
        ("title", FieldKind::Register, Provisional::Max, OnClash::Open, OnDominate::Keep),
        ("votes", FieldKind::Counter, Provisional::Incumbent, OnClash::Open, OnDominate::Keep),
        ("watchers", FieldKind::ToMany, Provisional::Incumbent, OnClash::Open, OnDominate::Keep),
    ]
    .map(|(name, kind, provisional, on_clash, on_dominate)| {
        (id(name), Field { kind, provisional, on_clash, on_dominate, unknown: Unknown::NONE })
    });
    let cards = Collection { fields: fields.into(), unknown: Unknown::NONE };
    let collections = [(id("cards"), cards.into()), (id("empty"), Collection::default().into())].into();
    Row::Schema(Schema { strict: true, version: 7, collections, unknown: Unknown::NONE })
}

fn field(value: FieldValue) -> Row {
    let regions = match value {
        FieldValue::Text(_) => {
            vec![RegionPlace { conflict: conflict_id(), range: TextRange { start: 6, end: 7 } }]
        }
        _ => Vec::new(),
    };
    Row::Field(FieldRow { value, last_seq: Seq(500), regions, unknown: Unknown::NONE })
}

fn head(seq: u64, value: Value) -> RegisterHead {
    RegisterHead { stamp: stamp(seq), rank: Seq(3), value, unknown: Unknown::NONE }
}

fn alternative(state: AlternativeState, value: Option<Value>, suppressed_by: Option<Seq>) -> Alternative {
    Alternative {
        stamp: stamp(40),
        rank: Seq(12),
        state,
        value,
        cut: None,
        suppressed_by,
        action: Some(MutationKind::EditText),
        dot: dot(300),
        actor: id("Ada"),
        correlation_id: id("corr"),
        client_time_ms: Some(-1),
        committed_at_ms: 1_700_000_000_001,
        author: author(),
        context: context(),
        siblings: vec!["set card-1.title".to_owned()],
        unknown: Unknown::NONE,
    }
}

fn conflict() -> Conflict {
    Conflict {
        id: conflict_id(),
        kind: ConflictKind::TextOverlap,
        scope: Scope { record: id("card-1"), part: ScopePart::Region(id("body"), conflict_id()) },
        collection: id("cards"),
        status: ConflictStatus::Deferred,
        revision: 3,
        opened_at_ms: 1_700_000_000_000,
        parent: Some(ConflictId { opened_seq: Seq(5), index: 0 }),
        provisional: Provisional::Latest,
        base: Some(Value::string("before")),
        base_exact: true,
        record_at_opening: vec![(id("title"), Value::string("T"))],
        alternatives: vec![
            alternative(AlternativeState::Head, Some(Value::Int(1)), None),
            alternative(AlternativeState::Shadow, None, None),
            alternative(AlternativeState::Suppressed, Some(Value::string("né 🦊")), Some(Seq(39))),
        ],
        region: Some(TextRange { start: 4, end: 300 }),
        pairs: vec![(Seq(40), Seq(77))],
        assignee: id("grace"),
        remind_at_ms: Some(1_800_000_000_000),
        defer_count: 2,
        closing: Some(Closing { seq: Seq(90), at_ms: 1_700_000_000_002, reason: CloseReason::Policy }),
        events: vec![ConflictEvent {
            kind: ConflictEventKind::Deferred,
            seq: Seq(80),
            at_ms: 1_700_000_000_001,
            actor: id("Ada"),
            revision: 2,
            status: ConflictStatus::Deferred,
            detail: "put aside".to_owned(),
            unknown: Unknown::NONE,
        }],
        unknown: Unknown::NONE,
    }
}

fn conflict_of_cut_values() -> Conflict {
    let beginning = alternative(AlternativeState::Head, Some(Value::string("the beginning")), None);
    let cut = Some(Cut { whole_bytes: 70_000, hash: [7; 16] });
    Conflict { alternatives: vec![Alternative { cut, ..beginning }], ..conflict() }
}

/// An operation with two mutations; [`rows`] has one of its own for every action.
fn operation(identity: Identity, knowledge: Knowledge) -> Operation {
    let on_record = RecordMutation {
        collection: id("cards"),
        record: id("card-1"),
        action: Action::Set { field: id("f"), value: Value::Int(5) },
        observed_seq: Some(Seq(0)),
        resolves: Some(conflict_id()),
    };
    let on_conflict = ConflictMutation { conflict: conflict_id(), action: ConflictAction::Reopen };
    Operation {
        identity,
        knowledge,
        mutations: vec![on_record.into(), on_conflict.into()],
        depends_on: vec![dot(7)],
        after_requests: vec![id("request-0")],
        await_records: true,
        correlation_id: id("corr"),
        actor: id("Ada"),
        client_time_ms: Some(1_700_000_000_000),
        malformed: None,
    }
}

fn held(operation: Operation, waits_on: WaitOn) -> Row {
    Row::Held(Box::new(HeldRow {
        operation,
        operation_hash: [5; 16],
        waits_on,
        expires_at_ms: 1_700_000_060_000,
        weight_bytes: 512,
        unknown: Unknown::NONE,
    }))
}

fn rejection(refusal: Refusal) -> Row {
    Row::Rejection(RejectionRow {
        operation_hash: [6; 16],
        rejection: Rejection { refusal, mutation_index: Some(0) },
        at_seq: Seq(41),
        correlation_id: id("corr"),
    })
}

fn record(existence: Existence) -> Row {
    Row::Record(RecordRow {
        collection: id("cards"),
        existence,
        created: stamp(10),
        last_seq: Seq(200),
        heads: vec![ExistenceHead::new(stamp(10), false), ExistenceHead::new(stamp(200), true)],
        unknown: Unknown::NONE,
    })
}

/// Rows by the names they have in `golden.txt`.
pub fn rows() -> Vec<(String, Row)> {
    let counters = [(0, 0, i64::MIN), (300, 5, -1)].map(|(seq, value, increments)| CounterHead {
        stamp: stamp(seq),
        rank: Seq(seq),
        value,
        increments,
        unknown: Unknown::NONE,
    });
    let heads = values().into_iter().zip(1..).map(|(value, seq)| head(seq, value)).collect();
    let malformed = Operation {
        mutations: Vec::new(),
        malformed: Some(Malformed {
            refusal: Refusal::UnknownAction,
            mutation_index: Some(3),
            content_hash: [4; 16],
        }),
        ..operation(Identity::Dot(dot(8)), Knowledge::Context(context()))
    };
    let element = ElementRow {
        value: Value::string("red"),
        additions: vec![Addition::from(stamp(1)), Addition::from(stamp(2))],
        unknown: Unknown::NONE,
    };
    let mut rows = vec![
        ("schema", schema()),
        (
            "replica",
            Row::Replica(ReplicaRow {
                no: ReplicaNo(3),
                last_settled: Counter(300),
                last_accepted: Counter(299),
                last_base: Seq(128),
                unknown: Unknown::NONE,
            }),
        ),
        ("replica_number", Row::ReplicaNumber(ReplicaId(uuid(1)))),
        ("record_alive", record(Existence::Alive)),
        ("record_deleted", record(Existence::Deleted)),
        ("record_phantom", record(Existence::Phantom(dot(4)))),
        ("field_register", field(FieldValue::Register(heads))),
        ("field_register_empty", field(FieldValue::Register(Vec::new()))),
        ("field_text", field(FieldValue::Text("Hello 🦊".to_owned()))),
        ("field_counter", field(FieldValue::Counter(counters.into()))),
        ("field_set", field(FieldValue::Set { count: 0 })),
        ("field_to_one", field(FieldValue::ToOne(vec![head(1, Value::string("todo"))]))),
        ("field_to_many", field(FieldValue::ToMany { count: 10_000 })),
        ("element", Row::Element(element)),
        ("unit", Row::Unit),
        ("conflict", Row::Conflict(Box::new(conflict()))),
        ("conflict_of_cut_values", Row::Conflict(Box::new(conflict_of_cut_values()))),
        (
            "scope",
            Row::Scope(ScopeRow {
                live: Some(conflict_id()),
                last: Some(conflict_id()),
                unknown: Unknown::NONE,
            }),
        ),
        ("scope_empty", Row::Scope(ScopeRow::default())),
        (
            "held_by_operation",
            held(operation(Identity::Dot(dot(8)), Knowledge::Context(context())), WaitOn::Operation(dot(7))),
        ),
        (
            "held_by_record",
            held(operation(Identity::Request(id("request-1")), Knowledge::Latest), WaitOn::Record(id("r"))),
        ),
        ("held_malformed", held(malformed, WaitOn::Operation(dot(7)))),
        ("hold_usage", Row::HoldUsage(HoldUsage { count: 2, bytes: 1_024, unknown: Unknown::NONE })),
        (
            "request",
            Row::Request(RequestRow {
                operation_hash: [9; 16],
                counter: Counter(12),
                expires_at_ms: 1_700_086_400_000,
            }),
        ),
        ("secret", Row::Secret(Secret::new([8; 32]))),
    ]
    .into_iter()
    .map(|(name, row)| (name.to_owned(), row))
    .collect::<Vec<_>>();
    for refusal in all_refusals() {
        rows.push((format!("rejection_{}", variant(&refusal)), rejection(refusal)));
    }
    for (index, mutation) in mutations().into_iter().enumerate() {
        let action = match &mutation {
            Mutation::Record(mutation) => variant(&mutation.action),
            Mutation::Conflict(mutation) => variant(&mutation.action),
        };
        let mutations = vec![mutation];
        let made = operation(Identity::Dot(dot(8)), Knowledge::Context(context()));
        let made = Operation { mutations, ..made };
        rows.push((format!("held_{action}_{index}"), held(made, WaitOn::Operation(dot(7)))));
    }
    rows
}

fn effects() -> Vec<EffectKind> {
    let splices =
        vec![Splice::Retain(4), Splice::Insert("né 🦊".to_owned()), Splice::Delete("ab".to_owned())];
    let settled = [None, Some(Seq(130))].map(|suppressed_by| SettledHunk { hunk: hunk(), suppressed_by });
    let mut effects = vec![
        EffectKind::RecordCreated,
        EffectKind::RecordDeleted,
        EffectKind::RecordRestored,
        EffectKind::Existence,
        EffectKind::Register { value: None },
        EffectKind::Register { value: Some(Value::Null) },
        EffectKind::Text { splices, hunks: settled.into(), known_seq: Seq(129) },
        EffectKind::Counter { value: -5, added: i64::MAX },
        EffectKind::Set { added: values(), removed: vec![Value::Int(1)] },
    ];
    let kinds = [
        ConflictEventKind::Opened,
        ConflictEventKind::Changed,
        ConflictEventKind::Deferred,
        ConflictEventKind::Reminded,
        ConflictEventKind::Assigned,
        ConflictEventKind::Closed,
        ConflictEventKind::Reopened,
    ];
    let reasons = [
        CloseReason::Resolved,
        CloseReason::Converged,
        CloseReason::Deleted,
        CloseReason::Superseded,
        CloseReason::Policy,
    ];
    let conflict_kinds = [
        ConflictKind::Register,
        ConflictKind::TextOverlap,
        ConflictKind::EditDelete,
        ConflictKind::Relationship,
    ];
    for (index, event) in kinds.into_iter().enumerate() {
        let mut summary = conflict().summary();
        let reason = reasons[index % reasons.len()];
        summary.kind = conflict_kinds[index % conflict_kinds.len()];
        summary.scope.part = scopes()[index % 3].clone();
        summary.status = if index == 6 { ConflictStatus::Open } else { reason.status() };
        summary.closing = (index != 6).then_some(Closing { seq: Seq(90), at_ms: -1, reason });
        effects.push(EffectKind::Conflict { event, summary });
    }
    effects.push(EffectKind::Link { target: Some(id("card-2")) });
    effects.push(EffectKind::Link { target: None });
    effects.push(EffectKind::Links { added: vec![id("card-2"), id("card-3")], removed: vec![id("card-4")] });
    effects
}

/// The name of an enum's variant.
fn variant(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}

/// Changes with one effect each, by the names they have in `golden.txt`: every effect there is.
pub fn changes() -> Vec<(String, Change)> {
    let whole = change();
    let mutations = operation(Identity::Dot(dot(8)), Knowledge::Latest).mutations;
    let one = |(index, effect): (usize, &Effect)| {
        let name = format!("change_{}_{index}", variant(&effect.kind));
        (name, Change { mutations: mutations.clone(), effects: vec![effect.clone()], ..whole.clone() })
    };
    whole.effects.iter().enumerate().map(one).collect()
}

/// A change with every action and every effect.
pub fn change() -> Change {
    let effect = |(index, kind)| Effect {
        collection: id("cards"),
        record: id("card-1"),
        field: (index > 3).then(|| id("body")),
        mutation_index: index,
        previous_seq: Seq(u64::from(index) * 100),
        kind,
    };
    Change {
        seq: Seq(131),
        dot: dot(300),
        author: author(),
        context: context(),
        request_id: Some(id("request-1")),
        correlation_id: id("corr"),
        actor: id("Ada"),
        client_time_ms: Some(0),
        committed_at_ms: 1_700_000_000_000,
        mutations: mutations(),
        effects: (0..).zip(effects()).map(effect).collect(),
        settlement: Settlement {
            merged: true,
            conflicts: vec![conflict_id()],
            remaining: vec![(conflict_id(), vec![Seq(40), Seq(41)])],
        },
        operation_hash: [1; 16],
        chain: [2; 16],
        hash_salt: [3; 16],
    }
}

/// A connection.
pub fn connection() -> ConnectionContent {
    ConnectionContent {
        server: uuid(2),
        workspace: id("demo"),
        replica: Some(ReplicaId(Uuid::from_bytes([3; 16]))),
        client_name: id("web"),
        actor: id("Ada"),
        streams: true,
        connected_at_ms: 1_700_000_000_000,
        last_heartbeat_at_ms: 1_700_000_001_000,
        seq: 40,
        round_trip_us: 900,
        jitter_us: 80,
        received_count: 12,
        missed_count: 1,
    }
}
