//! Judges what clients saw of one workspace against what the service promises.
//!
//! Observers write down what they send and what they are told ([`Recorder`] for submissions, [`FeedRecorder`] for
//! each reader); at the end one fresh feed reads the whole log ([`Log`]). [`check`] compares all of it and names
//! every broken promise as a [`Violation`]. It knows nothing about the inside of a server, so that the simulation, the
//! crash tests and load tests share it.
//!
//! What is checked:
//!
//! | property | file |
//! |---|---|
//! | positions are exactly 1 to the head; no operation twice; nothing that nobody submitted | `check/log.rs` |
//! | every chain is the one computed again from the operations' hashes | `check/log.rs` |
//! | an entry comes after everything in its context; contexts and contents are their authors' | `check/causal.rs` |
//! | a replica's operations settle in the order of their counters, bases never decrease | `check/counters.rs` |
//! | what was acknowledged before another was first sent has the lower position | `check/receipts.rs` |
//! | nothing is answered, delivered or known before it was sent | `check/receipts.rs`, `check/feeds.rs`, `check/causal.rs` |
//! | one outcome for each operation in all answers, the log's; nothing acknowledged is lost | `check/receipts.rs` |
//! | every reader saw a prefix of the log at every moment, over all sessions | `check/feeds.rs` |
//! | a checkpoint comes after all it stands for; resets have a cause | `check/feeds.rs` |
//! | snapshots and states at equal positions agree | `check/states.rs` |
//! | at the end feeds are at the head and operations have outcomes | `check/feeds.rs`, `check/receipts.rs` |
//!
//! Time is the observers' own clock. All real-time rules are one question, asked of every answer and every frame
//! that proves a position `s` at a time `t`: was anything up to `s` first sent after `t`? The answer is a running
//! maximum over the log, so that the whole check is linear.
//!
//! Not checked: what operations do to records (see `sequencer/proof`), and filters (what a filtered feed leaves out).

mod check;
mod dot;
mod feed;
mod gather;
mod record;
mod report;
#[cfg(test)]
mod tests;
mod violation;

pub use check::check;
pub use dot::{Replicas, ShortDot};
pub use feed::{Entry, FeedRecorder, Log, Place, Reset};
pub use gather::{Expectations, History};
pub use record::{Answer, Made, NEVER, Outcome, Recorder, Snapshot, State, Submission, SubmissionId, Time};
pub use report::{Counts, Found, KEPT_PER_KIND_COUNT, Report};
pub use violation::Violation;
