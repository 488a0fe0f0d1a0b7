//! Oracles over the finished log: knowledge, order, values. All from explicit knowledge.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Check;
use super::fold::{Confirmed, Place, Shown};
use super::reference::{Reference, Writer};
use super::server::{SECRET, Shelf};
use super::truth::Truth;
use crate::causality::{ReplicaNo, Seq};
use crate::change::Change;
use crate::hash::{CHAIN_START, chain};
use crate::limits::EXTRAS_MAX;
use crate::operation::{Action, RecordMutation};
use crate::schema::{Field, Provisional};
use crate::sequencer::register::provisional;
use crate::state::{CounterHead, Existence, FieldValue, Key, Prefix, RegisterHead, Row};
use crate::value::Value;

/// Invariants 1, 5, 6, 7, 9, 17, 19, 21: the log itself.
pub(super) fn check_log(truth: &Truth, shelf: &Shelf) -> Check {
    let mut before = CHAIN_START;
    let mut last = BTreeMap::new();
    let mut dots = BTreeSet::new();
    for (index, o) in shelf.changes.iter().enumerate() {
        if o.seq != index as u64 + 1 || !dots.insert(o.dot) {
            return Err(format!("position {}: {} again, or out of order", o.seq, o.dot));
        }
        before = chain(&before, &o.operation_hash);
        let salted = o.hash_salt == SECRET.salt(&o.dot);
        if before != o.chain || !salted || !o.is_of(&truth.of(&o.dot)?.operation.content_hash()) {
            return Err(format!("the chain at {} is not that of the operations", o.seq));
        }
        let (counter, base) =
            last.insert(o.dot.replica, (o.dot.counter, o.author.base_seq)).unwrap_or_default();
        if o.dot.counter <= counter {
            return Err(format!("{} settled after counter {counter}", o.dot));
        }
        if o.author.replica_no != ReplicaNo::SERVER && o.author.base_seq < base {
            return Err(format!("{} has base {}, its replica had {base}", o.dot, o.author.base_seq));
        }
        if o.author.extras.len() > EXTRAS_MAX {
            return Err(format!("{} lists {} extras", o.dot, o.author.extras.len()));
        }
        check_knowledge(truth, shelf, o)?;
    }
    check_counters(truth, shelf)
}

/// The rule, the explicit set and the full vector agree for every pair; and the order extends all of it.
fn check_knowledge(truth: &Truth, shelf: &Shelf, o: &Change) -> Check {
    let made = truth.of(&o.dot)?;
    for w in &shelf.changes[..o.seq.0 as usize - 1] {
        let explicit = made.known.contains(&w.dot);
        let rule = o.author.knows(&w.stamp());
        let vector = made.vector.get(&w.dot.replica).is_some_and(|c| w.dot.counter <= *c);
        // The server's replica has many authors: a vector says nothing of them.
        if explicit != rule || (explicit != vector && !w.dot.replica.is_server()) {
            return Err(format!(
                "{} knows {}: truly {explicit}, by the rule {rule}, by vector {vector}",
                o.dot, w.dot
            ));
        }
    }
    match shelf.changes[o.seq.0 as usize - 1..].iter().find(|later| made.known.contains(&later.dot)) {
        Some(later) => Err(format!("{} knew {}, which has a later position", o.dot, later.dot)),
        None => Ok(()),
    }
}

/// Every counter up to the last settled one was accepted or rejected.
fn check_counters(truth: &Truth, shelf: &Shelf) -> Check {
    let accepted: BTreeSet<_> = shelf.changes.iter().map(|c| c.dot).collect();
    for (key, row) in &shelf.rows {
        let (Key::Replica(replica), Row::Replica(row)) = (key, &**row) else { continue };
        for dot in truth.made.keys().filter(|d| d.replica == *replica) {
            let settled = accepted.contains(dot) || truth.rejected.contains(dot);
            if settled != (dot.counter <= row.last_settled) {
                return Err(format!("{dot} settled: {settled}; last settled {}", row.last_settled));
            }
        }
    }
    Ok(())
}

/// Replicas that ever settled an operation are numbered 1, 2, 3, …, and found by number.
pub(super) fn check_numbers(shelf: &Shelf, replica_count: u32) -> Check {
    let named: BTreeSet<_> = shelf
        .range(&Prefix::Replicas)
        .filter_map(|(key, row)| match (key, row) {
            (Key::Replica(id), Row::Replica(row)) if row.no != ReplicaNo::SERVER => Some((row.no, *id)),
            _ => None,
        })
        .collect();
    let numbered: BTreeSet<_> = shelf
        .rows
        .iter()
        .filter_map(|(key, row)| match (key, &**row) {
            (Key::ReplicaNumber(no), Row::ReplicaNumber(id)) if *no != ReplicaNo::SERVER => Some((*no, *id)),
            _ => None,
        })
        .collect();
    let dense = named.iter().map(|(no, _)| *no).eq((1..=replica_count).map(ReplicaNo));
    if named != numbered || !dense {
        return Err(format!("{replica_count} replicas: {named:?}, by number {numbered:?}"));
    }
    Ok(())
}

/// Runs the reference over the log.
pub(super) fn reference<'a>(truth: &'a Truth, log: &'a [Arc<Change>]) -> Result<Reference<'a>, String> {
    let mut reference = Reference::new(truth, log);
    log.iter().try_for_each(|change| reference.settle(change))?;
    Ok(reference)
}

/// Head sets, ranks, the value shown (invariant 39), and existence are the reference's.
pub(super) fn check_rows(
    reference: &Reference<'_>,
    shelf: &Shelf,
    spec: impl Fn(&str) -> Option<Field>,
) -> Check {
    for (place, wanted) in &reference.writers {
        let Some(Row::Field(row)) =
            shelf.rows.get(&Key::Field(place.0.clone(), place.1.clone())).map(|r| &**r)
        else {
            return Err(format!("{place:?} has no row"));
        };
        let mut got: Vec<Writer> = match &row.value {
            FieldValue::Register(heads) | FieldValue::ToOne(heads) => {
                let rule = spec(&place.1).map_or(Provisional::Incumbent, |s| s.provisional);
                check_shown(place, rule, heads)?;
                heads
                    .iter()
                    .map(|h| Writer { seq: h.stamp.seq, rank: h.rank, value: h.value.clone() })
                    .collect()
            }
            FieldValue::Counter(heads) => heads.iter().map(counter_writer).collect(),
            other => return Err(format!("{place:?} is {other:?}")),
        };
        let mut wanted = wanted.clone();
        got.sort_by_key(|w| w.seq);
        wanted.sort_by_key(|w| w.seq);
        if got != wanted {
            return Err(format!("heads of {place:?}: {got:?}, should be {wanted:?}"));
        }
    }
    for (record, life) in &reference.lives {
        let Some(Row::Record(row)) = shelf.rows.get(&Key::Record(record.clone())).map(|r| &**r) else {
            return Err(format!("{record} has no row"));
        };
        let mut got: Vec<_> = row.heads.iter().map(|h| (h.stamp.seq, h.delete)).collect();
        let mut wanted: Vec<_> = life.heads.iter().map(|h| (h.seq, h.delete)).collect();
        got.sort_unstable();
        wanted.sort_unstable();
        if got != wanted || (row.existence == Existence::Alive) != life.alive {
            return Err(format!("{record} is {row:?}, should be {life:?}"));
        }
    }
    Ok(())
}

fn counter_writer(head: &CounterHead) -> Writer {
    Writer { seq: head.stamp.seq, rank: head.rank, value: Value::Int(head.value) }
}

fn check_shown(place: &Place, rule: Provisional, heads: &[RegisterHead]) -> Check {
    let shown = heads.first().map(|h| &h.value);
    if shown != provisional(rule, heads).map(|h| &h.value) {
        return Err(format!("{place:?} shows {shown:?} of {heads:?}"));
    }
    Ok(())
}

/// Invariant 24: a counter is its incumbent assignment and the increments that one did not know.
pub(super) fn check_counts(
    truth: &Truth,
    reference: &Reference<'_>,
    shelf: &Shelf,
    state: &Confirmed,
) -> Check {
    for (place, shown) in &state.fields {
        let Shown::Counter(shown) = shown else { continue };
        let start = Writer { seq: Seq(0), rank: Seq(0), value: Value::Int(0) };
        let heads = reference.writers.get(place);
        let incumbent = heads.and_then(|h| h.iter().min_by_key(|w| (w.rank, w.seq))).unwrap_or(&start);
        let mut sum = match incumbent.value {
            Value::Int(value) => value,
            _ => return Err(format!("{place:?} is assigned {:?}", incumbent.value)),
        };
        for o in &shelf.changes {
            for (index, mutation) in
                on(o, place).filter(|(_, m)| matches!(m.action, Action::Increment { .. }))
            {
                if let Action::Increment { by, .. } = mutation.action
                    && !assignment_knew(truth, shelf, incumbent, place, o, index)?
                {
                    sum += by;
                }
            }
        }
        if sum != *shown {
            return Err(format!("{place:?} shows {shown}, should be {sum}"));
        }
    }
    Ok(())
}

fn on<'c>(o: &'c Change, place: &Place) -> impl Iterator<Item = (usize, &'c RecordMutation)> {
    o.mutations
        .iter()
        .enumerate()
        .filter_map(|(index, m)| Some((index, m.on_record()?)))
        .filter(move |(_, m)| m.record == place.0 && m.action.field() == Some(&place.1))
}

fn assignment_knew(
    truth: &Truth,
    shelf: &Shelf,
    assignment: &Writer,
    place: &Place,
    o: &Change,
    index: usize,
) -> Result<bool, String> {
    let Some(assigning) = shelf.change(assignment.seq) else { return Ok(false) };
    let assigned =
        on(assigning, place).filter(|(_, m)| matches!(m.action, Action::AssignCounter { .. })).last();
    let (at, mutation) = assigned.ok_or("an assignment without a mutation")?;
    if assigning.seq == o.seq { Ok(index < at) } else { truth.knows_for(assigning, mutation, o) }
}

/// Invariant 25: an element is there exactly if some addition of it is known to no removal.
pub(super) fn check_sets(truth: &Truth, shelf: &Shelf, state: &Confirmed) -> Check {
    for (place, shown) in &state.fields {
        let Shown::Set(shown) = shown else { continue };
        let mut wanted = BTreeSet::new();
        for o in &shelf.changes {
            for (index, mutation) in on(o, place) {
                for element in added(mutation) {
                    if !is_removed(truth, shelf, place, (o, index), &element)? {
                        wanted.insert(element);
                    }
                }
            }
        }
        if wanted != *shown {
            return Err(format!("{place:?} holds {shown:?}, should hold {wanted:?}"));
        }
    }
    Ok(())
}

fn added(mutation: &RecordMutation) -> Vec<Value> {
    match &mutation.action {
        Action::AddElements { elements, .. } => elements.clone(),
        Action::Link { target, .. } => vec![Value::from(target.clone())],
        _ => Vec::new(),
    }
}

fn is_removed(
    truth: &Truth,
    shelf: &Shelf,
    place: &Place,
    (addition, index): (&Change, usize),
    element: &Value,
) -> Result<bool, String> {
    for r in &shelf.changes {
        for (at, mutation) in on(r, place) {
            let removes = match &mutation.action {
                Action::RemoveElements { elements, .. } => elements.contains(element),
                Action::Unlink { target: Some(target), .. } => *element == Value::from(target.clone()),
                Action::ClearElements { .. } => true,
                _ => false,
            };
            let after = if r.seq == addition.seq { index < at } else { truth.knows(r, addition)? };
            if removes && after {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Invariant 30: where a record is deleted, whoever deleted it knew every link to it that is still there.
pub(super) fn check_links(truth: &Truth, reference: &Reference<'_>, shelf: &Shelf) -> Check {
    for (record, life) in reference.lives.iter().filter(|(_, life)| !life.alive) {
        let value = Value::from(record.clone());
        let elements = reference.elements.iter().filter(|((_, f, e), _)| f == "many" && *e == value);
        let to_one = reference.writers.iter().filter(|((_, field), _)| &**field == "one");
        let holders = elements
            .flat_map(|(_, seqs)| seqs.iter().copied())
            .chain(to_one.flat_map(|(_, heads)| heads.iter().filter(|h| h.value == value).map(|h| h.seq)));
        for seq in holders {
            let link = shelf.change(seq).ok_or("no change")?;
            let mut known = false;
            for head in life.heads.iter().filter(|h| h.delete) {
                known |= truth.knows(shelf.change(head.seq).ok_or("no change")?, link)?;
            }
            if !known {
                return Err(format!("{record} is deleted, and nobody who did so knew the link of {seq}"));
            }
        }
    }
    Ok(())
}

/// The kind and policies of a field of the schema in the rows.
pub(super) fn spec_in(shelf: &Shelf, collection: &str, field: &str) -> Option<Field> {
    match shelf.rows.get(&Key::Schema).map(|r| &**r) {
        Some(Row::Schema(schema)) => schema.field(collection, field).cloned(),
        _ => None,
    }
}
