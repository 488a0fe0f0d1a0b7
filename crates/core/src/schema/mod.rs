//! What a workspace's records look like, and how their fields merge.

use std::collections::BTreeMap;

use crate::ids::{CollectionId, FieldId};
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
    pub collections: BTreeMap<CollectionId, Collection>,
    /// What a newer version wrote beside it.
    pub unknown: Unknown,
}

/// A collection's fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collection {
    pub fields: BTreeMap<FieldId, Field>,
    /// What a newer version wrote beside it.
    pub unknown: Unknown,
}

/// A field's kind and policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub kind: FieldKind,
    pub provisional: Provisional,
    pub on_clash: OnClash,
    pub on_dominate: OnDominate,
    /// What a newer version wrote beside it.
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

/// What a field is. Ordered lists and trees will be further kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldKind {
    Register,
    Text,
    Counter,
    Set,
    ToOne,
    ToMany,
}

/// Which of several concurrent values is shown until somebody decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provisional {
    Incumbent,
    Latest,
    Min,
    Max,
}

/// What happens on a clash of a register, a counter's base or a to-one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnClash {
    Open,
    Settle,
}

/// What a plain write does that knew every alternative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDominate {
    Keep,
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
        /// Of what.
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
    /// The field's declaration, when there is one.
    pub fn field(&self, collection: &str, field: &str) -> Option<&Field> {
        self.collections.get(collection)?.fields.get(field)
    }

    /// Whether this schema has every collection and field of another one, with the same policies. What a newer version
    /// wrote beside them says nothing here.
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
