//! What an observer of one feed writes down, over all its sessions, and the whole log as one fresh feed gave it.

use serde::{Deserialize, Serialize};

use super::dot::{Replicas, ShortDot, rename};
use super::record::{Time, index_of};
use crate::causality::Seq;
use crate::hash::{CHAIN_START, Hash};
use crate::ids::{Dot, Epoch};

/// Why a feed could not be resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reset {
    /// The changes after the cursor are not kept any more.
    Compacted,
    /// The cursor is of another history of the workspace.
    WrongEpoch,
    /// The cursor lies beyond the head.
    FutureCursor,
    /// The reader may not see what it saw before.
    Forbidden,
}

/// Where a frame says that the feed stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The history it is in.
    pub epoch: Epoch,
    /// Everything up to and including this position was delivered.
    pub seq: Seq,
    /// The hash chain there, if the frame gives it.
    pub chain: Option<Hash>,
}

/// A change as a feed delivers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its position.
    pub seq: Seq,
    /// The operation's identity.
    pub dot: Dot,
    /// Its author knew every operation up to and including this position.
    pub base_seq: Seq,
    /// What its author knew beyond the base.
    pub extras: &'a [Dot],
    /// Identifies the content of the operation.
    pub operation_hash: Hash,
    /// The hash over all operations up to and including this one.
    pub chain: Hash,
    /// What the content's hash was salted with.
    pub hash_salt: Hash,
}

/// Four bytes of a hash; 0 for none. They are enough to tell two hashes apart, and take less memory.
pub(super) type Mark = u32;

pub(super) fn mark(hash: &Hash) -> Mark {
    let [a, b, c, d, ..] = *hash;
    u32::from_le_bytes([a, b, c, d]).max(1)
}

/// A delivered change as it is kept. Its position is given by its distance from the beginning of its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Delivered {
    pub distance: u32,
    pub dot: ShortDot,
    pub operation: Mark,
    pub chain: Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum FeedEventKind {
    /// The client asks to resume after `to`.
    Asked,
    /// The client asks to begin after `to`, whatever it had before: the beginning, or a snapshot.
    AskedAnew,
    /// The server opened the feed at `to`, with the head at `from`.
    Opened,
    /// Changes after `from` up to `to`.
    Changes,
    /// Nothing new: the feed is at `to`, the head at `from`.
    Checkpoint,
    /// Records are loaded; the feed stands still at `to`.
    Loading,
    /// The server ends the stream at `to`.
    GoAway,
    Reset(Reset),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FeedEvent {
    pub at: Time,
    pub from: Seq,
    pub to: Seq,
    /// The mark of the chain at `to`.
    pub chain: Mark,
    /// Changes delivered.
    pub count: u32,
    /// Index in [`FeedRecorder::epochs`].
    pub epoch: u16,
    pub kind: FeedEventKind,
}

/// Writes down what one reader was given, across all of its reconnections.
#[derive(Debug, Clone, Default)]
pub struct FeedRecorder {
    pub(super) name: String,
    pub(super) filtered: bool,
    pub(super) ends_at_head: bool,
    pub(super) replicas: Replicas,
    pub(super) epochs: Vec<Epoch>,
    pub(super) events: Vec<FeedEvent>,
    pub(super) delivered: Vec<Delivered>,
}

impl FeedRecorder {
    /// A reader by a name for reports. A filtered feed leaves changes out.
    pub fn new(name: impl Into<String>, filtered: bool) -> FeedRecorder {
        FeedRecorder { name: name.into(), filtered, ..FeedRecorder::default() }
    }

    /// The reader connects to go on after `place`.
    pub fn asked(&mut self, at: Time, place: Place) {
        self.push(at, place.seq, place, FeedEventKind::Asked);
    }

    /// The reader connects to begin after `place`, whatever it had before: at the beginning or after a snapshot.
    pub fn asked_anew(&mut self, at: Time, place: Place) {
        self.push(at, place.seq, place, FeedEventKind::AskedAnew);
    }

    /// The server opened the feed.
    pub fn opened(&mut self, at: Time, place: Place, head_seq: Seq) {
        self.push(at, head_seq, place, FeedEventKind::Opened);
    }

    /// A frame of changes came; `entries` are what it carries.
    pub fn changes<'a>(
        &mut self,
        at: Time,
        from_exclusive: Seq,
        to: Place,
        entries: impl IntoIterator<Item = Entry<'a>>,
    ) {
        let before = self.delivered.len();
        for entry in entries {
            let dot = self.replicas.short(entry.dot);
            let distance = u32::try_from(entry.seq.since(from_exclusive)).unwrap_or(u32::MAX);
            let (operation, chain) = (mark(&entry.operation_hash), mark(&entry.chain));
            self.delivered.push(Delivered { distance, dot, operation, chain });
        }
        self.push(at, from_exclusive, to, FeedEventKind::Changes);
        if let Some(event) = self.events.last_mut() {
            event.count = u32::try_from(self.delivered.len() - before).unwrap_or(u32::MAX);
        }
    }

    /// A checkpoint came.
    pub fn checkpoint(&mut self, at: Time, place: Place, head_seq: Seq) {
        self.push(at, head_seq, place, FeedEventKind::Checkpoint);
    }

    /// A part of what the feed loads came.
    pub fn loading(&mut self, at: Time, place: Place) {
        self.push(at, place.seq, place, FeedEventKind::Loading);
    }

    /// The server said that it ends the stream.
    pub fn go_away(&mut self, at: Time, place: Place) {
        self.push(at, place.seq, place, FeedEventKind::GoAway);
    }

    /// The server refused to resume from the place that was asked for.
    pub fn reset(&mut self, at: Time, asked: Place, reason: Reset) {
        self.push(at, asked.seq, asked, FeedEventKind::Reset(reason));
    }

    /// The run waited at its end until the feed should have had everything, so the feed must be at the head.
    pub fn must_be_at_head(&mut self) {
        self.ends_at_head = true;
    }

    fn push(&mut self, at: Time, from: Seq, to: Place, kind: FeedEventKind) {
        let epoch = index_of(&mut self.epochs, to.epoch);
        let chain = to.chain.as_ref().map_or(0, mark);
        self.events.push(FeedEvent { at, from, to: to.seq, chain, count: 0, epoch, kind });
    }

    pub(super) fn rename(&mut self, names: &[u32]) {
        self.delivered.iter_mut().for_each(|d| rename(&mut d.dot, names));
    }
}

/// An entry of the log as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LogEntry {
    pub seq: Seq,
    pub dot: ShortDot,
    pub base_seq: Seq,
    pub operation_hash: Hash,
    pub chain: Hash,
    /// What the content's hash was salted with.
    pub hash_salt: Hash,
    /// Where its extras begin in [`Log::extras`].
    pub extras_from: u32,
    pub extras: u16,
}

/// The whole log, read from the beginning at the end of the run.
#[derive(Debug, Clone)]
pub struct Log {
    pub(super) replicas: Replicas,
    pub(super) entries: Vec<LogEntry>,
    pub(super) extras: Vec<ShortDot>,
    pub(super) epoch: Epoch,
    pub(super) head_seq: Seq,
    pub(super) head_chain: Option<Hash>,
}

impl Log {
    /// An empty log.
    pub fn new(epoch: Epoch) -> Log {
        Log {
            replicas: Replicas::default(),
            entries: Vec::new(),
            extras: Vec::new(),
            epoch,
            head_seq: Seq::START,
            head_chain: Some(CHAIN_START),
        }
    }

    /// The next entry, as it was delivered.
    pub fn push(&mut self, entry: &Entry<'_>) {
        let dot = self.replicas.short(entry.dot);
        let extras_from = u32::try_from(self.extras.len()).unwrap_or(u32::MAX);
        for extra in entry.extras {
            let short = self.replicas.short(*extra);
            self.extras.push(short);
        }
        self.entries.push(LogEntry {
            seq: entry.seq,
            dot,
            base_seq: entry.base_seq,
            operation_hash: entry.operation_hash,
            chain: entry.chain,
            hash_salt: entry.hash_salt,
            extras_from,
            extras: u16::try_from(entry.extras.len()).unwrap_or(u16::MAX),
        });
    }

    /// The head as the server tells it.
    pub fn head(&mut self, seq: Seq, chain: Option<Hash>) {
        (self.head_seq, self.head_chain) = (seq, chain);
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was ever written.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn rename(&mut self, names: &[u32]) {
        self.entries.iter_mut().for_each(|e| rename(&mut e.dot, names));
        self.extras.iter_mut().for_each(|d| rename(d, names));
    }

    pub(super) fn extras_of(&self, entry: &LogEntry) -> &[ShortDot] {
        let from = entry.extras_from as usize;
        self.extras.get(from..from + usize::from(entry.extras)).unwrap_or_default()
    }
}
