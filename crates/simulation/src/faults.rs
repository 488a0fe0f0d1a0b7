//! Faults planted in the service, to prove that the simulation finds what it is there to find.
//!
//! They come in addition to those of the rules (`sequencer/proof/seeded_faults.rs` of the core), and are one line each
//! in the code of engine and services; [`SeededFault`] says what each breaks. Which seeds find them changes with every
//! change of the engine: the test begins with the seed given here, and goes on with others.
//! `the_first_seed_that_finds_each_fault` prints them anew.

use syncline_core::seeded_faults::SeededFault;

/// Every fault, a seed that found it, and what that found.
pub const FAULTS: [(SeededFault, u64, &str); 30] = [
    (
        SeededFault::AnswerBeforeCommit,
        0,
        "operations wait for ever for an acknowledged one that is not there",
    ),
    (SeededFault::PublishBeforeCommit, 0, "two clients have different states at one position"),
    (
        SeededFault::FailureAnsweredAsSuccess,
        0,
        "an operation sent again has another position than it was acknowledged at",
    ),
    (SeededFault::UnknownIsStored, 0, "a feed is reset: its position is ahead of the store"),
    (SeededFault::UnknownIsLost, 7, "the log refuses the next change, or has a gap"),
    (SeededFault::CacheSurvivesFailure, 7, "the log refuses the next change, or has a gap"),
    (SeededFault::CacheUnchecked, 0, "an honest context is refused as ahead of the head"),
    (SeededFault::HeadNotLocked, 0, "the log refuses a position that is taken"),
    (SeededFault::DuplicatesForgotten, 0, "the log refuses an operation that it has"),
    (SeededFault::WaitersForgotten, 0, "queues do not drain: operations are held for ever"),
    (SeededFault::CounterGapAccepted, 0, "the log refuses an operation that it has"),
    (SeededFault::NotifyOnly, 33, "a feed never reaches the head"),
    (SeededFault::RecentGapServed, 0, "a frame does not continue the chain"),
    (SeededFault::ResumeSkipsOne, 0, "a feed does not open at its cursor"),
    (SeededFault::ResumeRepeatsOne, 0, "a feed does not open at its cursor"),
    (SeededFault::CursorOfHead, 0, "a frame does not end at its cursor"),
    (SeededFault::GoAwayAtHead, 4, "a stream that ends tells a cursor that was not reached"),
    (SeededFault::EpochUnchecked, 0, "a foreign cursor is accepted"),
    (SeededFault::BaseChainUnchecked, 0, "an operation on another history is accepted"),
    (SeededFault::ChainUnchecked, 0, "a cursor with a wrong chain is accepted"),
    (SeededFault::LaggingServerResets, 6, "a feed is reset that another server had served"),
    (SeededFault::DifferenceNotLoaded, 0, "a client that chose anew lacks what it chose"),
    (SeededFault::LeaveForgotten, 0, "a client that chose anew has what it no longer asks for"),
    (SeededFault::LoadingResumesTooFar, 0, "a client that was cut while it loaded lacks a record"),
    (SeededFault::SnapshotPositionLate, 3, "two clients have different states at one position"),
    (SeededFault::SnapshotPositionShown, 6, "two clients have different states at one position"),
    (SeededFault::ReadPositionShown, 0, "a read is older than what was acknowledged before"),
    (SeededFault::AtLeastUnchecked, 0, "a read of a position that is not there is answered"),
    (SeededFault::RemindersForgotten, 1, "a conflict stays put aside"),
    (SeededFault::LeaseNeverEnds, 0, "a client that is gone is listed as connected"),
];

/// The fault of this name.
pub fn named(name: &str) -> Option<SeededFault> {
    FAULTS.iter().map(|(fault, ..)| *fault).find(|fault| format!("{fault:?}") == name)
}
