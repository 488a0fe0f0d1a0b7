//! What happens to an operation before it settles: identity, duplicates, context, missing dependencies.

use std::sync::Arc;

use super::settle::{Settled, settle};
use super::{Environment, hold};
use crate::causality::{Author, Counter, Extra, SERVER_REPLICA_NO};
use crate::change::Change;
use crate::fault;
use crate::hash::Hash;
use crate::ids::{Dot, ReplicaId};
use crate::limits::REQUEST_ID_MS;
use crate::operation::{CausalContext, Identity, Knowledge, Operation, Outcome, Receipt, WaitOn};
use crate::refusal::Refusal;
use crate::state::{Key, ReplicaRow, RequestRow, Row, Step, Transaction, read};
use crate::unknown::Unknown;

/// See [`super::submit`].
pub(super) fn submit(tx: &mut Transaction<'_>, operation: &Operation, env: Environment) -> Step<Receipt> {
    let hash = operation.content_hash();
    if let Some(refusal) = foreign_context(tx, operation) {
        let expected = expected_counter(tx, operation)?;
        return Ok(not_settled(operation, refusal, expected));
    }
    match &operation.identity {
        Identity::Dot(dot) => submit_dot(tx, operation, *dot, hash, env),
        Identity::Request(id) => submit_request(tx, operation, id, hash, env),
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

fn expected_counter(tx: &Transaction<'_>, operation: &Operation) -> Step<Counter> {
    match &operation.identity {
        Identity::Dot(dot) => Ok(last_settled(tx, dot.replica)? + 1),
        Identity::Request(_) => Ok(0),
    }
}

fn submit_dot(
    tx: &mut Transaction<'_>,
    operation: &Operation,
    dot: Dot,
    hash: Hash,
    env: Environment,
) -> Step<Receipt> {
    let last = last_settled(tx, dot.replica)?;
    if dot.counter == 0 || dot.replica.is_nil() {
        let detail = "counters start from 1, and the nil replica is the server's own".to_owned();
        let refusal = Refusal::InvalidOperation { field: "dot".to_owned(), detail };
        return Ok(not_settled(operation, refusal, last + 1));
    }
    if dot.counter <= last && !fault!(SettleAgain) {
        return duplicate(tx, operation, dot, hash, last);
    }
    if let Some(held) = hold::held(tx, dot)? {
        if held.operation_hash != hash {
            return Ok(not_settled(operation, Refusal::ReplicaForked { dot }, last + 1));
        }
        let outcome = Outcome::Held { missing: held.waits_on.clone(), expected_counter: last + 1 };
        return Ok(receipt(operation, Some(dot), outcome));
    }
    if let Some(missing) = hold::first_missing(tx, operation, dot)? {
        let outcome = hold::hold(tx, operation, dot, hash, missing, env)?;
        return Ok(receipt(operation, Some(dot), outcome));
    }
    let settled = settle(tx, operation, dot, hash, env)?;
    let outcome = settled.outcome.clone();
    hold::release(tx, settled.awaited(dot), env)?;
    Ok(receipt(operation, Some(dot), outcome))
}

fn duplicate(
    tx: &Transaction<'_>,
    operation: &Operation,
    dot: Dot,
    hash: Hash,
    last: Counter,
) -> Step<Receipt> {
    let (content, outcome) = stored_outcome(tx, dot)?;
    // An abandoned counter has no content of its own: what was meant to have it may still arrive.
    let abandoned = matches!(&outcome, Outcome::Rejected(r) if r.refusal == Refusal::Abandoned);
    if !content.is(&hash) && !abandoned && !fault!(ReusedDotIsDuplicate) {
        return Ok(not_settled(operation, Refusal::ReplicaForked { dot }, last + 1));
    }
    Ok(Receipt { duplicate: true, ..receipt(operation, Some(dot), outcome) })
}

/// The content of a settled operation, as far as it can be told from another one.
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
pub(super) fn stored_outcome(tx: &Transaction<'_>, dot: Dot) -> Step<(SettledContent, Outcome)> {
    let replica_no = tx.replica_no(dot.replica)?.unwrap_or(SERVER_REPLICA_NO);
    let rejection = read(tx.row(&Key::Rejection(replica_no, dot.counter))?, |row| match row {
        Row::Rejection(rejection) => Some(rejection),
        _ => None,
    })?;
    if let Some(rejection) = rejection {
        let content = SettledContent::Rejected(rejection.operation_hash);
        return Ok((content, Outcome::Rejected(rejection.rejection.clone())));
    }
    let change = tx.change_of(replica_no, dot.counter)?;
    let outcome = Outcome::Settled { seq: change.seq, settlement: change.settlement.clone() };
    Ok((SettledContent::Accepted(change), outcome))
}

fn submit_request(
    tx: &mut Transaction<'_>,
    operation: &Operation,
    id: &Arc<str>,
    hash: Hash,
    env: Environment,
) -> Step<Receipt> {
    let key = Key::Request(id.clone());
    let known = read(tx.row(&key)?, |row| match row {
        Row::Request(request) => Some(request),
        _ => None,
    })?;
    if let Some(request) = known.filter(|r| r.expires_at_ms > env.now_ms).cloned() {
        if request.operation_hash != hash {
            let refusal = Refusal::RequestIdReused { request_id: id.clone() };
            return Ok(not_settled(operation, refusal, 0));
        }
        let dot = Dot { replica: ReplicaId::nil(), counter: request.counter };
        let (_, outcome) = stored_outcome(tx, dot)?;
        return Ok(Receipt { duplicate: true, ..receipt(operation, Some(dot), outcome) });
    }
    if let Some(refusal) = cannot_wait(tx, operation)? {
        return Ok(not_settled(operation, refusal, 0));
    }
    let counter = last_settled(tx, ReplicaId::nil())? + 1;
    let dot = Dot { replica: ReplicaId::nil(), counter };
    let settled = settle(tx, operation, dot, hash, env)?;
    let request = RequestRow { operation_hash: hash, counter, expires_at_ms: env.now_ms + REQUEST_ID_MS };
    tx.put(key, Row::Request(request));
    tx.keep();
    hold::release(tx, settled.awaited(dot), env)?;
    Ok(receipt(operation, Some(dot), settled.outcome))
}

/// An operation with a request id has no counter to be held under: what it needs must be there.
fn cannot_wait(tx: &Transaction<'_>, operation: &Operation) -> Step<Option<Refusal>> {
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

/// A replica's last settled counter; 0 before its first.
pub(super) fn last_settled(tx: &Transaction<'_>, replica: ReplicaId) -> Step<Counter> {
    Ok(tx.replica(replica)?.map_or(0, |r| r.last_settled))
}

/// The author as the comparison rule needs it, once everything it knew has settled.
pub(super) fn author_of(
    tx: &mut Transaction<'_>,
    operation: &Operation,
    dot: Dot,
) -> Step<(Author, CausalContext)> {
    let replica = replica_row(tx, dot.replica)?;
    let context = match &operation.knowledge {
        Knowledge::Context(context) => context.clone(),
        Knowledge::Latest => {
            CausalContext { epoch: tx.head.epoch, base_seq: tx.head.head_seq, extras: Vec::new() }
        }
    };
    let mut extras = Vec::with_capacity(context.extras.len());
    for extra in &context.extras {
        let replica_no = tx.replica_no(extra.replica)?.unwrap_or(SERVER_REPLICA_NO);
        extras.push(Extra { replica_no, counter: extra.counter });
    }
    let author = Author { replica_no: replica.no, counter: dot.counter, base_seq: context.base_seq, extras };
    Ok((author, context))
}

/// A replica's row; a new replica gets the next number.
pub(super) fn replica_row(tx: &mut Transaction<'_>, id: ReplicaId) -> Step<ReplicaRow> {
    if let Some(row) = tx.replica(id)? {
        return Ok(row.clone());
    }
    let no = if id.is_nil() {
        SERVER_REPLICA_NO
    } else {
        tx.head.replica_count += 1;
        tx.head.replica_count
    };
    let row = ReplicaRow { no, last_settled: 0, last_accepted: 0, last_base: 0, unknown: Unknown::NONE };
    tx.put(Key::ReplicaNumber(no), Row::ReplicaNumber(id));
    // Asked again while its first operation settles, it must have the number already.
    if !fault!(ReplicaNumberedTwice) {
        tx.put(Key::Replica(id), Row::Replica(row.clone()));
    }
    Ok(row)
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
    let dot = match &operation.identity {
        Identity::Dot(dot) => Some(*dot),
        Identity::Request(_) => None,
    };
    receipt(operation, dot, Outcome::NotSettled { refusal: Some(refusal), expected_counter })
}

impl Settled {
    /// What others may have waited for.
    pub(super) fn awaited(&self, dot: Dot) -> Vec<WaitOn> {
        let mut awaited = vec![WaitOn::Operation(dot)];
        awaited.extend(self.created.iter().cloned().map(WaitOn::Record));
        awaited
    }
}
