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
    /// The chain at `base_seq`, where the author kept it: tells whether the history it knew is still there. It is
    /// looked at when the operation arrives; changes and conflicts leave it out.
    pub base_chain: Option<Hash>,
    pub extras: Vec<Dot>,
}

impl CausalContext {
    /// Everything up to a position, and nothing else.
    pub fn at(epoch: Epoch, base_seq: Seq) -> CausalContext {
        CausalContext { epoch, base_seq, base_chain: None, extras: Vec::new() }
    }

    /// The context as changes and conflicts keep it.
    pub fn without_chain(self) -> CausalContext {
        CausalContext { base_chain: None, ..self }
    }
}

/// An atomic list of mutations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub identity: Identity,
    pub knowledge: Knowledge,
    pub mutations: Vec<Mutation>,
    pub depends_on: Vec<Dot>,
    /// The author's own earlier request ids that it knew beyond its context. Only of callers without a replica.
    pub after_requests: Vec<Arc<str>>,
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

/// One change, to a record or to a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mutation {
    Record(RecordMutation),
    Conflict(ConflictMutation),
}

impl Mutation {
    /// The change to a record, when it is one.
    pub fn on_record(&self) -> Option<&RecordMutation> {
        match self {
            Mutation::Record(mutation) => Some(mutation),
            Mutation::Conflict(_) => None,
        }
    }

    /// The conflict it decides.
    pub fn resolves(&self) -> Option<ConflictId> {
        self.on_record().and_then(|mutation| mutation.resolves)
    }
}

impl From<RecordMutation> for Mutation {
    fn from(mutation: RecordMutation) -> Mutation {
        Mutation::Record(mutation)
    }
}

impl From<ConflictMutation> for Mutation {
    fn from(mutation: ConflictMutation) -> Mutation {
        Mutation::Conflict(mutation)
    }
}

/// One change to a record or to one of its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordMutation {
    pub collection: CollectionId,
    pub record: RecordId,
    pub action: Action,
    /// When the field's value was read earlier than the context's base.
    pub observed_seq: Option<Seq>,
    pub resolves: Option<ConflictId>,
}

/// One change to a conflict that does not touch its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictMutation {
    pub conflict: ConflictId,
    pub action: ConflictAction,
}

/// What a mutation does to a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConflictAction {
    Defer {
        /// The revision the decision was made on.
        revision: u64,
        remind_at_ms: i64,
    },
    Assign {
        /// Nobody: the assignment is taken back.
        assignee: Option<Arc<str>>,
    },
    Reopen,
    /// Only the server: a deferral ran out.
    Remind,
}

/// What a mutation does to a record.
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
}

/// What kind of thing a mutation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MutationKind {
    CreateRecord,
    DeleteRecord,
    RestoreRecord,
    SetField,
    EditText,
    ReplaceText,
    IncrementCounter,
    AssignCounter,
    AddElements,
    RemoveElements,
    ClearElements,
    LinkRecord,
    UnlinkRecord,
    DeferConflict,
    AssignConflict,
    ReopenConflict,
    RemindConflict,
}

impl MutationKind {
    /// The kind in words, as it stands in errors, conflicts and logs: the names of the protocol.
    pub fn name(self) -> &'static str {
        match self {
            MutationKind::CreateRecord => "create_record",
            MutationKind::DeleteRecord => "delete_record",
            MutationKind::RestoreRecord => "restore_record",
            MutationKind::SetField => "set_field",
            MutationKind::EditText => "edit_text",
            MutationKind::ReplaceText => "replace_text",
            MutationKind::IncrementCounter => "increment_counter",
            MutationKind::AssignCounter => "assign_counter",
            MutationKind::AddElements => "add_elements",
            MutationKind::RemoveElements => "remove_elements",
            MutationKind::ClearElements => "clear_elements",
            MutationKind::LinkRecord => "link_record",
            MutationKind::UnlinkRecord => "unlink_record",
            MutationKind::DeferConflict => "defer_conflict",
            MutationKind::AssignConflict => "assign_conflict",
            MutationKind::ReopenConflict => "reopen_conflict",
            MutationKind::RemindConflict => "remind_conflict",
        }
    }
}

impl Action {
    /// The action's name in the protocol, in errors, conflicts and logs.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// What kind of action it is.
    pub fn kind(&self) -> MutationKind {
        match self {
            Action::Create { .. } => MutationKind::CreateRecord,
            Action::Delete => MutationKind::DeleteRecord,
            Action::Restore => MutationKind::RestoreRecord,
            Action::Set { .. } => MutationKind::SetField,
            Action::EditText { .. } => MutationKind::EditText,
            Action::ReplaceText { .. } => MutationKind::ReplaceText,
            Action::Increment { .. } => MutationKind::IncrementCounter,
            Action::AssignCounter { .. } => MutationKind::AssignCounter,
            Action::AddElements { .. } => MutationKind::AddElements,
            Action::RemoveElements { .. } => MutationKind::RemoveElements,
            Action::ClearElements { .. } => MutationKind::ClearElements,
            Action::Link { .. } => MutationKind::LinkRecord,
            Action::Unlink { .. } => MutationKind::UnlinkRecord,
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
            Action::Create { .. } | Action::Delete | Action::Restore => None,
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

/// An operation's outcome. `Accepted` and `Rejected` are terminal and never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Accepted {
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
        /// Unknown when nothing was submitted.
        refusal: Option<Refusal>,
        mutation_index: Option<u32>,
        expected_counter: Counter,
    },
}

impl Outcome {
    /// Whether it is terminal: it will never be another.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Outcome::Accepted { .. } | Outcome::Rejected(_))
    }
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
