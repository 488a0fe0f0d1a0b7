//! A client as an honest one is written: a replica with its own counters, a queue of immutable operations, the
//! confirmed state folded from its feed, and calls that are made again until they succeed.

pub(super) mod author;
pub(super) mod chooser;
mod feed;
mod heartbeats;
pub(super) mod picture;
mod prober;
mod reader;
mod sender;
mod snapshot;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::record::{Dot, Record};
use super::world::{Phase, World};
use super::{ambient, net};
use chooser::Chosen;
use syncline_client::Fold;
use syncline_core::hash::{CHAIN_START, Hash};
use syncline_core::history::{FeedRecorder, Recorder};
use syncline_core::ids::ReplicaId;
use syncline_protocol::pb;

/// How long a client waits for the answer to a call.
const CALL_MAX: Duration = Duration::from_millis(1_200);
/// Shortest and longest wait after a failure.
const BACK_OFF_MS: std::ops::Range<u64> = 20..250;
/// How often a client looks whether there is something to do.
const IDLE: Duration = Duration::from_millis(15);

/// The workspace of every simulation.
pub(super) const WORKSPACE: &str = "board";

/// One client.
pub(super) struct Client {
    pub number: usize,
    pub name: String,
    pub replica_id: String,
    pub world: Rc<World>,
    pub state: RefCell<State>,
    /// What it has of the collections that it chose, through a feed of their own.
    pub chosen: RefCell<Chosen>,
    dice: RefCell<StdRng>,
    /// The id of its connection, as the server gave it.
    pub connection: RefCell<String>,
    /// Whether it has begun, so that its fold is the state at its position.
    pub begun: Cell<bool>,
    /// What it did and was told, for the history checker.
    pub story: RefCell<Recorder>,
    pub feed_story: RefCell<FeedRecorder>,
    /// Whether it has not asked for a feed since it began or took its snapshot.
    fresh: Cell<bool>,
}

/// What a client keeps.
#[derive(Default)]
pub(super) struct State {
    pub counter: u64,
    /// Operations without a final outcome, in the order of their counters.
    pub queue: VecDeque<Queued>,
    /// Some of the operations that have one.
    pub done: Vec<pb::Operation>,
    pub epoch: u64,
    pub position: u64,
    pub chain: Option<Hash>,
    pub fold: Fold,
    /// The snapshot may have seen changes up to here; only from here on is the state exactly that of the position.
    pub whole_from: u64,
    /// What it knew before it came in the feed: the counter of each replica.
    pub extras: BTreeMap<usize, u64>,
    /// The highest position that a receipt gave.
    pub acknowledged: u64,
}

/// An operation that waits for its outcome; without content, a counter that was lost.
#[derive(Debug, Clone)]
pub(super) struct Queued {
    pub counter: u64,
    pub operation: Option<pb::Operation>,
    pub base_seq: u64,
    pub extras: BTreeMap<usize, u64>,
}

/// A connection to one of the servers.
struct Link {
    server: usize,
    channel: Channel,
}

impl Client {
    pub(super) fn new(number: usize, seed: u64, world: Rc<World>) -> Rc<Client> {
        Rc::new(Client {
            number,
            name: net::client_name(number),
            replica_id: replica_id(number),
            world,
            chosen: RefCell::default(),
            state: RefCell::new(State { chain: Some(CHAIN_START), ..State::default() }),
            dice: RefCell::new(StdRng::seed_from_u64(seed ^ (0xc11e << 8) ^ number as u64)),
            connection: RefCell::default(),
            begun: Cell::new(false),
            story: RefCell::default(),
            feed_story: RefCell::new(FeedRecorder::new(net::client_name(number), false)),
            fresh: Cell::new(true),
        })
    }

    /// Lives until the end of the simulation.
    pub(super) async fn live(self: Rc<Client>) -> turmoil::Result {
        if self.number == 0 {
            self.make_workspace().await;
        }
        while self.world.epoch.get().is_none() {
            tokio::time::sleep(IDLE).await;
        }
        self.state.borrow_mut().epoch = self.world.epoch.get().unwrap_or(0);
        if let Some(late_ms) = self.habits().late_ms {
            tokio::time::sleep(Duration::from_millis(late_ms)).await;
            self.take_snapshot().await;
        }
        self.begun.set(true);
        let tasks = [
            tokio::task::spawn_local(self.clone().write()),
            tokio::task::spawn_local(self.clone().send()),
            tokio::task::spawn_local(self.clone().follow()),
            tokio::task::spawn_local(self.clone().send_heartbeats()),
            tokio::task::spawn_local(self.clone().read()),
            tokio::task::spawn_local(self.clone().probe()),
            tokio::task::spawn_local(self.clone().choose()),
        ];
        for task in tasks {
            task.await?;
        }
        Ok(())
    }

    async fn make_workspace(&self) {
        let mut link = self.link();
        loop {
            let mut client = pb::workspace_service_client::WorkspaceServiceClient::new(link.channel.clone());
            let request = pb::CreateWorkspaceRequest {
                workspace_id: WORKSPACE.to_owned(),
                display_name: String::new(),
                schema: Some(author::schema()),
            };
            match within(client.create_workspace(request)).await {
                Ok(created) => {
                    let epoch = created.into_inner().workspace.map_or(0, |w| w.epoch);
                    self.note(format_args!("made the workspace, epoch {epoch}"));
                    return self.world.epoch.set(Some(epoch));
                }
                Err(status) => self.trouble("CreateWorkspace", &mut link, &status).await,
            }
        }
    }

    pub(super) fn habits(&self) -> &super::plan::ClientProfile {
        &self.world.plan.clients[self.number]
    }

    fn working(&self) -> bool {
        self.world.phase.get() == Phase::Working
    }

    fn link(&self) -> Link {
        let server = self.roll(|dice| dice.random_range(0..self.world.plan.servers));
        Link { server, channel: net::channel(server) }
    }

    fn roll<R>(&self, roll: impl FnOnce(&mut StdRng) -> R) -> R {
        roll(&mut self.dice.borrow_mut())
    }

    fn chance(&self, probability: f64) -> bool {
        self.roll(|dice| dice.random_bool(probability))
    }

    async fn pause(&self, ms: std::ops::Range<u64>) {
        let ms = self.roll(|dice| dice.random_range(ms));
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// After a failed call: a note, a wait, and mostly another server.
    async fn trouble(&self, what: &str, link: &mut Link, status: &Status) {
        self.note(format_args!("{what} on server {} failed: {:?}", link.server, status.code()));
        // A server that answers with one of these has a fault, or takes the client for somebody it is not. Errors of
        // the client's own transport carry no details.
        let never =
            [Code::Internal, Code::InvalidArgument, Code::NotFound, Code::Unimplemented, Code::DataLoss];
        if never.contains(&status.code()) && !status.details().is_empty() {
            self.wrong(format!("{what}: {:?}: {}", status.code(), status.message()));
        }
        self.pause(BACK_OFF_MS).await;
        if self.chance(0.7) {
            *link = self.link();
        }
    }

    fn record<R>(&self, change: impl FnOnce(&mut Record) -> R) -> R {
        change(&mut self.world.record.borrow_mut())
    }

    fn note(&self, what: std::fmt::Arguments<'_>) {
        self.record(|record| record.note(ambient::elapsed_ms(), &self.name, what));
    }

    fn wrong(&self, what: String) {
        self.record(|record| record.wrong(ambient::elapsed_ms(), &self.name, what));
    }

    /// Records what is wrong, if anything is.
    fn judge(&self, what: Result<(), String>) {
        if let Err(what) = what {
            self.wrong(what);
        }
    }

    fn replica(&self) -> ReplicaId {
        replica(self.number)
    }

    fn dot(&self, counter: u64) -> Dot {
        (self.number, counter)
    }
}

/// The id of a client's replica.
pub(super) fn replica_id(number: usize) -> String {
    replica(number).to_string()
}

fn replica(number: usize) -> ReplicaId {
    ReplicaId::from_u128(0x0190_abcd_ef00_7000_8000_0000_0000_0000 + number as u128 + 1)
}

/// The client with this replica.
pub(super) fn replica_number(replica_id: &str) -> Option<usize> {
    (0..super::CLIENTS_MAX).find(|number| self::replica_id(*number) == replica_id)
}

/// The answer, unless it takes too long.
async fn within<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    match tokio::time::timeout(CALL_MAX, call).await {
        Ok(answer) => answer,
        Err(_) => Err(Status::deadline_exceeded("the client waited long enough")),
    }
}
