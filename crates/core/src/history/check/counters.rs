//! Per replica: counters settle in order and without gaps (rejected ones count), bases never decrease.

use super::facts::Facts;
use crate::causality::Seq;
use crate::history::dot::ShortDot;
use crate::history::feed::LogEntry;
use crate::history::gather::History;
use crate::history::report::Report;
use crate::history::violation::Violation;

#[derive(Clone, Copy, Default)]
struct Last {
    counter: u32,
    seq: Seq,
    base_seq: Seq,
}

pub(super) fn check(history: &History, facts: &Facts<'_>, report: &mut Report) {
    let mut last_of = vec![Last::default(); history.replicas.ids().len()];
    for entry in &history.log.entries {
        let Some(last) = last_of.get_mut(entry.dot.replica as usize) else { continue };
        counter(entry, *last, facts, report);
        // The server's own replica stands for callers that do not know each other.
        if entry.base_seq < last.base_seq && !facts.is_server(entry.dot) {
            report.add(Violation::BaseStepsBack {
                dot: facts.full(entry.dot),
                seq: entry.seq,
                base_seq: entry.base_seq,
                before: last.seq,
                base_before: last.base_seq,
            });
        }
        let counter = last.counter.max(entry.dot.counter);
        *last = Last { counter, seq: entry.seq, base_seq: entry.base_seq };
    }
}

fn counter(entry: &LogEntry, last: Last, facts: &Facts<'_>, report: &mut Report) {
    let dot = entry.dot;
    if dot.counter <= last.counter {
        let after = ShortDot { counter: last.counter, ..dot };
        let (dot, after) = (facts.full(dot), facts.full(after));
        report.add(Violation::CounterOutOfOrder { dot, seq: entry.seq, after });
        return;
    }
    let mut between = (last.counter + 1..dot.counter).map(|counter| ShortDot { counter, ..dot });
    // An operation whose entry comes later is reported there as out of order.
    let known = |dot: &ShortDot| facts.may_be_rejected(*dot) || facts.entry_of(*dot).is_some();
    if let Some(missing) = between.find(|dot| !known(dot)) {
        let (dot, missing) = (facts.full(dot), facts.full(missing));
        report.add(Violation::CounterGap { dot, seq: entry.seq, missing });
    }
}
