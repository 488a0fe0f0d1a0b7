//! Accepted operations with what they did: the rows of the log and the content of the feed.

use std::sync::Arc;

use super::causality::{Author, Seq, Stamp};
use super::conflict::{ConflictEventKind, ConflictSummary};
use super::hash::{Hash, operation_hash};
use super::ids::{CollectionId, Dot, FieldId, RecordId};
use super::merge::text::{SettledHunk, Splice};
use super::operation::{Action, CausalContext, Mutation, RecordMutation, Settlement};
use super::value::Value;

/// An operation in its place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its position.
    pub seq: Seq,
    /// The operation's identity.
    pub dot: Dot,
    /// Who wrote it and what they knew, in the short numbers of replicas.
    pub author: Author,
    /// As submitted; for "latest" the head it settled on.
    pub context: CausalContext,
    /// The identity that a caller without a replica gave the operation.
    pub request_id: Option<Arc<str>>,
    /// As submitted: ties the operation to what caused it elsewhere. Empty for none.
    pub correlation_id: Arc<str>,
    /// As submitted: the person or program on whose behalf it was written. Empty for none.
    pub actor: Arc<str>,
    /// As submitted: the author's clock, in milliseconds since the Unix epoch.
    pub client_time_ms: Option<i64>,
    /// The server's clock when it settled, in milliseconds since the Unix epoch.
    pub committed_at_ms: i64,
    /// As applied: initial fields spelled out, replaced texts as hunks.
    pub mutations: Vec<Mutation>,
    /// What it did, in the order of its mutations.
    pub effects: Vec<Effect>,
    /// How it settled.
    pub settlement: Settlement,
    /// The hash of the salt and the content's hash.
    pub operation_hash: Hash,
    /// The hash over all operations up to and including this one.
    pub chain: Hash,
    /// Given only to readers who may see the whole operation.
    pub hash_salt: Hash,
}

/// Roughly how many bytes a link has on the wire: a UUID and what is around it.
const LINK_BYTES: usize = 40;

impl Change {
    /// Roughly how many bytes it has on the wire.
    pub fn weight_bytes(&self) -> usize {
        weight_bytes(&self.effects, &self.mutations)
    }

    /// Whether the operation of this change has this content.
    pub fn is_of(&self, content_hash: &Hash) -> bool {
        operation_hash(&self.hash_salt, content_hash) == self.operation_hash
    }

    /// The operation's identity for comparisons of knowledge.
    pub fn stamp(&self) -> Stamp {
        Stamp { seq: self.seq, replica_no: self.author.replica_no, counter: self.author.counter }
    }

    /// The change to a record that an effect comes from; none for an action on a conflict.
    pub fn mutation_of(&self, effect: &Effect) -> Option<&RecordMutation> {
        self.mutations.get(usize::from(effect.mutation_index))?.on_record()
    }

    /// The first effect on a field.
    pub fn effect_on(&self, record: &str, field: &str) -> Option<&Effect> {
        self.effects.iter().find(|e| &*e.record == record && e.field.as_deref() == Some(field))
    }

    /// The first effect on a record's existence.
    pub fn effect_on_existence(&self, record: &str) -> Option<&Effect> {
        self.effects.iter().find(|e| {
            &*e.record == record
                && matches!(
                    e.kind,
                    EffectKind::RecordCreated
                        | EffectKind::RecordDeleted
                        | EffectKind::RecordRestored
                        | EffectKind::Existence
                )
        })
    }
}

/// Roughly how many bytes a change has on the wire that did this.
pub fn weight_bytes(effects: &[Effect], mutations: &[Mutation]) -> usize {
    let effects: usize = effects
        .iter()
        .map(|effect| match &effect.kind {
            EffectKind::Register { value: Some(value) } => value.weight_bytes(),
            EffectKind::Text { splices, hunks, .. } => {
                let text: usize = splices
                    .iter()
                    .map(|s| match s {
                        Splice::Retain(_) => 4,
                        Splice::Insert(text) | Splice::Delete(text) => text.len() + 4,
                    })
                    .sum();
                text + hunks.iter().map(|h| h.hunk.ins.len() + 16).sum::<usize>()
            }
            EffectKind::Links { added, removed } => (added.len() + removed.len()) * LINK_BYTES,
            EffectKind::Set { added, removed } => added.iter().chain(removed).map(Value::weight_bytes).sum(),
            EffectKind::RecordCreated
            | EffectKind::RecordDeleted
            | EffectKind::RecordRestored
            | EffectKind::Existence
            | EffectKind::Register { value: None }
            | EffectKind::Counter { .. }
            | EffectKind::Link { .. }
            | EffectKind::Conflict { .. } => 64,
        })
        .map(|bytes| bytes + 96)
        .sum();
    let mutations: usize = mutations
        .iter()
        .filter_map(Mutation::on_record)
        .map(|mutation| match &mutation.action {
            Action::Set { value, .. } => value.weight_bytes(),
            _ => 0,
        })
        .sum();
    192 + effects + mutations
}

/// One thing a change did. It is decided once, as a pure function of the state, the operation and its context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The collection of the record.
    pub collection: CollectionId,
    /// The record that it changed.
    pub record: RecordId,
    /// The field that it changed; none for the record's existence.
    pub field: Option<FieldId>,
    /// The mutation it comes from.
    pub mutation_index: u16,
    /// Position of the previous change of the same field (or of the record's existence); 0 for none. This makes the log
    /// its own index: walking back takes one step for each change.
    pub previous_seq: Seq,
    /// What it did there.
    pub kind: EffectKind,
}

/// What an effect did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectKind {
    /// The record was created.
    RecordCreated,
    /// The record was deleted.
    RecordDeleted,
    /// The record was deleted and is there again.
    RecordRestored,
    /// The record's existence was touched without a visible change (a delete that clashed, …).
    Existence,
    /// A register field. Without a value, the mutation's own value took effect.
    Register {
        /// The new value; a link is the id of its target, or null.
        value: Option<Value>,
    },
    /// The target of a to-one field as it is stored; the target itself may be deleted.
    Link {
        /// The record that it links to; none when it links to nothing.
        target: Option<RecordId>,
    },
    /// An edit of a text.
    Text {
        /// What turns the text before into the text after.
        splices: Vec<Splice>,
        /// The author's edit, with the decision on each hunk.
        hunks: Vec<SettledHunk>,
        /// The position up to which the author knew this text without a gap.
        known_seq: Seq,
    },
    /// The counter's value, and what this change added (an assignment adds nothing).
    Counter {
        /// The value after the change.
        value: i64,
        /// What the change added.
        added: i64,
    },
    /// A set or a to-many field; a link is the id of its target.
    Set {
        /// Elements that were not there before.
        added: Vec<Value>,
        /// Elements that are not there any more.
        removed: Vec<Value>,
    },
    /// Targets of a to-many field, as they are stored.
    Links {
        /// Targets that were not there before.
        added: Vec<RecordId>,
        /// Targets that are not there any more.
        removed: Vec<RecordId>,
    },
    /// Something happened to a conflict.
    Conflict {
        /// What happened.
        event: ConflictEventKind,
        /// The conflict after it.
        summary: ConflictSummary,
    },
}

/// The value that a register mutation writes: what [`EffectKind::Register`] without a value stands for.
pub fn own_value(mutation: &RecordMutation) -> Option<Value> {
    use super::operation::Action;
    match &mutation.action {
        Action::Set { value, .. } => Some(value.clone()),
        Action::Link { target, .. } => Some(Value::from(target.clone())),
        Action::Unlink { .. } => Some(Value::Null),
        Action::AssignCounter { value, .. } => Some(Value::Int(*value)),
        _ => None,
    }
}
