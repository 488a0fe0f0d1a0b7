//! An honest client's operation may be rejected only for a reason that is true.

use super::Check;
use super::server::Shelf;
use super::truth::{Made, Truth};
use crate::causality::{ReplicaNo, Seq};
use crate::change::{Change, EffectKind};
use crate::conflict::ConflictEventKind;
use crate::ids::{ConflictId, Dot};
use crate::operation::{Action, Mutation, RecordMutation, Rejection};
use crate::refusal::Refusal;
use crate::state::{Key, Row};

/// Judges a rejection against what its author knew and the log up to where it settled.
pub(super) fn check_rejection(truth: &Truth, shelf: &Shelf, dot: Dot, rejection: &Rejection) -> Check {
    let (_, at_seq) = settled_at(shelf, dot)?;
    check_refusal(truth, shelf, truth.of(&dot)?, &rejection.refusal, at_seq)
}

/// The same for a refusal when the head was at a position.
pub(super) fn check_refusal(
    truth: &Truth,
    shelf: &Shelf,
    made: &Made,
    refusal: &Refusal,
    at_seq: Seq,
) -> Check {
    let knew = |c: &&Change| made.known.contains(&c.dot);
    let before = || shelf.changes.iter().map(|c| &**c).take_while(|c| c.seq <= at_seq);
    let of = |record: &str, wanted: fn(&Action) -> bool, c: &Change| {
        on_records(&c.mutations).any(|m| &*m.record == record && wanted(&m.action))
    };
    let creates = |a: &Action| matches!(a, Action::Create { .. });
    let deletes = |a: &Action| matches!(a, Action::Delete);
    let itself = |record: &str, wanted: fn(&Action) -> bool| {
        on_records(&made.operation.mutations).any(|m| &*m.record == record && wanted(&m.action))
    };
    let just = match refusal {
        Refusal::RecordNotFound { record } => !before().any(|c| of(record, creates, c)),
        Refusal::RecordExists { record } => {
            before().filter(knew).any(|c| of(record, creates, c)) || itself(record, creates)
        }
        Refusal::RecordDeleted { record } => {
            before().filter(knew).any(|c| of(record, deletes, c))
                || itself(record, deletes)
                // Opening a conflict of a record again that is gone meanwhile.
                || (about_conflicts(made) && before().any(|c| of(record, deletes, c)))
        }
        Refusal::DependencyRejected { dot } => truth.rejected.contains(dot),
        // Decisions about conflicts that moved on: of a text, one whose author has not seen the conflict open, or one that
        // comes when it is closed.
        Refusal::ConflictChanged { conflict, .. } => {
            let unseen = before().any(|c| c.seq >= conflict.opened_seq && !knew(&c));
            about_conflicts(made) || (unseen && decides_text(made, *conflict))
        }
        Refusal::ConflictNotLive { conflict, .. } => {
            let closed = |c: &Change| c.effects.iter().any(|e| closes(&e.kind, *conflict));
            let deletes_first = on_records(&made.operation.mutations).any(|m| deletes(&m.action));
            about_conflicts(made)
                || ((deletes_first || before().any(closed)) && decides_text(made, *conflict))
        }
        Refusal::ConflictLive { .. } => about_conflicts(made),
        _ => false,
    };
    if just { Ok(()) } else { Err(format!("{} was refused at {at_seq}: {refusal:?}", made.dot)) }
}

fn decides_text(made: &Made, conflict: ConflictId) -> bool {
    let decides =
        |m: &RecordMutation| matches!(m.action, Action::DecideText { .. }) && m.resolves == Some(conflict);
    on_records(&made.operation.mutations).any(decides)
}

fn closes(effect: &EffectKind, conflict: ConflictId) -> bool {
    matches!(effect, EffectKind::Conflict { event: ConflictEventKind::Closed, summary } if summary.id == conflict)
}

fn about_conflicts(made: &Made) -> bool {
    made.operation.mutations.iter().any(|m| matches!(m, Mutation::Conflict(_)))
}

fn on_records(mutations: &[Mutation]) -> impl Iterator<Item = &RecordMutation> {
    mutations.iter().filter_map(Mutation::on_record)
}

/// The number of a rejected operation's replica, and the head when it settled.
pub(super) fn settled_at(shelf: &Shelf, dot: Dot) -> Result<(ReplicaNo, Seq), String> {
    let no = match shelf.rows.get(&Key::Replica(dot.replica)).map(|r| &**r) {
        Some(Row::Replica(replica)) => replica.no,
        _ => return Err(format!("{dot} is rejected, its replica unknown")),
    };
    match shelf.rows.get(&Key::Rejection(no, dot.counter)).map(|r| &**r) {
        Some(Row::Rejection(row)) => Ok((no, row.at_seq)),
        _ => Err(format!("{dot} is rejected without a row")),
    }
}
