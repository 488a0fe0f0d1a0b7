//! What the passes share: where each operation is, when it was first sent, what was first told about it.

use std::collections::HashMap;

use super::table::DotTable;
use crate::causality::Seq;
use crate::history::dot::ShortDot;
use crate::history::feed::LogEntry;
use crate::history::gather::History;
use crate::history::record::{NEVER, Outcome, Time};
use crate::ids::Dot;

/// One operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fact {
    /// Its position; 0 for none.
    pub seq: Seq,
    pub first_sent: Time,
    /// When an answer first said that it had settled.
    pub final_at: Time,
    /// The first final outcome among the answers.
    pub outcome: Option<Outcome>,
    pub made: bool,
    /// Made in an epoch before the log's: its answers may belong to a history that was given up.
    pub earlier: bool,
}

/// Facts for every operation and every position.
pub(super) struct Facts<'h> {
    history: &'h History,
    table: DotTable,
    facts: Vec<Fact>,
    /// For each entry: among the entries up to it, the index of the one with the latest time of first sending.
    latest: Vec<u32>,
    /// Index of each position; kept only if the positions are not 1 to the head.
    index_of: Option<HashMap<Seq, usize>>,
    /// By replica index: whether the replica is not observed.
    others: Vec<bool>,
}

impl<'h> Facts<'h> {
    pub(super) fn of(history: &'h History) -> Facts<'h> {
        let table = DotTable::of(history);
        let blank = Fact {
            seq: Seq::START,
            first_sent: NEVER,
            final_at: NEVER,
            outcome: None,
            made: false,
            earlier: false,
        };
        let ids = history.replicas.ids();
        let mut facts = Facts {
            history,
            facts: vec![blank; table.len()],
            table,
            latest: Vec::with_capacity(history.log.entries.len()),
            index_of: None,
            others: ids.iter().map(|id| history.expectations.others.contains(id)).collect(),
        };
        facts.take_clients();
        facts.take_log();
        facts
    }

    fn take_clients(&mut self) {
        for client in &self.history.clients {
            for intent in &client.intents {
                let epoch = client.epochs.get(usize::from(intent.epoch));
                let earlier = epoch.is_some_and(|e| self.history.expectations.earlier_epochs.contains(e));
                if let Some(fact) = self.fact_mut(intent.dot) {
                    fact.made = true;
                    fact.earlier |= earlier;
                }
            }
            for submission in &client.submissions {
                let Some(fact) = self.fact_mut(submission.dot) else { continue };
                fact.first_sent = fact.first_sent.min(submission.sent_at);
                let Some(answer) = submission.answer().filter(|a| a.outcome.is_final()) else { continue };
                if submission.answered_at < fact.final_at {
                    fact.final_at = submission.answered_at;
                    fact.outcome = Some(answer.outcome);
                }
            }
        }
    }

    fn take_log(&mut self) {
        let entries = &self.history.log.entries;
        let in_order = entries.iter().zip(1..).all(|(entry, seq)| entry.seq == seq);
        if !in_order {
            self.index_of = Some(entries.iter().enumerate().map(|(index, e)| (e.seq, index)).collect());
        }
        let (mut latest, mut latest_sent) = (0, 0);
        for (index, entry) in entries.iter().enumerate() {
            if let Some(fact) = self.fact_mut(entry.dot) {
                if fact.seq == 0 {
                    fact.seq = entry.seq;
                }
                // An operation that nobody submitted is another violation; one of an unobserved replica was sent at an
                // unknown time.
                let sent = if fact.first_sent == NEVER { 0 } else { fact.first_sent };
                if sent > latest_sent {
                    (latest, latest_sent) = (u32::try_from(index).unwrap_or(u32::MAX), sent);
                }
            }
            self.latest.push(latest);
        }
    }

    fn fact_mut(&mut self, dot: ShortDot) -> Option<&mut Fact> {
        let slot = self.table.slot(dot)?;
        self.facts.get_mut(slot)
    }

    /// An operation's slot, for a pass that keeps data of its own about each operation.
    pub(super) fn slot(&self, dot: ShortDot) -> Option<usize> {
        self.table.slot(dot)
    }

    pub(super) fn slots(&self) -> usize {
        self.facts.len()
    }

    pub(super) fn fact(&self, dot: ShortDot) -> Option<&Fact> {
        self.facts.get(self.table.slot(dot)?)
    }

    /// The operation's entry in the log.
    pub(super) fn entry_of(&self, dot: ShortDot) -> Option<&'h LogEntry> {
        self.entry(self.fact(dot)?.seq)
    }

    /// The entry at a position.
    pub(super) fn entry(&self, seq: Seq) -> Option<&'h LogEntry> {
        self.history.log.entries.get(self.index(seq)?)
    }

    fn index(&self, seq: Seq) -> Option<usize> {
        match &self.index_of {
            None => usize::try_from(seq.0.checked_sub(1)?).ok(),
            Some(index_of) => index_of.get(&seq).copied(),
        }
    }

    /// The last position of the log.
    pub(super) fn last(&self) -> Seq {
        self.history.log.entries.last().map_or(Seq::START, |e| e.seq)
    }

    /// Of the entries up to `seq`, the one with the latest time of first sending, and that time, if it is after `at`.
    /// Whoever said at `at` that the position `seq` exists is then wrong.
    pub(super) fn sent_later(&self, seq: Seq, at: Time) -> Option<(&'h LogEntry, Time)> {
        let latest = *self.latest.get(self.index(seq)?)?;
        let entry = self.history.log.entries.get(latest as usize)?;
        let sent = self.fact(entry.dot)?.first_sent;
        (sent != NEVER && sent > at).then_some((entry, sent))
    }

    /// Whether this replica is not among those that are observed.
    pub(super) fn is_other(&self, dot: ShortDot) -> bool {
        self.others.get(dot.replica as usize).copied().unwrap_or(false)
    }

    /// Whether an operation that is not in the log may have been rejected: an answer said so, or it was submitted and
    /// no final answer came, or its author is not observed.
    pub(super) fn may_be_rejected(&self, dot: ShortDot) -> bool {
        let submitted = |fact: &Fact| fact.first_sent != NEVER && fact.outcome.is_none();
        let told = |fact: &Fact| fact.outcome == Some(Outcome::Rejected) || fact.earlier;
        self.is_other(dot) || self.fact(dot).is_some_and(|fact| told(fact) || submitted(fact))
    }

    /// Whether the replica is the server's own, under which unrelated callers write.
    pub(super) fn is_server(&self, dot: ShortDot) -> bool {
        self.full(dot).replica.is_server()
    }

    pub(super) fn full(&self, dot: ShortDot) -> Dot {
        self.history.replicas.full(dot)
    }
}
