//! An author of operations: it numbers them, and says with each what it knew.

use std::collections::BTreeMap;

use syncline_core::causality::{Counter, Seq};
use syncline_core::hash::Hash;
use syncline_core::ids::{Dot, Epoch, ReplicaId};
use syncline_core::operation::CausalContext;
use syncline_protocol::convert::{context_to_pb, dot_to_pb};
use syncline_protocol::pb;

/// One installation of a client.
///
/// Its operations have the counters 1, 2, 3, … An operation that was made is never changed: whoever does not know what
/// became of it sends it again as it is.
#[derive(Debug, Clone)]
pub struct Replica {
    id: ReplicaId,
    last_counter: Counter,
    epoch: Epoch,
    base_seq: Seq,
    /// The chain at its base, where a feed told it.
    base_chain: Option<Hash>,
    /// What the replica knows beyond its base: of each other replica, everything up to a counter.
    extras: BTreeMap<ReplicaId, Counter>,
}

impl Replica {
    /// A new replica that knows everything up to a position of the workspace's history.
    pub fn new(id: ReplicaId, epoch: Epoch, base_seq: Seq) -> Replica {
        Replica {
            id,
            last_counter: Counter::NONE,
            epoch,
            base_seq,
            base_chain: None,
            extras: BTreeMap::new(),
        }
    }

    /// Who it is.
    pub fn id(&self) -> ReplicaId {
        self.id
    }

    /// The counter of its last operation; 0 before the first.
    pub fn last_counter(&self) -> Counter {
        self.last_counter
    }

    /// The position up to which it knows everything.
    pub fn base_seq(&self) -> Seq {
        self.base_seq
    }

    /// The replica knows everything up to this position. Knowledge is never lost: an earlier position changes nothing.
    pub fn saw_up_to(&mut self, seq: Seq) {
        if seq > self.base_seq {
            self.base_seq = seq;
            self.base_chain = None;
        }
    }

    /// The chain over all operations up to the replica's base, as its feed computed it. Operations carry it, so that a
    /// server whose history is another one refuses them instead of overwriting what they did not know.
    pub fn saw_chain(&mut self, seq: Seq, chain: Hash) {
        self.saw_up_to(seq);
        if seq == self.base_seq {
            self.base_chain = Some(chain);
        }
    }

    /// The change at this position reached the replica, and all before it had.
    pub fn saw(&mut self, seq: Seq, dot: Dot) {
        self.saw_up_to(seq);
        if self.extras.get(&dot.replica).is_some_and(|counter| *counter <= dot.counter) {
            self.extras.remove(&dot.replica);
        }
    }

    /// The replica learnt of another one's operations up to this one, before it saw their positions. It knows its own
    /// operations anyway.
    pub fn heard_of(&mut self, dot: Dot) {
        if dot.replica != self.id {
            let known = self.extras.entry(dot.replica).or_default();
            *known = (*known).max(dot.counter);
        }
    }

    /// What it knows now, beside its own operations.
    pub fn context(&self) -> CausalContext {
        let extras =
            self.extras.iter().map(|(replica, counter)| Dot { replica: *replica, counter: *counter });
        CausalContext {
            base_chain: self.base_chain,
            extras: extras.collect(),
            ..CausalContext::at(self.epoch, self.base_seq)
        }
    }

    /// Uses up the next counter. Nobody else may use it, and later operations are held until the server has it.
    pub fn next_dot(&mut self) -> Dot {
        self.last_counter = self.last_counter.next();
        Dot { replica: self.id, counter: self.last_counter }
    }

    /// Its next operation, made with what it knows now.
    pub fn operation(&mut self, mutations: Vec<pb::Mutation>) -> pb::Operation {
        let context = self.context();
        self.operation_knowing(&context, mutations)
    }

    /// Its next operation, made with a knowledge of its own, for example as somebody recorded it.
    pub fn operation_knowing(
        &mut self,
        context: &CausalContext,
        mutations: Vec<pb::Mutation>,
    ) -> pb::Operation {
        pb::Operation {
            identity: Some(pb::operation::Identity::Dot(dot_to_pb(self.next_dot()))),
            knowledge: Some(pb::operation::Knowledge::Context(context_to_pb(context))),
            mutations,
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: ReplicaId = ReplicaId::from_u128(2);
    const THIRD: ReplicaId = ReplicaId::from_u128(3);

    fn replica() -> Replica {
        Replica::new(ReplicaId::from_u128(1), Epoch(7), Seq(10))
    }

    #[test]
    fn operations_are_numbered_without_gaps_and_name_what_their_author_knew() {
        let mut replica = replica();
        for counter in 1..=3 {
            let operation = replica.operation(Vec::new());
            let dot = pb::Dot { replica_id: replica.id().to_string(), counter };
            assert_eq!(operation.identity, Some(pb::operation::Identity::Dot(dot)));
        }
        replica.saw_up_to(Seq(12));
        replica.heard_of(Dot { replica: OTHER, counter: Counter(4) });
        let context = pb::CausalContext {
            epoch: 7,
            base_seq: 12,
            extras: vec![pb::Dot { replica_id: OTHER.to_string(), counter: 4 }],
            ..Default::default()
        };
        let made = replica.operation(Vec::new());
        assert_eq!(made.knowledge, Some(pb::operation::Knowledge::Context(context)));
        assert_eq!(replica.last_counter(), Counter(4));
    }

    #[test]
    fn knowledge_only_grows() {
        let mut replica = replica();
        replica.saw_up_to(Seq(20));
        replica.saw_up_to(Seq(15));
        replica.heard_of(Dot { replica: OTHER, counter: Counter(9) });
        replica.heard_of(Dot { replica: OTHER, counter: Counter(3) });
        assert_eq!(
            replica.context(),
            CausalContext {
                extras: vec![Dot { replica: OTHER, counter: Counter(9) }],
                ..CausalContext::at(Epoch(7), Seq(20))
            }
        );
    }

    #[test]
    fn a_context_has_the_chain_at_its_base_and_no_other() {
        let mut replica = replica();
        replica.saw_chain(Seq(12), [7; 16]);
        replica.saw_chain(Seq(11), [6; 16]);
        assert_eq!(replica.context().base_chain, Some([7; 16]));
        replica.saw_up_to(Seq(13));
        assert_eq!(replica.context().base_chain, None, "the chain at 13 is not known");
    }

    #[test]
    fn what_the_feed_has_brought_is_no_extra_any_more() {
        let mut replica = replica();
        replica.heard_of(Dot { replica: OTHER, counter: Counter(2) });
        replica.heard_of(Dot { replica: THIRD, counter: Counter::FIRST });
        replica.heard_of(Dot { replica: replica.id(), counter: Counter(5) });
        replica.saw(Seq(11), Dot { replica: OTHER, counter: Counter::FIRST });
        assert_eq!(replica.context().extras.len(), 2, "the second operation is not there yet");
        replica.saw(Seq(12), Dot { replica: OTHER, counter: Counter(2) });
        assert_eq!(replica.context().extras, [Dot { replica: THIRD, counter: Counter::FIRST }]);
        assert_eq!(replica.base_seq(), 12);
    }
}
