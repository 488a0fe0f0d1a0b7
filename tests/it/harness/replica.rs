//! A client's identity and knowledge.

use syncline_protocol::pb;
use uuid::Uuid;

/// One installation of a client: it numbers its operations and knows what it has seen.
#[derive(Debug, Clone)]
pub struct Replica {
    pub id: String,
    /// The counter of its last operation.
    pub counter: u64,
    pub context: pb::CausalContext,
    pub actor: String,
}

impl Replica {
    /// The `n`th replica. Its id is made of `n`, so that a failure can be played again.
    pub fn new(n: u128, epoch: u64, actor: &str) -> Replica {
        let context = pb::CausalContext { epoch, ..Default::default() };
        let id = Uuid::from_u128(0x0190_abcd_ef00_7000_8000_0000_0000_0000 + n).hyphenated().to_string();
        Replica { id, counter: 0, context, actor: actor.to_owned() }
    }

    /// Everything up to this position was delivered to it.
    pub fn saw(&mut self, seq: u64) {
        self.context.base_seq = self.context.base_seq.max(seq);
    }

    /// The same, for a chain of calls.
    pub fn having_seen(mut self, seq: u64) -> Replica {
        self.saw(seq);
        self
    }

    /// It learnt of another replica's operations before they had a position.
    pub fn heard_of(&mut self, dot: pb::Dot) {
        self.context.extras.push(dot);
    }

    /// Its operation with this counter.
    pub fn dot(&self, counter: u64) -> pb::Dot {
        pb::Dot { replica_id: self.id.clone(), counter }
    }

    /// Its last operation.
    pub fn last(&self) -> pb::Dot {
        self.dot(self.counter)
    }

    /// Its next operation, made with what it knows now.
    pub fn op(&mut self, mutations: Vec<pb::Mutation>) -> pb::Operation {
        self.counter += 1;
        self.op_at(self.counter, mutations)
    }

    /// An operation with any counter; its own stays.
    pub fn op_at(&self, counter: u64, mutations: Vec<pb::Mutation>) -> pb::Operation {
        pb::Operation {
            identity: Some(pb::operation::Identity::Dot(self.dot(counter))),
            knowledge: Some(pb::operation::Knowledge::Context(self.context.clone())),
            mutations,
            actor: self.actor.clone(),
            ..Default::default()
        }
    }
}
