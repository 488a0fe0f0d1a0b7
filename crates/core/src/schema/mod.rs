//! What a workspace's records look like, and how their fields merge.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{CollectionId, FieldId};
use crate::limits::SCHEMA_ENTRY_BYTES;
use crate::unknown::Unknown;

mod update;
mod words;

#[cfg(test)]
mod tests;

pub use update::{
    CollectionUpdate, FieldUpdate, PolicyDifference, SchemaDifference, SchemaUpdate, UpdatedSchema,
};
pub use words::SchemaWord;

/// A workspace's schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    /// Refuse unknown collections and fields; otherwise the first settled mutation fixes a field's kind.
    pub strict: bool,
    /// Counts up with every change.
    pub version: u64,
    /// The collections that are declared or were derived from what was written, by name. A schema that differs in one of them
    /// shares the others.
    pub collections: BTreeMap<CollectionId, Arc<Collection>>,
    /// Fields that a newer version wrote and this one does not know.
    pub unknown: Unknown,
}

/// A collection's fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collection {
    /// The fields of its records, by name.
    pub fields: BTreeMap<FieldId, Field>,
    /// Fields that a newer version wrote and this one does not know.
    pub unknown: Unknown,
}

/// A field's kind and policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// How concurrent edits of it merge; it never changes.
    pub kind: FieldKind,
    /// Which of several concurrent values is shown until somebody decides.
    pub provisional: Provisional,
    /// What becomes of a clash: a conflict that waits for a decision, or one that is settled at once.
    pub on_clash: OnClash,
    /// What becomes of a conflict when a plain write knew every alternative.
    pub on_dominate: OnDominate,
    /// Fields that a newer version wrote and this one does not know.
    pub unknown: Unknown,
}

impl Field {
    /// A field of `kind` with the default policies.
    pub fn of(kind: FieldKind) -> Field {
        Field {
            kind,
            provisional: Provisional::Incumbent,
            on_clash: OnClash::Open,
            on_dominate: OnDominate::Keep,
            unknown: Unknown::NONE,
        }
    }
}

impl Field {
    fn is_declared_as(&self, other: &Field) -> bool {
        let Field { kind, provisional, on_clash, on_dominate, unknown: _ } = other;
        (self.kind, self.provisional, self.on_clash, self.on_dominate)
            == (*kind, *provisional, *on_clash, *on_dominate)
    }
}

/// The kind of a field. Ordered lists and trees will be further kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldKind {
    /// One value, replaced as a whole; concurrent writes of different values clash.
    Register,
    /// A text; concurrent edits merge by position, and clash where they change the same part.
    Text,
    /// A whole number; concurrent additions add up.
    Counter,
    /// A set of scalar values; concurrent edits merge.
    Set,
    /// A link to at most one record; concurrent links to different records clash.
    ToOne,
    /// Links to any number of records; concurrent edits merge.
    ToMany,
}

/// Which of several concurrent values is shown until somebody decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provisional {
    /// The value whose lineage is the oldest: the one that was there first.
    Incumbent,
    /// The value that is the last one in the order.
    Latest,
    /// The smallest value; the incumbent where the values cannot be compared.
    Min,
    /// The greatest value; the incumbent where the values cannot be compared.
    Max,
}

/// What happens on a clash of a register, a counter's base or a to-one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnClash {
    /// A conflict opens and waits in the inbox for a decision.
    Open,
    /// A conflict is recorded with all sides, and settled at once by the provisional rule.
    Settle,
}

/// What becomes of a conflict when a plain write knew every alternative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDominate {
    /// The conflict stays until somebody decides it.
    Keep,
    /// The conflict closes as superseded, and the write stands.
    Supersede,
}

/// Why a schema change was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A field has a kind already, and another one is asked for.
    #[error(
        "field {collection}.{field} is a {kind} and stays one; add a field with another name",
        kind = kind.word()
    )]
    KindChange {
        /// The field's collection.
        collection: CollectionId,
        /// The field.
        field: FieldId,
        /// The kind it has.
        kind: FieldKind,
    },
    /// There would be more than a schema may have.
    #[error("more than the allowed {limit} {what}")]
    TooMany {
        /// What there would be too many of.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// The update was made for another version of the schema.
    #[error("the schema has version {version} now; read it again and decide again")]
    VersionChanged {
        /// The version the schema has.
        version: u64,
    },
}

impl Schema {
    /// What the schema's names and entries weigh, for [`SCHEMA_BYTES_MAX`].
    pub fn weight_bytes(&self) -> usize {
        let entry = |id: &str| id.len() + SCHEMA_ENTRY_BYTES;
        let of_fields =
            |collection: &Arc<Collection>| collection.fields.keys().map(|id| entry(id)).sum::<usize>();
        self.collections.iter().map(|(id, collection)| entry(id) + of_fields(collection)).sum()
    }

    /// The field's declaration, when there is one.
    pub fn field(&self, collection: &str, field: &str) -> Option<&Field> {
        self.collections.get(collection)?.fields.get(field)
    }

    /// Whether this schema has every collection and field of another one, with the same policies. Fields that only a
    /// newer version knows do not count.
    pub fn has_all(&self, declared: &Schema) -> bool {
        declared.collections.iter().all(|(id, collection)| {
            self.collections.get(id).is_some_and(|there| {
                let has = |(field, spec): (&FieldId, &Field)| {
                    there.fields.get(field).is_some_and(|known| known.is_declared_as(spec))
                };
                collection.fields.iter().all(has)
            })
        })
    }
}
