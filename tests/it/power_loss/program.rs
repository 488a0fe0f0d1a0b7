//! The same with the real program: a server over gRPC, its power cut while clients write.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use syncline_protocol::pb;
use syncline_protocol::pb::change_service_client::ChangeServiceClient;
use syncline_protocol::pb::operation_service_client::OperationServiceClient;
use tokio_stream::StreamExt as _;
use uuid::Uuid;

use super::disk::{self, Disk};
use super::ledger::{Dot, Ledger, Loss, Told};
use crate::process::{Process, channel, create_workspace, free_port};

const WORKSPACE: &str = "power";
const WRITERS: u64 = 4;
const CUTS: usize = 5;
/// The upper half of the writers' replica ids.
const REPLICAS: u64 = 0x706f_7765_7200_7000;
/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was acknowledged; nothing more is added once the power is gone.
#[derive(Default)]
struct Notes {
    acknowledged: Vec<(Dot, u64)>,
    power_is_gone: bool,
}

type Acknowledged = Arc<Mutex<Notes>>;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_has_everything_it_acknowledged_when_the_power_comes_back() {
    if disk::is_missing() {
        return;
    }
    let mut random = super::seeded();
    let mut disk = Disk::make(super::DISK_MIB).expect("a disk");
    let (mut ledger, mut epoch) = (Ledger::default(), None);
    for cut in 0..CUTS {
        let mut server = Process::serve(&disk.path("power.db"), free_port());
        let epoch = *epoch.get_or_insert(create_workspace(channel(&server.address), WORKSPACE).await);
        let log = log_after(&server.address, ledger.head()).await;
        assert_eq!(ledger.take(Told { log, opened: true, ..Told::default() }), Loss::default(), "cut {cut}");
        let acknowledged = Acknowledged::default();
        let writers: Vec<_> = (1..=WRITERS)
            .map(|writer| {
                let counter = ledger.next_counter(writer);
                tokio::spawn(write(server.address.clone(), epoch, writer, counter, acknowledged.clone()))
            })
            .collect();
        let started = Instant::now();
        while acknowledged.lock().expect("no panic").acknowledged.is_empty() {
            assert!(started.elapsed() < PATIENCE, "nothing is acknowledged");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(super::delay(&mut random, 300)).await;
        acknowledged.lock().expect("no panic").power_is_gone = true;
        disk.cut_power().expect("the cut");
        server.kill();
        for writer in writers {
            writer.await.expect("a writer ends with its server");
        }
        disk.remount().expect("the power comes back");
        let acknowledged = std::mem::take(&mut acknowledged.lock().expect("no panic").acknowledged);
        ledger.take(Told { acknowledged, ..Told::default() });
    }
    let server = Process::serve(&disk.path("power.db"), free_port());
    let log = log_after(&server.address, ledger.head()).await;
    assert_eq!(ledger.take(Told { log, opened: true, ..Told::default() }), Loss::default(), "the last cut");
    println!("{CUTS} cuts of the program, {} operations acknowledged, 0 lost", ledger.acknowledged());
}

/// Writes one operation after another until the server does not answer any more.
async fn write(address: String, epoch: u64, writer: u64, counter: u64, acknowledged: Acknowledged) {
    let mut client = OperationServiceClient::new(channel(&address));
    for counter in counter.. {
        let request = pb::SubmitRequest {
            workspace_id: WORKSPACE.to_owned(),
            operations: vec![operation(epoch, writer, counter)],
            ..Default::default()
        };
        let Ok(answer) = client.submit(request).await else { return };
        let receipt = answer.into_inner().receipts.remove(0);
        let mut outcome = receipt.outcome.expect("an outcome");
        if let pb::receipt::Outcome::Duplicate(stored) = outcome {
            outcome = stored.stored.and_then(|s| s.outcome).expect("a stored outcome");
        }
        let (pb::receipt::Outcome::Applied(pb::Applied { seq })
        | pb::receipt::Outcome::Merged(pb::Merged { seq })) = outcome
        else {
            panic!("counter {counter} came to {outcome:?}");
        };
        let mut notes = acknowledged.lock().expect("no panic");
        if notes.power_is_gone {
            return;
        }
        notes.acknowledged.push(((writer, counter), seq));
    }
}

/// A record of its own for every operation: the same content whenever it is sent.
fn operation(epoch: u64, writer: u64, counter: u64) -> pb::Operation {
    let replica_id = Uuid::from_u64_pair(REPLICAS, writer).to_string();
    let create = pb::RecordMutation {
        collection_id: "c".to_owned(),
        record_id: format!("{writer}-{counter}"),
        action: Some(pb::record_mutation::Action::CreateRecord(pb::CreateRecord::default())),
        ..Default::default()
    }
    .into();
    let context = pb::CausalContext { epoch, ..Default::default() };
    pb::Operation {
        identity: Some(pb::operation::Identity::Dot(pb::Dot { replica_id, counter })),
        knowledge: Some(pb::operation::Knowledge::Context(context)),
        mutations: vec![create],
        ..Default::default()
    }
}

/// What a feed from the beginning delivers up to the head it tells, after a position.
async fn log_after(address: &str, after: u64) -> Vec<(u64, Dot)> {
    let mut client = ChangeServiceClient::new(channel(address)).max_decoding_message_size(16 << 20);
    let start = pb::FeedStart {
        workspace_id: WORKSPACE.to_owned(),
        origin: Some(pb::feed_start::Origin::Beginning(pb::FromBeginning {})),
        ..Default::default()
    };
    let frames = client.watch(pb::WatchRequest { start: Some(start) }).await.expect("a feed").into_inner();
    let mut frames = std::pin::pin!(frames);
    let (mut log, mut head) = (Vec::new(), None);
    while head.is_none_or(|head| (log.len() as u64) < head) {
        let next = tokio::time::timeout(PATIENCE, frames.next()).await.expect("a frame in time");
        let frame = next.expect("the feed goes on").expect("a message").frame.expect("a frame");
        match frame.content.expect("content") {
            pb::frame::Content::Opened(opened) => head = Some(opened.head_seq),
            pb::frame::Content::Changes(changes) => log.extend(changes.changes.into_iter().map(|change| {
                let dot = change.dot.expect("a dot");
                let replica = Uuid::parse_str(&dot.replica_id).expect("an id");
                (change.seq, (replica.as_u64_pair().1, dot.counter))
            })),
            other => panic!("{other:?}"),
        }
    }
    log.split_off(usize::try_from(after).expect("fits").min(log.len()))
}
