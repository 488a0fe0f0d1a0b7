//! Following the feed: every frame is checked as it comes, and applied exactly when it fits.

use std::rc::Rc;
use syncline_core::causality::Seq;
use syncline_core::ids::Epoch;

use rand::RngExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use pb::change_service_client::ChangeServiceClient;
use pb::frame::Content;
use pb::subscribe_request::Message as Said;

use super::{Client, Link, WORKSPACE, picture, replica_number, within};
use crate::ambient;
use syncline_core::hash::{Hash, chain};
use syncline_core::history::Place;
use syncline_core::view::FeedCursor;
use syncline_protocol::convert::{cursor_to_pb, record_frame};
use syncline_protocol::pb;

/// How many messages of the client may wait to be sent on their stream.
const SAID_MAX: usize = 4;

enum Stream {
    Watch(Streaming<pb::WatchResponse>),
    Subscribe(Streaming<pb::SubscribeResponse>, mpsc::Sender<pb::SubscribeRequest>),
}

impl Stream {
    async fn frame(&mut self) -> Result<Option<pb::Frame>, Status> {
        Ok(match self {
            Stream::Watch(stream) => stream.message().await?.and_then(|m| m.frame),
            Stream::Subscribe(stream, _) => stream.message().await?.and_then(|m| m.frame),
        })
    }
}

fn said(message: Said) -> pb::SubscribeRequest {
    pb::SubscribeRequest { subscription_id: 0, message: Some(message) }
}

impl Client {
    /// Follows, until the simulation is over.
    pub(super) async fn follow(self: Rc<Client>) {
        let mut link = self.link();
        loop {
            match self.session(&mut link).await {
                Ok(()) => {
                    if self.chance(0.5) {
                        link = self.link();
                    }
                    self.pause(1..20).await;
                }
                Err(status) => self.trouble("the feed", &mut link, &status).await,
            }
        }
    }

    /// One stream, to its end.
    async fn session(&self, link: &mut Link) -> Result<(), Status> {
        let mut stream = self.open(link).await?;
        let mut first = true;
        loop {
            let next = if first { within(stream.frame()).await } else { stream.frame().await };
            let Some(frame) = next? else { return Ok(()) };
            let place = self.place();
            let told = record_frame(&mut self.feed_story.borrow_mut(), ambient::elapsed_ms(), place, &frame);
            self.judge(told.map_err(|unreadable| unreadable.to_string()));
            let cursor = frame.cursor.unwrap_or_default();
            let Some(content) = frame.content else {
                self.wrong("a frame of no kind".to_owned());
                return Ok(());
            };
            let goes_on = self.take(first, content, &cursor);
            first = false;
            match goes_on {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(wrong) => {
                    self.wrong(wrong);
                    return Ok(());
                }
            }
            self.say(&stream).await;
            let slow_ms = self.habits().slow_ms;
            if slow_ms > 0 && self.working() {
                self.pause(0..slow_ms).await;
            }
        }
    }

    async fn open(&self, link: &Link) -> Result<Stream, Status> {
        let cursor = {
            let state = self.state.borrow();
            let place =
                FeedCursor { epoch: Epoch(state.epoch), seq: Seq(state.position), chain: state.chain };
            cursor_to_pb(WORKSPACE, &place)
        };
        let (at, place) = (ambient::elapsed_ms(), self.place());
        match self.fresh.replace(false) {
            true => self.feed_story.borrow_mut().asked_anew(at, place),
            false => self.feed_story.borrow_mut().asked(at, place),
        }
        self.note(format_args!("opens a feed on server {} at {}", link.server, cursor.seq_inclusive));
        let start = pb::FeedStart {
            workspace_id: WORKSPACE.to_owned(),
            origin: Some(pb::feed_start::Origin::Cursor(cursor)),
            client_name: self.name.clone(),
            ..Default::default()
        };
        let mut client = ChangeServiceClient::new(link.channel.clone());
        if !self.habits().subscribes {
            let opened = within(client.watch(pb::WatchRequest { start: Some(start) })).await?;
            return Ok(Stream::Watch(opened.into_inner()));
        }
        let (say, to_say) = mpsc::channel(SAID_MAX);
        let _ = say.try_send(said(Said::Start(start)));
        let opened = within(client.subscribe(ReceiverStream::new(to_say))).await?;
        Ok(Stream::Subscribe(opened.into_inner(), say))
    }

    fn place(&self) -> Place {
        let state = self.state.borrow();
        Place { epoch: Epoch(state.epoch), seq: Seq(state.position), chain: state.chain }
    }

    /// Acknowledges now and then, and sometimes asks for a pause.
    async fn say(&self, stream: &Stream) {
        let Stream::Subscribe(_, say) = stream else { return };
        let seq_inclusive = self.state.borrow().position;
        match self.roll(|dice| dice.random_range(0..12)) {
            0..3 => {
                let _ = say.try_send(said(Said::Acknowledge(pb::FeedAcknowledge { seq_inclusive })));
            }
            3 if self.working() => {
                let _ = say.try_send(said(Said::Pause(pb::FeedPause {})));
                self.pause(5..100).await;
                let _ = say.send(said(Said::Resume(pb::FeedResume {}))).await;
            }
            _ => {}
        }
    }

    /// Takes in a frame, and returns whether more are to come.
    fn take(&self, first: bool, content: Content, cursor: &pb::Cursor) -> Result<bool, String> {
        let (position, epoch) = {
            let state = self.state.borrow();
            (state.position, state.epoch)
        };
        if cursor.epoch != epoch {
            return Err(format!("a frame of epoch {}", cursor.epoch));
        }
        let opens = matches!(content, Content::Opened(_) | Content::HistoryReset(_));
        if opens != first {
            return Err(format!("out of place: {content:?}"));
        }
        if !matches!(content, Content::Changes(_)) && cursor.seq_inclusive != position {
            return Err(format!("at {position}, {content:?} resumes at {}", cursor.seq_inclusive));
        }
        match content {
            Content::Changes(changes) => return self.take_changes(&changes, cursor).map(|()| true),
            Content::Opened(opened) => {
                self.note(format_args!("is at {position} of {}", opened.head_seq));
                self.in_order(opened.head_seq, position)?;
            }
            Content::Checkpoint(checkpoint) => self.in_order(checkpoint.head_seq, position)?,
            Content::HistoryReset(reset) => {
                return Err(format!("the feed at {position} was reset: {:?}", reset.reason()));
            }
            Content::GoAway(away) => {
                self.note(format_args!("is told to go away at {position}: {:?}", away.reason()));
                self.record(|record| record.count("go_away"));
                return Ok(false);
            }
            other => return Err(format!("a feed of everything from a position was sent {other:?}")),
        }
        Ok(true)
    }

    fn in_order(&self, head_seq: u64, position: u64) -> Result<(), String> {
        match head_seq >= position {
            true => Ok(()),
            false => Err(format!("a head of {head_seq} behind the position {position}")),
        }
    }

    fn take_changes(&self, frame: &pb::Changes, cursor: &pb::Cursor) -> Result<(), String> {
        let (from, to) = (frame.from_seq_exclusive, frame.to_seq_inclusive);
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if from != state.position || to <= from || cursor.seq_inclusive != to || frame.head_seq < to {
            let (position, resumes, head) = (state.position, cursor.seq_inclusive, frame.head_seq);
            return Err(format!("at {position} came ({from}, {to}] with cursor {resumes} and head {head}"));
        }
        for change in &frame.changes {
            if change.seq != state.position + 1 {
                return Err(format!("{} comes after {}", change.seq, state.position));
            }
            let now = chained(state.chain, change)?;
            state.chain = Some(now);
            state.position = change.seq;
            state.fold.apply(change).map_err(|wrong| format!("at {}: {wrong}", change.seq))?;
            let dot = change.dot.clone().unwrap_or_default();
            if let Some(replica) = replica_number(&dot.replica_id)
                && state.extras.get(&replica).is_some_and(|counter| *counter <= dot.counter)
            {
                state.extras.remove(&replica);
            }
        }
        if state.position != to || Hash::try_from(cursor.chain.as_ref()).ok() != state.chain {
            return Err(format!(
                "a frame to {to} ends at {}, or its cursor has another chain",
                state.position
            ));
        }
        self.note(format_args!("applied ({from}, {to}] of {}", frame.head_seq));
        self.record(|record| record.count("frames"));
        if to >= state.whole_from {
            let picture = picture::of_everything(&state.fold);
            self.record(|record| record.state(self.number, to, picture))?;
        }
        Ok(())
    }
}

/// The chain after a change, as computed here.
fn chained(before: Option<Hash>, change: &pb::Change) -> Result<Hash, String> {
    let operation = Hash::try_from(change.operation_hash.as_ref()).map_err(|_| "no hash")?;
    let told = Hash::try_from(change.chain.as_ref()).map_err(|_| "no chain")?;
    match before {
        Some(before) if chain(&before, &operation) != told => {
            Err(format!("the chain at {} breaks", change.seq))
        }
        _ => Ok(told),
    }
}
