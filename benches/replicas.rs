//! What an operation costs when 10 and when 100,000 replicas were ever seen in its workspace.
//!
//! Both workspaces lie in one database on disk and are measured in alternation, so that the machine's mood hits both
//! alike. `cargo bench --bench replicas`; the figures that were seen stand in benches/RESULTS.md.

use std::sync::Arc;
use std::time::{Duration, Instant};

use syncline::domain::ids::Dot;
use syncline::domain::operation::{Action, CausalContext, Identity, Knowledge, Mutation, Operation, Outcome};
use syncline::domain::schema::Schema;
use syncline::domain::value::Value;
use syncline::engine::{Engine, EngineOptions, SystemClock, SystemRandomness};
use syncline::store::sqlite::{SqliteOptions, SqliteStore};
use uuid::Uuid;

const FEW: u64 = 10;
const MANY: u64 = 100_000;
const ROUNDS: usize = 3_000;
const BATCH_ROUNDS: usize = 200;
const BATCH: u64 = 100;
/// The bar: the median with many over the median with few.
const RATIO_MAX: f64 = 1.3;

fn replica(number: u64) -> Uuid {
    // Spread over the key space, as real ones are.
    Uuid::from_u64_pair(number.wrapping_mul(0x9E37_79B9_7F4A_7C15), number | 1)
}

fn operation(epoch: u64, base_seq: u64, replica: Uuid, counter: u64) -> Operation {
    let action = Action::Set { field: "f".into(), value: Value::Int(counter as i64) };
    Operation {
        identity: Identity::Dot(Dot { replica, counter }),
        knowledge: Knowledge::Context(CausalContext { epoch, base_seq, extras: Vec::new() }),
        mutations: vec![Mutation {
            collection: "c".into(),
            record: "r".into(),
            action,
            observed_seq: None,
            resolves: None,
        }],
        depends_on: Vec::new(),
        await_records: false,
        correlation_id: "".into(),
        actor: "".into(),
        client_time_ms: None,
        malformed: None,
    }
}

/// A workspace in which so many replicas wrote once.
struct Bench {
    engine: Engine,
    workspace: &'static str,
    epoch: u64,
    head: u64,
    replicas: u64,
    counters: Vec<u64>,
}

impl Bench {
    async fn prepare(engine: &Engine, workspace: &'static str, replicas: u64) -> Bench {
        engine.create_workspace(workspace, "", Schema::default()).await.expect("a workspace");
        let epoch = engine.head(workspace).await.expect("a head").epoch;
        let mut create = operation(epoch, 0, replica(1), 1);
        create.mutations[0].action = Action::Create { fields: Vec::new() };
        let (_, mut head) = engine.submit(workspace, vec![create]).await.expect("a record");
        for start in (2..=replicas).step_by(1_000) {
            let numbers = start..(start + 1_000).min(replicas + 1);
            let operations = numbers.map(|n| operation(epoch, head, replica(n), 1)).collect();
            head = engine.submit(workspace, operations).await.expect("settled").1;
        }
        let counters = vec![1; usize::try_from(replicas).expect("fits")];
        Bench { engine: engine.clone(), workspace, epoch, head, replicas, counters }
    }

    /// The time of one call with so many operations of so many writers, chosen from all replicas ever seen.
    async fn call(&mut self, round: usize, operations: u64, writers: u64) -> Duration {
        let batch: Vec<Operation> = (0..operations)
            .map(|i| {
                let number = ((round as u64 * writers + i % writers) * 7_919) % self.replicas;
                let counter = &mut self.counters[number as usize];
                *counter += 1;
                operation(self.epoch, self.head, replica(number + 1), *counter)
            })
            .collect();
        let started = Instant::now();
        let (receipts, head) = self.engine.submit(self.workspace, batch).await.expect("settled");
        let took = started.elapsed();
        assert!(receipts.iter().all(|r| matches!(r.outcome, Outcome::Settled { .. })), "all settle");
        self.head = head;
        took
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::main]
async fn main() {
    let directory = tempfile::tempdir().expect("a directory");
    let store =
        SqliteStore::open(SqliteOptions::new(directory.path().join("bench.db"))).await.expect("a store");
    let engine = Engine::start(
        Arc::new(store),
        EngineOptions::default(),
        Arc::new(SystemClock),
        Arc::new(SystemRandomness),
    )
    .await
    .expect("an engine");
    println!("preparing {FEW} and {MANY} replicas");
    let mut few = Bench::prepare(&engine, "few", FEW).await;
    let mut many = Bench::prepare(&engine, "many", MANY).await;
    let mut worst: f64 = 0.0;
    let scenarios = [
        ("one at a time, any writer", 1, 1, ROUNDS, true),
        ("100 in a call, of 10 writers", BATCH, FEW, BATCH_ROUNDS, true),
        // Not about replicas ever seen: a call of 100 writers has 100 rows of replicas to write, and few has 10.
        ("100 in a call, of 100 writers", BATCH, BATCH, BATCH_ROUNDS, false),
    ];
    for (name, operations, writers, rounds, barred) in scenarios {
        let (mut with_few, mut with_many) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            with_few.push(few.call(round, operations, writers).await);
            with_many.push(many.call(round, operations, writers).await);
        }
        let (few, many) = (median(with_few), median(with_many));
        let ratio = many.as_secs_f64() / few.as_secs_f64();
        if barred {
            worst = worst.max(ratio);
        }
        println!("{name}: p50 {few:?} with {FEW} replicas, {many:?} with {MANY}; ratio {ratio:.3}");
    }
    engine.stop().await;
    println!("worst ratio {worst:.3}, bar {RATIO_MAX}");
    if worst > RATIO_MAX {
        std::process::exit(1);
    }
}
