use bytes::Bytes;
use syncline_core::hash::hash;

use super::*;

const EPOCH: Epoch = Epoch(7);

/// A history that agrees with itself.
struct History {
    chains: Vec<Hash>,
}

impl History {
    fn of(length: u8) -> History {
        let mut chains = vec![CHAIN_START];
        for number in 1..=length {
            let last = chains[usize::from(number) - 1];
            chains.push(chain(&last, &hash(&[number])));
        }
        History { chains }
    }

    fn cursor(&self, seq: u64) -> pb::Cursor {
        let chain = Some(self.chains[usize::try_from(seq).unwrap()]);
        cursor_to_pb("board", &FeedCursor { epoch: EPOCH, seq: Seq(seq), chain })
    }

    fn change(&self, seq: u64) -> pb::Change {
        let at = usize::try_from(seq).unwrap();
        pb::Change {
            seq,
            operation_hash: Bytes::copy_from_slice(&hash(&[u8::try_from(seq).unwrap()])),
            chain: Bytes::copy_from_slice(&self.chains[at]),
            ..Default::default()
        }
    }

    fn opened(&self, seq: u64) -> pb::Frame {
        let opened = pb::FeedOpened { head_seq: self.chains.len() as u64 - 1, ..Default::default() };
        frame(Content::Opened(opened), self.cursor(seq))
    }

    /// The changes after `from`, up to `to`.
    fn changes(&self, from: u64, to: u64) -> pb::Changes {
        pb::Changes {
            from_seq_exclusive: from,
            to_seq_inclusive: to,
            changes: (from + 1..=to).map(|seq| self.change(seq)).collect(),
            head_seq: self.chains.len() as u64 - 1,
            ..Default::default()
        }
    }
}

fn frame(content: Content, cursor: pb::Cursor) -> pb::Frame {
    pb::Frame { content: Some(content), cursor: Some(cursor), ..Default::default() }
}

fn open_at(history: &History, seq: u64) -> FeedReader {
    let mut reader = match seq {
        0 => FeedReader::from_the_beginning("board"),
        _ => {
            let chain = Some(history.chains[usize::try_from(seq).unwrap()]);
            FeedReader::after("board", FeedCursor { epoch: EPOCH, seq: Seq(seq), chain })
        }
    };
    reader.start("test");
    assert!(matches!(reader.take(history.opened(seq)), Ok(Heard::Opened(_))));
    reader
}

#[test]
fn a_feed_is_followed_from_the_beginning_and_taken_up_again_where_it_was() {
    let history = History::of(5);
    let mut reader = FeedReader::from_the_beginning("board");
    let beginning = Some(Origin::Beginning(pb::FromBeginning {}));
    assert_eq!(reader.start("test").origin, beginning, "nothing is known yet");
    reader.take(history.opened(0)).unwrap();
    let heard = reader.take(frame(Content::Changes(history.changes(0, 3)), history.cursor(3))).unwrap();
    assert!(matches!(heard, Heard::Changes(changes) if changes.len() == 3));
    assert_eq!(reader.start("test").origin, Some(Origin::Cursor(history.cursor(3))));
    reader.take(history.opened(3)).unwrap();
    reader.take(frame(Content::Changes(history.changes(3, 5)), history.cursor(5))).unwrap();
    assert_eq!(
        (reader.seq(), reader.epoch(), reader.chain()),
        (Seq(5), Some(EPOCH), Some(history.chains[5]))
    );
}

#[test]
fn changes_that_do_not_follow_are_refused_and_move_nothing() {
    let history = History::of(5);
    let mut reader = open_at(&history, 2);
    let gap = frame(Content::Changes(history.changes(3, 5)), history.cursor(5));
    assert_eq!(reader.take(gap), Err(FeedError::Gap { at: Seq(2), from: Seq(3), to: Seq(5), count: 2 }));
    let again = frame(Content::Changes(history.changes(1, 3)), history.cursor(3));
    assert_eq!(reader.take(again), Err(FeedError::Gap { at: Seq(2), from: Seq(1), to: Seq(3), count: 2 }));
    let mut hole = history.changes(2, 5);
    hole.changes.remove(1);
    let short = frame(Content::Changes(hole), history.cursor(5));
    assert_eq!(reader.take(short), Err(FeedError::Gap { at: Seq(2), from: Seq(2), to: Seq(5), count: 2 }));
    let mut twisted = history.changes(2, 5);
    twisted.changes.swap(0, 1);
    let order = frame(Content::Changes(twisted), history.cursor(5));
    assert_eq!(reader.take(order), Err(FeedError::Order { expected: Seq(3), found: Seq(4) }));
    assert_eq!(reader.seq(), 2);
}

#[test]
fn another_history_is_noticed_by_its_chain_and_by_its_epoch() {
    let history = History::of(5);
    let mut reader = open_at(&history, 2);
    let mut forged = history.changes(2, 3);
    forged.changes[0].operation_hash = Bytes::copy_from_slice(&hash(b"another"));
    let forged = frame(Content::Changes(forged), history.cursor(3));
    assert_eq!(reader.take(forged), Err(FeedError::Chain { seq: Seq(3) }));
    let mut cursor = history.cursor(3);
    cursor.chain = Bytes::copy_from_slice(&CHAIN_START);
    let wrong = frame(Content::Changes(history.changes(2, 3)), cursor);
    assert_eq!(reader.take(wrong), Err(FeedError::Chain { seq: Seq(3) }));
    let mut cursor = history.cursor(3);
    cursor.epoch = 8;
    let foreign = frame(Content::Changes(history.changes(2, 3)), cursor);
    assert_eq!(reader.take(foreign), Err(FeedError::Epoch { expected: EPOCH, found: Epoch(8) }));
}

#[test]
fn frames_without_changes_stand_where_the_feed_stands() {
    let history = History::of(5);
    let mut reader = open_at(&history, 2);
    let checkpoint = |head_seq| Content::Checkpoint(pb::Checkpoint { head_seq });
    assert!(matches!(reader.take(frame(checkpoint(5), history.cursor(2))), Ok(Heard::Checkpoint(_))));
    assert_eq!(
        reader.take(frame(checkpoint(5), history.cursor(3))),
        Err(FeedError::Cursor { at: Seq(2), resumes: Seq(3) })
    );
    assert_eq!(
        reader.take(frame(checkpoint(1), history.cursor(2))),
        Err(FeedError::Head { at: Seq(2), head: Seq(1) })
    );
    assert_eq!(reader.take(history.opened(2)), Err(FeedError::OutOfPlace("opened")));
}

#[test]
fn nothing_comes_before_the_feed_has_opened() {
    let history = History::of(5);
    let mut reader = FeedReader::from_the_beginning("board");
    let early = frame(Content::Changes(history.changes(0, 3)), history.cursor(3));
    assert_eq!(reader.take(early), Err(FeedError::OutOfPlace("changes")));
    let reset = frame(Content::HistoryReset(pb::HistoryReset::default()), history.cursor(0));
    assert!(matches!(reader.take(reset), Ok(Heard::Reset(_))));
}
