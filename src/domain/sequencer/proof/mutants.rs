//! Faults planted in the rules: a check must fail for each, and none without one.

use std::collections::BTreeMap;

use super::{Check, admission, lifecycle, network};
use crate::domain::mutants::{self, Mutant};

/// Seeds tried before a fault counts as unnoticed.
const SEEDS_MAX: u64 = 60;

type Noticing = fn(u64) -> Check;

/// Every fault, what notices it, and the first seed that does.
const FAULTS: [(Mutant, &str, Noticing, u64); 28] = [
    (Mutant::IgnoreExtras, "runs", random_run, 0),
    (Mutant::ForgetOwnChain, "runs", random_run, 0),
    (Mutant::NoHold, "runs", random_run, 2),
    (Mutant::LastWriterOnly, "runs", random_run, 0),
    (Mutant::NewcomerTakesOver, "runs", random_run, 0),
    (Mutant::CloseUnseen, "runs", random_run, 0),
    (Mutant::ForgetShadows, "runs", random_run, 2),
    (Mutant::SecondLiveConflict, "runs", random_run, 0),
    (Mutant::RemoveWins, "runs", random_run, 3),
    (Mutant::AssignForgetsIncrements, "runs", random_run, 2),
    (Mutant::DeleteIgnoresEdits, "runs", random_run, 1),
    (Mutant::EditIgnoresDelete, "runs", random_run, 0),
    (Mutant::SettleAgain, "runs", random_run, 0),
    (Mutant::RejectionBlocks, "runs", random_run, 0),
    (Mutant::ReusedDotIsDuplicate, "runs", random_run, 0),
    (Mutant::BaseMayDecrease, "bases", bases, 0),
    (Mutant::ReleaseOnlyFirst, "runs", random_run, 2),
    (Mutant::ReminderStays, "reminders", reminders, 0),
    (Mutant::SecondCreateForgotten, "runs", random_run, 1),
    (Mutant::DeleteIgnoresLinks, "runs", random_run, 3),
    (Mutant::LinkIgnoresDelete, "runs", random_run, 3),
    (Mutant::CycleUnnoticed, "circles", circles, 0),
    (Mutant::OpeningUnseen, "runs", random_run, 13),
    (Mutant::HalfRejected, "runs", random_run, 0),
    (Mutant::ObservedIgnored, "runs", random_run, 0),
    (Mutant::ExtraBaseUnchecked, "bases", bases, 0),
    (Mutant::ShownByPolicyNow, "runs", random_run, 0),
    (Mutant::ReplicaNumberedTwice, "runs", random_run, 0),
];

fn random_run(seed: u64) -> Check {
    network::run(seed)
}

fn bases(_: u64) -> Check {
    admission::check_bases()
}

fn circles(_: u64) -> Check {
    admission::check_circles()
}

fn reminders(_: u64) -> Check {
    lifecycle::check_reminders()
}

/// Breaks a rule for a trial, and mends it even if the trial panics.
fn broken<R>(mutant: Mutant, trial: impl FnOnce() -> R) -> R {
    struct Mend;
    impl Drop for Mend {
        fn drop(&mut self) {
            mutants::set(None);
        }
    }
    let _mend = Mend;
    mutants::set(Some(mutant));
    trial()
}

/// Each fault is noticed, and by the seed in the table.
#[test]
fn every_fault_is_noticed() {
    let mut wrong = Vec::new();
    for (mutant, name, check, seed) in FAULTS {
        let first = broken(mutant, || (0..SEEDS_MAX).find(|seed| check(*seed).is_err()));
        if first != Some(seed) {
            wrong.push(format!("{mutant:?}: noticed first by {name} {first:?}, the table says {seed}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Without this, a check that always fails would notice everything.
#[test]
fn the_right_rules_are_not_noticed() {
    let mut furthest: BTreeMap<&str, (Noticing, u64)> = BTreeMap::new();
    for (_, name, check, seed) in FAULTS {
        let entry = furthest.entry(name).or_insert((check, seed));
        entry.1 = entry.1.max(seed);
    }
    for (name, (check, last)) in furthest {
        for seed in 0..=last {
            assert_eq!(check(seed), Ok(()), "{name}, seed {seed}");
        }
    }
}

/// How many of 20 seeds notice each fault, for documents: `cargo test --lib proof -- --ignored --nocapture`.
#[test]
#[ignore = "prints a table, checks nothing"]
fn table_of_faults() {
    for (mutant, name, check, _) in FAULTS {
        let caught = broken(mutant, || (0..20).filter(|seed| check(*seed).is_err()).count());
        println!("{mutant:?}: {caught} of 20, by {name}");
    }
}
