//! Snapshots belong to the log, and states at equal positions are equal.

use std::collections::HashMap;

use super::facts::Facts;
use crate::causality::Seq;
use crate::hash::CHAIN_START;
use crate::history::gather::History;
use crate::history::record::State;
use crate::history::report::Report;
use crate::history::violation::Violation;

pub(super) fn check(history: &History, facts: &Facts<'_>, report: &mut Report) {
    for snapshot in history.clients.iter().flat_map(|c| &c.snapshots) {
        let (seq, chain) = (snapshot.seq, snapshot.chain);
        if snapshot.epoch != history.log.epoch {
            if !history.expectations.earlier_epochs.contains(&snapshot.epoch) {
                report.add(Violation::SnapshotElsewhere { seq, head: facts.last(), chain });
            }
            continue;
        }
        let there = if seq == 0 { Some(CHAIN_START) } else { facts.entry(seq).map(|e| e.chain) };
        if there.is_none_or(|there| chain.is_some_and(|told| told != there)) {
            report.add(Violation::SnapshotElsewhere { seq, head: facts.last(), chain });
        }
        if let Some((later, sent_at)) = facts.sent_later(seq, snapshot.at) {
            report.add(Violation::DeliveredBeforeSent {
                feed: "a snapshot".to_owned(),
                position: seq,
                at: snapshot.at,
                dot: facts.full(later.dot),
                seq: later.seq,
                sent_at,
            });
        }
    }
    let mut state_at: HashMap<Seq, &State> = HashMap::new();
    for state in history.clients.iter().flat_map(|c| &c.states) {
        let first = *state_at.entry(state.seq).or_insert(state);
        if first.digest != state.digest {
            let (first, second) = (first.client.clone(), state.client.clone());
            report.add(Violation::StatesDiffer { first, second, seq: state.seq });
        }
    }
}
