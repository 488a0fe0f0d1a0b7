//! A reader of feeds that believes nothing: every frame is checked as it comes.

use pb::feed_start::Origin;
use pb::frame::Content;
use pb::subscribe_request::Message as Said;
use syncline_core::hash::{CHAIN_START, Hash, chain};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{Workspace, pb, within};

/// Which of the two methods a feed comes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Watch,
    Subscribe,
}

/// Both.
pub const KINDS: [Kind; 2] = [Kind::Watch, Kind::Subscribe];

enum Stream {
    Watch(Streaming<pb::WatchResponse>),
    Subscribe(Streaming<pb::SubscribeResponse>),
}

/// What came next.
#[derive(Debug)]
pub enum Heard {
    Changes(Vec<pb::Change>),
    Checkpoint(pb::Checkpoint),
    /// A part of what the feed loads.
    Loading(Loading),
    GoAway(pb::GoAwayReason),
    /// The database does not go on where it was.
    Reset(pb::ResetReason),
    /// The stream ended without an error.
    End,
    Failed(Status),
}

/// What a feed loads.
#[derive(Debug)]
pub enum Loading {
    Begun(pb::LoadingBegun),
    Entered(pb::RecordsEntered),
    Left(pb::RecordsLeft),
    Finished(pb::LoadingFinished),
}

/// An open feed. Tiling, exactly-once, the chain of hashes and the cursors are checked with every frame.
pub struct Feed {
    workspace: Workspace,
    stream: Stream,
    say: Option<mpsc::Sender<pb::SubscribeRequest>>,
    filtered: bool,
    /// The chain at the position, when it is known.
    chain: Option<Hash>,
    /// Resumes after everything that was heard.
    pub cursor: pb::Cursor,
    pub opened: pb::FeedOpened,
    /// The newest head that a frame told.
    pub head_seq: u64,
}

/// A filter that lets these collections through.
pub fn only(collections: &[&str]) -> Option<pb::FeedFilter> {
    Some(pb::FeedFilter { collection_ids: collections.iter().map(|c| (*c).to_owned()).collect() })
}

impl Feed {
    /// Opens a feed after a cursor, or from the beginning.
    pub async fn open(workspace: &Workspace, kind: Kind, cursor: Option<pb::Cursor>) -> Feed {
        Feed::filtered(workspace, kind, cursor, None).await
    }

    /// Opens a feed of some collections.
    pub async fn filtered(
        workspace: &Workspace,
        kind: Kind,
        cursor: Option<pb::Cursor>,
        filter: Option<pb::FeedFilter>,
    ) -> Feed {
        match Feed::try_open(workspace, kind, cursor, filter).await {
            Ok(Ok(feed)) => feed,
            Ok(Err(reset)) => panic!("a reset: {reset:?}"),
            Err(status) => panic!("{kind:?}: {status}"),
        }
    }

    /// Opens a feed, or tells how that failed: with a reset or with an error.
    pub async fn try_open(
        workspace: &Workspace,
        kind: Kind,
        cursor: Option<pb::Cursor>,
        filter: Option<pb::FeedFilter>,
    ) -> Result<Result<Feed, pb::ResetReason>, Status> {
        let origin = match cursor {
            Some(cursor) => Origin::Cursor(cursor),
            None => Origin::Beginning(pb::FromBeginning {}),
        };
        Feed::start(workspace, kind, origin, filter).await
    }

    /// Opens a feed from anywhere, or tells how that failed.
    pub async fn start(
        workspace: &Workspace,
        kind: Kind,
        origin: Origin,
        filter: Option<pb::FeedFilter>,
    ) -> Result<Result<Feed, pb::ResetReason>, Status> {
        let filtered = filter.as_ref().is_some_and(|f| !f.collection_ids.is_empty());
        let start = pb::FeedStart {
            workspace_id: workspace.id.clone(),
            origin: Some(origin.clone()),
            filter,
            client_name: format!("{kind:?}"),
            understands: vec![pb::Feature::Subscriptions.into(), 9_999],
        };
        let mut changes = workspace.clients.changes();
        let (stream, say) = match kind {
            Kind::Watch => {
                let opened = within("Watch", changes.watch(pb::WatchRequest { start: Some(start) })).await?;
                (Stream::Watch(opened.into_inner()), None)
            }
            Kind::Subscribe => {
                let (say, said) = mpsc::channel(16);
                let start = pb::SubscribeRequest { subscription_id: 0, message: Some(Said::Start(start)) };
                say.try_send(start).expect("room");
                let opened = within("Subscribe", changes.subscribe(ReceiverStream::new(said))).await?;
                (Stream::Subscribe(opened.into_inner()), Some(say))
            }
        };
        let asked = match origin {
            Origin::Cursor(cursor) => Some(cursor),
            Origin::Beginning(_) => Some(workspace.beginning()),
            // Wherever the head is by now.
            Origin::Head(_) | Origin::Snapshot(_) => None,
        };
        let known = asked.as_ref().is_some_and(|c| c.seq_inclusive == 0).then_some(CHAIN_START);
        let mut feed = Feed {
            workspace: workspace.clone(),
            stream,
            say,
            filtered,
            chain: asked.as_ref().and_then(|asked| Hash::try_from(asked.chain.as_ref()).ok()).or(known),
            cursor: asked.clone().unwrap_or_default(),
            opened: pb::FeedOpened::default(),
            head_seq: 0,
        };
        let frame = feed.frame().await?.expect("a first frame");
        let cursor = frame.cursor.expect("a cursor in every frame");
        match frame.content.expect("content") {
            Content::Opened(opened) => {
                if let Some(asked) = asked {
                    let begins = "the feed begins where it was asked to";
                    assert_eq!(cursor.seq_inclusive, asked.seq_inclusive, "{begins}");
                } else {
                    assert!(cursor.seq_inclusive <= opened.head_seq, "at the head, as far as that has come");
                    feed.chain = Hash::try_from(cursor.chain.as_ref()).ok();
                }
                assert!(opened.head_seq >= cursor.seq_inclusive, "a head behind the cursor");
                feed.head_seq = opened.head_seq;
                feed.opened = opened;
                feed.cursor = cursor;
                Ok(Ok(feed))
            }
            Content::HistoryReset(reset) => {
                assert!(feed.frame().await?.is_none(), "a reset is the last frame");
                Ok(Err(reset.reason()))
            }
            other => panic!("the first frame must be opened or reset: {other:?}"),
        }
    }

    /// Where it stands.
    pub fn position(&self) -> u64 {
        self.cursor.seq_inclusive
    }

    async fn frame(&mut self) -> Result<Option<pb::Frame>, Status> {
        let frame = within("a frame", async {
            match &mut self.stream {
                Stream::Watch(stream) => Ok(stream.message().await?.map(|m| m.frame)),
                Stream::Subscribe(stream) => Ok::<_, Status>(stream.message().await?.map(|m| m.frame)),
            }
        })
        .await?;
        let Some(frame) = frame else { return Ok(None) };
        let frame = frame.expect("a frame in every message");
        let cursor = frame.cursor.as_ref().expect("a cursor in every frame");
        assert_eq!(cursor.workspace_id, self.workspace.id, "a cursor of this workspace");
        Ok(Some(frame))
    }

    /// The next frame, checked.
    pub async fn next(&mut self) -> Heard {
        let frame = match self.frame().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return Heard::End,
            Err(status) => return Heard::Failed(status),
        };
        let cursor = frame.cursor.expect("a cursor");
        assert_eq!(cursor.epoch, self.workspace.epoch, "the epoch never changes within a feed");
        match frame.content.expect("content") {
            Content::Changes(changes) => {
                self.check(&changes, &cursor);
                self.cursor = cursor;
                self.head_seq = changes.head_seq;
                Heard::Changes(changes.changes)
            }
            Content::Checkpoint(checkpoint) => {
                assert_eq!(cursor.seq_inclusive, self.position(), "a checkpoint names what was sent");
                assert!(checkpoint.head_seq >= cursor.seq_inclusive);
                Heard::Checkpoint(checkpoint)
            }
            Content::GoAway(go_away) => {
                assert_eq!(cursor.seq_inclusive, self.position(), "go_away names what was sent");
                Heard::GoAway(go_away.reason())
            }
            Content::HistoryReset(reset) => Heard::Reset(reset.reason()),
            Content::LoadingBegun(begun) => self.loading(cursor, Loading::Begun(begun)),
            Content::RecordsEntered(entered) => self.loading(cursor, Loading::Entered(entered)),
            Content::RecordsLeft(left) => self.loading(cursor, Loading::Left(left)),
            Content::LoadingFinished(finished) => self.loading(cursor, Loading::Finished(finished)),
            first @ Content::Opened(_) => panic!("comes first or not at all: {first:?}"),
            failed @ Content::FeedFailed(_) => panic!("the only feed of a stream: {failed:?}"),
        }
    }

    fn loading(&mut self, cursor: pb::Cursor, loading: Loading) -> Heard {
        assert_eq!(cursor.seq_inclusive, self.position(), "the position stands still while a feed loads");
        self.cursor = cursor;
        Heard::Loading(loading)
    }

    fn check(&mut self, frame: &pb::Changes, cursor: &pb::Cursor) {
        let (from, to) = (frame.from_seq_exclusive, frame.to_seq_inclusive);
        assert_eq!(from, self.position(), "frames tile");
        assert!(from < to, "a frame of changes moves on: ({from}, {to}]");
        assert_eq!(cursor.seq_inclusive, to, "the cursor resumes after the frame");
        assert!(frame.head_seq >= to, "a head behind the frame");
        let mut last = from;
        for change in &frame.changes {
            assert!(change.seq > last && change.seq <= to, "{} after {last} in ({from}, {to}]", change.seq);
            assert!(self.filtered || change.seq == last + 1, "a gap before {}", change.seq);
            last = change.seq;
        }
        assert!(self.filtered || last == to, "the run ends at {last}, not at {to}");
        let stated = Hash::try_from(cursor.chain.as_ref()).ok();
        if self.filtered {
            self.chain = stated;
            return;
        }
        for change in &frame.changes {
            let operation = Hash::try_from(change.operation_hash.as_ref()).expect("16 bytes");
            let now = Hash::try_from(change.chain.as_ref()).expect("16 bytes");
            if let Some(before) = self.chain {
                assert_eq!(chain(&before, &operation), now, "the chain at {}", change.seq);
            }
            self.chain = Some(now);
        }
        assert_eq!(stated, self.chain, "the cursor's chain at {to}");
    }

    /// Everything up to a position.
    pub async fn until(&mut self, seq: u64) -> Vec<pb::Change> {
        let mut changes = Vec::new();
        while self.position() < seq {
            match self.next().await {
                Heard::Changes(more) => changes.extend(more),
                Heard::Checkpoint(_) | Heard::Loading(_) => {}
                other => panic!("at {} on the way to {seq}: {other:?}", self.position()),
            }
        }
        changes
    }

    /// Says something on the stream of a subscription.
    pub async fn say(&self, message: Said) {
        let say = self.say.as_ref().expect("a subscription");
        // A closed stream is for the reader to notice.
        let _ = say.send(pb::SubscribeRequest { subscription_id: 0, message: Some(message) }).await;
    }

    /// From now on frames may leave changes out.
    pub async fn choose(&mut self, collections: &[&str]) {
        self.filtered = true;
        self.say(Said::Filter(only(collections).expect("a filter"))).await;
    }

    /// What ends the stream, after any number of changes and checkpoints.
    pub async fn ending(&mut self) -> Heard {
        loop {
            match self.next().await {
                Heard::Changes(_) | Heard::Checkpoint(_) | Heard::Loading(_) => {}
                end => return end,
            }
        }
    }

    /// The server told to go away, and the stream is over.
    pub async fn goes_away(&mut self, reason: pb::GoAwayReason) {
        match self.ending().await {
            Heard::GoAway(found) => assert_eq!(found, reason),
            other => panic!("no go_away: {other:?}"),
        }
        assert!(matches!(self.next().await, Heard::End), "go_away is the last frame");
    }

    /// The error that ended the stream.
    pub async fn failure(&mut self) -> Status {
        match self.ending().await {
            Heard::Failed(status) => status,
            other => panic!("no error: {other:?}"),
        }
    }
}
