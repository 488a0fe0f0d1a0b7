//! What rows hold.

use std::sync::Arc;

use crate::causality::{Counter, ReplicaNo, Seq, Stamp};
use crate::conflict::{Conflict, TextRange};
use crate::hash::{Hash, Secret};
use crate::ids::{CollectionId, ConflictId, Dot, ReplicaId};
use crate::operation::{Operation, Rejection, WaitOn};
use crate::schema::{FieldKind, Schema};
use crate::unknown::Unknown;
use crate::value::Value;

/// A row of any kind; its key says which kind it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// The workspace's schema.
    Schema(Schema),
    /// A replica.
    Replica(ReplicaRow),
    /// The replica that has a number.
    ReplicaNumber(ReplicaId),
    /// A record's existence.
    Record(RecordRow),
    /// A field of a record.
    Field(FieldRow),
    /// An element of a set or to-many field.
    Element(ElementRow),
    /// Nothing besides the key: backlinks, waiters, wakes, reminders.
    Unit,
    /// A conflict with its context.
    Conflict(Box<Conflict>),
    /// A scope's conflicts.
    Scope(ScopeRow),
    /// A rejected operation.
    Rejection(RejectionRow),
    /// A held operation.
    Held(Box<HeldRow>),
    /// How much is held.
    HoldUsage(HoldUsage),
    /// A request id.
    Request(RequestRow),
    /// The secret that the salts of operation hashes come from.
    Secret(Secret),
}

/// A replica: one entry of the server's version vector. Never deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaRow {
    /// Its short number.
    pub no: ReplicaNo,
    /// Its last settled operation, accepted or rejected.
    pub last_settled: Counter,
    /// Its last accepted operation.
    pub last_accepted: Counter,
    /// Base of its last accepted operation: bases never decrease.
    pub last_base: Seq,
    /// Fields that a newer version wrote and this one does not know.
    pub unknown: Unknown,
}

/// A record's existence. Fields have rows of their own, so that an edit does not rewrite this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// The collection it belongs to.
    pub collection: CollectionId,
    /// Whether it is there.
    pub existence: Existence,
    /// The operation that created it first.
    pub created: Stamp,
    /// Position of the last change of its existence.
    pub last_seq: Seq,
    /// Maximal creates, deletes and restores: none knew another.
    pub heads: Vec<ExistenceHead>,
    /// Fields that a newer version wrote and this one does not know.
    pub unknown: Unknown,
}

/// Whether a record is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existence {
    /// It is there.
    Alive,
    /// It was deleted, and can be restored.
    Deleted,
    /// Only a rejected operation would have created it; operations that depend on it are rejected for that reason.
    Phantom(Dot),
}

/// A create, delete or restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistenceHead {
    /// The operation.
    pub stamp: Stamp,
    /// Whether it deletes; otherwise it creates or restores.
    pub delete: bool,
    /// Fields that a newer version wrote and this one does not know.
    pub unknown: Unknown,
}

impl ExistenceHead {
    /// A create or restore, or a delete.
    pub fn new(stamp: Stamp, delete: bool) -> ExistenceHead {
        ExistenceHead { stamp, delete, unknown: Unknown::NONE }
    }
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRow {
    /// Its state.
    pub value: FieldValue,
    /// Position of the last change of the field: the start of its chain through the log.
    pub last_seq: Seq,
    /// Of a text: the regions that are in conflict, in their order. They neither overlap nor touch.
    pub regions: Vec<RegionPlace>,
    /// Fields that a newer version wrote and this one does not know.
    pub unknown: Unknown,
}

/// Where the region of a live text conflict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegionPlace {
    /// The conflict.
    pub conflict: ConflictId,
    /// Where its region stands in the text.
    pub range: TextRange,
}

/// A field's state by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValue {
    /// The maximal writers, the shown one first.
    Register(Vec<RegisterHead>),
    /// The text.
    Text(String),
    /// The maximal assignments.
    Counter(Vec<CounterHead>),
    /// Elements have rows of their own.
    Set {
        /// How many elements there are.
        count: u64,
    },
    /// Targets are string values or null.
    ToOne(Vec<RegisterHead>),
    /// Targets have rows of their own, as elements.
    ToMany {
        /// How many targets it links to, deleted ones included: links to them are kept and not shown.
        count: u64,
    },
}

impl FieldValue {
    /// The kind of field this is the state of.
    pub fn kind(&self) -> FieldKind {
        match self {
            FieldValue::Register(_) => FieldKind::Register,
            FieldValue::Text(_) => FieldKind::Text,
            FieldValue::Counter(_) => FieldKind::Counter,
            FieldValue::Set { .. } => FieldKind::Set,
            FieldValue::ToOne(_) => FieldKind::ToOne,
            FieldValue::ToMany { .. } => FieldKind::ToMany,
        }
    }

    /// The state of a field nobody wrote.
    pub fn empty(kind: FieldKind) -> FieldValue {
        match kind {
            FieldKind::Register => FieldValue::Register(Vec::new()),
            FieldKind::Text => FieldValue::Text(String::new()),
            FieldKind::Counter => FieldValue::Counter(Vec::new()),
            FieldKind::Set => FieldValue::Set { count: 0 },
            FieldKind::ToOne => FieldValue::ToOne(Vec::new()),
            FieldKind::ToMany => FieldValue::ToMany { count: 0 },
        }
    }
}

/// A maximal writer of a register: no other head knew it. The first head of a field is the one that is shown, by the
/// policy that the field had when it was last written; the others follow by rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterHead {
    /// The operation that wrote it.
    pub stamp: Stamp,
    /// Rank of its lineage; the lowest is the incumbent.
    pub rank: Seq,
    /// What it wrote.
    pub value: Value,
    /// Fields that a newer version wrote and this one does not know.
    pub unknown: Unknown,
}

/// A maximal assignment of a counter (or the implicit 0 it starts from, with an all-zero stamp), with the sum of
/// increments it did not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterHead {
    /// The operation that assigned it.
    pub stamp: Stamp,
    /// Rank of its lineage; the lowest is the incumbent.
    pub rank: Seq,
    /// What it assigned.
    pub value: i64,
    /// The sum of the increments that it did not know.
    pub increments: i64,
    /// Fields that a newer version wrote and this one does not know.
    pub unknown: Unknown,
}

/// An element of a set, with the additions that hold it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementRow {
    /// The element.
    pub value: Value,
    /// The additions that no removal knew.
    pub additions: Vec<Addition>,
    /// Fields that a newer version wrote and this one does not know.
    pub unknown: Unknown,
}

/// An addition of an element that no removal knew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// The operation that added it.
    pub stamp: Stamp,
    /// Fields that a newer version wrote and this one does not know.
    pub unknown: Unknown,
}

impl From<Stamp> for Addition {
    fn from(stamp: Stamp) -> Addition {
        Addition { stamp, unknown: Unknown::NONE }
    }
}

/// A scope's conflicts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScopeRow {
    /// The conflict that is open or deferred; at most one is.
    pub live: Option<ConflictId>,
    /// The one that was opened last.
    pub last: Option<ConflictId>,
    /// Fields that a newer version wrote and this one does not know.
    pub unknown: Unknown,
}

/// A rejected operation: settled, without a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectionRow {
    /// Identifies the content of the operation.
    pub operation_hash: Hash,
    /// Why it was refused.
    pub rejection: Rejection,
    /// The head when it settled.
    pub at_seq: Seq,
    /// As submitted. Empty for none.
    pub correlation_id: Arc<str>,
}

/// An operation that waits. A cache: dropping it settles nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRow {
    /// The operation.
    pub operation: Operation,
    /// Identifies its content.
    pub operation_hash: Hash,
    /// What it waits for.
    pub waits_on: WaitOn,
    /// When it is dropped, in milliseconds since the Unix epoch.
    pub expires_at_ms: i64,
    /// What it counts against the quota.
    pub weight_bytes: u64,
    /// Fields that a newer version wrote and this one does not know.
    pub unknown: Unknown,
}

/// How much is held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HoldUsage {
    /// Operations that are held.
    pub count: u64,
    /// Their weight.
    pub bytes: u64,
    /// Fields that a newer version wrote and this one does not know.
    pub unknown: Unknown,
}

/// A request id with the operation it became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// Hash of the operation's content, or of the request that the server made it from.
    pub operation_hash: Hash,
    /// Its counter in the server's own replica.
    pub counter: Counter,
    /// When the id is forgotten, in milliseconds since the Unix epoch.
    pub expires_at_ms: i64,
}
