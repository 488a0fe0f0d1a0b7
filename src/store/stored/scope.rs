//! The conflicts of a place: rewritten when one opens, changes or closes.

use super::message::{Fault, Kind, Message, Nested, Reader, Text, choice, message};
use syncline_core::conflict::{Scope, ScopePart};
use syncline_core::ids::{ConflictId, FieldId, RecordId};
use syncline_core::state::ScopeRow;

message! { ScopeRow, keeps unknown {
    1 live: opt Nested,
    2 last: opt Nested,
} }

message! { Scope, closed {
    1 record: one Text,
    2 part: need Nested,
} }

impl Message for ScopePart {
    const NAME: &'static str = "ScopePart";

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            ScopePart::Record => Part::Record {}.put(out),
            ScopePart::Field(field) => Part::Field { field: field.clone() }.put(out),
            ScopePart::Link(field, target) => {
                Part::Link { field: field.clone(), target: target.clone() }.put(out);
            }
            ScopePart::Region(field, conflict) => {
                Part::Region { field: field.clone(), conflict: *conflict }.put(out);
            }
        }
    }

    fn get(reader: Reader<'_>) -> Result<Self, Fault> {
        Ok(match Part::get(reader)? {
            Part::Record {} => ScopePart::Record,
            Part::Field { field } => ScopePart::Field(field),
            Part::Link { field, target } => ScopePart::Link(field, target),
            Part::Region { field, conflict } => ScopePart::Region(field, conflict),
        })
    }
}

/// [`ScopePart`] with names.
enum Part {
    Record {},
    Field { field: FieldId },
    Link { field: FieldId, target: RecordId },
    Region { field: FieldId, conflict: ConflictId },
}

choice! { Part {
    1 Record {},
    2 Field { 1 field: one Text },
    3 Link { 1 field: one Text, 2 target: one Text },
    4 Region { 1 field: one Text, 2 conflict: need Nested },
} }
