//! Faults planted in the service, to prove that the simulation finds what it is there to find.
//!
//! They are beside those of the rules (`domain/sequencer/proof/mutants.rs`) and stand in the code of engine and services
//! as one line each; `domain/mutants.rs` says what each breaks. The seeds move with every change of the engine: the
//! test begins with the seed given here, and goes on with others. `the_first_seed_that_finds_each_fault` tells them anew.

use crate::domain::mutants::Mutant;

/// Every fault, a seed that found it, and what that found.
pub(super) const FAULTS: [(Mutant, u64, &str); 25] = [
    (Mutant::AnswerBeforeCommit, 0, "operations wait for ever for an acknowledged one that is not there"),
    (Mutant::PublishBeforeCommit, 0, "two clients have different states at one position"),
    (
        Mutant::FailureAnsweredAsSuccess,
        0,
        "an operation sent again has another position than it was acknowledged at",
    ),
    (Mutant::UnknownIsStored, 0, "a feed is reset: its position is ahead of the store"),
    (Mutant::UnknownIsLost, 7, "the log refuses the next change, or has a gap"),
    (Mutant::CacheSurvivesFailure, 7, "the log refuses the next change, or has a gap"),
    (Mutant::CacheUnchecked, 0, "an honest context is refused as ahead of the head"),
    (Mutant::HeadNotLocked, 0, "the log refuses a position that is taken"),
    (Mutant::DuplicatesForgotten, 0, "the log refuses an operation that it has"),
    (Mutant::WaitersForgotten, 0, "queues do not drain: operations are held for ever"),
    (Mutant::CounterGapAccepted, 0, "the log refuses an operation that it has"),
    (Mutant::NotifyOnly, 33, "a feed never reaches the head"),
    (Mutant::RingGapServed, 0, "a frame does not continue the chain"),
    (Mutant::ResumeSkipsOne, 0, "a feed does not open at its cursor"),
    (Mutant::ResumeRepeatsOne, 0, "a feed does not open at its cursor"),
    (Mutant::CursorOfHead, 0, "a frame does not end at its cursor"),
    (Mutant::GoAwayAtHead, 4, "a stream that ends tells a cursor that was not reached"),
    (Mutant::EpochUnchecked, 0, "a foreign cursor is accepted"),
    (Mutant::ChainUnchecked, 0, "a cursor with a wrong chain is accepted"),
    (Mutant::LaggingServerResets, 6, "a feed is reset that another server had served"),
    (Mutant::SnapshotPositionLate, 3, "two clients have different states at one position"),
    (Mutant::SnapshotPositionShown, 6, "two clients have different states at one position"),
    (Mutant::ReadPositionShown, 0, "a read is older than what was acknowledged before"),
    (Mutant::RemindersForgotten, 1, "a conflict stays put aside"),
    (Mutant::LeaseNeverEnds, 0, "a client that is gone is listed as connected"),
];

/// The fault of this name.
pub(super) fn named(name: &str) -> Option<Mutant> {
    FAULTS.iter().map(|(mutant, ..)| *mutant).find(|mutant| format!("{mutant:?}") == name)
}
