//! Operations as their authors submit them, and what becomes of them.

use std::sync::Arc;

use super::canonical;
use super::causality::{Counter, Seq};
use super::hash::{Hash, hash};
use super::ids::{CollectionId, ConflictId, Dot, Epoch, FieldId, RecordId};
use super::merge::text::Hunk;
use super::refusal::Refusal;
use super::value::Value;

/// What makes an operation the same one when it is sent again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// Of a client with a replica.
    Dot(Dot),
    /// Of a caller without one; the server gives it a dot of its own replica.
    Request(Arc<str>),
}

/// What the author knew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Knowledge {
    Context(CausalContext),
    /// Everything ordered when the operation settles.
    Latest,
}

/// A causal context as it travels: extras by replica id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CausalContext {
    pub epoch: Epoch,
    pub base_seq: Seq,
    pub extras: Vec<Dot>,
}

/// An atomic list of mutations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub identity: Identity,
    pub knowledge: Knowledge,
    pub mutations: Vec<Mutation>,
    pub depends_on: Vec<Dot>,
    pub await_records: bool,
    pub correlation_id: Arc<str>,
    pub actor: Arc<str>,
    pub client_time_ms: Option<i64>,
    /// Content that no server can accept: it settles as rejected, so that later counters go on.
    pub malformed: Option<Malformed>,
}

/// Why an operation's content cannot be accepted, with a hash of what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    pub refusal: Refusal,
    pub mutation_index: Option<u32>,
    /// BLAKE3-128 of the protobuf encoding of all that was sent.
    pub content_hash: Hash,
}

impl Operation {
    /// Identifies the content: equal for every resubmission, different for any other content.
    pub fn content_hash(&self) -> Hash {
        match &self.malformed {
            Some(malformed) => malformed.content_hash,
            None => hash(&canonical::operation(self)),
        }
    }

    /// Size in storage, about.
    pub fn weight_bytes(&self) -> u64 {
        canonical::operation(self).len() as u64
    }
}

/// One change to one field, one record, or one conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// Empty for actions on a conflict.
    pub collection: CollectionId,
    /// Empty for actions on a conflict.
    pub record: RecordId,
    pub action: Action,
    /// When the field's value was read earlier than the context's base.
    pub observed_seq: Option<Seq>,
    pub resolves: Option<ConflictId>,
}

/// What a mutation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Create {
        fields: Vec<(FieldId, Value)>,
    },
    Delete,
    Restore,
    Set {
        field: FieldId,
        value: Value,
    },
    EditText {
        field: FieldId,
        hunks: Vec<Hunk>,
    },
    ReplaceText {
        field: FieldId,
        text: String,
    },
    Increment {
        field: FieldId,
        by: i64,
    },
    AssignCounter {
        field: FieldId,
        value: i64,
    },
    AddElements {
        field: FieldId,
        elements: Vec<Value>,
    },
    RemoveElements {
        field: FieldId,
        elements: Vec<Value>,
    },
    ClearElements {
        field: FieldId,
    },
    Link {
        field: FieldId,
        target: RecordId,
    },
    /// Without a target: whatever a to-one field links to.
    Unlink {
        field: FieldId,
        target: Option<RecordId>,
    },
    Defer {
        conflict: ConflictId,
        revision: u64,
        remind_at_ms: i64,
    },
    Assign {
        conflict: ConflictId,
        assignee: Arc<str>,
    },
    Reopen {
        conflict: ConflictId,
    },
    /// Only the server: a deferral ran out.
    Remind {
        conflict: ConflictId,
    },
}

impl Action {
    /// The action's name in errors, conflicts and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Create { .. } => "create",
            Action::Delete => "delete",
            Action::Restore => "restore",
            Action::Set { .. } => "set",
            Action::EditText { .. } => "edit_text",
            Action::ReplaceText { .. } => "replace_text",
            Action::Increment { .. } => "increment",
            Action::AssignCounter { .. } => "assign_counter",
            Action::AddElements { .. } => "add_elements",
            Action::RemoveElements { .. } => "remove_elements",
            Action::ClearElements { .. } => "clear_elements",
            Action::Link { .. } => "link",
            Action::Unlink { .. } => "unlink",
            Action::Defer { .. } => "defer_conflict",
            Action::Assign { .. } => "assign_conflict",
            Action::Reopen { .. } => "reopen_conflict",
            Action::Remind { .. } => "remind_conflict",
        }
    }

    /// The field the action is on.
    pub fn field(&self) -> Option<&FieldId> {
        match self {
            Action::Set { field, .. }
            | Action::EditText { field, .. }
            | Action::ReplaceText { field, .. }
            | Action::Increment { field, .. }
            | Action::AssignCounter { field, .. }
            | Action::AddElements { field, .. }
            | Action::RemoveElements { field, .. }
            | Action::ClearElements { field }
            | Action::Link { field, .. }
            | Action::Unlink { field, .. } => Some(field),
            Action::Create { .. }
            | Action::Delete
            | Action::Restore
            | Action::Defer { .. }
            | Action::Assign { .. }
            | Action::Reopen { .. }
            | Action::Remind { .. } => None,
        }
    }
}

/// What became of a submitted operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Absent only when nothing is known of a request id.
    pub dot: Option<Dot>,
    pub request_id: Option<Arc<str>>,
    pub correlation_id: Arc<str>,
    pub outcome: Outcome,
    /// It had settled before this submission.
    pub duplicate: bool,
}

/// An operation's outcome. `Settled` and `Rejected` are terminal and never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Settled {
        seq: Seq,
        settlement: Settlement,
    },
    Rejected(Rejection),
    Held {
        missing: WaitOn,
        expected_counter: Counter,
    },
    /// Neither settled nor stored.
    NotSettled {
        refusal: Option<Refusal>,
        expected_counter: Counter,
    },
}

/// How an accepted operation settled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settlement {
    pub merged: bool,
    /// Conflicts it opened or added to.
    pub conflicts: Vec<ConflictId>,
    /// Conflicts its resolutions did not close, with what they had not seen.
    pub remaining: Vec<(ConflictId, Vec<Seq>)>,
}

/// A final refusal of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    pub refusal: Refusal,
    pub mutation_index: Option<u32>,
}

/// What a held operation waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitOn {
    Operation(Dot),
    Record(RecordId),
}
