//! Every reason of `error.proto` is produced by a test over the wire, or is on the list below with the reason why not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::harness::errors::all_documented;

/// What no request can bring about in a test of this kind.
const NOT_FROM_OUTSIDE: [(&str, &str); 2] = [
    (
        "OVERLOADED",
        "needs 20,000 open streams, or 8,192 waiting jobs; src/grpc/status pins code, metadata and delay",
    ),
    (
        "INTERNAL",
        "would be a fault of the server; src/grpc/status and src/grpc/layer pin what it says and hides",
    ),
];

fn sources(directory: &Path, into: &mut String) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("reasons.rs") {
            into.push_str(&fs::read_to_string(&path).expect("a source"));
        }
    }
}

/// `RECORD_NOT_FOUND` as the generated code spells it.
fn variant(name: &str) -> String {
    let word = |word: &str| word[..1].to_owned() + &word[1..].to_ascii_lowercase();
    name.split('_').map(word).collect()
}

/// Whether a test names the reason, as `Reason::RecordNotFound` and not as the beginning of a longer name.
fn names(source: &str, name: &str) -> bool {
    let wanted = format!("Reason::{}", variant(name));
    source.match_indices(&wanted).any(|(at, _)| {
        let next = source[at + wanted.len()..].chars().next();
        !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[test]
fn every_reason_is_produced_by_a_test_or_listed_with_the_reason_why_not() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = String::new();
    sources(&root.join("tests/it"), &mut tests);
    let excused: BTreeMap<&str, &str> = NOT_FROM_OUTSIDE.into();
    let mut missing = BTreeSet::new();
    for (name, documented) in all_documented().values() {
        if documented.is_to_come {
            assert!(!names(&tests, name), "{name} is produced by a test: it is sent now");
            continue;
        }
        match (names(&tests, name), excused.get(name.as_str())) {
            (false, None) => drop(missing.insert(name)),
            (true, Some(_)) => {
                // The harness itself mentions the two that carry a delay.
                assert_eq!(name, "OVERLOADED", "{name} is produced by a test: take it off the list");
            }
            (true, None) | (false, Some(_)) => {}
        }
    }
    assert!(missing.is_empty(), "no test produces {missing:?}");
    let mut unit_tests = String::new();
    sources(&root.join("src/grpc"), &mut unit_tests);
    for name in excused.keys() {
        assert!(unit_tests.contains(&format!("\"{name}\"")), "no test of src/grpc is about {name}");
    }
}

#[test]
fn the_spelling_of_reasons_is_that_of_the_generated_code() {
    use syncline_protocol::pb::ErrorReason;
    for (number, (name, _)) in all_documented() {
        let reason = ErrorReason::try_from(*number).expect("a reason");
        assert_eq!(format!("{reason:?}"), variant(name));
        assert_eq!(reason.as_str_name(), format!("ERROR_REASON_{name}"));
    }
}
