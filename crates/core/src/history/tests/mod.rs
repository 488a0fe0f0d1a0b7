//! The checker itself: it accepts what a correct service shows, and finds every planted fault as what it is.

mod corrupt_answers;
mod corrupt_feeds;
mod corrupt_log;
mod faults;
mod large;
mod model;
mod script;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::check;
use model::valid;

const SEEDS: u64 = 300;

#[test]
fn what_a_right_service_shows_is_accepted() {
    for seed in 0..SEEDS {
        let report = check(&valid(seed).history());
        assert!(report.is_content(), "seed {seed}: {report}");
        assert!(report.counts.log_entries > 40 && report.counts.delivered > 80, "seed {seed}: {report}");
    }
}

#[test]
fn every_planted_fault_is_found_as_what_it_is() {
    let mut missed = Vec::new();
    for (name, violation, plant) in faults::FAULTS {
        for seed in 0..SEEDS / 3 {
            let mut script = valid(seed);
            plant(&mut script, &mut StdRng::seed_from_u64(seed));
            let report = check(&script.history());
            if report.total(violation) == 0 {
                missed.push(format!("{name}, seed {seed}: no {violation} in\n{report}"));
                break;
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n\n"));
}

#[test]
fn every_kind_of_violation_has_a_fault() {
    let list = include_str!("../violation.rs");
    let (_, list) = list.split_once("pub enum Violation {").expect("the list");
    let (list, _) = list.split_once("\nimpl ").expect("its end");
    let kinds: Vec<&str> = list
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.split_once(" {").map(|(name, _)| name))
        .filter(|name| name.starts_with(char::is_uppercase))
        .collect();
    assert!(kinds.len() > 30, "{kinds:?}");
    let without: Vec<_> = kinds
        .iter()
        .filter(|kind| !faults::FAULTS.iter().any(|(_, violation, _)| violation == *kind))
        .collect();
    assert!(without.is_empty(), "no planted fault shows {without:?}");
}

#[test]
fn one_fault_among_many_is_told_with_its_facts() {
    let mut script = valid(1);
    let entry = script.log[4].clone();
    script.submissions.retain(|s| s.dot != entry.dot);
    script.made.retain(|m| m.dot != entry.dot);
    let text = check(&script.history()).to_string();
    assert!(text.contains("NobodySubmitted: 1 times"), "{text}");
    assert!(text.contains(&format!("{} is in the log at 5, and nobody submitted it", entry.dot)), "{text}");
}
