//! A simulated server and its clients, editing one text.

use super::{Decision, Engine, hunk, settled};
use crate::causality::{Author, Counter, Extra, ReplicaNo, Seq, Stamp};
use crate::merge::text::{Hunk, TextOp, apply_splices, undo_splices};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub(super) const BASE_TEXT: &str = "the quick brøwn 🦊 fox";
/// Where a client puts its own operations that are not settled yet, for as long as it has to guess.
const PENDING_SEQ: Seq = Seq(1_000_000);

/// An operation as its author made it.
#[derive(Clone)]
pub(super) struct Edit {
    pub(super) author: Author,
    pub(super) hunks: Vec<Hunk>,
    /// What the author saw when making it.
    pub(super) seen: String,
}

pub(super) struct Logged {
    pub(super) edit: Edit,
    pub(super) op: TextOp,
    pub(super) decision: Decision,
}

impl Logged {
    pub(super) fn stamp(&self) -> Stamp {
        Stamp { seq: self.op.seq, replica_no: self.op.author.replica_no, counter: self.op.author.counter }
    }
}

pub(super) struct Server<E> {
    pub(super) base_text: String,
    pub(super) doc: E,
    pub(super) log: Vec<Logged>,
    /// The trunk after every operation; the first entry is the base text.
    pub(super) texts: Vec<String>,
}

impl<E: Engine> Server<E> {
    pub(super) fn new(base_text: &str) -> Self {
        Self {
            base_text: base_text.to_owned(),
            doc: E::open(base_text, Seq(0)),
            log: Vec::new(),
            texts: vec![base_text.to_owned()],
        }
    }

    pub(super) fn head(&self) -> Seq {
        Seq(self.log.len() as u64)
    }

    pub(super) fn text(&self) -> &str {
        self.texts.last().expect("the base text at least")
    }

    /// Settles an operation, and checks what can be checked at once: the view (promise 1) and the effect.
    pub(super) fn submit(&mut self, edit: Edit) -> Result<(), String> {
        let seq = self.head() + 1;
        let view = self.doc.seen_by(&edit.author);
        if view != edit.seen {
            let seen = &edit.seen;
            return Err(format!("operation {seq} was made on {seen:?}, the server thinks {view:?}"));
        }
        let decision = self
            .doc
            .decide(&edit.author, seq, &edit.hunks)
            .map_err(|error| format!("operation {seq}: {error}"))?;
        let (old, new) = (self.text().to_owned(), self.doc.trunk());
        if let Some(splices) = &decision.splices {
            let applied = apply_splices(&old, splices);
            if applied.as_ref() != Ok(&new) {
                return Err(format!("effect {seq} gives {applied:?}, the trunk is {new:?}"));
            }
            let undone = undo_splices(&new, splices);
            if undone.as_ref() != Ok(&old) {
                return Err(format!("effect {seq} undone gives {undone:?}, it was {old:?}"));
            }
        }
        let op =
            TextOp { author: edit.author.clone(), seq, hunks: settled(&edit.hunks, &decision.suppressed_by) };
        self.texts.push(new);
        self.log.push(Logged { edit, op, decision });
        Ok(())
    }
}

/// A client: the prefix it received, dots it learnt from elsewhere, and its own unconfirmed operations.
pub(super) struct Client {
    pub(super) replica_no: ReplicaNo,
    base_seq: Seq,
    counter: Counter,
    extras: Vec<Extra>,
    pending: Vec<Edit>,
}

impl Client {
    pub(super) fn new(replica_no: u32) -> Self {
        Self {
            replica_no: ReplicaNo(replica_no),
            base_seq: Seq(0),
            counter: Counter::NONE,
            extras: Vec::new(),
            pending: Vec::new(),
        }
    }

    pub(super) fn base_seq(&self) -> Seq {
        self.base_seq
    }

    pub(super) fn next_author(&self) -> Author {
        Author {
            replica_no: self.replica_no,
            counter: self.counter.next(),
            base_seq: self.base_seq,
            extras: self.extras.clone(),
            own_requests: Vec::new(),
        }
    }

    /// What the client shows: what it received, and its own operations on top.
    ///
    /// A client that knows operations beyond its prefix also knows where its own ones stand among them;
    /// all others only know that theirs come last.
    pub(super) fn overlay<E: Engine>(&self, server: &Server<E>) -> Result<String, String> {
        let me = self.next_author();
        let mut doc = E::open(&server.base_text, Seq(0));
        let replayed = |error| format!("client {}: {error}", self.replica_no);
        for logged in &server.log {
            let own_unconfirmed =
                logged.op.author.replica_no == self.replica_no && logged.op.seq > self.base_seq;
            if !me.knows(&logged.stamp()) || (own_unconfirmed && self.extras.is_empty()) {
                continue;
            }
            if logged.op.seq <= self.base_seq {
                doc.repeat(&logged.op).map_err(replayed)?;
            } else {
                doc.decide(&logged.op.author, logged.op.seq, &logged.edit.hunks).map_err(replayed)?;
            }
        }
        let settled_count = (server.log.iter())
            .filter(|logged| logged.op.author.replica_no == self.replica_no)
            .count() as u64;
        for (seq, edit) in (PENDING_SEQ.0..).map(Seq).zip(&self.pending) {
            if edit.author.counter.0 <= settled_count && !self.extras.is_empty() {
                continue;
            }
            doc.decide(&edit.author, seq, &edit.hunks).map_err(replayed)?;
        }
        Ok(doc.seen_by(&me))
    }

    pub(super) fn write(&mut self, seen: String, hunks: Vec<Hunk>) -> Edit {
        let edit = Edit { author: self.next_author(), hunks, seen };
        self.counter = self.counter.next();
        self.pending.push(edit.clone());
        edit
    }

    pub(super) fn edit<E: Engine>(&mut self, rng: &mut StdRng, server: &Server<E>) -> Result<Edit, String> {
        let seen = self.overlay(server)?;
        let hunks = random_hunks(rng, seen.chars().count() as u32);
        Ok(self.write(seen, hunks))
    }

    /// Receives the feed up to `seq`.
    pub(super) fn advance<E: Engine>(&mut self, server: &Server<E>, seq: Seq) {
        self.base_seq = self.base_seq.max(seq);
        let received = &server.log[..self.base_seq.0 as usize];
        let confirmed = |replica_no: ReplicaNo, counter: Counter| {
            received.iter().any(|logged| {
                logged.op.author.replica_no == replica_no && logged.op.author.counter >= counter
            })
        };
        self.pending.retain(|edit| !confirmed(self.replica_no, edit.author.counter));
        self.extras.retain(|e| !confirmed(e.replica_no, e.counter));
    }

    /// Learns of one operation beyond its prefix, if it knows everything that operation builds on.
    fn import<E: Engine>(&mut self, rng: &mut StdRng, server: &Server<E>) {
        let me = self.next_author();
        let candidates: Vec<Stamp> = (server.log.iter())
            .filter(|z| z.op.author.replica_no != self.replica_no && !me.knows(&z.stamp()))
            .filter(|z| {
                let mut context = server.log.iter().map(Logged::stamp);
                context.all(|w| !z.op.author.knows(&w) || me.knows(&w))
            })
            .map(Logged::stamp)
            .collect();
        if candidates.is_empty() {
            return;
        }
        let dot = candidates[rng.random_range(0..candidates.len())];
        self.extras.retain(|e| e.replica_no != dot.replica_no);
        self.extras.push(Extra { replica_no: dot.replica_no, counter: dot.counter });
    }
}

/// One or two hunks on a text of this length, rarely none.
pub(super) fn random_hunks(rng: &mut StdRng, len: u32) -> Vec<Hunk> {
    let mut hunks = Vec::new();
    let mut from = 0;
    for _ in 0..[1, 1, 2, 3][rng.random_range(0..4)] {
        if from > len {
            break;
        }
        let pos = rng.random_range(from..=len);
        let kind = rng.random_range(0..10);
        let end = if kind < 5 { pos } else { len.min(pos + rng.random_range(1..=4)) };
        let ins = if kind >= 8 && end > pos { String::new() } else { random_text(rng, 3) };
        hunks.push(hunk(pos, end - pos, &ins));
        from = end + 1;
    }
    hunks
}

pub(super) fn random_text(rng: &mut StdRng, max_len: u32) -> String {
    const ALPHABET: [char; 12] = ['a', 'b', 'c', 'd', 'e', 'f', 'g', ' ', ' ', 'é', '漢', '🎈'];
    let len = rng.random_range(1..=max_len);
    (0..len).map(|_| ALPHABET[rng.random_range(0..ALPHABET.len())]).collect()
}

/// A random session until everything is settled; `with_extras` lets clients learn of operations beyond
/// their prefix. Returns the server and its clients.
pub(super) fn random_session<E: Engine>(
    seed: u64,
    with_extras: bool,
) -> Result<(Server<E>, Vec<Client>), String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let base_len = rng.random_range(0..=BASE_TEXT.chars().count());
    let base_text: String = BASE_TEXT.chars().take(base_len).collect();
    let mut server = Server::new(&base_text);
    let mut clients: Vec<Client> = (1..=rng.random_range(2..=4)).map(Client::new).collect();
    let mut queues: Vec<Vec<Edit>> = clients.iter().map(|_| Vec::new()).collect();
    for _ in 0..26 {
        let i = rng.random_range(0..clients.len());
        let dice = rng.random_range(0..100);
        if with_extras && dice < 15 {
            clients[i].import(&mut rng, &server);
        } else if dice < 50 {
            let edit = clients[i].edit(&mut rng, &server)?;
            queues[i].push(edit);
        } else if dice < 78 && !queues[i].is_empty() {
            server.submit(queues[i].remove(0))?;
        } else if clients[i].base_seq < server.head() {
            let seq = Seq(rng.random_range(clients[i].base_seq.0 + 1..=server.head().0));
            clients[i].advance(&server, seq);
        }
    }
    while queues.iter().any(|queue| !queue.is_empty()) {
        let i = rng.random_range(0..queues.len());
        if !queues[i].is_empty() {
            server.submit(queues[i].remove(0))?;
        }
    }
    Ok((server, clients))
}
