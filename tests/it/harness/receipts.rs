//! What a receipt must be.

use std::collections::BTreeSet;

use pb::receipt::Outcome;
use syncline_protocol::pb;

use super::errors::{Reason, documented};

#[track_caller]
fn outcome(receipt: &pb::Receipt) -> &Outcome {
    receipt.outcome.as_ref().unwrap_or_else(|| panic!("a receipt without an outcome: {receipt:?}"))
}

/// Applied: its position.
#[track_caller]
pub fn applied(receipt: &pb::Receipt) -> u64 {
    match outcome(receipt) {
        Outcome::Applied(applied) => applied.seq,
        other => panic!("not applied: {other:?}"),
    }
}

/// Merged: its position.
#[track_caller]
pub fn merged(receipt: &pb::Receipt) -> u64 {
    match outcome(receipt) {
        Outcome::Merged(merged) => merged.seq,
        other => panic!("not merged: {other:?}"),
    }
}

/// Conflicted: its position and its conflicts.
#[track_caller]
pub fn conflicted(receipt: &pb::Receipt) -> (u64, Vec<String>) {
    match outcome(receipt) {
        Outcome::Conflicted(conflicted) => (conflicted.seq, conflicted.conflict_ids.clone()),
        other => panic!("not conflicted: {other:?}"),
    }
}

/// Conflicted, with one conflict: its id.
#[track_caller]
pub fn one_conflict(receipt: &pb::Receipt) -> String {
    let (_, mut ids) = conflicted(receipt);
    assert_eq!(ids.len(), 1, "{receipt:?}");
    ids.remove(0)
}

/// Accepted in any way: its position, if it is.
pub fn position(receipt: &pb::Receipt) -> Option<u64> {
    match receipt.outcome.as_ref()? {
        Outcome::Applied(applied) => Some(applied.seq),
        Outcome::Merged(merged) => Some(merged.seq),
        Outcome::Conflicted(conflicted) => Some(conflicted.seq),
        Outcome::Duplicate(duplicate) => position(duplicate.stored.as_deref()?),
        Outcome::Held(_) | Outcome::Rejected(_) | Outcome::NotSettled(_) => None,
    }
}

/// Accepted in any way: its position.
#[track_caller]
pub fn settled(receipt: &pb::Receipt) -> u64 {
    position(receipt).unwrap_or_else(|| panic!("not settled: {receipt:?}"))
}

/// Held.
#[track_caller]
pub fn held(receipt: &pb::Receipt) -> &pb::Held {
    match outcome(receipt) {
        Outcome::Held(held) => held,
        other => panic!("not held: {other:?}"),
    }
}

/// Held for an operation.
#[track_caller]
pub fn waits_for(receipt: &pb::Receipt, dot: &pb::Dot) {
    assert_eq!(held(receipt).missing, Some(pb::held::Missing::Operation(dot.clone())));
}

/// A duplicate: the receipt as it was.
#[track_caller]
pub fn duplicate(receipt: &pb::Receipt) -> pb::Receipt {
    match outcome(receipt) {
        Outcome::Duplicate(duplicate) => *duplicate.stored.clone().expect("the stored receipt"),
        other => panic!("no duplicate: {other:?}"),
    }
}

/// The outcome that was settled first, whether this receipt is that of a repetition or not.
#[track_caller]
pub fn original(receipt: &pb::Receipt) -> pb::Receipt {
    match outcome(receipt) {
        Outcome::Duplicate(_) => duplicate(receipt),
        _ => receipt.clone(),
    }
}

/// Rejected for this reason, with the metadata that is documented.
#[track_caller]
pub fn rejected(receipt: &pb::Receipt, reason: Reason) -> &pb::Rejected {
    let Outcome::Rejected(rejected) = outcome(receipt) else { panic!("not rejected: {receipt:?}") };
    assert_eq!(rejected.reason(), reason, "{rejected:?}");
    check_parts(reason, &rejected.message, rejected.metadata.keys());
    assert!(documented(reason).settles, "{reason:?} is documented as one that does not settle");
    rejected
}

/// Not settled for this reason, with the metadata that is documented.
#[track_caller]
pub fn refused(receipt: &pb::Receipt, reason: Reason) -> &pb::NotSettled {
    // Under a request id nothing is ever rejected.
    let may_settle = documented(reason).settles && receipt.request_id.is_empty();
    assert!(!may_settle, "{reason:?} is documented as one that settles");
    refused_for_now(receipt, reason)
}

/// The same in a call whose operations settle together: what would have settled it alone leaves nothing there.
#[track_caller]
pub fn refused_for_now(receipt: &pb::Receipt, reason: Reason) -> &pb::NotSettled {
    let Outcome::NotSettled(refused) = outcome(receipt) else { panic!("settled or held: {receipt:?}") };
    assert_eq!(refused.reason(), reason, "{refused:?}");
    check_parts(reason, &refused.message, refused.metadata.keys());
    refused
}

/// Nothing is known of it; the counter that is expected.
#[track_caller]
pub fn unknown(receipt: &pb::Receipt) -> u64 {
    let Outcome::NotSettled(unknown) = outcome(receipt) else { panic!("known: {receipt:?}") };
    assert_eq!(unknown.reason(), Reason::Unspecified);
    unknown.expected_counter
}

#[track_caller]
fn check_parts<'k>(reason: Reason, message: &str, keys: impl Iterator<Item = &'k String>) {
    assert!(!message.is_empty(), "{reason:?} says nothing in words");
    let documented = documented(reason);
    assert!(documented.in_receipts, "{reason:?} is not documented for receipts");
    let mut expected = documented.metadata;
    if reason == Reason::InvalidRequest {
        // A receipt has no field violations: docs/errors.md names these two instead.
        expected.extend(["field".to_owned(), "detail".to_owned()]);
    }
    assert_eq!(keys.cloned().collect::<BTreeSet<_>>(), expected, "metadata of {reason:?}");
}
