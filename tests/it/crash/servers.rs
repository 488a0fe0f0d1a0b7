//! Three servers on one Postgres, feeds spread over them, writers on all, and every now and then one is killed.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{WORKSPACE, count_and_set, create_record, judge, seed};
use crate::harness::observer::{Addresses, Observer, Plan};
use crate::harness::postgres::Database;
use crate::process::{Process, channel, create_workspace, free_port};

const SERVERS: usize = 3;
const WRITERS: usize = 4;
/// "Within 10 s of a fault healing all queues move, and feeds are at the head."
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long, and how hard.
struct Run {
    kills: usize,
    feeds: usize,
    /// Between two kills, in milliseconds, at least and at most.
    every_ms: (u64, u64),
    /// How long a killed server stays away, at most.
    away_ms_max: u64,
    pause: Duration,
}

/// A short run for every day.
#[tokio::test(flavor = "multi_thread")]
async fn every_feed_resumes_exactly_while_servers_are_killed() {
    let pause = Duration::from_millis(20);
    kill_servers(Run { kills: 12, feeds: 60, every_ms: (100, 600), away_ms_max: 500, pause }).await;
}

/// `make crash-servers`: 3,000 feeds, a minute, a kill every few seconds.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make crash-servers"]
async fn three_thousand_feeds_resume_exactly_while_servers_are_killed_for_a_minute() {
    let pause = Duration::from_millis(500);
    kill_servers(Run { kills: 20, feeds: 3_000, every_ms: (2_000, 4_000), away_ms_max: 1_500, pause }).await;
}

/// `make crash-servers`: 100 kills under full load.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make crash-servers"]
async fn nothing_is_lost_in_a_hundred_kills_of_servers() {
    let pause = Duration::ZERO;
    kill_servers(Run { kills: 100, feeds: 30, every_ms: (50, 500), away_ms_max: 500, pause }).await;
}

async fn kill_servers(run: Run) {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let database = Database::create().await;
    let ports: Vec<u16> = (0..SERVERS).map(|_| free_port()).collect();
    let mut servers: Vec<Process> =
        ports.iter().map(|port| Process::serve_on(&database.url(), *port)).collect();
    let addresses: Vec<String> = servers.iter().map(|server| server.address.clone()).collect();
    let epoch = create_workspace(channel(&addresses[0]), WORKSPACE).await;
    create_record(&addresses[0]).await;
    let there = Addresses::new(addresses.clone());
    let observer = Observer::start(Plan {
        workspace_id: WORKSPACE.to_owned(),
        epoch,
        addresses: there.clone(),
        seed,
        writers: WRITERS,
        feeds: run.feeds,
        operations_per_call: 2,
        moves_percent: 20,
        load: count_and_set,
        pause: run.pause,
        drain_within: DRAIN_TIMEOUT,
    });
    let started = Instant::now();
    for _ in 0..run.kills {
        tokio::time::sleep(Duration::from_millis(random.random_range(run.every_ms.0..run.every_ms.1))).await;
        let down = random.random_range(0..SERVERS);
        there.set(addresses.iter().enumerate().filter(|(at, _)| *at != down).map(|(_, a)| a.clone()));
        servers[down].kill();
        tokio::time::sleep(Duration::from_millis(random.random_range(0..run.away_ms_max))).await;
        servers[down] = Process::serve_on(&database.url(), ports[down]);
        there.set(addresses.clone());
    }
    let under_fire = started.elapsed();
    let operations = judge(observer, &addresses[0]).await;
    println!(
        "{} kills of {SERVERS} servers in {under_fire:.1?}: {operations} operations, {} feeds, all drained {:.1?} later",
        run.kills,
        run.feeds,
        started.elapsed() - under_fire
    );
    database.has_no_idle_transaction().await;
}
