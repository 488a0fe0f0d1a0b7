//! Conflicts: what could not be merged, with everything needed to decide.

use std::sync::Arc;

use super::causality::{Author, Seq, Stamp};
use super::change::ConflictEventKind;
use super::ids::{CollectionId, ConflictId, Dot, FieldId, RecordId};
use super::merge::text::Hunk;
use super::operation::{CausalContext, MutationKind};
use super::schema::Provisional;
use super::unknown::Unknown;
use super::value::Value;

/// The place a conflict is about; at most one live conflict each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    pub record: RecordId,
    pub part: ScopePart,
}

/// The part of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopePart {
    /// The record's existence.
    Record,
    Field(FieldId),
    /// A link of this field to this target.
    Link(FieldId, RecordId),
}

impl Scope {
    /// The field the scope is about.
    pub fn field(&self) -> Option<&FieldId> {
        match &self.part {
            ScopePart::Record => None,
            ScopePart::Field(field) | ScopePart::Link(field, _) => Some(field),
        }
    }
}

/// What clashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConflictKind {
    Register,
    TextOverlap,
    EditDelete,
    Relationship,
}

impl ConflictKind {
    /// The kind in words, as it stands in metrics.
    pub fn name(self) -> &'static str {
        match self {
            ConflictKind::Register => "register",
            ConflictKind::TextOverlap => "text_overlap",
            ConflictKind::EditDelete => "edit_delete",
            ConflictKind::Relationship => "relationship",
        }
    }
}

/// Where a conflict stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConflictStatus {
    Open,
    Deferred,
    Resolved,
    Obsolete,
    Superseded,
}

impl ConflictStatus {
    /// Open or deferred.
    pub fn is_live(self) -> bool {
        matches!(self, ConflictStatus::Open | ConflictStatus::Deferred)
    }

    /// The status in words.
    pub fn name(self) -> &'static str {
        match self {
            ConflictStatus::Open => "open",
            ConflictStatus::Deferred => "deferred",
            ConflictStatus::Resolved => "resolved",
            ConflictStatus::Obsolete => "obsolete",
            ConflictStatus::Superseded => "superseded",
        }
    }
}

/// Why a conflict closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CloseReason {
    Resolved,
    Converged,
    Deleted,
    Superseded,
    Policy,
}

impl CloseReason {
    /// The reason in words, as it stands in summaries and statistics.
    pub fn name(self) -> &'static str {
        match self {
            CloseReason::Resolved => "resolved",
            CloseReason::Converged => "converged",
            CloseReason::Deleted => "deleted",
            CloseReason::Superseded => "superseded",
            CloseReason::Policy => "policy",
        }
    }

    /// The status a conflict has after closing for this reason.
    pub fn status(self) -> ConflictStatus {
        match self {
            CloseReason::Resolved | CloseReason::Policy => ConflictStatus::Resolved,
            CloseReason::Converged | CloseReason::Deleted => ConflictStatus::Obsolete,
            CloseReason::Superseded => ConflictStatus::Superseded,
        }
    }
}

/// A conflict with its context. Copies, so that compaction of the log cannot hollow it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub id: ConflictId,
    pub kind: ConflictKind,
    pub scope: Scope,
    pub collection: CollectionId,
    pub status: ConflictStatus,
    pub revision: u64,
    pub opened_at_ms: i64,
    /// The earlier, closed conflict of the same scope that this one follows.
    pub parent: Option<ConflictId>,
    /// How the provisional value was chosen.
    pub provisional: Provisional,
    pub base: Option<Value>,
    pub base_exact: bool,
    /// The record's fields when the conflict opened, for people to read.
    pub record_at_opening: Vec<(FieldId, Value)>,
    pub alternatives: Vec<Alternative>,
    /// Every clashing pair once, the one ordered first before the other.
    pub pairs: Vec<(Seq, Seq)>,
    pub assignee: Arc<str>,
    pub remind_at_ms: Option<i64>,
    pub defer_count: u32,
    pub closing: Option<Closing>,
    pub events: Vec<ConflictEvent>,
    /// What a newer version wrote beside it.
    pub unknown: Unknown,
}

/// How a conflict ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    pub seq: Seq,
    pub at_ms: i64,
    pub reason: CloseReason,
}

/// One side of a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative {
    pub stamp: Stamp,
    /// Rank of its lineage: the lowest is the incumbent.
    pub rank: Seq,
    pub state: AlternativeState,
    /// What it offers; absent for a delete.
    pub value: Option<Value>,
    /// For a text: which hunk of the operation.
    pub hunk: Option<AlternativeHunk>,
    /// What the operation did here; absent when that cannot be told any more.
    pub action: Option<MutationKind>,
    pub dot: Dot,
    pub actor: Arc<str>,
    pub correlation_id: Arc<str>,
    pub client_time_ms: Option<i64>,
    pub committed_at_ms: i64,
    pub author: Author,
    pub context: CausalContext,
    pub siblings: Vec<String>,
    /// What a newer version wrote beside it.
    pub unknown: Unknown,
}

impl Alternative {
    /// Whether this side deletes its record.
    pub fn deletes(&self) -> bool {
        self.action == Some(MutationKind::DeleteRecord)
    }
}

/// The hunk of a text edit that an alternative is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlternativeHunk {
    pub index: u16,
    pub hunk: Hunk,
    /// What it replaced, or would have replaced.
    pub replaced: String,
    /// Where it took, or would have taken, effect in the text as it was after the operation.
    pub trunk_position: u32,
}

/// What kind of side an alternative is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlternativeState {
    /// A current candidate.
    Head,
    /// Overwritten by a plain write since, and still offered.
    Shadow,
    /// A part of a text edit that was not applied.
    Suppressed,
}

/// Something that happened to a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictEvent {
    pub kind: ConflictEventKind,
    pub seq: Seq,
    pub at_ms: i64,
    pub actor: Arc<str>,
    pub revision: u64,
    pub status: ConflictStatus,
    pub detail: String,
    /// What a newer version wrote beside it.
    pub unknown: Unknown,
}

/// A conflict without its context: what travels in the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictSummary {
    pub id: ConflictId,
    pub kind: ConflictKind,
    pub scope: Scope,
    pub collection: CollectionId,
    pub status: ConflictStatus,
    pub revision: u64,
    pub parent: Option<ConflictId>,
    pub assignee: Arc<str>,
    pub remind_at_ms: Option<i64>,
    pub defer_count: u32,
    pub closing: Option<Closing>,
    pub alternative_count: u32,
}

impl Conflict {
    /// The conflict without its context.
    pub fn summary(&self) -> ConflictSummary {
        ConflictSummary {
            id: self.id,
            kind: self.kind,
            scope: self.scope.clone(),
            collection: self.collection.clone(),
            status: self.status,
            revision: self.revision,
            parent: self.parent,
            assignee: self.assignee.clone(),
            remind_at_ms: self.remind_at_ms,
            defer_count: self.defer_count,
            closing: self.closing,
            alternative_count: u32::try_from(self.alternatives.len()).unwrap_or(u32::MAX),
        }
    }

    /// Alternatives the author had not seen.
    pub fn unseen_by<'a>(&'a self, author: &'a Author) -> impl Iterator<Item = &'a Alternative> + 'a {
        self.alternatives.iter().filter(|a| !author.knows(&a.stamp))
    }
}
