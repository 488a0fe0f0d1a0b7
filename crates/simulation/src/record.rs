//! What happened in a run: a trace whose hash tells two runs apart, and what the judges need at the end.

use std::collections::BTreeMap;
use std::fmt;

/// An operation: the client's number, and its counter.
pub(super) type Dot = (usize, u64);

/// A final outcome as a receipt told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Settled { seq: u64 },
    Rejected { reason: String },
}

/// What is known of an operation from outside of the servers.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent {
    pub outcome: Option<Outcome>,
    /// Whether a rejection is the only right outcome.
    pub invalid: bool,
    /// Whether its counter was given up, and nothing was ever sent under it.
    pub lost: bool,
    /// What it adds to counters, and which unique pieces it writes: (record, field, piece).
    pub increments: Vec<(String, i64)>,
    pub pieces: Vec<(String, String)>,
    pub elements: Vec<(String, String)>,
    pub removes: Vec<(String, String)>,
}

/// A read: what it showed of a record at its position.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub by: usize,
    pub seq: u64,
    pub record_id: String,
    pub shown: String,
}

/// What happened.
pub(super) struct Record {
    hash: u64,
    prints: bool,
    pub sent: BTreeMap<Dot, Sent>,
    /// What somebody's fold came to at a position, and who was the first to get there.
    pub states: BTreeMap<u64, (usize, String)>,
    pub reads: Vec<Read>,
    /// What somebody had of a choice of collections at a position: client, position, choice, picture.
    pub views: Vec<(usize, u64, usize, String)>,
    /// The first thing that was wrong.
    pub violation: Option<String>,
    pub counts: BTreeMap<&'static str, u64>,
}

impl Record {
    pub(super) fn new(prints: bool) -> Record {
        Record {
            hash: 0xcbf2_9ce4_8422_2325,
            prints,
            sent: BTreeMap::new(),
            states: BTreeMap::new(),
            reads: Vec::new(),
            views: Vec::new(),
            violation: None,
            counts: BTreeMap::new(),
        }
    }

    /// Takes note of an event.
    pub(super) fn note(&mut self, at_ms: u64, who: &str, what: fmt::Arguments<'_>) {
        let line = format!("{at_ms:>6} {who:<8} {what}");
        for byte in line.bytes() {
            // FNV-1a.
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.prints {
            println!("{line}");
        }
    }

    /// Something that must not happen.
    pub(super) fn wrong(&mut self, at_ms: u64, who: &str, what: String) {
        self.note(at_ms, who, format_args!("WRONG: {what}"));
        self.violation.get_or_insert_with(|| format!("{who} at {at_ms} ms: {what}"));
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// The hash of all that was noted.
    pub(super) fn trace(&self) -> u64 {
        self.hash
    }

    /// A client's state at a position: equal to everybody else's there.
    pub(super) fn state(&mut self, client: usize, seq: u64, picture: String) -> Result<(), String> {
        match self.states.get(&seq) {
            None => drop(self.states.insert(seq, (client, picture))),
            Some((other, theirs)) if *theirs != picture => {
                return Err(format!(
                    "the state at {seq} differs from client {other}'s:\n{picture}\n{theirs}"
                ));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The final outcome of an operation: the first one stands.
    pub(super) fn answered(&mut self, dot: Dot, outcome: Outcome) -> Result<(), String> {
        let sent = self.sent.entry(dot).or_default();
        match &sent.outcome {
            None => sent.outcome = Some(outcome),
            Some(first) if *first != outcome => {
                return Err(format!("{dot:?} was {first:?} and is {outcome:?}"));
            }
            Some(_) => {}
        }
        Ok(())
    }
}
