//! Checks the answers: each operation has one outcome, the log's; positions follow real time; nothing acknowledged is
//! lost.

use super::facts::{Fact, Facts};
use crate::causality::Seq;
use crate::history::gather::History;
use crate::history::record::{NEVER, Outcome, Submission};
use crate::history::report::Report;
use crate::history::violation::Violation;

pub(super) fn check(history: &History, facts: &Facts<'_>, report: &mut Report) {
    let mut settled_first = vec![false; facts.slots()];
    let mut last: Vec<Option<Outcome>> = vec![None; facts.slots()];
    for submission in history.clients.iter().flat_map(|c| &c.submissions) {
        let (Some(slot), Some(fact)) = (facts.slot(submission.dot), facts.fact(submission.dot)) else {
            continue;
        };
        let Some(answer) = submission.answer() else { continue };
        let (dot, answered_at) = (facts.full(submission.dot), submission.answered_at);
        last[slot] = Some(answer.outcome);
        if answered_at < submission.sent_at {
            let sent_at = submission.sent_at;
            report.add(Violation::AnsweredBeforeSent { dot, sent_at, answered_at });
        }
        if fact.earlier {
            continue;
        }
        if answer.outcome.is_final() && !answer.repeated && std::mem::replace(&mut settled_first[slot], true)
        {
            report.add(Violation::SettledTwice { dot, answered_at });
        }
        outcome(submission, answer.outcome, fact, facts, report);
    }
    if !history.expectations.unanswered {
        unanswered(history, facts, &last, report);
    }
}

fn outcome(submission: &Submission, outcome: Outcome, fact: &Fact, facts: &Facts<'_>, report: &mut Report) {
    let dot = facts.full(submission.dot);
    if outcome.is_final()
        && let Some(first) = fact.outcome.filter(|first| *first != outcome)
    {
        report.add(Violation::OutcomeChanged { dot, first, second: outcome });
    }
    match outcome {
        Outcome::Settled(told) => {
            settled(submission, told, fact, facts, report);
        }
        Outcome::Rejected if fact.seq != 0 => report.add(Violation::RejectedInLog { dot, seq: fact.seq }),
        Outcome::Held | Outcome::Unknown if fact.final_at < submission.sent_at => {
            report.add(Violation::Forgotten { dot, sent_at: submission.sent_at, outcome });
        }
        Outcome::Rejected | Outcome::Held | Outcome::Unknown | Outcome::Refused => {}
    }
}

fn settled(submission: &Submission, told: Seq, fact: &Fact, facts: &Facts<'_>, report: &mut Report) {
    let dot = facts.full(submission.dot);
    if facts.entry(told).is_none_or(|e| e.dot != submission.dot) {
        if fact.seq == 0 {
            report.add(Violation::AcknowledgedLost { dot, told, head: facts.last() });
        } else {
            report.add(Violation::ReceiptElsewhere { dot, told, found: fact.seq });
        }
    }
    // An answer that came before its own operation was sent is another violation.
    if submission.answered_at >= submission.sent_at
        && let Some((later, sent_at)) = facts.sent_later(told, submission.answered_at)
    {
        report.add(Violation::RealTimeInverted {
            first: dot,
            first_seq: told,
            answered_at: submission.answered_at,
            later: facts.full(later.dot),
            later_seq: later.seq,
            sent_at,
        });
    }
}

/// Reports operations that were sent and have no outcome in the end, although their client is still there to ask.
fn unanswered(history: &History, facts: &Facts<'_>, last: &[Option<Outcome>], report: &mut Report) {
    let mut ended = vec![false; history.replicas.ids().len()];
    for index in history.clients.iter().flat_map(|c| &c.ended) {
        if let Some(ended) = ended.get_mut(*index as usize) {
            *ended = true;
        }
    }
    let mut told = vec![false; facts.slots()];
    for submission in history.clients.iter().flat_map(|c| &c.submissions) {
        let dot = submission.dot;
        let (Some(slot), Some(fact)) = (facts.slot(dot), facts.fact(dot)) else { continue };
        let gone = ended.get(dot.replica as usize).copied().unwrap_or(false);
        if fact.final_at == NEVER && !gone && !std::mem::replace(&mut told[slot], true) {
            report.add(Violation::WithoutOutcome { dot: facts.full(dot), last: last[slot] });
        }
    }
}
