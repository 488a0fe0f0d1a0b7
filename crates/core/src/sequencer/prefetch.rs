//! What an operation will surely read: loaded for a whole batch in one go. Anything missed here is asked for later.

use crate::ids::{Dot, ReplicaId};
use crate::operation::{Action, Identity, Knowledge, Mutation, Operation};
use crate::state::Key;

/// Keys of rows that settling `operation` reads.
pub fn prefetch_keys(operation: &Operation) -> Vec<Key> {
    let mut keys = vec![Key::Schema, Key::Secret, Key::HoldUsage(None)];
    match &operation.identity {
        Identity::Dot(dot) => keys.push(Key::Replica(dot.replica)),
        Identity::Request(id) => {
            keys.push(Key::Request(id.clone()));
            keys.push(Key::Replica(ReplicaId::SERVER));
        }
    }
    let extras: &[Dot] = match &operation.knowledge {
        Knowledge::Context(context) => &context.extras,
        Knowledge::Latest => &[],
    };
    keys.extend(extras.iter().chain(&operation.depends_on).map(|dot| Key::Replica(dot.replica)));
    keys.extend(operation.after_requests.iter().cloned().map(Key::Request));
    for mutation in operation.mutations.iter().filter_map(Mutation::on_record) {
        keys.push(Key::Record(mutation.record.clone()));
        if let Some(field) = mutation.action.field() {
            keys.push(Key::Field(mutation.record.clone(), field.clone()));
        }
        match &mutation.action {
            Action::Link { target, .. } => keys.push(Key::Record(target.clone())),
            Action::AddElements { field, elements } | Action::RemoveElements { field, elements } => {
                keys.extend(elements.iter().map(|element| {
                    Key::Element(mutation.record.clone(), field.clone(), element.element_hash())
                }));
            }
            _ => {}
        }
        keys.extend(mutation.resolves.map(Key::Conflict));
    }
    keys
}
