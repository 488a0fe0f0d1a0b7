//! Postgres killed under load, with two servers on it that are never restarted.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{DRAIN_TIMEOUT, OPERATIONS_PER_CALL, WORKSPACE, count_and_set, create_record, judge, seed};
use crate::harness::observer::{Addresses, Observer, Plan};
use crate::harness::postgres::Database;
use crate::process::{Process, channel, create_workspace, free_port};

const SERVERS: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_postgres_is_killed_again_and_again() {
    kill_postgres(8).await;
}

/// `make crash-postgres`: 100 kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make crash-postgres"]
async fn nothing_acknowledged_is_lost_in_a_hundred_kills_of_postgres() {
    kill_postgres(100).await;
}

async fn kill_postgres(kills: usize) {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let database = Database::alone().await;
    let servers: Vec<Process> =
        (0..SERVERS).map(|_| Process::serve_on(&database.url(), free_port())).collect();
    let addresses: Vec<String> = servers.iter().map(|server| server.address.clone()).collect();
    let epoch = create_workspace(channel(&addresses[0]), WORKSPACE).await;
    create_record(&addresses[0]).await;
    let observer = Observer::start(Plan {
        workspace_id: WORKSPACE.to_owned(),
        epoch,
        addresses: Addresses::new(addresses.clone()),
        seed,
        writers: 4,
        feeds: 4,
        operations_per_call: OPERATIONS_PER_CALL,
        moves_percent: 20,
        load: count_and_set,
        pause: Duration::ZERO,
        drain_within: DRAIN_TIMEOUT,
    });
    let started = Instant::now();
    let mut down = Duration::ZERO;
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(random.random_range(100..700))).await;
        let killed = Instant::now();
        tokio::task::block_in_place(|| {
            database.cluster().kill();
            database.cluster().restart();
        });
        down += killed.elapsed();
    }
    let operations = judge(observer, &addresses[0]).await;
    println!(
        "{kills} kills of Postgres in {:.1?}, {down:.1?} of it spent on its recovery: {operations} operations",
        started.elapsed()
    );
    database.has_no_idle_transaction().await;
}
