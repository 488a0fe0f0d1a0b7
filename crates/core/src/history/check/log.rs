//! Checks the log by itself: its positions and chain, and that each operation is there once and was submitted.

use super::facts::Facts;
use crate::causality::Seq;
use crate::hash::{CHAIN_START, chain};
use crate::history::gather::History;
use crate::history::record::NEVER;
use crate::history::report::Report;
use crate::history::violation::Violation;

pub(super) fn check(history: &History, facts: &Facts<'_>, report: &mut Report) {
    let mut before = 0;
    let mut running = CHAIN_START;
    let mut seen = vec![false; facts.slots()];
    for entry in &history.log.entries {
        let (seq, expected) = (entry.seq, before + 1);
        if seq > expected {
            report.add(Violation::PositionMissing { expected: Seq(expected), found: seq });
        } else if seq < expected {
            report.add(Violation::PositionRepeated { expected: Seq(expected), found: seq });
        }
        running = chain(&running, &entry.operation_hash);
        if running != entry.chain {
            report.add(Violation::ChainBroken { seq, before: Seq(before), dot: facts.full(entry.dot) });
            // Goes on from the chain that the log has, so that one fault is one violation.
            running = entry.chain;
        }
        before = seq.0;
        let (Some(slot), Some(fact)) = (facts.slot(entry.dot), facts.fact(entry.dot)) else { continue };
        if std::mem::replace(&mut seen[slot], true) {
            report.add(Violation::DotTwice { dot: facts.full(entry.dot), first: fact.seq, second: seq });
        }
        if fact.first_sent == NEVER && !facts.is_other(entry.dot) {
            report.add(Violation::NobodySubmitted { dot: facts.full(entry.dot), seq });
        }
    }
    if history.log.head_seq != before {
        report.add(Violation::HeadElsewhere { head: history.log.head_seq, last: Seq(before) });
    } else if history.log.head_chain.is_some_and(|c| c != running) {
        report.add(Violation::HeadChainOther { seq: Seq(before) });
    }
}
