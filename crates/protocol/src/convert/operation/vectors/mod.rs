//! Operations with their canonical forms and hashes, for clients in other languages:
//! `clients/vectors/operation_hash.json`.
//!
//! `UPDATE_VECTORS=1 cargo test --lib vectors` writes the file; without it the test checks that it is up to date. Once
//! released, a line never changes: hashes are stored.

mod json;
mod samples;

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value as Json, json};

use super::operation_from_pb;
use crate::pb;
use syncline_core::canonical;
use syncline_core::hash::hash;
use syncline_core::operation::Operation;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn taken(sent: &pb::Operation) -> Operation {
    operation_from_pb(sent.clone()).expect("a usable identity and knowledge")
}

/// The folder of the vectors, of this package or of one around it.
fn folder() -> PathBuf {
    let folders =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|root| root.join("clients").join("vectors"));
    folders.into_iter().find(|folder| folder.is_dir()).expect("clients/vectors")
}

fn vector(name: &str, sent: &pb::Operation) -> Json {
    let operation = taken(sent);
    let form = match &operation.malformed {
        // What is refused for its form is hashed as it was sent.
        Some(_) => sent.encode_to_vec(),
        None => canonical::operation(&operation),
    };
    assert_eq!(operation.content_hash(), hash(&form), "{name}");
    json!({
        "name": name,
        "operation": json::operation(sent),
        "refused": operation.malformed.is_some(),
        "canonical": hex(&form),
        "hash": hex(&hash(&form)),
    })
}

fn vectors() -> String {
    let lines: Vec<String> =
        samples::all().iter().map(|(name, sent)| vector(name, sent).to_string()).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

#[test]
fn the_vectors_of_operation_hashes_are_up_to_date() {
    let path = folder().join("operation_hash.json");
    let now = vectors();
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, &now).expect("writing the vectors");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == now,
        "clients/vectors/operation_hash.json is out of date: UPDATE_VECTORS=1 cargo test --lib vectors"
    );
    assert!(samples::all().len() >= 40);
}

#[test]
fn no_two_vectors_have_one_hash() {
    let all = samples::all();
    let hashes: std::collections::BTreeSet<_> =
        all.iter().map(|(_, sent)| taken(sent).content_hash()).collect();
    assert_eq!(hashes.len(), all.len());
}

/// Samples of which the server does not keep all that was sent.
fn is_kept_otherwise(name: &str) -> bool {
    name.contains("finer than a millisecond") || name.starts_with("for display")
}

#[test]
fn the_canonical_form_is_the_shortest_encoding_of_what_was_sent() {
    for (name, sent) in samples::all() {
        let operation = taken(&sent);
        if operation.malformed.is_none() && !is_kept_otherwise(name) {
            assert_eq!(hex(&canonical::operation(&operation)), hex(&sent.encode_to_vec()), "{name}");
        }
    }
}

#[test]
fn what_is_finer_than_a_millisecond_is_not_content() {
    let all = samples::all();
    let (_, fine) = all.iter().find(|(name, _)| name.contains("finer than a millisecond")).expect("a sample");
    let mut cut = fine.clone();
    let time = cut.client_time.as_mut().expect("a time");
    time.nanos -= time.nanos % 1_000_000;
    assert_ne!(*fine, cut);
    assert_eq!(hex(&canonical::operation(&taken(fine))), hex(&cut.encode_to_vec()));
}

#[test]
fn what_is_only_shown_is_cut_to_what_is_kept() {
    let kept = |sent: pb::Operation| {
        let operation = taken(&sent);
        assert_eq!(operation.malformed, None);
        (operation.actor.to_string(), operation.client_time_ms)
    };
    let all = samples::all();
    let shown =
        all.into_iter().filter(|(name, _)| name.starts_with("for display")).map(|(_, sent)| kept(sent));
    let expected = [("é".repeat(64), None), ("a b".to_owned(), None), (String::new(), None)];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    let odd = pb::Operation { actor: format!("x{}", "é".repeat(64)), ..pb::Operation::default() };
    let cut = pb::Operation { actor: format!("x{}", "é".repeat(63)), ..pb::Operation::default() };
    assert_eq!(*syncline_core::ids::shown_label(&odd.actor), *cut.actor);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Mutations of all samples, mixed at random.
    #[test]
    fn mixed_operations_are_encoded_as_protobuf_encodes_them(
        picks in proptest::collection::vec(any::<prop::sample::Index>(), 1..8),
        frame in any::<prop::sample::Index>(),
    ) {
        let good: Vec<pb::Operation> = samples::all()
            .into_iter()
            .filter(|(name, sent)| taken(sent).malformed.is_none() && !is_kept_otherwise(name))
            .map(|(_, sent)| sent)
            .collect();
        let mutations: Vec<pb::Mutation> =
            picks.iter().flat_map(|pick| pick.get(&good).mutations.clone()).take(100).collect();
        let sent = pb::Operation { mutations, ..frame.get(&good).clone() };
        let operation = taken(&sent);
        // A context of another base may not go with an observed position.
        if operation.malformed.is_none() {
            prop_assert_eq!(hex(&canonical::operation(&operation)), hex(&sent.encode_to_vec()));
        }
    }
}
