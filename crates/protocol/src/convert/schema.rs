//! Workspaces and their schemas.

use super::causality::timestamp_to_pb;
use super::field::name_from_pb;
use crate::pb;
use crate::status::{Failure, FieldViolation};
use syncline_core::limits::{COLLECTIONS_MAX, FIELDS_PER_COLLECTION_MAX};
use syncline_core::schema::{
    CollectionUpdate, FieldKind, FieldUpdate, OnClash, OnDominate, PolicyDifference, Provisional, Schema,
    SchemaDifference, SchemaUpdate,
};
use syncline_core::state::WorkspaceHead;

/// The new value in the difference for a collection that was not there before.
const DECLARED: &str = "declared";

/// What a caller asks a schema to become. A kind or rule this server does not know is never guessed.
pub fn schema_update_from_pb(schema: &pb::Schema) -> Result<SchemaUpdate, Failure> {
    let pb::Schema { strict, collections } = schema;
    let mut violations = Vec::new();
    if collections.len() > COLLECTIONS_MAX {
        violations.push(FieldViolation::new("schema.collections", format!("at most {COLLECTIONS_MAX}")));
        return Err(Failure::invalid_request(violations));
    }
    let mut update = SchemaUpdate { strict: *strict, ..SchemaUpdate::default() };
    for (id, collection) in collections {
        let at = format!("schema.collections[{id}]");
        match name_from_pb(id, &at) {
            Ok(id) => {
                update.collections.insert(id, collection_from_pb(collection, &at, &mut violations)?);
            }
            Err(violation) => violations.push(violation),
        }
    }
    if violations.is_empty() { Ok(update) } else { Err(Failure::invalid_request(violations)) }
}

fn collection_from_pb(
    collection: &pb::CollectionSchema,
    at: &str,
    violations: &mut Vec<FieldViolation>,
) -> Result<CollectionUpdate, Failure> {
    let pb::CollectionSchema { fields } = collection;
    let mut update = CollectionUpdate::default();
    if fields.len() > FIELDS_PER_COLLECTION_MAX {
        let why = format!("at most {FIELDS_PER_COLLECTION_MAX}");
        violations.push(FieldViolation::new(format!("{at}.fields"), why));
        return Ok(update);
    }
    for (id, field) in fields {
        let at = format!("{at}.fields[{id}]");
        match name_from_pb(id, &at) {
            Ok(name) => {
                update.fields.insert(name, field_from_pb(field, id, &at)?);
            }
            Err(violation) => violations.push(violation),
        }
    }
    Ok(update)
}

fn field_from_pb(field: &pb::FieldSchema, id: &str, at: &str) -> Result<FieldUpdate, Failure> {
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
    Ok(FieldUpdate {
        kind,
        provisional: match provisional {
            pb::ProvisionalRule::Unspecified => None,
            pb::ProvisionalRule::Incumbent => Some(Provisional::Incumbent),
            pb::ProvisionalRule::Latest => Some(Provisional::Latest),
            pb::ProvisionalRule::Min => Some(Provisional::Min),
            pb::ProvisionalRule::Max => Some(Provisional::Max),
        },
        on_clash: match on_clash {
            pb::ClashRule::Unspecified => None,
            pb::ClashRule::Open => Some(OnClash::Open),
            pb::ClashRule::Settle => Some(OnClash::Settle),
        },
        on_dominate: match on_dominate {
            pb::DominateRule::Unspecified => None,
            pb::DominateRule::Keep => Some(OnDominate::Keep),
            pb::DominateRule::Supersede => Some(OnDominate::Supersede),
        },
    })
}

/// A schema update as a message; what is absent stays absent.
pub fn schema_update_to_pb(update: &SchemaUpdate) -> pb::Schema {
    let SchemaUpdate { strict, collections } = update;
    let fields_of = |collection: &CollectionUpdate| pb::CollectionSchema {
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

fn field_to_pb(field: &FieldUpdate) -> pb::FieldSchema {
    let FieldUpdate { kind, provisional, on_clash, on_dominate } = *field;
    pb::FieldSchema {
        kind: kind_to_pb(kind).into(),
        provisional: provisional.map_or(pb::ProvisionalRule::Unspecified, provisional_to_pb).into(),
        on_clash: on_clash.map_or(pb::ClashRule::Unspecified, on_clash_to_pb).into(),
        on_dominate: on_dominate.map_or(pb::DominateRule::Unspecified, on_dominate_to_pb).into(),
    }
}

fn kind_to_pb(kind: FieldKind) -> pb::FieldKind {
    match kind {
        FieldKind::Register => pb::FieldKind::Register,
        FieldKind::Text => pb::FieldKind::Text,
        FieldKind::Counter => pb::FieldKind::Counter,
        FieldKind::Set => pb::FieldKind::Set,
        FieldKind::ToOne => pb::FieldKind::ToOne,
        FieldKind::ToMany => pb::FieldKind::ToMany,
    }
}

fn provisional_to_pb(provisional: Provisional) -> pb::ProvisionalRule {
    match provisional {
        Provisional::Incumbent => pb::ProvisionalRule::Incumbent,
        Provisional::Latest => pb::ProvisionalRule::Latest,
        Provisional::Min => pb::ProvisionalRule::Min,
        Provisional::Max => pb::ProvisionalRule::Max,
    }
}

fn on_clash_to_pb(on_clash: OnClash) -> pb::ClashRule {
    match on_clash {
        OnClash::Open => pb::ClashRule::Open,
        OnClash::Settle => pb::ClashRule::Settle,
    }
}

fn on_dominate_to_pb(on_dominate: OnDominate) -> pb::DominateRule {
    match on_dominate {
        OnDominate::Keep => pb::DominateRule::Keep,
        OnDominate::Supersede => pb::DominateRule::Supersede,
    }
}

/// A schema as it is, everything spelled out; its version travels beside it.
pub fn schema_to_pb(schema: &Schema) -> pb::Schema {
    schema_update_to_pb(&SchemaUpdate::from(schema))
}

/// A schema as a server gave it, with the version beside it.
pub fn schema_from_pb(schema: &pb::Schema, version: u64) -> Result<Schema, Failure> {
    let update = schema_update_from_pb(schema)?;
    let made = Schema::default().updated(&update).map_err(|error| Failure::from(&error))?;
    Ok(Schema { version, ..made.schema })
}

/// What a schema update changes, in the words of the protocol.
pub fn schema_difference_to_pb(difference: &SchemaDifference) -> pb::SchemaDifference {
    use pb::SchemaAspect as Aspect;
    let (place, aspect, before, after) = match difference {
        SchemaDifference::Strict { before, after } => {
            (None, Aspect::Strict, before.to_string(), after.to_string())
        }
        SchemaDifference::Collection { collection } => {
            (Some((collection, None)), Aspect::Collection, String::new(), DECLARED.to_owned())
        }
        SchemaDifference::Field { collection, field, kind } => {
            let kind = kind_to_pb(*kind).as_str_name().to_owned();
            (Some((collection, Some(field))), Aspect::Field, String::new(), kind)
        }
        SchemaDifference::Policy { collection, field, policy } => {
            let (aspect, before, after) = policy_words(*policy);
            let before = before.unwrap_or_default().to_owned();
            (Some((collection, Some(field))), aspect, before, after.to_owned())
        }
    };
    pb::SchemaDifference {
        collection_id: place.map(|(collection, _)| collection.to_string()),
        field_id: place.and_then(|(_, field)| field).map(ToString::to_string),
        aspect: aspect.into(),
        before,
        after,
    }
}

fn policy_words(policy: PolicyDifference) -> (pb::SchemaAspect, Option<&'static str>, &'static str) {
    match policy {
        PolicyDifference::Provisional { before, after } => {
            let word = |rule| provisional_to_pb(rule).as_str_name();
            (pb::SchemaAspect::Provisional, before.map(word), word(after))
        }
        PolicyDifference::OnClash { before, after } => {
            let word = |rule| on_clash_to_pb(rule).as_str_name();
            (pb::SchemaAspect::OnClash, before.map(word), word(after))
        }
        PolicyDifference::OnDominate { before, after } => {
            let word = |rule| on_dominate_to_pb(rule).as_str_name();
            (pb::SchemaAspect::OnDominate, before.map(word), word(after))
        }
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
        epoch: epoch.0,
        head_seq: head_seq.0,
        schema_version,
        create_time: Some(timestamp_to_pb(created_at_ms)),
    }
}

#[cfg(test)]
mod tests {
    use syncline_core::ids::Epoch;
    use syncline_core::schema::Field;

    use super::*;
    use syncline_core::causality::Seq;

    fn declared(field: pb::FieldSchema) -> pb::Schema {
        let fields = [("f".to_owned(), field)].into();
        pb::Schema {
            strict: Some(true),
            collections: [("c".to_owned(), pb::CollectionSchema { fields })].into(),
        }
    }

    fn field(kind: i32, provisional: i32, on_clash: i32, on_dominate: i32) -> pb::FieldSchema {
        pb::FieldSchema { kind, provisional, on_clash, on_dominate }
    }

    #[test]
    fn updates_come_back_as_they_went_with_what_is_absent() {
        for kind in 1..=6 {
            for provisional in 0..=4 {
                for (on_clash, on_dominate) in [(0, 0), (1, 1), (2, 1), (1, 2), (2, 2)] {
                    for strict in [None, Some(false), Some(true)] {
                        let there = pb::Schema {
                            strict,
                            ..declared(field(kind, provisional, on_clash, on_dominate))
                        };
                        let update = schema_update_from_pb(&there).expect("an update");
                        assert_eq!(schema_update_to_pb(&update), there);
                    }
                }
            }
        }
    }

    #[test]
    fn schemas_are_sent_with_everything_spelled_out() {
        let schema = schema_from_pb(&declared(field(2, 0, 0, 0)), 7).expect("a schema");
        assert_eq!((schema.version, schema.field("c", "f")), (7, Some(&Field::of(FieldKind::Text))));
        assert_eq!(schema_to_pb(&schema), declared(field(2, 1, 1, 1)));
        assert_eq!(schema_to_pb(&Schema::default()).strict, Some(false));
    }

    #[test]
    fn differences_speak_the_words_of_the_protocol() {
        let policies = FieldUpdate {
            provisional: Some(Provisional::Max),
            on_clash: Some(OnClash::Settle),
            on_dominate: Some(OnDominate::Supersede),
            ..FieldUpdate::of(FieldKind::ToOne)
        };
        let update = |field: FieldUpdate| SchemaUpdate {
            strict: Some(true),
            collections: [("c".into(), CollectionUpdate { fields: [("f".into(), field)].into() })].into(),
        };
        let made = Schema::default().updated(&update(policies)).expect("an update");
        let sent = |differences: &[SchemaDifference]| -> Vec<_> {
            let sent = differences.iter().map(schema_difference_to_pb);
            sent.map(|d| {
                let aspect = d.aspect();
                (
                    d.collection_id.unwrap_or_default(),
                    d.field_id.unwrap_or_default(),
                    aspect,
                    d.before,
                    d.after,
                )
            })
            .collect()
        };
        use pb::SchemaAspect as Aspect;
        let row = |place: (&str, &str), aspect: Aspect, before: &str, after: &str| {
            (place.0.to_owned(), place.1.to_owned(), aspect, before.to_owned(), after.to_owned())
        };
        let expected = [
            row(("", ""), Aspect::Strict, "false", "true"),
            row(("c", ""), Aspect::Collection, "", "declared"),
            row(("c", "f"), Aspect::Field, "", "FIELD_KIND_TO_ONE"),
            row(("c", "f"), Aspect::Provisional, "", "PROVISIONAL_RULE_MAX"),
            row(("c", "f"), Aspect::OnClash, "", "CLASH_RULE_SETTLE"),
            row(("c", "f"), Aspect::OnDominate, "", "DOMINATE_RULE_SUPERSEDE"),
        ];
        assert_eq!(sent(&made.differences), expected);
        let latest = FieldUpdate { provisional: Some(Provisional::Latest), ..policies };
        let changed = made.schema.updated(&update(latest)).expect("an update");
        let expected =
            [row(("c", "f"), Aspect::Provisional, "PROVISIONAL_RULE_MAX", "PROVISIONAL_RULE_LATEST")];
        assert_eq!(sent(&changed.differences), expected);
    }

    #[test]
    fn unknown_kinds_and_rules_are_refused() {
        for kind in [0, 7, -1] {
            let failure =
                schema_update_from_pb(&declared(field(kind, 0, 0, 0))).expect_err("an unknown kind");
            assert_eq!(failure.reason(), pb::ErrorReason::UnknownFieldKind);
            assert_eq!(failure.metadata()["field_id"], "f");
        }
        let cases = [
            (field(1, 9, 0, 0), "provisional"),
            (field(1, 0, 9, 0), "on_clash"),
            (field(1, 0, 0, 9), "on_dominate"),
        ];
        for (field, name) in cases {
            let failure = schema_update_from_pb(&declared(field)).expect_err(name);
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
                strict: None,
                collections: [("c".to_owned(), pb::CollectionSchema { fields })].into(),
            }
        };
        let named =
            |name: &str| pb::Schema { strict: None, collections: [(name.to_owned(), empty.clone())].into() };
        assert!(schema_update_from_pb(&collections(200)).is_ok());
        assert!(schema_update_from_pb(&fields(500)).is_ok());
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
            let failure = schema_update_from_pb(&schema).expect_err(at);
            assert_eq!(failure.reason(), pb::ErrorReason::InvalidRequest);
            assert_eq!(failure.violations()[0].field, at);
        }
    }

    #[test]
    fn workspaces_show_their_head() {
        let head = WorkspaceHead { head_seq: Seq(9), ..WorkspaceHead::new(Epoch(77)) };
        let sent = workspace_to_pb("w", "Work", 1_500, &head, 3);
        assert_eq!((sent.workspace_id.as_str(), sent.display_name.as_str()), ("w", "Work"));
        assert_eq!((sent.epoch, sent.head_seq, sent.schema_version), (77, 9, 3));
        assert_eq!(sent.create_time, Some(timestamp_to_pb(1_500)));
    }
}
