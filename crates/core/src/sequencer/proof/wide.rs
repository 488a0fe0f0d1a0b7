//! Invariant 20: what an operation costs does not depend on how many replicas there ever were.

use std::sync::Arc;

use super::desk::{dot, operation};
use super::script::{create, mutation, schema, set};
use super::server::{EPOCH, SECRET, Shelf};
use super::{Check, ensure};
use crate::canonical;
use crate::causality::{Counter, ReplicaNo, Seq};
use crate::operation::{Action, Operation, Outcome};
use crate::sequencer::{self, Environment};
use crate::state::{Key, ReplicaRow, Row, WorkspaceHead, WorkspaceState};
use crate::unknown::Unknown;
use crate::value::Value;

/// Rows and changes read, and bytes of the contexts, for the same operations in a workspace that has seen `replicas`.
fn cost(replicas: u32) -> Result<(Vec<u64>, Vec<usize>), String> {
    let mut shelf = Shelf::default();
    for no in 1..=replicas {
        let id = dot(1_000 + u128::from(no), 1).replica;
        let row = ReplicaRow {
            no: ReplicaNo(no),
            last_settled: Counter(7),
            last_accepted: Counter(7),
            last_base: Seq(0),
            unknown: Unknown::NONE,
        };
        shelf.rows.insert(Key::Replica(id), Arc::new(Row::Replica(row)));
        shelf.rows.insert(Key::ReplicaNumber(ReplicaNo(no)), Arc::new(Row::ReplicaNumber(id)));
    }
    shelf.rows.insert(Key::Schema, Arc::new(Row::Schema(schema())));
    shelf.rows.insert(Key::Secret, Arc::new(Row::Secret(SECRET)));
    let head = WorkspaceHead { replica_count: replicas, ..WorkspaceHead::new(EPOCH) };
    let mut state = WorkspaceState::new(head);
    let (mut reads, mut bytes) = (Vec::new(), Vec::new());
    for operation in operations() {
        let before = shelf.reads;
        let outcome = loop {
            match sequencer::submit(&mut state, &operation, Environment { now_ms: 1 }) {
                Ok(receipt) => break receipt.outcome,
                Err(need) => shelf.serve(&mut state, need)?,
            }
        };
        ensure!(matches!(outcome, Outcome::Accepted { .. }), "{:?}: {outcome:?}", operation.mutations);
        reads.push(shelf.reads - before);
        let wrote = state.take_writes();
        shelf.take(&wrote)?;
        state.trim(0, 0, 0);
        bytes.push(context_bytes(&operation));
    }
    Ok((reads, bytes))
}

/// All of an operation but what it does.
fn context_bytes(operation: &Operation) -> usize {
    canonical::operation(&Operation { mutations: Vec::new(), ..operation.clone() }).len()
}

/// Creations, clashes, merges, extras, from old and new replicas.
fn operations() -> Vec<Operation> {
    let add = Action::AddElements { field: "tags".into(), elements: vec![Value::Int(1)] };
    let link = Action::Link { field: "one".into(), target: "r1".into() };
    let text = |text: &str| mutation("r0", Action::ReplaceText { field: "text".into(), text: text.into() });
    let plain =
        |replica, counter, base_seq, mutations| operation(dot(replica, counter), base_seq, vec![], mutations);
    vec![
        plain(1, 1, Seq(0), vec![create("r0"), create("r1"), text("abc")]),
        plain(1, 2, Seq(0), vec![set("r0", "plain", 1)]),
        plain(2, 1, Seq(1), vec![set("r0", "plain", 2)]),
        operation(dot(3, 1), Seq(1), vec![dot(1, 2), dot(2, 1)], vec![set("r0", "plain", 3)]),
        plain(1_005, 8, Seq(1), vec![mutation("r0", add)]),
        plain(1_006, 8, Seq(1), vec![text("abcd"), mutation("r0", link)]),
        plain(1_007, 8, Seq(1), vec![text("Xbc")]),
        plain(1_008, 8, Seq(1), vec![mutation("r1", Action::Delete)]),
        plain(1_008, 9, Seq(1), vec![mutation("r0", Action::Increment { field: "count".into(), by: 1 })]),
    ]
}

/// Ten or a hundred thousand replicas: the same reads and the same bytes, operation by operation.
pub(super) fn check_cost() -> Check {
    let (few, many) = (cost(10)?, cost(100_000)?);
    ensure!(few == many, "10 replicas: {few:?}, 100,000: {many:?}");
    ensure!(few.0.iter().all(|reads| *reads <= 40), "reads: {:?}", few.0);
    Ok(())
}
