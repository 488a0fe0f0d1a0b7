//! Mutations in short.

use pb::record_mutation::Action;
use syncline_protocol::pb;

/// What can stand for a value.
pub trait IntoValue {
    fn into_value(self) -> pb::Value;
}

fn value(kind: pb::value::Kind) -> pb::Value {
    pb::Value { kind: Some(kind) }
}

impl IntoValue for pb::Value {
    fn into_value(self) -> pb::Value {
        self
    }
}

impl IntoValue for &str {
    fn into_value(self) -> pb::Value {
        value(pb::value::Kind::StringValue(self.to_owned()))
    }
}

impl IntoValue for i64 {
    fn into_value(self) -> pb::Value {
        value(pb::value::Kind::IntValue(self))
    }
}

impl IntoValue for f64 {
    fn into_value(self) -> pb::Value {
        value(pb::value::Kind::DoubleValue(self))
    }
}

impl IntoValue for bool {
    fn into_value(self) -> pb::Value {
        value(pb::value::Kind::BoolValue(self))
    }
}

/// Null.
pub fn null() -> pb::Value {
    value(pb::value::Kind::NullValue(pb::Null {}))
}

/// `levels` lists around null.
pub fn nested(levels: usize) -> pb::Value {
    (0..levels)
        .fold(null(), |inner, _| value(pb::value::Kind::ListValue(pb::ListValue { values: vec![inner] })))
}

/// A record that mutations are about.
#[derive(Debug, Clone)]
pub struct On {
    collection_id: String,
    record_id: String,
}

/// The record of this id in this collection.
pub fn on(collection_id: &str, record_id: &str) -> On {
    On { collection_id: collection_id.to_owned(), record_id: record_id.to_owned() }
}

/// A card.
pub fn card(record_id: &str) -> On {
    on("cards", record_id)
}

/// A person.
pub fn person(record_id: &str) -> On {
    on("people", record_id)
}

impl On {
    pub fn mutation(&self, action: Action) -> pb::Mutation {
        pb::RecordMutation {
            collection_id: self.collection_id.clone(),
            record_id: self.record_id.clone(),
            action: Some(action),
            ..Default::default()
        }
        .into()
    }

    pub fn create(&self) -> pb::Mutation {
        self.mutation(Action::CreateRecord(pb::CreateRecord::default()))
    }

    pub fn create_with<const N: usize>(&self, fields: [(&str, pb::Value); N]) -> pb::Mutation {
        let fields = fields.into_iter().map(|(id, value)| (id.to_owned(), value)).collect();
        self.mutation(Action::CreateRecord(pb::CreateRecord { fields, replace_deleted: false }))
    }

    pub fn delete(&self) -> pb::Mutation {
        self.mutation(Action::DeleteRecord(pb::DeleteRecord {}))
    }

    pub fn restore(&self) -> pb::Mutation {
        self.mutation(Action::RestoreRecord(pb::RestoreRecord {}))
    }

    pub fn set(&self, field: &str, value: impl IntoValue) -> pb::Mutation {
        let value = Some(value.into_value());
        self.mutation(Action::SetField(pb::SetField { field_id: field.to_owned(), value }))
    }

    /// Hunks: position, characters deleted, text inserted.
    pub fn edit(&self, field: &str, hunks: &[(u32, u32, &str)]) -> pb::Mutation {
        let hunk = |&(position, delete_count, insert): &(u32, u32, &str)| pb::TextHunk {
            position,
            delete_count,
            insert: insert.to_owned(),
        };
        let hunks = hunks.iter().map(hunk).collect();
        self.mutation(Action::EditText(pb::EditText { field_id: field.to_owned(), hunks }))
    }

    pub fn replace(&self, field: &str, text: &str) -> pb::Mutation {
        let text = text.to_owned();
        self.mutation(Action::ReplaceText(pb::ReplaceText { field_id: field.to_owned(), text }))
    }

    pub fn decide(&self, field: &str, choice: pb::decide_text::Choice) -> pb::Mutation {
        self.mutation(Action::DecideText(pb::DecideText { field_id: field.to_owned(), choice: Some(choice) }))
    }

    pub fn increment(&self, field: &str, by: i64) -> pb::Mutation {
        self.mutation(Action::IncrementCounter(pb::IncrementCounter { field_id: field.to_owned(), by }))
    }

    pub fn assign(&self, field: &str, value: i64) -> pb::Mutation {
        self.mutation(Action::AssignCounter(pb::AssignCounter { field_id: field.to_owned(), value }))
    }

    pub fn add(&self, field: &str, elements: Vec<pb::Value>) -> pb::Mutation {
        self.mutation(Action::AddElements(pb::AddElements { field_id: field.to_owned(), elements }))
    }

    pub fn remove(&self, field: &str, elements: Vec<pb::Value>) -> pb::Mutation {
        self.mutation(Action::RemoveElements(pb::RemoveElements { field_id: field.to_owned(), elements }))
    }

    pub fn clear(&self, field: &str) -> pb::Mutation {
        self.mutation(Action::ClearElements(pb::ClearElements { field_id: field.to_owned() }))
    }

    pub fn link(&self, field: &str, target: &str) -> pb::Mutation {
        let target_record_id = target.to_owned();
        self.mutation(Action::LinkRecord(pb::LinkRecord { field_id: field.to_owned(), target_record_id }))
    }

    pub fn unlink(&self, field: &str, target: &str) -> pb::Mutation {
        let target_record_id = Some(target.to_owned());
        self.mutation(Action::UnlinkRecord(pb::UnlinkRecord { field_id: field.to_owned(), target_record_id }))
    }
}

/// A mutation on a conflict.
pub fn on_conflict(conflict_id: &str, action: pb::conflict_mutation::Action) -> pb::Mutation {
    pb::ConflictMutation { conflict_id: conflict_id.to_owned(), action: Some(action) }.into()
}

/// Puts a conflict aside.
pub fn defer(conflict_id: &str, revision: u64, remind_time: prost_types::Timestamp) -> pb::Mutation {
    let defer = pb::DeferConflict { revision, remind_time: Some(remind_time) };
    on_conflict(conflict_id, pb::conflict_mutation::Action::Defer(defer))
}

/// Assigns a conflict to the person who is to decide it.
pub fn assign(conflict_id: &str, assignee: &str) -> pb::Mutation {
    let assign = pb::AssignConflict { assignee: Some(assignee.to_owned()) };
    on_conflict(conflict_id, pb::conflict_mutation::Action::Assign(assign))
}

/// Opens a conflict again.
pub fn reopen(conflict_id: &str) -> pb::Mutation {
    on_conflict(conflict_id, pb::conflict_mutation::Action::Reopen(pb::ReopenConflict {}))
}

/// The change to a record that a mutation is.
#[track_caller]
pub fn record_part(mutation: pb::Mutation) -> pb::RecordMutation {
    match mutation.mutation {
        Some(pb::mutation::Mutation::Record(mutation)) => mutation,
        other => panic!("no change to a record: {other:?}"),
    }
}

/// The mutation as a resolution of a conflict.
pub fn resolving(mutation: pb::Mutation, conflict_id: &str) -> pb::Mutation {
    let resolves_conflict_id = Some(conflict_id.to_owned());
    pb::RecordMutation { resolves_conflict_id, ..record_part(mutation) }.into()
}

/// The mutation with an earlier reading of its field.
pub fn observed(mutation: pb::Mutation, seq: u64) -> pb::Mutation {
    pb::RecordMutation { observed_seq: Some(seq), ..record_part(mutation) }.into()
}
