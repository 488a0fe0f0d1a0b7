//! kill -9 under load: nothing acknowledged is lost or doubled, positions have no gap, feeds resume exactly.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use syncline::grpc::pb;
use syncline::grpc::pb::change_service_client::ChangeServiceClient;
use syncline::grpc::pb::operation_service_client::OperationServiceClient;
use syncline::grpc::pb::record_service_client::RecordServiceClient;
use tokio_stream::StreamExt as _;
use uuid::Uuid;

use super::process::{Process, channel, create_workspace, free_port};

const WORKSPACE: &str = "crash";
const WRITERS: usize = 4;
const OPERATIONS_PER_CALL: u64 = 8;

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

/// What a writer was told: counter to position.
type Acknowledged = Arc<Mutex<BTreeMap<(Uuid, u64), u64>>>;
/// What a feed delivered: position to dot, in order of arrival.
type Delivered = Arc<Mutex<Vec<(u64, (Uuid, u64))>>>;

async fn kill_again_and_again(kills: usize) {
    let seed: u64 = std::env::var("SYNCLINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(7);
    println!("replay with SYNCLINE_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().expect("a directory");
    let database = directory.path().join("crash.db");
    let port = free_port();
    let mut server = Process::serve(&database, port);
    let address = server.address.clone();
    let epoch = create_workspace(channel(&address), WORKSPACE).await;
    create_record(&address).await;

    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Acknowledged::default();
    let deliveries: Vec<Delivered> = (0..2).map(|_| Delivered::default()).collect();
    let writers: Vec<_> = (0..WRITERS)
        .map(|index| {
            let replica = Uuid::from_u64_pair(seed.max(1), index as u64 + 1);
            tokio::spawn(write(address.clone(), epoch, replica, acknowledged.clone(), stop.clone()))
        })
        .collect();
    let feeds: Vec<_> =
        deliveries.iter().map(|delivered| tokio::spawn(follow(address.clone(), delivered.clone()))).collect();

    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(random.random_range(10..120))).await;
        server.kill();
        server = Process::serve(&database, port);
    }
    stop.store(true, Ordering::SeqCst);
    let mut submitted = 0;
    for writer in writers {
        submitted += writer.await.expect("a writer");
    }
    check(&address, &acknowledged, &deliveries, submitted).await;
    feeds.iter().for_each(tokio::task::JoinHandle::abort);
    drop(server);
    the_database_is_whole(&database).await;
}

async fn create_record(address: &str) {
    let create = pb::Mutation {
        collection_id: "c".to_owned(),
        record_id: "r".to_owned(),
        action: Some(pb::mutation::Action::Create(pb::CreateRecord::default())),
        ..Default::default()
    };
    let operation = pb::Operation {
        identity: Some(pb::operation::Identity::RequestId("create".to_owned())),
        knowledge: Some(pb::operation::Knowledge::Latest(pb::Latest {})),
        mutations: vec![create],
        ..Default::default()
    };
    let request = pb::SubmitRequest { workspace_id: WORKSPACE.to_owned(), operations: vec![operation] };
    OperationServiceClient::new(channel(address)).submit(request).await.expect("a record");
}

/// Writes until told to stop, retrying every call until it is answered; returns how many operations it made.
async fn write(
    address: String,
    epoch: u64,
    replica: Uuid,
    acknowledged: Acknowledged,
    stop: Arc<AtomicBool>,
) -> u64 {
    let mut client = OperationServiceClient::new(channel(&address));
    let (mut counter, mut base_seq) = (0, 0);
    while !stop.load(Ordering::SeqCst) {
        let counters = counter + 1..=counter + OPERATIONS_PER_CALL;
        counter += OPERATIONS_PER_CALL;
        let operations: Vec<_> = counters.map(|c| operation(replica, c, epoch, base_seq)).collect();
        loop {
            let request =
                pb::SubmitRequest { workspace_id: WORKSPACE.to_owned(), operations: operations.clone() };
            match client.submit(request).await {
                Ok(answer) => {
                    let answer = answer.into_inner();
                    for receipt in answer.receipts {
                        let (dot, seq) = settled(receipt);
                        let known = acknowledged.lock().expect("no panic").insert((replica, dot), seq);
                        assert!(known.is_none_or(|k| k == seq), "an outcome changed");
                    }
                    base_seq = base_seq.max(answer.head_seq);
                    break;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
    counter
}

fn operation(replica: Uuid, counter: u64, epoch: u64, base_seq: u64) -> pb::Operation {
    let on = |action| pb::Mutation {
        collection_id: "c".to_owned(),
        record_id: "r".to_owned(),
        action: Some(action),
        ..Default::default()
    };
    let increment = pb::IncrementCounter { field_id: "count".to_owned(), by: 1 };
    let set = pb::SetField {
        field_id: format!("of-{replica}"),
        value: Some(pb::Value { kind: Some(pb::value::Kind::IntValue(counter as i64)) }),
    };
    pb::Operation {
        identity: Some(pb::operation::Identity::Dot(pb::Dot { replica_id: replica.to_string(), counter })),
        knowledge: Some(pb::operation::Knowledge::Context(pb::CausalContext {
            epoch,
            base_seq,
            extras: Vec::new(),
        })),
        mutations: vec![on(pb::mutation::Action::Increment(increment)), on(pb::mutation::Action::Set(set))],
        ..Default::default()
    }
}

fn settled(receipt: pb::Receipt) -> (u64, u64) {
    let counter = receipt.dot.expect("a dot").counter;
    let mut outcome = receipt.outcome.expect("an outcome");
    if let pb::receipt::Outcome::Duplicate(stored) = outcome {
        outcome = stored.stored.and_then(|s| s.outcome).expect("a stored outcome");
    }
    match outcome {
        pb::receipt::Outcome::Applied(pb::Applied { seq })
        | pb::receipt::Outcome::Merged(pb::Merged { seq }) => (counter, seq),
        other => panic!("counter {counter} came to {other:?}"),
    }
}

/// Follows the feed for ever, resuming from its own cursor whenever it breaks.
async fn follow(address: String, delivered: Delivered) {
    let mut cursor: Option<pb::Cursor> = None;
    loop {
        let mut client = ChangeServiceClient::new(channel(&address)).max_decoding_message_size(16 << 20);
        let start = pb::FeedStart {
            workspace_id: WORKSPACE.to_owned(),
            cursor: cursor.clone(),
            ..Default::default()
        };
        if let Ok(answer) = client.watch(pb::WatchRequest { start: Some(start) }).await {
            let mut frames = answer.into_inner();
            while let Some(Ok(message)) = frames.next().await {
                let frame = message.frame.expect("a frame");
                if let Some(pb::frame::Content::Reset(reset)) = &frame.content {
                    panic!("a feed was reset: {reset:?}");
                }
                if let Some(pb::frame::Content::Changes(changes)) = frame.content {
                    let at = cursor.as_ref().map_or(0, |c| c.seq_inclusive);
                    assert_eq!(changes.from_seq_exclusive, at, "frames tile");
                    let mut all = delivered.lock().expect("no panic");
                    all.extend(changes.changes.into_iter().map(|c| {
                        let dot = c.dot.expect("a dot");
                        (c.seq, (Uuid::parse_str(&dot.replica_id).expect("an id"), dot.counter))
                    }));
                }
                cursor = frame.cursor;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Compares what was acknowledged, what the feeds delivered, and what the server has.
async fn check(address: &str, acknowledged: &Acknowledged, deliveries: &[Delivered], submitted: u64) {
    let log = Delivered::default();
    let whole = tokio::spawn(follow(address.to_owned(), log.clone()));
    let head = 1 + submitted;
    for delivered in deliveries.iter().chain([&log]) {
        tokio::time::timeout(Duration::from_secs(60), async {
            while delivered.lock().expect("no panic").last().is_none_or(|(seq, _)| *seq < head) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .expect("every feed reaches the head");
    }
    whole.abort();
    let log = log.lock().expect("no panic").clone();
    let seqs: Vec<u64> = log.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(seqs, (1..=head).collect::<Vec<_>>(), "positions are 1 to the head");
    for delivered in deliveries {
        assert_eq!(*delivered.lock().expect("no panic"), log, "a feed resumed across kills delivers the log");
    }
    let by_dot: HashMap<(Uuid, u64), u64> = log.iter().map(|(seq, dot)| (*dot, *seq)).collect();
    assert_eq!(by_dot.len(), log.len(), "no operation twice");
    let acknowledged = acknowledged.lock().expect("no panic").clone();
    assert_eq!(acknowledged.len() as u64, submitted, "every operation was acknowledged in the end");
    for (dot, seq) in acknowledged.iter() {
        assert_eq!(by_dot.get(dot), Some(seq), "acknowledged and in the log at that position");
    }
    let request = pb::GetRecordRequest { workspace_id: WORKSPACE.to_owned(), record_id: "r".to_owned() };
    let answer = RecordServiceClient::new(channel(address)).get_record(request).await.expect("the record");
    let count = answer.into_inner().record.expect("a record").fields.remove("count").and_then(|f| f.state);
    assert_eq!(
        count,
        Some(pb::field_state::State::Counter(submitted as i64)),
        "every increment counted once"
    );
    println!("{submitted} operations, head {head}");
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
    assert!(status.success(), "doctor finds nothing to mend");
}
