//! What a check found, for programs and for people.

use std::collections::HashMap;
use std::fmt;
use std::mem::{Discriminant, discriminant};

use super::violation::Violation;

/// Violations kept of each kind; the others are counted.
pub const KEPT_PER_KIND_COUNT: usize = 10;

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries of the log.
    pub log_entries: u64,
    /// Operations that clients made or that the log has.
    pub operations: u64,
    /// Operations sent, each time counted.
    pub submissions: u64,
    /// Answers to them.
    pub answers: u64,
    /// Readers of feeds.
    pub feeds: u64,
    /// Streams that those readers opened.
    pub sessions: u64,
    /// Frames that came on them.
    pub frames: u64,
    /// Changes in those frames.
    pub delivered: u64,
}

/// All violations of one kind.
#[derive(Debug, Clone)]
pub struct Found {
    /// How many there are.
    pub total: u64,
    /// The first of them.
    pub first: Vec<Violation>,
}

/// The result of a check.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How much was looked at.
    pub counts: Counts,
    found: Vec<Found>,
    index_of: HashMap<Discriminant<Violation>, usize>,
}

impl Report {
    pub(super) fn new(counts: Counts) -> Report {
        Report { counts, ..Report::default() }
    }

    /// Whether nothing is wrong.
    pub fn is_content(&self) -> bool {
        self.found.is_empty()
    }

    /// What is wrong, by kind, in the order of discovery.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// How many violations of a kind there are, by the kind's name.
    pub fn total(&self, name: &str) -> u64 {
        self.found.iter().filter(|f| f.first.iter().any(|v| v.name() == name)).map(|f| f.total).sum()
    }

    pub(super) fn add(&mut self, violation: Violation) {
        let next = self.found.len();
        let index = *self.index_of.entry(discriminant(&violation)).or_insert(next);
        if index == next {
            self.found.push(Found { total: 0, first: Vec::new() });
        }
        if let Some(found) = self.found.get_mut(index) {
            found.total += 1;
            if found.first.len() < KEPT_PER_KIND_COUNT {
                found.first.push(violation);
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.counts;
        writeln!(
            f,
            "history: {} positions, {} operations, {} submissions with {} answers, {} feeds with {} sessions, {} \
             frames and {} changes delivered",
            c.log_entries, c.operations, c.submissions, c.answers, c.feeds, c.sessions, c.frames, c.delivered
        )?;
        if self.is_content() {
            return write!(f, "history: no violation");
        }
        for found in &self.found {
            let name = found.first.first().map(Violation::name).unwrap_or_default();
            writeln!(f, "{name}: {} times", found.total)?;
            for violation in &found.first {
                writeln!(f, "  {violation}")?;
            }
            if found.total > found.first.len() as u64 {
                writeln!(f, "  …")?;
            }
        }
        Ok(())
    }
}
