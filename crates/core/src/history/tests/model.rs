//! A small correct service under a bad network, from which valid histories come.

use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use uuid::Uuid;

use super::script::{EPOCH, Event, Item, Operation, Script, Sent, What, content};
use crate::causality::{Counter, Seq};
use crate::hash::{CHAIN_START, Hash, chain};
use crate::history::{Answer, Outcome};
use crate::ids::{Dot, ReplicaId};

const CLIENTS: usize = 4;
const FEEDS: usize = 3;
const STEPS: usize = 700;

struct Client {
    id: ReplicaId,
    made: Counter,
    base_seq: Seq,
    pending: Vec<usize>,
}

struct Service {
    random: StdRng,
    script: Script,
    clients: Vec<Client>,
    /// Submissions under way; the flag says that it is only a question.
    flights: Vec<(usize, bool)>,
    answers: Vec<(usize, Answer)>,
    settled: HashMap<Dot, Outcome>,
    last_settled: HashMap<ReplicaId, Counter>,
    held: Vec<usize>,
    poison: Vec<Dot>,
    operation_of: HashMap<Dot, usize>,
    /// Of each feed: where it is, whether it is connected.
    readers: Vec<(Seq, bool)>,
}

/// A history with nothing wrong in it.
pub fn valid(seed: u64) -> Script {
    let clients = (1..=CLIENTS as u64).map(|n| Client {
        id: ReplicaId(Uuid::from_u64_pair(seed + 1, n)),
        made: Counter::NONE,
        base_seq: Seq(0),
        pending: Vec::new(),
    });
    let mut service = Service {
        random: StdRng::seed_from_u64(seed),
        script: Script { feeds: vec![(false, vec![]), (false, vec![]), (true, vec![])], ..Script::default() },
        clients: clients.collect(),
        flights: Vec::new(),
        answers: Vec::new(),
        settled: HashMap::new(),
        last_settled: HashMap::new(),
        held: Vec::new(),
        poison: Vec::new(),
        operation_of: HashMap::new(),
        readers: vec![(Seq(0), false); FEEDS],
    };
    for step in 0..STEPS {
        service.step(step > STEPS / 2);
    }
    service.finish();
    service.script
}

impl Service {
    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn tick(&mut self) -> u64 {
        self.script.now += 1;
        self.script.now
    }

    fn head(&self) -> Seq {
        Seq(self.script.log.len() as u64)
    }

    fn chain_at(&self, seq: Seq) -> Hash {
        seq.checked_sub(1).map_or(CHAIN_START, |i| self.script.log[i.0 as usize].chain)
    }

    fn step(&mut self, late: bool) {
        // The first client is killed half way.
        let first = usize::from(late);
        if late && self.script.ended.is_empty() {
            self.script.ended.push(self.clients[0].id);
        }
        let client = self.random.random_range(first..CLIENTS);
        match self.random.random_range(0..20) {
            0..4 => self.make(client),
            4..6 => self.resend(client),
            6..11 => self.arrive(),
            11..15 => self.answer(),
            15 => self.by_the_server(),
            _ => {
                let feed = self.random.random_range(0..FEEDS);
                self.read(feed);
            }
        }
    }

    fn make(&mut self, index: usize) {
        if self.chance(60) {
            let (base, head) = (self.clients[index].base_seq, self.head());
            self.clients[index].base_seq = Seq(self.random.random_range(base.0..=head.0));
        }
        let client = &mut self.clients[index];
        client.made = client.made.next();
        let (dot, base_seq) = (Dot { replica: client.id, counter: client.made }, client.base_seq);
        let extras = if self.chance(25) { self.known(index, base_seq) } else { Vec::new() };
        let depends_on = if self.chance(15) { self.known(index, base_seq) } else { Vec::new() };
        if self.chance(8) {
            self.poison.push(dot);
        }
        let number = self.script.made.len();
        self.operation_of.insert(dot, number);
        self.script.made.push(Operation { dot, epoch: EPOCH, base_seq, extras, depends_on });
        self.clients[index].pending.push(number);
        self.send(number, false);
    }

    /// An operation of another client that can be waited for, made with no newer base.
    fn known(&mut self, index: usize, base_seq: Seq) -> Vec<Dot> {
        let (own, killed) = (self.clients[index].id, self.clients[0].id);
        let fits = |o: &&Operation| {
            o.base_seq <= base_seq
                && o.dot.replica != own
                && (o.dot.replica != killed || self.settled.contains_key(&o.dot))
        };
        let known: Vec<Dot> = self.script.made.iter().filter(fits).map(|o| o.dot).collect();
        match known.len() {
            0 => Vec::new(),
            // Mostly recent ones: an old one settled long ago.
            n => vec![known[self.random.random_range(n.saturating_sub(6)..n)]],
        }
    }

    fn send(&mut self, operation: usize, question: bool) {
        let (dot, sent_at) = (self.script.made[operation].dot, self.tick());
        self.script.submissions.push(Sent { dot, sent_at, answer: None });
        let flight = (self.script.submissions.len() - 1, question);
        if !self.chance(10) {
            self.flights.push(flight);
        }
        if self.chance(10) {
            self.flights.push(flight);
        }
    }

    fn resend(&mut self, client: usize) {
        let pending = &self.clients[client].pending;
        if !pending.is_empty() {
            let operation = pending[self.random.random_range(0..pending.len())];
            let question = self.chance(25);
            self.send(operation, question);
        }
    }

    fn arrive(&mut self) {
        if self.flights.is_empty() {
            return;
        }
        let at = self.random.random_range(0..self.flights.len());
        let (submission, question) = self.flights.swap_remove(at);
        let operation = self.operation_of[&self.script.submissions[submission].dot];
        let answer = self.submit(operation, question);
        self.tick();
        if !self.chance(15) {
            self.answers.push((submission, answer));
        }
    }

    fn submit(&mut self, operation: usize, question: bool) -> Answer {
        let dot = self.script.made[operation].dot;
        if let Some(outcome) = self.settled.get(&dot) {
            return Answer { outcome: *outcome, repeated: true };
        }
        let fresh = |outcome| Answer { outcome, repeated: false };
        if question {
            let held = self.held.contains(&operation);
            return fresh(if held { Outcome::Held } else { Outcome::Unknown });
        }
        if self.chance(4) {
            return fresh(Outcome::Refused);
        }
        if !self.is_ready(operation) {
            if !self.held.contains(&operation) {
                self.held.push(operation);
            }
            return fresh(Outcome::Held);
        }
        let outcome = self.settle(operation);
        while let Some(at) = (0..self.held.len()).find(|at| self.is_ready(self.held[*at])) {
            let released = self.held.swap_remove(at);
            self.settle(released);
        }
        fresh(outcome)
    }

    fn is_ready(&self, operation: usize) -> bool {
        let last = |id: &ReplicaId| self.last_settled.get(id).copied().unwrap_or_default();
        let made = &self.script.made[operation];
        last(&made.dot.replica).next() == made.dot.counter
            && made.extras.iter().chain(&made.depends_on).all(|d| last(&d.replica) >= d.counter)
    }

    fn settle(&mut self, operation: usize) -> Outcome {
        let made = self.script.made[operation].clone();
        let rejected = |d: &Dot| self.settled.get(d) == Some(&Outcome::Rejected);
        let outcome = if self.poison.contains(&made.dot) || made.depends_on.iter().any(rejected) {
            Outcome::Rejected
        } else {
            Outcome::Settled(self.append(made.dot, made.base_seq, made.extras))
        };
        self.held.retain(|held| *held != operation);
        self.last_settled.insert(made.dot.replica, made.dot.counter);
        self.settled.insert(made.dot, outcome);
        outcome
    }

    fn append(&mut self, dot: Dot, base_seq: Seq, extras: Vec<Dot>) -> Seq {
        let (seq, hash) = (self.head() + 1, content(dot));
        let chain = chain(&self.chain_at(seq - 1), &hash);
        self.script.log.push(Item { seq, dot, base_seq, extras, hash, chain });
        seq
    }

    fn by_the_server(&mut self) {
        let counter = self.last_settled.entry(ReplicaId::SERVER).or_default();
        *counter = counter.next();
        let dot = Dot { replica: ReplicaId::SERVER, counter: *counter };
        self.append(dot, self.head(), Vec::new());
        self.tick();
    }

    fn answer(&mut self) {
        if self.answers.is_empty() {
            return;
        }
        let at = self.random.random_range(0..self.answers.len());
        let (submission, answer) = self.answers.swap_remove(at);
        let now = self.tick();
        let sent = &mut self.script.submissions[submission];
        if sent.answer.is_some() || self.script.ended.contains(&sent.dot.replica) {
            return;
        }
        sent.answer = Some((now, answer));
        if answer.outcome.is_final() {
            let (dot, operation) = (sent.dot, self.operation_of[&sent.dot]);
            let author = self.clients.iter_mut().find(|c| c.id == dot.replica).expect("its author");
            author.pending.retain(|p| *p != operation);
        }
    }

    fn event(&mut self, feed: usize, to: Seq, what: What) {
        let (at, chain) = (self.tick(), Some(self.chain_at(to)));
        self.script.feeds[feed].1.push(Event { at, epoch: EPOCH, to, chain, what });
    }

    fn read(&mut self, feed: usize) {
        let (position, connected) = self.readers[feed];
        let head = self.head();
        if !connected {
            let first = self.script.feeds[feed].1.is_empty();
            self.event(feed, position, if first { What::AskedAnew } else { What::Asked });
            if self.chance(80) {
                self.event(feed, position, What::Opened { head });
                self.readers[feed].1 = true;
            }
        } else if self.chance(15) {
            self.readers[feed].1 = false;
        } else if position == head {
            self.event(feed, position, What::Checkpoint { head });
        } else {
            let to = Seq(self.random.random_range(position.0 + 1..=head.0.min(position.0 + 5)));
            let mut items = self.script.log[position.0 as usize..to.0 as usize].to_vec();
            if self.script.feeds[feed].0 {
                items.retain(|item| item.dot.counter.0 % 3 != 0);
            }
            self.event(feed, to, What::Changes { from: position, items });
            self.readers[feed].0 = to;
        }
    }

    /// Goes on until everything is answered and read.
    fn finish(&mut self) {
        self.flights.clear();
        for client in 1..CLIENTS {
            while let Some(operation) = self.clients[client].pending.first().copied() {
                let dot = self.script.made[operation].dot;
                for other in self.clients[1..].iter().flat_map(|c| c.pending.clone()).collect::<Vec<_>>() {
                    self.submit(other, false);
                }
                self.send(operation, false);
                self.flights.clear();
                let answer = self.submit(operation, false);
                assert!(self.script.now < 100_000, "{dot} never settles");
                self.answers.clear();
                self.answers.push((self.script.submissions.len() - 1, answer));
                self.answer();
            }
        }
        for feed in 0..FEEDS {
            while self.readers[feed] != (self.head(), true) {
                self.read(feed);
            }
            let head = self.head();
            self.event(feed, head, What::Checkpoint { head });
        }
        let head = self.head();
        self.script.head = head;
        self.script.snapshots.push((Seq(head.0 / 2), self.chain_at(Seq(head.0 / 2)), self.script.now));
        self.script.states =
            vec![(head, content(Dot { replica: ReplicaId::SERVER, counter: Counter(head.0) })); 2];
    }
}
