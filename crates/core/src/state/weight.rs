//! Roughly how much memory rows and changes take. What is kept in memory is bounded by this, so it may be off by a part
//! and never by a factor that grows with what is kept.

use super::row::{FieldValue, RegisterHead, Row};
use super::text_memory::TextMemory;
use crate::change::Change;
use crate::conflict::Alternative;
use crate::merge::text::Window;
use crate::value::Value;

/// What a row takes beside what it holds: its key, its place in the order of keys, and an allocation.
const ROW_BYTES: usize = 512;
/// What a change takes beside what it weighs on the wire: its places in two orders, its author, its allocations.
const CHANGE_BYTES: usize = 2_048;
/// What an operation takes in the order tree of a text.
const WINDOW_OPERATION_BYTES: usize = 512;
/// A writer, an addition, or the like.
const STAMP_BYTES: usize = 96;
/// An alternative of a conflict beside its value: who wrote it, what that author knew, and names.
const ALTERNATIVE_BYTES: usize = 512;
/// A field in a schema.
const SCHEMA_FIELD_BYTES: usize = 128;

/// What a row takes; one that is known to be absent takes its place.
pub(super) fn of_row(row: Option<&Row>) -> usize {
    let holds = match row {
        Some(Row::Field(field)) => of_field(&field.value) + field.regions.len() * STAMP_BYTES,
        Some(Row::Element(element)) => element.value.weight_bytes() + element.additions.len() * STAMP_BYTES,
        Some(Row::Record(record)) => record.heads.len() * STAMP_BYTES,
        Some(Row::Conflict(conflict)) => {
            let of_alternative = |alternative: &Alternative| {
                ALTERNATIVE_BYTES + alternative.value.as_ref().map_or(0, Value::weight_bytes)
            };
            let alternatives: usize = conflict.alternatives.iter().map(of_alternative).sum();
            let opening: usize =
                conflict.record_at_opening.iter().map(|(_, value)| value.weight_bytes()).sum();
            let base = conflict.base.as_ref().map_or(0, Value::weight_bytes);
            alternatives + opening + base + (conflict.events.len() + conflict.pairs.len()) * STAMP_BYTES
        }
        Some(Row::Held(held)) => {
            usize::try_from(held.weight_bytes).unwrap_or(usize::MAX / 2).saturating_mul(2)
        }
        Some(Row::Schema(schema)) => {
            schema.collections.values().map(|collection| collection.fields.len() * SCHEMA_FIELD_BYTES).sum()
        }
        Some(
            Row::Replica(_)
            | Row::ReplicaNumber(_)
            | Row::Unit
            | Row::Scope(_)
            | Row::Rejection(_)
            | Row::HoldUsage(_)
            | Row::Request(_)
            | Row::Secret(_),
        )
        | None => 0,
    };
    ROW_BYTES.saturating_add(holds)
}

fn of_field(value: &FieldValue) -> usize {
    let of_heads = |heads: &[RegisterHead]| {
        heads.iter().map(|head| head.value.weight_bytes() + STAMP_BYTES).sum::<usize>()
    };
    match value {
        FieldValue::Register(heads) | FieldValue::ToOne(heads) => of_heads(heads),
        FieldValue::Text(text) => text.len(),
        FieldValue::Counter(heads) => heads.len() * STAMP_BYTES,
        FieldValue::Set { count: _ } | FieldValue::ToMany { count: _ } => 0,
    }
}

/// What a change takes.
pub(super) fn of_change(change: &Change) -> usize {
    CHANGE_BYTES + change.weight_bytes()
}

/// What is remembered of a text takes.
pub(super) fn of_text(text: &TextMemory) -> usize {
    ROW_BYTES + text.window.as_ref().map_or(0, Window::op_count) * WINDOW_OPERATION_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Epoch;
    use crate::state::{FieldRow, Key, Prefix, WorkspaceHead, WorkspaceState};
    use crate::unknown::Unknown;

    fn text(bytes: usize) -> Row {
        let value = FieldValue::Text("x".repeat(bytes));
        Row::Field(FieldRow { value, last_seq: 1.into(), regions: Vec::new(), unknown: Unknown::NONE })
    }

    fn key(field: &str) -> Key {
        Key::Field("r".into(), field.into())
    }

    #[test]
    fn what_a_working_set_weighs_follows_what_it_holds() {
        let mut state = WorkspaceState::new(WorkspaceHead::new(Epoch(1)));
        assert_eq!(state.weight_bytes(), 0);
        state.learn_rows([(key("a"), Some(text(10_000))), (key("b"), None)]);
        assert_eq!(state.weight_bytes(), 10_000 + 2 * ROW_BYTES);
        // What is known already stays, and a row that is written again is replaced.
        state.learn_rows([(key("a"), Some(text(50_000)))]);
        state.put(key("a"), Some(text(70)));
        state.put(key("b"), Some(text(30)));
        assert_eq!(state.weight_bytes(), 100 + 2 * ROW_BYTES);
        state.put(key("a"), None);
        state.learn_range(Prefix::Waiters, []);
        assert_eq!(state.weight_bytes(), 30 + 2 * ROW_BYTES);

        state.trim_bytes(0, 0, 0);
        assert_eq!(state.weight_bytes(), 30 + 2 * ROW_BYTES, "what is not written yet is kept");
        state.take_writes();
        state.trim_bytes(30 + 2 * ROW_BYTES, 0, 0);
        assert!(state.knows_row(&key("b")), "it is within its limit");
        state.trim_bytes(30, 0, 0);
        assert_eq!(state.weight_bytes(), 0);
        assert!(!state.knows_row(&key("b")));
    }
}
