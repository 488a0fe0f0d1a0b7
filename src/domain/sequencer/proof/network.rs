//! Clients, a bad network and the server, until everything has settled; judged on the way and at the end.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Check;
use super::client::Client;
use super::fold::Confirmed;
use super::inbox;
use super::refusals::check_refusal;
use super::script::{self, RECORDS, Script, Theme};
use super::server::{EPOCH, Server};
use super::truth::{Made, Truth};
use super::{texts, values};
use crate::domain::change::Change;
use crate::domain::ids::{Dot, ReplicaId};
use crate::domain::operation::{
    Action, CausalContext, Identity, Knowledge, Mutation, Operation, Outcome, Receipt,
};
use crate::domain::refusal::Refusal;
use crate::domain::state::{Flush, Key};

const STEPS: u32 = 110;
/// Rounds of sending everything again before something counts as stuck.
const ROUNDS_MAX: u32 = 60;

pub(super) struct World {
    dice: StdRng,
    theme: Theme,
    pub server: Server,
    pub clients: Vec<Client>,
    pub truth: Truth,
    net: Vec<Rc<Made>>,
    /// First terminal outcomes.
    outcomes: BTreeMap<Dot, Outcome>,
    fresh: u32,
    requests: u32,
    /// The state by the feed alone, and copies of it by position.
    folded: Confirmed,
    snapshots: Vec<Confirmed>,
}

/// One random run.
pub(super) fn run(seed: u64) -> Check {
    let mut world = World::new(seed)?;
    for _ in 0..STEPS {
        world.step()?;
    }
    world.settle_down()?;
    world.judge()?;
    world.decide_everything()?;
    world.judge()
}

impl World {
    pub(super) fn new(seed: u64) -> Result<World, String> {
        let mut dice = StdRng::seed_from_u64(seed);
        let clients = (1..=dice.random_range(2..=5)).map(Client::new).collect();
        let mut world = World {
            theme: Theme::of(seed),
            server: Server::new(script::schema(), seed)?,
            clients,
            truth: Truth::default(),
            net: Vec::new(),
            outcomes: BTreeMap::new(),
            fresh: 0,
            requests: 0,
            folded: Confirmed::default(),
            snapshots: vec![Confirmed::default()],
            dice,
        };
        let records = RECORDS[..2].iter().map(|r| script::create(r)).collect();
        let first = world.write(0, records, Vec::new())?;
        world.send(&first)?;
        for client in 0..world.clients.len() {
            world.deliver(client, 1)?;
        }
        Ok(world)
    }

    fn step(&mut self) -> Check {
        self.server.now_ms += self.dice.random_range(0..300);
        let client = self.dice.random_range(0..self.clients.len());
        match self.dice.random_range(0..100) {
            0..34 => self.make(client),
            34..58 => self.send_something(),
            58..78 => {
                let (from, head) = (self.clients[client].base_seq, self.server.shelf.head_seq());
                let upto = self.dice.random_range(from..=head);
                if from < head { self.deliver(client, upto) } else { Ok(()) }
            }
            78..88 => self.share_tab(client),
            88..91 => self.request(),
            91..94 => self.send_again(),
            94..96 => self.forge(),
            96 => self.expire(),
            _ => self.upkeep(),
        }
    }

    fn make(&mut self, client: usize) -> Check {
        let mut script = Script {
            client: &self.clients[client],
            theme: self.theme,
            dice: &mut self.dice,
            fresh: &mut self.fresh,
            now_ms: self.server.now_ms,
        };
        let mutations = script.operation()?;
        let needs = match self.clients[client].pending.last() {
            Some(last) if self.dice.random_bool(0.05) => vec![last.dot],
            _ => Vec::new(),
        };
        let made = self.write(client, mutations, needs)?;
        self.net.push(made);
        Ok(())
    }

    fn write(&mut self, client: usize, mutations: Vec<Mutation>, needs: Vec<Dot>) -> Result<Rc<Made>, String> {
        let made = self.clients[client].write(mutations, needs)?;
        self.truth.add(&made);
        Ok(made)
    }

    /// Messages get lost, doubled and overtaken.
    fn send_something(&mut self) -> Check {
        if self.net.is_empty() {
            return Ok(());
        }
        let at = self.dice.random_range(0..self.net.len());
        let made = if self.dice.random_bool(0.7) { self.net.swap_remove(at) } else { self.net[at].clone() };
        if self.dice.random_bool(0.15) { Ok(()) } else { self.send(&made) }
    }

    /// A client starts again, or a reply was lost: all that is pending goes out again.
    fn send_again(&mut self) -> Check {
        let client = self.dice.random_range(0..self.clients.len());
        self.net.extend(self.clients[client].pending.iter().cloned());
        let settled: Vec<Rc<Made>> =
            self.outcomes.keys().filter_map(|dot| self.truth.made.get(dot)).cloned().collect();
        if settled.is_empty() {
            return Ok(());
        }
        let at = self.dice.random_range(0..settled.len());
        self.send(&settled[at])
    }

    fn share_tab(&mut self, client: usize) -> Check {
        let peer = self.dice.random_range(0..self.clients.len());
        let pending = &self.clients[peer].pending;
        if peer == client || pending.is_empty() {
            return Ok(());
        }
        let made = pending[self.dice.random_range(0..pending.len())].clone();
        self.clients[client].import(&made, &self.truth)
    }

    pub(super) fn deliver(&mut self, client: usize, upto: u64) -> Check {
        let from = self.clients[client].base_seq as usize;
        let changes: Vec<Arc<Change>> = self.server.shelf.changes[from..upto as usize].to_vec();
        self.clients[client].receive(&self.truth, &changes)?;
        // Invariant 22: everybody at a position has the state that a fold from scratch has there.
        let client = &self.clients[client];
        client.confirmed.same_as(&self.snapshots[upto as usize], "a client against the fold")
    }

    /// Sends an operation, and judges answer and effect.
    pub(super) fn send(&mut self, made: &Made) -> Check {
        let (receipt, wrote) = self.server.submit(&made.operation)?;
        self.judge_receipt(made.dot, &receipt)?;
        self.judge_writes(&receipt.outcome, &wrote)?;
        self.after(&wrote)
    }

    /// Invariants 8 and 9: whatever is sent again, the first terminal outcome stands.
    fn judge_receipt(&mut self, dot: Dot, receipt: &Receipt) -> Check {
        if receipt.dot != Some(dot) {
            return Err(format!("{dot} was answered as {:?}", receipt.dot));
        }
        match (&receipt.outcome, self.outcomes.get(&dot)) {
            (Outcome::NotSettled { refusal, .. }, _) => {
                return Err(format!("{dot} was not settled: {refusal:?}"));
            }
            (Outcome::Held { .. }, None) => {}
            (Outcome::Held { .. }, Some(first)) => return Err(format!("{dot} is held after {first:?}")),
            (outcome, Some(first)) if outcome != first || !receipt.duplicate => {
                return Err(format!("{dot} was {first:?}, is {outcome:?}"));
            }
            (outcome, _) => {
                self.outcomes.insert(dot, outcome.clone());
            }
        }
        if let Outcome::Rejected(rejection) = &receipt.outcome {
            self.clients.iter_mut().filter(|c| c.replica == dot.replica).for_each(|c| c.on_rejection(dot));
            check_refusal(&self.truth, &self.server.shelf, dot, rejection)?;
        }
        Ok(())
    }

    /// Invariant 11: what is held shows nowhere but among what is held.
    fn judge_writes(&self, outcome: &Outcome, wrote: &Flush) -> Check {
        let about_holding = |key: &Key| matches!(key, Key::Held(_) | Key::Waiter(..) | Key::HoldUsage(_));
        let held = matches!(outcome, Outcome::Held { .. });
        if held && (!wrote.changes.is_empty() || !wrote.rows.iter().all(|(key, _)| about_holding(key))) {
            return Err(format!("a held operation wrote {wrote:?}"));
        }
        Ok(())
    }

    /// Follows every new change: rejections, the fold, the rows.
    fn after(&mut self, wrote: &Flush) -> Check {
        for (key, row) in &wrote.rows {
            if let (Key::Rejection(no, counter), Some(_)) = (key, row) {
                let replica = self.replica_of(*no)?;
                self.truth.rejected.insert(Dot { replica, counter: *counter });
            }
        }
        for change in &wrote.changes {
            self.folded.apply(change)?;
            self.snapshots.push(self.folded.clone());
        }
        if wrote.changes.is_empty() {
            return Ok(());
        }
        inbox::check_cover(&self.server.shelf)?;
        // Invariant 22 again: the rows tell what the feed told.
        Confirmed::of_rows(&self.server.shelf).same_as(&self.folded, "the rows against the feed")
    }

    fn replica_of(&self, no: u32) -> Result<ReplicaId, String> {
        use crate::domain::state::Row;
        match self.server.shelf.rows.get(&Key::ReplicaNumber(no)).map(|r| &**r) {
            Some(Row::ReplicaNumber(id)) => Ok(*id),
            _ => Err(format!("replica {no} has no id")),
        }
    }

    /// A caller without a replica, who knows everything, or what it read some time ago.
    fn request(&mut self) -> Check {
        let head = self.server.shelf.head_seq();
        let base_seq = if self.dice.random_bool(0.5) { head } else { self.dice.random_range(1..=head) };
        let mut script = Script {
            client: &self.clients[0],
            theme: if matches!(self.theme, Theme::Texts) { Theme::Registers } else { self.theme },
            dice: &mut self.dice,
            fresh: &mut self.fresh,
            now_ms: self.server.now_ms,
        };
        let mut mutations = script.operation()?;
        mutations.retain(|m| super::client::text_place(m).is_none() && m.resolves.is_none());
        mutations.iter_mut().for_each(|m| m.observed_seq = None);
        let context = CausalContext { epoch: EPOCH, base_seq, extras: Vec::new() };
        let latest = base_seq == head;
        self.requests += 1;
        let operation = Operation {
            identity: Identity::Request(format!("request-{}", self.requests).into()),
            knowledge: if latest { Knowledge::Latest } else { Knowledge::Context(context) },
            mutations,
            depends_on: Vec::new(),
            await_records: false,
            correlation_id: "".into(),
            actor: "a job".into(),
            client_time_ms: None,
            malformed: None,
        };
        self.submit_request(operation, base_seq)
    }

    /// Invariant 9 for request ids: sent twice, settled once, with the same answer.
    fn submit_request(&mut self, operation: Operation, base_seq: u64) -> Check {
        let (known, vector) = Truth::prefix(&self.server.shelf, base_seq);
        let next = self.truth.made.keys().filter(|d| d.replica.is_nil()).count() as u64 + 1;
        let dot = Dot { replica: ReplicaId::nil(), counter: next };
        let made = Rc::new(Made { dot, operation, known, vector, seen_texts: BTreeMap::new() });
        self.truth.add(&made);
        self.send(&made)?;
        self.send(&made)
    }

    /// Invariant 10: a dot with another content is a fork, and changes nothing.
    fn forge(&mut self) -> Check {
        let client = self.dice.random_range(0..self.clients.len());
        let replica = self.clients[client].replica;
        let settled: Vec<Dot> = self.outcomes.keys().filter(|d| d.replica == replica).copied().collect();
        if settled.is_empty() {
            return Ok(());
        }
        let made = &self.truth.made[&settled[self.dice.random_range(0..settled.len())]];
        let forged = Operation { actor: "somebody else".into(), ..made.operation.clone() };
        let dot = made.dot;
        let (receipt, wrote) = self.server.submit(&forged)?;
        let forked = matches!(
            &receipt.outcome,
            Outcome::NotSettled { refusal: Some(Refusal::ReplicaForked { dot: d }), .. } if *d == dot
        );
        if !forked || !wrote.is_empty() {
            return Err(format!("{dot} with another content: {receipt:?}, {wrote:?}"));
        }
        Ok(())
    }

    /// Invariant 13: expiry changes nothing but what is held; the client will send it again.
    fn expire(&mut self) -> Check {
        let now_ms = self.server.now_ms;
        self.server.now_ms += 25 * 60 * 60 * 1000;
        let (_, wrote) = self.server.expire_holds()?;
        self.server.now_ms = now_ms;
        let about_holding = |key: &Key| matches!(key, Key::Held(_) | Key::Waiter(..) | Key::HoldUsage(_));
        if !wrote.changes.is_empty() || !wrote.rows.iter().all(|(key, _)| about_holding(key)) {
            return Err(format!("expiry wrote {wrote:?}"));
        }
        Ok(())
    }

    /// The server's own work: reminders that are due, releases that were cut off.
    fn upkeep(&mut self) -> Check {
        for id in self.server.due_reminders() {
            let (known, vector) = Truth::prefix(&self.server.shelf, self.server.shelf.head_seq());
            let next = self.truth.made.keys().filter(|d| d.replica.is_nil()).count() as u64 + 1;
            let dot = Dot { replica: ReplicaId::nil(), counter: next };
            let (fired, wrote) = self.server.remind(id)?;
            if !fired || wrote.changes.len() != 1 {
                return Err(format!("the reminder of {id} was due and did not fire"));
            }
            let operation = reminder(&wrote.changes[0]);
            self.truth.add(&Rc::new(Made { dot, operation, known, vector, seen_texts: BTreeMap::new() }));
            self.after(&wrote)?;
        }
        let (_, wrote) = self.server.wake()?;
        self.after(&wrote)
    }

    /// Everybody sends until nothing is pending, and receives everything: invariants 6, 12, 15, 23, 44.
    pub(super) fn settle_down(&mut self) -> Check {
        for _ in 0..ROUNDS_MAX {
            let pending: Vec<Rc<Made>> = self.clients.iter().flat_map(|c| c.pending.iter().cloned()).collect();
            self.net.extend(pending);
            while !self.net.is_empty() {
                let at = self.dice.random_range(0..self.net.len());
                let made = self.net.swap_remove(at);
                self.send(&made)?;
            }
            for client in 0..self.clients.len() {
                self.deliver(client, self.server.shelf.head_seq())?;
            }
            if self.clients.iter().all(|c| c.pending.is_empty()) {
                return self.nothing_is_left();
            }
        }
        let stuck: Vec<Dot> = self.clients.iter().flat_map(|c| c.pending.iter().map(|p| p.dot)).collect();
        Err(format!("never settled: {stuck:?}"))
    }

    fn nothing_is_left(&self) -> Check {
        let left = |key: &&Key| matches!(key, Key::Held(_) | Key::Waiter(..) | Key::HoldUsage(_) | Key::Wake(_));
        match self.server.shelf.rows.keys().find(left) {
            Some(key) => Err(format!("everything has settled, {key:?} is still there")),
            None => Ok(()),
        }
    }

    /// All that can be said of a finished log.
    pub(super) fn judge(&self) -> Check {
        let shelf = &self.server.shelf;
        let spec = |field: &str| values::spec_in(shelf, script::COLLECTION, field);
        values::check_log(&self.truth, shelf)?;
        let reference = values::reference(&self.truth, &shelf.changes)?;
        values::check_rows(&reference, shelf, spec)?;
        inbox::check_pairs(&self.truth, &reference, shelf)?;
        values::check_counts(&self.truth, &reference, shelf, &self.folded)?;
        values::check_sets(&self.truth, shelf, &self.folded)?;
        values::check_links(&self.truth, &reference, shelf)?;
        texts::check_texts(&self.truth, shelf, &self.folded)?;
        inbox::check_own_values(shelf)?;
        super::replay::check_snapshots(shelf, &self.snapshots, &self.folded)?;
        super::replay::check_again(&self.truth, shelf)
    }

    /// One client who has seen everything decides what is open, and the inbox is empty.
    fn decide_everything(&mut self) -> Check {
        for _ in 0..3 {
            let live: Vec<_> =
                self.clients[0].confirmed.conflicts.values().filter(|c| c.status.is_live()).cloned().collect();
            for conflict in live {
                let value = self.dice.random_range(0..3);
                let decision = script::decide(&self.clients[0], &conflict, true, value, |text| text.to_owned())?;
                let mut mutations = vec![decision];
                let decided = &mutations[0].record;
                if !self.clients[0].confirmed.is_alive(decided) && mutations[0].action != Action::Restore {
                    mutations.insert(0, script::mutation(decided, Action::Restore));
                }
                let made = self.write(0, mutations, Vec::new())?;
                self.send(&made)?;
                self.deliver(0, self.server.shelf.head_seq())?;
            }
        }
        let live = inbox::all(&self.server.shelf).find(|c| c.status.is_live());
        if let Some(conflict) = live {
            return Err(format!("{conflict:?} is live after everything was decided"));
        }
        for client in 0..self.clients.len() {
            self.deliver(client, self.server.shelf.head_seq())?;
        }
        Ok(())
    }
}

/// The operation that the server made of a reminder, as far as it can be told from outside.
fn reminder(change: &Change) -> Operation {
    Operation {
        identity: Identity::Request(change.request_id.clone().unwrap_or_default()),
        knowledge: Knowledge::Latest,
        mutations: change.mutations.clone(),
        depends_on: Vec::new(),
        await_records: false,
        correlation_id: change.correlation_id.clone(),
        actor: change.actor.clone(),
        client_time_ms: None,
        malformed: None,
    }
}
