//! The world of a run: servers over one store that outlives them, clients, and what goes wrong.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use turmoil::Sim;

use super::ambient::{SimClock, SimRandomness};
use super::client::Client;
use super::net::{client_name, listen, server_name};
use super::plan::{Fault, Kind, Plan};
use super::record::Record;
use super::shared::SimShared;
use super::store::SimStore;
use super::store_faults::StoreFaults;
use super::{ambient, interpose, judge};
use syncline::config::{Config, Flags, Preset};
use syncline::server::Service;
use syncline::store::memory::MemoryStore;
use syncline::store::{SharedStore, Store};

/// Simulated time passes in steps of this; every host runs once in each.
const TICK: Duration = Duration::from_millis(1);
/// After the last fault, everything has to be in order within this time.
const SETTLE_MS: u64 = 10_000;
/// Reminders may take longer: a server looks for what others left every 10 s, and leaves it to them for 2 s more.
const REMINDED_MS: u64 = 15_000;
/// How long the judges may take to read from the servers.
const JUDGES_MS: u64 = 5_000;
/// A server that could not start tries again after this.
const START_AGAIN: Duration = Duration::from_millis(50);
/// How often a server's clients send heartbeats.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(400);
/// After everything is repaired nobody sends heartbeats any more; after this nobody counts as connected. The last heartbeat
/// may be on its way for 1.2 s, its lease is 2.5 intervals, and servers tell each other a second late.
const LEASES_MS: u64 = 3_600;
/// How long a stopping server waits for its clients.
const DRAIN: Duration = Duration::from_millis(300);

/// What goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Working,
    /// All faults are repaired, and nobody writes any more.
    Settling,
}

/// Everything that hosts and driver share.
pub(super) struct World {
    pub plan: Plan,
    pub seed: u64,
    pub store: MemoryStore,
    pub store_faults: Arc<StoreFaults>,
    pub clocks: Vec<Arc<SimClock>>,
    pub record: RefCell<Record>,
    pub phase: Cell<Phase>,
    pub epoch: Cell<Option<u64>>,
    pub clients: RefCell<Vec<Rc<Client>>>,
    /// Stops each server's present run.
    pub stops: RefCell<Vec<CancellationToken>>,
    starts: Cell<u64>,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Verdict {
    /// A hash over everything that happened.
    pub trace: u64,
    /// What was wrong first, if anything was.
    pub violation: Option<String>,
    /// How often things happened, for people.
    pub counts: String,
}

/// One run.
pub(super) fn run(seed: u64, prints: bool) -> Verdict {
    let plan = Plan::of(seed);
    let servers = plan.servers;
    let world = Rc::new(World {
        seed,
        store: MemoryStore::new(),
        store_faults: Arc::new(StoreFaults::new(seed, servers)),
        clocks: (0..servers).map(|_| Arc::default()).collect(),
        record: RefCell::new(Record::new(prints)),
        phase: Cell::new(Phase::Working),
        epoch: Cell::new(None),
        clients: RefCell::default(),
        stops: RefCell::new((0..servers).map(|_| CancellationToken::new()).collect()),
        starts: Cell::new(0),
        plan,
    });
    watch_for_panics();
    let mut driver = Driver::new(world.clone());
    let ended = driver.run();
    if let Some(panic) = PANIC.get() {
        world.record.borrow_mut().wrong(driver.now_ms(), "world", panic.clone());
    }
    let mut record = world.record.borrow_mut();
    if let Err(wrong) = ended {
        record.wrong(driver.now_ms(), "world", wrong);
    }
    let counts = record.counts.iter().map(|(what, count)| format!("{what} {count}"));
    Verdict {
        trace: record.trace(),
        violation: record.violation.clone(),
        counts: counts.collect::<Vec<_>>().join(", "),
    }
}

/// The first panic of any task: most are caught by their runtime.
static PANIC: OnceLock<String> = OnceLock::new();

fn watch_for_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = PANIC.set(panic.to_string());
        before(panic);
    }));
}

struct Driver {
    world: Rc<World>,
    sim: Sim<'static>,
    faults: std::vec::IntoIter<Fault>,
    /// What is broken, and when it is to be repaired.
    mending: Vec<(u64, Kind)>,
}

impl Driver {
    fn new(world: Rc<World>) -> Driver {
        let mut sim = turmoil::Builder::new()
            .rng_seed(world.seed)
            .epoch(std::time::UNIX_EPOCH)
            .tick_duration(TICK)
            .simulation_duration(Duration::from_secs(3_600))
            .tcp_capacity(256)
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(world.plan.latency_ms))
            .repair_rate(0.2)
            .enable_random_order()
            .build();
        for server in 0..world.plan.servers {
            let world = world.clone();
            sim.host(server_name(server), move || serve(world.clone(), server));
        }
        for number in 0..world.plan.clients.len() {
            let client = Client::new(number, world.seed, world.clone());
            world.clients.borrow_mut().push(client.clone());
            sim.host(client_name(number), move || client.clone().live());
        }
        let faults = world.plan.faults.clone().into_iter();
        Driver { world, sim, faults, mending: Vec::new() }
    }

    fn now_ms(&self) -> u64 {
        self.sim.elapsed().as_millis() as u64
    }

    fn step(&mut self) -> Result<(), String> {
        interpose::set_elapsed(self.sim.elapsed());
        self.sim.step().map_err(|error| format!("a host failed: {error}"))?;
        match &self.world.record.borrow().violation {
            Some(wrong) => Err(wrong.clone()),
            None => Ok(()),
        }
    }

    fn run(&mut self) -> Result<(), String> {
        let mut next = self.faults.next();
        while self.now_ms() < self.world.plan.mended_at_ms {
            while let Some(fault) = next.take_if(|fault| fault.at_ms <= self.now_ms()) {
                self.begin(&fault);
                next = self.faults.next();
            }
            self.mend_what_is_due();
            self.crash_what_has_to();
            self.step()?;
        }
        self.mend_everything();
        self.wait_for(SETTLE_MS, judge::what_is_missing)?;
        self.note(format_args!("settled"));
        self.wait_for(REMINDED_MS, judge::what_is_deferred)?;
        self.wait_for(SETTLE_MS, judge::what_is_missing)?;
        judge::judge_history(&self.world)?;
        self.ask_the_servers()
    }

    /// Goes on until nothing is missing any more.
    fn wait_for(&mut self, ms: u64, missing: fn(&World) -> Option<String>) -> Result<(), String> {
        let until = self.now_ms() + ms;
        while let Some(missing) = missing(&self.world) {
            self.start_all();
            if self.now_ms() >= until {
                return Err(format!("not settled within {ms} ms: {missing}"));
            }
            self.step()?;
        }
        Ok(())
    }

    fn note(&self, what: std::fmt::Arguments<'_>) {
        self.world.record.borrow_mut().note(self.now_ms(), "world", what);
    }

    fn begin(&mut self, fault: &Fault) {
        self.note(format_args!("begins {:?} for {} ms", fault.kind, fault.for_ms));
        let store_faults = self.world.store_faults.clone();
        match fault.kind {
            Kind::Crash { server } => self.sim.crash(server_name(server)),
            Kind::CrashAtCall { server, calls, after } => store_faults.crash_in(server, Some((calls, after))),
            Kind::Stop { server } => self.world.stops.borrow()[server].cancel(),
            Kind::Partition { client, server } => {
                self.sim.partition(client_name(client), server_name(server))
            }
            Kind::OneWay { client, server, to_server: true } => {
                self.sim.partition_oneway(client_name(client), server_name(server));
            }
            Kind::OneWay { client, server, to_server: false } => {
                self.sim.partition_oneway(server_name(server), client_name(client));
            }
            Kind::Hold { client, server } => self.sim.hold(client_name(client), server_name(server)),
            Kind::Slow { latency_ms } => self.sim.set_max_message_latency(Duration::from_millis(latency_ms)),
            Kind::Loss { per_mille } => self.sim.set_fail_rate(f64::from(per_mille) / 1_000.0),
            Kind::ClockStep { server, by_ms } => self.world.clocks[server].set_off_by_ms(by_ms),
            Kind::StoreStall => store_faults.stall(true),
            Kind::StoreSlow { call_ms } => store_faults.slow(call_ms),
            Kind::BadCommits { full, lost, stored } => store_faults.bad_commits([full, lost, stored]),
            Kind::Silence => self.world.store.lose_announcements(true),
        }
        self.mending.push((fault.at_ms + fault.for_ms, fault.kind));
    }

    fn mend_what_is_due(&mut self) {
        let now_ms = self.now_ms();
        let (due, later) = self.mending.drain(..).partition::<Vec<_>, _>(|(at_ms, _)| *at_ms <= now_ms);
        self.mending = later;
        due.into_iter().for_each(|(_, kind)| self.repair(kind));
    }

    fn repair(&mut self, kind: Kind) {
        self.note(format_args!("mends {kind:?}"));
        let store_faults = self.world.store_faults.clone();
        match kind {
            Kind::Crash { server } | Kind::CrashAtCall { server, .. } | Kind::Stop { server } => {
                store_faults.crash_in(server, None);
                self.start(server);
            }
            Kind::Partition { client, server } | Kind::OneWay { client, server, .. } => {
                self.sim.repair(client_name(client), server_name(server));
            }
            Kind::Hold { client, server } => self.sim.release(client_name(client), server_name(server)),
            Kind::Slow { .. } => {
                self.sim.set_max_message_latency(Duration::from_millis(self.world.plan.latency_ms));
            }
            Kind::Loss { .. } => self.sim.set_fail_rate(0.0),
            Kind::ClockStep { server, .. } => self.world.clocks[server].set_off_by_ms(0),
            Kind::StoreStall => store_faults.stall(false),
            Kind::StoreSlow { .. } => store_faults.slow(0),
            Kind::BadCommits { .. } => store_faults.bad_commits([0; 3]),
            Kind::Silence => self.world.store.lose_announcements(false),
        }
    }

    /// Starts a server that is down.
    fn start(&mut self, server: usize) {
        if !self.sim.is_host_running(server_name(server)) {
            self.note(format_args!("starts server {server}"));
            self.sim.bounce(server_name(server));
        }
    }

    /// Starts all servers that are down. One that was told to stop may still be stopping when everything is repaired.
    fn start_all(&mut self) {
        (0..self.world.plan.servers).for_each(|server| self.start(server));
    }

    fn crash_what_has_to(&mut self) {
        for server in self.world.store_faults.to_crash() {
            self.note(format_args!("crashes server {server} at a call of the store"));
            self.sim.crash(server_name(server));
        }
    }

    fn mend_everything(&mut self) {
        self.crash_what_has_to();
        let all = std::mem::take(&mut self.mending);
        all.into_iter().for_each(|(_, kind)| self.repair(kind));
        self.world.store_faults.clear();
        self.world.store.lose_announcements(self.world.plan.silent_to_the_end);
        for server in 0..self.world.plan.servers {
            self.world.clocks[server].set_off_by_ms(0);
            for client in 0..self.world.plan.clients.len() {
                self.sim.release(client_name(client), server_name(server));
                self.sim.repair(client_name(client), server_name(server));
            }
        }
        self.start_all();
        self.world.phase.set(Phase::Settling);
        self.note(format_args!("everything is repaired"));
    }

    /// Compares what the servers show with what the clients have.
    fn ask_the_servers(&mut self) -> Result<(), String> {
        let done = Rc::new(Cell::new(false));
        let (asked, world) = (done.clone(), self.world.clone());
        let until = self.now_ms() + JUDGES_MS;
        self.sim.client("judge", async move {
            let leases_end_ms = world.plan.mended_at_ms + LEASES_MS;
            let left_ms = leases_end_ms.saturating_sub(ambient::elapsed_ms());
            tokio::time::sleep(Duration::from_millis(left_ms)).await;
            if let Err(wrong) = judge::ask(&world).await {
                let at_ms = ambient::elapsed_ms();
                world.record.borrow_mut().wrong(at_ms, "judge", wrong);
            }
            asked.set(true);
            Ok(())
        });
        while !done.get() {
            if self.now_ms() >= until {
                return Err("the servers do not answer the judge".to_owned());
            }
            self.step()?;
        }
        match &self.world.record.borrow().violation {
            Some(wrong) => Err(wrong.clone()),
            None => Ok(()),
        }
    }
}

/// A server's process, from its start to its stop.
async fn serve(world: Rc<World>, server: usize) -> turmoil::Result {
    let start = world.starts.replace(world.starts.get() + 1);
    let stop = CancellationToken::new();
    world.stops.borrow_mut()[server] = stop.clone();
    let service = loop {
        let store =
            SimStore::new(world.store.clone(), shared(&world, server), world.store_faults.clone(), server);
        let randomness = SimRandomness::new(world.seed ^ (start << 32));
        let clock = world.clocks[server].clone();
        match Service::assemble(config(&world.plan), Arc::new(store), clock, Arc::new(randomness)).await {
            Ok(service) => break service,
            Err(error) => {
                let at_ms = ambient::elapsed_ms();
                world.record.borrow_mut().note(at_ms, &server_name(server), format_args!("{error}"));
                tokio::time::sleep(START_AGAIN).await;
            }
        }
    };
    service.run(listen().await?, stop).await?;
    Ok(())
}

/// What a server needs to know of others; it hears from them from now on.
fn shared(world: &World, server: usize) -> Option<Arc<dyn SharedStore>> {
    let inner = world.store.join().shared().filter(|_| world.plan.shared)?;
    Some(Arc::new(SimShared { inner, store_faults: world.store_faults.clone(), server }))
}

fn config(plan: &Plan) -> Config {
    let flags = Flags::new(Preset::SERVE).with("database.url", "memory:");
    let mut config = Config::load(&flags, std::iter::empty(), None).unwrap_or_else(|error| panic!("{error}"));
    config.server.max_stream_age = Duration::from_millis(plan.stream_age_ms);
    config.server.drain = DRAIN;
    config.feed.recent_changes = plan.recent_changes;
    config.heartbeat.interval = HEARTBEAT_INTERVAL;
    config.feed.chunk_records = plan.chunk_records;
    config
}
