//! What a lane counts.

use std::sync::Arc;

use crate::store::StoreError;
use crate::telemetry;
use syncline_core::change::{Change, EffectKind};
use syncline_core::conflict::ConflictEventKind;
use syncline_core::ids::WorkspaceNo;
use syncline_core::operation::{Outcome, Receipt};

use super::job::Job;

/// Counts what committed changes did to conflicts.
pub(super) fn count_conflicts(published: &[(WorkspaceNo, Vec<Arc<Change>>)]) {
    for effect in published.iter().flat_map(|(_, changes)| changes).flat_map(|change| &change.effects) {
        let EffectKind::Conflict { event, summary } = &effect.kind else { continue };
        match (event, summary.closing) {
            (ConflictEventKind::Opened, _) => {
                metrics::counter!(telemetry::CONFLICTS_OPENED_TOTAL, "kind" => summary.kind.name())
                    .increment(1);
            }
            (ConflictEventKind::Closed, Some(closing)) => {
                let reason = closing.reason.name();
                metrics::counter!(telemetry::CONFLICTS_CLOSED_TOTAL, "reason" => reason).increment(1);
            }
            _ => {}
        }
    }
}

/// Counts what a committed job came to.
pub(super) fn count_settled(job: &Job) {
    let count = |receipt: &Receipt| {
        metrics::counter!(telemetry::OPERATIONS_TOTAL, "outcome" => outcome_name(receipt)).increment(1);
    };
    match job {
        Job::Submit { reply, .. } => {
            reply.settled().into_iter().flat_map(|(receipts, _)| receipts).for_each(count);
        }
        Job::Decide { reply, .. } => reply.settled().into_iter().for_each(count),
        Job::Remind { reply, .. } => {
            let fired = reply.settled().map_or(0, |fired| *fired);
            metrics::counter!(telemetry::REMINDERS_FIRED_TOTAL).increment(fired as u64);
        }
        _ => {}
    }
}

/// The kind of a failure, as a label.
pub(super) fn kind_of(error: &StoreError) -> &'static str {
    match error {
        StoreError::Database(_) => "database",
        StoreError::Contended(_) => "contended",
        StoreError::WorkspaceExists(_) => "workspace_exists",
        StoreError::CommitUnknown(_) => "commit_unknown",
        StoreError::Inconsistent(_) => "inconsistent",
        StoreError::DiskFull => "disk_full",
        StoreError::Refused(_) => "refused",
        StoreError::Unusable(_) => "unusable",
    }
}

/// What a receipt says, as a label.
fn outcome_name(receipt: &Receipt) -> &'static str {
    match &receipt.outcome {
        _ if receipt.duplicate => "duplicate",
        Outcome::Accepted { settlement, .. } if !settlement.conflicts.is_empty() => "conflicted",
        Outcome::Accepted { settlement, .. } if settlement.merged => "merged",
        Outcome::Accepted { .. } => "applied",
        Outcome::Rejected(_) => "rejected",
        Outcome::Held { .. } => "held",
        Outcome::NotSettled { .. } => "not_settled",
    }
}
