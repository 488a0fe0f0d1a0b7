//! Settles operations: the one place where a workspace's state changes.
//!
//! Everything here is a pure function of the state, the operation and the arguments. State that is not in memory
//! is asked for with a [`Missing`]; the caller loads it and calls again (see [`crate::state::Transaction`]).

mod admit;
mod conflict;
mod conflict_actions;
mod conflict_row;
mod counter;
mod delete;
mod existence;
mod field;
mod hold;
mod link;
mod prefetch;
#[cfg(test)]
mod proof;
mod region_places;
mod region_union;
mod regions;
mod register;
mod replace_deleted;
mod replica;
mod set;
mod settle;
mod text;
mod together;
mod upkeep;

use super::hash::Hash;
use super::operation::{Operation, Outcome, Receipt, Rejection};
use super::refusal::Refusal;
use super::state::{Attempt, Interrupt, Missing, Transaction, WorkspaceState};
use crate::causality::Counter;

pub use counter::counter_value;
pub use prefetch::prefetch_keys;
pub use register::provisional;
pub use together::Together;
pub use upkeep::{abandon, due_reminders, expire_holds, expire_requests, remind, wake};

/// What the outside world gives to a decision.
#[derive(Debug, Clone, Copy)]
pub struct Environment {
    /// The server's clock, in milliseconds since the Unix epoch: recorded, and compared with deadlines of holds and
    /// reminders; never part of a merge.
    pub now_ms: i64,
}

/// Submits one operation: settles it, holds it, or answers with the stored outcome. Releases what waited for it.
pub fn submit(
    state: &mut WorkspaceState,
    operation: &Operation,
    env: Environment,
) -> Result<Receipt, Missing> {
    answered(operation, run(state, |tx| admit::submit(tx, operation, None, env)))
}

/// As [`submit`], for an operation that the server made from a request. A repeated request is recognized by the
/// request's own hash, because the operation depends on the state at the time it was made.
pub fn submit_made(
    state: &mut WorkspaceState,
    operation: &Operation,
    request_hash: Hash,
    env: Environment,
) -> Result<Receipt, Missing> {
    answered(operation, run(state, |tx| admit::submit(tx, operation, Some(request_hash), env)))
}

fn answered(operation: &Operation, outcome: Attempt<Receipt>) -> Result<Receipt, Missing> {
    match outcome {
        Ok(receipt) => Ok(receipt),
        Err(Interrupt::Missing(need)) => Err(need),
        // Refusals of an operation are caught where it settles; one that arrives here is about the state itself.
        Err(Interrupt::Refused(refusal)) => Ok(admit::not_settled(operation, refusal, Counter::NONE)),
    }
}

/// Runs one attempt: keeps all of it or nothing.
fn run<T>(
    state: &mut WorkspaceState,
    attempt: impl FnOnce(&mut Transaction<'_>) -> Attempt<T>,
) -> Attempt<T> {
    let mut tx = Transaction::new(state);
    match attempt(&mut tx) {
        Ok(value) => {
            tx.savepoint();
            tx.commit();
            Ok(value)
        }
        Err(stop) => {
            tx.abort();
            Err(stop)
        }
    }
}

fn rejected(refusal: Refusal, mutation_index: Option<u32>) -> Outcome {
    Outcome::Rejected(Rejection { refusal, mutation_index })
}
