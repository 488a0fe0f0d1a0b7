//! What a step asks a store for when nothing is in memory: how often, since each time it begins anew, and how many rows; and
//! that it comes to the same.

use std::cell::RefCell;

use super::desk::{dot, operation, request};
use super::script::{self, create, mutation};
use super::server::{EPOCH, SECRET, Shelf};
use crate::causality::Seq;
use crate::ids::RecordId;
use crate::limits::TEXT_WINDOW_OPERATIONS_MAX;
use crate::merge::text::Hunk;
use crate::operation::{Action, Knowledge, Mutation, Operation, Outcome};
use crate::sequencer::{Environment, submit, wake};
use crate::state::{Key, Missing, Row, WorkspaceState};
use crate::value::Value;

/// What there is a lot of.
#[derive(Debug, Clone, Copy)]
enum Case {
    /// Records that link to the record that is deleted, by a to-one or by a to-many field.
    LinkedToOne,
    LinkedToMany,
    /// Fields of the record that is deleted.
    FieldsDeleted,
    /// The same, where a new record takes its place.
    FieldsReplaced,
    /// Operations that wait for one that comes.
    Released,
    /// The same, in the steps that go on when a first one has released as many as it may.
    ReleasedLater,
    /// Increments of others that an increment did not know.
    Incremented,
    /// Values of one register that did not know each other, when one more comes.
    Concurrent,
    /// Elements of a set that is cleared.
    Cleared,
}

const ALL: [Case; 9] = [
    Case::LinkedToOne,
    Case::LinkedToMany,
    Case::FieldsDeleted,
    Case::FieldsReplaced,
    Case::Released,
    Case::ReleasedLater,
    Case::Incremented,
    Case::Concurrent,
    Case::Cleared,
];

/// What a step asked for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    times: u64,
    rows: u64,
}

/// Changes that a walk back through the log gets at once.
const CHANGES_BACK: u64 = 8_192;
const ENVIRONMENT: Environment = Environment { now_ms: 1_000 };

/// A state with everything in memory, and a store that has been given all of it.
struct Bench {
    state: WorkspaceState,
    shelf: Shelf,
    requests: u32,
}

impl Bench {
    fn new() -> Result<Bench, String> {
        let state = WorkspaceState::resident(EPOCH);
        let mut bench = Bench { state, shelf: Shelf::default(), requests: 0 };
        bench.state.put(Key::Secret, Some(Row::Secret(SECRET)));
        bench.shelf.take(&bench.state.take_writes())?;
        Ok(bench)
    }

    fn submit(&mut self, operation: &Operation) -> Result<(), String> {
        submit(&mut self.state, operation, ENVIRONMENT).map_err(|need| format!("{need:?} is not there"))?;
        self.shelf.take(&self.state.take_writes())
    }

    /// Writes with full knowledge.
    fn write(&mut self, mutations: Vec<Mutation>) -> Result<(), String> {
        self.requests += 1;
        self.submit(&request(&format!("request {}", self.requests), Knowledge::Latest, mutations))
    }

    /// Runs a step on a state that has nothing in memory.
    fn cold<T>(&mut self, step: impl Fn(&mut WorkspaceState) -> Result<T, Missing>) -> Result<Asked, String> {
        let mut state = WorkspaceState::new(*self.state.head());
        let (before, mut times) = (self.shelf.reads, 0);
        while let Err(need) = step(&mut state) {
            times += 1;
            // A walk back through the log gets many changes at once, as from a store.
            let back = match need {
                Missing::ChangesUpTo(seq) => {
                    (seq.saturating_sub(CHANGES_BACK).0 + 1..seq.0).map(Seq).collect()
                }
                _ => Vec::new(),
            };
            state.learn_changes(back.into_iter().filter_map(|seq| self.shelf.change(seq).cloned()));
            self.shelf.serve(&mut state, need)?;
        }
        Ok(Asked { times, rows: self.shelf.reads - before })
    }
}

/// Whether an edit merges is decided alike with the order of all characters in memory and without, also by an author so far
/// behind that there are more edits than may be merged with.
#[test]
fn what_is_in_memory_decides_nothing() {
    let mut bench = Bench::new().expect("an empty workspace");
    let edit = |pos, ins: &str| {
        let hunks = vec![Hunk { pos, del: 0, ins: ins.to_owned() }];
        vec![mutation("r0", Action::EditText { field: "text".into(), hunks })]
    };
    bench.write([vec![create("r0")], edit(0, "h")].concat()).expect("a text");
    let base = Seq(1);
    // The first edit of the author who stays behind keeps the order of characters in memory.
    bench.submit(&operation(dot(2, 1), base, Vec::new(), edit(0, "B"))).expect("an edit");
    let mut outcomes = Vec::new();
    for n in 0..TEXT_WINDOW_OPERATIONS_MAX as u32 + 10 {
        let typed = operation(dot(3, u64::from(n) + 1), base, Vec::new(), edit(1 + n, "x"));
        bench.submit(&typed).expect("a letter");
        if [TEXT_WINDOW_OPERATIONS_MAX as u32 - 20, TEXT_WINDOW_OPERATIONS_MAX as u32 + 5].contains(&n) {
            let late = operation(dot(2, 2 + outcomes.len() as u64), base, Vec::new(), edit(1, "late"));
            let came = RefCell::new(Vec::new());
            let settle = |state: &mut WorkspaceState| {
                came.borrow_mut().push(submit(state, &late, ENVIRONMENT)?.outcome);
                Ok(())
            };
            bench.cold(settle).expect("a step that ends");
            settle(&mut bench.state).expect("everything is in memory");
            bench.shelf.take(&bench.state.take_writes()).expect("the next changes");
            let came = came.into_inner();
            assert_eq!(came[0], came[1], "after {n} letters");
            outcomes.push(
                matches!(&came[0], Outcome::Accepted { settlement, .. } if settlement.conflicts.is_empty()),
            );
        }
    }
    assert!(outcomes.contains(&true) && outcomes.contains(&false), "both are met: {outcomes:?}");
}

/// What the step of a case asks for with so many of what there is a lot of.
fn asked(case: Case, many: u32) -> Result<Asked, String> {
    let mut bench = Bench::new()?;
    bench.write(vec![create("r0")])?;
    let base = Seq(1);
    let ids: Vec<RecordId> = (0..many).map(|n| format!("linking {n}").as_str().into()).collect();
    let last = match case {
        Case::LinkedToOne | Case::LinkedToMany => {
            let field = if matches!(case, Case::LinkedToOne) { "one" } else { "many" };
            if matches!(case, Case::LinkedToMany) {
                // The first link makes the field one to many records.
                declare_to_many(&mut bench)?;
            }
            for id in &ids {
                let link = Action::Link { field: field.into(), target: "r0".into() };
                bench.write(vec![create(id), mutation(id, link)])?;
            }
            vec![mutation("r0", Action::Delete)]
        }
        Case::FieldsDeleted | Case::FieldsReplaced => {
            for n in 0..many {
                let field = format!("field {n}").as_str().into();
                bench.write(vec![mutation("r0", Action::Increment { field, by: 1 })])?;
            }
            let replace = Action::Create { fields: Vec::new(), replace_deleted: true };
            match case {
                Case::FieldsReplaced => {
                    bench.write(vec![mutation("r0", Action::Delete)])?;
                    vec![mutation("r0", replace)]
                }
                _ => vec![mutation("r0", Action::Delete)],
            }
        }
        Case::Released | Case::ReleasedLater => {
            for n in 0..many {
                let increment = mutation("r0", Action::Increment { field: "count".into(), by: 1 });
                let waiting = operation(dot(100 + u128::from(n), 1), base, Vec::new(), vec![increment]);
                bench.submit(&Operation { depends_on: vec![dot(9, 1)], ..waiting })?;
            }
            let awaited = operation(dot(9, 1), base, Vec::new(), vec![create("awaited")]);
            if matches!(case, Case::Released) {
                return bench.cold(|state| submit(state, &awaited, ENVIRONMENT));
            }
            bench.submit(&awaited)?;
            return bench.cold(|state| wake(state, ENVIRONMENT));
        }
        Case::Incremented => {
            let increment = || vec![mutation("r0", Action::Increment { field: "count".into(), by: 1 })];
            for _ in 0..many {
                bench.write(increment())?;
            }
            let late = operation(dot(9, 1), base, Vec::new(), increment());
            return bench.cold(|state| submit(state, &late, ENVIRONMENT));
        }
        Case::Concurrent => {
            let write = |n: u32| script::set("r0", "plain", i64::from(n));
            for n in 0..many {
                let replica = dot(100 + u128::from(n), 1);
                bench.submit(&operation(replica, base, Vec::new(), vec![write(n)]))?;
            }
            let one_more = operation(dot(9, 1), base, Vec::new(), vec![write(many)]);
            return bench.cold(|state| submit(state, &one_more, ENVIRONMENT));
        }
        Case::Cleared => {
            for n in 0..many {
                let elements = vec![Value::Int(i64::from(n))];
                bench.write(vec![mutation("r0", Action::AddElements { field: "tags".into(), elements })])?;
            }
            vec![mutation("r0", Action::ClearElements { field: "tags".into() })]
        }
    };
    let last = request("the last one", Knowledge::Latest, last);
    bench.cold(|state| submit(state, &last, ENVIRONMENT))
}

/// Declares "many" as a field of links to many records.
fn declare_to_many(bench: &mut Bench) -> Result<(), String> {
    bench.state.put(crate::state::Key::Schema, Some(crate::state::Row::Schema(super::script::schema())));
    bench.shelf.take(&bench.state.take_writes())
}

/// With four times as many a step asks about as often, and for about four times as many rows.
#[test]
fn a_step_asks_a_few_times_for_all_it_reads() {
    for case in ALL {
        let few = asked(case, 50).expect("a step that ends");
        let many = asked(case, 200).expect("a step that ends");
        assert!(
            many.times <= few.times + 4 && many.rows <= 5 * few.rows + 20,
            "{case:?}: with 50 {few:?}, with 200 {many:?}"
        );
    }
}
