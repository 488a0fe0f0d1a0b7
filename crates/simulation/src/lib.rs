//! Simulated worlds: servers over one store, clients, and everything that goes wrong, all decided by a seed.
//!
//! The servers are the real thing, from tonic's transport down to the engine ([`syncline::server::Service`]); only what is
//! around them is made up: the network is turmoil's, the store is the memory store behind [`store_faults`], clock and
//! randomness are arguments. Clients ([`client`]) are as honest and as patient as the protocol asks, through generated
//! stubs.
//!
//! | what | how |
//! |---|---|
//! | servers | 1 to 3, each started again after a crash, over one store that survives them; one alone also without knowing of others |
//! | clients | 2 to 5: replica, counters, context from their own feed, knowledge of others' operations before their order, a queue sent again with the same dots, other servers after failures |
//! | feeds | Watch and Subscribe with acknowledgements and pauses, resumed from their cursors, sometimes read slowly; some clients begin with a snapshot while others write |
//! | choices | feeds of now these, now those collections, chosen on the open stream or with the cursor, cut while they load, resumed elsewhere; beside them another feed on the same stream |
//! | operations | registers, counters, sets, texts, links, creations, deletes and restores, dependencies, decisions, deferrals of a moment, lost and abandoned counters, invalid ones |
//! | network | delay, messages held back, lost ones, cuts both ways and one way. TCP is kept: a lost message jams its connection, which ends by its keepalive; messages overtake each other between connections only |
//! | servers' faults | crashes between any two ticks, at the n-th call of the store, and after a commit took effect; stops; clock steps up to a day |
//! | the store's faults | pauses at any call, stalls, refused commits, commits of unknown result that were stored or lost, announcements lost for a while or to the end |
//!
//! After the last fault, queues have to drain and feeds to be at the head within 10 s, reminders to fire within 15 s.
//! Then everything is judged ([`judge`]): the history checker ([`syncline_core::history`]) over all submissions, answers and
//! frames; states of clients at equal positions, reads, snapshots and choices against a fold of the log; every increment, inserted
//! piece of text and added element once; reminders once; nothing left waiting; what servers list against what
//! clients have; presence. On the way, every frame and answer is checked as it comes, and a panic anywhere counts.
//!
//! A seed determines everything about a run ([`interpose`], [`process`]); the hash over all events with their times is
//! equal when it runs again. Not simulated: readers that are silent for 30 s, checkpoints (15 s without a change),
//! restores.
//! [`faults`] proves that all this finds faults.

#![cfg(target_os = "linux")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "all of this is a test: whatever is not as it has to be ends the run, and the seed tells how to have it again"
)]

mod ambient;
mod client;
mod faults;
#[allow(unsafe_code, reason = "the C library's clock and randomness are replaced, see there")]
mod interpose;
mod judge;
mod net;
mod plan;
mod process;
mod record;
mod shared;
mod store;
mod store_faults;
mod world;

use syncline_core::seeded_faults::{self, SeededFault};

pub use faults::{FAULTS, named};
pub use process::{each, run_alone, tell};
pub use world::Verdict;

/// Servers in a run, at most.
const SERVERS_MAX: usize = 3;
/// Clients in a run, at most.
const CLIENTS_MAX: usize = 5;

/// One run of a seed in this process, which must do nothing else: with a fault, if one is named, and with its trace
/// printed on request.
pub fn simulate(seed: u64, fault: Option<SeededFault>, prints: bool) -> Verdict {
    let run = std::thread::spawn(move || {
        interpose::simulate(seed);
        seeded_faults::set(fault);
        world::run(seed, prints)
    });
    run.join().expect("the world catches its own panics")
}
