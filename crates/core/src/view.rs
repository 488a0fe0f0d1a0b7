//! What reads show: records as one committed state has them, and what a reader can ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::causality::Seq;
use super::conflict::{ConflictKind, ConflictStatus};
use super::hash::Hash;
use super::ids::{CollectionId, ConflictId, Dot, Epoch, FieldId, RecordId};
use super::value::Value;

/// A record with its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordView {
    /// The collection it belongs to.
    pub collection: CollectionId,
    /// Its id.
    pub record: RecordId,
    /// Its fields that were ever written.
    pub fields: BTreeMap<FieldId, FieldView>,
    /// It was deleted and can be restored.
    pub deleted: bool,
    /// Position of the change that created it first.
    pub created_seq: Seq,
    /// Position of the last change that touched it, its fields included.
    pub last_seq: Seq,
    /// Conflicts about it that wait for a decision, deferred ones included.
    pub live_conflicts: Vec<ConflictId>,
    /// Targets of its links that are deleted, as of a read; empty in feeds and snapshots.
    pub deleted_targets: Vec<RecordId>,
}

impl RecordView {
    /// Where its links lead to, as they are stored.
    pub fn targets(&self) -> impl Iterator<Item = &RecordId> {
        self.fields.values().flat_map(|field| match &field.state {
            FieldStateView::Target(target) => target.as_slice(),
            FieldStateView::Targets(targets) => targets,
            FieldStateView::Register(_)
            | FieldStateView::Text(_)
            | FieldStateView::Counter(_)
            | FieldStateView::Elements(_) => &[],
        })
    }
}

/// A field as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldView {
    /// What is shown.
    pub state: FieldStateView,
    /// Position of the last change that touched it.
    pub last_seq: Seq,
    /// When its writers clash: every candidate, the provisional one first; otherwise empty.
    pub candidates: Vec<CandidateView>,
}

/// A field's state by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldStateView {
    /// The (provisional) value.
    Register(Value),
    /// The text.
    Text(String),
    /// The counter's value.
    Counter(i64),
    /// A set, in the order of its elements' hashes.
    Elements(Vec<Value>),
    /// A to-one link, as it is stored: its target may be deleted.
    Target(Option<RecordId>),
    /// A to-many link, as it is stored.
    Targets(Vec<RecordId>),
}

/// One of several concurrent values of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateView {
    /// What was written.
    pub value: Value,
    /// Who wrote it.
    pub dot: Dot,
    /// Position of that change.
    pub seq: Seq,
    /// Unknown when the change was compacted.
    pub committed_at_ms: Option<i64>,
}

/// A place in a workspace's order from which a feed resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedCursor {
    /// The history that the position is of.
    pub epoch: Epoch,
    /// Everything up to and including this position was delivered.
    pub seq: Seq,
    /// The hash chain at that position, when the client kept it.
    pub chain: Option<Hash>,
}

/// Which conflicts are wanted; `None` means any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictFilter {
    /// Never empty.
    pub statuses: Vec<ConflictStatus>,
    /// What clashed.
    pub kind: Option<ConflictKind>,
    /// The collection of the record.
    pub collection: Option<CollectionId>,
    /// The record.
    pub record: Option<RecordId>,
    /// Who should decide; empty for nobody.
    pub assignee: Option<Arc<str>>,
}
