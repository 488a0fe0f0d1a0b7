//! What an observer of clients writes down: operations as they were made, submissions, answers.
//!
//! A [`Recorder`] belongs to one task and costs a push for each event; [`super::History`] puts many together.

use serde::{Deserialize, Serialize};

use super::dot::{Replicas, ShortDot, rename};
use crate::causality::Seq;
use crate::hash::Hash;
use crate::ids::{Dot, Epoch, ReplicaId};

/// Nanoseconds of one monotone clock, or the steps of a logical one: what matters is that all recorders of a
/// history share it. A submission is timed before it leaves, an answer after it came, so that a server can only
/// seem slower than it was.
pub type Time = u64;

/// A time later than every event, for what was never sent or never answered.
pub const NEVER: Time = Time::MAX;

/// What an answer said about one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Accepted at a position: applied, merged or in conflict. Final.
    Settled(Seq),
    /// Settled without a position. Final.
    Rejected,
    /// Stored until what it misses has settled.
    Held,
    /// Not taken, for a reason that says nothing about whether it settled before.
    Refused,
    /// The server knows nothing of it.
    Unknown,
}

impl Outcome {
    /// Whether the outcome is final: it can never change.
    pub fn is_final(self) -> bool {
        matches!(self, Outcome::Settled(_) | Outcome::Rejected)
    }
}

/// An answer: the outcome, and whether the server says that it had settled before this submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What became of the operation.
    pub outcome: Outcome,
    /// Whether it had settled before this submission.
    pub repeated: bool,
}

/// An operation as its author made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made<'a> {
    /// The operation's identity.
    pub dot: Dot,
    /// Epoch and base of its context; none for "latest".
    pub context: Option<(Epoch, Seq)>,
    /// What its author knew beyond the base.
    pub extras: &'a [Dot],
    /// Operations without which it must not settle.
    pub depends_on: &'a [Dot],
    /// The hash of the operation's content, if the observer computes it; the log must agree with it.
    pub content_hash: Option<Hash>,
}

/// Names a submission within its recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubmissionId(usize);

/// One operation in one call, answered or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The operation that was sent.
    pub dot: ShortDot,
    /// When it was sent.
    pub sent_at: Time,
    /// When it was answered; [`NEVER`] without an answer.
    pub answered_at: Time,
    told: u64,
}

/// How [`Submission`] packs an answer: a kind, a flag, and a position in the other bits.
const KIND_SHIFT: u32 = 61;
const REPEATED_BIT: u64 = 1 << 60;
const SEQ_MASK: u64 = REPEATED_BIT - 1;

impl Submission {
    /// What was answered.
    pub fn answer(&self) -> Option<Answer> {
        let outcome = match self.told >> KIND_SHIFT {
            1 => Outcome::Settled(Seq(self.told & SEQ_MASK)),
            2 => Outcome::Rejected,
            3 => Outcome::Held,
            4 => Outcome::Refused,
            5 => Outcome::Unknown,
            _ => return None,
        };
        Some(Answer { outcome, repeated: self.told & REPEATED_BIT != 0 })
    }

    pub(super) fn tell(&mut self, at: Time, answer: Answer) {
        let (kind, seq) = match answer.outcome {
            Outcome::Settled(seq) => (1, seq.min(Seq(SEQ_MASK))),
            Outcome::Rejected => (2, Seq::START),
            Outcome::Held => (3, Seq::START),
            Outcome::Refused => (4, Seq::START),
            Outcome::Unknown => (5, Seq::START),
        };
        let repeated = if answer.repeated { REPEATED_BIT } else { 0 };
        (self.answered_at, self.told) = (at, kind << KIND_SHIFT | repeated | seq.0);
    }
}

/// An operation as its author made it, in the form in which it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Intent {
    pub dot: ShortDot,
    pub base_seq: Option<Seq>,
    pub content_hash: Option<Hash>,
    /// Where its extras begin in [`Recorder::named`]; its dependencies follow them.
    pub named_from: u32,
    pub extras: u16,
    pub depends_on: u16,
    /// Index in [`Recorder::epochs`].
    pub epoch: u16,
}

/// A snapshot that a client was given: its position, and the chain there if it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The history it is in.
    pub epoch: Epoch,
    /// Its position: it holds everything up to and including this one.
    pub seq: Seq,
    /// The chain there, if it was given.
    pub chain: Option<Hash>,
    /// When the client had it.
    pub at: Time,
}

/// A client's state at a position, which must be the same for all clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Whose state it is, for reports.
    pub client: String,
    /// The position the client stood at.
    pub seq: Seq,
    /// A hash of the whole state.
    pub digest: Hash,
}

/// Writes down what one task saw.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    pub(super) replicas: Replicas,
    pub(super) epochs: Vec<Epoch>,
    pub(super) intents: Vec<Intent>,
    pub(super) named: Vec<ShortDot>,
    pub(super) submissions: Vec<Submission>,
    pub(super) ended: Vec<u32>,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) states: Vec<State>,
}

impl Recorder {
    /// An operation was made. Call this once for each dot, and never with a second content for the same dot.
    pub fn made(&mut self, made: &Made<'_>) {
        let named_from = u32::try_from(self.named.len()).unwrap_or(u32::MAX);
        let dot = self.replicas.short(made.dot);
        for named in made.extras.iter().chain(made.depends_on) {
            let short = self.replicas.short(*named);
            self.named.push(short);
        }
        let count = |dots: &[Dot]| u16::try_from(dots.len()).unwrap_or(u16::MAX);
        let epoch = made.context.map_or(u16::MAX, |(epoch, _)| index_of(&mut self.epochs, epoch));
        self.intents.push(Intent {
            dot,
            base_seq: made.context.map(|(_, base_seq)| base_seq),
            content_hash: made.content_hash,
            named_from,
            extras: count(made.extras),
            depends_on: count(made.depends_on),
            epoch,
        });
    }

    /// An operation is about to be sent, for the first time or again.
    pub fn sent(&mut self, dot: Dot, at: Time) -> SubmissionId {
        let dot = self.replicas.short(dot);
        self.submissions.push(Submission { dot, sent_at: at, answered_at: NEVER, told: 0 });
        SubmissionId(self.submissions.len() - 1)
    }

    /// The answer to a submission came. A submission without one may or may not have reached a server.
    pub fn answered(&mut self, submission: SubmissionId, at: Time, answer: Answer) {
        if let Some(submission) = self.submissions.get_mut(submission.0) {
            submission.tell(at, answer);
        }
    }

    /// The client of this replica is gone: its operations may stay without an outcome.
    pub fn client_ended(&mut self, replica: ReplicaId) {
        let index = self.replicas.index(replica);
        self.ended.push(index);
    }

    /// A client took a snapshot.
    pub fn snapshot(&mut self, snapshot: Snapshot) {
        self.snapshots.push(snapshot);
    }

    /// A client's state at a position.
    pub fn state(&mut self, state: State) {
        self.states.push(state);
    }

    /// Renames all dots after the replicas were taken into another list.
    pub(super) fn rename(&mut self, names: &[u32]) {
        self.intents.iter_mut().for_each(|i| rename(&mut i.dot, names));
        self.named.iter_mut().for_each(|d| rename(d, names));
        self.submissions.iter_mut().for_each(|s| rename(&mut s.dot, names));
        for ended in &mut self.ended {
            *ended = names.get(*ended as usize).copied().unwrap_or(*ended);
        }
    }

    /// The dots an intent names: extras, then dependencies.
    pub(super) fn named_by(&self, intent: &Intent) -> (&[ShortDot], &[ShortDot]) {
        let from = intent.named_from as usize;
        let to = from + usize::from(intent.extras) + usize::from(intent.depends_on);
        let named = self.named.get(from..to).unwrap_or_default();
        named.split_at(usize::from(intent.extras).min(named.len()))
    }
}

/// The index of an epoch in a short list; a new one is added.
pub(super) fn index_of(epochs: &mut Vec<Epoch>, epoch: Epoch) -> u16 {
    let index = epochs.iter().position(|e| *e == epoch).unwrap_or_else(|| {
        epochs.push(epoch);
        epochs.len() - 1
    });
    u16::try_from(index).unwrap_or(u16::MAX)
}
