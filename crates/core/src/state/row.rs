//! What rows hold.

use std::sync::Arc;

use crate::causality::{Counter, ReplicaNo, Seq, Stamp};
use crate::conflict::Conflict;
use crate::hash::{Hash, Secret};
use crate::ids::{CollectionId, ConflictId, Dot, ReplicaId};
use crate::operation::{Operation, Rejection, WaitOn};
use crate::schema::{FieldKind, Schema};
use crate::unknown::Unknown;
use crate::value::Value;

/// A row of any kind; its key says which kind it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    Schema(Schema),
    Replica(ReplicaRow),
    ReplicaNumber(ReplicaId),
    Record(RecordRow),
    Field(FieldRow),
    Element(ElementRow),
    /// The key says it all: backlinks, waiters, wakes, reminders.
    Unit,
    Conflict(Box<Conflict>),
    Scope(ScopeRow),
    Rejection(RejectionRow),
    Held(Box<HeldRow>),
    HoldUsage(HoldUsage),
    Request(RequestRow),
    Secret(Secret),
}

/// A replica: one entry of the server's version vector. Never deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaRow {
    pub no: ReplicaNo,
    /// Its last settled operation, accepted or rejected.
    pub last_settled: Counter,
    /// Its last accepted operation.
    pub last_accepted: Counter,
    /// Base of its last accepted operation: bases never decrease.
    pub last_base: Seq,
    /// What a newer version wrote beside it.
    pub unknown: Unknown,
}

/// A record's existence. Fields have rows of their own, so that an edit does not rewrite this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    pub collection: CollectionId,
    pub existence: Existence,
    /// The operation that created it first.
    pub created: Stamp,
    /// Position of the last change of its existence.
    pub last_seq: Seq,
    /// Maximal creates, deletes and restores: none knew another.
    pub heads: Vec<ExistenceHead>,
    /// What a newer version wrote beside it.
    pub unknown: Unknown,
}

/// Whether a record is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existence {
    Alive,
    Deleted,
    /// Only a rejected operation would have created it: dependents are rejected as such.
    Phantom(Dot),
}

/// A create, delete or restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistenceHead {
    pub stamp: Stamp,
    pub delete: bool,
    /// What a newer version wrote beside it.
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
    pub value: FieldValue,
    /// Position of the last change of the field: the start of its chain through the log.
    pub last_seq: Seq,
    /// What a newer version wrote beside it.
    pub unknown: Unknown,
}

/// A field's state by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValue {
    Register(Vec<RegisterHead>),
    Text(String),
    Counter(Vec<CounterHead>),
    /// Elements have rows of their own.
    Set {
        count: u64,
    },
    /// Targets are string values or null.
    ToOne(Vec<RegisterHead>),
    ToMany {
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

/// A maximal writer of a register: no other head knew it. Of a field's heads the first is the one that is shown,
/// as the field's policy was when it was last written; the others follow by rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterHead {
    pub stamp: Stamp,
    /// Rank of its lineage; the lowest is the incumbent.
    pub rank: Seq,
    pub value: Value,
    /// What a newer version wrote beside it.
    pub unknown: Unknown,
}

/// A maximal assignment of a counter (or the implicit 0 it starts from, with an all-zero stamp), with the sum of
/// increments it did not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterHead {
    pub stamp: Stamp,
    pub rank: Seq,
    pub value: i64,
    pub increments: i64,
    /// What a newer version wrote beside it.
    pub unknown: Unknown,
}

/// An element of a set, with the additions that hold it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementRow {
    pub value: Value,
    pub additions: Vec<Addition>,
    /// What a newer version wrote beside it.
    pub unknown: Unknown,
}

/// An addition of an element that no removal knew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    pub stamp: Stamp,
    /// What a newer version wrote beside it.
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
    pub live: Option<ConflictId>,
    pub last: Option<ConflictId>,
    /// What a newer version wrote beside it.
    pub unknown: Unknown,
}

/// A rejected operation: settled, without a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectionRow {
    pub operation_hash: Hash,
    pub rejection: Rejection,
    /// The head when it settled.
    pub at_seq: Seq,
    pub correlation_id: Arc<str>,
}

/// An operation that waits. A cache: dropping it settles nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRow {
    pub operation: Operation,
    pub operation_hash: Hash,
    pub waits_on: WaitOn,
    pub expires_at_ms: i64,
    pub weight_bytes: u64,
    /// What a newer version wrote beside it.
    pub unknown: Unknown,
}

/// How much is held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HoldUsage {
    pub count: u64,
    pub bytes: u64,
    /// What a newer version wrote beside it.
    pub unknown: Unknown,
}

/// A request id with the operation it became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// Of the operation's content, or of the request that the server made it from.
    pub operation_hash: Hash,
    pub counter: Counter,
    pub expires_at_ms: i64,
}
