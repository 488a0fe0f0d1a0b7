//! Entries come after everything in their contexts, and contexts and contents are those their authors gave.

use super::facts::Facts;
use crate::hash::{Hash, operation_hash};
use crate::history::dot::ShortDot;
use crate::history::feed::LogEntry;
use crate::history::gather::History;
use crate::history::record::{Intent, NEVER, Outcome, Recorder};
use crate::history::report::Report;
use crate::history::violation::Violation;

/// How many rejected operations in a row are skipped between an extra and the newest settled operation before it.
const REJECTED_IN_A_ROW_COUNT: usize = 64;

pub(super) fn check(history: &History, facts: &Facts<'_>, report: &mut Report) {
    for entry in &history.log.entries {
        if entry.base_seq >= entry.seq {
            let (dot, seq, base_seq) = (facts.full(entry.dot), entry.seq, entry.base_seq);
            report.add(Violation::BaseNotBefore { dot, seq, base_seq });
        }
        for extra in history.log.extras_of(entry) {
            knows(entry, *extra, facts, report);
        }
    }
    for client in &history.clients {
        for intent in &client.intents {
            made(history, client, intent, facts, report);
        }
    }
}

/// An extra stands for its replica's operations up to its counter.
fn knows(entry: &LogEntry, extra: ShortDot, facts: &Facts<'_>, report: &mut Report) {
    let (dot, seq) = (facts.full(entry.dot), entry.seq);
    let mut needed = extra;
    for _ in 0..REJECTED_IN_A_ROW_COUNT {
        if needed.counter == 0 {
            return;
        }
        if let Some(cause) = facts.entry_of(needed) {
            let needs = facts.full(needed);
            if cause.seq >= seq {
                report.add(Violation::EffectBeforeCause { dot, seq, needs, needs_seq: cause.seq });
            } else if cause.base_seq > entry.base_seq && !facts.is_server(needed) {
                let (base_seq, extra_base) = (entry.base_seq, cause.base_seq);
                report.add(Violation::ExtraKnewMore { dot, seq, base_seq, extra: needs, extra_base });
            }
            return;
        }
        if !facts.may_be_rejected(needed) {
            report.add(Violation::EffectWithoutCause { dot, seq, needs: facts.full(needed) });
            return;
        }
        needed.counter -= 1;
    }
}

/// Compares what the author said with the entry.
fn made(history: &History, client: &Recorder, intent: &Intent, facts: &Facts<'_>, report: &mut Report) {
    let (Some(fact), Some(entry)) = (facts.fact(intent.dot), facts.entry_of(intent.dot)) else { return };
    let (dot, seq) = (facts.full(intent.dot), entry.seq);
    let (extras, depends_on) = client.named_by(intent);
    if let Some(epoch) = client.epochs.get(usize::from(intent.epoch))
        && *epoch != history.log.epoch
        && !fact.earlier
    {
        report.add(Violation::ForeignEpoch { dot, seq, epoch: *epoch });
    }
    let salted = |hash: Hash| operation_hash(&entry.hash_salt, &hash);
    if intent.content_hash.is_some_and(|hash| salted(hash) != entry.operation_hash) {
        report.add(Violation::ContentChanged { dot, seq });
    }
    if let Some(base) = intent.base_seq {
        if base != entry.base_seq || extras != history.log.extras_of(entry) {
            let logged = entry.base_seq;
            report.add(Violation::ContextChanged { dot, seq, made: base, logged });
        }
        if let Some((later, sent_at)) = facts.sent_later(base, fact.first_sent)
            && fact.first_sent != NEVER
        {
            let (at, later_dot) = (fact.first_sent, facts.full(later.dot));
            let seq = later.seq;
            report.add(Violation::KnewBeforeSent { dot, at, base_seq: base, later: later_dot, seq, sent_at });
        }
    }
    for needed in depends_on {
        depends(entry, *needed, facts, report);
    }
}

fn depends(entry: &LogEntry, needed: ShortDot, facts: &Facts<'_>, report: &mut Report) {
    let (dot, seq, needs) = (facts.full(entry.dot), entry.seq, facts.full(needed));
    match facts.entry_of(needed) {
        Some(cause) if cause.seq < seq => {}
        Some(cause) => report.add(Violation::EffectBeforeCause { dot, seq, needs, needs_seq: cause.seq }),
        None if facts.fact(needed).is_some_and(|f| f.outcome == Some(Outcome::Rejected)) => {
            report.add(Violation::DependsOnRejected { dot, seq, needs });
        }
        None if facts.is_other(needed) => {}
        None => report.add(Violation::EffectWithoutCause { dot, seq, needs }),
    }
}
