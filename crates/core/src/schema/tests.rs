//! Promises of schema updates, over random schemas and updates with few names, so that they overlap.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::ids::{CollectionId, FieldId};
use crate::limits::{COLLECTIONS_MAX, FIELDS_PER_COLLECTION_MAX};
use crate::seeded_faults::{self, SeededFault};

/// Random cases each promise is tried with.
const SEEDS: u64 = 2_000;

const KINDS: [FieldKind; 6] = [
    FieldKind::Register,
    FieldKind::Text,
    FieldKind::Counter,
    FieldKind::Set,
    FieldKind::ToOne,
    FieldKind::ToMany,
];
const PROVISIONALS: [Provisional; 4] =
    [Provisional::Incumbent, Provisional::Latest, Provisional::Min, Provisional::Max];
const ON_CLASHES: [OnClash; 2] = [OnClash::Open, OnClash::Settle];
const ON_DOMINATES: [OnDominate; 2] = [OnDominate::Keep, OnDominate::Supersede];

/// A promise that one random case keeps or breaks.
type Promise = fn(u64) -> Result<(), String>;

/// One of two collections or three fields.
fn name(rng: &mut StdRng, prefix: &str) -> String {
    let count = if prefix == "c" { 2 } else { 3 };
    format!("{prefix}{}", rng.random_range(0..count))
}

/// One of these, or none.
fn perhaps<T: Copy>(rng: &mut StdRng, all: &[T]) -> Option<T> {
    rng.random_bool(0.5).then(|| all[rng.random_range(0..all.len())])
}

/// A field's kind almost always depends on its name, so that most updates are possible.
fn field_update(rng: &mut StdRng, field: &str) -> FieldUpdate {
    let number = field.bytes().last().unwrap_or_default() as usize;
    let kind = if rng.random_bool(0.95) { KINDS[number % 6] } else { KINDS[rng.random_range(0..6)] };
    FieldUpdate {
        kind,
        provisional: perhaps(rng, &PROVISIONALS),
        on_clash: perhaps(rng, &ON_CLASHES),
        on_dominate: perhaps(rng, &ON_DOMINATES),
    }
}

fn update(rng: &mut StdRng) -> SchemaUpdate {
    let mut update = SchemaUpdate { strict: perhaps(rng, &[true, false]), ..SchemaUpdate::default() };
    for _ in 0..rng.random_range(0..3) {
        let mut fields = BTreeMap::new();
        for _ in 0..rng.random_range(0..4) {
            let field = name(rng, "f");
            fields.insert(FieldId::from(field.as_str()), field_update(rng, &field));
        }
        let collection = name(rng, "c");
        update.collections.insert(CollectionId::from(collection.as_str()), CollectionUpdate { fields });
    }
    update
}

/// A schema that some updates have led to.
fn schema(rng: &mut StdRng) -> Schema {
    let mut schema = Schema { version: rng.random_range(0..3), ..Schema::default() };
    for _ in 0..rng.random_range(0..4) {
        if let Ok(updated) = schema.updated(&update(rng)) {
            schema = updated.schema;
        }
    }
    schema
}

/// A random schema and an update of it.
fn case(seed: u64) -> (Schema, SchemaUpdate) {
    let mut rng = StdRng::seed_from_u64(seed);
    (schema(&mut rng), update(&mut rng))
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// An update that has taken effect changes nothing when it comes again, whatever version it was made for.
fn takes_effect_once(seed: u64) -> Result<(), String> {
    let (before, update) = case(seed);
    let Ok(updated) = before.updated(&update) else { return Ok(()) };
    let again = updated.schema.updated_from(before.version, &update).map_err(|error| error.to_string())?;
    ensure(again.differences.is_empty() && again.schema == updated.schema, || format!("{again:?}"))
}

/// There is a difference exactly if something is different, and exactly then the version counts up.
fn differences_are_all_there_is(seed: u64) -> Result<(), String> {
    let (before, update) = case(seed);
    let Ok(UpdatedSchema { schema, differences }) = before.updated(&update) else { return Ok(()) };
    let same = Schema { version: before.version, ..schema.clone() } == before;
    let counted = schema.version - before.version;
    ensure(differences.is_empty() == same && counted == u64::from(!same), || {
        format!("{before:?}, then {schema:?} by {differences:?}")
    })
}

/// Whoever applies the differences alone gets the same schema.
fn differences_tell_everything(seed: u64) -> Result<(), String> {
    let (before, update) = case(seed);
    let Ok(UpdatedSchema { schema, differences }) = before.updated(&update) else { return Ok(()) };
    let mut told = Schema { version: schema.version, ..before };
    for difference in differences {
        tell(&mut told, difference)?;
    }
    ensure(told == schema, || format!("told {told:?}, is {schema:?}"))
}

fn tell(schema: &mut Schema, difference: SchemaDifference) -> Result<(), String> {
    let wrong = || format!("{difference:?} does not fit {schema:?}");
    match difference.clone() {
        SchemaDifference::Strict { before, after } => {
            ensure(schema.strict == before && before != after, wrong)?;
            schema.strict = after;
        }
        SchemaDifference::Collection { collection } => {
            ensure(!schema.collections.contains_key(&collection), wrong)?;
            schema.collections.insert(collection, Arc::default());
        }
        SchemaDifference::Field { collection, field, kind } => {
            let new = schema.field(&collection, &field).is_none();
            ensure(new, wrong)?;
            let fields = schema.collections.get_mut(&collection).map(|c| &mut Arc::make_mut(c).fields);
            fields.ok_or("no collection")?.insert(field, Field::of(kind));
        }
        SchemaDifference::Policy { collection, field, policy } => {
            let fields = schema.collections.get_mut(&collection).map(|c| &mut Arc::make_mut(c).fields);
            let spec = fields.and_then(|fields| fields.get_mut(&field)).ok_or("no field")?;
            let told = match policy {
                PolicyDifference::Provisional { before, after } => {
                    let old = std::mem::replace(&mut spec.provisional, after);
                    before.is_none_or(|before| before == old) && old != after
                }
                PolicyDifference::OnClash { before, after } => {
                    let old = std::mem::replace(&mut spec.on_clash, after);
                    before.is_none_or(|before| before == old) && old != after
                }
                PolicyDifference::OnDominate { before, after } => {
                    let old = std::mem::replace(&mut spec.on_dominate, after);
                    before.is_none_or(|before| before == old) && old != after
                }
            };
            ensure(told, || format!("{difference:?} is not what happened"))?;
        }
    }
    Ok(())
}

/// What an update does not mention is as it was, and what it mentions is as it says.
fn absent_stays(seed: u64) -> Result<(), String> {
    let (before, update) = case(seed);
    let Ok(UpdatedSchema { schema: after, .. }) = before.updated(&update) else { return Ok(()) };
    ensure(after.strict == update.strict.unwrap_or(before.strict), || format!("strict: {after:?}"))?;
    for (collection, declared) in &before.collections {
        for (field, old) in &declared.fields {
            let said = update.collections.get(collection).and_then(|c| c.fields.get(field));
            let said = said.copied().unwrap_or(FieldUpdate::of(old.kind));
            let expected = Field {
                kind: said.kind,
                provisional: said.provisional.unwrap_or(old.provisional),
                on_clash: said.on_clash.unwrap_or(old.on_clash),
                on_dominate: said.on_dominate.unwrap_or(old.on_dominate),
                unknown: old.unknown.clone(),
            };
            let found = after.field(collection, field);
            ensure(found == Some(&expected), || format!("{collection}.{field}: {old:?}, then {found:?}"))?;
        }
    }
    let nothing = before.updated(&SchemaUpdate::default()).map_err(|error| error.to_string())?;
    ensure(nothing.schema == before, || format!("nothing asked, {nothing:?} got"))
}

/// Only an update that was made for the schema as it is changes it.
fn other_versions_are_refused(seed: u64) -> Result<(), String> {
    let (before, update) = case(seed);
    let (for_this, for_other) =
        (before.updated_from(before.version, &update), before.updated_from(before.version + 1, &update));
    ensure(for_this == before.updated(&update), || "the right version makes a difference".to_owned())?;
    let expected = match for_this {
        Ok(updated) if !updated.differences.is_empty() => {
            Err(SchemaError::VersionChanged { version: before.version })
        }
        same => same,
    };
    ensure(for_other == expected, || format!("for another version: {for_other:?}"))
}

/// Applied to an empty schema, or to one that has a part of it, a schema that is spelled out makes the same schema.
fn spelled_out_makes_the_same(seed: u64) -> Result<(), String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let wanted = schema(&mut rng);
    let made = Schema::default().updated(&SchemaUpdate::from(&wanted)).map_err(|error| error.to_string())?;
    let made = Schema { version: wanted.version, ..made.schema };
    ensure(made == wanted, || format!("wanted {wanted:?}, made {made:?}"))
}

const PROMISES: [(&str, Promise); 6] = [
    ("takes_effect_once", takes_effect_once),
    ("differences_are_all_there_is", differences_are_all_there_is),
    ("differences_tell_everything", differences_tell_everything),
    ("absent_stays", absent_stays),
    ("other_versions_are_refused", other_versions_are_refused),
    ("spelled_out_makes_the_same", spelled_out_makes_the_same),
];

/// The promises that some seed breaks, with the first such seed.
fn broken() -> Vec<String> {
    let first = |promise: Promise| (0..SEEDS).find_map(|seed| promise(seed).err().map(|why| (seed, why)));
    let found = PROMISES.iter().filter_map(|(name, promise)| first(*promise).map(|found| (*name, found)));
    found.map(|(name, (seed, why))| format!("{name}, seed {seed}: {why}")).collect()
}

#[test]
fn updates_keep_their_promises() {
    let broken = broken();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_random_cases_meet() {
    let outcomes: Vec<_> = (0..SEEDS).map(case).map(|(s, u)| s.updated(&u)).collect();
    let refused = outcomes.iter().filter(|o| o.is_err()).count();
    let idle = outcomes.iter().flatten().filter(|u| u.differences.is_empty()).count();
    let policies = outcomes.iter().flatten().flat_map(|u| &u.differences);
    let of_known = |d: &&SchemaDifference| {
        matches!(
            d,
            SchemaDifference::Policy { policy: PolicyDifference::OnClash { before: Some(_), .. }, .. }
        )
    };
    let changed = policies.filter(of_known).count();
    assert!(refused > 10 && idle > 100 && changed > 50, "{refused} refused, {idle} idle, {changed} changed");
}

#[test]
fn seeded_faults_break_a_promise() {
    for fault in [SeededFault::UpdateResetsAbsent, SeededFault::SchemaVersionIgnored] {
        seeded_faults::set(Some(fault));
        let broken = broken();
        seeded_faults::set(None);
        assert!(!broken.is_empty(), "{fault:?} breaks no promise");
    }
}

#[test]
fn a_new_field_has_the_defaults_and_tells_what_is_not_one() {
    let fields = [
        ("plain".into(), FieldUpdate::of(FieldKind::Text)),
        (
            "settled".into(),
            FieldUpdate {
                provisional: Some(Provisional::Incumbent),
                on_clash: Some(OnClash::Settle),
                ..FieldUpdate::of(FieldKind::Register)
            },
        ),
    ];
    let update = SchemaUpdate {
        strict: Some(false),
        collections: [("cards".into(), CollectionUpdate { fields: fields.into() })].into(),
    };
    let UpdatedSchema { schema, differences } = Schema::default().updated(&update).expect("an update");
    assert_eq!((schema.version, schema.field("cards", "plain")), (1, Some(&Field::of(FieldKind::Text))));
    let cards = || CollectionId::from("cards");
    let expected = [
        SchemaDifference::Collection { collection: cards() },
        SchemaDifference::Field { collection: cards(), field: "plain".into(), kind: FieldKind::Text },
        SchemaDifference::Field { collection: cards(), field: "settled".into(), kind: FieldKind::Register },
        SchemaDifference::Policy {
            collection: cards(),
            field: "settled".into(),
            policy: PolicyDifference::OnClash { before: None, after: OnClash::Settle },
        },
    ];
    assert_eq!(differences, expected);
}

#[test]
fn another_kind_is_refused_before_another_version() {
    let declaring = |kind| SchemaUpdate::declaring("cards".into(), "title".into(), kind);
    let first = Schema::default().updated(&declaring(FieldKind::Register)).expect("an update").schema;
    let refused = first.updated_from(first.version + 1, &declaring(FieldKind::Text));
    let expected = SchemaError::KindChange {
        collection: "cards".into(),
        field: "title".into(),
        kind: FieldKind::Register,
    };
    assert_eq!(refused, Err(expected));
}

#[test]
fn collections_and_fields_are_limited_together_with_those_there_are() {
    let collections = |range: std::ops::Range<usize>| SchemaUpdate {
        collections: range.map(|n| (format!("c{n}").as_str().into(), CollectionUpdate::default())).collect(),
        ..SchemaUpdate::default()
    };
    let full = Schema::default().updated(&collections(0..COLLECTIONS_MAX)).expect("full").schema;
    let more = full.updated(&collections(COLLECTIONS_MAX..COLLECTIONS_MAX + 1));
    assert_eq!(more, Err(SchemaError::TooMany { what: "collections", limit: COLLECTIONS_MAX }));
    assert!(full.updated(&collections(0..COLLECTIONS_MAX)).is_ok());

    let fields = |range: std::ops::Range<usize>| {
        let fields =
            range.map(|n| (format!("f{n}").as_str().into(), FieldUpdate::of(FieldKind::Register))).collect();
        SchemaUpdate {
            collections: [("c".into(), CollectionUpdate { fields })].into(),
            ..SchemaUpdate::default()
        }
    };
    let full = Schema::default().updated(&fields(0..FIELDS_PER_COLLECTION_MAX)).expect("full").schema;
    let more = full.updated(&fields(FIELDS_PER_COLLECTION_MAX..FIELDS_PER_COLLECTION_MAX + 1));
    assert_eq!(more, Err(SchemaError::TooMany { what: "fields", limit: FIELDS_PER_COLLECTION_MAX }));
}
