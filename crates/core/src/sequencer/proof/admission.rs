//! What happens before an operation settles: identity, holding, quotas, circles, context, dependencies.

use super::desk::{RuleFixture, dot, operation, request};
use super::script::{create, create_in, mutation, schema, set};
use super::server::EPOCH;
use super::{Check, ensure};
use crate::causality::{Counter, Seq};
use crate::hash::{CHAIN_START, Hash, hash};
use crate::ids::Epoch;
use crate::limits::{
    HELD_BYTES_PER_REPLICA_MAX, HELD_BYTES_PER_WORKSPACE_MAX, HELD_PER_REPLICA_MAX, HELD_PER_WORKSPACE_MAX,
    HOLD_OPERATION_MS, HOLD_RECORD_MS, RELEASE_CASCADE_MAX, REQUEST_ID_MS,
};
use crate::operation::{Action, CausalContext, Identity, Knowledge, Malformed, Operation, Outcome, WaitOn};
use crate::refusal::Refusal;
use crate::state::{HoldUsage, Key, Prefix, Row, WorkspaceHead};
use crate::value::Value;

fn held_rows(desk: &RuleFixture) -> usize {
    desk.server.shelf.range(&Prefix::HeldOperations).count()
}

/// Invariants 9 and 10: sent again an operation gets its first answer; with another content it is a fork, held or
/// settled, and nothing changes.
pub(super) fn check_forks() -> Check {
    let mut desk = RuleFixture::new()?;
    let first = operation(dot(1, 1), Seq(1), vec![], vec![set("r0", "plain", 1)]);
    let third = operation(dot(1, 3), Seq(1), vec![], vec![set("r0", "plain", 3)]);
    let settled = desk.settled(&first)?;
    desk.held(&third)?;
    desk.held(&third)?;
    ensure!(desk.settled(&first)? == settled, "another answer");
    for honest in [&first, &third] {
        let forged = Operation { actor: "somebody else".into(), ..honest.clone() };
        let refusal = desk.refused(&forged)?;
        ensure!(matches!(refusal, Refusal::ReplicaForked { .. }), "a fork: {refusal:?}");
    }
    let malformed =
        [operation(dot(1, 0), Seq(1), vec![], vec![]), operation(dot(0, 1), Seq(1), vec![], vec![])];
    for impossible in &malformed {
        let refusal = desk.refused(impossible)?;
        ensure!(matches!(refusal, Refusal::InvalidOperation { .. }), "an impossible dot: {refusal:?}");
    }
    Ok(())
}

/// A context of another history or ahead of this one decides nothing and leaves no trace.
pub(super) fn check_foreign_contexts() -> Check {
    let mut desk = RuleFixture::new()?;
    let ahead = operation(dot(1, 1), Seq(5), vec![], vec![set("r0", "plain", 1)]);
    let refusal = desk.refused(&ahead)?;
    ensure!(refusal == Refusal::ContextAhead { base_seq: Seq(5), head_seq: Seq(1) }, "ahead: {refusal:?}");
    let context = CausalContext::at(Epoch(EPOCH.0 + 1), Seq(0));
    let refusal = desk.refused(&Operation { knowledge: Knowledge::Context(context), ..ahead })?;
    ensure!(matches!(refusal, Refusal::WrongEpoch { .. }), "another epoch: {refusal:?}");
    Ok(())
}

/// A base whose chain is another than the author saw is refused, wherever it lies; the right one is as good as none.
pub(super) fn check_rewound() -> Check {
    let mut desk = RuleFixture::new()?;
    for value in 1..6 {
        desk.settle(1, Seq(value as u64), vec![set("r0", "plain", value)])?;
    }
    let chains: Vec<Hash> = desk.server.shelf.changes.iter().map(|change| change.chain).collect();
    let knowing = |base_seq: u64, base_chain| {
        Knowledge::Context(CausalContext {
            base_chain: Some(base_chain),
            ..CausalContext::at(EPOCH, Seq(base_seq))
        })
    };
    let write = |replica, knowledge| Operation {
        knowledge,
        ..operation(dot(replica, 1), Seq(0), vec![], vec![set("r0", "latest", 1)])
    };
    for (base_seq, replica) in [(0, 10), (1, 11), (3, 12), (6, 13)] {
        let there = if base_seq == 0 { CHAIN_START } else { chains[base_seq as usize - 1] };
        let gone = hash(b"another history");
        let refusal = desk.refused(&write(replica, knowing(base_seq, gone)))?;
        ensure!(refusal == Refusal::HistoryRewound { base_seq: Seq(base_seq) }, "{base_seq}: {refusal:?}");
        let right = write(replica, knowing(base_seq, there));
        let settled = desk.settled(&right)?;
        ensure!(desk.settled(&right)? == settled, "sent again at {base_seq}");
        let by_request = Operation {
            identity: Identity::Request(format!("at-{base_seq}").into()),
            ..write(1, knowing(base_seq, gone))
        };
        let refusal = desk.refused(&by_request)?;
        ensure!(
            refusal == Refusal::HistoryRewound { base_seq: Seq(base_seq) },
            "by request, {base_seq}: {refusal:?}"
        );
    }
    // What waits is kept without the chain, and a change says nothing of it.
    let held = Operation { depends_on: vec![dot(20, 1)], ..write(21, knowing(3, chains[2])) };
    desk.held(&held)?;
    desk.held(&held)?;
    desk.settled(&operation(dot(20, 1), Seq(1), vec![], vec![]))?;
    desk.settled(&held)?;
    let kept = desk.server.shelf.changes.iter().all(|change| change.context.base_chain.is_none());
    ensure!(kept, "a context in the log has a chain");
    Ok(())
}

/// Invariant 14: what is held stays within its bounds, of a replica and altogether, in number and in bytes; beyond
/// them nothing is stored.
pub(super) fn check_quotas() -> Check {
    let mut desk = RuleFixture::new()?;
    let waiting =
        |replica, counter| operation(dot(replica, counter), Seq(1), vec![], vec![set("r0", "plain", 1)]);
    let weight = waiting(1, 2).weight_bytes();
    let full = [
        (Some(1), HELD_PER_REPLICA_MAX, 0),
        (Some(1), 1, HELD_BYTES_PER_REPLICA_MAX - weight + 1),
        (None, HELD_PER_WORKSPACE_MAX, 0),
        (None, 1, HELD_BYTES_PER_WORKSPACE_MAX - weight + 1),
    ];
    for (replica, count, bytes) in full {
        let of = replica.map(|replica| dot(replica, 1).replica);
        let usage = |count, bytes| Some(Row::HoldUsage(HoldUsage { count, bytes, ..HoldUsage::default() }));
        desk.server.step(|state, _| {
            state.put(Key::HoldUsage(None), usage(2, 0));
            state.put(Key::HoldUsage(of), usage(count, bytes));
            Ok(())
        })?;
        let refusal = desk.refused(&waiting(1, 2))?;
        ensure!(
            matches!(refusal, Refusal::HoldQuota { expected_counter: Counter::FIRST }),
            "{count}, {bytes}: {refusal:?}"
        );
        desk.server.step(|state, _| {
            state.put(Key::HoldUsage(of), usage(count - 1, bytes.saturating_sub(1)));
            Ok(())
        })?;
        desk.held(&waiting(1, 2))?;
        ensure!(held_rows(&desk) == 1, "not held at one less");
        desk.server.now_ms += HOLD_OPERATION_MS;
        desk.server.expire_holds()?;
        desk.server.step(|state, _| {
            state.put(Key::HoldUsage(of), None);
            Ok(())
        })?;
    }
    Ok(())
}

/// Invariant 15: a rejection uses up its counter, and later ones go on; what depends on it is rejected for that.
pub(super) fn check_rejections_do_not_block() -> Check {
    let mut desk = RuleFixture::new()?;
    let refusal = Refusal::UnknownAction;
    let content_hash = hash(b"something newer");
    let malformed = Some(Malformed { refusal: refusal.clone(), mutation_index: Some(0), content_hash });
    let poison = Operation { malformed, ..operation(dot(1, 2), Seq(1), vec![], vec![create("r1")]) };
    let depends = Operation {
        depends_on: vec![dot(1, 2)],
        ..operation(dot(2, 1), Seq(1), vec![], vec![set("r0", "plain", 1)])
    };
    let builds_on = operation(dot(3, 1), Seq(1), vec![dot(1, 2)], vec![set("r1", "plain", 1)]);
    let later = operation(dot(1, 3), Seq(1), vec![], vec![set("r0", "plain", 2)]);
    for early in [&later, &depends, &builds_on, &poison] {
        desk.held(early)?;
    }
    desk.settled(&operation(dot(1, 1), Seq(1), vec![], vec![set("r0", "plain", 0)]))?;
    ensure!(desk.rejected(&poison)? == refusal, "the stored refusal");
    desk.settled(&later)?;
    for dependent in [&depends, &builds_on] {
        let refusal = desk.rejected(dependent)?;
        ensure!(refusal == Refusal::DependencyRejected { dot: dot(1, 2) }, "a dependent: {refusal:?}");
    }
    // The record can still be created by somebody else.
    desk.settle(4, Seq(1), vec![create("r1")])?;
    desk.settle(4, Seq(1), vec![set("r1", "plain", 1)])?;
    ensure!(held_rows(&desk) == 0, "something is still held");
    Ok(())
}

/// Invariant 16: operations that wait for each other are thrown out, whether the circle closes with an arrival or
/// with a release; others go on.
pub(super) fn check_circles() -> Check {
    let mut desk = RuleFixture::new()?;
    let plain = |value| vec![set("r0", "plain", value)];
    let alone = operation(dot(1, 1), Seq(1), vec![dot(1, 1)], plain(1));
    ensure!(matches!(desk.refused(&alone)?, Refusal::CausalityCycle { .. }), "waits for itself");
    desk.held(&operation(dot(2, 1), Seq(1), vec![dot(3, 1)], plain(1)))?;
    desk.held(&operation(dot(3, 1), Seq(1), vec![dot(4, 1)], plain(1)))?;
    let (receipt, _) = desk.submit(&operation(dot(4, 1), Seq(1), vec![dot(2, 1)], plain(1)))?;
    let refused = matches!(
        &receipt.outcome,
        Outcome::NotSettled {
            refusal: Some(Refusal::CausalityCycle { .. }),
            expected_counter: Counter::FIRST,
            ..
        }
    );
    ensure!(refused && held_rows(&desk) == 0, "a circle of three: {receipt:?}");
    // Here the circle closes only when the first thing waited for has settled.
    desk.held(&operation(dot(5, 1), Seq(1), vec![dot(7, 1), dot(6, 1)], plain(1)))?;
    desk.held(&operation(dot(6, 1), Seq(1), vec![dot(5, 1)], plain(1)))?;
    desk.held(&operation(dot(8, 2), Seq(1), vec![], plain(1)))?;
    desk.settled(&operation(dot(7, 1), Seq(1), vec![], plain(1)))?;
    ensure!(held_rows(&desk) == 1, "a circle of two is still held");
    desk.settled(&operation(dot(8, 1), Seq(1), vec![], plain(1)))?;
    desk.settled(&operation(dot(5, 1), Seq(1), vec![dot(7, 1)], plain(1)))?;
    ensure!(held_rows(&desk) == 0 && desk.head() == 5, "others go on");
    Ok(())
}

/// Invariant 21: a replica's base never goes back, and an operation knows what the dots it lists knew.
pub(super) fn check_bases() -> Check {
    let mut desk = RuleFixture::new()?;
    desk.settle(1, Seq(1), vec![set("r0", "plain", 1)])?;
    desk.settle(1, Seq(2), vec![set("r0", "plain", 2)])?;
    let back = desk.reject(1, Seq(1), vec![set("r0", "plain", 3)])?;
    ensure!(matches!(back, Refusal::InvalidContext { .. }), "a base that goes back: {back:?}");
    let short = operation(dot(2, 1), Seq(1), vec![dot(1, 2)], vec![set("r0", "plain", 3)]);
    let refusal = desk.rejected(&short)?;
    ensure!(matches!(refusal, Refusal::InvalidContext { .. }), "a base before that of an extra: {refusal:?}");
    desk.settled(&operation(dot(2, 2), Seq(2), vec![dot(1, 2)], vec![set("r0", "plain", 4)]))?;
    desk.settled(&operation(dot(3, 1), Seq(1), vec![dot(1, 0)], vec![]))?;
    Ok(())
}

/// Invariant 13: expiry drops what is held and nothing else; sent again, it is held again. What waits for a record
/// waits for a minute, also when it first waited for something else.
pub(super) fn check_expiry() -> Check {
    let mut desk = RuleFixture::new()?;
    let gap = operation(dot(1, 2), Seq(1), vec![], vec![set("r0", "plain", 1)]);
    let record = Operation {
        await_records: true,
        ..operation(dot(2, 1), Seq(1), vec![], vec![set("r1", "plain", 1)])
    };
    let both = Operation {
        await_records: true,
        ..operation(dot(3, 1), Seq(1), vec![dot(4, 1)], vec![set("r1", "plain", 2)])
    };
    for waiting in [&gap, &record, &both] {
        desk.held(waiting)?;
    }
    let before = *desk.server.head();
    desk.server.now_ms += HOLD_RECORD_MS;
    let (expired, wrote) = desk.server.expire_holds()?;
    let after = *desk.server.head();
    let counted = WorkspaceHead { commit_count: before.commit_count + 1, ..before };
    ensure!(expired == 1 && wrote.changes.is_empty() && after == counted, "{expired} expired");
    desk.settle(4, Seq(1), vec![set("r0", "plain", 3)])?;
    desk.server.now_ms += HOLD_RECORD_MS;
    ensure!(desk.server.expire_holds()?.0 == 1, "what came to wait for a record has a minute");
    desk.held(&record)?;
    desk.settle(5, Seq(1), vec![create("r1")])?;
    ensure!(desk.settled(&record)?.0 == 4, "what awaited the record was released by it");
    desk.server.now_ms += HOLD_OPERATION_MS;
    ensure!(desk.server.expire_holds()?.0 == 1 && held_rows(&desk) == 0, "the gap expires after a day");
    desk.held(&gap)
}

/// Awaited records: the other end of a link too; a phantom does not count as a record.
pub(super) fn check_awaited_records() -> Check {
    let mut desk = RuleFixture::new()?;
    let link = Action::Link { field: "many".into(), target: "r2".into() };
    let waits = |replica, mutations| Operation {
        await_records: true,
        ..operation(dot(replica, 1), Seq(1), vec![], mutations)
    };
    desk.held(&waits(1, vec![mutation("r0", link.clone())]))?;
    desk.settled(&waits(2, vec![create("r3"), mutation("r3", Action::Delete)]))?;
    // A rejected creation is no creation.
    desk.reject(3, Seq(1), vec![create("r2"), set("nothing", "plain", 1)])?;
    ensure!(held_rows(&desk) == 1, "a phantom released somebody");
    let refusal = desk.reject(4, Seq(1), vec![mutation("r0", link)])?;
    ensure!(refusal == Refusal::DependencyRejected { dot: dot(3, 1) }, "a link to a phantom: {refusal:?}");
    desk.settle(5, Seq(1), vec![create("r2")])?;
    ensure!(held_rows(&desk) == 0, "the creation released nobody");
    Ok(())
}

/// Request ids: each settles once, whatever is sent again; another content is refused; nothing is held under one.
pub(super) fn check_requests() -> Check {
    let mut desk = RuleFixture::new()?;
    let write = |value| vec![set("r0", "plain", value)];
    let first = desk.settled(&request("a", Knowledge::Latest, write(1)))?;
    ensure!(desk.settled(&request("a", Knowledge::Latest, write(1)))? == first, "settled twice");
    let refusal = desk.refused(&request("a", Knowledge::Latest, write(2)))?;
    ensure!(matches!(refusal, Refusal::RequestIdReused { .. }), "another content: {refusal:?}");
    let known =
        |base_seq, extras| Knowledge::Context(CausalContext { extras, ..CausalContext::at(EPOCH, base_seq) });
    // Two requests made on one reading do not know each other, though the server's replica wrote both.
    let (_, settlement) = desk.settled(&request("b", known(Seq(1), vec![]), write(3)))?;
    ensure!(settlement.conflicts.len() == 1, "two requests of one reading");
    let needs_dot = request("c", known(Seq(1), vec![dot(1, 1)]), write(4));
    ensure!(matches!(desk.refused(&needs_dot)?, Refusal::InvalidContext { .. }), "extras");
    let depends = Operation { depends_on: vec![dot(1, 1)], ..request("d", Knowledge::Latest, write(5)) };
    ensure!(matches!(desk.refused(&depends)?, Refusal::InvalidContext { .. }), "an unsettled dependency");
    desk.settle(1, Seq(1), vec![set("r0", "latest", 1)])?;
    desk.settled(&depends)?;
    // What was refused is not remembered: once corrected, it settles under the same id, and has used up no counter.
    let early = request("e", Knowledge::Latest, vec![set("r0", "plain", 6), set("r1", "plain", 1)]);
    let (receipt, wrote) = desk.submit(&early)?;
    let refused = matches!(
        &receipt.outcome,
        Outcome::NotSettled { refusal: Some(Refusal::RecordNotFound { .. }), mutation_index: Some(1), .. }
    );
    ensure!(refused && wrote.is_empty() && receipt.dot.is_none(), "refused: {receipt:?}, {wrote:?}");
    desk.settle(1, Seq(1), vec![create("r1")])?;
    let settled = desk.settled(&early)?;
    ensure!(desk.settled(&early)? == settled, "put right, and settled twice");
    desk.server.now_ms += REQUEST_ID_MS;
    let again = desk.settled(&request("a", Knowledge::Latest, write(1)))?;
    ensure!(again != first, "a forgotten request id is a new one");
    Ok(())
}

/// Abandoning: only the next counter; what waited for it goes on; the operation meant to have it learns of it.
pub(super) fn check_abandoned() -> Check {
    let mut desk = RuleFixture::new()?;
    let lost = operation(dot(1, 1), Seq(1), vec![], vec![set("r0", "plain", 1)]);
    let next = operation(dot(1, 2), Seq(1), vec![], vec![set("r0", "plain", 2)]);
    desk.held(&next)?;
    ensure!(desk.server.abandon(dot(1, 2))?.0 == Err(Counter::FIRST), "abandoned out of turn");
    let (receipt, _) = desk.server.abandon(dot(1, 1))?;
    let abandoned =
        |outcome: &Outcome| matches!(outcome, Outcome::Rejected(r) if r.refusal == Refusal::Abandoned);
    ensure!(receipt.as_ref().is_ok_and(|r| abandoned(&r.outcome) && !r.duplicate), "{receipt:?}");
    desk.settled(&next)?;
    let (receipt, wrote) = desk.submit(&lost)?;
    let told = abandoned(&receipt.outcome) && receipt.duplicate && wrote.is_empty();
    ensure!(told, "what was lost turns up: {receipt:?}");
    let (receipt, wrote) = desk.server.abandon(dot(1, 2))?;
    let settled = receipt.is_ok_and(|r| matches!(r.outcome, Outcome::Accepted { .. }) && r.duplicate);
    ensure!(settled && wrote.is_empty(), "abandoned after it settled");
    // A held operation can be given up: it waits for something that never comes.
    desk.held(&operation(dot(2, 1), Seq(1), vec![dot(9, 9)], vec![]))?;
    desk.server.abandon(dot(2, 1))?.0.map_err(|c| format!("expected {c}"))?;
    ensure!(held_rows(&desk) == 0, "an abandoned operation is still held");
    Ok(())
}

/// Invariant 12, at length: one operation releases more than a transaction takes on; waking does the rest.
pub(super) fn check_long_cascade() -> Check {
    let mut desk = RuleFixture::new()?;
    // Every miss starts the step anew; with a thousand operations in one step that takes long.
    desk.server.forgetful = false;
    let waiting = RELEASE_CASCADE_MAX as u128 + 200;
    for replica in 1_000..1_000 + waiting {
        desk.server.submit(&operation(dot(replica, 1), Seq(1), vec![dot(1, 1)], vec![]))?;
    }
    desk.settle(1, Seq(1), vec![set("r0", "plain", 1)])?;
    ensure!(held_rows(&desk) == 200, "{} are left", held_rows(&desk));
    while desk.server.wake()?.0 {}
    ensure!(held_rows(&desk) == 0 && desk.head() == 2 + waiting as u64, "not everything was released");
    ensure!(desk.row(&Key::HoldUsage(None)).is_none(), "held: {:?}", desk.row(&Key::HoldUsage(None)));
    Ok(())
}

/// Invariant 31: an operation takes effect as a whole or not at all, whichever of its mutations fails.
pub(super) fn check_atomicity() -> Check {
    let mut desk = RuleFixture::new()?;
    let good = [
        create("r1"),
        set("r0", "plain", 1),
        set("r0", "undeclared", 1),
        mutation("r0", Action::Increment { field: "count".into(), by: 1 }),
        mutation("r0", Action::AddElements { field: "tags".into(), elements: vec![Value::Null] }),
        mutation("r0", Action::ReplaceText { field: "text".into(), text: "abc".into() }),
        mutation("r0", Action::Link { field: "many".into(), target: "r0".into() }),
        mutation("r0", Action::Delete),
    ];
    for len in 0..=good.len() {
        let mut mutations = good[..len].to_vec();
        mutations.push(set("nothing", "plain", 1));
        let before = *desk.server.head();
        let operation = desk.next(len as u128 + 1, Seq(1), mutations);
        let (receipt, wrote) = desk.submit(&operation)?;
        let failed = matches!(&receipt.outcome, Outcome::Rejected(r) if r.mutation_index == Some(len as u32));
        ensure!(failed && wrote.changes.is_empty(), "the last mutation fails: {receipt:?}");
        let stray = wrote.rows.iter().find(|(key, _)| {
            !matches!(key, Key::Replica(_) | Key::ReplicaNumber(_) | Key::Rejection(..))
                && *key != Key::Record("r1".into())
        });
        ensure!(stray.is_none(), "a rejected operation wrote {stray:?}");
        let head = *desk.server.head();
        ensure!(head.head_seq == before.head_seq && head.chain == before.chain, "the head moved");
        ensure!(
            head.replica_count == before.replica_count + 1,
            "numbers are given once: {}",
            head.replica_count
        );
    }
    Ok(())
}

/// A strict schema accepts only what it declares; otherwise the first action that settles fixes a field's kind.
pub(super) fn check_schemas() -> Check {
    let mut strict = schema();
    strict.strict = true;
    let mut desk = RuleFixture::empty(strict)?;
    desk.settle(1, Seq(0), vec![create("r0")])?;
    let refusal = desk.reject(1, Seq(1), vec![set("r0", "undeclared", 1)])?;
    ensure!(matches!(refusal, Refusal::UndeclaredField { .. }), "{refusal:?}");
    let elsewhere = create_in("elsewhere", "r1");
    let refusal = desk.reject(1, Seq(1), vec![elsewhere.clone()])?;
    ensure!(matches!(refusal, Refusal::UndeclaredCollection { .. }), "{refusal:?}");

    let mut desk = RuleFixture::new()?;
    desk.settle(1, Seq(1), vec![elsewhere])?;
    desk.settle(1, Seq(1), vec![mutation("r0", Action::Increment { field: "free".into(), by: 1 })])?;
    let refusal = desk.reject(1, Seq(1), vec![set("r0", "free", 1)])?;
    ensure!(matches!(refusal, Refusal::KindMismatch { .. }), "{refusal:?}");
    let refusal = desk.reject(1, Seq(1), vec![set("r1", "plain", 1)])?;
    ensure!(matches!(refusal, Refusal::CollectionMismatch { .. }), "{refusal:?}");
    // A field that only a rejected operation used is still free.
    desk.reject(1, Seq(1), vec![set("r0", "other", 1), set("nothing", "plain", 1)])?;
    desk.settle(1, Seq(1), vec![mutation("r0", Action::ClearElements { field: "other".into() })])?;
    Ok(())
}

/// A receipt says what a held operation waits for, and which counter is expected.
pub(super) fn check_what_is_missing() -> Check {
    let mut desk = RuleFixture::new()?;
    let gap = operation(dot(1, 3), Seq(1), vec![dot(2, 4)], vec![]);
    for missing in [dot(1, 2), dot(2, 4)] {
        let (receipt, _) = desk.submit(&gap)?;
        let expected_counter = if missing.replica == dot(1, 1).replica { 1 } else { 3 };
        let wanted = Outcome::Held {
            missing: WaitOn::Operation(missing),
            expected_counter: Counter(expected_counter),
        };
        ensure!(receipt.outcome == wanted, "{receipt:?}");
        for counter in 1..3 {
            desk.submit(&operation(dot(1, counter), Seq(1), vec![], vec![]))?;
        }
    }
    Ok(())
}
