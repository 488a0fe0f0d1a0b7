//! Canonical forms tell contents apart, and nothing else.

use crate::causality::{Counter, Seq};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::hash::Hash;
use crate::ids::{FieldId, ReplicaId};
use crate::operation::TextChoice;

/// Few, so that equal operations and ones that differ in one place are common.
fn id<T: From<String> + std::fmt::Debug>() -> impl Strategy<Value = T> {
    "[ab]{1,2}".prop_map(T::from)
}

fn label<T: From<String> + std::fmt::Debug>() -> impl Strategy<Value = T> {
    "[aé]{0,1}".prop_map(T::from)
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..3_u64, 1 => Just(u64::MAX)]
}

fn signed() -> impl Strategy<Value = i64> {
    prop_oneof![4 => -1..2_i64, 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
}

fn dot() -> impl Strategy<Value = Dot> {
    (0..2_u128, number())
        .prop_map(|(id, counter)| Dot { replica: ReplicaId::from_u128(id), counter: Counter(counter) })
}

fn conflict() -> impl Strategy<Value = ConflictId> {
    (0..2_u64, 0..2_u16).prop_map(|(opened_seq, index)| ConflictId { opened_seq: Seq(opened_seq), index })
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        signed().prop_map(Value::Int),
        prop_oneof![Just(0.0_f64), Just(-0.0), Just(1.0), Just(-1.0)]
            .prop_map(|d| Value::DoubleBits(d.to_bits())),
        label().prop_map(Value::String),
        "[a]{0,1}".prop_map(|s| Value::Bytes(s.into_bytes())),
        (-1..2_i64, 0..2_u32).prop_map(|(seconds, nanos)| Value::Timestamp { seconds, nanos }),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..2).prop_map(Value::List),
            btree_map("[ab]{0,1}", inner, 0..2).prop_map(Value::Map),
        ]
    })
}

fn hunk() -> impl Strategy<Value = Hunk> {
    (0..2_u32, 0..2_u32, "[a]{0,1}").prop_map(|(pos, del, ins)| Hunk { pos, del, ins })
}

fn text_choice() -> impl Strategy<Value = TextChoice> {
    prop_oneof![
        (0..2_u64).prop_map(|seq| TextChoice::Alternative(Seq(seq))),
        Just(TextChoice::Base),
        Just(TextChoice::Current),
        "[a]{0,1}".prop_map(TextChoice::Text),
    ]
}

fn any_action() -> impl Strategy<Value = Action> {
    let fields =
        || btree_map(id(), any_value(), 0..2).prop_map(|fields| fields.into_iter().collect::<Vec<_>>());
    let elements = || vec(any_value(), 0..2);
    prop_oneof![
        (fields(), any::<bool>())
            .prop_map(|(fields, replace_deleted)| Action::Create { fields, replace_deleted }),
        Just(Action::Delete),
        Just(Action::Restore),
        (id(), any_value()).prop_map(|(field, value)| Action::Set { field, value }),
        (id(), vec(hunk(), 0..2)).prop_map(|(field, hunks)| Action::EditText { field, hunks }),
        (id(), "[a]{0,1}").prop_map(|(field, text)| Action::ReplaceText { field, text }),
        (id(), text_choice()).prop_map(|(field, choice)| Action::DecideText { field, choice }),
        (id(), signed()).prop_map(|(field, by)| Action::Increment { field, by }),
        (id(), signed()).prop_map(|(field, value)| Action::AssignCounter { field, value }),
        (id(), elements()).prop_map(|(field, elements)| Action::AddElements { field, elements }),
        (id(), elements()).prop_map(|(field, elements)| Action::RemoveElements { field, elements }),
        id().prop_map(|field| Action::ClearElements { field }),
        (id(), id()).prop_map(|(field, target)| Action::Link { field, target }),
        (id(), option::of(id())).prop_map(|(field, target)| Action::Unlink { field, target }),
    ]
}

fn any_conflict_action() -> impl Strategy<Value = ConflictAction> {
    prop_oneof![
        (0..2_u64, -1..2_i64)
            .prop_map(|(revision, remind_at_ms)| ConflictAction::Defer { revision, remind_at_ms }),
        option::of(label()).prop_map(|assignee| ConflictAction::Assign { assignee }),
        Just(ConflictAction::Reopen),
        Just(ConflictAction::Remind),
    ]
}

fn any_mutation() -> impl Strategy<Value = Mutation> {
    let on_record = (label(), label(), any_action(), option::of(0..2_u64), option::of(conflict())).prop_map(
        |(collection, record, action, observed_seq, resolves)| {
            RecordMutation { collection, record, action, observed_seq: observed_seq.map(Seq), resolves }
                .into()
        },
    );
    let on_conflict = (conflict(), any_conflict_action())
        .prop_map(|(conflict, action)| ConflictMutation { conflict, action }.into());
    prop_oneof![3 => on_record, 1 => on_conflict]
}

fn any_operation() -> impl Strategy<Value = Operation> {
    let identity = prop_oneof![dot().prop_map(Identity::Dot), id().prop_map(Identity::Request)];
    let knowledge = prop_oneof![
        Just(Knowledge::Latest),
        (number(), number(), option::of((0..2_u8).prop_map(|byte| [byte; 16])), vec(dot(), 0..2)).prop_map(
            |(epoch, base_seq, base_chain, extras)| Knowledge::Context(CausalContext {
                epoch: Epoch(epoch),
                base_seq: Seq(base_seq),
                base_chain,
                extras
            })
        ),
    ];
    let rest = (vec(dot(), 0..2), vec(id(), 0..2), any::<bool>(), label(), label(), option::of(-1..2_i64));
    (identity, knowledge, vec(any_mutation(), 0..3), rest).prop_map(
        |(
            identity,
            knowledge,
            mutations,
            (depends_on, after_requests, await_records, correlation_id, actor, client_time_ms),
        )| {
            Operation {
                identity,
                knowledge,
                mutations,
                depends_on,
                after_requests,
                await_records,
                correlation_id,
                actor,
                client_time_ms,
                malformed: None,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn two_operations_are_one_content_exactly_if_their_forms_are(a in any_operation(), b in any_operation()) {
        prop_assert_eq!(a == b, super::operation(&a) == super::operation(&b));
    }

    /// Differences in one place only: whole random operations hardly ever have them.
    #[test]
    fn two_mutations_are_one_content_exactly_if_their_forms_are(
        frame in any_operation(), a in any_mutation(), b in any_mutation(),
    ) {
        let of = |mutation: &Mutation| Operation { mutations: vec![mutation.clone()], ..frame.clone() };
        prop_assert_eq!(a == b, super::operation(&of(&a)) == super::operation(&of(&b)));
    }

    #[test]
    fn two_values_are_one_content_exactly_if_their_forms_are(a in any_value(), b in any_value()) {
        let form = |of: &Value| {
            let mut out = Vec::new();
            value(&mut out, of);
            out
        };
        prop_assert_eq!(a == b, form(&a) == form(&b));
    }
}

fn example() -> Operation {
    let fields: Vec<(FieldId, Value)> = vec![("n".into(), Value::Int(-3)), ("t".into(), Value::string("né"))];
    Operation {
        identity: Identity::Dot(Dot { replica: ReplicaId::from_u128(7), counter: Counter(2) }),
        knowledge: Knowledge::Context(CausalContext::at(Epoch(9), Seq(300))),
        mutations: vec![
            RecordMutation {
                collection: "cards".into(),
                record: "card-1".into(),
                action: Action::Create { fields, replace_deleted: false },
                observed_seq: None,
                resolves: None,
            }
            .into(),
        ],
        depends_on: Vec::new(),
        after_requests: Vec::new(),
        await_records: false,
        correlation_id: "c".into(),
        actor: "".into(),
        client_time_ms: None,
        malformed: None,
    }
}

/// Hashes are stored, to know an operation that is sent again. This one never changes.
#[test]
fn a_hash_that_was_stored_is_still_the_hash() {
    let stored: Hash =
        [0xf1, 0x48, 0x97, 0x0b, 0xcf, 0x08, 0xdf, 0xe6, 0xdf, 0x47, 0x80, 0xbf, 0xa1, 0xfa, 0x26, 0x96];
    assert_eq!(example().content_hash(), stored);
}

#[test]
fn the_order_in_which_initial_values_were_listed_is_not_content() {
    let mut other = example();
    if let Some(Mutation::Record(RecordMutation {
        action: Action::Create { fields, replace_deleted: false },
        ..
    })) = other.mutations.first_mut()
    {
        fields.reverse();
    }
    assert_eq!(super::operation(&other), super::operation(&example()));
}
