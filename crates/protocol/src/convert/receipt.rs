//! Receipts as they go out.

use super::causality::dot_to_pb;
use crate::pb::{self, held::Missing, receipt::Outcome as PbOutcome};
use crate::status::refusal_parts;
use syncline_core::operation::{Outcome, Receipt, Rejection, Settlement, WaitOn};

/// A receipt. For a duplicate, all that was recorded (with what remains of its conflicts) is in the stored receipt.
pub fn receipt_to_pb(receipt: &Receipt) -> pb::Receipt {
    let Receipt { dot, request_id, correlation_id, outcome, duplicate } = receipt;
    let whole = pb::Receipt {
        dot: dot.map(dot_to_pb),
        request_id: request_id.as_deref().unwrap_or_default().to_owned(),
        correlation_id: correlation_id.to_string(),
        remaining: remaining_to_pb(outcome),
        outcome: Some(outcome_to_pb(outcome)),
    };
    // Only what has settled can have settled before.
    if !(*duplicate && outcome.is_terminal()) {
        return whole;
    }
    pb::Receipt {
        dot: whole.dot.clone(),
        request_id: whole.request_id.clone(),
        correlation_id: whole.correlation_id.clone(),
        remaining: Vec::new(),
        outcome: Some(PbOutcome::Duplicate(Box::new(pb::Duplicate { stored: Some(Box::new(whole)) }))),
    }
}

/// How the operations of a call ended, counted.
pub fn outcome_counts_to_pb(receipts: &[pb::Receipt]) -> pb::OutcomeCounts {
    let mut counts = pb::OutcomeCounts::default();
    for receipt in receipts {
        let outcome = match &receipt.outcome {
            Some(PbOutcome::Duplicate(duplicate)) => {
                counts.duplicate_count += 1;
                duplicate.stored.as_ref().and_then(|stored| stored.outcome.as_ref())
            }
            outcome => outcome.as_ref(),
        };
        let count = match outcome {
            Some(PbOutcome::Applied(_)) => &mut counts.applied_count,
            Some(PbOutcome::Merged(_)) => &mut counts.merged_count,
            Some(PbOutcome::Conflicted(_)) => &mut counts.conflicted_count,
            Some(PbOutcome::Held(_)) => &mut counts.held_count,
            Some(PbOutcome::Rejected(_)) => &mut counts.rejected_count,
            Some(PbOutcome::NotSettled(_)) => &mut counts.not_settled_count,
            // A receipt always has one, and a duplicate is of an operation that settled.
            Some(PbOutcome::Duplicate(_)) | None => continue,
        };
        *count += 1;
    }
    counts
}

fn remaining_to_pb(outcome: &Outcome) -> Vec<pb::ConflictRemaining> {
    match outcome {
        Outcome::Accepted { seq: _, settlement } => settlement
            .remaining
            .iter()
            .map(|(conflict, unseen)| pb::ConflictRemaining {
                conflict_id: conflict.to_string(),
                unseen_seqs: unseen.iter().map(|seq| seq.0).collect(),
            })
            .collect(),
        Outcome::Rejected(_) | Outcome::Held { .. } | Outcome::NotSettled { .. } => Vec::new(),
    }
}

/// An outcome.
pub(super) fn outcome_to_pb(outcome: &Outcome) -> PbOutcome {
    match outcome {
        Outcome::Accepted { seq, settlement: Settlement { merged, conflicts, remaining: _ } } => {
            if !conflicts.is_empty() {
                let conflict_ids = conflicts.iter().map(ToString::to_string).collect();
                PbOutcome::Conflicted(pb::Conflicted { seq: seq.0, conflict_ids })
            } else if *merged {
                PbOutcome::Merged(pb::Merged { seq: seq.0 })
            } else {
                PbOutcome::Applied(pb::Applied { seq: seq.0 })
            }
        }
        Outcome::Rejected(Rejection { refusal, mutation_index }) => {
            let (reason, _, message, metadata) = refusal_parts(refusal);
            let mutation_index = *mutation_index;
            PbOutcome::Rejected(pb::Rejected { reason: reason.into(), message, metadata, mutation_index })
        }
        Outcome::Held { missing, expected_counter } => {
            let missing = match missing {
                WaitOn::Operation(dot) => Missing::Operation(dot_to_pb(*dot)),
                WaitOn::Record(record) => Missing::RecordId(record.to_string()),
            };
            PbOutcome::Held(pb::Held { missing: Some(missing), expected_counter: expected_counter.0 })
        }
        Outcome::NotSettled { refusal, mutation_index, expected_counter } => {
            let (reason, message, metadata) = match refusal {
                Some(refusal) => {
                    let (reason, _, message, metadata) = refusal_parts(refusal);
                    (reason, message, metadata)
                }
                None => {
                    let message = "nothing is known of this operation; submit it".to_owned();
                    (pb::ErrorReason::Unspecified, message, Default::default())
                }
            };
            let (expected_counter, mutation_index) = (*expected_counter, *mutation_index);
            let reason = reason.into();
            PbOutcome::NotSettled(pb::NotSettled {
                reason,
                message,
                metadata,
                expected_counter: expected_counter.0,
                mutation_index,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use syncline_core::causality::{Counter, Seq};

    use super::*;
    use syncline_core::ids::{ConflictId, Dot, ReplicaId};
    use syncline_core::refusal::Refusal;

    fn receipt(outcome: Outcome) -> Receipt {
        Receipt {
            dot: Some(Dot { replica: ReplicaId::from_u128(7), counter: Counter(3) }),
            request_id: None,
            correlation_id: "trace".into(),
            outcome,
            duplicate: false,
        }
    }

    fn settled(merged: bool, conflicts: Vec<ConflictId>) -> Outcome {
        Outcome::Accepted { seq: Seq(9), settlement: Settlement { merged, conflicts, remaining: vec![] } }
    }

    #[test]
    fn settled_outcomes_say_how() {
        let conflict = ConflictId { opened_seq: Seq(4), index: 2 };
        let cases = [
            (settled(false, vec![]), PbOutcome::Applied(pb::Applied { seq: 9 })),
            (settled(true, vec![]), PbOutcome::Merged(pb::Merged { seq: 9 })),
            (
                settled(true, vec![conflict]),
                PbOutcome::Conflicted(pb::Conflicted { seq: 9, conflict_ids: vec!["c4-2".into()] }),
            ),
        ];
        for (outcome, expected) in cases {
            let sent = receipt_to_pb(&receipt(outcome));
            assert_eq!(sent.outcome, Some(expected));
            assert_eq!((sent.correlation_id.as_str(), sent.dot.expect("a dot").counter), ("trace", 3));
        }
    }

    #[test]
    fn duplicates_wrap_the_stored_receipt() {
        let remaining = vec![(ConflictId { opened_seq: Seq(4), index: 2 }, vec![Seq(5), Seq(6)])];
        let settlement = Settlement { remaining, ..Settlement::default() };
        let first = receipt(Outcome::Accepted { seq: Seq(9), settlement });
        let stored = receipt_to_pb(&first);
        assert_eq!(
            stored.remaining,
            [pb::ConflictRemaining { conflict_id: "c4-2".into(), unseen_seqs: vec![5, 6] }]
        );
        let again = receipt_to_pb(&Receipt { duplicate: true, ..first });
        assert_eq!((&again.dot, again.correlation_id.as_str()), (&stored.dot, "trace"));
        match again.outcome {
            Some(PbOutcome::Duplicate(duplicate)) => assert_eq!(duplicate.stored.as_deref(), Some(&stored)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rejections_carry_reason_and_parts() {
        let refusal = Refusal::SetTooLarge { field: "tags".into(), limit: 10_000 };
        let sent = receipt_to_pb(&receipt(Outcome::Rejected(Rejection { refusal, mutation_index: Some(2) })));
        let Some(PbOutcome::Rejected(rejected)) = sent.outcome else { panic!("{sent:?}") };
        assert_eq!(rejected.reason(), pb::ErrorReason::SetTooLarge);
        assert_eq!(
            rejected.metadata,
            [("field_id", "tags"), ("limit", "10000")].map(|(k, v)| (k.into(), v.into())).into()
        );
        assert_eq!(rejected.mutation_index, Some(2));
        assert!(rejected.message.contains("tags"));
    }

    #[test]
    fn waiting_operations_say_for_what() {
        let dot = Dot { replica: ReplicaId::from_u128(8), counter: Counter::FIRST };
        let cases = [
            (WaitOn::Operation(dot), Missing::Operation(dot_to_pb(dot))),
            (WaitOn::Record("r".into()), Missing::RecordId("r".into())),
        ];
        for (missing, expected) in cases {
            // A held operation has not settled, whatever the flag says.
            let held = Receipt {
                duplicate: true,
                ..receipt(Outcome::Held { missing, expected_counter: Counter(2) })
            };
            let expected = pb::Held { missing: Some(expected), expected_counter: 2 };
            assert_eq!(receipt_to_pb(&held).outcome, Some(PbOutcome::Held(expected)));
        }
    }

    #[test]
    fn what_is_not_settled_says_why_when_that_is_known() {
        let id: Arc<str> = "job".into();
        let unknown =
            Outcome::NotSettled { refusal: None, mutation_index: None, expected_counter: Counter::NONE };
        let sent = receipt_to_pb(&Receipt { dot: None, request_id: Some(id), ..receipt(unknown) });
        assert_eq!((sent.request_id.as_str(), &sent.dot), ("job", &None));
        let Some(PbOutcome::NotSettled(not_settled)) = sent.outcome else { panic!("not settled") };
        assert_eq!(not_settled.reason(), pb::ErrorReason::Unspecified);

        let refusal = Some(Refusal::HoldQuota { expected_counter: Counter(4) });
        let refused = Outcome::NotSettled { refusal, mutation_index: Some(7), expected_counter: Counter(4) };
        let sent = receipt_to_pb(&receipt(refused));
        let Some(PbOutcome::NotSettled(not_settled)) = sent.outcome else { panic!("not settled") };
        assert_eq!((not_settled.reason(), not_settled.expected_counter), (pb::ErrorReason::HoldQuota, 4));
        assert_eq!(not_settled.metadata["expected_counter"], "4");
        assert_eq!(not_settled.mutation_index, Some(7));
    }

    #[test]
    fn outcomes_are_counted_by_what_they_are() {
        let conflict = ConflictId { opened_seq: Seq(4), index: 2 };
        let rejected = Outcome::Rejected(Rejection { refusal: Refusal::Abandoned, mutation_index: None });
        let held = Outcome::Held { missing: WaitOn::Record("r".into()), expected_counter: Counter(2) };
        let unknown =
            Outcome::NotSettled { refusal: None, mutation_index: None, expected_counter: Counter::NONE };
        let again = |receipt| Receipt { duplicate: true, ..receipt };
        let receipts = [
            receipt(settled(false, vec![])),
            again(receipt(settled(false, vec![]))),
            receipt(settled(true, vec![])),
            receipt(settled(true, vec![conflict])),
            again(receipt(rejected.clone())),
            receipt(rejected),
            again(receipt(held)),
            receipt(unknown),
        ];
        let counts = pb::OutcomeCounts {
            applied_count: 2,
            merged_count: 1,
            conflicted_count: 1,
            held_count: 1,
            rejected_count: 2,
            not_settled_count: 1,
            duplicate_count: 2,
        };
        assert_eq!(outcome_counts_to_pb(&receipts.map(|receipt| receipt_to_pb(&receipt))), counts);
    }
}
