//! What happens to an operation before it settles: identity, duplicates, context, missing dependencies.

use std::sync::Arc;

use super::replica::{accepted_request, expected_counter, last_settled};
use super::settle::{Settled, accept, settle};
use super::{Environment, hold};
use crate::causality::{Counter, ReplicaNo};
use crate::change::Change;
use crate::fault;
use crate::hash::Hash;
use crate::ids::{Dot, ReplicaId};
use crate::limits::REQUEST_ID_MS;
use crate::operation::{Identity, Knowledge, Operation, Outcome, Receipt, Rejection, WaitOn};
use crate::refusal::Refusal;
use crate::state::{Attempt, Key, RequestRow, Row, Transaction, read};

/// An operation's receipt, with what others may have waited for.
pub(super) struct Admitted {
    pub receipt: Receipt,
    pub awaited: Vec<WaitOn>,
}

impl From<Receipt> for Admitted {
    fn from(receipt: Receipt) -> Admitted {
        Admitted { receipt, awaited: Vec::new() }
    }
}

/// See [`super::submit`].
pub(super) fn submit(
    tx: &mut Transaction<'_>,
    operation: &Operation,
    request_hash: Option<Hash>,
    env: Environment,
) -> Attempt<Receipt> {
    let Admitted { receipt, awaited } = admit(tx, operation, request_hash, env)?;
    if !awaited.is_empty() {
        hold::release(tx, awaited, env)?;
    }
    Ok(receipt)
}

/// Settles one operation, holds it, or answers with the stored outcome. What waited for it is not released here.
/// `request_hash` identifies the same request when it comes again, if that is not the operation's own hash (see
/// [`super::submit_made`]).
pub(super) fn admit(
    tx: &mut Transaction<'_>,
    operation: &Operation,
    request_hash: Option<Hash>,
    env: Environment,
) -> Attempt<Admitted> {
    let hash = operation.content_hash();
    let known_by = request_hash.unwrap_or(hash);
    if let Some(refusal) = foreign_context(tx, operation) {
        let expected = expected_counter(tx, operation)?;
        return Ok(not_settled(operation, refusal, expected).into());
    }
    if let Some(receipt) = settled_before(tx, operation, known_by, env)? {
        return Ok(receipt.into());
    }
    if let Some(refusal) = rewound(tx, operation)? {
        let expected = expected_counter(tx, operation)?;
        return Ok(not_settled(operation, refusal, expected).into());
    }
    match &operation.identity {
        Identity::Dot(dot) => admit_dot(tx, operation, *dot, hash, env),
        Identity::Request(id) => admit_request(tx, operation, id, (hash, known_by), env),
    }
}

/// The receipt of an operation whose identity has been used already, by this operation or by another one.
pub(super) fn settled_before(
    tx: &Transaction<'_>,
    operation: &Operation,
    hash: Hash,
    env: Environment,
) -> Attempt<Option<Receipt>> {
    match &operation.identity {
        Identity::Dot(dot) => {
            let last = last_settled(tx, dot.replica)?;
            let settled = (Counter::FIRST..=last).contains(&dot.counter)
                && !dot.replica.is_server()
                && !fault!(SettleAgain);
            if settled { duplicate(tx, operation, *dot, hash, last).map(Some) } else { Ok(None) }
        }
        Identity::Request(id) => {
            let Some(request) = accepted_request(tx, id, env)? else { return Ok(None) };
            if request.operation_hash != hash {
                let refusal = Refusal::RequestIdReused { request_id: id.clone() };
                return Ok(Some(not_settled(operation, refusal, Counter::NONE)));
            }
            let dot = Dot { replica: ReplicaId::SERVER, counter: request.counter };
            let (_, outcome) = stored_outcome(tx, dot)?;
            Ok(Some(Receipt { duplicate: true, ..receipt(operation, Some(dot), outcome) }))
        }
    }
}

/// A context of another history, or ahead of this one: nothing can be decided on it.
fn foreign_context(tx: &Transaction<'_>, operation: &Operation) -> Option<Refusal> {
    let Knowledge::Context(context) = &operation.knowledge else { return None };
    if context.epoch != tx.head.epoch {
        return Some(Refusal::WrongEpoch { epoch: context.epoch, expected_epoch: tx.head.epoch });
    }
    (context.base_seq > tx.head.head_seq)
        .then_some(Refusal::ContextAhead { base_seq: context.base_seq, head_seq: tx.head.head_seq })
}

/// A context whose base has another chain than its author saw: the history that the author knew is gone.
fn rewound(tx: &Transaction<'_>, operation: &Operation) -> Attempt<Option<Refusal>> {
    let Knowledge::Context(context) = &operation.knowledge else { return Ok(None) };
    let Some(known) = context.base_chain else { return Ok(None) };
    let base_seq = context.base_seq;
    let gone = tx.chain_at(base_seq)?.is_some_and(|chain| chain != known) && !fault!(BaseChainUnchecked);
    Ok(gone.then_some(Refusal::HistoryRewound { base_seq }))
}

fn admit_dot(
    tx: &mut Transaction<'_>,
    operation: &Operation,
    dot: Dot,
    hash: Hash,
    env: Environment,
) -> Attempt<Admitted> {
    let last = last_settled(tx, dot.replica)?;
    if dot.counter == Counter::NONE || dot.replica.is_server() {
        let detail = "counters start from 1, and the nil replica is the server's own".to_owned();
        let refusal = Refusal::InvalidOperation { field: "dot".to_owned(), detail };
        return Ok(not_settled(operation, refusal, last.next()).into());
    }
    if let Some(held) = hold::held(tx, dot)? {
        if held.operation_hash != hash {
            return Ok(not_settled(operation, Refusal::ReplicaForked { dot }, last.next()).into());
        }
        let outcome = Outcome::Held { missing: held.waits_on.clone(), expected_counter: last.next() };
        return Ok(receipt(operation, Some(dot), outcome).into());
    }
    if let Some(missing) = hold::first_missing(tx, operation, dot)? {
        let outcome = hold::hold(tx, operation, dot, hash, missing, env)?;
        return Ok(receipt(operation, Some(dot), outcome).into());
    }
    let settled = settle(tx, operation, dot, hash, env)?;
    let awaited = settled.awaited(dot);
    Ok(Admitted { receipt: receipt(operation, Some(dot), settled.outcome), awaited })
}

fn duplicate(
    tx: &Transaction<'_>,
    operation: &Operation,
    dot: Dot,
    hash: Hash,
    last: Counter,
) -> Attempt<Receipt> {
    let (content, outcome) = stored_outcome(tx, dot)?;
    // An abandoned counter has no content of its own, and the operation that was meant to have it may still arrive.
    let abandoned = matches!(&outcome, Outcome::Rejected(r) if r.refusal == Refusal::Abandoned);
    if !content.is(&hash) && !abandoned && !fault!(ReusedDotIsDuplicate) {
        return Ok(not_settled(operation, Refusal::ReplicaForked { dot }, last.next()));
    }
    Ok(Receipt { duplicate: true, ..receipt(operation, Some(dot), outcome) })
}

/// What is kept of a settled operation's content, to compare it with another one.
pub(super) enum SettledContent {
    /// By its hash.
    Rejected(Hash),
    /// By its salted hash.
    Accepted(Arc<Change>),
}

impl SettledContent {
    /// Whether it is the content that has this hash.
    fn is(&self, content_hash: &Hash) -> bool {
        match self {
            SettledContent::Rejected(hash) => hash == content_hash,
            SettledContent::Accepted(change) => change.is_of(content_hash),
        }
    }
}

/// The outcome of a settled operation, with its content.
pub(super) fn stored_outcome(tx: &Transaction<'_>, dot: Dot) -> Attempt<(SettledContent, Outcome)> {
    let replica_no = tx.replica_no(dot.replica)?.unwrap_or(ReplicaNo::SERVER);
    let rejection = read(tx.row(&Key::Rejection(replica_no, dot.counter))?, |row| match row {
        Row::Rejection(rejection) => Some(rejection),
        _ => None,
    })?;
    if let Some(rejection) = rejection {
        let content = SettledContent::Rejected(rejection.operation_hash);
        return Ok((content, Outcome::Rejected(rejection.rejection.clone())));
    }
    let change = tx.change_of(replica_no, dot.counter)?;
    let outcome = Outcome::Accepted { seq: change.seq, settlement: change.settlement.clone() };
    Ok((SettledContent::Accepted(change), outcome))
}

/// Admits an operation of a caller without a replica. Only an accepted one is remembered: one that was refused can be
/// corrected and sent again under the same id.
fn admit_request(
    tx: &mut Transaction<'_>,
    operation: &Operation,
    id: &Arc<str>,
    (hash, request_hash): (Hash, Hash),
    env: Environment,
) -> Attempt<Admitted> {
    if let Some(refusal) = cannot_wait(tx, operation)? {
        return Ok(not_settled(operation, refusal, Counter::NONE).into());
    }
    let counter = last_settled(tx, ReplicaId::SERVER)?.next();
    let dot = Dot { replica: ReplicaId::SERVER, counter };
    let settled = match accept(tx, operation, dot, hash, env)? {
        Ok(settled) => settled,
        Err(rejection) => return Ok(refused(operation, rejection, Counter::NONE).into()),
    };
    let request =
        RequestRow { operation_hash: request_hash, counter, expires_at_ms: env.now_ms + REQUEST_ID_MS };
    tx.put(Key::Request(id.clone()), Row::Request(request));
    tx.savepoint();
    let awaited = settled.awaited(dot);
    Ok(Admitted { receipt: receipt(operation, Some(dot), settled.outcome), awaited })
}

/// An operation with a request id has no counter to be held under: what it needs must be there.
fn cannot_wait(tx: &Transaction<'_>, operation: &Operation) -> Attempt<Option<Refusal>> {
    let extras = match &operation.knowledge {
        Knowledge::Context(context) => !context.extras.is_empty(),
        Knowledge::Latest => false,
    };
    if extras || operation.await_records {
        let detail = "extras and await_records need a dot".to_owned();
        return Ok(Some(Refusal::InvalidContext { detail }));
    }
    for needed in &operation.depends_on {
        if last_settled(tx, needed.replica)? < needed.counter {
            let detail = format!("{needed} has not settled; submit again when it has");
            return Ok(Some(Refusal::InvalidContext { detail }));
        }
    }
    Ok(None)
}

/// A receipt for a first submission.
pub(super) fn receipt(operation: &Operation, dot: Option<Dot>, outcome: Outcome) -> Receipt {
    Receipt {
        dot,
        request_id: match &operation.identity {
            Identity::Request(id) => Some(id.clone()),
            Identity::Dot(_) => None,
        },
        correlation_id: operation.correlation_id.clone(),
        outcome,
        duplicate: false,
    }
}

/// A receipt for an operation that was not taken.
pub(super) fn not_settled(operation: &Operation, refusal: Refusal, expected_counter: Counter) -> Receipt {
    refused(operation, Rejection { refusal, mutation_index: None }, expected_counter)
}

/// As [`not_settled`], where a mutation may be at fault.
pub(super) fn refused(operation: &Operation, rejection: Rejection, expected_counter: Counter) -> Receipt {
    let dot = match &operation.identity {
        Identity::Dot(dot) => Some(*dot),
        Identity::Request(_) => None,
    };
    let Rejection { refusal, mutation_index } = rejection;
    receipt(operation, dot, Outcome::NotSettled { refusal: Some(refusal), mutation_index, expected_counter })
}

impl Settled {
    /// What others may have waited for.
    pub(super) fn awaited(&self, dot: Dot) -> Vec<WaitOn> {
        let mut awaited = vec![WaitOn::Operation(dot)];
        awaited.extend(self.created.iter().cloned().map(WaitOn::Record));
        awaited
    }
}
