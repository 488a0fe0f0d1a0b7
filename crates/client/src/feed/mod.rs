//! A reader of a feed that trusts nothing: every frame is checked against the position it stands at.

use syncline_core::causality::Seq;
use syncline_core::hash::{CHAIN_START, Hash, chain};
use syncline_core::ids::Epoch;
use syncline_core::view::FeedCursor;
use syncline_protocol::convert::cursor_to_pb;
use syncline_protocol::pb::{self, feed_start::Origin, frame::Content};

/// A frame breaks the protocol. Whoever reads this feed drops it and keeps what was there before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// A part that every frame has is missing or unreadable.
    #[error("a frame lacks a readable {0}")]
    Incomplete(&'static str),
    /// The server says something that this version does not know, and that must not be missed.
    #[error("the server says what this client does not understand: update it")]
    UpdateNeeded,
    /// The feed opens twice, or goes on before it has opened.
    #[error("the frame `{0}` is out of place")]
    OutOfPlace(&'static str),
    /// The history became another one in the middle of a feed.
    #[error("a frame is of epoch {found}, the feed of epoch {expected}")]
    Epoch {
        /// The feed's.
        expected: Epoch,
        /// The frame's.
        found: Epoch,
    },
    /// Changes do not begin where the feed stands, or do not end where they say.
    #[error("the feed stands at {at} and gets {count} changes from {from} to {to}")]
    Gap {
        /// Where the feed stands.
        at: Seq,
        /// The position that the frame says it follows.
        from: Seq,
        /// The position that the frame says it reaches.
        to: Seq,
        /// How many changes it holds.
        count: usize,
    },
    /// The changes of a frame are not in their order.
    #[error("change {found} is at the place of {expected}")]
    Order {
        /// The position that is next.
        expected: Seq,
        /// The one that came.
        found: Seq,
    },
    /// A frame's cursor would resume elsewhere than after the frame.
    #[error("a frame that ends at {at} resumes after {resumes}")]
    Cursor {
        /// Where the feed stands after the frame.
        at: Seq,
        /// Where its cursor stands.
        resumes: Seq,
    },
    /// A head lies behind what was delivered.
    #[error("the head {head} lies behind the position {at}")]
    Head {
        /// Where the feed stands.
        at: Seq,
        /// The head that the frame tells.
        head: Seq,
    },
    /// The chain over all operations is not the one computed here.
    #[error("the chain at {seq} is another one than its operations make")]
    Chain {
        /// The position.
        seq: Seq,
    },
}

/// What a frame brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// The feed is open; the workspace's head at that time.
    Opened(pb::FeedOpened),
    /// The next changes, without a gap.
    Changes(Vec<pb::Change>),
    /// Everything up to the position was delivered, even if no changes came.
    Checkpoint(pb::Checkpoint),
    /// The stream is about to end; another one goes on from here.
    GoAway(pb::GoAway),
    /// The history does not go on after this position: start over.
    Reset(pb::HistoryReset),
    /// A part of the records that come before the changes.
    Loading(Loading),
    /// The feed is over, others of its stream go on.
    Failed(pb::FeedFailed),
    /// Something that this version of the protocol does not know, and may go on without.
    Unknown,
}

/// What a feed loads before it goes on: records as of positions of their own.
#[derive(Debug, Clone, PartialEq)]
pub enum Loading {
    /// It begins, or goes on after a cut.
    Begun(pb::LoadingBegun),
    /// Whole records, with their live conflicts.
    Entered(pb::RecordsEntered),
    /// Records that are no longer asked for.
    Left(pb::RecordsLeft),
    /// Everything is there.
    Finished(pb::LoadingFinished),
}

/// A feed without filter, at a position. It outlives streams: the next one goes on where the last one ended.
#[derive(Debug, Clone)]
pub struct FeedReader {
    workspace_id: String,
    /// Unknown until a frame tells it, for a reader that starts from the beginning.
    epoch: Option<Epoch>,
    seq: Seq,
    /// Unknown for a reader that was given a position without it.
    chain: Option<Hash>,
    opened: bool,
}

impl FeedReader {
    /// A reader of everything since the workspace was made.
    pub fn from_the_beginning(workspace_id: &str) -> FeedReader {
        FeedReader {
            workspace_id: workspace_id.to_owned(),
            epoch: None,
            seq: Seq::START,
            chain: Some(CHAIN_START),
            opened: false,
        }
    }

    /// A reader of what follows a position.
    pub fn after(workspace_id: &str, cursor: FeedCursor) -> FeedReader {
        let FeedCursor { epoch, seq, chain } = cursor;
        let chain = chain.or((seq == 0).then_some(CHAIN_START));
        FeedReader { workspace_id: workspace_id.to_owned(), epoch: Some(epoch), seq, chain, opened: false }
    }

    /// Where it stands.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The epoch of the history, once it is known.
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// The chain at the position, once it is known.
    pub fn chain(&self) -> Option<Hash> {
        self.chain
    }

    /// How the next stream is asked to begin. The reader expects its first frame from now on.
    pub fn start(&mut self, client_name: &str) -> pb::FeedStart {
        self.opened = false;
        let origin = match self.epoch {
            Some(epoch) => {
                let cursor = FeedCursor { epoch, seq: self.seq, chain: self.chain };
                Origin::Cursor(cursor_to_pb(&self.workspace_id, &cursor))
            }
            None => Origin::Beginning(pb::FromBeginning {}),
        };
        pb::FeedStart {
            workspace_id: self.workspace_id.clone(),
            origin: Some(origin),
            client_name: client_name.to_owned(),
            ..Default::default()
        }
    }

    /// Takes in a frame. The reader stays where it is when the frame breaks the protocol.
    pub fn take(&mut self, frame: pb::Frame) -> Result<Heard, FeedError> {
        let pb::Frame { content, cursor, ignorable, subscription_id: _ } = frame;
        let content = match content {
            Some(content) => content,
            None if ignorable => return Ok(Heard::Unknown),
            None => return Err(FeedError::UpdateNeeded),
        };
        if let Content::FeedFailed(failed) = content {
            return Ok(Heard::Failed(failed));
        }
        let cursor = cursor.ok_or(FeedError::Incomplete("cursor"))?;
        if cursor.workspace_id != self.workspace_id {
            return Err(FeedError::Incomplete("cursor of this workspace"));
        }
        match (&content, self.opened) {
            // A history can end at any time.
            (Content::HistoryReset(_), _) | (Content::Opened(_), false) => {}
            (Content::Opened(_), true) => return Err(FeedError::OutOfPlace("opened")),
            (_, true) => {}
            (Content::Changes(_), false) => return Err(FeedError::OutOfPlace("changes")),
            (Content::Checkpoint(_), false) => return Err(FeedError::OutOfPlace("checkpoint")),
            (Content::GoAway(_), false) => return Err(FeedError::OutOfPlace("go_away")),
            (_, false) => return Err(FeedError::OutOfPlace("loading")),
        }
        if let Content::HistoryReset(reset) = content {
            // Its cursor is that of another history.
            return Ok(Heard::Reset(reset));
        }
        let found = Epoch(cursor.epoch);
        let expected = self.epoch.unwrap_or(found);
        if found != expected {
            return Err(FeedError::Epoch { expected, found });
        }
        let heard = match content {
            Content::Changes(changes) => self.take_changes(changes, &cursor)?,
            Content::Opened(opened) => {
                self.check_still(&cursor, Some(Seq(opened.head_seq)))?;
                self.opened = true;
                Heard::Opened(opened)
            }
            Content::Checkpoint(checkpoint) => {
                self.check_still(&cursor, Some(Seq(checkpoint.head_seq)))?;
                Heard::Checkpoint(checkpoint)
            }
            Content::GoAway(go_away) => {
                self.check_still(&cursor, None)?;
                Heard::GoAway(go_away)
            }
            Content::LoadingBegun(begun) => self.take_loading(&cursor, Loading::Begun(begun))?,
            Content::RecordsEntered(entered) => self.take_loading(&cursor, Loading::Entered(entered))?,
            Content::RecordsLeft(left) => self.take_loading(&cursor, Loading::Left(left))?,
            Content::LoadingFinished(finished) => self.take_loading(&cursor, Loading::Finished(finished))?,
            Content::HistoryReset(reset) => Heard::Reset(reset),
            Content::FeedFailed(failed) => Heard::Failed(failed),
        };
        self.epoch = Some(expected);
        Ok(heard)
    }

    /// Frames without changes stand where the feed stands.
    fn check_still(&self, cursor: &pb::Cursor, head_seq: Option<Seq>) -> Result<(), FeedError> {
        if cursor.seq_inclusive != self.seq.0 {
            return Err(FeedError::Cursor { at: self.seq, resumes: Seq(cursor.seq_inclusive) });
        }
        match head_seq {
            Some(head) if head < self.seq => Err(FeedError::Head { at: self.seq, head }),
            _ => Ok(()),
        }
    }

    fn take_loading(&self, cursor: &pb::Cursor, loading: Loading) -> Result<Heard, FeedError> {
        self.check_still(cursor, None)?;
        Ok(Heard::Loading(loading))
    }

    fn take_changes(&mut self, frame: pb::Changes, cursor: &pb::Cursor) -> Result<Heard, FeedError> {
        let pb::Changes { from_seq_exclusive, to_seq_inclusive: to, changes, head_seq, schema_version: _ } =
            frame;
        let (from, to) = (Seq(from_seq_exclusive), Seq(to));
        check_tiling(self.seq, from, to, changes.len())?;
        if Seq(cursor.seq_inclusive) != to {
            return Err(FeedError::Cursor { at: to, resumes: Seq(cursor.seq_inclusive) });
        }
        if Seq(head_seq) < to {
            return Err(FeedError::Head { at: to, head: Seq(head_seq) });
        }
        let mut at = self.chain;
        for (index, change) in (1..).zip(&changes) {
            let expected = self.seq + index;
            if Seq(change.seq) != expected {
                return Err(FeedError::Order { expected, found: Seq(change.seq) });
            }
            at = Some(chain_after(at, change)?);
        }
        if Hash::try_from(cursor.chain.as_ref()).ok() != at {
            return Err(FeedError::Chain { seq: to });
        }
        self.chain = at;
        self.seq = to;
        Ok(Heard::Changes(changes))
    }
}

/// Checks that a run of changes begins at a position, moves on from it, and holds one change for each position.
pub fn check_tiling(at: Seq, from_exclusive: Seq, to_inclusive: Seq, count: usize) -> Result<(), FeedError> {
    let whole = from_exclusive == at
        && count > 0
        && to_inclusive.0.checked_sub(at.0).is_some_and(|length| length == count as u64);
    if whole { Ok(()) } else { Err(FeedError::Gap { at, from: from_exclusive, to: to_inclusive, count }) }
}

/// The chain after a change, which must be what its operation makes of the chain before.
fn chain_after(before: Option<Hash>, change: &pb::Change) -> Result<Hash, FeedError> {
    let operation = Hash::try_from(change.operation_hash.as_ref())
        .map_err(|_| FeedError::Incomplete("hash of an operation"))?;
    let told = Hash::try_from(change.chain.as_ref()).map_err(|_| FeedError::Incomplete("chain"))?;
    match before {
        Some(before) if chain(&before, &operation) != told => Err(FeedError::Chain { seq: Seq(change.seq) }),
        _ => Ok(told),
    }
}

#[cfg(test)]
mod tests;
