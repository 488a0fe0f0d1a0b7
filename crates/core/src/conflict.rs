//! Conflicts: what could not be merged, with everything needed to decide.

use std::ops::Range;
use std::sync::Arc;

use super::causality::{Author, Seq, Stamp};
use super::hash::{Hash, hash};
use super::ids::{CollectionId, ConflictId, Dot, FieldId, RecordId};
use super::limits::CONFLICT_VALUE_BYTES_MAX;
use super::operation::{CausalContext, MutationKind};
use super::schema::Provisional;
use super::unknown::Unknown;
use super::value::Value;

/// The place a conflict is about; at most one live conflict each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The record.
    pub record: RecordId,
    /// Which part of it.
    pub part: ScopePart,
}

/// The part of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopePart {
    /// The record's existence.
    Record,
    /// The value of a field.
    Field(FieldId),
    /// A link of this field to this target.
    Link(FieldId, RecordId),
    /// A region of a text: the one that this conflict is about.
    Region(FieldId, ConflictId),
}

impl Scope {
    /// The field the scope is about.
    pub fn field(&self) -> Option<&FieldId> {
        match &self.part {
            ScopePart::Record => None,
            ScopePart::Field(field) | ScopePart::Link(field, _) | ScopePart::Region(field, _) => Some(field),
        }
    }
}

/// What clashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConflictKind {
    /// Writers gave a register, a counter or a to-one link different values without knowing of each other.
    Register,
    /// Edits of a text overlap.
    TextOverlap,
    /// A record was deleted while somebody who did not know changed it.
    EditDelete,
    /// A record was deleted while somebody who did not know linked to it.
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
    /// It waits for a decision.
    Open,
    /// It is put aside until a time.
    Deferred,
    /// Somebody, or the field's policy, decided it.
    Resolved,
    /// There is nothing left to decide.
    Obsolete,
    /// A plain write by somebody who knew all alternatives replaced them.
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
    /// Somebody who had seen all alternatives decided.
    Resolved,
    /// All alternatives came to the same value.
    Converged,
    /// The record was deleted by somebody who knew the alternatives.
    Deleted,
    /// A plain write by somebody who knew all alternatives replaced them, and the field's policy lets it.
    Superseded,
    /// The field's policy settles clashes at once.
    Policy,
    /// Its region of a text grew into that of an older conflict, which has its versions now.
    Merged,
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
            CloseReason::Merged => "merged",
        }
    }

    /// The status a conflict has after closing for this reason.
    pub fn status(self) -> ConflictStatus {
        match self {
            CloseReason::Resolved | CloseReason::Policy => ConflictStatus::Resolved,
            CloseReason::Converged | CloseReason::Deleted | CloseReason::Merged => ConflictStatus::Obsolete,
            CloseReason::Superseded => ConflictStatus::Superseded,
        }
    }
}

/// A conflict with its context. It holds copies, so that compaction of the log takes nothing from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Its identity.
    pub id: ConflictId,
    /// What clashed.
    pub kind: ConflictKind,
    /// The place it is about.
    pub scope: Scope,
    /// The collection of the record.
    pub collection: CollectionId,
    /// Where it stands.
    pub status: ConflictStatus,
    /// Counts up with every event; a decision names the one it has seen.
    pub revision: u64,
    /// The server's clock when it opened, in milliseconds since the Unix epoch.
    pub opened_at_ms: i64,
    /// The earlier, closed conflict of the same scope that this one follows.
    pub parent: Option<ConflictId>,
    /// How the provisional value was chosen.
    pub provisional: Provisional,
    /// The newest value that the first two sides both knew; none when there was none, or none was found. For a text, the
    /// region as it was then, whole.
    pub base: Option<Value>,
    /// Whether the search for the base came to an end; after [`super::limits::BASE_SEARCH_STEPS_MAX`] steps the server
    /// gives up.
    pub base_exact: bool,
    /// The record's fields when the conflict opened, for people to read.
    pub record_at_opening: Vec<(FieldId, Value)>,
    /// Its sides.
    pub alternatives: Vec<Alternative>,
    /// For a text: where its region stood after the last event. While it is live, the field's row knows where it is.
    pub region: Option<TextRange>,
    /// Every clashing pair once, the one ordered first before the other.
    pub pairs: Vec<(Seq, Seq)>,
    /// Who should decide; empty for nobody.
    pub assignee: Arc<str>,
    /// When it opens again while it is deferred, in milliseconds since the Unix epoch.
    pub remind_at_ms: Option<i64>,
    /// How often it was deferred.
    pub defer_count: u32,
    /// How it ended; none while it is live.
    pub closing: Option<Closing>,
    /// What happened to it, the oldest first.
    pub events: Vec<ConflictEvent>,
    /// Fields that a newer version wrote and this one does not know.
    pub unknown: Unknown,
}

/// How a conflict ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    /// Position of the change that closed it.
    pub seq: Seq,
    /// The server's clock then, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Why it closed.
    pub reason: CloseReason,
}

/// One side of a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative {
    /// The operation that wrote it.
    pub stamp: Stamp,
    /// Rank of its lineage: the lowest is the incumbent.
    pub rank: Seq,
    /// What kind of side it is.
    pub state: AlternativeState,
    /// What it offers; absent for a delete. Only its beginning, if it was cut. For a text, the author's version of the
    /// region, whole.
    pub value: Option<Value>,
    /// The size and the hash of the whole value, if only its beginning is kept here. The log has the whole.
    pub cut: Option<Cut>,
    /// For a version of a text that is not applied: the first operation that it clashed with.
    pub suppressed_by: Option<Seq>,
    /// What the operation did here; absent when that cannot be told any more.
    pub action: Option<MutationKind>,
    /// The identity of that operation.
    pub dot: Dot,
    /// The person or program on whose behalf it was written. Empty for none.
    pub actor: Arc<str>,
    /// As submitted. Empty for none.
    pub correlation_id: Arc<str>,
    /// As submitted: the author's clock, in milliseconds since the Unix epoch.
    pub client_time_ms: Option<i64>,
    /// The server's clock when the operation settled, in milliseconds since the Unix epoch.
    pub committed_at_ms: i64,
    /// Who wrote the operation and what they knew, in the short numbers of replicas.
    pub author: Author,
    /// What they knew, with replicas by their ids.
    pub context: CausalContext,
    /// The other mutations of the same operation, in words.
    pub siblings: Vec<String>,
    /// Fields that a newer version wrote and this one does not know.
    pub unknown: Unknown,
}

impl Alternative {
    /// Whether both sides offer the same, with what was cut of them.
    pub fn offers_the_same(&self, other: &Alternative) -> bool {
        match ((&self.value, &self.cut), (&other.value, &other.cut)) {
            ((_, Some(mine)), (_, Some(theirs))) => mine == theirs,
            ((Some(mine), None), (Some(theirs), None)) => mine.equals(theirs),
            (mine, theirs) => mine == theirs,
        }
    }

    /// Whether this side offers a value; of a value that is cut, the whole counts.
    pub fn offers(&self, value: Option<&Value>) -> bool {
        match (&self.value, value, &self.cut) {
            (_, Some(value), Some(cut)) => beginning(value.clone()).1.as_ref() == Some(cut),
            (Some(mine), Some(value), None) => mine.equals(value),
            (mine, value, _) => mine.is_none() && value.is_none(),
        }
    }

    /// Whether this side deletes its record.
    pub fn deletes(&self) -> bool {
        self.action == Some(MutationKind::DeleteRecord)
    }
}

/// The whole of a value of which a conflict keeps the beginning ([`super::limits::CONFLICT_VALUE_BYTES_MAX`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Its size.
    pub whole_bytes: u64,
    /// Its hash.
    pub hash: Hash,
}

/// A value short enough to keep in a conflict or to show of it, and what was cut of it.
pub fn beginning(value: Value) -> (Value, Option<Cut>) {
    match value {
        Value::String(text) if text.len() > CONFLICT_VALUE_BYTES_MAX => {
            let end = (0..=CONFLICT_VALUE_BYTES_MAX).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
            let cut = Cut { whole_bytes: text.len() as u64, hash: hash(text.as_bytes()) };
            (Value::string(&text[..end]), Some(cut))
        }
        other => (other, None),
    }
}

/// A stretch of a text, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextRange {
    /// Its first character.
    pub start: u32,
    /// The first character behind it.
    pub end: u32,
}

impl From<Range<u32>> for TextRange {
    fn from(range: Range<u32>) -> TextRange {
        TextRange { start: range.start, end: range.end }
    }
}

impl From<TextRange> for Range<u32> {
    fn from(range: TextRange) -> Range<u32> {
        range.start..range.end
    }
}

/// What kind of side an alternative is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlternativeState {
    /// A current candidate.
    Head,
    /// Overwritten by a later plain write, and still offered.
    Shadow,
    /// A version of a text that is not applied.
    Suppressed,
}

/// Something that happened to a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictEvent {
    /// What happened.
    pub kind: ConflictEventKind,
    /// Position of the change that did it.
    pub seq: Seq,
    /// The server's clock then, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Who did it. Empty for nobody in particular.
    pub actor: Arc<str>,
    /// The conflict's revision after it.
    pub revision: u64,
    /// The conflict's status after it.
    pub status: ConflictStatus,
    /// More about it, for people.
    pub detail: String,
    /// Fields that a newer version wrote and this one does not know.
    pub unknown: Unknown,
}

impl ConflictEvent {
    /// Whether the next event only carries on what this one says.
    pub fn goes_on_as(&self, next: &ConflictEvent) -> bool {
        self.kind == ConflictEventKind::Changed
            && next.kind == ConflictEventKind::Changed
            && (&self.actor, self.status, &self.detail) == (&next.actor, next.status, &next.detail)
    }
}

/// A conflict without its context: what travels in the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictSummary {
    /// Its identity.
    pub id: ConflictId,
    /// What clashed.
    pub kind: ConflictKind,
    /// The place it is about.
    pub scope: Scope,
    /// The collection of the record.
    pub collection: CollectionId,
    /// Where it stands.
    pub status: ConflictStatus,
    /// Counts up with every event; a decision names the one it has seen.
    pub revision: u64,
    /// The earlier, closed conflict of the same scope that this one follows.
    pub parent: Option<ConflictId>,
    /// Who should decide; empty for nobody.
    pub assignee: Arc<str>,
    /// When it opens again while it is deferred, in milliseconds since the Unix epoch.
    pub remind_at_ms: Option<i64>,
    /// How often it was deferred.
    pub defer_count: u32,
    /// How it ended; none while it is live.
    pub closing: Option<Closing>,
    /// How many sides it has.
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

    /// Whether its sides go on, letter by letter, instead of being joined by further ones.
    pub fn goes_on(&self) -> bool {
        matches!(self.kind, ConflictKind::TextOverlap | ConflictKind::EditDelete)
    }

    /// Alternatives the author had not seen.
    pub fn unseen_by<'a>(&'a self, author: &'a Author) -> impl Iterator<Item = &'a Alternative> + 'a {
        self.alternatives.iter().filter(|a| !author.knows(&a.stamp))
    }
}

/// What happened to a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictEventKind {
    /// It opened.
    Opened,
    /// It gained an alternative, or a decision had not seen all of them.
    Changed,
    /// Somebody put it aside until a time.
    Deferred,
    /// That time has come: it is open again.
    Reminded,
    /// Somebody was assigned to decide it, or the assignment was taken back.
    Assigned,
    /// It closed; [`super::conflict::CloseReason`] says why.
    Closed,
    /// It is live again: somebody took its decision back, or its record was restored.
    Reopened,
}
