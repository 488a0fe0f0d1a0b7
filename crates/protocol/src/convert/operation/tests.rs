use bytes::Bytes;
use pb::conflict_mutation::Action as PbConflictAction;
use pb::record_mutation::Action as PbAction;
use prost_types::Timestamp;
use tonic::Code;
use uuid::Uuid;

use super::*;
use crate::convert::value::tests::nested;
use crate::convert::value_to_pb;
use crate::pb::ErrorReason;
use syncline_core::causality::Counter;
use syncline_core::ids::ConflictId;
use syncline_core::limits::SEQ_MAX;
use syncline_core::merge::text::Hunk;
use syncline_core::operation::{Action, ConflictAction, ConflictMutation};
use syncline_core::value::Value;

const REPLICA: &str = "6f2d0c3e-95b1-4c0a-8d2f-0123456789ab";

fn dot(counter: u64) -> pb::Dot {
    pb::Dot { replica_id: REPLICA.to_owned(), counter }
}

fn null() -> pb::Value {
    value_to_pb(&Value::Null)
}

fn on_n1(action: PbAction) -> pb::RecordMutation {
    pb::RecordMutation {
        collection_id: "notes".into(),
        record_id: "n1".into(),
        action: Some(action),
        observed_seq: None,
        resolves_conflict_id: None,
    }
}

fn on_record(action: PbAction) -> pb::Mutation {
    on_n1(action).into()
}

fn on_conflict(conflict_id: &str, action: PbConflictAction) -> pb::Mutation {
    pb::ConflictMutation { conflict_id: conflict_id.to_owned(), action: Some(action) }.into()
}

fn set(value: pb::Value) -> PbAction {
    PbAction::SetField(pb::SetField { field_id: "title".into(), value: Some(value) })
}

fn with(mutations: Vec<pb::Mutation>) -> pb::Operation {
    pb::Operation {
        identity: Some(PbIdentity::Dot(dot(3))),
        knowledge: Some(PbKnowledge::Context(pb::CausalContext {
            epoch: 1,
            base_seq: 10,
            ..Default::default()
        })),
        mutations,
        correlation_id: "trace-1".into(),
        depends_on: vec![],
        actor: "ann".into(),
        client_time: Some(Timestamp { seconds: 5, nanos: 6_000_000 }),
        await_records: true,
        after_request_ids: vec![],
    }
}

fn received(operations: Vec<pb::Operation>) -> Result<Vec<Operation>, Failure> {
    all_named(operations.iter().map(|o| o.encode_to_vec().into()).collect())
}

/// The operations of a call in which every one has an identity.
fn all_named(operations: Vec<Bytes>) -> Result<Vec<Operation>, Failure> {
    let taken = operations_from_bytes(operations)?;
    Ok(taken.into_iter().map(|one| one.expect("an identity")).collect())
}

fn one(action: PbAction) -> pb::Operation {
    with(vec![on_record(action)])
}

fn taken(operation: pb::Operation) -> Operation {
    operation_from_pb(operation).expect("a usable identity")
}

/// The refusal of an operation that settles as rejected, with the mutation at fault.
fn refused(operation: pb::Operation) -> (Refusal, Option<u32>) {
    let sent = operation.encode_to_vec();
    let operation = taken(operation);
    assert!(operation.mutations.is_empty());
    assert_eq!(
        operation.identity,
        Identity::Dot(Dot { replica: REPLICA.parse().expect("a uuid"), counter: Counter(3) })
    );
    let malformed = operation.malformed.expect("malformed");
    assert_eq!(malformed.content_hash, hash(&sent));
    (malformed.refusal, malformed.mutation_index)
}

fn invalid_field(operation: pb::Operation) -> String {
    match refused(operation) {
        (Refusal::InvalidOperation { field, .. }, _) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_operation_is_taken() {
    let conflict = ConflictId { opened_seq: Seq(4), index: 0 };
    let field: syncline_core::ids::FieldId = "f".into();
    let name = || "f".to_owned();
    let element = || vec![null()];
    let cases = [
        (
            PbAction::CreateRecord(pb::CreateRecord {
                fields: [(name(), null())].into(),
                replace_deleted: true,
            }),
            Action::Create { fields: vec![(field.clone(), Value::Null)], replace_deleted: true },
        ),
        (PbAction::DeleteRecord(pb::DeleteRecord {}), Action::Delete),
        (PbAction::RestoreRecord(pb::RestoreRecord {}), Action::Restore),
        (
            PbAction::SetField(pb::SetField { field_id: name(), value: Some(null()) }),
            Action::Set { field: field.clone(), value: Value::Null },
        ),
        (
            PbAction::EditText(pb::EditText {
                field_id: name(),
                hunks: vec![pb::TextHunk { position: 1, delete_count: 2, insert: "é".into() }],
            }),
            Action::EditText { field: field.clone(), hunks: vec![Hunk { pos: 1, del: 2, ins: "é".into() }] },
        ),
        (
            PbAction::ReplaceText(pb::ReplaceText { field_id: name(), text: "t".into() }),
            Action::ReplaceText { field: field.clone(), text: "t".into() },
        ),
        (
            PbAction::IncrementCounter(pb::IncrementCounter { field_id: name(), by: -4 }),
            Action::Increment { field: field.clone(), by: -4 },
        ),
        (
            PbAction::AssignCounter(pb::AssignCounter { field_id: name(), value: i64::MIN }),
            Action::AssignCounter { field: field.clone(), value: i64::MIN },
        ),
        (
            PbAction::AddElements(pb::AddElements { field_id: name(), elements: element() }),
            Action::AddElements { field: field.clone(), elements: vec![Value::Null] },
        ),
        (
            PbAction::RemoveElements(pb::RemoveElements { field_id: name(), elements: element() }),
            Action::RemoveElements { field: field.clone(), elements: vec![Value::Null] },
        ),
        (
            PbAction::ClearElements(pb::ClearElements { field_id: name() }),
            Action::ClearElements { field: field.clone() },
        ),
        (
            PbAction::LinkRecord(pb::LinkRecord { field_id: name(), target_record_id: "t".into() }),
            Action::Link { field: field.clone(), target: "t".into() },
        ),
        (
            PbAction::UnlinkRecord(pb::UnlinkRecord { field_id: name(), target_record_id: Some("t".into()) }),
            Action::Unlink { field: field.clone(), target: Some("t".into()) },
        ),
        (
            PbAction::UnlinkRecord(pb::UnlinkRecord { field_id: name(), target_record_id: None }),
            Action::Unlink { field, target: None },
        ),
    ];
    let (sent, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let mut mutations: Vec<_> = sent.into_iter().map(on_n1).collect();
    mutations[3].observed_seq = Some(10);
    mutations[3].resolves_conflict_id = Some("c4-0".into());
    let mutations = mutations.into_iter().map(pb::Mutation::from).collect();
    let operation = taken(pb::Operation {
        depends_on: vec![dot(9)],
        after_request_ids: vec!["job:1".into(), "job:2".into()],
        ..with(mutations)
    });
    assert_eq!(operation.malformed, None);
    let mutations: Vec<_> = operation.mutations.iter().filter_map(Mutation::on_record).collect();
    assert_eq!(mutations[3].observed_seq, Some(Seq(10)));
    assert_eq!(mutations[3].resolves, Some(conflict));
    assert!(mutations.iter().all(|m| &*m.collection == "notes" && &*m.record == "n1"));
    assert_eq!(mutations.iter().map(|m| m.action.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(operation.after_requests, ["job:1".into(), "job:2".into()]);
    assert_eq!(operation.depends_on[0].counter, Counter(9));
    assert_eq!((&*operation.correlation_id, &*operation.actor), ("trace-1", "ann"));
    assert_eq!((operation.client_time_ms, operation.await_records), (Some(5_006), true));
}

#[test]
fn actions_on_conflicts_are_taken() {
    let conflict = ConflictId { opened_seq: Seq(4), index: 1 };
    let remind_time = Some(Timestamp { seconds: 9, nanos: 0 });
    let operation = taken(with(vec![
        on_conflict("c4-1", PbConflictAction::Defer(pb::DeferConflict { revision: 2, remind_time })),
        on_conflict("c4-1", PbConflictAction::Assign(pb::AssignConflict { assignee: Some("bob".into()) })),
        on_conflict("c4-1", PbConflictAction::Assign(pb::AssignConflict { assignee: None })),
        on_conflict("c4-1", PbConflictAction::Reopen(pb::ReopenConflict {})),
    ]));
    let expected = [
        ConflictAction::Defer { revision: 2, remind_at_ms: 9_000 },
        ConflictAction::Assign { assignee: Some("bob".into()) },
        ConflictAction::Assign { assignee: None },
        ConflictAction::Reopen,
    ]
    .map(|action| Mutation::Conflict(ConflictMutation { conflict, action }));
    assert_eq!(operation.mutations, expected);
}

#[test]
fn callers_without_a_replica_may_know_everything() {
    let observing = |seq| {
        taken(pb::Operation {
            identity: Some(PbIdentity::RequestId("job:1".into())),
            knowledge: Some(PbKnowledge::Latest(pb::Latest {})),
            ..with(vec![pb::RecordMutation { observed_seq: Some(seq), ..on_n1(set(null())) }.into()])
        })
    };
    let beyond = observing(SEQ_MAX + 1).malformed.expect("no position");
    assert!(matches!(beyond.refusal, Refusal::InvalidContext { .. }));
    let operation = observing(SEQ_MAX);
    assert_eq!(operation.identity, Identity::Request("job:1".into()));
    assert_eq!((operation.knowledge, operation.malformed), (Knowledge::Latest, None));
}

#[test]
fn nothing_that_one_operation_says_stops_the_others() {
    let fine = one(set(null()));
    let knowing = |knowledge| pb::Operation { knowledge, ..fine.clone() };
    let context = |change: fn(&mut pb::CausalContext)| {
        let mut context = pb::CausalContext { epoch: 1, base_seq: 10, ..Default::default() };
        change(&mut context);
        knowing(Some(PbKnowledge::Context(context)))
    };
    let needs = |depends_on| pb::Operation { depends_on, ..fine.clone() };
    let nil = || pb::Dot { replica_id: Uuid::nil().to_string(), counter: 1 };
    fn many(count: u128) -> Vec<pb::Dot> {
        (1..=count).map(|i| pb::Dot { replica_id: Uuid::from_u128(i).to_string(), counter: 1 }).collect()
    }
    assert_eq!(taken(needs(many(300))).malformed, None);
    let cases = [
        (knowing(None), "INVALID_CONTEXT", "needs a context"),
        (knowing(Some(PbKnowledge::Latest(pb::Latest {}))), "INVALID_CONTEXT", "request id"),
        (context(|context| context.extras = many(33)), "INVALID_CONTEXT", "context.extras:"),
        (context(|context| context.extras = vec![dot(1), dot(2)]), "INVALID_CONTEXT", "context.extras[1]"),
        (context(|context| context.extras = vec![dot(0)]), "INVALID_CONTEXT", "extras[0].counter"),
        (context(|context| context.base_chain = vec![1].into()), "INVALID_CONTEXT", "context.base_chain"),
        (context(|context| context.epoch = u64::MAX), "INVALID_CONTEXT", "context.epoch"),
        (needs(many(301)), "INVALID_REQUEST", "depends_on:"),
        (needs(vec![dot(1), nil()]), "INVALID_REQUEST", "depends_on[1].replica_id"),
        (needs(vec![dot(0)]), "INVALID_REQUEST", "depends_on[0].counter"),
    ];
    for (operation, reason, named) in cases {
        let call = received(vec![fine.clone(), operation.clone(), fine.clone()]).expect(named);
        assert_eq!(call.iter().map(|one| one.malformed.is_some()).collect::<Vec<_>>(), [false, true, false]);
        let (refusal, mutation_index) = refused(operation);
        let (told, _, message, _) = crate::status::refusal_parts(&refusal);
        assert_eq!((crate::status::reason_name(told), mutation_index), (reason, None));
        assert!(message.contains(named), "{message} says {named}");
        assert!(call[1].depends_on.is_empty(), "it waits for nothing");
    }
}

#[test]
fn an_identity_that_none_can_have_is_answered_and_fails_nobody() {
    let fine = one(set(null()));
    let of_dot =
        |replica_id: &str, counter| PbIdentity::Dot(pb::Dot { replica_id: replica_id.to_owned(), counter });
    let request = |id: &str| PbIdentity::RequestId(id.to_owned());
    let cases = [
        (of_dot("nonsense", 1), "dot.replica_id"),
        (of_dot(&Uuid::nil().to_string(), 1), "dot.replica_id"),
        (of_dot(REPLICA, 0), "dot.counter"),
        (of_dot(REPLICA, u64::MAX), "dot.counter"),
        (request(""), "request_id"),
        (request("a b"), "request_id"),
        (request(&"x".repeat(65)), "request_id"),
    ];
    for (identity, field) in cases {
        let bad = pb::Operation { identity: Some(identity.clone()), ..fine.clone() };
        let sent = [&fine, &bad].map(|operation| operation.encode_to_vec().into());
        let mut call = operations_from_bytes(sent.to_vec()).expect("a call");
        let nameless = call.remove(1).expect_err(field);
        assert!(call.remove(0).is_ok());
        assert_eq!(nameless.violation(1).field, format!("operations[1].{field}"));
        let receipt = nameless.receipt();
        assert_eq!(receipt.correlation_id, "trace-1");
        let message = match (identity, receipt.outcome) {
            (PbIdentity::Dot(dot), Some(pb::receipt::Outcome::Rejected(rejected))) => {
                assert_eq!(receipt.dot, Some(dot));
                rejected.message
            }
            (PbIdentity::RequestId(id), Some(pb::receipt::Outcome::NotSettled(not_settled))) => {
                assert_eq!(receipt.request_id, id);
                not_settled.message
            }
            other => panic!("{other:?}"),
        };
        assert!(message.contains(field), "{message} names {field}");
    }
}

#[test]
fn a_call_is_taken_whole_or_not_at_all() {
    let fine = one(set(null()));
    assert_eq!(received(vec![fine.clone(); 1_000]).expect("1,000").len(), 1_000);
    let failure = received(vec![fine.clone(); 1_001]).expect_err("1,001");
    assert_eq!((failure.code(), failure.reason()), (Code::InvalidArgument, ErrorReason::TooManyOperations));
    let failure = received(vec![]).expect_err("none");
    assert_eq!(failure.violations()[0].field, "operations");
    // Nobody could tell what became of an operation without any identity.
    let nobody = pb::Operation { identity: None, ..fine.clone() };
    let failure = received(vec![fine, nobody]).expect_err("nobody's");
    let fields: Vec<_> = failure.violations().iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["operations[1]"]);
}

#[test]
fn bad_values_are_refused() {
    let nan = pb::Value { kind: Some(pb::value::Kind::DoubleValue(f64::NAN)) };
    let add = |elements| PbAction::AddElements(pb::AddElements { field_id: "f".into(), elements });
    let remove = |elements| PbAction::RemoveElements(pb::RemoveElements { field_id: "f".into(), elements });
    let create = |value| {
        PbAction::CreateRecord(pb::CreateRecord {
            fields: [("f".to_owned(), value)].into(),
            replace_deleted: false,
        })
    };
    let invalid = [
        set(nan.clone()),
        set(pb::Value { kind: None }),
        PbAction::SetField(pb::SetField { field_id: "f".into(), value: None }),
        add(vec![nested(1)]),
        add(vec![nan.clone()]),
        remove(vec![nested(1)]),
        create(nan),
    ];
    for action in invalid {
        let (refusal, index) =
            refused(with(vec![on_record(PbAction::DeleteRecord(pb::DeleteRecord {})), on_record(action)]));
        assert!(matches!(refusal, Refusal::InvalidValue { .. }), "{refusal:?}");
        assert_eq!(index, Some(1));
    }
    assert_eq!(taken(one(set(nested(30)))).malformed, None);
    for action in [set(nested(31)), create(nested(31)), add(vec![nested(31)])] {
        assert_eq!(refused(one(action)), (Refusal::ValueTooDeep { limit: 30 }, Some(0)));
    }
}

#[test]
fn an_absent_action_is_unknown() {
    let no_action = pb::RecordMutation { action: None, ..on_n1(set(null())) };
    for nothing in [no_action.into(), pb::ConflictMutation::default().into(), pb::Mutation::default()] {
        assert_eq!(refused(with(vec![nothing])), (Refusal::UnknownAction, Some(0)));
    }
    // What a newer client's action looks like here: a field this server does not know.
    for newer in [&[0x2a, 4, 0xf2, 0x06, 1, b'x'][..], &[0x2a, 6, 0x0a, 4, 0xf2, 0x06, 1, b'x']] {
        let bytes = [&with(vec![]).encode_to_vec(), newer].concat();
        assert_eq!(refused_bytes(&bytes), (Refusal::UnknownAction, Some(0)));
    }
}

fn refused_bytes(bytes: &[u8]) -> (Refusal, Option<u32>) {
    let operation = all_named(vec![Bytes::copy_from_slice(bytes)]).expect("a usable one").remove(0);
    let malformed = operation.malformed.expect("malformed");
    assert_eq!(malformed.content_hash, hash(bytes), "what cannot be encoded here counts as well");
    (malformed.refusal, malformed.mutation_index)
}

/// Appends a field of this number that holds these bytes.
fn append(message: &mut Vec<u8>, field: u32, content: &[u8]) {
    prost::encoding::encode_key(field, prost::encoding::WireType::LengthDelimited, message);
    prost::encoding::encode_varint(content.len() as u64, message);
    message.extend(content);
}

#[test]
fn an_operation_with_a_field_of_a_newer_protocol_is_refused_alone() {
    let unknown = |path: &str| Refusal::UnknownField { field: path.to_owned() };
    // A precondition of the whole operation.
    let mut newer = one(set(null())).encode_to_vec();
    append(&mut newer, 77, b"x");
    assert_eq!(refused_bytes(&newer), (unknown("77"), None));
    // Of one of its mutations.
    let mut mutation = on_n1(set(null())).encode_to_vec();
    append(&mut mutation, 99, b"");
    let mut outer = Vec::new();
    append(&mut outer, 1, &mutation);
    let mut of_mutation = one(set(null())).encode_to_vec();
    append(&mut of_mutation, 5, &outer);
    assert_eq!(refused_bytes(&of_mutation), (unknown("mutations[1].record.99"), Some(1)));
    // What its author knew, said in a way that is not known here.
    let knowledge = pb::Operation { knowledge: None, ..one(set(null())) };
    let mut of_knowledge = knowledge.encode_to_vec();
    append(&mut of_knowledge, 13, b"x");
    assert_eq!(refused_bytes(&of_knowledge), (unknown("13"), None));
    // Its neighbours are not concerned.
    let fine = Bytes::from(one(set(null())).encode_to_vec());
    let call = vec![fine.clone(), newer.clone().into(), fine];
    let taken = all_named(call).expect("three usable ones");
    let refused: Vec<bool> = taken.iter().map(|o| o.malformed.is_some()).collect();
    assert_eq!(refused, [false, true, false]);
    // Without an identity that is known nothing can be recorded, and the call fails for that reason.
    let nobody = pb::Operation { identity: None, ..one(set(null())) };
    let mut of_identity = nobody.encode_to_vec();
    append(&mut of_identity, 13, b"x");
    let failure = operations_from_bytes(vec![newer.into(), of_identity.into()]).expect_err("nobody's");
    assert_eq!(failure.reason(), ErrorReason::UnknownField);
    assert_eq!(failure.metadata()["field"], "operations[1].13");
}

#[test]
fn large_operations_are_refused() {
    let text =
        |bytes| one(PbAction::ReplaceText(pb::ReplaceText { field_id: "f".into(), text: "x".repeat(bytes) }));
    let frame = text(OPERATION_BYTES_MAX).encoded_len() - OPERATION_BYTES_MAX;
    assert_eq!(taken(text(OPERATION_BYTES_MAX - frame)).malformed, None);
    let (refusal, index) = refused(text(OPERATION_BYTES_MAX - frame + 1));
    let limit = OPERATION_BYTES_MAX as u64;
    assert_eq!((refusal, index), (Refusal::OperationTooLarge { bytes: limit + 1, limit }, None));
}

#[test]
fn earlier_readings_have_their_place() {
    let observed =
        |action, seq| with(vec![pb::RecordMutation { observed_seq: Some(seq), ..on_n1(action) }.into()]);
    let assign = PbAction::AssignCounter(pb::AssignCounter { field_id: "f".into(), value: 1 });
    assert_eq!(taken(observed(assign, 0)).malformed, None);
    let increment = PbAction::IncrementCounter(pb::IncrementCounter { field_id: "f".into(), by: 1 });
    let delete = PbAction::DeleteRecord(pb::DeleteRecord {});
    for operation in [observed(increment, 1), observed(delete, 1), observed(set(null()), 11)] {
        let (refusal, index) = refused(operation);
        assert!(matches!(refusal, Refusal::InvalidContext { .. }), "{refusal:?}");
        assert_eq!(index, Some(0));
    }
}

#[test]
fn what_breaks_its_form_is_named() {
    let fine = on_n1(set(null()));
    let many = |count| with(vec![fine.clone().into(); count]);
    let elements = |count| {
        one(PbAction::AddElements(pb::AddElements { field_id: "f".into(), elements: vec![null(); count] }))
    };
    let hunk = pb::TextHunk { position: 0, delete_count: 0, insert: "x".into() };
    let hunks = |count| {
        one(PbAction::EditText(pb::EditText { field_id: "f".into(), hunks: vec![hunk.clone(); count] }))
    };
    assert_eq!(taken(many(100)).malformed, None);
    assert_eq!(taken(elements(100)).malformed, None);
    assert_eq!(taken(hunks(1_000)).malformed, None);
    let fields = (0..501).map(|i| (format!("f{i}"), null())).collect();
    let defer = |remind_time| PbConflictAction::Defer(pb::DeferConflict { revision: 1, remind_time });
    let now = Some(Timestamp { seconds: 1, nanos: 0 });
    let far = Some(Timestamp { seconds: i64::MAX, nanos: 0 });
    let reopen = |id: &str| on_conflict(id, PbConflictAction::Reopen(pb::ReopenConflict {}));
    let assign = |assignee: &str| {
        let assignee = Some(assignee.to_owned());
        on_conflict("c1-0", PbConflictAction::Assign(pb::AssignConflict { assignee }))
    };
    let after = |ids: Vec<&str>| pb::Operation {
        after_request_ids: ids.into_iter().map(str::to_owned).collect(),
        ..many(1)
    };
    let field = |field_id: &str| {
        one(PbAction::SetField(pb::SetField { field_id: field_id.into(), value: Some(null()) }))
    };
    let link = |target: &str| {
        one(PbAction::LinkRecord(pb::LinkRecord { field_id: "f".into(), target_record_id: target.into() }))
    };
    let long = "x".repeat(129);
    let cases = [
        (many(0), "mutations"),
        (many(101), "mutations"),
        (pb::Operation { correlation_id: long.clone(), ..many(1) }, "correlation_id"),
        (pb::Operation { correlation_id: "a\nb".into(), ..many(1) }, "correlation_id"),
        (
            with(vec![pb::RecordMutation { collection_id: "a b".into(), ..fine.clone() }.into()]),
            "mutations[0].record.collection_id",
        ),
        (
            with(vec![pb::RecordMutation { record_id: String::new(), ..fine.clone() }.into()]),
            "mutations[0].record.record_id",
        ),
        (
            with(vec![
                pb::RecordMutation { resolves_conflict_id: Some("c01-0".into()), ..fine.clone() }.into(),
            ]),
            "mutations[0].record.resolves_conflict_id",
        ),
        (
            with(vec![
                pb::RecordMutation { resolves_conflict_id: Some(String::new()), ..fine.clone() }.into(),
            ]),
            "mutations[0].record.resolves_conflict_id",
        ),
        (after(vec!["job"; 33]), "after_request_ids"),
        (after(vec!["job", "a b"]), "after_request_ids[1]"),
        (field(""), "mutations[0].record.set_field.field_id"),
        (field("ü"), "mutations[0].record.set_field.field_id"),
        (field(&"x".repeat(65)), "mutations[0].record.set_field.field_id"),
        (link(""), "mutations[0].record.link_record.target_record_id"),
        (elements(0), "mutations[0].record.add_elements.elements"),
        (elements(101), "mutations[0].record.add_elements.elements"),
        (hunks(1_001), "mutations[0].record.edit_text.hunks"),
        (
            one(PbAction::CreateRecord(pb::CreateRecord { fields, replace_deleted: false })),
            "mutations[0].record.create_record.fields",
        ),
        (
            one(PbAction::CreateRecord(pb::CreateRecord {
                fields: [("a b".to_owned(), null())].into(),
                replace_deleted: false,
            })),
            "mutations[0].record.create_record.fields",
        ),
        (with(vec![reopen("nonsense")]), "mutations[0].conflict.conflict_id"),
        (with(vec![on_conflict("c1-0", defer(None))]), "mutations[0].conflict.defer.remind_time"),
        (with(vec![on_conflict("c1-0", defer(far))]), "mutations[0].conflict.defer.remind_time"),
        (with(vec![on_conflict("", defer(now))]), "mutations[0].conflict.conflict_id"),
        (with(vec![assign(&long)]), "mutations[0].conflict.assign.assignee"),
        (with(vec![assign("")]), "mutations[0].conflict.assign.assignee"),
    ];
    for (operation, field) in cases {
        assert_eq!(invalid_field(operation), field);
    }
}

#[test]
fn malformed_operations_are_the_same_when_sent_again() {
    let sent = pb::Operation { correlation_id: "x".repeat(200), ..one(set(nested(31))) };
    let (first, again) = (taken(sent.clone()), taken(sent.clone()));
    assert_eq!(first.content_hash(), again.content_hash());
    // Labels that break their form are dropped, and still tell contents apart.
    assert_eq!(&*first.correlation_id, "");
    let other = taken(pb::Operation { correlation_id: "y".repeat(200), ..sent });
    assert_ne!(first.content_hash(), other.content_hash());
}
