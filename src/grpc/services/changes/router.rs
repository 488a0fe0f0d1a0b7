//! Several feeds on one stream: which of them a message of the client is for.
//!
//! The feed that a stream began with reads what the client says, for all of them. It is nearly always the only one, and
//! then nothing here takes any memory. Every further feed is a task with a small queue of its own; everything they send
//! goes through the stream's one place, which they get in turn.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tonic::{Status, Streaming};

use syncline_core::limits::FEEDS_PER_STREAM_MAX;
use syncline_protocol::pb;
use syncline_protocol::pb::subscribe_request::Message as Said;
use syncline_protocol::status::Failure;

use super::feed::feed_failed;
use super::{Ended, Sender, Shared};

/// Maximum number of messages of the client that wait for a feed.
const WAITING_MAX: usize = 4;

/// Where a feed gets the messages of its client from.
pub(super) enum Inbox {
    /// The client cannot say anything.
    Silent,
    /// This feed reads the stream, for others as well.
    Stream(Box<Router>),
    /// Another feed reads the stream and passes on the messages for this one.
    Queue(mpsc::Receiver<Said>),
}

impl Inbox {
    /// What the client says next about this feed; `None` when the stream is over. Cancelling loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<Said>, Status> {
        match self {
            Inbox::Silent => std::future::pending().await,
            Inbox::Stream(router) => router.next().await.map(Some),
            Inbox::Queue(queue) => Ok(queue.recv().await),
        }
    }

    /// Whether further feeds were opened on the stream.
    pub(super) fn is_shared(&self) -> bool {
        match self {
            Inbox::Silent => false,
            Inbox::Stream(router) => router.others.is_some(),
            Inbox::Queue(_) => true,
        }
    }

    /// After the end of the feed that the stream began with: serves the others to their end.
    pub(super) async fn until_others_end(&mut self) -> Result<(), Status> {
        match self {
            Inbox::Silent | Inbox::Queue(_) => Ok(()),
            Inbox::Stream(router) => router.until_others_end().await,
        }
    }
}

/// Reads what the client says on a stream and tells it to the feed that it is about.
pub(super) struct Router {
    shared: Arc<Shared>,
    /// What the client sends, until it has ended its side.
    said: Option<Streaming<pb::SubscribeRequest>>,
    /// The feed that the stream began with.
    first: u32,
    first_is_open: bool,
    frames: Sender,
    others: Option<Box<Others>>,
}

/// The further feeds of a stream.
struct Others {
    /// The number of the latest one.
    latest: u32,
    feeds: BTreeMap<u32, Other>,
    tasks: JoinSet<u32>,
    /// A message that waits for room in its feed's queue.
    waiting: Option<(u32, Said)>,
}

struct Other {
    inbox: mpsc::Sender<Said>,
    task: AbortHandle,
}

impl Router {
    pub(super) fn new(
        shared: Arc<Shared>,
        said: Streaming<pb::SubscribeRequest>,
        first: u32,
        frames: Sender,
    ) -> Router {
        Router { shared, said: Some(said), first, first_is_open: true, frames, others: None }
    }

    /// The next message for the feed that the stream began with. Cancelling loses nothing.
    async fn next(&mut self) -> Result<Said, Status> {
        loop {
            if let Some(others) = &mut self.others {
                others.deliver().await;
            }
            tokio::select! {
                message = heard(&mut self.said) => {
                    if let Some(said) = self.route(message?)? {
                        return Ok(said);
                    }
                }
                () = ended(&mut self.others) => {}
            }
        }
    }

    /// Serves the other feeds until none is left.
    async fn until_others_end(&mut self) -> Result<(), Status> {
        self.first_is_open = false;
        while self.others.as_ref().is_some_and(|others| !others.feeds.is_empty()) {
            if let Some(others) = &mut self.others {
                others.deliver().await;
            }
            tokio::select! {
                message = heard(&mut self.said) => {
                    // A message for the first feed is ignored: that feed has ended.
                    self.route(message?)?;
                }
                () = ended(&mut self.others) => {}
            }
        }
        Ok(())
    }

    /// Takes in a message; returns it if it is for the first feed. The end of the client's side is no reason to stop
    /// sending.
    fn route(&mut self, message: Option<pb::SubscribeRequest>) -> Result<Option<Said>, Failure> {
        let Some(pb::SubscribeRequest { subscription_id: id, message }) = message else {
            self.said = None;
            return Ok(None);
        };
        let Some(said) = message else { return Err(Failure::stream_protocol("a message without content")) };
        let latest = self.others.as_ref().map_or(self.first, |others| others.latest);
        match said {
            Said::Start(start) if id > latest => self.open(id, start)?,
            Said::Start(_) => {
                let detail =
                    format!("a feed is opened as {id} after one was as {latest}; number them upwards");
                return Err(Failure::stream_protocol(&detail));
            }
            said if id == self.first => return Ok(Some(said)),
            _ if id > latest => {
                return Err(Failure::stream_protocol(&format!("no feed was opened as {id}")));
            }
            said => {
                // A message for a feed that has ended is ignored.
                if let Some(others) = &mut self.others {
                    others.tell(id, said);
                }
            }
        }
        Ok(None)
    }

    /// Opens a further feed, in a task of its own.
    fn open(&mut self, id: u32, start: pb::FeedStart) -> Result<(), Failure> {
        let others = self.others.get_or_insert_with(|| Box::new(Others::new()));
        if others.feeds.len() + usize::from(self.first_is_open) >= FEEDS_PER_STREAM_MAX {
            let detail =
                format!("more than {FEEDS_PER_STREAM_MAX} feeds on a stream; stop some, or open another");
            return Err(Failure::stream_protocol(&detail));
        }
        let (inbox, queue) = mpsc::channel(WAITING_MAX);
        let task = others.tasks.spawn(serve(self.shared.clone(), id, start, queue, self.frames.clone()));
        others.latest = id;
        others.feeds.insert(id, Other { inbox, task });
        Ok(())
    }
}

impl Others {
    fn new() -> Others {
        Others { latest: 0, feeds: BTreeMap::new(), tasks: JoinSet::new(), waiting: None }
    }

    fn tell(&mut self, id: u32, said: Said) {
        match said {
            // A stop does not go through the queue: a feed that waits for the client to read must stop as well.
            Said::Stop(pb::FeedStop {}) => {
                if let Some(stopped) = self.feeds.remove(&id) {
                    stopped.task.abort();
                }
            }
            said => self.waiting = Some((id, said)),
        }
    }

    /// Hands over the message that waits, if one does. Cancelling loses nothing.
    async fn deliver(&mut self) {
        let Some((id, _)) = &self.waiting else { return };
        let room = match self.feeds.get(id) {
            Some(feed) => feed.inbox.reserve().await.ok(),
            None => None,
        };
        if let (Some(room), Some((_, said))) = (room, self.waiting.take()) {
            room.send(said);
        }
        self.waiting = None;
    }
}

/// Serves a further feed of a stream to its end.
async fn serve(
    shared: Arc<Shared>,
    id: u32,
    start: pb::FeedStart,
    queue: mpsc::Receiver<Said>,
    frames: Sender,
) -> u32 {
    let outcome = async {
        let (mut subscription, opened) = shared.open(id, start).await?;
        subscription.run(opened, &frames, &mut Inbox::Queue(queue)).await
    };
    let failure = match outcome.await {
        Ok(()) | Err(Ended::Stream(_)) => return id,
        Err(Ended::Feed(failure)) => failure,
    };
    // The client may be gone; then there is nobody to tell.
    let _ = frames.send(Ok(feed_failed(id, &failure))).await;
    id
}

/// The next message of a client that can still send any; otherwise never returns.
async fn heard(
    said: &mut Option<Streaming<pb::SubscribeRequest>>,
) -> Result<Option<pb::SubscribeRequest>, Status> {
    match said {
        Some(stream) => stream.message().await,
        None => std::future::pending().await,
    }
}

/// Returns when one of the further feeds has ended; never if there are none.
async fn ended(others: &mut Option<Box<Others>>) {
    let Some(others) = others else { return std::future::pending().await };
    match others.tasks.join_next().await {
        Some(Ok(id)) => {
            others.feeds.remove(&id);
        }
        // A feed that was stopped, or panicked.
        Some(Err(_)) => others.feeds.retain(|_, feed| !feed.task.is_finished()),
        None => std::future::pending().await,
    }
}
