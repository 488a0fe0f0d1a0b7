//! Names of rows. Every key belongs to one workspace; their order is their order in storage.

use std::sync::Arc;

use crate::causality::{Counter, ReplicaNo, Seq};
use crate::conflict::Scope;
use crate::hash::Hash;
use crate::ids::{CollectionId, ConflictId, Dot, FieldId, RecordId, ReplicaId};
use crate::operation::WaitOn;

/// The name of a row within its workspace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The workspace's schema.
    Schema,
    /// A replica by its id.
    Replica(ReplicaId),
    /// A replica's id by its number.
    ReplicaNumber(ReplicaNo),
    /// A record's existence.
    Record(RecordId),
    /// A record by its collection.
    Member(CollectionId, RecordId),
    /// A field of a record.
    Field(RecordId, FieldId),
    /// An element of a set or to-many field.
    Element(RecordId, FieldId, Hash),
    /// A link as its target sees it: target, source, field.
    Backlink(RecordId, RecordId, FieldId),
    /// A conflict with its context.
    Conflict(ConflictId),
    /// A scope's conflicts: the live one and the last one.
    Scope(Scope),
    /// A deferred conflict by the time it reminds.
    Reminder(i64, ConflictId),
    /// A rejected operation.
    Rejection(ReplicaNo, Counter),
    /// A held operation.
    Held(Dot),
    /// A held operation by what it waits for.
    Waiter(WaitOn, Dot),
    /// How much is held: of one replica, or altogether.
    HoldUsage(Option<ReplicaId>),
    /// An operation whose release was cut off by the cascade limit.
    Wake(WaitOn),
    /// A request id.
    Request(Arc<str>),
    /// What the salts of the workspace's operations come from.
    Secret,
}

/// A range of keys that is read together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Prefix {
    /// All records.
    Records,
    /// The records of a collection.
    MembersOf(CollectionId),
    /// The fields of a record.
    FieldsOf(RecordId),
    /// The elements of a field.
    ElementsOf(RecordId, FieldId),
    /// The links to a record.
    BacklinksOf(RecordId),
    /// The scopes of a record.
    ScopesOf(RecordId),
    /// Fields of the records from one id to another, both included: neighbours are read together.
    FieldsBetween(RecordId, RecordId),
    /// The same for elements.
    ElementsBetween(RecordId, RecordId),
    /// The same for scopes.
    ScopesBetween(RecordId, RecordId),
    /// The held operations that wait for this.
    WaitersOn(WaitOn),
    /// All that wait.
    Waiters,
    /// All whose release was cut off.
    Wakes,
    /// All replicas.
    Replicas,
    /// All conflicts.
    Conflicts,
    /// All scopes.
    Scopes,
    /// All reminders, in the order of their times.
    Reminders,
    /// All held operations.
    HeldOperations,
    /// All request ids.
    Requests,
}

impl Prefix {
    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &Key) -> bool {
        match (self, key) {
            (Prefix::Records, Key::Record(_))
            | (Prefix::Wakes, Key::Wake(_))
            | (Prefix::Waiters, Key::Waiter(..))
            | (Prefix::Replicas, Key::Replica(_))
            | (Prefix::Conflicts, Key::Conflict(_))
            | (Prefix::Scopes, Key::Scope(_))
            | (Prefix::Reminders, Key::Reminder(..))
            | (Prefix::HeldOperations, Key::Held(_))
            | (Prefix::Requests, Key::Request(_)) => true,
            (Prefix::MembersOf(collection), Key::Member(c, _)) => collection == c,
            (Prefix::FieldsOf(record), Key::Field(r, _)) => record == r,
            (Prefix::ElementsOf(record, field), Key::Element(r, f, _)) => record == r && field == f,
            (Prefix::BacklinksOf(target), Key::Backlink(t, _, _)) => target == t,
            (Prefix::ScopesOf(record), Key::Scope(scope)) => *record == scope.record,
            (Prefix::FieldsBetween(first, last), Key::Field(record, _))
            | (Prefix::ElementsBetween(first, last), Key::Element(record, _, _)) => {
                (first..=last).contains(&record)
            }
            (Prefix::ScopesBetween(first, last), Key::Scope(scope)) => {
                (first..=last).contains(&&scope.record)
            }
            (Prefix::WaitersOn(on), Key::Waiter(w, _)) => on == w,
            _ => false,
        }
    }

    /// A key not after any key of the range.
    pub fn start(&self) -> Key {
        let nil = Dot { replica: ReplicaId::SERVER, counter: Counter::NONE };
        let none = "";
        match self {
            Prefix::Records => Key::Record(none.into()),
            Prefix::MembersOf(collection) => Key::Member(collection.clone(), none.into()),
            Prefix::FieldsOf(record) => Key::Field(record.clone(), none.into()),
            Prefix::ElementsOf(record, field) => Key::Element(record.clone(), field.clone(), Hash::default()),
            Prefix::BacklinksOf(target) => Key::Backlink(target.clone(), none.into(), none.into()),
            Prefix::ScopesOf(record) => {
                Key::Scope(Scope { record: record.clone(), part: crate::conflict::ScopePart::Record })
            }
            Prefix::FieldsBetween(first, _) => Key::Field(first.clone(), none.into()),
            Prefix::ElementsBetween(first, _) => Key::Element(first.clone(), none.into(), Hash::default()),
            Prefix::ScopesBetween(first, _) => {
                Key::Scope(Scope { record: first.clone(), part: crate::conflict::ScopePart::Record })
            }
            Prefix::WaitersOn(on) => Key::Waiter(on.clone(), nil),
            Prefix::Waiters => Key::Waiter(WaitOn::Operation(nil), nil),
            Prefix::Wakes => Key::Wake(WaitOn::Operation(nil)),
            Prefix::Replicas => Key::Replica(nil.replica),
            Prefix::Conflicts => Key::Conflict(ConflictId { opened_seq: Seq::START, index: 0 }),
            Prefix::Scopes => {
                Key::Scope(Scope { record: none.into(), part: crate::conflict::ScopePart::Record })
            }
            Prefix::Reminders => Key::Reminder(i64::MIN, ConflictId { opened_seq: Seq::START, index: 0 }),
            Prefix::HeldOperations => Key::Held(nil),
            Prefix::Requests => Key::Request(none.into()),
        }
    }
}
