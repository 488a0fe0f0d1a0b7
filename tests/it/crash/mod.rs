//! kill -9 under load: nothing acknowledged is lost or doubled, positions have no gap, feeds resume exactly.

mod database;
mod faults;
mod rewind;
mod servers;

use std::path::Path;
use std::time::Duration;
use syncline_core::ids::ReplicaId;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use syncline_protocol::pb;
use syncline_protocol::pb::operation_service_client::OperationServiceClient;
use syncline_protocol::pb::record_service_client::RecordServiceClient;

use super::harness::observer::{Addresses, Observer, Plan};
use super::process::{Process, channel, create_workspace, free_port};

const WORKSPACE: &str = "crash";
const WRITERS: usize = 4;
const FEEDS: usize = 2;
const OPERATIONS_PER_CALL: u64 = 8;
/// How long everything may take after the last fault, on a busy machine.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

/// 50 kills in the ordinary run.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed_again_and_again() {
    kill_again_and_again(50).await;
}

/// `make crash`: 1,000 kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make crash"]
async fn nothing_acknowledged_is_lost_in_a_thousand_kills() {
    kill_again_and_again(1_000).await;
}

async fn kill_again_and_again(kills: usize) {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().expect("a directory");
    let database = directory.path().join("crash.db");
    let port = free_port();
    let mut server = Process::serve(&database, port);
    let address = server.address.clone();
    let epoch = create_workspace(channel(&address), WORKSPACE).await;
    create_record(&address).await;

    let observer = Observer::start(Plan {
        workspace_id: WORKSPACE.to_owned(),
        epoch,
        addresses: Addresses::new([address.clone()]),
        seed,
        writers: WRITERS,
        feeds: FEEDS,
        operations_per_call: OPERATIONS_PER_CALL,
        moves_percent: 0,
        load: count_and_set,
        pause: Duration::ZERO,
        drain_within: DRAIN_TIMEOUT,
    });
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(random.random_range(10..120))).await;
        server.kill();
        server = Process::serve(&database, port);
    }
    judge(observer, &address).await;
    drop(server);
    the_database_is_whole(&database).await;
}

/// What a run is made of; printed, so that it can be played again.
fn seed() -> u64 {
    let seed: u64 = std::env::var("SYNCLINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(7);
    println!("replay with SYNCLINE_SEED={seed}");
    seed
}

/// Ends the load and asks the history checker; also, nothing was counted twice.
async fn judge(observer: Observer, address: &str) -> u64 {
    let finished = observer.finish().await;
    println!("{}", finished.report);
    assert!(finished.report.is_content(), "{}", finished.report);
    assert_eq!(finished.head_seq, 1 + finished.operations, "every operation and the record have a position");
    every_increment_counts_once(address, finished.operations).await;
    finished.operations
}

async fn create_record(address: &str) {
    let create = pb::RecordMutation {
        collection_id: "c".to_owned(),
        record_id: "r".to_owned(),
        action: Some(pb::record_mutation::Action::CreateRecord(pb::CreateRecord::default())),
        ..Default::default()
    }
    .into();
    let operation = pb::Operation {
        identity: Some(pb::operation::Identity::RequestId("create".to_owned())),
        knowledge: Some(pb::operation::Knowledge::Latest(pb::Latest {})),
        mutations: vec![create],
        ..Default::default()
    };
    let request = pb::SubmitRequest {
        workspace_id: WORKSPACE.to_owned(),
        operations: vec![operation],
        ..Default::default()
    };
    OperationServiceClient::new(channel(address)).submit(request).await.expect("a record");
}

/// One increment of a counter that all share, and a field of the writer's own.
fn count_and_set(replica: ReplicaId, counter: u64) -> Vec<pb::Mutation> {
    let on = |action| {
        pb::RecordMutation {
            collection_id: "c".to_owned(),
            record_id: "r".to_owned(),
            action: Some(action),
            ..Default::default()
        }
        .into()
    };
    let increment = pb::IncrementCounter { field_id: "count".to_owned(), by: 1 };
    let set = pb::SetField {
        field_id: format!("of-{replica}"),
        value: Some(pb::Value { kind: Some(pb::value::Kind::IntValue(counter as i64)) }),
    };
    vec![
        on(pb::record_mutation::Action::IncrementCounter(increment)),
        on(pb::record_mutation::Action::SetField(set)),
    ]
}

async fn every_increment_counts_once(address: &str, operations: u64) {
    let request = pb::GetRecordRequest {
        workspace_id: WORKSPACE.to_owned(),
        record_id: "r".to_owned(),
        at_least: None,
    };
    let answer = RecordServiceClient::new(channel(address)).get_record(request).await.expect("the record");
    let count = answer.into_inner().record.expect("a record").fields.remove("count").and_then(|f| f.state);
    assert_eq!(count, Some(pb::field_state::State::Counter(operations as i64)));
}

/// The file opens again and passes the program's own check.
async fn the_database_is_whole(database: &Path) {
    let url = format!("sqlite:{}", database.display());
    let listen = format!("127.0.0.1:{}", free_port());
    let status = std::process::Command::new(super::process::program())
        .args(["doctor", "--listen", &listen, "--metrics-listen", "", "--database-url", &url])
        .args(["--max-connections", "256"])
        .status()
        .expect("doctor runs");
    assert!(status.success(), "doctor finds nothing to fix");
}
