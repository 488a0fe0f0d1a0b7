//! What can be wrong with a history. Each kind names one fact, with what is needed to find it.

use thiserror::Error;

use super::feed::Reset;
use super::record::{Outcome, Time};
use crate::causality::Seq;
use crate::hash::Hash;
use crate::ids::{Dot, Epoch};

/// A broken promise. Sessions of a feed are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the message of each kind names its fields")]
pub enum Violation {
    // The log.
    #[error("position {expected} is not there: {found} comes in its place")]
    PositionMissing { expected: Seq, found: Seq },
    #[error("position {found} comes again where {expected} should be")]
    PositionRepeated { expected: Seq, found: Seq },
    #[error("the head is told as {head}, the log ends at {last}")]
    HeadElsewhere { head: Seq, last: Seq },
    #[error("{dot} is in the log at {first} and again at {second}")]
    DotTwice { dot: Dot, first: Seq, second: Seq },
    #[error("{dot} is in the log at {seq}, and nobody submitted it")]
    NobodySubmitted { dot: Dot, seq: Seq },
    #[error("the chain at {seq} is not that of {before} followed by the operation {dot}")]
    ChainBroken { seq: Seq, before: Seq, dot: Dot },
    #[error("the head's chain is not that of the last entry, {seq}")]
    HeadChainOther { seq: Seq },
    #[error("{dot} at {seq} has another content than its author gave it")]
    ContentChanged { dot: Dot, seq: Seq },
    #[error(
        "{dot} at {seq} has another causal context than its author gave it (base {made} there, {logged} here)"
    )]
    ContextChanged { dot: Dot, seq: Seq, made: Seq, logged: Seq },
    #[error("{dot} at {seq} was made in the epoch {epoch}, which is none of this workspace's")]
    ForeignEpoch { dot: Dot, seq: Seq, epoch: Epoch },

    // Cause and effect.
    #[error("{dot} at {seq} knows the positions up to {base_seq}")]
    BaseNotBefore { dot: Dot, seq: Seq, base_seq: Seq },
    #[error("{dot} at {seq} has the base {base_seq}, its replica's entry {before} had {base_before}")]
    BaseStepsBack { dot: Dot, seq: Seq, base_seq: Seq, before: Seq, base_before: Seq },
    #[error("{dot} at {seq} builds on {needs}, which comes at {needs_seq}")]
    EffectBeforeCause { dot: Dot, seq: Seq, needs: Dot, needs_seq: Seq },
    #[error("{dot} at {seq} builds on {needs}, which nobody submitted or which never settled")]
    EffectWithoutCause { dot: Dot, seq: Seq, needs: Dot },
    #[error("{dot} at {seq} depends on {needs}, which was rejected")]
    DependsOnRejected { dot: Dot, seq: Seq, needs: Dot },
    #[error("{dot} at {seq} has the base {base_seq} and knows {extra}, which knew up to {extra_base}")]
    ExtraKnewMore { dot: Dot, seq: Seq, base_seq: Seq, extra: Dot, extra_base: Seq },
    #[error("{dot} comes at {seq}, after {after} of the same replica")]
    CounterOutOfOrder { dot: Dot, seq: Seq, after: Dot },
    #[error("{dot} settled at {seq}, and {missing}, which nobody submitted, did not")]
    CounterGap { dot: Dot, seq: Seq, missing: Dot },

    // Time.
    #[error(
        "{first} was acknowledged at position {first_seq} at time {answered_at}; {later} was first sent at time \
         {sent_at} and has the position {later_seq}"
    )]
    RealTimeInverted {
        first: Dot,
        first_seq: Seq,
        answered_at: Time,
        later: Dot,
        later_seq: Seq,
        sent_at: Time,
    },
    #[error("{dot} was answered at time {answered_at}, sent at time {sent_at}")]
    AnsweredBeforeSent { dot: Dot, sent_at: Time, answered_at: Time },
    #[error("{feed} was at {position} at time {at}, and {dot} at {seq} was first sent at time {sent_at}")]
    DeliveredBeforeSent { feed: String, position: Seq, at: Time, dot: Dot, seq: Seq, sent_at: Time },
    #[error(
        "{dot}, first sent at time {at}, knows {base_seq}, and {later} at {seq} was sent at time {sent_at}"
    )]
    KnewBeforeSent { dot: Dot, at: Time, base_seq: Seq, later: Dot, seq: Seq, sent_at: Time },

    // Answers.
    #[error("{dot} was acknowledged at {told}, and the log, which ends at {head}, does not have it")]
    AcknowledgedLost { dot: Dot, told: Seq, head: Seq },
    #[error("{dot} was acknowledged at {told} and is at {found}")]
    ReceiptElsewhere { dot: Dot, told: Seq, found: Seq },
    #[error("{dot} was told to be rejected and is in the log at {seq}")]
    RejectedInLog { dot: Dot, seq: Seq },
    #[error("{dot} came to {first:?} in one answer and to {second:?} in another")]
    OutcomeChanged { dot: Dot, first: Outcome, second: Outcome },
    #[error("{dot} was told to settle for the first time more than once, the last time at {answered_at}")]
    SettledTwice { dot: Dot, answered_at: Time },
    #[error("{dot} was sent at time {sent_at}, after it had settled, and came to {outcome:?}")]
    Forgotten { dot: Dot, sent_at: Time, outcome: Outcome },

    // Feeds.
    #[error("{feed}, session {session}: goes on after {found} where it was at {position}: a gap")]
    FeedGap { feed: String, session: u32, position: Seq, found: Seq },
    #[error("{feed}, session {session}: goes on after {found} where it was at {position}: delivered again")]
    FeedRepeats { feed: String, session: u32, position: Seq, found: Seq },
    #[error("{feed}, session {session}: asked to go on after {asked}, opened at {opened}")]
    OpenedElsewhere { feed: String, session: u32, asked: Seq, opened: Seq },
    #[error("{feed}, session {session}: a frame of changes from {from} to {to}")]
    FrameEmpty { feed: String, session: u32, from: Seq, to: Seq },
    #[error("{feed}, session {session}: delivered {seq}, the log ends at {head}")]
    FeedBeyondLog { feed: String, session: u32, seq: Seq, head: Seq },
    #[error("{feed}, session {session}: {found} at {seq}, where the log has {dot}")]
    FeedOtherDot { feed: String, session: u32, seq: Seq, dot: Dot, found: Dot },
    #[error("{feed}, session {session}: {dot} at {seq} with another content than the log's")]
    FeedOtherContent { feed: String, session: u32, seq: Seq, dot: Dot },
    #[error("{feed}, session {session}: another chain at {seq} than the log's")]
    FeedOtherChain { feed: String, session: u32, seq: Seq },
    #[error("{feed}, session {session}: a checkpoint at {seq}, delivered is {position}")]
    CheckpointAhead { feed: String, session: u32, position: Seq, seq: Seq },
    #[error("{feed}, session {session}: a checkpoint at {seq}, delivered is already {position}")]
    CheckpointBehind { feed: String, session: u32, position: Seq, seq: Seq },
    #[error("{feed}, session {session}: the head is told as {head} at {position}; the log ends at {last}")]
    HeadImpossible { feed: String, session: u32, position: Seq, head: Seq, last: Seq },
    #[error("{feed}, session {session}: the epoch became {epoch} without a reset or a restore")]
    EpochChanged { feed: String, session: u32, epoch: Epoch },
    #[error("{feed}, session {session}: reset at {position} ({reason:?}) without a cause")]
    ResetWithoutCause { feed: String, session: u32, position: Seq, reason: Reset },
    #[error("a snapshot as of {seq}, where the log ends at {head} or has another chain")]
    SnapshotElsewhere { seq: Seq, head: Seq, chain: Option<Hash> },
    #[error("the states of {first} and {second} at {seq} differ")]
    StatesDiffer { first: String, second: String, seq: Seq },

    // The end.
    #[error("{feed} ended at {position}, the head is {head}")]
    FeedBehind { feed: String, position: Seq, head: Seq },
    #[error("{dot} has no outcome; the last answer was {last:?}")]
    WithoutOutcome { dot: Dot, last: Option<Outcome> },
}

impl Violation {
    /// The kind's name, as it stands in this list.
    pub fn name(&self) -> String {
        let all = format!("{self:?}");
        all.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
    }
}
