//! Exact concurrency from a compact causal context.
//!
//! One sequencer per workspace lets a version vector collapse to `(epoch, base_seq, extras)`: everything
//! up to `base_seq`, plus the listed dots (each standing for its replica's whole chain up to that counter),
//! plus the author's own earlier operations. Since the server settles an operation only after everything
//! in its context, `w` happened before the incoming `o` exactly when [`Author::knows`] says so; otherwise
//! the two are concurrent. The cost does not depend on how many replicas the workspace ever saw.

use crate::fault;

/// Position in a workspace's order: 1, 2, 3, … without gaps. 0 stands for "before everything".
pub type Seq = u64;
/// Short number the server gives a replica with its first settled operation.
pub type ReplicaNo = u32;
/// A replica's own operation number, contiguous from 1.
pub type Counter = u64;

/// The server's own replica, under which it writes for callers that have no replica of their own
/// (request ids, reminders). Many independent authors share it, so it implies no program order.
pub const SERVER_REPLICA_NO: ReplicaNo = 0;

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
    /// Operations of the server's replica that this author made itself and knew beyond its base, by their counters:
    /// these very ones, never their chain, since independent authors share that replica.
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

    fn knows_beyond_base(&self, w: &Stamp) -> bool {
        let own_chain = self.replica_no == w.replica_no
            && self.replica_no != SERVER_REPLICA_NO
            && w.counter < self.counter
            && !fault!(ForgetOwnChain);
        let listed = self.extras.iter().any(|e| e.replica_no == w.replica_no && e.counter >= w.counter)
            && !fault!(IgnoreExtras);
        own_chain || listed || self.made_request(w)
    }

    /// Whether the settled operation is one that this author made by request id and names.
    fn made_request(&self, w: &Stamp) -> bool {
        if w.replica_no != SERVER_REPLICA_NO || self.own_requests.is_empty() {
            return false;
        }
        if fault!(RequestsAsChain) {
            return self.own_requests.iter().any(|counter| *counter >= w.counter);
        }
        self.own_requests.contains(&w.counter)
    }
}
