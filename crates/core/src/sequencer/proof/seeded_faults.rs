//! Faults planted in the rules: a check must fail for each, and none without one.

use std::collections::BTreeMap;

use super::{Check, admission, lifecycle, network, together, writing};
use crate::seeded_faults::{self, SeededFault};

/// Seeds tried before a fault counts as unnoticed.
const SEEDS_MAX: u64 = 400;

type Noticing = fn(u64) -> Check;

/// Every fault, what notices it, and the first seed that does.
const FAULTS: [(SeededFault, &str, Noticing, u64); 37] = [
    (SeededFault::IgnoreExtras, "runs", random_run, 0),
    (SeededFault::ForgetOwnChain, "runs", random_run, 0),
    (SeededFault::NoHold, "runs", random_run, 1),
    (SeededFault::LastWriterOnly, "runs", random_run, 0),
    (SeededFault::NewcomerTakesOver, "runs", random_run, 0),
    (SeededFault::CloseUnseen, "runs", random_run, 0),
    (SeededFault::ForgetShadows, "runs", random_run, 2),
    (SeededFault::SecondLiveConflict, "runs", random_run, 0),
    (SeededFault::RemoveWins, "runs", random_run, 3),
    (SeededFault::AssignForgetsIncrements, "runs", random_run, 2),
    (SeededFault::DeleteIgnoresEdits, "runs", random_run, 1),
    (SeededFault::EditIgnoresDelete, "runs", random_run, 0),
    (SeededFault::SettleAgain, "runs", random_run, 0),
    (SeededFault::RejectionBlocks, "runs", random_run, 0),
    (SeededFault::ReusedDotIsDuplicate, "runs", random_run, 0),
    (SeededFault::BaseMayDecrease, "bases", bases, 0),
    (SeededFault::ReleaseOnlyFirst, "runs", random_run, 1),
    (SeededFault::ReminderStays, "reminders", reminders, 0),
    (SeededFault::SecondCreateForgotten, "runs", random_run, 1),
    (SeededFault::DeleteIgnoresLinks, "runs", random_run, 1),
    (SeededFault::LinkIgnoresDelete, "runs", random_run, 3),
    (SeededFault::CycleUnnoticed, "circles", circles, 0),
    (SeededFault::OpeningUnseen, "runs", random_run, 5),
    (SeededFault::HalfRejected, "runs", random_run, 0),
    (SeededFault::ObservedIgnored, "runs", random_run, 0),
    (SeededFault::ExtraBaseUnchecked, "bases", bases, 0),
    (SeededFault::ShownByPolicyNow, "runs", random_run, 0),
    (SeededFault::ReplicaNumberedTwice, "runs", random_run, 0),
    (SeededFault::RequestsAsChain, "runs", random_run, 1),
    (SeededFault::RequestBaseUnchecked, "own requests", own_requests, 0),
    (SeededFault::BaseChainUnchecked, "rewound", rewound, 0),
    (SeededFault::HalfOfCallStays, "together", together::check_random, 0),
    (SeededFault::RegionStandsStill, "listed texts", writing::check_listed, 0),
    (SeededFault::VersionForgotten, "runs", random_run, 22),
    (SeededFault::BystandersForgotten, "runs", random_run, 82),
    (SeededFault::RegionsStayApart, "listed texts", writing::check_listed, 12),
    (SeededFault::ReachOutlivesBase, "runs", random_run, 4),
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

fn own_requests(_: u64) -> Check {
    together::check_own_requests()
}

fn rewound(_: u64) -> Check {
    admission::check_rewound()
}

fn reminders(_: u64) -> Check {
    lifecycle::check_reminders()
}

/// Breaks a rule for a trial, and mends it even if the trial panics.
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

/// Each fault is noticed, and by the seed in the table.
#[test]
fn every_fault_is_noticed() {
    let mut wrong = Vec::new();
    for (fault, name, check, seed) in FAULTS {
        let first = broken(fault, || (0..SEEDS_MAX).find(|seed| check(*seed).is_err()));
        if first != Some(seed) {
            wrong.push(format!("{fault:?}: noticed first by {name} {first:?}, the table says {seed}"));
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

/// How many of 20 seeds notice each fault, for documents: `cargo test -p syncline-core proof -- --ignored --nocapture`.
#[test]
#[ignore = "prints a table, checks nothing"]
fn table_of_faults() {
    for (fault, name, check, _) in FAULTS {
        let caught = broken(fault, || (0..20).filter(|seed| check(*seed).is_err()).count());
        println!("{fault:?}: {caught} of 20, by {name}");
    }
}
