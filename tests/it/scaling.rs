//! What a workspace and a database carry, for docs/scaling.md: `make bench-scaling`. Server, clients and database share
//! the machine, so the figures are for comparing with each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::ops::card;
use crate::harness::postgres::Database;
use crate::harness::{Feed, Kind, TestServer, Workspace, within};

/// How long each line is measured.
const MEASURED: Duration = Duration::from_secs(4);
/// Cards made by one operation.
const CARDS_PER_OPERATION: usize = 100;
/// Single writes whose way to another server's feed is timed.
const TIMED_WRITES: usize = 300;

/// One line of the table.
struct Load {
    name: &'static str,
    servers: usize,
    workspaces: usize,
    in_flight: usize,
    operations_per_call: usize,
}

const LOADS: [Load; 9] = [
    load("one at a time", 1, 1, 1, 1),
    load("16 in flight", 1, 1, 16, 1),
    load("64 in flight", 1, 1, 64, 1),
    load("256 in flight", 1, 1, 256, 1),
    load("100 operations in a call", 1, 1, 4, 100),
    load("64 in flight, 16 workspaces", 1, 16, 64, 1),
    load("64 in flight on 3 servers", 3, 1, 64, 1),
    load("64 in flight, 16 workspaces on 3 servers", 3, 16, 64, 1),
    load("100 in a call on 3 servers", 3, 1, 6, 100),
];

const fn load(
    name: &'static str,
    servers: usize,
    workspaces: usize,
    in_flight: usize,
    operations_per_call: usize,
) -> Load {
    Load { name, servers, workspaces, in_flight, operations_per_call }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make bench-scaling"]
async fn what_a_workspace_and_a_database_carry() {
    println!("{:<8} {:<42} {:>12} {:>10} {:>10}", "database", "load", "operations/s", "p50 ms", "p99 ms");
    for load in LOADS.iter().filter(|load| load.servers == 1) {
        let server = TestServer::start().await;
        measure("sqlite", load, &[&server]).await;
    }
    for load in &LOADS {
        let database = Database::create().await;
        let url = database.url();
        let mut servers = Vec::new();
        for _ in 0..load.servers {
            servers.push(TestServer::with(&[("database.url", &url)]).await);
        }
        measure("postgres", load, &servers.iter().collect::<Vec<_>>()).await;
    }
    the_way_to_another_server().await;
}

async fn measure(database: &str, load: &Load, servers: &[&TestServer]) {
    for n in 0..load.workspaces {
        let ws = servers[0].workspace(&format!("w{n}")).await;
        let cards: Vec<_> = (0..load.in_flight).map(|c| card(&format!("c{c}")).create()).collect();
        for some in cards.chunks(CARDS_PER_OPERATION) {
            ws.write(some.to_vec()).await;
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = Vec::new();
    for n in 0..load.in_flight {
        let ws = servers[n % servers.len()].existing(&format!("w{}", n % load.workspaces)).await;
        callers.push(tokio::spawn(call(ws, n, load.operations_per_call, stop.clone())));
    }
    let started = Instant::now();
    tokio::time::sleep(MEASURED).await;
    stop.store(true, Ordering::Relaxed);
    let mut times = Vec::new();
    for caller in callers {
        times.extend(within("a caller", caller).await.expect("no panic"));
    }
    let rate = (times.len() * load.operations_per_call) as f64 / started.elapsed().as_secs_f64();
    let (p50, p99) = percentiles(&mut times);
    println!("{database:<8} {:<42} {rate:>12.0} {p50:>10.2} {p99:>10.2}", load.name);
}

/// Calls until told to stop, each on a card of its own; how long each call took.
async fn call(ws: Workspace, n: usize, operations: usize, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let mut author = ws.replica(n as u128 + 1, "author").having_seen(ws.head_seq().await);
    let on = card(&format!("c{n}"));
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let value = "v".repeat(256);
        let operations = (0..operations).map(|_| author.op(vec![on.set("title", value.as_str())])).collect();
        let started = Instant::now();
        ws.submit_all(operations).await;
        times.push(started.elapsed());
    }
    times
}

/// From the answer of one server to the feed of another.
async fn the_way_to_another_server() {
    let database = Database::create().await;
    let url = database.url();
    let (first, second) = (
        TestServer::with(&[("database.url", &url)]).await,
        TestServer::with(&[("database.url", &url)]).await,
    );
    let here = first.workspace("w").await;
    let mut feed = Feed::open(&second.existing("w").await, Kind::Watch, None).await;
    let mut times = Vec::new();
    for n in 0..TIMED_WRITES {
        let seq = here.write(vec![card(&format!("c{n}")).create()]).await;
        let answered = Instant::now();
        feed.until(seq).await;
        times.push(answered.elapsed());
        tokio::time::sleep(Duration::from_millis(n as u64 % 23)).await;
    }
    let (p50, p99) = percentiles(&mut times);
    println!("from the answer to the feed of another server: p50 {p50:.1} ms, p99 {p99:.1} ms");
}

fn percentiles(times: &mut [Duration]) -> (f64, f64) {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    (at(0.5), at(0.99))
}
