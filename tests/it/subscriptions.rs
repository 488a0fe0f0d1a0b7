//! Several feeds on one stream of Subscribe.

use std::collections::BTreeMap;

use pb::feed_start::Origin;
use pb::frame::Content;
use pb::subscribe_request::Message as Said;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::harness::feed::only;
use crate::harness::ops::card;
use crate::harness::workspace::{Clients, latest};
use crate::harness::{Reason, TestServer, Workspace, fails, pb, within};

/// A stream with any number of feeds.
struct Stream {
    say: mpsc::Sender<pb::SubscribeRequest>,
    frames: Streaming<pb::SubscribeResponse>,
    /// Where each feed stands.
    positions: BTreeMap<u32, u64>,
}

fn beginning() -> Origin {
    Origin::Beginning(pb::FromBeginning {})
}

fn start(workspace_id: &str, origin: Origin) -> pb::FeedStart {
    pb::FeedStart { workspace_id: workspace_id.to_owned(), origin: Some(origin), ..Default::default() }
}

impl Stream {
    async fn try_open(clients: &Clients, id: u32, start: pb::FeedStart) -> Result<Stream, Status> {
        let (say, said) = mpsc::channel(64);
        let first = pb::SubscribeRequest { subscription_id: id, message: Some(Said::Start(start)) };
        say.send(first).await.expect("room");
        let frames = within("Subscribe", clients.changes().subscribe(ReceiverStream::new(said))).await?;
        Ok(Stream { say, frames: frames.into_inner(), positions: BTreeMap::new() })
    }

    async fn open(ws: &Workspace, id: u32) -> Stream {
        let mut stream =
            Stream::try_open(&ws.clients, id, start(&ws.id, beginning())).await.expect("a stream");
        assert!(matches!(stream.next_of(id).await, Content::Opened(_)));
        stream
    }

    async fn say(&self, id: u32, message: Said) {
        let message = pb::SubscribeRequest { subscription_id: id, message: Some(message) };
        // A closed stream is for the reader to notice.
        let _ = self.say.send(message).await;
    }

    async fn start(&self, id: u32, workspace_id: &str) {
        self.say(id, Said::Start(start(workspace_id, beginning()))).await;
    }

    /// The next frame, with its feed; `None` at the end of the stream. Whatever the feed, its frames tile.
    async fn try_next(&mut self) -> Result<Option<(u32, Content)>, Status> {
        let message = within("a frame", self.frames.message()).await?;
        let Some(frame) = message.map(|message| message.frame.expect("a frame")) else { return Ok(None) };
        let (id, content) = (frame.subscription_id, frame.content.expect("content"));
        if let Some(cursor) = &frame.cursor {
            let at = self.positions.entry(id).or_insert(cursor.seq_inclusive);
            if let Content::Changes(changes) = &content {
                assert_eq!(changes.from_seq_exclusive, *at, "the frames of feed {id} tile");
                *at = changes.to_seq_inclusive;
            }
            assert_eq!(cursor.seq_inclusive, *at, "the cursor resumes after the frame");
        } else {
            assert!(matches!(content, Content::FeedFailed(_)), "{content:?} has no cursor");
        }
        Ok(Some((id, content)))
    }

    async fn next(&mut self) -> (u32, Content) {
        self.try_next().await.expect("no error").expect("a frame")
    }

    /// The next frame of a feed; others may come before it.
    async fn next_of(&mut self, id: u32) -> Content {
        loop {
            let (of, content) = self.next().await;
            if of == id {
                return content;
            }
        }
    }

    async fn until(&mut self, id: u32, seq: u64) {
        while self.positions.get(&id).is_none_or(|at| *at < seq) {
            self.next().await;
        }
    }

    async fn error(&mut self) -> Status {
        loop {
            match self.try_next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended without an error"),
                Err(status) => return status,
            }
        }
    }

    async fn ends(&mut self) {
        while self.try_next().await.expect("no error").is_some() {}
    }
}

async fn write(ws: &Workspace, count: usize) -> u64 {
    ws.write(vec![card("c1").create()]).await;
    let job = (1..count).map(|_| latest(vec![card("c1").increment("votes", 1)])).collect();
    ws.submit_all(job).await;
    ws.head_seq().await
}

#[tokio::test]
async fn feeds_of_several_workspaces_share_a_stream_and_each_is_whole() {
    let server = TestServer::start().await;
    let (first, second) = (server.workspace("one").await, server.workspace("two").await);
    let (head_one, head_two) = (write(&first, 300).await, write(&second, 20).await);
    let mut stream = Stream::open(&first, 3).await;
    stream.start(7, "two").await;
    let mut filtered = start("one", beginning());
    filtered.filter = only(&["people"]);
    stream.say(9, Said::Start(filtered)).await;
    stream.until(3, head_one).await;
    stream.until(7, head_two).await;
    stream.until(9, head_one).await;
    let seq = second.write(vec![card("c1").increment("votes", 1)]).await;
    stream.until(7, seq).await;
    assert_eq!((stream.positions[&3], stream.positions[&9]), (head_one, head_one));
}

#[tokio::test]
async fn a_feed_that_is_stopped_ends_and_the_others_go_on() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let head = write(&ws, 10).await;
    let mut stream = Stream::open(&ws, 0).await;
    for id in [1, 2] {
        stream.start(id, "w").await;
        stream.until(id, head).await;
    }
    stream.until(0, head).await;
    stream.say(1, Said::Stop(pb::FeedStop {})).await;
    // What is said to it after that goes nowhere, and the feeds that the stream began with is no different.
    stream.say(1, Said::Acknowledge(pb::FeedAcknowledge { seq_inclusive: u64::MAX })).await;
    stream.say(0, Said::Stop(pb::FeedStop {})).await;
    stream.say(0, Said::Pause(pb::FeedPause {})).await;
    // A late one hears of it in its turn: then what came before has been taken in.
    stream.start(3, "w").await;
    stream.until(3, head).await;
    let seq = ws.write(vec![card("c1").increment("votes", 1)]).await;
    stream.until(2, seq).await;
    stream.until(3, seq).await;
    assert_eq!((stream.positions[&0], stream.positions[&1]), (head, head), "they got nothing more");
    stream.say(2, Said::Stop(pb::FeedStop {})).await;
    stream.say(3, Said::Stop(pb::FeedStop {})).await;
    stream.ends().await;
}

#[tokio::test]
async fn each_feed_of_a_stream_is_steered_by_itself() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let head = write(&ws, 10).await;
    let mut stream = Stream::open(&ws, 0).await;
    stream.start(1, "w").await;
    stream.until(1, head).await;
    stream.until(0, head).await;
    stream.say(1, Said::Pause(pb::FeedPause {})).await;
    stream.say(0, Said::Acknowledge(pb::FeedAcknowledge { seq_inclusive: head })).await;
    // The pause holds from some change on.
    let mut held = false;
    for _ in 0..50 {
        let seq = ws.write(vec![card("c1").increment("votes", 1)]).await;
        stream.until(0, seq).await;
        held = stream.positions[&1] < seq
            && tokio::time::timeout(std::time::Duration::from_millis(200), stream.frames.message())
                .await
                .is_err();
        if held {
            break;
        }
    }
    assert!(held, "changes came in spite of the pause");
    stream.say(1, Said::Resume(pb::FeedResume {})).await;
    let seq = ws.head_seq().await;
    stream.until(1, seq).await;
    // An acknowledgement of more than was sent fails this one.
    stream.say(1, Said::Acknowledge(pb::FeedAcknowledge { seq_inclusive: seq + 1 })).await;
    match stream.next_of(1).await {
        Content::FeedFailed(failed) => assert_eq!(failed.reason(), pb::ErrorReason::StreamProtocol),
        other => panic!("{other:?}"),
    }
    let seq = ws.write(vec![card("c1").increment("votes", 1)]).await;
    stream.until(0, seq).await;
}

#[tokio::test]
async fn a_further_feed_that_fails_says_why_and_ends_nothing_else() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let head = write(&ws, 5).await;
    let mut stream = Stream::open(&ws, 0).await;
    stream.start(1, "nowhere").await;
    match stream.next_of(1).await {
        Content::FeedFailed(failed) => {
            assert_eq!(failed.reason(), pb::ErrorReason::UnknownWorkspace);
            assert_eq!(failed.metadata["workspace_id"], "nowhere");
            assert!(!failed.message.is_empty());
        }
        other => panic!("{other:?}"),
    }
    let mut nameless = start("w", beginning());
    nameless.filter = only(&["not ok"]);
    stream.say(2, Said::Start(nameless)).await;
    match stream.next_of(2).await {
        Content::FeedFailed(failed) => {
            assert_eq!(failed.reason(), pb::ErrorReason::InvalidRequest);
            assert!(failed.violations.contains_key("filter.collection_ids[0]"), "{failed:?}");
        }
        other => panic!("{other:?}"),
    }
    // A history that is gone is not an error, and as much its own affair.
    let gone = pb::Cursor { seq_inclusive: head + 1, ..ws.beginning() };
    stream.say(3, Said::Start(start("w", Origin::Cursor(gone)))).await;
    match stream.next_of(3).await {
        Content::HistoryReset(reset) => assert_eq!(reset.reason(), pb::ResetReason::FutureCursor),
        other => panic!("{other:?}"),
    }
    stream.until(0, head).await;
    let seq = ws.write(vec![card("c1").increment("votes", 1)]).await;
    stream.until(0, seq).await;
}

#[tokio::test]
async fn the_error_of_the_only_feed_is_the_streams() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let opened = Stream::try_open(&ws.clients, 5, start("nowhere", beginning())).await.map(|_| ());
    fails(opened, Reason::UnknownWorkspace);
    let mut stream = Stream::open(&ws, 5).await;
    stream.say(5, Said::Acknowledge(pb::FeedAcknowledge { seq_inclusive: 1 })).await;
    fails(Err::<(), _>(stream.error().await), Reason::StreamProtocol);
}

#[tokio::test]
async fn messages_that_fit_no_feed_end_the_stream() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    write(&ws, 3).await;
    // For a feed that was never opened.
    let mut stream = Stream::open(&ws, 4).await;
    stream.say(5, Said::Pause(pb::FeedPause {})).await;
    fails(Err::<(), _>(stream.error().await), Reason::StreamProtocol);
    // A number that was used, and one below it.
    for id in [4, 3] {
        let mut stream = Stream::open(&ws, 4).await;
        stream.start(id, "w").await;
        fails(Err::<(), _>(stream.error().await), Reason::StreamProtocol);
    }
    // More than 16.
    let mut stream = Stream::open(&ws, 0).await;
    for id in 1..16 {
        stream.start(id, "w").await;
    }
    for id in 0..16 {
        stream.until(id, 3).await;
    }
    stream.start(16, "w").await;
    fails(Err::<(), _>(stream.error().await), Reason::StreamProtocol);
}

#[tokio::test]
async fn a_stopped_feed_makes_room_for_another() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let head = write(&ws, 3).await;
    let mut stream = Stream::open(&ws, 0).await;
    for id in 1..100 {
        stream.start(id, "w").await;
        stream.until(id, head).await;
        stream.say(id, Said::Stop(pb::FeedStop {})).await;
    }
}

#[tokio::test]
async fn a_server_that_stops_tells_every_feed_of_a_stream_where_to_resume() {
    let mut server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let head = write(&ws, 10).await;
    let mut stream = Stream::open(&ws, 0).await;
    for id in 1..4 {
        stream.start(id, "w").await;
    }
    for id in 0..4 {
        stream.until(id, head).await;
    }
    server.begin_stop();
    let mut told = Vec::new();
    while let Some((id, content)) = stream.try_next().await.expect("no error") {
        match content {
            Content::GoAway(away) => {
                assert_eq!(away.reason(), pb::GoAwayReason::Draining);
                told.push(id);
            }
            other => panic!("{other:?}"),
        }
    }
    told.sort_unstable();
    assert_eq!(told, [0, 1, 2, 3]);
    server.stop().await;
}

/// One that has a long history to bring does not keep the others waiting for its end.
#[tokio::test]
async fn feeds_of_a_stream_take_turns() {
    let server = TestServer::start().await;
    let (long, short) = (server.workspace("long").await, server.workspace("short").await);
    let text = "x".repeat(8_000);
    for part in 0..4 {
        let job = (0..100)
            .map(|n| {
                let title = [("title", crate::harness::IntoValue::into_value(text.as_str()))];
                latest(vec![card(&format!("c{part}-{n}")).create_with(title)])
            })
            .collect();
        long.submit_all(job).await;
    }
    let (head_long, head_short) = (long.head_seq().await, write(&short, 3).await);
    let mut stream = Stream::open(&long, 0).await;
    stream.start(1, "short").await;
    stream.until(1, head_short).await;
    assert!(stream.positions.get(&0).is_none_or(|at| *at < head_long), "the long one was sent whole before");
    stream.until(0, head_long).await;
}
