//! What long queues of one author cost: as much for each letter, however many there are.

use std::time::{Duration, Instant};

use super::desk::{dot, operation};
use super::script::{create, mutation};
use super::server::EPOCH;
use crate::causality::Seq;
use crate::merge::text::Hunk;
use crate::operation::{Action, Mutation, Operation, Outcome};
use crate::sequencer::{Environment, submit};
use crate::state::WorkspaceState;

/// What stands in the way of the queue.
#[derive(Debug, Clone, Copy)]
enum Case {
    /// Nothing: nobody else edits the text.
    Alone,
    /// Somebody replaced the paragraph that the queue types into.
    Replaced,
    /// Somebody deleted the record.
    Deleted,
    /// Somebody typed as much elsewhere in the text.
    Beside,
}

fn edit(pos: u32, del: u32, ins: &str) -> Mutation {
    let hunks = vec![Hunk { pos, del, ins: ins.to_owned() }];
    mutation("r0", Action::EditText { field: "text".into(), hunks })
}

fn settle(state: &mut WorkspaceState, operation: &Operation) -> Result<Seq, String> {
    let environment = Environment { now_ms: 1_000 };
    match submit(state, operation, environment).map_err(|need| format!("{need:?} is not there"))?.outcome {
        Outcome::Accepted { seq, .. } => Ok(seq),
        other => Err(format!("{:?} came to {other:?}", operation.mutations)),
    }
}

/// The time that a queue of so many letters takes, after what stands in its way.
fn time_of(case: Case, letters: u32) -> Result<Duration, String> {
    let mut state = WorkspaceState::resident(EPOCH);
    let text = edit(0, 0, "Intro.\nThe old paragraph stands here.\nEnd.");
    let base = settle(&mut state, &operation(dot(1, 1), Seq(0), Vec::new(), vec![create("r0"), text]))?;
    let others = match case {
        Case::Alone => Vec::new(),
        Case::Replaced => vec![edit(7, 30, "New.")],
        Case::Deleted => vec![mutation("r0", Action::Delete)],
        Case::Beside => (0..letters).map(|n| edit(n, 0, "x")).collect(),
    };
    for (counter, other) in (1..).zip(others) {
        settle(&mut state, &operation(dot(2, counter), base, Vec::new(), vec![other]))?;
    }
    let queue: Vec<Operation> = (0..letters)
        .map(|n| operation(dot(3, u64::from(n) + 1), base, Vec::new(), vec![edit(17 + n, 0, "e")]))
        .collect();
    let from = Instant::now();
    for operation in &queue {
        settle(&mut state, operation)?;
    }
    Ok(from.elapsed())
}

/// Four times as many letters take about four times as long, and not sixteen times. The shortest of three runs counts.
#[test]
fn a_queue_costs_as_much_for_each_letter_however_long_it_is() {
    for case in [Case::Alone, Case::Replaced, Case::Deleted, Case::Beside] {
        let shortest = |letters| (0..3).map(|_| time_of(case, letters).expect("a queue that settles")).min();
        let (Some(short), Some(long)) = (shortest(1_000), shortest(4_000)) else { panic!("three runs") };
        let ratio = long.as_secs_f64() / short.as_secs_f64();
        eprintln!("{case:?}: {short:?} for 1,000 letters, {long:?} for 4,000: {ratio:.1} times");
    }
}
