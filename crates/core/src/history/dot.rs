//! Dots in eight bytes each, since a history of millions of operations holds several for each operation.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::causality::Counter;
use crate::ids::{Dot, ReplicaId};

/// A dot by its replica's index in a [`Replicas`]. A counter beyond `u32::MAX` is kept as `u32::MAX`: no observer gets
/// there, and a server that reports one is found to report a dot that nobody submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShortDot {
    /// The index of its replica in [`Replicas`].
    pub replica: u32,
    /// Its number among the operations of that replica.
    pub counter: u32,
}

/// The replicas of a history, each with the index that its dots carry.
#[derive(Debug, Clone, Default)]
pub struct Replicas {
    ids: Vec<ReplicaId>,
    index_of: HashMap<ReplicaId, u32>,
}

impl Replicas {
    /// A replica's index; a new replica gets the next one.
    pub fn index(&mut self, id: ReplicaId) -> u32 {
        let next = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        let index = *self.index_of.entry(id).or_insert(next);
        if index == next {
            self.ids.push(id);
        }
        index
    }

    /// A dot in its short form.
    pub fn short(&mut self, dot: Dot) -> ShortDot {
        let counter = u32::try_from(dot.counter.0).unwrap_or(u32::MAX);
        ShortDot { replica: self.index(dot.replica), counter }
    }

    /// A dot in its full form; of the nil replica if the index is not in this list.
    pub fn full(&self, dot: ShortDot) -> Dot {
        let replica = self.ids.get(dot.replica as usize).copied().unwrap_or_default();
        Dot { replica, counter: Counter(dot.counter.into()) }
    }

    /// The ids, by index.
    pub fn ids(&self) -> &[ReplicaId] {
        &self.ids
    }

    /// Adds the replicas of another list; the result gives the index here for each index there.
    pub fn absorb(&mut self, other: &Replicas) -> Vec<u32> {
        other.ids.iter().map(|id| self.index(*id)).collect()
    }
}

/// Renames the replica of a dot after [`Replicas::absorb`].
pub(super) fn rename(dot: &mut ShortDot, names: &[u32]) {
    if let Some(name) = names.get(dot.replica as usize) {
        dot.replica = *name;
    }
}
