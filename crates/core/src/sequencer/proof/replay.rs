//! The log again: from a snapshot, and through a new server.

use super::Check;
use super::fold::Confirmed;
use super::inbox::Inbox;
use super::refusals::settled_at;
use super::server::{EPOCH, SECRET, Shelf};
use super::truth::Truth;
use crate::causality::{ReplicaNo, Seq};
use crate::ids::Dot;
use crate::operation::{ConflictAction, ConflictMutation, Mutation, Outcome};
use crate::sequencer::{self, Environment};
use crate::state::{Key, Row, WorkspaceState};

/// Invariant 29: from any snapshot, even one whose parts were read at different positions, the tail leads to the
/// full state; effects that a part has already are skipped by its position.
pub(super) fn check_snapshots(shelf: &Shelf, snapshots: &[Confirmed], full: &Confirmed) -> Check {
    let head = shelf.changes.len();
    for from in [0, head / 3, head / 2, head.saturating_sub(3)] {
        let late = (from + 7).min(head);
        let mut state = snapshots[from].clone();
        let is_late = |key: &str| key.bytes().map(u64::from).sum::<u64>().is_multiple_of(2);
        for (place, shown) in &snapshots[late].fields {
            if is_late(&place.1) {
                state.fields.insert(place.clone(), shown.clone());
            }
        }
        for change in &shelf.changes[from..] {
            for effect in &change.effects {
                let read_at = match &effect.field {
                    Some(field) if is_late(field) => late,
                    _ => from,
                };
                if change.seq > read_at as u64 {
                    state.apply_effect(change, effect)?;
                }
            }
        }
        state.same_as(full, "a snapshot and its tail")?;
    }
    Ok(())
}

/// Invariant 39: everything is a function of the log. A new server that gets the operations in settling order, none
/// held, none twice, writes the same changes. On the way every single change is judged by what it does to the inbox.
pub(super) fn check_again(truth: &Truth, log: &Shelf) -> Check {
    let mut state = WorkspaceState::resident(EPOCH);
    state.put(Key::Schema, Some(Row::Schema(super::script::schema())));
    state.put(Key::Secret, Some(Row::Secret(SECRET)));
    let mut shelf = Shelf::default();
    let mut inbox = Inbox::default();
    for (seq, dot) in settling_order(truth, log)? {
        let now_ms = seq.and_then(|seq| log.change(seq)).map_or(0, |c| c.committed_at_ms);
        settle_again(truth, log, &mut state, (seq, dot), Environment { now_ms })?;
        let wrote = state.take_writes();
        shelf.take(&wrote)?;
        for again in &wrote.changes {
            if log.change(again.seq) != Some(again) {
                return Err(format!("settled as {:?}\nthen as {again:?}", log.change(again.seq)));
            }
            inbox.judge(truth, &shelf, again)?;
        }
    }
    if shelf.changes.len() == log.changes.len() { Ok(()) } else { Err("a log of another length".to_owned()) }
}

fn settle_again(
    truth: &Truth,
    log: &Shelf,
    state: &mut WorkspaceState,
    (seq, dot): (Option<Seq>, Dot),
    env: Environment,
) -> Check {
    if let Some(id) = seq.and_then(|seq| reminded(log, seq.0)) {
        return sequencer::remind(state, id, env).map(drop).map_err(|need| format!("{need:?}"));
    }
    let operation = &truth.of(&dot)?.operation;
    let receipt = sequencer::submit(state, operation, env).map_err(|need| format!("{need:?}"))?;
    // Operations rejected at one position may come in another order than before: they wait for each other.
    match &receipt.outcome {
        Outcome::NotSettled { refusal, .. } => Err(format!("{dot} did not settle again: {refusal:?}")),
        _ => Ok(()),
    }
}

/// Operations as they settled: rejected ones between the positions at which they did. Replicas were numbered as they
/// first settled, which tells the order of those rejected at one position.
fn settling_order(truth: &Truth, shelf: &Shelf) -> Result<Vec<(Option<Seq>, Dot)>, String> {
    let mut order: Vec<(Seq, Option<ReplicaNo>, Option<Seq>, Dot)> =
        shelf.changes.iter().map(|c| (c.seq, None, Some(c.seq), c.dot)).collect();
    for dot in &truth.rejected {
        let (no, at_seq) = settled_at(shelf, *dot)?;
        order.push((at_seq, Some(no), None, *dot));
    }
    order.sort();
    Ok(order.into_iter().map(|(_, _, seq, dot)| (seq, dot)).collect())
}

fn reminded(shelf: &Shelf, seq: u64) -> Option<crate::ids::ConflictId> {
    let change = shelf.change(Seq(seq))?;
    change.mutations.iter().find_map(|m| match m {
        Mutation::Conflict(ConflictMutation { conflict, action: ConflictAction::Remind }) => Some(*conflict),
        _ => None,
    })
}
