//! What a client sends and is told, as the history checker writes it down.

use syncline_core::causality::{Counter, Seq};
use thiserror::Error;

use crate::pb::{self, frame::Content, operation::Identity, operation::Knowledge, receipt::Outcome as Told};
use syncline_core::hash::Hash;
use syncline_core::history::{Answer, Entry, FeedRecorder, Log, Made, Outcome, Place, Recorder, Reset, Time};
use syncline_core::ids::{Dot, Epoch};

/// A part that every server sends is missing or unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unreadable: {0}")]
pub struct Unreadable(pub &'static str);

/// A dot, the server's own included.
fn dot(dot: Option<&pb::Dot>) -> Result<Dot, Unreadable> {
    let dot = dot.ok_or(Unreadable("no dot"))?;
    let replica = dot.replica_id.parse().map_err(|_| Unreadable("a replica's id"))?;
    Ok(Dot { replica, counter: Counter(dot.counter) })
}

fn dots(all: &[pb::Dot]) -> Result<Vec<Dot>, Unreadable> {
    all.iter().map(|d| dot(Some(d))).collect()
}

fn hash(bytes: &[u8]) -> Result<Hash, Unreadable> {
    Hash::try_from(bytes).map_err(|_| Unreadable("a hash"))
}

/// Writes down an operation with a dot as it was made, with its `content_hash` if the observer computes it.
pub fn record_operation(
    recorder: &mut Recorder,
    operation: &pb::Operation,
    content_hash: Option<Hash>,
) -> Result<Dot, Unreadable> {
    let Some(Identity::Dot(id)) = &operation.identity else { return Err(Unreadable("no dot")) };
    let id = dot(Some(id))?;
    let (context, extras) = match &operation.knowledge {
        Some(Knowledge::Context(context)) => {
            (Some((Epoch(context.epoch), Seq(context.base_seq))), dots(&context.extras)?)
        }
        Some(Knowledge::Latest(_)) | None => (None, Vec::new()),
    };
    let depends_on = dots(&operation.depends_on)?;
    recorder.made(&Made { dot: id, context, extras: &extras, depends_on: &depends_on, content_hash });
    Ok(id)
}

/// What a receipt says, and about which operation.
pub fn answer_from_pb(receipt: &pb::Receipt) -> Result<(Dot, Answer), Unreadable> {
    let id = dot(receipt.dot.as_ref())?;
    let (told, repeated) = match receipt.outcome.as_ref().ok_or(Unreadable("no outcome"))? {
        Told::Duplicate(duplicate) => {
            let stored = duplicate.stored.as_ref().and_then(|s| s.outcome.as_ref());
            (stored.ok_or(Unreadable("no stored outcome"))?, true)
        }
        told => (told, false),
    };
    let outcome = match told {
        Told::Applied(pb::Applied { seq })
        | Told::Merged(pb::Merged { seq })
        | Told::Conflicted(pb::Conflicted { seq, conflict_ids: _ }) => Outcome::Settled(Seq(*seq)),
        Told::Rejected(_) => Outcome::Rejected,
        Told::Held(_) => Outcome::Held,
        Told::NotSettled(refused) if refused.reason() == pb::ErrorReason::Unspecified => Outcome::Unknown,
        Told::NotSettled(_) => Outcome::Refused,
        Told::Duplicate(_) => return Err(Unreadable("a duplicate of a duplicate")),
    };
    Ok((id, Answer { outcome, repeated }))
}

/// Where a cursor stands.
pub fn place_from_pb(cursor: Option<&pb::Cursor>) -> Result<Place, Unreadable> {
    let cursor = cursor.ok_or(Unreadable("no cursor"))?;
    let chain = if cursor.chain.is_empty() { None } else { Some(hash(&cursor.chain)?) };
    Ok(Place { epoch: Epoch(cursor.epoch), seq: Seq(cursor.seq_inclusive), chain })
}

/// Writes down a frame that came at `at` to a reader that is at `position`.
pub fn record_frame(
    feed: &mut FeedRecorder,
    at: Time,
    position: Place,
    frame: &pb::Frame,
) -> Result<(), Unreadable> {
    let place = place_from_pb(frame.cursor.as_ref());
    match frame.content.as_ref().ok_or(Unreadable("no content"))? {
        Content::Opened(opened) => feed.opened(at, place?, Seq(opened.head_seq)),
        Content::Checkpoint(checkpoint) => feed.checkpoint(at, place?, Seq(checkpoint.head_seq)),
        Content::GoAway(_) => feed.go_away(at, place?),
        Content::HistoryReset(reset) => {
            let reason = match reset.reason() {
                pb::ResetReason::Compacted => Reset::Compacted,
                pb::ResetReason::WrongEpoch => Reset::WrongEpoch,
                pb::ResetReason::FutureCursor => Reset::FutureCursor,
                pb::ResetReason::Forbidden => Reset::Forbidden,
                pb::ResetReason::Unspecified => return Err(Unreadable("a reset without a reason")),
            };
            feed.reset(at, position, reason);
        }
        Content::Changes(changes) => {
            let read: Vec<Read> = changes.changes.iter().map(Read::of).collect::<Result<_, _>>()?;
            feed.changes(at, Seq(changes.from_seq_exclusive), place?, read.iter().map(Read::entry));
        }
        // Records are not part of the history; the position stands still while they come.
        Content::LoadingBegun(_)
        | Content::RecordsEntered(_)
        | Content::RecordsLeft(_)
        | Content::LoadingFinished(_) => feed.loading(at, place?),
        // This concerns only the stream, as an error of the call would.
        Content::FeedFailed(_) => {}
    }
    Ok(())
}

/// Adds a change to the log.
pub fn record_change(log: &mut Log, change: &pb::Change) -> Result<(), Unreadable> {
    log.push(&Read::of(change)?.entry());
    Ok(())
}

struct Read {
    seq: u64,
    dot: Dot,
    base_seq: u64,
    extras: Vec<Dot>,
    operation_hash: Hash,
    chain: Hash,
    /// Zeros if the server did not give it.
    hash_salt: Hash,
}

impl Read {
    fn of(change: &pb::Change) -> Result<Read, Unreadable> {
        let context = change.context.as_ref().ok_or(Unreadable("no context"))?;
        Ok(Read {
            seq: change.seq,
            dot: dot(change.dot.as_ref())?,
            base_seq: context.base_seq,
            extras: dots(&context.extras)?,
            operation_hash: hash(&change.operation_hash)?,
            chain: hash(&change.chain)?,
            hash_salt: if change.hash_salt.is_empty() { Hash::default() } else { hash(&change.hash_salt)? },
        })
    }

    fn entry(&self) -> Entry<'_> {
        Entry {
            seq: Seq(self.seq),
            dot: self.dot,
            base_seq: Seq(self.base_seq),
            extras: &self.extras,
            operation_hash: self.operation_hash,
            chain: self.chain,
            hash_salt: self.hash_salt,
        }
    }
}
