//! Whole worlds, simulated: servers over one store, clients, and everything that goes wrong, all decided by a seed.
//!
//! The servers are the real thing, from tonic's transport down to the engine ([`crate::server::Service`]); only what is
//! around them is made up: the network is turmoil's, the store is the memory store behind [`weather`], clock and
//! randomness are arguments. Clients ([`client`]) are as honest and as patient as the protocol asks, through generated
//! stubs.
//!
//! | what | how |
//! |---|---|
//! | servers | 1 to 3, each started again after a crash, over one store that survives them; one alone also without knowing of others |
//! | clients | 2 to 5: replica, counters, context from their own feed, knowledge of others' operations before their order, a queue sent again with the same dots, other servers after failures |
//! | feeds | Watch and Subscribe with acknowledgements and pauses, resumed from their cursors, sometimes read slowly; some clients begin with a snapshot while others write |
//! | operations | registers, counters, sets, texts, links, creations, deletes and restores, dependencies, decisions, deferrals of a moment, lost and abandoned counters, invalid ones |
//! | network | delay, messages held back, lost ones, cuts both ways and one way. TCP is kept: a lost message jams its connection, which ends by its keepalive; messages overtake each other between connections only |
//! | servers' faults | crashes between any two ticks, at the n-th call of the store, and after a commit took effect; stops; clock steps up to a day |
//! | the store's faults | pauses at any call, stalls, refused commits, commits of unknown result that were stored or lost, announcements lost for a while or to the end |
//!
//! After the last fault, queues have to drain and feeds to be at the head within 10 s, reminders to fire within 15 s.
//! Then everything is judged ([`judge`]): the history checker ([`crate::history`]) over all submissions, answers and
//! frames; states of clients at equal positions, reads and snapshots against a fold of the log; every increment, inserted
//! piece of text and added element once; reminders once; nothing left waiting; what servers list against what
//! clients have; presence. On the way, every frame and answer is checked as it comes, and a panic anywhere counts.
//!
//! A seed tells everything about a run ([`interpose`], [`process`]); the hash over all events with their times is equal
//! when it runs again. Not simulated: readers that are silent for 30 s, checkpoints (15 s without a change), restores.
//! [`faults`] proves that all this finds something.

mod ambient;
mod client;
mod faults;
mod interpose;
mod judge;
mod net;
mod plan;
mod process;
mod record;
mod shared;
mod store;
mod weather;
mod world;

use crate::domain::mutants::{self, Mutant};
use faults::FAULTS;
use world::Verdict;

/// Servers in a run, at most.
const SERVERS_MAX: usize = 3;
/// Clients in a run, at most.
const CLIENTS_MAX: usize = 5;
/// Seeds of the ordinary run.
const SEEDS: u64 = 200;
/// Seeds that are run twice.
const TWICE: u64 = 10;
/// Seeds that are tried before a fault counts as unnoticed.
const FAULT_SEEDS_MAX: u64 = 1_000;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// What is wrong with a run, and how to have it again.
fn complaint(seed: u64, verdict: &Verdict) -> Option<String> {
    let wrong = verdict.violation.as_ref()?;
    Some(format!("seed {seed}: {wrong}\nagain: {}", process::again(seed, None)))
}

fn seeds_hold(seeds: std::ops::Range<u64>) {
    let wrong = process::run_each(seeds, |seed, verdict| complaint(seed, &verdict));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Whatever goes wrong, the promises hold.
#[test]
fn the_promises_hold_in_every_simulated_world() {
    seeds_hold(0..SEEDS);
}

/// The same with as many seeds as `SEEDS` says, from `SYNCLINE_SEED` on.
#[test]
#[ignore = "long: make simulate SEEDS=n"]
fn the_promises_hold_in_many_simulated_worlds() {
    let from = setting("SYNCLINE_SEED").unwrap_or(SEEDS);
    let count = setting("SEEDS").unwrap_or(1_000);
    seeds_hold(from..from + count);
    println!("{count} seeds from {from} on: nothing wrong");
}

/// A seed tells everything about a run: a failure can be had again.
#[test]
fn the_same_seed_gives_the_same_trace() {
    let wrong = process::run_each(0..TWICE, |seed, first| {
        let second = process::run(seed, None);
        (first != second).then(|| format!("seed {seed}: {first:?}, then {second:?}"))
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each planted fault is found.
#[test]
fn every_planted_fault_is_found() {
    let unnoticed = process::each(0..FAULTS.len() as u64, |at| {
        let (mutant, first, _) = FAULTS[at as usize];
        let found = first_seed(mutant, std::iter::once(first).chain(0..FAULT_SEEDS_MAX));
        found.is_none().then(|| format!("{mutant:?} is not found within {FAULT_SEEDS_MAX} seeds"))
    });
    assert!(unnoticed.is_empty(), "{}", unnoticed.join("\n"));
}

/// The first of some seeds that finds a fault, and what it finds.
fn first_seed(mutant: Mutant, mut seeds: impl Iterator<Item = u64>) -> Option<(u64, String)> {
    seeds.find_map(|seed| Some((seed, process::run(seed, Some(mutant)).violation?)))
}

/// What stands in the table of faults, as it is now.
#[test]
#[ignore = "long: tells the first seed for every fault"]
fn the_first_seed_that_finds_each_fault() {
    process::each(0..FAULTS.len() as u64, |at| {
        let mutant = FAULTS[at as usize].0;
        println!("{mutant:?}: {:?}", first_seed(mutant, 0..FAULT_SEEDS_MAX));
        None
    });
}

/// One seed, in this process. Only for a process that does nothing else.
#[test]
#[ignore = "one run; the other tests start a process for each"]
fn one_seed() {
    let seed = setting("SYNCLINE_SEED").unwrap_or(0);
    let fault = std::env::var("SYNCLINE_FAULT").ok().filter(|name| !name.is_empty());
    let mutant: Option<Mutant> = fault.map(|name| faults::named(&name).expect("a fault of this name"));
    let prints = std::env::var("SYNCLINE_TRACE").is_ok();
    if prints {
        tracing_subscriber::fmt().without_time().with_max_level(tracing::Level::WARN).with_ansi(false).init();
    }
    let verdict = std::thread::spawn(move || {
        interpose::simulate(seed);
        mutants::set(mutant);
        world::run(seed, prints)
    });
    process::tell(&verdict.join().unwrap());
}
