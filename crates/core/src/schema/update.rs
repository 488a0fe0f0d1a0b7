//! Updates of a schema: an update adds and changes, and what it does not mention stays as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Collection, Field, FieldKind, OnClash, OnDominate, Provisional, Schema, SchemaError};
use crate::fault;
use crate::ids::{CollectionId, FieldId};
use crate::limits::{COLLECTIONS_MAX, FIELDS_PER_COLLECTION_MAX, SCHEMA_BYTES_MAX, SCHEMA_ENTRY_BYTES};

/// What somebody asks a schema to become. What is absent stays as it is; what is new gets the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaUpdate {
    /// Whether undeclared collections and fields are refused.
    pub strict: Option<bool>,
    /// Collections to declare, and those whose fields are added to or changed.
    pub collections: BTreeMap<CollectionId, CollectionUpdate>,
}

/// What somebody asks a collection to become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectionUpdate {
    /// Fields to declare or to change.
    pub fields: BTreeMap<FieldId, FieldUpdate>,
}

/// What somebody asks a field to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldUpdate {
    /// Its kind, which has to be the kind it has if it is declared already.
    pub kind: FieldKind,
    /// Which of several concurrent values is shown.
    pub provisional: Option<Provisional>,
    /// What happens on a clash.
    pub on_clash: Option<OnClash>,
    /// What becomes of a conflict when a plain write knew every alternative.
    pub on_dominate: Option<OnDominate>,
}

impl FieldUpdate {
    /// An update of a field of `kind` that says nothing about its policies.
    pub fn of(kind: FieldKind) -> FieldUpdate {
        FieldUpdate { kind, provisional: None, on_clash: None, on_dominate: None }
    }
}

impl SchemaUpdate {
    /// Declares one field and says nothing about its policies.
    pub fn declaring(collection: CollectionId, field: FieldId, kind: FieldKind) -> SchemaUpdate {
        let fields = [(field, FieldUpdate::of(kind))].into();
        SchemaUpdate { strict: None, collections: [(collection, CollectionUpdate { fields })].into() }
    }
}

/// An update that spells out the whole schema. Applied to any schema that allows it, it adds all of this one.
impl From<&Schema> for SchemaUpdate {
    fn from(schema: &Schema) -> SchemaUpdate {
        let Schema { strict, version: _, collections, unknown: _ } = schema;
        let field_update = |field: &Field| {
            let Field { kind, provisional, on_clash, on_dominate, unknown: _ } = field;
            FieldUpdate {
                kind: *kind,
                provisional: Some(*provisional),
                on_clash: Some(*on_clash),
                on_dominate: Some(*on_dominate),
            }
        };
        let collection_update = |collection: &Collection| CollectionUpdate {
            fields: collection.fields.iter().map(|(id, field)| (id.clone(), field_update(field))).collect(),
        };
        SchemaUpdate {
            strict: Some(*strict),
            collections: collections
                .iter()
                .map(|(id, collection)| (id.clone(), collection_update(collection)))
                .collect(),
        }
    }
}

/// One thing that an update changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaDifference {
    /// Whether undeclared collections and fields are refused.
    Strict {
        /// Whether they were refused so far.
        before: bool,
        /// Whether they are refused from now on.
        after: bool,
    },
    /// A collection is declared.
    Collection {
        /// The collection that is new.
        collection: CollectionId,
    },
    /// A field is declared.
    Field {
        /// The collection that the field is in.
        collection: CollectionId,
        /// The field that is new.
        field: FieldId,
        /// The kind that it gets for good.
        kind: FieldKind,
    },
    /// A policy of a field changes. A field that is newly declared has a difference for each policy that is not the
    /// default.
    Policy {
        /// The collection that the field is in.
        collection: CollectionId,
        /// The field whose policy it is.
        field: FieldId,
        /// Which policy, and how it differs.
        policy: PolicyDifference,
    },
}

/// How a policy of a field differs. `before` is absent for a field that was not declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyDifference {
    /// Which of several concurrent values is shown.
    Provisional {
        /// The rule so far; none for a field that was not declared.
        before: Option<Provisional>,
        /// The rule from now on.
        after: Provisional,
    },
    /// What happens on a clash.
    OnClash {
        /// The rule so far; none for a field that was not declared.
        before: Option<OnClash>,
        /// The rule from now on.
        after: OnClash,
    },
    /// What becomes of a conflict when a plain write knew every alternative.
    OnDominate {
        /// The rule so far; none for a field that was not declared.
        before: Option<OnDominate>,
        /// The rule from now on.
        after: OnDominate,
    },
}

/// A schema as an update leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdatedSchema {
    /// The whole schema; its version counts up if anything is different.
    pub schema: Schema,
    /// What is different, the schema's own settings first, then by collection and field; empty if nothing is.
    pub differences: Vec<SchemaDifference>,
}

impl Schema {
    /// The schema as the update leaves it. A field's kind never changes, and nothing is removed.
    pub fn updated(&self, update: &SchemaUpdate) -> Result<UpdatedSchema, SchemaError> {
        let SchemaUpdate { strict, collections } = update;
        let mut next = self.clone();
        let mut differences = Vec::new();
        let after = strict.unwrap_or(!fault!(UpdateResetsAbsent) && self.strict);
        if after != self.strict {
            next.strict = after;
            differences.push(SchemaDifference::Strict { before: self.strict, after });
        }
        for (collection, CollectionUpdate { fields }) in collections {
            let declared = next.collections.entry(collection.clone()).or_insert_with(|| {
                differences.push(SchemaDifference::Collection { collection: collection.clone() });
                Arc::default()
            });
            let declared = Arc::make_mut(declared);
            for (field, field_update) in fields {
                let before = declared.fields.get(field);
                let after = updated_field(before, collection, field, field_update, &mut differences)?;
                declared.fields.insert(field.clone(), after);
            }
            if declared.fields.len() > FIELDS_PER_COLLECTION_MAX {
                return Err(SchemaError::TooMany { what: "fields", limit: FIELDS_PER_COLLECTION_MAX });
            }
        }
        if next.collections.len() > COLLECTIONS_MAX {
            return Err(SchemaError::TooMany { what: "collections", limit: COLLECTIONS_MAX });
        }
        if !differences.is_empty() && next.weight_bytes() > SCHEMA_BYTES_MAX {
            return Err(SchemaError::TooMany { what: "bytes of names and fields", limit: SCHEMA_BYTES_MAX });
        }
        if !differences.is_empty() {
            next.version += 1;
        }
        Ok(UpdatedSchema { schema: next, differences })
    }

    /// Declares a field that is not declared yet, with the default policies, and counts the version up. `weight_bytes` is what
    /// the schema weighs, and is kept up to date: only the first field of an operation has to weigh the whole.
    pub(crate) fn derive(
        &mut self,
        weight_bytes: &mut usize,
        collection: &CollectionId,
        field: &FieldId,
        kind: FieldKind,
    ) -> Result<(), SchemaError> {
        let there = self.collections.get(collection);
        let is_new = there.is_none();
        let added = SCHEMA_ENTRY_BYTES + field.len();
        let added = added + if is_new { SCHEMA_ENTRY_BYTES + collection.len() } else { 0 };
        if there.is_some_and(|there| there.fields.len() >= FIELDS_PER_COLLECTION_MAX) {
            return Err(SchemaError::TooMany { what: "fields", limit: FIELDS_PER_COLLECTION_MAX });
        }
        if is_new && self.collections.len() >= COLLECTIONS_MAX {
            return Err(SchemaError::TooMany { what: "collections", limit: COLLECTIONS_MAX });
        }
        if *weight_bytes + added > SCHEMA_BYTES_MAX {
            return Err(SchemaError::TooMany { what: "bytes of names and fields", limit: SCHEMA_BYTES_MAX });
        }
        *weight_bytes += added;
        let declared = Arc::make_mut(self.collections.entry(collection.clone()).or_default());
        declared.fields.insert(field.clone(), Field::of(kind));
        self.version += 1;
        Ok(())
    }

    /// As [`Schema::updated`], for an update that was made for the schema of a certain version. An update that changes
    /// nothing may be made for any version, so that it can be sent again after it has taken effect.
    pub fn updated_from(&self, version: u64, update: &SchemaUpdate) -> Result<UpdatedSchema, SchemaError> {
        let updated = self.updated(update)?;
        if !updated.differences.is_empty() && version != self.version && !fault!(SchemaVersionIgnored) {
            return Err(SchemaError::VersionChanged { version: self.version });
        }
        Ok(updated)
    }
}

/// The field as the update leaves it.
fn updated_field(
    before: Option<&Field>,
    collection: &CollectionId,
    field: &FieldId,
    update: &FieldUpdate,
    differences: &mut Vec<SchemaDifference>,
) -> Result<Field, SchemaError> {
    let FieldUpdate { kind, provisional, on_clash, on_dominate } = *update;
    let default = Field::of(kind);
    let old = before.unwrap_or(&default);
    if old.kind != kind {
        return Err(SchemaError::KindChange {
            collection: collection.clone(),
            field: field.clone(),
            kind: old.kind,
        });
    }
    let kept = if fault!(UpdateResetsAbsent) { &default } else { old };
    let after = Field {
        kind,
        provisional: provisional.unwrap_or(kept.provisional),
        on_clash: on_clash.unwrap_or(kept.on_clash),
        on_dominate: on_dominate.unwrap_or(kept.on_dominate),
        unknown: old.unknown.clone(),
    };
    if before.is_none() {
        let (collection, field) = (collection.clone(), field.clone());
        differences.push(SchemaDifference::Field { collection, field, kind });
    }
    for policy in policy_differences(before, old, &after) {
        let (collection, field) = (collection.clone(), field.clone());
        differences.push(SchemaDifference::Policy { collection, field, policy });
    }
    Ok(after)
}

/// How the policies after an update differ from those before, or from the defaults of a field that was not declared.
fn policy_differences(
    before: Option<&Field>,
    old: &Field,
    after: &Field,
) -> impl Iterator<Item = PolicyDifference> {
    let provisional = (after.provisional != old.provisional).then(|| PolicyDifference::Provisional {
        before: before.map(|field| field.provisional),
        after: after.provisional,
    });
    let on_clash = (after.on_clash != old.on_clash).then(|| PolicyDifference::OnClash {
        before: before.map(|field| field.on_clash),
        after: after.on_clash,
    });
    let on_dominate = (after.on_dominate != old.on_dominate).then(|| PolicyDifference::OnDominate {
        before: before.map(|field| field.on_dominate),
        after: after.on_dominate,
    });
    [provisional, on_clash, on_dominate].into_iter().flatten()
}
