//! Workspaces and their schemas.

use super::causality::timestamp_to_pb;
use super::field::name_from_pb;
use crate::pb;
use crate::status::{Failure, FieldViolation};
use syncline_core::limits::{COLLECTIONS_MAX, FIELDS_PER_COLLECTION_MAX};
use syncline_core::schema::{Collection, Field, FieldKind, OnClash, OnDominate, Provisional, Schema};
use syncline_core::state::WorkspaceHead;
use syncline_core::unknown::Unknown;

/// A schema as declared, without a version. A kind or rule this server does not know is never guessed.
pub fn schema_from_pb(schema: &pb::Schema) -> Result<Schema, Failure> {
    let pb::Schema { strict, collections } = schema;
    let mut violations = Vec::new();
    if collections.len() > COLLECTIONS_MAX {
        violations.push(FieldViolation::new("schema.collections", format!("at most {COLLECTIONS_MAX}")));
        return Err(Failure::invalid_request(violations));
    }
    let mut declared = Schema { strict: *strict, ..Schema::default() };
    for (id, collection) in collections {
        let at = format!("schema.collections[{id}]");
        match name_from_pb(id, &at) {
            Ok(id) => {
                declared.collections.insert(id, collection_from_pb(collection, &at, &mut violations)?);
            }
            Err(violation) => violations.push(violation),
        }
    }
    if violations.is_empty() { Ok(declared) } else { Err(Failure::invalid_request(violations)) }
}

fn collection_from_pb(
    collection: &pb::CollectionSchema,
    at: &str,
    violations: &mut Vec<FieldViolation>,
) -> Result<Collection, Failure> {
    let pb::CollectionSchema { fields } = collection;
    let mut declared = Collection::default();
    if fields.len() > FIELDS_PER_COLLECTION_MAX {
        let why = format!("at most {FIELDS_PER_COLLECTION_MAX}");
        violations.push(FieldViolation::new(format!("{at}.fields"), why));
        return Ok(declared);
    }
    for (id, field) in fields {
        let at = format!("{at}.fields[{id}]");
        match name_from_pb(id, &at) {
            Ok(name) => {
                declared.fields.insert(name, field_from_pb(field, id, &at)?);
            }
            Err(violation) => violations.push(violation),
        }
    }
    Ok(declared)
}

fn field_from_pb(field: &pb::FieldSchema, id: &str, at: &str) -> Result<Field, Failure> {
    let pb::FieldSchema { kind, provisional, on_clash, on_dominate } = field;
    let kind = match pb::FieldKind::try_from(*kind) {
        Err(_) | Ok(pb::FieldKind::Unspecified) => return Err(Failure::unknown_field_kind(id)),
        Ok(pb::FieldKind::Register) => FieldKind::Register,
        Ok(pb::FieldKind::Text) => FieldKind::Text,
        Ok(pb::FieldKind::Counter) => FieldKind::Counter,
        Ok(pb::FieldKind::Set) => FieldKind::Set,
        Ok(pb::FieldKind::ToOne) => FieldKind::ToOne,
        Ok(pb::FieldKind::ToMany) => FieldKind::ToMany,
    };
    let unknown = |name: &str, number| Failure::unknown_enum_value(&format!("{at}.{name}"), number);
    let provisional =
        pb::ProvisionalRule::try_from(*provisional).map_err(|_| unknown("provisional", *provisional))?;
    let on_clash = pb::ClashRule::try_from(*on_clash).map_err(|_| unknown("on_clash", *on_clash))?;
    let on_dominate =
        pb::DominateRule::try_from(*on_dominate).map_err(|_| unknown("on_dominate", *on_dominate))?;
    Ok(Field {
        kind,
        provisional: match provisional {
            pb::ProvisionalRule::Unspecified | pb::ProvisionalRule::Incumbent => Provisional::Incumbent,
            pb::ProvisionalRule::Latest => Provisional::Latest,
            pb::ProvisionalRule::Min => Provisional::Min,
            pb::ProvisionalRule::Max => Provisional::Max,
        },
        on_clash: match on_clash {
            pb::ClashRule::Unspecified | pb::ClashRule::Open => OnClash::Open,
            pb::ClashRule::Settle => OnClash::Settle,
        },
        on_dominate: match on_dominate {
            pb::DominateRule::Unspecified | pb::DominateRule::Keep => OnDominate::Keep,
            pb::DominateRule::Supersede => OnDominate::Supersede,
        },
        unknown: Unknown::NONE,
    })
}

/// A schema; its version travels beside it.
pub fn schema_to_pb(schema: &Schema) -> pb::Schema {
    let Schema { strict, version: _, collections, unknown: _ } = schema;
    let fields_of = |collection: &Collection| pb::CollectionSchema {
        fields: collection.fields.iter().map(|(id, field)| (id.to_string(), field_to_pb(field))).collect(),
    };
    pb::Schema {
        strict: *strict,
        collections: collections
            .iter()
            .map(|(id, collection)| (id.to_string(), fields_of(collection)))
            .collect(),
    }
}

fn field_to_pb(field: &Field) -> pb::FieldSchema {
    let Field { kind, provisional, on_clash, on_dominate, unknown: _ } = field;
    let kind = match kind {
        FieldKind::Register => pb::FieldKind::Register,
        FieldKind::Text => pb::FieldKind::Text,
        FieldKind::Counter => pb::FieldKind::Counter,
        FieldKind::Set => pb::FieldKind::Set,
        FieldKind::ToOne => pb::FieldKind::ToOne,
        FieldKind::ToMany => pb::FieldKind::ToMany,
    };
    let provisional = match provisional {
        Provisional::Incumbent => pb::ProvisionalRule::Incumbent,
        Provisional::Latest => pb::ProvisionalRule::Latest,
        Provisional::Min => pb::ProvisionalRule::Min,
        Provisional::Max => pb::ProvisionalRule::Max,
    };
    let on_clash = match on_clash {
        OnClash::Open => pb::ClashRule::Open,
        OnClash::Settle => pb::ClashRule::Settle,
    };
    let on_dominate = match on_dominate {
        OnDominate::Keep => pb::DominateRule::Keep,
        OnDominate::Supersede => pb::DominateRule::Supersede,
    };
    pb::FieldSchema {
        kind: kind.into(),
        provisional: provisional.into(),
        on_clash: on_clash.into(),
        on_dominate: on_dominate.into(),
    }
}

/// A workspace: what it is called, and where its order stands.
pub fn workspace_to_pb(
    id: &str,
    display_name: &str,
    created_at_ms: i64,
    head: &WorkspaceHead,
    schema_version: u64,
) -> pb::Workspace {
    let WorkspaceHead { epoch, head_seq, chain: _, replica_count: _, commit_count: _ } = head;
    pb::Workspace {
        workspace_id: id.to_owned(),
        display_name: display_name.to_owned(),
        epoch: *epoch,
        head_seq: *head_seq,
        schema_version,
        create_time: Some(timestamp_to_pb(created_at_ms)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(field: pb::FieldSchema) -> pb::Schema {
        let fields = [("f".to_owned(), field)].into();
        pb::Schema { strict: true, collections: [("c".to_owned(), pb::CollectionSchema { fields })].into() }
    }

    fn field(kind: i32, provisional: i32, on_clash: i32, on_dominate: i32) -> pb::FieldSchema {
        pb::FieldSchema { kind, provisional, on_clash, on_dominate }
    }

    #[test]
    fn schemas_come_back_as_they_went() {
        for kind in 1..=6 {
            for provisional in 1..=4 {
                for (on_clash, on_dominate) in [(1, 1), (2, 1), (1, 2), (2, 2)] {
                    let there = declared(field(kind, provisional, on_clash, on_dominate));
                    let schema = schema_from_pb(&there).expect("a schema");
                    assert_eq!((schema.strict, schema.version), (true, 0));
                    assert_eq!(schema_to_pb(&schema), there);
                }
            }
        }
    }

    #[test]
    fn unspecified_rules_have_their_defaults() {
        let schema = schema_from_pb(&declared(field(2, 0, 0, 0))).expect("a schema");
        assert_eq!(schema.field("c", "f"), Some(&Field::of(FieldKind::Text)));
    }

    #[test]
    fn unknown_kinds_and_rules_are_refused() {
        for kind in [0, 7, -1] {
            let failure = schema_from_pb(&declared(field(kind, 0, 0, 0))).expect_err("an unknown kind");
            assert_eq!(failure.reason(), pb::ErrorReason::UnknownFieldKind);
            assert_eq!(failure.metadata()["field_id"], "f");
        }
        let cases = [
            (field(1, 9, 0, 0), "provisional"),
            (field(1, 0, 9, 0), "on_clash"),
            (field(1, 0, 0, 9), "on_dominate"),
        ];
        for (field, name) in cases {
            let failure = schema_from_pb(&declared(field)).expect_err(name);
            assert_eq!(failure.reason(), pb::ErrorReason::UnknownEnumValue);
            assert_eq!(failure.metadata()["field"], format!("schema.collections[c].fields[f].{name}"));
            assert_eq!(failure.metadata()["value"], "9");
        }
    }

    #[test]
    fn names_and_counts_are_checked() {
        let empty = pb::CollectionSchema::default();
        let fine = field(1, 0, 0, 0);
        let collections = |count| pb::Schema {
            collections: (0..count).map(|i| (format!("c{i}"), empty.clone())).collect(),
            ..Default::default()
        };
        let fields = |count| {
            let fields = (0..count).map(|i| (format!("f{i}"), fine)).collect();
            pb::Schema {
                strict: false,
                collections: [("c".to_owned(), pb::CollectionSchema { fields })].into(),
            }
        };
        let named =
            |name: &str| pb::Schema { strict: false, collections: [(name.to_owned(), empty.clone())].into() };
        assert!(schema_from_pb(&collections(200)).is_ok());
        assert!(schema_from_pb(&fields(500)).is_ok());
        let mut bad_field = declared(fine);
        bad_field
            .collections
            .insert("d".into(), pb::CollectionSchema { fields: [("a b".to_owned(), fine)].into() });
        let cases = [
            (collections(201), "schema.collections"),
            (fields(501), "schema.collections[c].fields"),
            (named(""), "schema.collections[]"),
            (bad_field, "schema.collections[d].fields[a b]"),
        ];
        for (schema, at) in cases {
            let failure = schema_from_pb(&schema).expect_err(at);
            assert_eq!(failure.reason(), pb::ErrorReason::InvalidRequest);
            assert_eq!(failure.violations()[0].field, at);
        }
    }

    #[test]
    fn workspaces_show_their_head() {
        let head = WorkspaceHead { head_seq: 9, ..WorkspaceHead::new(77) };
        let sent = workspace_to_pb("w", "Work", 1_500, &head, 3);
        assert_eq!((sent.workspace_id.as_str(), sent.display_name.as_str()), ("w", "Work"));
        assert_eq!((sent.epoch, sent.head_seq, sent.schema_version), (77, 9, 3));
        assert_eq!(sent.create_time, Some(timestamp_to_pb(1_500)));
    }
}
