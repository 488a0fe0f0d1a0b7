//! Oracles of texts: what authors saw, and what became of every character they wrote.

use crate::causality::Seq;
use std::collections::BTreeSet;

use super::Check;
use super::client::text_op;
use super::fold::{Confirmed, Place, Shown};
use super::inbox;
use super::server::Shelf;
use super::truth::Truth;
use crate::change::{Change, EffectKind};
use crate::conflict::{Conflict, ConflictKind, ConflictStatus};
use crate::ids::ConflictId;
use crate::merge::text::{SettledHunk, Splice, Window, apply_hunks};
use crate::operation::{Action, Mutation};
use crate::value::Value;

/// Invariants 26 and 27, for every text.
pub(super) fn check_texts(truth: &Truth, shelf: &Shelf, state: &Confirmed) -> Check {
    for (place, shown) in &state.fields {
        if let Shown::Text(shown) = shown {
            check_views(truth, shelf, place, shown)?;
            check_characters(truth, shelf, place, shown)?;
        }
    }
    Ok(())
}

/// The view rebuilt from the whole history is what each author saw, and replaying everything gives the text.
fn check_views(truth: &Truth, shelf: &Shelf, place: &Place, shown: &str) -> Check {
    let mut window = Window::new("", Seq(0));
    for change in &shelf.changes {
        let Some(op) = text_op(change, place) else { continue };
        let made = truth.of(&change.dot)?;
        let view = window.view(&change.author);
        if let Some(seen) = made.seen_texts.get(place)
            && view != *seen
        {
            return Err(format!("{} was written on {seen:?}, the server takes it for {view:?}", change.dot));
        }
        check_meant(made.operation.mutations.as_slice(), place, &view, &op.hunks)?;
        if made.operation.mutations.iter().any(|m| m.resolves().is_some()) {
            // A decision clashes with all that came into its region, which is no matter of characters.
            window.replay(&op).map_err(|e| format!("{}: {e}", change.seq))?;
            continue;
        }
        let hunks: Vec<_> = op.hunks.iter().map(|h| h.hunk.clone()).collect();
        let whole =
            window.integrate(&op.author, op.seq, &hunks).map_err(|e| format!("{}: {e}", change.seq))?;
        // Decided on a part of the history, an operation is decided as on the whole history.
        if whole.hunks != op.hunks || Some(&whole.splices) != splices(change, place) {
            return Err(format!("{} came to {change:?}, on the whole history to {whole:?}", change.dot));
        }
    }
    if window.text() != shown {
        return Err(format!("{place:?} is {shown:?}, by its history {:?}", window.text()));
    }
    Ok(())
}

fn splices<'c>(change: &'c Change, place: &Place) -> Option<&'c Vec<Splice>> {
    match &change.effect_on(&place.0, &place.1)?.kind {
        EffectKind::Text { splices, .. } => Some(splices),
        _ => None,
    }
}

/// A replacement's hunks turn what the author saw into what it wanted.
fn check_meant(mutations: &[Mutation], place: &Place, view: &str, hunks: &[SettledHunk]) -> Check {
    let wanted = mutations.iter().filter_map(Mutation::on_record).filter(|m| m.record == place.0).find_map(
        |m| match &m.action {
            Action::ReplaceText { text, .. } => Some(text.clone()),
            _ => None,
        },
    );
    let Some(wanted) = wanted else { return Ok(()) };
    let hunks: Vec<_> = hunks.iter().map(|h| h.hunk.clone()).collect();
    let mut text = view.to_owned();
    apply_hunks(&mut text, &hunks).map_err(|e| e.to_string())?;
    if text == wanted { Ok(()) } else { Err(format!("{wanted:?} was meant, {text:?} came of it")) }
}

/// Every character written is there, or was deleted by somebody who saw it, or is in a version that a conflict keeps, or
/// was in one until somebody who knew it decided that conflict.
fn check_characters(truth: &Truth, shelf: &Shelf, place: &Place, shown: &str) -> Check {
    let visible: BTreeSet<char> = shown.chars().collect();
    let (mut deleted, mut suppressed, mut given_up) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for change in &shelf.changes {
        let Some(op) = text_op(change, place) else { continue };
        let seen: Vec<char> =
            truth.of(&change.dot)?.seen_texts.get(place).map_or("", |s| s).chars().collect();
        for hunk in &op.hunks {
            // A suppressed deletion takes only what was suppressed itself, out of its author's version.
            let in_force = hunk.suppressed_by.is_none();
            let taken = seen.iter().skip(hunk.hunk.pos as usize).take(hunk.hunk.del as usize);
            given_up.extend(taken.clone().copied());
            deleted.extend(taken.copied().filter(|c| in_force || suppressed.contains(c)));
            if !in_force {
                suppressed.extend(hunk.hunk.ins.chars());
            }
        }
    }
    let conflicts: Vec<&Conflict> = inbox::all(shelf)
        .filter(|c| c.kind == ConflictKind::TextOverlap)
        .filter(|c| c.scope.record == place.0 && c.scope.field() == Some(&place.1))
        .collect();
    let is_some_decided = conflicts.iter().any(|c| c.status == ConflictStatus::Resolved);
    let versions: BTreeSet<char> = conflicts
        .iter()
        .flat_map(|c| &c.alternatives)
        .filter_map(|a| a.value.as_ref().and_then(Value::as_str))
        .flat_map(str::chars)
        .collect();
    for change in &shelf.changes {
        let Some(op) = text_op(change, place) else { continue };
        for hunk in &op.hunks {
            let written = hunk.hunk.ins.chars();
            let mut missing = written.filter(|c| {
                let is_there = visible.contains(c) || deleted.contains(c) || versions.contains(c);
                // Where a decision did not take a version, what its author deleted in it may be gone all the same.
                let is_given_up = given_up.contains(c) && is_some_decided;
                !is_there && !is_given_up
            });
            let Some(lost) = missing.next() else { continue };
            if !is_decided(truth, shelf, &conflicts, change)? {
                return Err(format!("{lost:?} of {} is nowhere in {place:?}", change.dot));
            }
        }
    }
    Ok(())
}

/// Whether somebody who knew a change decided a conflict of the text in part: then the versions that were decided are gone.
/// A conflict that closed has all of them.
fn is_decided(
    truth: &Truth,
    shelf: &Shelf,
    conflicts: &[&Conflict],
    author: &Change,
) -> Result<bool, String> {
    for change in &shelf.changes {
        let in_part: Vec<ConflictId> = change.settlement.remaining.iter().map(|(id, _)| *id).collect();
        let decides = conflicts.iter().any(|conflict| in_part.contains(&conflict.id));
        if decides && truth.knows(change, author)? {
            return Ok(true);
        }
    }
    Ok(false)
}
