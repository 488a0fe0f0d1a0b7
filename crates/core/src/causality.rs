//! Exact concurrency from a compact causal context.
//!
//! One sequencer per workspace lets a version vector collapse to `(epoch, base_seq, extras)`: everything
//! up to `base_seq`, plus the listed dots (each standing for its replica's whole chain up to that counter),
//! plus the author's own earlier operations. Since the server settles an operation only after everything
//! in its context, `w` happened before the incoming `o` exactly when [`Author::knows`] says so; otherwise
//! the two are concurrent. The cost does not depend on how many replicas the workspace ever saw.

use std::cmp::Ordering;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::fault;
use crate::newtype::shown_as_wrapped;

/// Position in a workspace's order: 1, 2, 3, … without gaps. 0 stands for "before everything".
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);
/// Short number the server gives a replica with its first settled operation.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaNo(pub u32);
/// A replica's own operation number, contiguous from 1.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counter(pub u64);

impl Stamp {
    /// Stands for no operation: that of what was there before anybody wrote.
    pub const NONE: Stamp = Stamp { seq: Seq::START, replica_no: ReplicaNo(0), counter: Counter::NONE };
}

impl ReplicaNo {
    /// The server's own replica, under which it writes for callers that have no replica of their own
    /// (request ids, reminders). Many independent authors share it, so it implies no program order.
    pub const SERVER: ReplicaNo = ReplicaNo(0);
}

impl Counter {
    /// Stands for no operation: before a replica's first, and for callers without a replica.
    pub const NONE: Counter = Counter(0);
    /// The first operation's.
    pub const FIRST: Counter = Counter(1);

    /// That of the next operation.
    pub fn next(self) -> Counter {
        Counter(self.0.saturating_add(1))
    }

    /// That of the operation before, or none.
    pub fn previous(self) -> Counter {
        Counter(self.0.saturating_sub(1))
    }
}

impl Seq {
    /// Before everything.
    pub const START: Seq = Seq(0);

    /// The position after this one.
    pub fn next(self) -> Seq {
        Seq(self.0.saturating_add(1))
    }

    /// The position `count` before this one, or the start.
    pub fn saturating_sub(self, count: u64) -> Seq {
        Seq(self.0.saturating_sub(count))
    }

    /// The position `count` before this one, if there is one; the start counts as one.
    pub fn checked_sub(self, count: u64) -> Option<Seq> {
        self.0.checked_sub(count).map(Seq)
    }

    /// The position `count` after this one, or the greatest possible one.
    pub fn saturating_add(self, count: u64) -> Seq {
        Seq(self.0.saturating_add(count))
    }

    /// How many positions this one is after `earlier`; 0 if it is not after it.
    pub fn since(self, earlier: Seq) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

// Positions also come from callers, so that nothing here overflows: what would be beyond the last one is the last one.

impl Add<u64> for Seq {
    type Output = Seq;

    fn add(self, count: u64) -> Seq {
        Seq(self.0.saturating_add(count))
    }
}

impl AddAssign<u64> for Seq {
    fn add_assign(&mut self, count: u64) {
        self.0 = self.0.saturating_add(count);
    }
}

impl Sub<u64> for Seq {
    type Output = Seq;

    fn sub(self, count: u64) -> Seq {
        Seq(self.0.saturating_sub(count))
    }
}

impl Sub<Seq> for Seq {
    type Output = u64;

    fn sub(self, earlier: Seq) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl SubAssign<u64> for Seq {
    fn sub_assign(&mut self, count: u64) {
        self.0 = self.0.saturating_sub(count);
    }
}

impl PartialEq<u64> for Seq {
    fn eq(&self, number: &u64) -> bool {
        self.0 == *number
    }
}

impl PartialEq<Seq> for u64 {
    fn eq(&self, seq: &Seq) -> bool {
        *self == seq.0
    }
}

impl PartialOrd<u64> for Seq {
    fn partial_cmp(&self, number: &u64) -> Option<Ordering> {
        self.0.partial_cmp(number)
    }
}

impl FromStr for Seq {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Seq, Self::Err> {
        text.parse().map(Seq)
    }
}

impl From<u64> for Seq {
    fn from(number: u64) -> Seq {
        Seq(number)
    }
}

shown_as_wrapped!(Seq, ReplicaNo, Counter);

/// An operation that has its place in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Its position.
    pub seq: Seq,
    /// The replica that made it.
    pub replica_no: ReplicaNo,
    /// Its number among the operations of that replica.
    pub counter: Counter,
}

/// A dot its author knew although it was not yet sequenced from the author's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Extra {
    /// The replica that made it.
    pub replica_no: ReplicaNo,
    /// Its number; all earlier operations of that replica are known with it.
    pub counter: Counter,
}

/// Who wrote an operation, and what they knew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The replica that made the operation.
    pub replica_no: ReplicaNo,
    /// The operation's number among those of its replica.
    pub counter: Counter,
    /// The author knew every operation up to and including this position.
    pub base_seq: Seq,
    /// What the author knew beyond the base, at most one entry for each replica.
    pub extras: Vec<Extra>,
    /// Operations of the server's replica that this author made itself and knew beyond its base, by their counters.
    /// Each stands for itself only, not for those before it, since independent authors share that replica.
    pub own_requests: Vec<Counter>,
}

impl Author {
    /// Whether the settled operation `w` happened before this one. Not knowing it means concurrent:
    /// the reverse order is impossible, because `w` was settled first.
    pub fn knows(&self, w: &Stamp) -> bool {
        w.seq <= self.base_seq || self.knows_beyond_base(w)
    }

    /// As [`Author::knows`] for a value that was read earlier than the rest: `observed_seq` replaces
    /// the base, while the author's own chain and extras stay known.
    pub fn knows_since(&self, observed_seq: Seq, w: &Stamp) -> bool {
        w.seq <= observed_seq.min(self.base_seq) || self.knows_beyond_base(w)
    }

    /// The knowledge that this author has after its operation: what it knew before, and the operation itself.
    pub fn after(&self) -> Author {
        let mut after = self.clone();
        if self.replica_no == ReplicaNo::SERVER {
            after.own_requests.push(self.counter);
        } else {
            after.counter = self.counter.next();
        }
        after
    }

    fn knows_beyond_base(&self, w: &Stamp) -> bool {
        let own_chain = self.replica_no == w.replica_no
            && self.replica_no != ReplicaNo::SERVER
            && w.counter < self.counter
            && !fault!(ForgetOwnChain);
        let listed = self.extras.iter().any(|e| e.replica_no == w.replica_no && e.counter >= w.counter)
            && !fault!(IgnoreExtras);
        own_chain || listed || self.made_request(w)
    }

    /// Whether the settled operation is one that this author made by request id and names.
    fn made_request(&self, w: &Stamp) -> bool {
        if w.replica_no != ReplicaNo::SERVER || self.own_requests.is_empty() {
            return false;
        }
        if fault!(RequestsAsChain) {
            return self.own_requests.iter().any(|counter| *counter >= w.counter);
        }
        self.own_requests.contains(&w.counter)
    }
}
