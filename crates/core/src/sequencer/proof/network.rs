//! Clients, a bad network and the server, until everything has settled; judged on the way and at the end.

use crate::causality::{ReplicaNo, Seq};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Check;
use super::client::Client;
use super::fold::Confirmed;
use super::inbox;
use super::jobs::Job;
use super::refusals::check_rejection;
use super::script::{self, RECORDS, Script, Theme};
use super::server::Server;
use super::truth::{Made, Truth};
use super::{texts, values};
use crate::change::Change;
use crate::hash::Hash;
use crate::ids::{Dot, ReplicaId};
use crate::limits::EXTRAS_MAX;
use crate::operation::{Action, Mutation, Outcome, Receipt};
use crate::state::{Key, Row, WriteBatch};

const STEPS: u32 = 200;
/// Rounds of sending everything again before something counts as stuck.
const ROUNDS_MAX: u32 = 60;

pub(super) struct World {
    pub dice: StdRng,
    pub theme: Theme,
    pub server: Server,
    pub clients: Vec<Client>,
    pub truth: Truth,
    net: Vec<Rc<Made>>,
    /// First terminal outcomes.
    pub outcomes: BTreeMap<Dot, Outcome>,
    /// How many characters and requests are used up.
    pub fresh: u32,
    pub requests: u32,
    pub jobs: Vec<Job>,
    /// The state by the feed alone, and copies of it by position.
    folded: Confirmed,
    snapshots: Vec<Confirmed>,
}

/// One random run.
pub(super) fn run(seed: u64) -> Check {
    history(seed).map(drop)
}

/// One random run; the chain at its end stands for all that happened.
pub(super) fn history(seed: u64) -> Result<Hash, String> {
    let mut world = World::new(seed)?;
    for _ in 0..STEPS {
        world.step()?;
    }
    world.settle_down()?;
    world.judge()?;
    world.decide_everything()?;
    world.judge()?;
    Ok(world.server.head().chain)
}

impl World {
    /// Some clients and two records that all of them have seen.
    fn new(seed: u64) -> Result<World, String> {
        let mut dice = StdRng::seed_from_u64(seed);
        let clients = dice.random_range(2..=5);
        let mut world = World::empty(seed, dice, clients)?;
        let records = RECORDS[..2].iter().map(|r| script::create(r)).collect();
        let first = world.write(0, records, Vec::new())?;
        world.send(&first)?;
        for client in 0..world.clients.len() {
            world.deliver(client, 1)?;
        }
        Ok(world)
    }

    fn empty(seed: u64, dice: StdRng, clients: u128) -> Result<World, String> {
        Ok(World {
            theme: Theme::of(seed),
            server: Server::new(script::schema(), seed)?,
            clients: (1..=clients).map(Client::new).collect(),
            truth: Truth::default(),
            net: Vec::new(),
            outcomes: BTreeMap::new(),
            fresh: 0,
            requests: 0,
            jobs: Vec::new(),
            folded: Confirmed::default(),
            snapshots: vec![Confirmed::default()],
            dice,
        })
    }

    fn step(&mut self) -> Check {
        self.server.now_ms += self.dice.random_range(0..300);
        let client = self.dice.random_range(0..self.clients.len());
        match self.dice.random_range(0..100) {
            0..32 => self.make(client),
            32..54 => self.send_something(),
            54..72 => {
                let (from, head) = (self.clients[client].base_seq, self.server.shelf.head_seq());
                let upto = Seq(self.dice.random_range(from.0..=head.0));
                if from < head { self.deliver(client, upto.0) } else { Ok(()) }
            }
            72..82 => self.share_tab(client),
            82 => self.request(),
            83..85 => self.job_writes(),
            85..88 => self.send_again(),
            88..90 => self.forge(),
            90 => self.expire(),
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

    fn write(
        &mut self,
        client: usize,
        mutations: Vec<Mutation>,
        needs: Vec<Dot>,
    ) -> Result<Rc<Made>, String> {
        let made = self.clients[client].write(mutations, needs)?;
        self.clients[client].check_shows(&made)?;
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
        // The other tab's queue, from some place on: what does not fit is not taken over.
        let from = if self.dice.random_bool(0.7) { 0 } else { self.dice.random_range(0..pending.len()) };
        let shared = pending[from..].to_vec();
        shared.iter().try_for_each(|made| self.clients[client].import(made, &self.truth))
    }

    pub(super) fn deliver(&mut self, client: usize, upto: u64) -> Check {
        let from = self.clients[client].base_seq.0 as usize;
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
    pub(super) fn judge_receipt(&mut self, dot: Dot, receipt: &Receipt) -> Check {
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
            check_rejection(&self.truth, &self.server.shelf, dot, rejection)?;
        }
        Ok(())
    }

    /// Invariant 11: a held operation shows only among what is held.
    fn judge_writes(&self, outcome: &Outcome, wrote: &WriteBatch) -> Check {
        let about_holding = |key: &Key| matches!(key, Key::Held(_) | Key::Waiter(..) | Key::HoldUsage(_));
        let held = matches!(outcome, Outcome::Held { .. });
        if held && (!wrote.changes.is_empty() || !wrote.rows.iter().all(|(key, _)| about_holding(key))) {
            return Err(format!("a held operation wrote {wrote:?}"));
        }
        Ok(())
    }

    /// Follows every new change: rejections, the fold, the rows.
    pub(super) fn after(&mut self, wrote: &WriteBatch) -> Check {
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
        inbox::check_regions(&self.server.shelf)?;
        // Invariant 22 again: the rows tell what the feed told.
        Confirmed::of_rows(&self.server.shelf).same_as(&self.folded, "the rows against the feed")
    }

    fn replica_of(&self, no: ReplicaNo) -> Result<ReplicaId, String> {
        match self.server.shelf.rows.get(&Key::ReplicaNumber(no)).map(|r| &**r) {
            Some(Row::ReplicaNumber(id)) => Ok(*id),
            _ => Err(format!("replica {no} has no id")),
        }
    }

    /// Everybody sends until nothing is pending, and receives everything: invariants 6, 12, 15, 23, 44.
    pub(super) fn settle_down(&mut self) -> Check {
        for _ in 0..ROUNDS_MAX {
            let pending: Vec<Rc<Made>> =
                self.clients.iter().flat_map(|c| c.pending.iter().cloned()).collect();
            self.net.extend(pending);
            while !self.net.is_empty() {
                let at = self.dice.random_range(0..self.net.len());
                let made = self.net.swap_remove(at);
                self.send(&made)?;
            }
            for client in 0..self.clients.len() {
                self.deliver(client, self.server.shelf.head_seq().0)?;
            }
            if self.clients.iter().all(|c| c.pending.is_empty()) {
                self.clients.iter().try_for_each(Client::check_settled)?;
                return self.nothing_is_left();
            }
        }
        let stuck: Vec<Dot> = self.clients.iter().flat_map(|c| c.pending.iter().map(|p| p.dot)).collect();
        Err(format!("never settled: {stuck:?}"))
    }

    fn nothing_is_left(&self) -> Check {
        let left =
            |key: &&Key| matches!(key, Key::Held(_) | Key::Waiter(..) | Key::HoldUsage(_) | Key::Wake(_));
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
        values::check_numbers(shelf, self.server.head().replica_count)?;
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
            let live: Vec<_> = self.clients[0]
                .confirmed
                .conflicts
                .values()
                .filter(|c| c.status.is_live())
                .cloned()
                .collect();
            for conflict in live {
                let value = self.dice.random_range(0..3);
                let decision =
                    script::decide(&self.clients[0], &conflict, true, value, |text| text.to_owned())?;
                let mut mutations = vec![decision];
                let decided = mutations[0].on_record().ok_or("a decision without a record")?;
                if !self.clients[0].confirmed.is_alive(&decided.record) && decided.action != Action::Restore {
                    mutations.insert(0, script::mutation(&decided.record, Action::Restore));
                }
                let made = self.write(0, mutations, Vec::new())?;
                self.send(&made)?;
                self.deliver(0, self.server.shelf.head_seq().0)?;
            }
        }
        let live = inbox::all(&self.server.shelf).find(|c| c.status.is_live());
        if let Some(conflict) = live {
            return Err(format!("{conflict:?} is live after everything was decided"));
        }
        for client in 0..self.clients.len() {
            self.deliver(client, self.server.shelf.head_seq().0)?;
        }
        Ok(())
    }
}

/// Invariant 19: with forty tabs open, a tab that knows 32 operations of others takes over no more until its feed
/// has brought some, and what the tabs write settles all the same.
pub(super) fn check_extras() -> Check {
    let mut world = World::empty(0, StdRng::seed_from_u64(0), 41)?;
    for client in 1..=40 {
        let made = world.write(client, vec![script::create(&format!("tab-{client}"))], Vec::new())?;
        world.clients[0].import(&made, &world.truth)?;
    }
    let listed = world.clients[0].context().extras.len();
    if listed != EXTRAS_MAX {
        return Err(format!("{listed} extras of {EXTRAS_MAX}"));
    }
    world.write(0, vec![script::set("tab-1", "plain", 1)], Vec::new())?;
    world.settle_down()?;
    world.judge()?;
    match world.clients[0].context().extras.len() {
        0 => Ok(()),
        left => Err(format!("{left} extras after everything was received")),
    }
}
