//! Operations that arrived before what they depend on. A hold is a cache, never a settlement.
//!
//! Each held operation watches one missing dependency; when that settles, it is examined again. Nothing is scanned, and
//! settling an operation that nobody waits for costs one look at the number of held operations.

use super::Environment;
use super::prefetch::prefetch_keys;
use super::replica::last_settled;
use super::settle::settle;
use crate::fault;
use crate::hash::Hash;
use crate::ids::{Dot, RecordId};
use crate::limits::{
    HELD_BYTES_PER_REPLICA_MAX, HELD_BYTES_PER_WORKSPACE_MAX, HELD_PER_REPLICA_MAX, HELD_PER_WORKSPACE_MAX,
    HOLD_OPERATION_MS, HOLD_RECORD_MS, RELEASE_CASCADE_MAX, WAIT_CHAIN_HOPS_MAX,
};
use crate::operation::{Action, Identity, Knowledge, Mutation, Operation, Outcome, WaitOn};
use crate::refusal::Refusal;
use crate::state::{Attempt, Existence, HeldRow, HoldUsage, Key, Prefix, Row, Transaction, read};
use crate::unknown::Unknown;

/// A held operation.
pub(super) fn held<'t>(tx: &'t Transaction<'_>, dot: Dot) -> Attempt<Option<&'t HeldRow>> {
    if usage(tx, None)?.count == 0 {
        return Ok(None);
    }
    read(tx.row(&Key::Held(dot))?, |row| match row {
        Row::Held(held) => Some(&**held),
        _ => None,
    })
}

/// The first thing the operation depends on that is not there.
pub(super) fn first_missing(
    tx: &Transaction<'_>,
    operation: &Operation,
    dot: Dot,
) -> Attempt<Option<WaitOn>> {
    let previous = dot.counter.previous();
    if last_settled(tx, dot.replica)? < previous && !fault!(CounterGapAccepted) {
        return Ok(Some(WaitOn::Operation(Dot { counter: previous, ..dot })));
    }
    let extras = match &operation.knowledge {
        Knowledge::Context(context) if !fault!(NoHold) => context.extras.as_slice(),
        _ => &[],
    };
    for needed in extras.iter().chain(&operation.depends_on) {
        if last_settled(tx, needed.replica)? < needed.counter {
            return Ok(Some(WaitOn::Operation(*needed)));
        }
    }
    if operation.await_records {
        return missing_record(tx, operation);
    }
    Ok(None)
}

fn missing_record(tx: &Transaction<'_>, operation: &Operation) -> Attempt<Option<WaitOn>> {
    let mut created: Vec<&RecordId> = Vec::new();
    for mutation in operation.mutations.iter().filter_map(Mutation::on_record) {
        let target = match &mutation.action {
            Action::Create { .. } => {
                created.push(&mutation.record);
                continue;
            }
            Action::Link { target, .. } => Some(target),
            _ => None,
        };
        for id in [Some(&mutation.record), target].into_iter().flatten() {
            if created.contains(&id) {
                continue;
            }
            let there = tx.record(id)?.is_some_and(|r| !matches!(r.existence, Existence::Phantom(_)));
            if !there {
                return Ok(Some(WaitOn::Record(id.clone())));
            }
        }
    }
    Ok(None)
}

/// Stores an operation until what is missing settles.
pub(super) fn hold(
    tx: &mut Transaction<'_>,
    operation: &Operation,
    dot: Dot,
    hash: Hash,
    missing: WaitOn,
    env: Environment,
) -> Attempt<Outcome> {
    let expected_counter = last_settled(tx, dot.replica)?.next();
    let refuse =
        |refusal| Outcome::NotSettled { refusal: Some(refusal), mutation_index: None, expected_counter };
    let weight = operation.weight_bytes();
    let all = usage(tx, None)?;
    let own = usage(tx, Some(dot))?;
    let fits = all.count < HELD_PER_WORKSPACE_MAX
        && all.bytes + weight <= HELD_BYTES_PER_WORKSPACE_MAX
        && own.count < HELD_PER_REPLICA_MAX
        && own.bytes + weight <= HELD_BYTES_PER_REPLICA_MAX;
    if !fits {
        return Ok(refuse(Refusal::HoldQuota { expected_counter }));
    }
    if let Some(members) = cycle(tx, dot, &missing)? {
        let detail = format!("{} operations wait for each other", members.len() + 1);
        for member in members {
            evict(tx, member)?;
        }
        tx.savepoint();
        return Ok(refuse(Refusal::CausalityCycle { detail }));
    }
    let lifetime = match &missing {
        WaitOn::Operation(_) => HOLD_OPERATION_MS,
        WaitOn::Record(_) => HOLD_RECORD_MS,
    };
    let row = HeldRow {
        operation: operation.clone(),
        operation_hash: hash,
        waits_on: missing.clone(),
        expires_at_ms: env.now_ms + lifetime,
        weight_bytes: weight,
        unknown: Unknown::NONE,
    };
    tx.put(Key::Waiter(missing.clone(), dot), Row::Unit);
    tx.put(Key::Held(dot), Row::Held(Box::new(row)));
    count(tx, dot, 1, weight as i64)?;
    tx.savepoint();
    Ok(Outcome::Held { missing, expected_counter })
}

/// The held operations that wait for `dot`, if what `dot` would wait for is one of them.
fn cycle(tx: &Transaction<'_>, dot: Dot, missing: &WaitOn) -> Attempt<Option<Vec<Dot>>> {
    if fault!(CycleUnnoticed) {
        return Ok(None);
    }
    let mut members = Vec::new();
    let mut next = missing.clone();
    for _ in 0..WAIT_CHAIN_HOPS_MAX {
        let WaitOn::Operation(awaited) = next else { return Ok(None) };
        if awaited == dot {
            return Ok(Some(members));
        }
        let Some(row) = held(tx, awaited)? else { return Ok(None) };
        members.push(awaited);
        next = row.waits_on.clone();
    }
    Ok(None)
}

/// Takes a held operation out of its wait when nothing it needs is missing any more, so that it can be submitted anew.
pub(super) fn take_ready(tx: &mut Transaction<'_>, operation: &Operation) -> Attempt<()> {
    let Identity::Dot(dot) = operation.identity else { return Ok(()) };
    let waits = held(tx, dot)?.is_some_and(|row| row.operation_hash == operation.content_hash());
    if waits && first_missing(tx, operation, dot)?.is_none() {
        evict(tx, dot)?;
    }
    Ok(())
}

/// Drops a held operation. Settles nothing.
pub(super) fn evict(tx: &mut Transaction<'_>, dot: Dot) -> Attempt<()> {
    let Some(row) = held(tx, dot)? else { return Ok(()) };
    let (waits_on, weight) = (row.waits_on.clone(), row.weight_bytes);
    tx.delete(Key::Waiter(waits_on, dot));
    tx.delete(Key::Held(dot));
    count(tx, dot, -1, -(weight as i64))
}

/// Examines what waited for `settled`, settles what has all it needs, and so on. Beyond the cascade limit the
/// rest is left for [`super::wake`].
pub(super) fn release(tx: &mut Transaction<'_>, settled: Vec<WaitOn>, env: Environment) -> Attempt<()> {
    tx.savepoint();
    let mut work = settled;
    let mut released = 0;
    while let Some(event) = work.pop() {
        if usage(tx, None)?.count == 0 {
            return Ok(());
        }
        if released > 0 {
            // Each released operation may have waiters of its own. All waiters are asked for together, because every
            // miss starts the whole submission anew.
            tx.need_range(&Prefix::Waiters)?;
        }
        // One more than may be released says that there are more.
        let waiters = tx.first_keys(&Prefix::WaitersOn(event.clone()), RELEASE_CASCADE_MAX + 1 - released)?;
        prefetch(tx, &waiters)?;
        for key in waiters {
            let Key::Waiter(_, waiter) = key else { continue };
            if released == RELEASE_CASCADE_MAX {
                tx.put(Key::Wake(event.clone()), Row::Unit);
                tx.savepoint();
                break;
            }
            work.extend(examine(tx, waiter, &event, env)?);
            released += 1;
            if fault!(ReleaseOnlyFirst) {
                break;
            }
        }
    }
    Ok(())
}

/// Reads what releasing these operations will surely read, before any of them settles: a miss starts the whole
/// submission anew, and the earlier that happens, the less work is lost.
fn prefetch(tx: &Transaction<'_>, waiters: &[Key]) -> Attempt<()> {
    let waiting = || {
        waiters.iter().filter_map(|key| match key {
            Key::Waiter(_, waiter) => Some(*waiter),
            _ => None,
        })
    };
    tx.need_rows(waiting().map(Key::Held))?;
    let mut keys = Vec::new();
    for waiter in waiting() {
        keys.push(Key::HoldUsage(Some(waiter.replica)));
        keys.extend(held(tx, waiter)?.map(|row| prefetch_keys(&row.operation)).unwrap_or_default());
    }
    tx.need_rows(keys)
}

/// Looks at one held operation again.
fn examine(tx: &mut Transaction<'_>, dot: Dot, event: &WaitOn, env: Environment) -> Attempt<Vec<WaitOn>> {
    let Some(row) = held(tx, dot)?.cloned() else {
        tx.delete(Key::Waiter(event.clone(), dot));
        tx.savepoint();
        return Ok(Vec::new());
    };
    tx.delete(Key::Waiter(event.clone(), dot));
    if let Some(missing) = first_missing(tx, &row.operation, dot)? {
        wait_for(tx, dot, row, missing, env)?;
        return Ok(Vec::new());
    }
    tx.delete(Key::Held(dot));
    count(tx, dot, -1, -(row.weight_bytes as i64))?;
    tx.savepoint();
    let settled = settle(tx, &row.operation, dot, row.operation_hash, env)?;
    tx.savepoint();
    Ok(settled.awaited(dot))
}

/// Lets a held operation wait for the next thing it misses. A circle of waits can close here as well as on arrival.
fn wait_for(
    tx: &mut Transaction<'_>,
    dot: Dot,
    row: HeldRow,
    missing: WaitOn,
    env: Environment,
) -> Attempt<()> {
    let circle = cycle(tx, dot, &missing)?;
    let expires_at_ms = match &missing {
        WaitOn::Operation(_) => row.expires_at_ms,
        WaitOn::Record(_) => env.now_ms + HOLD_RECORD_MS,
    };
    tx.put(Key::Waiter(missing.clone(), dot), Row::Unit);
    tx.put(Key::Held(dot), Row::Held(Box::new(HeldRow { waits_on: missing, expires_at_ms, ..row })));
    if let Some(members) = circle {
        for member in members.into_iter().chain([dot]) {
            evict(tx, member)?;
        }
    }
    tx.savepoint();
    Ok(())
}

/// How much is held altogether, or by the replica of a dot.
fn usage(tx: &Transaction<'_>, of: Option<Dot>) -> Attempt<HoldUsage> {
    let key = Key::HoldUsage(of.map(|dot| dot.replica));
    Ok(read(tx.row(&key)?, |row| match row {
        Row::HoldUsage(usage) => Some(usage),
        _ => None,
    })?
    .cloned()
    .unwrap_or_default())
}

fn count(tx: &mut Transaction<'_>, dot: Dot, operations: i64, bytes: i64) -> Attempt<()> {
    for of in [None, Some(dot)] {
        let now = usage(tx, of)?;
        let next = HoldUsage {
            count: now.count.saturating_add_signed(operations),
            bytes: now.bytes.saturating_add_signed(bytes),
            unknown: now.unknown,
        };
        let key = Key::HoldUsage(of.map(|dot| dot.replica));
        if next.count == 0 {
            tx.delete(key);
        } else {
            tx.put(key, Row::HoldUsage(next));
        }
    }
    Ok(())
}
