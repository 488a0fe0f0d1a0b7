//! Clients that write and read under faults and write down all they see, for the history checker to judge.
//!
//! Servers come and go below them: [`Addresses`] may change at any time, and clients move between the servers it
//! names, after every failure and now and then without one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use syncline_core::causality::{Counter, Seq};
use syncline_core::ids::{Epoch, ReplicaId};

use pb::change_service_client::ChangeServiceClient;
use pb::operation_service_client::OperationServiceClient;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use syncline_core::hash::CHAIN_START;
use syncline_core::history::{Expectations, FeedRecorder, History, Log, Place, Recorder, Report, check};
use syncline_protocol::convert::{
    answer_from_pb, operation_from_pb, place_from_pb, record_change, record_frame, record_operation,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use uuid::Uuid;

use super::pb;
use crate::process::channel;

/// Between a failure and the next try.
const RETRY_AFTER: Duration = Duration::from_millis(10);
/// Feeds that share a connection; a server allows 32 streams on one.
const FEEDS_PER_CONNECTION: usize = 30;
/// Frames may be this large.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// The servers there are at the moment.
#[derive(Debug, Clone, Default)]
pub struct Addresses(Arc<Mutex<Vec<String>>>);

impl Addresses {
    pub fn new(addresses: impl IntoIterator<Item = String>) -> Addresses {
        let all = Addresses::default();
        all.set(addresses);
        all
    }

    /// From now on these.
    pub fn set(&self, addresses: impl IntoIterator<Item = String>) {
        *self.0.lock().expect("no panic") = addresses.into_iter().collect();
    }

    fn any(&self, random: &mut StdRng) -> String {
        let all = self.0.lock().expect("no panic");
        all[random.random_range(0..all.len())].clone()
    }
}

/// Makes the mutations of a replica's operation with this counter.
pub type Load = fn(ReplicaId, u64) -> Vec<pb::Mutation>;

/// What is to happen.
#[derive(Clone)]
pub struct Plan {
    pub workspace_id: String,
    pub epoch: u64,
    pub addresses: Addresses,
    pub seed: u64,
    pub writers: usize,
    pub feeds: usize,
    pub operations_per_call: u64,
    /// How many calls of a hundred go to another server than the one before.
    pub moves_percent: u32,
    pub load: Load,
    /// Between two calls of a writer.
    pub pause: Duration,
    /// How long everything may take to be answered and read after the last fault.
    pub drain_within: Duration,
}

/// Connections to servers; some feeds share one.
#[derive(Clone, Default)]
struct Channels(Arc<Mutex<HashMap<(String, usize), tonic::transport::Channel>>>);

impl Channels {
    fn to(&self, address: &str, index: usize) -> tonic::transport::Channel {
        let key = (address.to_owned(), index / FEEDS_PER_CONNECTION);
        let mut all = self.0.lock().expect("no panic");
        all.entry(key).or_insert_with(|| channel(address)).clone()
    }
}

/// Writers and feeds at work.
pub struct Observer {
    plan: Plan,
    started: Instant,
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Written>>,
    feeds: Vec<JoinHandle<FeedRecorder>>,
    /// Once everything was written: where feeds end.
    end: watch::Sender<Option<u64>>,
}

/// What a writer did.
struct Written {
    recorder: Recorder,
    operations: u64,
    head_seq: u64,
}

/// What came of it all.
#[derive(Debug)]
pub struct Finished {
    pub report: Report,
    /// Made by writers, each answered in the end.
    pub operations: u64,
    pub head_seq: u64,
}

impl Observer {
    /// Starts writing and reading.
    pub fn start(plan: Plan) -> Observer {
        let (started, stop) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let (end, ends) = watch::channel(None);
        let writers = (0..plan.writers)
            .map(|index| tokio::spawn(Writer::new(&plan, index, started).write(stop.clone())))
            .collect();
        let channels = Channels::default();
        let reader = |index| Reader::new(&plan, index, started, channels.clone());
        let feeds = (0..plan.feeds).map(|index| tokio::spawn(reader(index).follow(ends.clone()))).collect();
        Observer { plan, started, stop, writers, feeds, end }
    }

    /// Stops writing, waits until everything is answered and read, reads the whole log through a fresh feed, and
    /// judges what was seen. Servers must be there again.
    pub async fn finish(self) -> Finished {
        self.stop.store(true, Ordering::SeqCst);
        let drain_within = self.plan.drain_within;
        let (mut operations, mut head_seq, mut recorders) = (0, 0, Vec::new());
        for writer in self.writers {
            let written = tokio::time::timeout(drain_within, writer).await.expect("everything is answered");
            let written = written.expect("a writer");
            operations += written.operations;
            head_seq = head_seq.max(written.head_seq);
            recorders.push(written.recorder);
        }
        let mut fresh = Reader::new(&self.plan, self.plan.feeds, self.started, Channels::default());
        let mut log = Log::new(Epoch(self.plan.epoch));
        let read = fresh.whole_log(&mut log, head_seq);
        let head_seq = tokio::time::timeout(drain_within, read).await.expect("the log can be read");
        let _ = self.end.send(Some(head_seq));
        // The server's own replica writes for callers without one and for reminders.
        let others = [ReplicaId::SERVER].into();
        let mut history = History::new(log, Expectations { others, ..Expectations::default() });
        recorders.into_iter().for_each(|recorder| history.add(recorder));
        for feed in self.feeds {
            let mut recorder = feed.await.expect("a feed");
            recorder.must_be_at_head();
            history.add_feed(recorder);
        }
        history.add_feed(fresh.recorder);
        Finished { report: check(&history), operations, head_seq }
    }
}

fn nanos(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_nanos()).expect("a short run")
}

struct Writer {
    plan: Plan,
    random: StdRng,
    started: Instant,
    replica: ReplicaId,
    written: Written,
    address: String,
    client: OperationServiceClient<tonic::transport::Channel>,
}

impl Writer {
    fn new(plan: &Plan, index: usize, started: Instant) -> Writer {
        let mut random = StdRng::seed_from_u64(plan.seed ^ (index as u64 + 1) << 32);
        let address = plan.addresses.any(&mut random);
        Writer {
            plan: plan.clone(),
            random,
            started,
            replica: ReplicaId(Uuid::from_u64_pair(plan.seed.max(1), index as u64 + 1)),
            written: Written { recorder: Recorder::default(), operations: 0, head_seq: 0 },
            client: OperationServiceClient::new(channel(&address)),
            address,
        }
    }

    /// Writes until told to stop, and sends every operation again until it has an outcome.
    async fn write(mut self, stop: Arc<AtomicBool>) -> Written {
        while !stop.load(Ordering::SeqCst) {
            let mut open = self.make();
            while !open.is_empty() {
                open = self.submit(open).await;
            }
            if self.random.random_range(0..100) < self.plan.moves_percent {
                self.move_on();
            }
            tokio::time::sleep(self.plan.pause).await;
        }
        self.written
    }

    fn move_on(&mut self) {
        let address = self.plan.addresses.any(&mut self.random);
        if address != self.address {
            self.client = OperationServiceClient::new(channel(&address));
            self.address = address;
        }
    }

    fn make(&mut self) -> Vec<pb::Operation> {
        let (replica, base_seq) = (self.replica, self.written.head_seq);
        let first = self.written.operations + 1;
        self.written.operations += self.plan.operations_per_call;
        let context = pb::CausalContext { epoch: self.plan.epoch, base_seq, ..Default::default() };
        let make = |counter| {
            let dot = pb::Dot { replica_id: replica.to_string(), counter };
            let operation = pb::Operation {
                identity: Some(pb::operation::Identity::Dot(dot)),
                knowledge: Some(pb::operation::Knowledge::Context(context.clone())),
                mutations: (self.plan.load)(replica, counter),
                ..Default::default()
            };
            let content = operation_from_pb(operation.clone()).expect("an operation").content_hash();
            record_operation(&mut self.written.recorder, &operation, Some(content)).expect("an operation");
            operation
        };
        (first..=self.written.operations).map(make).collect()
    }

    /// One call with these operations; those that have no outcome yet.
    async fn submit(&mut self, open: Vec<pb::Operation>) -> Vec<pb::Operation> {
        let at = nanos(self.started);
        let mut sent = Vec::new();
        for operation in &open {
            let Some(pb::operation::Identity::Dot(dot)) = &operation.identity else { unreachable!() };
            let dot = syncline_core::ids::Dot { replica: self.replica, counter: Counter(dot.counter) };
            sent.push((dot, self.written.recorder.sent(dot, at)));
        }
        let workspace_id = self.plan.workspace_id.clone();
        let request = pb::SubmitRequest { workspace_id, operations: open.clone(), ..Default::default() };
        let answer = match self.client.submit(request).await {
            Ok(answer) => answer.into_inner(),
            Err(_) => {
                tokio::time::sleep(RETRY_AFTER).await;
                self.move_on();
                return open;
            }
        };
        let at = nanos(self.started);
        assert_eq!(answer.receipts.len(), open.len(), "a receipt for each operation");
        let mut left = Vec::new();
        for ((operation, (dot, sent)), receipt) in open.into_iter().zip(sent).zip(&answer.receipts) {
            let (of, answer) = answer_from_pb(receipt).expect("a receipt");
            assert_eq!(of, dot, "receipts come in the order of the request");
            self.written.recorder.answered(sent, at, answer);
            if !answer.outcome.is_final() {
                left.push(operation);
            }
        }
        self.written.head_seq = self.written.head_seq.max(answer.head_seq);
        if !left.is_empty() {
            tokio::time::sleep(RETRY_AFTER).await;
        }
        left
    }
}

struct Reader {
    plan: Plan,
    random: StdRng,
    started: Instant,
    recorder: FeedRecorder,
    cursor: Option<pb::Cursor>,
    channels: Channels,
    index: usize,
}

impl Reader {
    fn new(plan: &Plan, index: usize, started: Instant, channels: Channels) -> Reader {
        Reader {
            plan: plan.clone(),
            random: StdRng::seed_from_u64(plan.seed ^ (index as u64 + 1) << 48),
            started,
            recorder: FeedRecorder::new(format!("feed {index}"), false),
            cursor: None,
            channels,
            index,
        }
    }

    fn place(&self) -> Place {
        let beginning = Place { epoch: Epoch(self.plan.epoch), seq: Seq(0), chain: Some(CHAIN_START) };
        self.cursor.as_ref().map_or(beginning, |c| place_from_pb(Some(c)).expect("a cursor"))
    }

    async fn open(&mut self) -> Option<tonic::Streaming<pb::WatchResponse>> {
        let address = self.plan.addresses.any(&mut self.random);
        let channel = self.channels.to(&address, self.index);
        let mut client = ChangeServiceClient::new(channel).max_decoding_message_size(FRAME_BYTES_MAX);
        let start = pb::FeedStart {
            workspace_id: self.plan.workspace_id.clone(),
            origin: Some(match self.cursor.clone() {
                Some(cursor) => pb::feed_start::Origin::Cursor(cursor),
                None => pb::feed_start::Origin::Beginning(pb::FromBeginning {}),
            }),
            ..Default::default()
        };
        let stream = client.watch(pb::WatchRequest { start: Some(start) }).await.ok()?.into_inner();
        let (at, place) = (nanos(self.started), self.place());
        match self.cursor {
            Some(_) => self.recorder.asked(at, place),
            None => self.recorder.asked_anew(at, place),
        }
        Some(stream)
    }

    /// Takes in what came; a reset begins anew.
    fn hear(&mut self, frame: &pb::Frame) {
        let place = self.place();
        record_frame(&mut self.recorder, nanos(self.started), place, frame).expect("a frame");
        let is_reset = matches!(frame.content, Some(pb::frame::Content::HistoryReset(_)));
        self.cursor = if is_reset { None } else { frame.cursor.clone() };
    }

    /// Follows until the end is known and reached, or until it should have been, resuming from its own cursor
    /// whenever the feed breaks.
    async fn follow(mut self, mut end: watch::Receiver<Option<u64>>) -> FeedRecorder {
        let drain_within = self.plan.drain_within;
        loop {
            tokio::select! {
                biased;
                () = self.session(end.clone()) => {}
                () = overdue(&mut end, drain_within) => return self.recorder,
            }
            if end.borrow().is_some_and(|seq| self.place().seq >= seq) {
                return self.recorder;
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    async fn session(&mut self, mut end: watch::Receiver<Option<u64>>) {
        let Some(mut stream) = self.open().await else { return };
        loop {
            let at = self.place().seq;
            tokio::select! {
                message = stream.next() => match message {
                    Some(Ok(message)) => self.hear(&message.frame.expect("a frame")),
                    Some(Err(_)) | None => return,
                },
                _ = end.wait_for(|end| end.is_some_and(|seq| at >= seq)) => return,
            }
        }
    }

    /// Reads everything from the beginning up to the head, which is at least `head_seq`.
    async fn whole_log(&mut self, log: &mut Log, mut head_seq: u64) -> u64 {
        loop {
            let Some(mut stream) = self.open().await else {
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            };
            while let Some(Ok(message)) = stream.next().await {
                let frame = message.frame.expect("a frame");
                match &frame.content {
                    Some(pb::frame::Content::Opened(opened)) => head_seq = head_seq.max(opened.head_seq),
                    Some(pb::frame::Content::Changes(changes)) => {
                        head_seq = head_seq.max(changes.head_seq);
                        changes.changes.iter().for_each(|c| record_change(log, c).expect("a change"));
                    }
                    _ => {}
                }
                self.hear(&frame);
                if self.place().seq >= head_seq {
                    log.head(Seq(head_seq), self.place().chain);
                    return head_seq;
                }
            }
        }
    }
}

/// Returns when the end has been known for so long that it should have been reached.
async fn overdue(end: &mut watch::Receiver<Option<u64>>, drain_within: Duration) {
    if end.wait_for(Option::is_some).await.is_ok() {
        tokio::time::sleep(drain_within).await;
    }
}
