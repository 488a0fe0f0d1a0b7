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
    /// The dot, from a client with a replica.
    Dot(Dot),
    /// The request id, from a caller without a replica; the server gives it a dot of its own replica.
    Request(Arc<str>),
}

/// What the author knew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Knowledge {
    /// What the context says.
    Context(CausalContext),
    /// Everything that has a position when the operation settles.
    Latest,
}

/// A causal context as it is sent, with extras by replica id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CausalContext {
    /// The history that the positions are of.
    pub epoch: Epoch,
    /// The author knew every operation up to and including this position.
    pub base_seq: Seq,
    /// The chain at `base_seq`, if the author kept it. It shows whether the history that the author knew is still
    /// there. It is checked when the operation arrives; changes and conflicts leave it out.
    pub base_chain: Option<Hash>,
    /// What the author knew beyond the base, at most one dot for each replica.
    pub extras: Vec<Dot>,
}

impl CausalContext {
    /// A context of everything up to a position, and nothing else.
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
    /// What makes it the same operation when it is sent again.
    pub identity: Identity,
    /// What its author knew.
    pub knowledge: Knowledge,
    /// What it does, in this order: all of it or nothing.
    pub mutations: Vec<Mutation>,
    /// Further operations that it needs: it is held until they settle, and rejected if one of them is rejected.
    pub depends_on: Vec<Dot>,
    /// Earlier request ids of the author that it knew beyond its context. Only callers without a replica have them.
    pub after_requests: Vec<Arc<str>>,
    /// Whether it is held until its records exist, instead of being rejected at once.
    pub await_records: bool,
    /// Ties it to what caused it elsewhere. Empty for none.
    pub correlation_id: Arc<str>,
    /// The person or program on whose behalf it is written. Empty for none.
    pub actor: Arc<str>,
    /// The author's clock, in milliseconds since the Unix epoch.
    pub client_time_ms: Option<i64>,
    /// Content that no server can accept: it settles as rejected, so that later counters go on.
    pub malformed: Option<Malformed>,
}

/// Why an operation's content cannot be accepted, with a hash of what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong.
    pub refusal: Refusal,
    /// The mutation that is wrong; none when it is the operation as a whole.
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

    /// Approximate size in storage, in bytes.
    pub fn weight_bytes(&self) -> u64 {
        canonical::operation(self).len() as u64
    }
}

/// One change, to a record or to a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mutation {
    /// A change to a record or to one of its fields.
    Record(RecordMutation),
    /// A change to a conflict that does not touch its record.
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
    /// The collection that the record belongs to.
    pub collection: CollectionId,
    /// The record that changes, or that a create makes.
    pub record: RecordId,
    /// What is done to it.
    pub action: Action,
    /// The position at which the field's value was read, if that was before the context's base.
    pub observed_seq: Option<Seq>,
    /// The conflict that the mutation decides; none for a plain edit.
    pub resolves: Option<ConflictId>,
}

/// One change to a conflict that does not touch its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictMutation {
    /// The conflict that changes.
    pub conflict: ConflictId,
    /// What is done to it.
    pub action: ConflictAction,
}

/// What a mutation does to a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConflictAction {
    /// Puts the conflict aside until a time.
    Defer {
        /// The revision the decision was made on.
        revision: u64,
        /// When it opens again by itself, in milliseconds since the Unix epoch.
        remind_at_ms: i64,
    },
    /// Assigns the conflict, or takes its assignment back.
    Assign {
        /// Who is to decide it; with nobody, the assignment is taken back.
        assignee: Option<Arc<str>>,
    },
    /// Opens a closed conflict again.
    Reopen,
    /// A deferral has run out. Only the server makes this.
    Remind,
}

/// What a mutation does to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Creates the record.
    Create {
        /// Initial values of its fields.
        fields: Vec<(FieldId, Value)>,
        /// If the record is deleted, and the author knew that, it is there again without what it had.
        replace_deleted: bool,
    },
    /// Deletes the record.
    Delete,
    /// Brings the deleted record back as it was.
    Restore,
    /// Assigns a register.
    Set {
        /// The field.
        field: FieldId,
        /// Its new value.
        value: Value,
    },
    /// Edits a text by position.
    EditText {
        /// The field.
        field: FieldId,
        /// What is replaced, in positions of the text that the author saw.
        hunks: Vec<Hunk>,
    },
    /// Replaces a text as a whole; the server works out what that changes.
    ReplaceText {
        /// The field.
        field: FieldId,
        /// The new text.
        text: String,
    },
    /// Decides the conflict of a text that the mutation names: puts what is chosen in the place of the conflict's region,
    /// wherever that is by now.
    DecideText {
        /// The field.
        field: FieldId,
        /// What is chosen.
        choice: TextChoice,
    },
    /// Adds to a counter.
    Increment {
        /// The field.
        field: FieldId,
        /// What is added; may be negative.
        by: i64,
    },
    /// Gives a counter a value.
    AssignCounter {
        /// The field.
        field: FieldId,
        /// The value; increments that the author did not know are added to it.
        value: i64,
    },
    /// Adds elements to a set.
    AddElements {
        /// The field.
        field: FieldId,
        /// What is added.
        elements: Vec<Value>,
    },
    /// Removes elements from a set.
    RemoveElements {
        /// The field.
        field: FieldId,
        /// What is removed; additions that the author did not know stay.
        elements: Vec<Value>,
    },
    /// Removes every element that the author knew from a set or a to-many field.
    ClearElements {
        /// The field.
        field: FieldId,
    },
    /// Links to a record.
    Link {
        /// The field.
        field: FieldId,
        /// The record it links to.
        target: RecordId,
    },
    /// Removes a link; without a target, whatever a to-one field links to.
    Unlink {
        /// The field.
        field: FieldId,
        /// The record it no longer links to.
        target: Option<RecordId>,
    },
}

/// What a decision puts in the place of a text's region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextChoice {
    /// The version of the alternative at this position.
    Alternative(Seq),
    /// What all sides started from.
    Base,
    /// What is shown there now.
    Current,
    /// This text.
    Text(String),
}

/// What kind of thing a mutation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MutationKind {
    /// Creates a record, with initial values of its fields.
    CreateRecord,
    /// Deletes a record; its fields are kept for a restore.
    DeleteRecord,
    /// Brings a deleted record back as it was.
    RestoreRecord,
    /// Assigns a register.
    SetField,
    /// Edits a text by position.
    EditText,
    /// Replaces a text as a whole.
    ReplaceText,
    /// Decides a conflict of a text.
    DecideText,
    /// Adds to a counter.
    IncrementCounter,
    /// Gives a counter a value.
    AssignCounter,
    /// Adds elements to a set.
    AddElements,
    /// Removes elements from a set.
    RemoveElements,
    /// Removes every element that the author knew from a set or a to-many field.
    ClearElements,
    /// Links a to-one or to-many field to a record.
    LinkRecord,
    /// Takes a link out of a to-one or to-many field.
    UnlinkRecord,
    /// Puts a conflict aside until a time.
    DeferConflict,
    /// Assigns a conflict, or takes its assignment back.
    AssignConflict,
    /// Opens a closed conflict again.
    ReopenConflict,
    /// Opens a deferred conflict again when its time has come; only the server makes it.
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
            MutationKind::DecideText => "decide_text",
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
            Action::DecideText { .. } => MutationKind::DecideText,
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
            | Action::DecideText { field, .. }
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
    /// The identity that a caller without a replica gave the operation.
    pub request_id: Option<Arc<str>>,
    /// As submitted. Empty for none.
    pub correlation_id: Arc<str>,
    /// What became of it.
    pub outcome: Outcome,
    /// It had settled before this submission.
    pub duplicate: bool,
}

/// An operation's outcome. `Accepted` and `Rejected` are terminal and never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was accepted.
    Accepted {
        /// Its position.
        seq: Seq,
        /// How it settled.
        settlement: Settlement,
    },
    /// It was refused for good.
    Rejected(Rejection),
    /// It is stored until what it misses has settled.
    Held {
        /// What it waits for.
        missing: WaitOn,
        /// The counter that the server expects next from its replica.
        expected_counter: Counter,
    },
    /// Neither settled nor stored.
    NotSettled {
        /// Why; none if nothing was submitted.
        refusal: Option<Refusal>,
        /// The mutation that is to blame, counted from 0; none when it is the operation as a whole.
        mutation_index: Option<u32>,
        /// The counter that the server expects next from its replica.
        expected_counter: Counter,
    },
}

impl Outcome {
    /// Whether it is terminal: it will never change.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Outcome::Accepted { .. } | Outcome::Rejected(_))
    }
}

/// How an accepted operation settled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settlement {
    /// Whether changes that its author did not know touched the same places.
    pub merged: bool,
    /// Conflicts it opened or added to.
    pub conflicts: Vec<ConflictId>,
    /// Conflicts its resolutions did not close, with what they had not seen.
    pub remaining: Vec<(ConflictId, Vec<Seq>)>,
}

/// A final refusal of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Why it was refused.
    pub refusal: Refusal,
    /// The mutation it was refused for; none when it is the operation as a whole.
    pub mutation_index: Option<u32>,
}

/// What a held operation waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitOn {
    /// An operation that has not settled.
    Operation(Dot),
    /// A record that does not exist.
    Record(RecordId),
}
