//! A row that a newer version wrote with further fields keeps them when this version rewrites it.

use std::sync::Arc;

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;
use syncline_core::causality::{Counter, Seq};

use proptest::prelude::*;

use super::samples;
use crate::store::stored::{FORMAT, decode_row, encode_row, kind};
use syncline_core::ids::{Dot, Epoch, ReplicaId};
use syncline_core::operation::{
    Action, CausalContext, Identity, Knowledge, Mutation, Operation, Outcome, RecordMutation,
};
use syncline_core::schema::{Collection, Field, FieldKind, Schema};
use syncline_core::sequencer::{Environment, submit};
use syncline_core::state::{FieldValue, Key, Row, WorkspaceState};
use syncline_core::unknown::Unknown;
use syncline_core::value::Value;
use syncline_core::wire::{put_bytes, put_fixed64, put_message, put_sint, put_uint};

const EPOCH: Epoch = Epoch(7);
const ENV: Environment = Environment { now_ms: 1_000_000 };

/// Every place of a row that can hold what a newer version wrote.
fn places(row: &mut Row) -> Vec<&mut Unknown> {
    match row {
        Row::Schema(schema) => {
            let mut places = vec![&mut schema.unknown];
            for collection in schema.collections.values_mut().map(Arc::make_mut) {
                places.push(&mut collection.unknown);
                places.extend(collection.fields.values_mut().map(|field| &mut field.unknown));
            }
            places
        }
        Row::Replica(replica) => vec![&mut replica.unknown],
        Row::Record(record) => {
            let heads = record.heads.iter_mut().map(|head| &mut head.unknown);
            heads.chain([&mut record.unknown]).collect()
        }
        Row::Field(field) => {
            let mut places = vec![&mut field.unknown];
            match &mut field.value {
                FieldValue::Register(heads) | FieldValue::ToOne(heads) => {
                    places.extend(heads.iter_mut().map(|head| &mut head.unknown));
                }
                FieldValue::Counter(heads) => places.extend(heads.iter_mut().map(|head| &mut head.unknown)),
                FieldValue::Text(_) | FieldValue::Set { .. } | FieldValue::ToMany { .. } => {}
            }
            places
        }
        Row::Element(element) => {
            let additions = element.additions.iter_mut().map(|addition| &mut addition.unknown);
            additions.chain([&mut element.unknown]).collect()
        }
        Row::Conflict(conflict) => {
            let alternatives = conflict.alternatives.iter_mut().map(|a| &mut a.unknown);
            let events = conflict.events.iter_mut().map(|event| &mut event.unknown);
            alternatives.chain(events).chain([&mut conflict.unknown]).collect()
        }
        Row::Scope(scope) => vec![&mut scope.unknown],
        Row::Held(held) => vec![&mut held.unknown],
        Row::HoldUsage(usage) => vec![&mut usage.unknown],
        // Never rewritten.
        Row::ReplicaNumber(_) | Row::Unit | Row::Rejection(_) | Row::Request(_) | Row::Secret(_) => {
            Vec::new()
        }
    }
}

/// What a newer version may write: fields of any number and layout, in each place others.
#[derive(Debug, Clone)]
struct Newer {
    first_field: u32,
    layouts: Vec<u8>,
    count: u64,
}

impl Newer {
    fn any() -> impl Strategy<Value = Newer> {
        (100..500_000_000_u32, proptest::collection::vec(0..5_u8, 1..4))
            .prop_map(|(first_field, layouts)| Newer { first_field, layouts, count: 0 })
    }

    fn fields(&mut self) -> Unknown {
        self.count += 1;
        let mut out = Vec::new();
        for (field, layout) in (self.first_field..).zip(&self.layouts) {
            match layout {
                0 => put_uint(&mut out, field, self.count),
                1 => put_fixed64(&mut out, field, self.count),
                2 => put_bytes(&mut out, field, &self.count.to_be_bytes()),
                3 => put_sint(&mut out, field, -1 - self.count.cast_signed()),
                _ => put_message(&mut out, field, |out| put_uint(out, 1, self.count)),
            }
        }
        Unknown::new(&out)
    }

    fn decorate(&mut self, row: &Row) -> Row {
        let mut row = row.clone();
        places(&mut row).into_iter().for_each(|place| *place = self.fields());
        row
    }
}

fn told(row: &Row) -> BTreeSet<Vec<u8>> {
    let mut row = row.clone();
    places(&mut row).into_iter().map(|place| place.fields().to_vec()).filter(|f| !f.is_empty()).collect()
}

fn on(record: &str, action: Action) -> Mutation {
    let (collection, record) = ("cards".into(), record.into());
    RecordMutation { collection, record, action, observed_seq: None, resolves: None }.into()
}

fn operation(replica: u128, counter: u64, base_seq: u64, mutations: Vec<Mutation>) -> Operation {
    Operation {
        identity: Identity::Dot(Dot { replica: ReplicaId::from_u128(replica), counter: Counter(counter) }),
        knowledge: Knowledge::Context(CausalContext::at(EPOCH, Seq(base_seq))),
        mutations,
        depends_on: Vec::new(),
        after_requests: Vec::new(),
        await_records: false,
        correlation_id: "".into(),
        actor: "".into(),
        client_time_ms: None,
        malformed: None,
    }
}

fn settle(state: &mut WorkspaceState, operation: &Operation) {
    let outcome = submit(state, operation, ENV).expect("everything is in memory").outcome;
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
}

fn hold(state: &mut WorkspaceState, operation: &Operation) {
    let outcome = submit(state, operation, ENV).expect("everything is in memory").outcome;
    assert!(matches!(outcome, Outcome::Held { .. }), "{outcome:?}");
}

/// What one author does to every kind of field, knowing nothing of others.
fn writes(n: i64, text: &str) -> Vec<Mutation> {
    let field = |id: &str| -> syncline_core::ids::FieldId { id.into() };
    let tag = vec![Value::string("red")];
    vec![
        on("r1", Action::Set { field: field("title"), value: Value::Int(n) }),
        on("r1", Action::ReplaceText { field: field("body"), text: text.to_owned() }),
        on("r1", Action::AssignCounter { field: field("votes"), value: n }),
        on("r1", Action::AddElements { field: field("tags"), elements: tag }),
        on("r1", Action::Link { field: field("column"), target: "t1".into() }),
        on("r1", Action::Link { field: field("watchers"), target: "t1".into() }),
    ]
}

/// A workspace with a row of every kind, in conflict where that can be.
fn workspace() -> WorkspaceState {
    let mut state = WorkspaceState::resident(EPOCH);
    let fields = [
        ("title", FieldKind::Register),
        ("body", FieldKind::Text),
        ("votes", FieldKind::Counter),
        ("tags", FieldKind::Set),
        ("column", FieldKind::ToOne),
        ("watchers", FieldKind::ToMany),
    ];
    let fields = fields.map(|(id, kind)| (id.into(), Field::of(kind))).into();
    let cards = Collection { fields, ..Collection::default() };
    let schema = Schema { collections: [("cards".into(), cards.into())].into(), ..Schema::default() };
    state.put(Key::Schema, Some(Row::Schema(schema)));
    let create = |record| on(record, Action::Create { fields: Vec::new(), replace_deleted: false });
    settle(&mut state, &operation(1, 1, 0, vec![create("r1"), create("t1")]));
    settle(&mut state, &operation(2, 1, 1, writes(1, "one")));
    settle(&mut state, &operation(3, 1, 1, writes(2, "two")));
    let waits = Operation {
        depends_on: [5, 6]
            .map(|replica| Dot { replica: ReplicaId::from_u128(replica), counter: Counter::FIRST })
            .into(),
        ..operation(4, 1, 0, vec![create("late")])
    };
    hold(&mut state, &waits);
    state
}

/// Rewrites all that is there without replacing any of its parts.
fn rewrite(state: &mut WorkspaceState) {
    let create = |record| on(record, Action::Create { fields: Vec::new(), replace_deleted: false });
    // Known authors, elsewhere.
    settle(state, &operation(1, 2, 1, vec![create("r2")]));
    settle(state, &operation(2, 2, 1, vec![create("r3")]));
    settle(state, &operation(3, 2, 1, vec![create("r4")]));
    // Somebody who knew nothing: all writers stay beside this one.
    settle(state, &operation(7, 1, 0, writes(3, "three")));
    settle(state, &operation(8, 1, 0, vec![on("r1", Action::Delete)]));
    settle(state, &operation(8, 2, 0, vec![on("t1", Action::Delete)]));
    // A field that nobody declared.
    let new = Action::Set { field: "new".into(), value: Value::Null };
    settle(state, &operation(7, 2, 0, vec![on("r2", new)]));
    // What waits has one reason less, and more waits.
    settle(state, &operation(5, 1, 0, vec![create("r5")]));
    hold(state, &operation(4, 3, 0, vec![create("r6")]));
}

fn rows_of(state: &mut WorkspaceState) -> BTreeMap<Key, Row> {
    let rows = state.take_writes().rows.into_iter();
    rows.filter_map(|(key, row)| Some((key, Row::clone(row.as_deref()?)))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_a_newer_version_wrote_survives_a_rewrite(mut newer in Newer::any()) {
        let mut state = workspace();
        let mut before = BTreeMap::new();
        for (key, row) in rows_of(&mut state) {
            let stored = encode_row(&newer.decorate(&row));
            let read = decode_row(&stored).expect("this version reads it");
            prop_assert_eq!(encode_row(&read), stored);
            state.put(key.clone(), Some(read.clone()));
            before.insert(key, read);
        }
        state.take_writes();
        rewrite(&mut state);
        let mut rewritten = BTreeSet::new();
        for (key, row) in rows_of(&mut state) {
            let read = decode_row(&encode_row(&row)).expect("what this version wrote");
            prop_assert_eq!(&read, &row);
            let Some(old) = before.get(&key).filter(|old| !told(old).is_empty()) else { continue };
            let lost: Vec<_> = told(old).difference(&told(&read)).cloned().collect();
            prop_assert!(lost.is_empty(), "{key:?} lost {lost:?}\nbefore {old:?}\nafter {row:?}");
            rewritten.insert(format!("{:?} {:?}", discriminant(&row), field_kind(&row)));
        }
        // Schema, replica, record, element, conflict, scope, held, usage, and fields of six kinds.
        prop_assert_eq!(rewritten.len(), 14, "{:?}", rewritten);
    }

    #[test]
    fn every_sample_keeps_what_a_newer_version_wrote(mut newer in Newer::any()) {
        for (name, row) in samples::rows() {
            let row = newer.decorate(&row);
            prop_assert_eq!(decode_row(&encode_row(&row)).expect("a row"), row, "{}", name);
        }
    }
}

fn field_kind(row: &Row) -> Option<FieldKind> {
    match row {
        Row::Field(field) => Some(field.value.kind()),
        _ => None,
    }
}

#[test]
fn further_fields_are_kept_wherever_they_stand() {
    let mut bytes = vec![FORMAT, kind::HOLD_USAGE];
    put_bytes(&mut bytes, 200, b"first");
    put_uint(&mut bytes, 1, 5);
    put_fixed64(&mut bytes, 201, 9);
    put_uint(&mut bytes, 2, 6);
    let Row::HoldUsage(usage) = decode_row(&bytes).expect("a row") else { panic!("another kind") };
    assert_eq!((usage.count, usage.bytes), (5, 6));
    let mut expected = vec![FORMAT, kind::HOLD_USAGE];
    put_uint(&mut expected, 1, 5);
    put_uint(&mut expected, 2, 6);
    put_bytes(&mut expected, 200, b"first");
    put_fixed64(&mut expected, 201, 9);
    assert_eq!(encode_row(&Row::HoldUsage(usage)), expected);
}
