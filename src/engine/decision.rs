//! What a caller without a replica asks for when it decides a conflict.

use std::sync::Arc;

use syncline_core::causality::Seq;
use syncline_core::hash::{Hash, hash};
use syncline_core::ids::ConflictId;
use syncline_core::operation::CausalContext;
use syncline_core::value::Value;

/// How a conflict is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Take the alternative at this position.
    Alternative(Seq),
    /// Set this value.
    Value(Value),
    /// Set this text, in the place of the region that a text's conflict is about.
    Text(String),
    /// Keep what is there.
    KeepCurrent,
    /// Go back to what all sides started from.
    Base,
    /// Delete the record.
    Delete,
    /// Remove the link.
    Unlink,
}

/// Who decides, and under which request id.
#[derive(Debug, Clone)]
pub struct Decider {
    /// Identifies the request, so that a repetition is recognized.
    pub request_id: Arc<str>,
    /// Who decides, for display.
    pub actor: Arc<str>,
}

/// A conflict with the decision about it.
#[derive(Debug, Clone)]
pub struct Resolution {
    /// The conflict.
    pub conflict: ConflictId,
    /// The revision that the decision was made on.
    pub revision: u64,
    /// What the decider knew; absent means everything that had happened up to the revision.
    pub context: Option<CausalContext>,
    /// The decision.
    pub decision: Decision,
    /// Who decides.
    pub decider: Decider,
}

impl Resolution {
    /// Identifies what is asked for: equal when the same request is sent again, different for any other one. The
    /// operation that it becomes cannot serve for this, because it depends on the state at the time.
    pub(super) fn content_hash(&self) -> Hash {
        let Resolution { conflict, revision, context, decision, decider } = self;
        let mut content = Content::default();
        content.text(&conflict.to_string()).number(*revision).text(&decider.actor);
        match context {
            None => {
                content.number(0);
            }
            Some(CausalContext { epoch, base_seq, extras, base_chain }) => {
                content.number(1).number(epoch.0).number(base_seq.0).number(extras.len() as u64);
                for extra in extras {
                    content.bytes(extra.replica.0.as_bytes()).number(extra.counter.0);
                }
                content.bytes(base_chain.as_ref().map_or(&[], |chain| &chain[..]));
            }
        }
        match decision {
            Decision::Alternative(seq) => content.number(1).number(seq.0),
            Decision::Value(value) => content.number(2).bytes(&value.element_hash()),
            Decision::Text(text) => content.number(3).text(text),
            Decision::KeepCurrent => content.number(4),
            Decision::Delete => content.number(5),
            Decision::Unlink => content.number(6),
            Decision::Base => content.number(7),
        };
        hash(&content.0)
    }
}

/// Numbers and texts one after the other, so that no two sequences have the same bytes.
#[derive(Default)]
struct Content(Vec<u8>);

impl Content {
    fn number(&mut self, number: u64) -> &mut Content {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Content {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Content {
        self.bytes(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use syncline_core::causality::Counter;
    use syncline_core::ids::{Dot, Epoch, ReplicaId};

    use super::*;

    fn resolution() -> Resolution {
        Resolution {
            conflict: ConflictId { opened_seq: Seq(6), index: 0 },
            revision: 2,
            context: None,
            decision: Decision::KeepCurrent,
            decider: Decider { request_id: "r1".into(), actor: "carol".into() },
        }
    }

    #[test]
    fn every_part_of_a_request_but_its_id_tells_it_apart() {
        let context = CausalContext::at(Epoch(1), Seq(6));
        let extras = vec![Dot { replica: ReplicaId::from_u128(1), counter: Counter::FIRST }];
        let with = |decision| Resolution { decision, ..resolution() };
        let all = [
            resolution(),
            Resolution { conflict: ConflictId { opened_seq: Seq(6), index: 1 }, ..resolution() },
            Resolution { revision: 3, ..resolution() },
            Resolution { decider: Decider { actor: "dan".into(), ..resolution().decider }, ..resolution() },
            Resolution { context: Some(context.clone()), ..resolution() },
            Resolution {
                context: Some(CausalContext { epoch: Epoch(2), ..context.clone() }),
                ..resolution()
            },
            Resolution {
                context: Some(CausalContext { base_seq: Seq(7), ..context.clone() }),
                ..resolution()
            },
            Resolution { context: Some(CausalContext { extras, ..context }), ..resolution() },
            with(Decision::Alternative(Seq(4))),
            with(Decision::Alternative(Seq(5))),
            with(Decision::Value(Value::string("x"))),
            with(Decision::Value(Value::Int(5))),
            with(Decision::Text("x".to_owned())),
            with(Decision::Delete),
            with(Decision::Unlink),
            with(Decision::Base),
        ];
        for (index, one) in all.iter().enumerate() {
            for other in &all[..index] {
                assert_ne!(one.content_hash(), other.content_hash(), "{one:?} and {other:?}");
            }
        }
        let renamed = Decider { request_id: "r2".into(), ..resolution().decider };
        let again = Resolution { decider: renamed, ..resolution() };
        assert_eq!(again.content_hash(), resolution().content_hash());
    }
}
