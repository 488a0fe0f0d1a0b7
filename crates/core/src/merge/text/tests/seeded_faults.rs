//! The checks notice every wrong rule. What nothing notices is not checked.

use super::promises::{check_contiguous_runs, check_session, check_symmetry};
use super::{Window, oracle};
use crate::seeded_faults::{self, SeededFault};

/// Every fault of the text rules must be noticed within this many seeds.
const SEEDS: u64 = 100;

type Check = fn(u64) -> Result<(), String>;

/// The promises, checked without the reference model.
const PROMISES: [(&str, Check); 4] = [
    ("sessions", |seed| check_session::<Window>(seed, false)),
    ("sessions with extras", |seed| check_session::<Window>(seed, true)),
    ("runs", check_contiguous_runs::<Window>),
    ("pairs", |seed| check_symmetry::<Window>(seed).map(|_| ())),
];
const REFERENCE: (&str, Check) = ("reference", oracle::check);

/// Faults that break a promise.
const BREAK_A_PROMISE: [SeededFault; 13] = [
    SeededFault::NaiveRightNeighbour,
    SeededFault::NaiveRightChild,
    SeededFault::SuppressionAsFlag,
    SeededFault::SuppressedVisibleForever,
    SeededFault::SuppressedDeletionApplied,
    SeededFault::SuppressedByLatestPartner,
    SeededFault::OverlapUnnoticed,
    SeededFault::SwallowUnnoticed,
    SeededFault::InsertIntoDeletedUnnoticed,
    SeededFault::OwnChainForgotten,
    SeededFault::ExtrasIgnoredInText,
    SeededFault::CriticalBaseNotIterated,
    SeededFault::EffectForgetsDeletions,
];

/// Faults that only the reference model notices: their rules are consistent, or break a promise too rarely.
const DIFFER_FROM_THE_REFERENCE: [SeededFault; 5] = [
    SeededFault::RightOriginSkipsTombstones,
    SeededFault::YoungerSiblingLeft,
    SeededFault::DeletionsClash,
    SeededFault::SwallowUsesTrunkVisibility,
    SeededFault::SuppressedGroundUnnoticed,
];

/// Runs a trial with a rule broken, and mends the rule even if the trial panics.
fn broken<R>(fault: SeededFault, trial: impl FnOnce() -> R) -> R {
    struct Mend;
    impl Drop for Mend {
        fn drop(&mut self) {
            seeded_faults::set(None);
        }
    }
    let _mend = Mend;
    seeded_faults::set(Some(fault));
    trial()
}

fn first_noticed(fault: SeededFault, checks: &[(&str, Check)]) -> Option<u64> {
    broken(fault, || (0..SEEDS).find(|&seed| checks.iter().any(|(_, check)| check(seed).is_err())))
}

/// Without this, a check that always fails would notice everything.
#[test]
fn the_right_rules_are_not_noticed() {
    for seed in 0..SEEDS {
        for (name, check) in PROMISES.iter().chain([&REFERENCE]) {
            assert_eq!(check(seed), Ok(()), "{name}, seed {seed}");
        }
    }
}

#[test]
fn wrong_rules_break_a_promise() {
    for fault in BREAK_A_PROMISE {
        let seed = first_noticed(fault, &PROMISES);
        assert!(seed.is_some(), "{fault:?} was not noticed");
    }
}

#[test]
fn other_rules_differ_from_the_reference_model() {
    for fault in DIFFER_FROM_THE_REFERENCE {
        let seed = first_noticed(fault, &[REFERENCE]);
        assert!(seed.is_some(), "{fault:?} was not noticed");
    }
}

/// How many seeds notice each fault, for documents: `cargo test -p syncline-core -- --ignored --nocapture table`.
#[test]
#[ignore = "prints a table, checks nothing"]
fn table_of_seeded_faults() {
    for fault in BREAK_A_PROMISE.iter().chain(&DIFFER_FROM_THE_REFERENCE) {
        let mut line = format!("{fault:?}:");
        for (name, check) in PROMISES.iter().chain([&REFERENCE]) {
            let caught = broken(*fault, || (0..SEEDS).filter(|&seed| check(seed).is_err()).count());
            line += &format!(" {name} {caught},");
        }
        let all: Vec<_> = PROMISES.iter().chain([&REFERENCE]).copied().collect();
        let first = first_noticed(*fault, &all);
        println!("{line} of {SEEDS}; first noticed by seed {first:?}");
    }
}
