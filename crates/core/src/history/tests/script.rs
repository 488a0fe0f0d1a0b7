//! A history in a form that is easy to corrupt.

use crate::causality::Seq;
use crate::hash::{CHAIN_START, Hash, chain, hash, operation_hash};
use crate::history::{
    Answer, Entry, Expectations, FeedRecorder, History, Log, Made, Outcome, Place, Recorder, Reset, Snapshot,
    State, Time,
};
use crate::ids::{Dot, Epoch, ReplicaId};

pub const EPOCH: Epoch = Epoch(77);

#[derive(Debug, Clone)]
pub struct Operation {
    pub dot: Dot,
    pub epoch: Epoch,
    pub base_seq: Seq,
    pub extras: Vec<Dot>,
    pub depends_on: Vec<Dot>,
}

#[derive(Debug, Clone)]
pub struct Sent {
    pub dot: Dot,
    pub sent_at: Time,
    pub answer: Option<(Time, Answer)>,
}

#[derive(Debug, Clone)]
pub struct Item {
    pub seq: Seq,
    pub dot: Dot,
    pub base_seq: Seq,
    pub extras: Vec<Dot>,
    pub hash: Hash,
    pub chain: Hash,
}

#[derive(Debug, Clone)]
pub enum What {
    Asked,
    AskedAnew,
    Opened { head: Seq },
    Changes { from: Seq, items: Vec<Item> },
    Checkpoint { head: Seq },
    Reset(Reset),
}

#[derive(Debug, Clone)]
pub struct Event {
    pub at: Time,
    pub epoch: Epoch,
    pub to: Seq,
    pub chain: Option<Hash>,
    pub what: What,
}

#[derive(Debug, Clone, Default)]
pub struct Script {
    pub made: Vec<Operation>,
    pub submissions: Vec<Sent>,
    pub ended: Vec<ReplicaId>,
    pub feeds: Vec<(bool, Vec<Event>)>,
    pub snapshots: Vec<(Seq, Hash, Time)>,
    pub states: Vec<(Seq, Hash)>,
    pub log: Vec<Item>,
    pub head: Seq,
    /// If none, it is that of the last entry.
    pub head_chain: Option<Hash>,
    /// A time after everything that happened.
    pub now: Time,
}

/// One salt for all operations, which no real workspace has.
const SALT: Hash = [6; 16];

/// The hash of what a dot stands for, as its author computes it.
fn made_content(dot: Dot) -> Hash {
    hash(dot.to_string().as_bytes())
}

/// The same as the log has it.
pub fn content(dot: Dot) -> Hash {
    operation_hash(&SALT, &made_content(dot))
}

impl Script {
    /// As observers would have written it down: two tasks, which know each other's replicas in another order.
    pub fn history(&self) -> History {
        let mut log = Log::new(EPOCH);
        self.log.iter().for_each(|item| log.push(&entry(item)));
        let last = self.log.last().map_or(CHAIN_START, |i| i.chain);
        log.head(self.head, Some(self.head_chain.unwrap_or(last)));
        let others = [ReplicaId::SERVER].into();
        let mut history = History::new(log, Expectations { others, ..Expectations::default() });
        for half in [0, 1] {
            history.add(self.recorder(half));
        }
        for (index, (filtered, events)) in self.feeds.iter().enumerate() {
            let mut feed = FeedRecorder::new(format!("feed {index}"), *filtered);
            events.iter().for_each(|event| record(&mut feed, event));
            feed.must_be_at_head();
            history.add_feed(feed);
        }
        history
    }

    fn recorder(&self, half: usize) -> Recorder {
        let mut recorder = Recorder::default();
        let mine = |dot: &Dot| dot.counter.0 as usize % 2 == half;
        for sent in self.submissions.iter().rev().filter(|s| mine(&s.dot)) {
            let id = recorder.sent(sent.dot, sent.sent_at);
            if let Some((at, answer)) = sent.answer {
                recorder.answered(id, at, answer);
            }
        }
        for made in self.made.iter().filter(|m| mine(&m.dot)) {
            recorder.made(&Made {
                dot: made.dot,
                context: Some((made.epoch, made.base_seq)),
                extras: &made.extras,
                depends_on: &made.depends_on,
                content_hash: Some(made_content(made.dot)),
            });
        }
        if half == 0 {
            self.ended.iter().for_each(|r| recorder.client_ended(*r));
            for (seq, chain, at) in &self.snapshots {
                recorder.snapshot(Snapshot { epoch: EPOCH, seq: *seq, chain: Some(*chain), at: *at });
            }
            for (index, (seq, digest)) in self.states.iter().enumerate() {
                recorder.state(State { client: format!("client {index}"), seq: *seq, digest: *digest });
            }
        }
        recorder
    }

    /// Computes all positions and chains of the log again.
    pub fn restamp(&mut self) {
        let mut before = CHAIN_START;
        for (item, seq) in self.log.iter_mut().zip(1..) {
            (item.seq, item.chain) = (Seq(seq), chain(&before, &item.hash));
            before = item.chain;
        }
        self.head = Seq(self.log.len() as u64);
    }

    /// The final outcomes that were told, by index of the submission.
    pub fn settled(&self) -> Vec<(usize, Seq)> {
        let told = |s: &Sent| match s.answer?.1.outcome {
            Outcome::Settled(seq) => Some(seq),
            _ => None,
        };
        self.submissions.iter().enumerate().filter_map(|(i, s)| Some((i, told(s)?))).collect()
    }
}

fn entry(item: &Item) -> Entry<'_> {
    Entry {
        seq: item.seq,
        dot: item.dot,
        base_seq: item.base_seq,
        extras: &item.extras,
        operation_hash: item.hash,
        chain: item.chain,
        hash_salt: SALT,
    }
}

fn record(feed: &mut FeedRecorder, event: &Event) {
    let place = Place { epoch: event.epoch, seq: event.to, chain: event.chain };
    match &event.what {
        What::Asked => feed.asked(event.at, place),
        What::AskedAnew => feed.asked_anew(event.at, place),
        What::Opened { head } => feed.opened(event.at, place, *head),
        What::Changes { from, items } => feed.changes(event.at, *from, place, items.iter().map(entry)),
        What::Checkpoint { head } => feed.checkpoint(event.at, place, *head),
        What::Reset(reason) => feed.reset(event.at, place, *reason),
    }
}
