//! Oracles of the conflict inbox: what is recorded, and what may happen to it.

use std::collections::{BTreeMap, BTreeSet};

use super::Check;
use super::fold::Place;
use super::reference::Reference;
use super::server::Shelf;
use super::truth::{Made, Truth};
use super::values::spec_in;
use crate::causality::Seq;
use crate::change::{Change, EffectKind, own_value};
use crate::conflict::ConflictEventKind;
use crate::conflict::{Alternative, AlternativeState, CloseReason, Conflict, ConflictKind, Scope, ScopePart};
use crate::ids::ConflictId;
use crate::merge::text::{Hunk, SettledHunk};
use crate::operation::{Mutation, MutationKind, RecordMutation};
use crate::schema::OnClash;
use crate::state::{Existence, FieldRow, FieldValue, Key, Prefix, Row};
use crate::value::Value;

/// The inbox as it was after the last change, to see what a change did to it.
#[derive(Default)]
pub(super) struct Inbox {
    before: BTreeMap<ConflictId, Conflict>,
    fired: BTreeSet<(ConflictId, i64)>,
}

impl Inbox {
    /// Judges one change: invariants 35, 36, 37, 40.
    pub(super) fn judge(&mut self, truth: &Truth, shelf: &Shelf, change: &Change) -> Check {
        let touched: BTreeSet<ConflictId> = change
            .effects
            .iter()
            .filter_map(|e| match &e.kind {
                EffectKind::Conflict { summary, .. } => Some(summary.id),
                _ => None,
            })
            .collect();
        for id in touched {
            let conflict = row(shelf, id)?;
            if let Some(before) = self.before.get(&id) {
                check_kept(truth, shelf, change, before, conflict)?;
            }
            check_closing(truth, shelf, change, conflict)?;
            self.check_reminder(change, conflict)?;
            self.before.insert(id, conflict.clone());
        }
        Ok(())
    }

    /// Every time a conflict was put aside, it comes back once at most, and not before its time.
    fn check_reminder(&mut self, change: &Change, conflict: &Conflict) -> Check {
        for event in conflict.events.iter().filter(|e| e.seq == change.seq) {
            if event.kind != ConflictEventKind::Reminded {
                continue;
            }
            let due = self.before.get(&conflict.id).and_then(|c| c.remind_at_ms);
            let Some(due) = due.filter(|due| *due <= event.at_ms) else {
                return Err(format!("{} was reminded of, due {due:?}", conflict.id));
            };
            if conflict.remind_at_ms.is_some() || !self.fired.insert((conflict.id, due)) {
                return Err(format!("the reminder of {} for {due} stays", conflict.id));
            }
        }
        Ok(())
    }
}

fn row(shelf: &Shelf, id: ConflictId) -> Result<&Conflict, String> {
    match shelf.rows.get(&Key::Conflict(id)).map(|r| &**r) {
        Some(Row::Conflict(conflict)) => Ok(conflict),
        _ => Err(format!("{id} has no row")),
    }
}

pub(super) fn all(shelf: &Shelf) -> impl Iterator<Item = &Conflict> {
    shelf.range(&Prefix::Conflicts).filter_map(|(_, row)| match row {
        Row::Conflict(conflict) => Some(&**conflict),
        _ => None,
    })
}

fn on_records(o: &Change) -> impl Iterator<Item = &RecordMutation> {
    o.mutations.iter().filter_map(Mutation::on_record)
}

fn knows(truth: &Truth, shelf: &Shelf, o: &Change, seq: Seq) -> Result<bool, String> {
    truth.knows(o, shelf.change(seq).ok_or_else(|| format!("no change {seq}"))?)
}

fn knows_for(
    truth: &Truth,
    shelf: &Shelf,
    o: &Change,
    m: Option<&RecordMutation>,
    seq: Seq,
) -> Result<bool, String> {
    match m {
        Some(m) => truth.knows_for(o, m, shelf.change(seq).ok_or_else(|| format!("no change {seq}"))?),
        None => knows(truth, shelf, o, seq),
    }
}

/// Invariant 37: alternatives go only by a decision of somebody who knew them, or because their own lineage went on:
/// then the new one stands in for one of them.
fn check_kept(truth: &Truth, shelf: &Shelf, o: &Change, before: &Conflict, after: &Conflict) -> Check {
    let kept: BTreeSet<_> = after.alternatives.iter().map(|a| a.stamp).collect();
    // A side goes on: a later operation of the same author stands in for it.
    let goes_on = |a: &Alternative| {
        after.goes_on()
            && !a.deletes()
            && after.alternatives.iter().any(|b| {
                let same_author = b.author.replica_no == a.author.replica_no;
                let in_stead = b.state == a.state || after.kind == ConflictKind::TextOverlap;
                same_author && in_stead && b.stamp.seq > a.stamp.seq && !b.deletes()
            })
    };
    let lost: Vec<&Alternative> = before
        .alternatives
        .iter()
        .filter(|a| !kept.contains(&a.stamp) && a.stamp.seq != o.seq && !goes_on(a))
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    let decision = on_records(o).find(|m| m.resolves == Some(after.id));
    for a in &lost {
        if !knows_for(truth, shelf, o, decision, a.stamp.seq)? {
            return Err(format!(
                "{} lost {} by {}, which did not know it: {:?}",
                after.id, a.dot, o.dot, o.mutations
            ));
        }
    }
    let writes = on_records(o)
        .filter(|m| m.record == after.scope.record && m.action.field() == after.scope.field())
        .filter(|m| m.resolves != Some(after.id))
        .count();
    let heads = lost.iter().filter(|a| a.state == AlternativeState::Head).count();
    let stands_in = after.alternatives.iter().any(|a| a.stamp.seq == o.seq);
    if decision.is_none() && (heads < lost.len() || heads > writes || !stands_in) {
        let dots: Vec<String> = lost.iter().map(|a| a.dot.to_string()).collect();
        return Err(format!(
            "{} lost {dots:?} to {}, which decided nothing: {:?}",
            after.id, o.dot, o.mutations
        ));
    }
    Ok(())
}

/// Invariant 36: whoever resolved a conflict had seen it open and knew every alternative; whoever superseded one
/// knew every alternative; and what converged has one value left.
fn check_closing(truth: &Truth, shelf: &Shelf, o: &Change, conflict: &Conflict) -> Check {
    let Some(closing) = conflict.closing.filter(|c| c.seq == o.seq) else { return Ok(()) };
    match closing.reason {
        CloseReason::Resolved | CloseReason::Superseded => {
            let decision = on_records(o).find(|m| m.resolves == Some(conflict.id));
            for a in &conflict.alternatives {
                if !knows_for(truth, shelf, o, decision, a.stamp.seq)? {
                    return Err(format!("{} closed {} without knowing {}", o.dot, conflict.id, a.dot));
                }
            }
            let opening = |k| matches!(k, ConflictEventKind::Opened | ConflictEventKind::Reopened);
            let opened = conflict.events.iter().rev().find(|e| opening(e.kind)).map_or(Seq(0), |e| e.seq);
            let saw = opened <= o.author.base_seq || opened == o.seq;
            if closing.reason == CloseReason::Resolved && !saw {
                return Err(format!("{} closed {} without having seen it open", o.dot, conflict.id));
            }
        }
        CloseReason::Converged => {
            let values: Vec<&Option<Value>> = conflict.alternatives.iter().map(|a| &a.value).collect();
            let same = |a: &Option<Value>, b: &Option<Value>| match (a, b) {
                (Some(a), Some(b)) => a.equals(b),
                (a, b) => a == b,
            };
            if values.iter().any(|value| !same(value, values[0])) {
                return Err(format!("{} converged on {values:?}", conflict.id));
            }
        }
        CloseReason::Deleted | CloseReason::Policy | CloseReason::Merged => {}
    }
    Ok(())
}

/// Invariants 34 and 35, of the rows as they are: at most one live conflict in a place, the one its row names; and
/// where the heads of a living record's field differ, a live conflict offers each of their values.
pub(super) fn check_cover(shelf: &Shelf) -> Check {
    let mut live: BTreeMap<&Scope, &Conflict> = BTreeMap::new();
    for conflict in all(shelf).filter(|c| c.status.is_live()) {
        if let Some(other) = live.insert(&conflict.scope, conflict) {
            return Err(format!("{} and {} are live in {:?}", other.id, conflict.id, conflict.scope));
        }
        let named = match shelf.rows.get(&Key::Scope(conflict.scope.clone())).map(|r| &**r) {
            Some(Row::Scope(scope)) => scope.live,
            _ => None,
        };
        if named != Some(conflict.id) {
            return Err(format!("{} is live, its place names {named:?}", conflict.id));
        }
    }
    for (key, row) in &shelf.rows {
        let (Key::Field(record, field), Row::Field(row)) = (key, &**row) else { continue };
        let values: Vec<Value> = match &row.value {
            FieldValue::Register(heads) | FieldValue::ToOne(heads) => {
                heads.iter().map(|h| h.value.clone()).collect()
            }
            FieldValue::Counter(heads) => heads.iter().map(|h| Value::Int(h.value)).collect(),
            _ => continue,
        };
        let scope = Scope { record: record.clone(), part: ScopePart::Field(field.clone()) };
        if values.iter().all(|v| values.first().is_some_and(|first| first.equals(v)))
            || is_settled_by_rule(shelf, record, field)
        {
            continue;
        }
        let conflict =
            live.get(&scope).ok_or_else(|| format!("{scope:?} holds {values:?} without a conflict"))?;
        let offered = |v: &Value| {
            conflict.alternatives.iter().any(|a| a.value.as_ref().is_some_and(|own| own.equals(v)))
        };
        if let Some(value) = values.iter().find(|v| !offered(v)) {
            return Err(format!("{} does not offer {value:?}", conflict.id));
        }
    }
    Ok(())
}

/// Deleted records have no conflicts to decide, and some fields let the server choose.
fn is_settled_by_rule(shelf: &Shelf, record: &str, field: &str) -> bool {
    let Some(Row::Record(row)) = shelf.rows.get(&Key::Record(record.into())).map(|r| &**r) else {
        return true;
    };
    let spec = spec_in(shelf, &row.collection, field);
    row.existence != Existence::Alive || spec.is_some_and(|s| s.on_clash == OnClash::Settle)
}

/// Invariants 32 and 33: the pairs recorded are those of the reference, each once; of texts, none knew the other.
pub(super) fn check_pairs(truth: &Truth, reference: &Reference<'_>, shelf: &Shelf) -> Check {
    let mut recorded: BTreeMap<(Scope, Seq, Seq), u32> = BTreeMap::new();
    for conflict in all(shelf) {
        for (earlier, later) in &conflict.pairs {
            if conflict.kind == ConflictKind::TextOverlap {
                let later = shelf.change(*later).ok_or("no change")?;
                if knows(truth, shelf, later, *earlier)? {
                    return Err(format!("{} knew {earlier}, with which it is said to clash", later.dot));
                }
            } else {
                *recorded.entry((conflict.scope.clone(), *earlier, *later)).or_default() += 1;
            }
        }
    }
    for pair in reference.pairs.keys().chain(recorded.keys()) {
        let (wanted, got) = (reference.pairs.get(pair), recorded.get(pair));
        if wanted != got && !(got.is_none() && is_told_once(shelf, &recorded, pair)?) {
            return Err(format!("{pair:?} is recorded {got:?} times, should be {wanted:?}"));
        }
    }
    check_text_pairs(truth, shelf)
}

/// Whether a pair of an edit and a delete is told by another edit of the same author against the same delete. Where one
/// operation both edits and deletes, it is enough that its author and the other one are told to clash.
fn is_told_once(
    shelf: &Shelf,
    recorded: &BTreeMap<(Scope, Seq, Seq), u32>,
    (scope, earlier, later): &(Scope, Seq, Seq),
) -> Result<bool, String> {
    if scope.part != ScopePart::Record {
        return Ok(false);
    }
    let change = |seq: Seq| shelf.change(seq).ok_or_else(|| format!("no change {seq}"));
    let author = |seq: Seq| change(seq).map(|c| c.author.replica_no);
    let is_mixed = |seq: Seq| {
        let deletes =
            |m: &RecordMutation| m.record == scope.record && m.action.kind() == MutationKind::DeleteRecord;
        change(seq).map(|c| on_records(c).any(deletes) && !on_records(c).all(deletes))
    };
    let mixed = is_mixed(*earlier)? || is_mixed(*later)?;
    let authors = BTreeSet::from([author(*earlier)?, author(*later)?]);
    for (_, one, other) in recorded.keys().filter(|(place, _, _)| place == scope) {
        let same_authors = BTreeSet::from([author(*one)?, author(*other)?]) == authors;
        if same_authors && (mixed || one == earlier || other == later) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Every suppressed hunk is in a conflict: in its author's version, or in a later one of the same author. There need be none
/// where somebody else had already taken all that it deletes.
fn check_text_pairs(truth: &Truth, shelf: &Shelf) -> Check {
    for change in &shelf.changes {
        for effect in &change.effects {
            let (EffectKind::Text { hunks, .. }, Some(field)) = (&effect.kind, &effect.field) else {
                continue;
            };
            for SettledHunk { hunk, suppressed_by } in hunks {
                let Some(by) = suppressed_by else { continue };
                let found = all(shelf).any(|c| {
                    c.kind == ConflictKind::TextOverlap
                        && c.scope.record == effect.record
                        && (c.alternatives.iter().any(|a| {
                            a.author.replica_no == change.author.replica_no && a.stamp.seq >= change.seq
                        }) || c.events.iter().any(|e| e.seq >= change.seq))
                });
                let place = (effect.record.clone(), field.clone());
                if !found && !is_gone(truth.of(&change.dot)?, shelf, &place, hunk) {
                    return Err(format!("a hunk of {} suppressed by {by} is in no conflict", change.dot));
                }
            }
        }
    }
    Ok(())
}

/// Whether a hunk only deletes, and nothing of what it deletes is shown.
fn is_gone(made: &Made, shelf: &Shelf, place: &Place, hunk: &Hunk) -> bool {
    let seen = made.seen_texts.get(place).map_or("", |seen| seen).chars();
    let mut taken = seen.skip(hunk.pos as usize).take(hunk.del as usize);
    let row = shelf.rows.get(&Key::Field(place.0.clone(), place.1.clone())).map(|row| &**row);
    let shown = match row {
        Some(Row::Field(FieldRow { value: FieldValue::Text(text), .. })) => text.as_str(),
        _ => "",
    };
    hunk.ins.is_empty() && taken.all(|c| !shown.contains(c))
}

/// The regions of every text are apart, inside of it, and those of its live conflicts.
pub(super) fn check_regions(shelf: &Shelf) -> Check {
    for (key, row) in &shelf.rows {
        let (Key::Field(record, field), Row::Field(row)) = (key, &**row) else { continue };
        let FieldValue::Text(text) = &row.value else { continue };
        let mut live: Vec<ConflictId> = all(shelf)
            .filter(|c| c.kind == ConflictKind::TextOverlap && c.status.is_live())
            .filter(|c| c.scope.record == *record && c.scope.field() == Some(field))
            .map(|c| c.id)
            .collect();
        let mut placed: Vec<ConflictId> = row.regions.iter().map(|place| place.conflict).collect();
        live.sort_unstable();
        placed.sort_unstable();
        if live != placed {
            return Err(format!("{record}.{field} has {live:?} in conflict, and regions of {placed:?}"));
        }
        let ends = row.regions.windows(2).all(|pair| pair[0].range.end < pair[1].range.start);
        let forward = row.regions.iter().all(|place| place.range.start <= place.range.end);
        let len = text.chars().count();
        let inside = row.regions.last().is_none_or(|place| place.range.end as usize <= len);
        if !(ends && forward && inside) {
            return Err(format!("{record}.{field} of {len} characters has the regions {:?}", row.regions));
        }
    }
    Ok(())
}

/// Invariant 41: after it settled, an operation's value is shown, or a conflict or a field's rule says why not.
pub(super) fn check_own_values(shelf: &Shelf) -> Check {
    for change in &shelf.changes {
        for effect in &change.effects {
            let shows_another = match &effect.kind {
                EffectKind::Register { value } => value.is_some(),
                EffectKind::Link { target } => {
                    let own = change.mutation_of(effect).and_then(own_value);
                    own != Some(target.clone().map_or(Value::Null, Value::from))
                }
                _ => false,
            };
            if !shows_another {
                continue;
            }
            let Some(field) = &effect.field else { continue };
            let overwritten = change.effects.iter().any(|later| {
                later.record == effect.record
                    && later.field.as_ref() == Some(field)
                    && later.mutation_index > effect.mutation_index
            });
            let scope = Scope { record: effect.record.clone(), part: ScopePart::Field(field.clone()) };
            let named = all(shelf).any(|c| {
                c.scope == scope
                    && (c.pairs.iter().any(|(_, later)| *later == change.seq)
                        || c.alternatives.iter().any(|a| a.stamp.seq == change.seq)
                        || c.status.is_live() && c.id.opened_seq < change.seq
                        || c.closing.is_some_and(|closing| closing.seq >= change.seq))
            });
            if !overwritten && !named {
                return Err(format!("{} wrote {scope:?}, nothing shows it", change.dot));
            }
        }
    }
    Ok(())
}
