//! What a step asks a store for when nothing is in memory: how often, since each time it begins anew, and how many rows.

use super::desk::{dot, operation, request};
use super::script::{create, mutation};
use super::server::{EPOCH, Shelf};
use crate::causality::Seq;
use crate::ids::RecordId;
use crate::operation::{Action, Knowledge, Mutation, Operation};
use crate::sequencer::{Environment, submit, wake};
use crate::state::{Missing, WorkspaceState};

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

const ENVIRONMENT: Environment = Environment { now_ms: 1_000 };

/// A state with everything in memory, and a store that has been given all of it.
struct Bench {
    state: WorkspaceState,
    shelf: Shelf,
    requests: u32,
}

impl Bench {
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
            self.shelf.serve(&mut state, need)?;
        }
        Ok(Asked { times, rows: self.shelf.reads - before })
    }
}

/// What the step of a case asks for with so many of what there is a lot of.
fn asked(case: Case, many: u32) -> Result<Asked, String> {
    let mut bench = Bench { state: WorkspaceState::resident(EPOCH), shelf: Shelf::default(), requests: 0 };
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
            let write = |n: u32| super::script::set("r0", "plain", i64::from(n));
            for n in 0..many {
                let replica = dot(100 + u128::from(n), 1);
                bench.submit(&operation(replica, base, Vec::new(), vec![write(n)]))?;
            }
            let one_more = operation(dot(9, 1), base, Vec::new(), vec![write(many)]);
            return bench.cold(|state| submit(state, &one_more, ENVIRONMENT));
        }
        Case::Cleared => {
            for n in 0..many {
                let elements = vec![crate::value::Value::Int(i64::from(n))];
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
