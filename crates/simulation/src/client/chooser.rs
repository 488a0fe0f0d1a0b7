//! A feed whose choice of collections changes: it loads what the choices differ in, and is cut at any point.

use std::rc::Rc;

use rand::RngExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use pb::change_service_client::ChangeServiceClient;
use pb::feed_start::Origin;
use pb::frame::Content;
use pb::subscribe_request::Message as Said;
use syncline_client::Fold;
use syncline_protocol::pb;

use super::{Client, Link, WORKSPACE, picture, within};

/// The collections to choose from; an empty list stands for everything.
pub(crate) const CHOICES: [&[&str]; 3] = [&["cards"], &["people"], &[]];
/// How many messages of the client may wait to be sent on their stream.
const SAID_MAX: usize = 4;
/// The feeds of a stream: the one with the chosen collections, and one beside it.
const CHOSEN: u32 = 1;
const BESIDE: u32 = 2;

/// What a client has of what it chose.
#[derive(Default)]
pub(crate) struct Chosen {
    pub fold: Fold,
    /// Where it goes on; none before the first frame.
    pub cursor: Option<pb::Cursor>,
    /// An index of [`CHOICES`].
    pub choice: usize,
    /// The previous choice, as long as the server may not have heard of the new one.
    pub before: Option<usize>,
    pub loading: bool,
    /// From this position on, the state is exactly that of the feed's position.
    pub complete_from: u64,
    /// Choices that were made on the open stream.
    sent: u32,
    /// Where the feed beside it stands, if one is open.
    beside: Option<u64>,
}

impl Chosen {
    pub fn position(&self) -> u64 {
        self.cursor.as_ref().map_or(0, |cursor| cursor.seq_inclusive)
    }

    /// Whether the state is exactly that of the position.
    pub fn is_whole(&self) -> bool {
        self.cursor.is_some()
            && !self.loading
            && self.before.is_none()
            && self.position() >= self.complete_from
    }

    fn allows(&self, collection: &str) -> bool {
        let of = |choice: usize| CHOICES[choice].is_empty() || CHOICES[choice].contains(&collection);
        of(self.choice) || self.before.is_some_and(of)
    }
}

type Stream = (Streaming<pb::SubscribeResponse>, mpsc::Sender<pb::SubscribeRequest>);

impl Client {
    /// Follows, until the simulation is over.
    pub(super) async fn choose(self: Rc<Client>) {
        if !self.habits().chooses {
            return std::future::pending().await;
        }
        let mut link = self.link();
        loop {
            match self.chosen_session(&link).await {
                Ok(()) => {
                    link = self.link();
                    self.pause(1..60).await;
                }
                Err(status) => self.trouble("a chosen feed", &mut link, &status).await,
            }
        }
    }

    async fn chosen_session(&self, link: &Link) -> Result<(), Status> {
        let (mut frames, say) = self.open_chosen(link).await?;
        loop {
            let Some(frame) = frames.message().await?.and_then(|message| message.frame) else {
                return Ok(());
            };
            let taken = match frame.subscription_id {
                CHOSEN => self.take_chosen(frame),
                BESIDE => self.take_beside(frame),
                other => Err(format!("a frame of feed {other}, which nobody opened")),
            };
            match taken {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(wrong) => {
                    self.wrong(wrong);
                    return Ok(());
                }
            }
            if self.working() && self.chance(0.15) {
                // Cut anywhere, also in the middle of loading.
                return Ok(());
            }
            self.steer_chosen(&say).await;
        }
    }

    async fn open_chosen(&self, link: &Link) -> Result<Stream, Status> {
        if self.working() && self.chance(0.3) {
            self.choose_another();
        }
        let origin = match self.chosen.borrow().cursor.clone() {
            Some(cursor) => Origin::Cursor(cursor),
            None if self.chance(0.5) => Origin::Snapshot(pb::FromSnapshot {}),
            None => Origin::Beginning(pb::FromBeginning {}),
        };
        let choice = {
            let mut chosen = self.chosen.borrow_mut();
            (chosen.beside, chosen.sent) = (None, 0);
            if chosen.cursor.is_none() {
                chosen.loading = matches!(origin, Origin::Snapshot(_));
            }
            chosen.choice
        };
        self.note(format_args!("opens a feed of {:?} on server {}", CHOICES[choice], link.server));
        let start = self.start_of(origin, choice);
        let (say, to_say) = mpsc::channel(SAID_MAX);
        let _ = say.try_send(said(CHOSEN, Said::Start(start)));
        let mut client = ChangeServiceClient::new(link.channel.clone());
        let opened = within(client.subscribe(ReceiverStream::new(to_say))).await?;
        Ok((opened.into_inner(), say))
    }

    fn start_of(&self, origin: Origin, choice: usize) -> pb::FeedStart {
        pb::FeedStart {
            workspace_id: WORKSPACE.to_owned(),
            origin: Some(origin),
            filter: Some(filter(choice)),
            client_name: self.name.clone(),
            ..Default::default()
        }
    }

    /// Makes another choice and returns true, unless the server may not have heard of the last one.
    fn choose_another(&self) -> bool {
        let choice = self.roll(|dice| dice.random_range(0..CHOICES.len()));
        let mut chosen = self.chosen.borrow_mut();
        if chosen.before.is_some() || choice == chosen.choice || chosen.cursor.is_none() {
            return false;
        }
        chosen.before = Some(chosen.choice);
        chosen.choice = choice;
        drop(chosen);
        self.record(|record| record.count("choices"));
        true
    }

    async fn steer_chosen(&self, say: &mpsc::Sender<pb::SubscribeRequest>) {
        if !self.working() {
            return;
        }
        match self.roll(|dice| dice.random_range(0..20)) {
            0 | 1 if self.choose_another() => {
                let choice = self.chosen.borrow().choice;
                self.chosen.borrow_mut().sent += 1;
                self.note(format_args!("chooses {:?} on the open stream", CHOICES[choice]));
                let _ = say.send(said(CHOSEN, Said::Filter(filter(choice)))).await;
            }
            2 if self.chosen.borrow().beside.is_none() => {
                self.chosen.borrow_mut().beside = Some(0);
                let start = self.start_of(Origin::Beginning(pb::FromBeginning {}), 1);
                let _ = say.send(said(BESIDE, Said::Start(start))).await;
            }
            _ => {}
        }
    }

    /// Takes in a frame, and returns whether more are to come.
    fn take_chosen(&self, frame: pb::Frame) -> Result<bool, String> {
        let mut chosen = self.chosen.borrow_mut();
        let content = frame.content.ok_or("a frame of no kind")?;
        let cursor = frame.cursor.ok_or("a frame without a cursor")?;
        if cursor.epoch != self.state.borrow().epoch {
            return Err(format!("a frame of epoch {}", cursor.epoch));
        }
        let stands = chosen.cursor.as_ref().is_none_or(|at| at.seq_inclusive == cursor.seq_inclusive);
        if !stands && !matches!(content, Content::Changes(_)) {
            return Err(format!("at {}, {content:?} resumes at {}", chosen.position(), cursor.seq_inclusive));
        }
        match content {
            Content::Opened(_) | Content::Checkpoint(_) => {}
            Content::LoadingBegun(begun) => {
                if begun.filter_count == chosen.sent {
                    chosen.before = None;
                }
                chosen.loading = true;
                if begun.from_scratch {
                    chosen.fold = Fold::default();
                }
            }
            Content::RecordsEntered(entered) => {
                for snapshot in &entered.records {
                    let collection = snapshot.record.as_ref().map_or("", |record| &record.collection_id);
                    if !chosen.allows(collection) {
                        return Err(format!("a record of {collection} enters, which nobody asked for"));
                    }
                }
                let entered = chosen.fold.enter(&entered.records, &entered.conflicts);
                entered.map_err(|wrong| wrong.to_string())?;
            }
            Content::RecordsLeft(left) => chosen.fold.leave(&left.records),
            Content::LoadingFinished(finished) => {
                chosen.loading = false;
                chosen.complete_from = chosen.complete_from.max(finished.complete_from_seq);
                self.record(|record| record.count("loadings"));
            }
            Content::Changes(changes) => self.take_chosen_changes(&mut chosen, &changes, &cursor)?,
            Content::GoAway(_) => {
                chosen.cursor = Some(cursor);
                return Ok(false);
            }
            other => return Err(format!("a chosen feed was sent {other:?}")),
        }
        chosen.cursor = Some(cursor);
        if chosen.is_whole() {
            let (seq, choice) = (chosen.position(), chosen.choice);
            if picture::has_beside(&chosen.fold, CHOICES[choice]) {
                return Err(format!("something is left beside {:?} at {seq}", CHOICES[choice]));
            }
            let picture = picture::of_collections(&chosen.fold, CHOICES[choice]);
            drop(chosen);
            self.record(|record| record.views.push((self.number, seq, choice, picture)));
        }
        Ok(true)
    }

    fn take_chosen_changes(
        &self,
        chosen: &mut Chosen,
        frame: &pb::Changes,
        cursor: &pb::Cursor,
    ) -> Result<(), String> {
        let (from, to) = (frame.from_seq_exclusive, frame.to_seq_inclusive);
        if from != chosen.position() || to <= from || cursor.seq_inclusive != to {
            return Err(format!("at {} came ({from}, {to}]", chosen.position()));
        }
        if chosen.loading {
            return Err(format!("changes up to {to} came while the feed loads"));
        }
        for change in &frame.changes {
            for effect in &change.effects {
                let collection = match &effect.effect {
                    Some(pb::effect::Effect::Record(effect)) => effect.collection_id.as_str(),
                    Some(pb::effect::Effect::ConflictChanged(changed)) => {
                        changed.conflict.as_ref().map_or("", |conflict| &conflict.collection_id)
                    }
                    None => return Err("an effect of no kind".to_owned()),
                };
                if !chosen.allows(collection) {
                    return Err(format!("an effect in {collection}, which nobody asked for"));
                }
            }
            chosen.fold.apply(change).map_err(|wrong| format!("at {}: {wrong}", change.seq))?;
        }
        Ok(())
    }

    /// The frames of the feed beside it have to follow each other without a gap, whatever happens to the other feed.
    fn take_beside(&self, frame: pb::Frame) -> Result<bool, String> {
        let mut chosen = self.chosen.borrow_mut();
        let at = chosen.beside.ok_or("a feed that nobody opened")?;
        match frame.content {
            Some(Content::Changes(changes)) if changes.from_seq_exclusive == at => {
                chosen.beside = Some(changes.to_seq_inclusive);
            }
            Some(
                Content::Opened(_) | Content::Checkpoint(_) | Content::GoAway(_) | Content::FeedFailed(_),
            ) => {}
            other => return Err(format!("the feed beside stands at {at} and gets {other:?}")),
        }
        Ok(true)
    }
}

fn said(subscription_id: u32, message: Said) -> pb::SubscribeRequest {
    pb::SubscribeRequest { subscription_id, message: Some(message) }
}

fn filter(choice: usize) -> pb::FeedFilter {
    pb::FeedFilter { collection_ids: CHOICES[choice].iter().map(|&id| id.to_owned()).collect() }
}
