//! What the rules know of replicas: the rows they have, their counters, and what an author knew.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Environment;
use crate::causality::{Author, Counter, Extra, ReplicaNo, Seq};
use crate::fault;
use crate::ids::{Dot, ReplicaId};
use crate::limits::AFTER_REQUESTS_MAX;
use crate::operation::{CausalContext, Identity, Knowledge, Operation};
use crate::refusal::Refusal;
use crate::state::{Attempt, Interrupt, Key, ReplicaRow, RequestRow, Row, Transaction, read};
use crate::unknown::Unknown;

/// The counter that an operation's replica shall send next; 0 for a caller without a replica.
pub(super) fn expected_counter(tx: &Transaction<'_>, operation: &Operation) -> Attempt<Counter> {
    match &operation.identity {
        Identity::Dot(dot) => Ok(last_settled(tx, dot.replica)?.next()),
        Identity::Request(_) => Ok(Counter::NONE),
    }
}

/// A replica's last settled counter; 0 before its first.
pub(super) fn last_settled(tx: &Transaction<'_>, replica: ReplicaId) -> Attempt<Counter> {
    Ok(tx.replica(replica)?.map_or(Counter::NONE, |r| r.last_settled))
}

/// The author as the comparison rule needs it, once everything it knew has settled.
pub(super) fn author_of(
    tx: &mut Transaction<'_>,
    operation: &Operation,
    dot: Dot,
    env: Environment,
) -> Attempt<(Author, CausalContext)> {
    let replica = replica_row(tx, dot.replica)?;
    let context = match &operation.knowledge {
        Knowledge::Context(context) => context.clone().without_chain(),
        Knowledge::Latest => CausalContext::at(tx.head.epoch, tx.head.head_seq),
    };
    let mut extras = Vec::with_capacity(context.extras.len());
    for extra in &context.extras {
        let replica_no = tx.replica_no(extra.replica)?.unwrap_or(ReplicaNo::SERVER);
        extras.push(Extra { replica_no, counter: extra.counter });
    }
    let own_requests = own_requests(tx, operation, context.base_seq, env)?;
    let author = Author {
        replica_no: replica.no,
        counter: dot.counter,
        base_seq: context.base_seq,
        extras,
        own_requests,
    };
    Ok((author, context))
}

/// The author's own earlier operations beyond its base: those it names, and those that they knew in their turn.
fn own_requests(
    tx: &Transaction<'_>,
    operation: &Operation,
    base_seq: Seq,
    env: Environment,
) -> Attempt<Vec<Counter>> {
    let refuse = |detail: String| Err(Interrupt::Refused(Refusal::InvalidContext { detail }));
    if operation.after_requests.is_empty() {
        return Ok(Vec::new());
    }
    if matches!(operation.identity, Identity::Dot(_)) {
        return refuse("after_request_ids is for operations with a request id: a dot says it all".to_owned());
    }
    let mut counters = BTreeSet::new();
    for id in &operation.after_requests {
        let Some(request) = accepted_request(tx, id, env)? else {
            return refuse(format!("request id {id} was not accepted within the last 24 hours"));
        };
        let change = tx.change_of(ReplicaNo::SERVER, request.counter)?;
        let known = change.author.base_seq;
        if known > base_seq && !fault!(RequestBaseUnchecked) {
            return refuse(format!("base_seq {base_seq} is before that of request id {id}, {known}"));
        }
        counters.extend(change.author.own_requests.iter().copied().chain([request.counter]));
    }
    let counters = beyond(tx, counters.into_iter().collect(), base_seq)?;
    if counters.len() > AFTER_REQUESTS_MAX {
        return refuse(format!(
            "{} own operations are known beyond base_seq, {AFTER_REQUESTS_MAX} are allowed; read again",
            counters.len()
        ));
    }
    Ok(counters)
}

/// Those of the server's ascending counters whose positions are beyond the base. The server numbers its replica in the
/// order, so they are the last ones, and few changes have to be read to find the first of them.
fn beyond(tx: &Transaction<'_>, mut counters: Vec<Counter>, base_seq: Seq) -> Attempt<Vec<Counter>> {
    let (mut within, mut end) = (0, counters.len());
    while let Some(counter) = counters.get(within..end).and_then(|rest| rest.get(rest.len() / 2)) {
        let middle = within + (end - within) / 2;
        match tx.change_of(ReplicaNo::SERVER, *counter)?.seq > base_seq {
            true => end = middle,
            false => within = middle + 1,
        }
    }
    Ok(counters.split_off(within))
}

/// A replica's row; a new replica gets the next number.
pub(super) fn replica_row(tx: &mut Transaction<'_>, id: ReplicaId) -> Attempt<ReplicaRow> {
    if let Some(row) = tx.replica(id)? {
        return Ok(row.clone());
    }
    let no = if id.is_server() {
        ReplicaNo::SERVER
    } else {
        tx.head.replica_count += 1;
        ReplicaNo(tx.head.replica_count)
    };
    let row = ReplicaRow {
        no,
        last_settled: Counter::NONE,
        last_accepted: Counter::NONE,
        last_base: Seq::START,
        unknown: Unknown::NONE,
    };
    tx.put(Key::ReplicaNumber(no), Row::ReplicaNumber(id));
    // If the replica is asked for again while its first operation settles, it must have the number already.
    if !fault!(ReplicaNumberedTwice) {
        tx.put(Key::Replica(id), Row::Replica(row.clone()));
    }
    Ok(row)
}

/// The accepted operation that a request id stands for, as long as the id is remembered.
pub(super) fn accepted_request<'t>(
    tx: &'t Transaction<'_>,
    id: &Arc<str>,
    env: Environment,
) -> Attempt<Option<&'t RequestRow>> {
    let known = read(tx.row(&Key::Request(id.clone()))?, |row| match row {
        Row::Request(request) => Some(request),
        _ => None,
    })?;
    Ok(known.filter(|request| request.expires_at_ms > env.now_ms))
}
