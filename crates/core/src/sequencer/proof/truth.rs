//! What really happened: every operation with the explicit set of those its author knew. Nothing here uses the
//! compact context that is being tested.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::fold::Place;
use super::server::Shelf;
use crate::causality::{Counter, Seq};
use crate::change::Change;
use crate::ids::{Dot, ReplicaId};
use crate::operation::{Knowledge, Operation, RecordMutation};

/// An operation as its author made it.
#[derive(Debug)]
pub(super) struct Made {
    pub dot: Dot,
    pub operation: Operation,
    /// Every operation the author knew, itself not among them.
    pub known: BTreeSet<Dot>,
    /// The same as a full version vector.
    pub vector: BTreeMap<ReplicaId, Counter>,
    /// Those of the operations known that the same caller without a replica made.
    pub own_requests: BTreeSet<Dot>,
    /// The texts the author saw, of those it edited.
    pub seen_texts: BTreeMap<Place, String>,
}

impl Made {
    /// Base of the context; for "latest" there is none to tell.
    pub(super) fn base_seq(&self) -> Option<Seq> {
        match &self.operation.knowledge {
            Knowledge::Context(context) => Some(context.base_seq),
            Knowledge::Latest => None,
        }
    }

    /// Dots the author listed, each for its replica's chain.
    fn lists(&self, dot: &Dot) -> bool {
        let Knowledge::Context(context) = &self.operation.knowledge else { return false };
        context.extras.iter().any(|e| e.replica == dot.replica && e.counter >= dot.counter)
    }
}

/// All operations, and what became of them.
#[derive(Default)]
pub(super) struct Truth {
    pub made: BTreeMap<Dot, Rc<Made>>,
    pub rejected: BTreeSet<Dot>,
}

impl Truth {
    pub(super) fn add(&mut self, made: &Rc<Made>) {
        self.made.insert(made.dot, made.clone());
    }

    pub(super) fn of(&self, dot: &Dot) -> Result<&Made, String> {
        self.made.get(dot).map(|made| &**made).ok_or_else(|| format!("nobody made {dot}"))
    }

    /// Whether `o`'s author knew `w`; everybody knows its own operation.
    pub(super) fn knows(&self, o: &Change, w: &Change) -> Result<bool, String> {
        Ok(o.dot == w.dot || self.of(&o.dot)?.known.contains(&w.dot))
    }

    /// As [`Truth::knows`], where a mutation's value was read at an earlier position than its author's base: of the
    /// others' operations, only what was ordered by then or listed counts.
    pub(super) fn knows_for(
        &self,
        o: &Change,
        mutation: &RecordMutation,
        w: &Change,
    ) -> Result<bool, String> {
        let Some(observed) = mutation.observed_seq else { return self.knows(o, w) };
        let made = self.of(&o.dot)?;
        let chain = o.dot.replica == w.dot.replica && !o.dot.replica.is_server();
        let own = chain || made.own_requests.contains(&w.dot);
        Ok(self.knows(o, w)? && (o.dot == w.dot || own || w.seq <= observed || made.lists(&w.dot)))
    }

    /// What a caller who has read up to `base_seq` knows, as a set and as a vector.
    pub(super) fn prefix(shelf: &Shelf, base_seq: Seq) -> (BTreeSet<Dot>, BTreeMap<ReplicaId, Counter>) {
        let mut vector = BTreeMap::new();
        let known = shelf
            .changes
            .iter()
            .take_while(|c| c.seq <= base_seq)
            .map(|c| {
                let counter = vector.entry(c.dot.replica).or_default();
                *counter = c.dot.counter.max(*counter);
                c.dot
            })
            .collect();
        (known, vector)
    }
}
