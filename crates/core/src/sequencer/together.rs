//! Operations that settle together or not at all: at adjacent positions, in one transaction.

use super::admit::{self, Admitted};
use super::{Environment, hold, run};
use crate::causality::Counter;
use crate::fault;
use crate::operation::{Operation, Outcome, Receipt, Rejection, WaitOn};
use crate::refusal::Refusal;
use crate::state::{Attempt, Interrupt, Missing, Suspended, Transaction, WorkspaceState};

/// A call whose operations settle together or not at all.
///
/// Call [`Together::resume`] until it answers: when something has to be loaded, it goes on with the operation at which it
/// stopped, so that a long call does not start anew for each of its reads. Between two calls nobody else may change the
/// working set.
pub struct Together<'o> {
    operations: &'o [Operation],
    env: Environment,
    /// Receipts of the operations that have settled so far.
    receipts: Vec<Receipt>,
    phase: Phase,
}

enum Phase {
    /// One operation after the other settles. What waits for them goes on waiting: nothing may come between them.
    Settling(Suspended, Vec<WaitOn>),
    /// All have settled, and those that waited for them follow.
    Releasing(Vec<WaitOn>),
    /// The operation of this index did not settle.
    Refusing(usize, Rejection),
}

impl<'o> Together<'o> {
    /// A call that has not begun.
    pub fn new(state: &WorkspaceState, operations: &'o [Operation], env: Environment) -> Together<'o> {
        let phase = Phase::Settling(Suspended::new(state), Vec::new());
        Together { operations, env, receipts: Vec::with_capacity(operations.len()), phase }
    }

    /// Goes on, and returns the receipts when nothing is missing any more. A refusal leaves the working set as it was.
    pub fn resume(&mut self, state: &mut WorkspaceState) -> Result<Vec<Receipt>, Missing> {
        loop {
            match &mut self.phase {
                Phase::Settling(..) => self.settle(state)?,
                Phase::Releasing(awaited) => {
                    let (awaited, env) = (awaited.clone(), self.env);
                    return match run(state, |tx| hold::release(tx, awaited, env)) {
                        Err(Interrupt::Missing(need)) => Err(need),
                        // A refusal of an operation that waits is not a fault of this call.
                        Ok(()) | Err(Interrupt::Refused(_)) => Ok(std::mem::take(&mut self.receipts)),
                    };
                }
                Phase::Refusing(index, rejection) => {
                    let (index, rejection) = (*index, rejection.clone());
                    return match run(state, |tx| self.refusals(tx, index, &rejection)) {
                        Err(Interrupt::Missing(need)) => Err(need),
                        Ok(receipts) => Ok(receipts),
                        Err(Interrupt::Refused(refusal)) => {
                            let refuse = |o| admit::not_settled(o, refusal.clone(), Counter::NONE);
                            Ok(self.operations.iter().map(refuse).collect())
                        }
                    };
                }
            }
        }
    }

    fn settle(&mut self, state: &mut WorkspaceState) -> Result<(), Missing> {
        let Phase::Settling(kept, awaited) = &mut self.phase else { return Ok(()) };
        let suspended = std::mem::replace(kept, Suspended::new(state));
        let mut tx = Transaction::resume(state, suspended);
        let refused = loop {
            let Some(operation) = self.operations.get(self.receipts.len()) else { break None };
            match admit_together(&mut tx, operation, self.env) {
                Ok(Ok(Admitted { receipt, awaited: more })) => {
                    self.receipts.push(receipt);
                    awaited.extend(more);
                }
                Ok(Err(rejection)) => break Some(rejection),
                Err(Interrupt::Refused(refusal)) => break Some(Rejection { refusal, mutation_index: None }),
                Err(Interrupt::Missing(need)) => {
                    *kept = tx.suspend();
                    return Err(need);
                }
            }
        };
        self.phase = match refused {
            None => {
                tx.savepoint();
                tx.commit();
                Phase::Releasing(std::mem::take(awaited))
            }
            Some(rejection) => {
                if fault!(HalfOfCallStays) {
                    tx.commit();
                } else {
                    tx.abort();
                }
                Phase::Refusing(self.receipts.len(), rejection)
            }
        };
        Ok(())
    }

    /// The receipts of a call of which one operation did not settle.
    fn refusals(&self, tx: &mut Transaction<'_>, at: usize, rejection: &Rejection) -> Attempt<Vec<Receipt>> {
        let mut receipts = Vec::with_capacity(self.operations.len());
        for (index, operation) in self.operations.iter().enumerate() {
            let hash = operation.content_hash();
            let before = admit::settled_before(tx, operation, hash, self.env)?;
            if let Some(before) = before.filter(|receipt| receipt.outcome.is_terminal()) {
                receipts.push(before);
                continue;
            }
            let expected = super::replica::expected_counter(tx, operation)?;
            receipts.push(if index == at {
                admit::refused(operation, rejection.clone(), expected)
            } else {
                let operation_index = u32::try_from(at).unwrap_or(u32::MAX);
                admit::not_settled(operation, Refusal::NotAllSettled { operation_index }, expected)
            });
        }
        Ok(receipts)
    }
}

/// Settles one operation of such a call, or says why it does not settle now.
fn admit_together(
    tx: &mut Transaction<'_>,
    operation: &Operation,
    env: Environment,
) -> Attempt<Result<Admitted, Rejection>> {
    // It may be held and wait for another operation of this call.
    hold::take_ready(tx, operation)?;
    let admitted = admit::admit(tx, operation, None, env)?;
    if admitted.receipt.duplicate {
        return Ok(Ok(admitted));
    }
    let (refusal, mutation_index) = match admitted.receipt.outcome {
        Outcome::Accepted { .. } => return Ok(Ok(admitted)),
        Outcome::Rejected(rejection) => return Ok(Err(rejection)),
        Outcome::Held { missing, .. } => (waits(&missing), None),
        Outcome::NotSettled { refusal, mutation_index, .. } => {
            (refusal.unwrap_or_else(unexplained), mutation_index)
        }
    };
    Ok(Err(Rejection { refusal, mutation_index }))
}

fn waits(missing: &WaitOn) -> Refusal {
    let what = match missing {
        WaitOn::Operation(dot) => format!("{dot} has not settled"),
        WaitOn::Record(record) => format!("record {record} does not exist"),
    };
    Refusal::InvalidContext { detail: format!("{what}; operations that settle together cannot wait") }
}

fn unexplained() -> Refusal {
    Refusal::Inconsistent { detail: "an operation was not settled without a reason".to_owned() }
}
