//! Laws of the encoding, on random keys, ranges and bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use syncline_core::ids::{FieldId, RecordId, ReplicaId};

/// Few and short identifiers, so that prefixes of one another and equal ones are common.
fn id<T: From<String> + std::fmt::Debug>() -> impl Strategy<Value = T> {
    prop_oneof![
        4 => "[a-c_-]{0,3}".prop_map(T::from),
        1 => "[A-Za-z0-9_-]{1,64}".prop_map(T::from),
        1 => "[\u{1}-\u{7f}é日\u{10ffff}]{0,3}".prop_map(T::from),
    ]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..4_u64, any::<u64>(), (u64::MAX - 3)..=u64::MAX]
}

fn signed() -> impl Strategy<Value = i64> {
    prop_oneof![-3..4_i64, any::<i64>(), Just(i64::MIN), Just(i64::MAX)]
}

fn replica() -> impl Strategy<Value = ReplicaId> {
    prop_oneof![
        (0..3_u128).prop_map(ReplicaId::from_u128),
        Just(ReplicaId(Uuid::max())),
        any::<u128>().prop_map(ReplicaId::from_u128)
    ]
}

fn replica_no() -> impl Strategy<Value = ReplicaNo> {
    any::<u32>().prop_map(ReplicaNo)
}

fn counter() -> impl Strategy<Value = Counter> {
    number().prop_map(Counter)
}

fn dot() -> impl Strategy<Value = Dot> {
    (replica(), counter()).prop_map(|(replica, counter)| Dot { replica, counter })
}

fn conflict() -> impl Strategy<Value = ConflictId> {
    (number(), any::<u16>()).prop_map(|(opened_seq, index)| ConflictId { opened_seq: Seq(opened_seq), index })
}

fn wait_on() -> impl Strategy<Value = WaitOn> {
    prop_oneof![dot().prop_map(WaitOn::Operation), id().prop_map(WaitOn::Record)]
}

fn hash() -> impl Strategy<Value = Hash> {
    prop_oneof![Just([0; 16]), Just([255; 16]), any::<Hash>()]
}

fn scope() -> impl Strategy<Value = Scope> {
    let part = prop_oneof![
        Just(ScopePart::Record),
        id().prop_map(ScopePart::Field),
        (id(), id()).prop_map(|(field, target)| ScopePart::Link(field, target)),
        (id(), conflict()).prop_map(|(field, conflict)| ScopePart::Region(field, conflict)),
    ];
    (id(), part).prop_map(|(record, part)| Scope { record, part })
}

/// One strategy per kind of key, in the order of the kinds.
fn keys() -> Vec<BoxedStrategy<Key>> {
    vec![
        Just(Key::Schema).boxed(),
        replica().prop_map(Key::Replica).boxed(),
        replica_no().prop_map(Key::ReplicaNumber).boxed(),
        id().prop_map(Key::Record).boxed(),
        (id(), id()).prop_map(|(c, r)| Key::Member(c, r)).boxed(),
        (id(), id()).prop_map(|(r, f)| Key::Field(r, f)).boxed(),
        (id(), id(), hash()).prop_map(|(r, f, h)| Key::Element(r, f, h)).boxed(),
        (id(), id(), id()).prop_map(|(t, s, f)| Key::Backlink(t, s, f)).boxed(),
        conflict().prop_map(Key::Conflict).boxed(),
        scope().prop_map(Key::Scope).boxed(),
        (signed(), conflict()).prop_map(|(at, c)| Key::Reminder(at, c)).boxed(),
        (replica_no(), counter()).prop_map(|(r, c)| Key::Rejection(r, c)).boxed(),
        dot().prop_map(Key::Held).boxed(),
        (wait_on(), dot()).prop_map(|(on, dot)| Key::Waiter(on, dot)).boxed(),
        proptest::option::of(replica()).prop_map(Key::HoldUsage).boxed(),
        wait_on().prop_map(Key::Wake).boxed(),
        id().prop_map(Key::Request).boxed(),
        Just(Key::Secret).boxed(),
    ]
}

fn key() -> impl Strategy<Value = Key> {
    proptest::strategy::Union::new(keys())
}

/// Two keys of one kind.
fn pair() -> impl Strategy<Value = (Key, Key)> {
    proptest::strategy::Union::new(keys().into_iter().map(|k| (k.clone(), k)))
}

fn prefix() -> impl Strategy<Value = Prefix> {
    let record = || -> BoxedStrategy<RecordId> { id().boxed() };
    let field = || -> BoxedStrategy<FieldId> { id().boxed() };
    prop_oneof![
        Just(Prefix::Records),
        id().prop_map(Prefix::MembersOf),
        record().prop_map(Prefix::FieldsOf),
        (record(), field()).prop_map(|(r, f)| Prefix::ElementsOf(r, f)),
        record().prop_map(Prefix::BacklinksOf),
        record().prop_map(Prefix::ScopesOf),
        wait_on().prop_map(Prefix::WaitersOn),
        Just(Prefix::Waiters),
        Just(Prefix::Wakes),
        Just(Prefix::Replicas),
        Just(Prefix::Conflicts),
        Just(Prefix::Scopes),
        Just(Prefix::Reminders),
        Just(Prefix::HeldOperations),
        Just(Prefix::Requests),
    ]
}

/// A range that is likely to hold the key.
fn prefix_near(key: &Key) -> Option<Prefix> {
    Some(match key {
        Key::Record(_) => Prefix::Records,
        Key::Member(collection, _) => Prefix::MembersOf(collection.clone()),
        Key::Field(record, _) => Prefix::FieldsOf(record.clone()),
        Key::Element(record, field, _) => Prefix::ElementsOf(record.clone(), field.clone()),
        Key::Backlink(target, _, _) => Prefix::BacklinksOf(target.clone()),
        Key::Scope(scope) => Prefix::ScopesOf(scope.record.clone()),
        Key::Waiter(on, _) => Prefix::WaitersOn(on.clone()),
        Key::Wake(_) => Prefix::Wakes,
        Key::Replica(_) => Prefix::Replicas,
        Key::Conflict(_) => Prefix::Conflicts,
        Key::Reminder(..) => Prefix::Reminders,
        Key::Held(_) => Prefix::HeldOperations,
        Key::Request(_) => Prefix::Requests,
        Key::Schema | Key::Secret | Key::ReplicaNumber(_) | Key::Rejection(..) | Key::HoldUsage(_) => {
            return None;
        }
    })
}

fn within(prefix: &Prefix, key: &[u8]) -> bool {
    let (start, end) = prefix_range(prefix).unwrap();
    start.as_slice() <= key && key < end.as_slice()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_key_comes_back_as_it_was(key in key()) {
        prop_assert_eq!(decode_key(&encode_key(&key).unwrap()).unwrap(), key);
    }

    #[test]
    fn bytes_sort_as_the_keys_of_a_kind_do((a, b) in pair()) {
        prop_assert_eq!(encode_key(&a).unwrap().cmp(&encode_key(&b).unwrap()), a.cmp(&b));
    }

    #[test]
    fn a_range_holds_exactly_its_keys(prefix in prefix(), key in key()) {
        prop_assert_eq!(within(&prefix, &encode_key(&key).unwrap()), prefix.contains(&key));
    }

    #[test]
    fn a_range_holds_exactly_its_keys_near_by((a, b) in pair()) {
        if let Some(prefix) = prefix_near(&a) {
            prop_assert!(within(&prefix, &encode_key(&a).unwrap()));
            prop_assert_eq!(within(&prefix, &encode_key(&b).unwrap()), prefix.contains(&b));
            prop_assert!(prefix_range(&prefix).unwrap().0 <= encode_key(&prefix.start()).unwrap());
        }
    }

    #[test]
    fn bytes_that_are_a_key_are_that_keys_only_spelling(mut bytes in vec(any::<u8>(), 0..60), space in 0..20_u8) {
        if let Some(first) = bytes.first_mut() {
            *first = space;
        }
        if let Ok(key) = decode_key(&bytes) {
            prop_assert_eq!(encode_key(&key).unwrap(), bytes);
        }
    }
}

#[test]
fn an_identifier_with_nul_is_refused() {
    let key = Key::Field("a\0b".into(), "c".into());
    assert!(matches!(encode_key(&key), Err(StoreError::Inconsistent(_))));
}

#[test]
fn stored_spaces_never_change() {
    let first = |key: Key| encode_key(&key).unwrap()[0];
    assert_eq!(first(Key::Schema), 1);
    assert_eq!(first(Key::Field("".into(), "".into())), 6);
    assert_eq!(first(Key::Request("".into())), 17);
    assert_eq!(first(Key::Secret), 18);
}
