//! Proof of the engine's rules: random runs of model clients over a bad network against the real sequencer, judged by
//! oracles that know everything explicitly; single rules by hand; and faults planted in the rules, each of which a
//! check must notice.
//!
//! Every run goes through two servers in step: one with all its state in memory, and one that forgets and has to ask
//! for every row and change (miss and retry). Receipts, rows, changes and heads must be equal to the byte.
//!
//! Invariants, with the tests that check them. Those marked * are checked here as far as the sequencer is concerned,
//! and through the engine and the service in `tests/it`. "random" is `random_runs_keep_every_invariant`.
//!
//! | | invariant | test |
//! |---|---|---|
//! | 1 | positions are 1, 2, 3, … | random |
//! | 2* | a reader sees a prefix | random (a step only ever appends to the log) |
//! | 3*, 4* | frames tile; nothing twice, nothing skipped | random (`Client::receive`) |
//! | 5 | the order extends causality | random (`values::check_log`) |
//! | 6 | counters settle in order | random |
//! | 7 | one chain for all | random |
//! | 8, 9 | the first terminal outcome stands | random, `resubmissions_and_forks`, `request_ids` |
//! | 10 | another content is a fork | `resubmissions_and_forks`, random |
//! | 11 | what is held shows nowhere | random |
//! | 12 | nothing stays held for ever | random, `a_long_cascade_is_released_in_parts` |
//! | 13* | expiry changes only what is held | `holds_expire_without_effect`, random |
//! | 14* | holds keep their quotas | `holds_keep_their_quotas` |
//! | 15 | a rejection never blocks | `rejections_do_not_block`, `abandoned_counters` |
//! | 16 | circles are thrown out | `circles_are_thrown_out` |
//! | 17 | the rule is the explicit knowledge is the full vector | random |
//! | 18 | compaction changes no context | random (`Client::check_compaction`) |
//! | 19 | at most 32 extras | `contexts_stay_small`, random |
//! | 20* | cost does not depend on the replicas there ever were | `cost_does_not_depend_on_replicas` |
//! | 21 | bases never go back | `bases_never_go_back`, random |
//! | 22 | all at a position have one state, that of the rows and of a fold | random |
//! | 23 | with nothing pending the view is what is confirmed | random |
//! | 24 | counters | random (`values::check_counts`) |
//! | 25 | sets | random (`values::check_sets`) |
//! | 26, 27 | texts: authors' views, no character lost | random (`texts`), `text_clashes` |
//! | 28 | runs typed at one place stay together | `runs_typed_at_one_place_stay_together` |
//! | 29* | a snapshot and its tail are the whole | random (`replay::check_snapshots`) |
//! | 30 | no visible link dangles | random (`values::check_links`), `links_and_deletes` |
//! | 31 | all of an operation or nothing | `operations_are_atomic` |
//! | 32, 33 | exactly the clashing pairs are recorded, once | random (`inbox::check_pairs`) |
//! | 34, 35 | differing heads have one live conflict that offers them | random (`inbox::check_cover`) |
//! | 36, 37 | only who knew everything closes; no side is lost | random (`Inbox::judge`), `the_life_of_a_conflict` |
//! | 38 | detection is symmetric | `pairs_clash_in_both_orders_or_in_none` |
//! | 39 | what is shown is a head's, by the log alone | random (`replay::check_again`) |
//! | 40* | reminders fire once | `reminders_fire_once`, random |
//! | 41*, 42* | own writes show; positions never go back | random (`Client::check_shows`, `inbox::check_own_values`) |
//! | 43, 44 | no effect before its cause; own order for all | random (`Client::receive`) |
//!
//! Edit against delete: a record keeps the maximal creations, deletes and restores. A delete clashes with every change
//! of a field, every maximal creation or restore and every standing link that its author did not know, and takes
//! effect only when there is none; where the record is deleted already, two deletes agree. An edit clashes with the
//! maximal deletes its author did not know. `reference` says the same in the plainest form.

mod admission;
mod client;
mod cold_cost;
mod cost;
mod desk;
mod fold;
mod inbox;
mod jobs;
mod lifecycle;
mod mishaps;
mod network;
mod numbers;
mod pairs;
mod reference;
mod refusals;
mod replacing;
mod replay;
mod script;
mod seeded_faults;
mod server;
mod texts;
mod together;
mod truth;
mod values;
mod wide;
mod writing;

/// Ends a check with a message unless something holds.
macro_rules! ensure {
    ($holds:expr, $($said:tt)+) => {
        if !$holds {
            return Err(format!($($said)+));
        }
    };
}
use ensure;

/// What a check says: nothing, or what is wrong.
type Check = Result<(), String>;
/// A check of a single rule, without a seed.
type Single = fn() -> Check;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// Runs a check with seeds from 0, or as `SYNCLINE_SEED` and `SYNCLINE_MODEL_RUNS` say.
fn for_seeds(test: &str, runs: u64, check: impl Fn(u64) -> Check) {
    let from = setting("SYNCLINE_SEED").unwrap_or(0);
    let runs = setting("SYNCLINE_MODEL_RUNS").unwrap_or(runs);
    for seed in from..from + runs {
        if let Err(wrong) = check(seed) {
            let replay = format!(
                "SYNCLINE_SEED={seed} SYNCLINE_MODEL_RUNS=1 cargo test -p syncline-core proof::{test}"
            );
            panic!("seed {seed}: {wrong}\nagain: {replay}");
        }
    }
}

/// Runs checks that need no seed.
fn for_all(checks: &[(&str, Single)]) {
    for (name, check) in checks {
        if let Err(wrong) = check() {
            panic!("{name}: {wrong}");
        }
    }
}

/// Invariants 1 to 13, 15, 17 to 19, 21 to 27, 29, 30, 32 to 37, 39 to 44: registers of every policy, counters, sets,
/// texts, links, creations, deletes, restores and decisions, over loss, duplication, reordering, shared tabs,
/// restarts and expiry; at the end everything is decided, and the inbox is empty.
#[test]
fn random_runs_keep_every_invariant() {
    for_seeds("random_runs", 120, network::run);
}

/// A seed determines everything about a run, so that a failure can be reproduced.
#[test]
fn the_same_seed_gives_the_same_history() {
    for_seeds("the_same_seed", 6, |seed| {
        let (first, second) = (network::history(seed)?, network::history(seed)?);
        ensure!(first == second, "{first:?}, then {second:?}");
        Ok(())
    });
}

/// Invariants 25 and 34, for numbers that are written in different ways.
#[test]
fn numbers_are_what_they_are_worth() {
    for_all(&[
        ("registers", numbers::check_registers),
        ("order", numbers::check_order),
        ("sets", numbers::check_sets),
    ]);
}

/// Invariants 9 and 10.
#[test]
fn resubmissions_and_forks() {
    for_all(&[
        ("forks", admission::check_forks),
        ("contexts", admission::check_foreign_contexts),
        ("rewound", admission::check_rewound),
    ]);
}

/// Invariants 8 and 9 for callers without a replica.
#[test]
fn request_ids() {
    for_all(&[("requests", admission::check_requests), ("own requests", together::check_own_requests)]);
}

/// Operations that settle together do so at adjacent positions, or leave nothing behind, whatever of them is refused.
#[test]
fn together_or_not_at_all() {
    for_all(&[("releasing", together::check_releasing), ("before", together::check_settled_before)]);
    for_seeds("together", 120, together::check_random);
}

/// Invariant 12.
#[test]
fn a_long_cascade_is_released_in_parts() {
    for_all(&[("cascade", admission::check_long_cascade), ("missing", admission::check_what_is_missing)]);
}

/// Invariant 13.
#[test]
fn holds_expire_without_effect() {
    for_all(&[("expiry", admission::check_expiry), ("records", admission::check_awaited_records)]);
}

/// Invariant 14.
#[test]
fn holds_keep_their_quotas() {
    for_all(&[("quotas", admission::check_quotas)]);
}

/// Invariant 15.
#[test]
fn rejections_do_not_block() {
    for_all(&[("rejections", admission::check_rejections_do_not_block)]);
}

/// Invariant 15, for a counter its client lost.
#[test]
fn abandoned_counters() {
    for_all(&[("abandoned", admission::check_abandoned)]);
}

/// Invariant 16.
#[test]
fn circles_are_thrown_out() {
    for_all(&[("circles", admission::check_circles)]);
}

/// Invariant 19.
#[test]
fn contexts_stay_small() {
    for_all(&[("extras", network::check_extras)]);
}

/// Invariant 20.
#[test]
fn cost_does_not_depend_on_replicas() {
    for_all(&[("cost", wide::check_cost)]);
}

/// Invariant 21.
#[test]
fn bases_never_go_back() {
    for_all(&[("bases", admission::check_bases)]);
}

/// Invariant 28.
#[test]
fn runs_typed_at_one_place_stay_together() {
    for_seeds("runs_typed", 120, writing::check_runs);
}

/// Invariant 26 for authors with extras: they see what they listed.
#[test]
fn texts_are_decided_as_on_the_whole_history() {
    for_seeds("texts_are_decided", 60, writing::check_listed);
}

/// Invariants 26, 27 and 36 for texts: the four reasons for a clash, and decisions.
#[test]
fn text_clashes() {
    for_all(&[("reasons", writing::check_reasons), ("decisions", writing::check_decisions)]);
}

/// Invariants 30, 33 and 36 for links.
#[test]
fn links_and_deletes() {
    for_all(&[("relationships", lifecycle::check_relationships), ("links", lifecycle::check_links_of_many)]);
}

/// Invariant 31.
#[test]
fn operations_are_atomic() {
    for_all(&[("atomicity", admission::check_atomicity)]);
}

/// Kinds and policies of fields: declared, derived, strict, changed.
#[test]
fn schemas() {
    for_all(&[("schemas", admission::check_schemas), ("policy", lifecycle::check_changed_policy)]);
}

/// Invariants 33 to 37, transition by transition.
#[test]
fn the_life_of_a_conflict() {
    for_all(&[
        ("growing", lifecycle::check_growing),
        ("resolving", lifecycle::check_resolving),
        ("converging", lifecycle::check_converging_and_yielding),
        ("putting aside", lifecycle::check_putting_aside),
        ("observed", lifecycle::check_observed),
        ("deleted and back", lifecycle::check_deleted_and_back),
        ("agreeing deletes", lifecycle::check_agreeing_deletes),
        ("replacing a deleted record", replacing::check_replacing_deleted),
        ("writing again after deciding", lifecycle::check_writing_again_after_deciding),
        ("twins", lifecycle::check_twins),
    ]);
}

/// Invariant 38: registers, counters, sets, texts, links, edits, restores and deletes, each against each.
#[test]
fn pairs_clash_in_both_orders_or_in_none() {
    for_seeds("pairs_clash", 1_500, pairs::check_pair);
}

/// Invariant 40.
#[test]
fn reminders_fire_once() {
    for_all(&[("reminders", lifecycle::check_reminders)]);
}
