//! What the server does by itself: reminders, expired holds and request ids, abandoned counters.

use super::admit::{receipt, stored_outcome};
use super::replica::last_settled;
use super::settle::{accept, reject};
use super::{Environment, hold, run};
use crate::causality::Counter;
use crate::ids::{ConflictId, Dot, ReplicaId};
use crate::limits::RELEASE_CASCADE_MAX;
use crate::operation::{
    ConflictAction, ConflictMutation, Identity, Knowledge, Operation, Receipt, Rejection, WaitOn,
};
use crate::refusal::Refusal;
use crate::state::{Attempt, Interrupt, Key, Missing, Prefix, Row, Transaction, WorkspaceState, read};

/// Settles a lost counter as an explicit no-op. `Err(expected)` when it is not the next one.
pub fn abandon(
    state: &mut WorkspaceState,
    dot: Dot,
    env: Environment,
) -> Result<Result<Receipt, Counter>, Missing> {
    let operation = blank(Identity::Dot(dot), "");
    let attempt = run(state, |tx| {
        let last = last_settled(tx, dot.replica)?;
        if dot.counter <= last {
            let (_, outcome) = stored_outcome(tx, dot)?;
            return Ok(Ok(Receipt { duplicate: true, ..receipt(&operation, Some(dot), outcome) }));
        }
        if dot.counter != last.next() {
            return Ok(Err(last.next()));
        }
        hold::evict(tx, dot)?;
        let rejection = Rejection { refusal: Refusal::Abandoned, mutation_index: None };
        let settled = reject(tx, &operation, dot, operation.content_hash(), rejection)?;
        hold::release(tx, vec![WaitOn::Operation(dot)], env)?;
        Ok(Ok(receipt(&operation, Some(dot), settled.outcome)))
    });
    needed(attempt, Err(Counter::NONE))
}

/// Releases what a cascade limit left waiting. Returns whether there is more.
pub fn wake(state: &mut WorkspaceState, env: Environment) -> Result<bool, Missing> {
    let attempt = run(state, |tx| {
        let Some(key) = tx.first_keys(&Prefix::Wakes, 1)?.pop() else { return Ok(false) };
        tx.delete(key.clone());
        tx.savepoint();
        if let Key::Wake(event) = key {
            hold::release(tx, vec![event], env)?;
        }
        Ok(!tx.first_keys(&Prefix::Wakes, 1)?.is_empty())
    });
    needed(attempt, false)
}

/// Drops held operations whose time is over. Settles nothing.
pub fn expire_holds(state: &mut WorkspaceState, env: Environment) -> Result<usize, Missing> {
    let attempt = run(state, |tx| {
        let mut expired = Vec::new();
        for key in tx.keys(&Prefix::HeldOperations)? {
            let Key::Held(dot) = key else { continue };
            if hold::held(tx, dot)?.is_some_and(|h| h.expires_at_ms <= env.now_ms) {
                expired.push(dot);
            }
        }
        expired.truncate(RELEASE_CASCADE_MAX);
        for dot in &expired {
            hold::evict(tx, *dot)?;
        }
        Ok(expired.len())
    });
    needed(attempt, 0)
}

/// Forgets request ids whose time is over.
pub fn expire_requests(state: &mut WorkspaceState, keys: &[Key], env: Environment) -> Result<usize, Missing> {
    let attempt = run(state, |tx| {
        let mut count = 0;
        for key in keys {
            let request = read(tx.row(key)?, |row| match row {
                Row::Request(request) => Some(request),
                _ => None,
            })?;
            if request.is_some_and(|r| r.expires_at_ms <= env.now_ms) {
                tx.delete(key.clone());
                count += 1;
            }
        }
        Ok(count)
    });
    needed(attempt, 0)
}

/// Conflicts whose reminder is due, soonest first.
pub fn due_reminders(state: &WorkspaceState, now_ms: i64) -> Vec<ConflictId> {
    state
        .range(&Prefix::Reminders)
        .map_while(|(key, _)| match key {
            Key::Reminder(at, conflict) if *at <= now_ms => Some(*conflict),
            _ => None,
        })
        .collect()
}

/// Fires a reminder: an operation of the server itself, once, in the transaction that opens the conflict again.
pub fn remind(state: &mut WorkspaceState, conflict: ConflictId, env: Environment) -> Result<bool, Missing> {
    let mut operation = blank(Identity::Request(format!("reminder:{conflict}").into()), "reminder");
    operation.mutations.push(ConflictMutation { conflict, action: ConflictAction::Remind }.into());
    let attempt = run(state, |tx| {
        if !is_due(tx, conflict, env)? {
            return Ok(false);
        }
        let dot = Dot { replica: ReplicaId::SERVER, counter: last_settled(tx, ReplicaId::SERVER)?.next() };
        Ok(accept(tx, &operation, dot, operation.content_hash(), env)?.is_ok())
    });
    needed(attempt, false)
}

fn is_due(tx: &Transaction<'_>, id: ConflictId, env: Environment) -> Attempt<bool> {
    Ok(tx
        .conflict(id)?
        .is_some_and(|c| c.status.is_live() && c.remind_at_ms.is_some_and(|at| at <= env.now_ms)))
}

fn blank(identity: Identity, correlation_id: &str) -> Operation {
    Operation {
        identity,
        knowledge: Knowledge::Latest,
        mutations: Vec::new(),
        depends_on: Vec::new(),
        after_requests: Vec::new(),
        await_records: false,
        correlation_id: correlation_id.into(),
        actor: "".into(),
        client_time_ms: None,
        malformed: None,
    }
}

fn needed<T>(attempt: Attempt<T>, refused: T) -> Result<T, Missing> {
    match attempt {
        Ok(value) => Ok(value),
        Err(Interrupt::Missing(need)) => Err(need),
        Err(Interrupt::Refused(_)) => Ok(refused),
    }
}
