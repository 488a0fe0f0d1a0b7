//! What long queues of one author cost: as much for each letter, however many there are.

use std::time::{Duration, Instant};

use super::desk::{dot, operation};
use super::script::{create, mutation, resolving, set};
use super::server::EPOCH;
use crate::causality::Seq;
use crate::limits::{CONFLICT_EVENTS_MAX, CONFLICT_PAIRS_MAX, CONFLICT_SIDES_MAX};
use crate::merge::text::Hunk;
use crate::operation::{Action, Mutation, Operation, Outcome};
use crate::refusal::Refusal;
use crate::sequencer::{Environment, submit};
use crate::state::{FieldRow, FieldValue, Key, Prefix, Row, WorkspaceState};

/// What stands in the way of the queue.
#[derive(Debug, Clone, Copy)]
enum Case {
    /// Nothing: nobody else edits the text.
    Alone,
    /// Somebody replaced the paragraph that the queue types into.
    Replaced,
    /// Somebody replaced that paragraph and typed as much into the new one.
    Rewritten,
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
        Case::Rewritten => {
            let typed = (0..letters).map(|n| edit(8 + n, 0, "x"));
            [edit(7, 30, "New.")].into_iter().chain(typed).collect()
        }
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

/// Four times as many letters take about four times as long, and not sixteen times. A busy machine can slow one run down,
/// but not every one of them.
#[test]
fn a_queue_costs_as_much_for_each_letter_however_long_it_is() {
    const RUNS: usize = 8;
    for case in [Case::Alone, Case::Replaced, Case::Rewritten, Case::Deleted, Case::Beside] {
        let time = |letters| time_of(case, letters).expect("a queue that settles");
        let mut times = Vec::new();
        let is_linear = (0..RUNS).any(|_| {
            let (short, long) = (time(1_000), time(4_000));
            times.push((short, long));
            long.as_secs_f64() / short.as_secs_f64() < 8.0
        });
        assert!(is_linear, "{case:?}: for 1,000 and for 4,000 letters {times:?}");
    }
}

/// A thousand letters typed on an old text find their places among 21,000 edits of others, wherever those are.
#[test]
fn letters_typed_on_an_old_text_are_merged_with_thousands_of_others() {
    for scattered in [false, true] {
        let took = time_on_an_old_text(scattered).expect("a queue that merges");
        // Typed edits take a few milliseconds; places all over the text are what costs.
        assert!(
            took < Duration::from_secs(if scattered { 30 } else { 2 }),
            "scattered {scattered}: {took:?}"
        );
    }
}

fn time_on_an_old_text(scattered: bool) -> Result<Duration, String> {
    let mut state = WorkspaceState::resident(EPOCH);
    let text = edit(0, 0, &"word ".repeat(2_000));
    let base = settle(&mut state, &operation(dot(1, 1), Seq(0), Vec::new(), vec![create("r0"), text]))?;
    for n in 0..21_000 {
        let pos = if scattered { 1 + n * 7_919 % 4_000 } else { 1 + n };
        settle(&mut state, &operation(dot(2, u64::from(n) + 1), base, Vec::new(), vec![edit(pos, 0, "x")]))?;
    }
    let from = Instant::now();
    for n in 0..1_000 {
        let letter = operation(dot(3, u64::from(n) + 1), base, Vec::new(), vec![edit(9_000 + n, 0, "e")]);
        settle(&mut state, &letter)?;
    }
    let took = from.elapsed();
    match state.row(&Key::Field("r0".into(), "text".into())) {
        Some(Row::Field(FieldRow { value: FieldValue::Text(text), regions, .. }))
            if regions.is_empty() && text.contains(&"e".repeat(1_000)) =>
        {
            Ok(took)
        }
        other => Err(format!("the letters are not together in the text: {other:?}")),
    }
}

fn tries(state: &mut WorkspaceState, operation: &Operation) -> Outcome {
    submit(state, operation, Environment { now_ms: 1_000 }).expect("everything is in memory").outcome
}

/// A write to a place where hundreds do not know each other costs no more than one where a few do: there is a limit, beyond
/// which somebody has to decide first. What the inbox keeps of it is limited as well.
#[test]
fn a_place_has_a_limited_number_of_sides() {
    let mut state = WorkspaceState::resident(EPOCH);
    let base =
        settle(&mut state, &operation(dot(1, 1), Seq(0), Vec::new(), vec![create("r0")])).expect("a record");
    let write = |replica: u128, base| {
        let value = i64::try_from(replica).expect("a small number");
        operation(dot(replica, 1), base, Vec::new(), vec![set("r0", "plain", value)])
    };
    let most = 1 + CONFLICT_SIDES_MAX as u128;
    for replica in 2..=most {
        settle(&mut state, &write(replica, base)).expect("a side");
    }
    let Outcome::Rejected(rejection) = tries(&mut state, &write(most + 1, base)) else {
        panic!("one side more was taken");
    };
    assert!(matches!(rejection.refusal, Refusal::TooManySides { .. }), "{rejection:?}");
    let conflict = state
        .range(&Prefix::Conflicts)
        .find_map(|(_, row)| match row {
            Row::Conflict(conflict) => Some((**conflict).clone()),
            _ => None,
        })
        .expect("a conflict");
    assert_eq!(conflict.alternatives.len(), CONFLICT_SIDES_MAX);
    assert_eq!(conflict.pairs.len(), CONFLICT_PAIRS_MAX);
    assert!(conflict.events.len() <= CONFLICT_EVENTS_MAX + 1, "{} events", conflict.events.len());
    // Whoever knows all of them can decide, and then there is room again.
    let decision = resolving(set("r0", "plain", 0), conflict.id);
    let head = state.head().head_seq;
    settle(&mut state, &operation(dot(9_000, 1), head, Vec::new(), vec![decision])).expect("a decision");
    settle(&mut state, &write(9_001, base)).expect("a side of another conflict");
}
