//! A full disk: writes are refused and nothing else, and go on as soon as there is room.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use syncline_protocol::pb;
use tonic::Status;

use super::disk::{self, Disk};
use crate::harness::{self, Feed, Heard, Kind, Reason, Replica, TestServer, Workspace, fails, ops::card};

const DISK_MIB: u64 = 32;
/// Writing is tried again for so long after there is room.
const RECOVERS_TIMEOUT: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_nothing_else_and_recovers_by_itself() {
    if disk::is_missing() {
        return;
    }
    // Before the server, so that it is dropped after it.
    let disk = Disk::make(DISK_MIB).expect("a disk");
    let url = format!("sqlite:{}", disk.path("full.db").display());
    let mut server = TestServer::with(&[("database.url", &url)]).await;
    let workspace = server.workspace("w").await;
    let mut replica = Replica::new(1, workspace.epoch, "a");
    let mut feed = Feed::open(&workspace, Kind::Watch, None).await;
    submit(&workspace, replica.op(vec![card("first").create()])).await.expect("room for one");
    let ballast = disk.path("ballast");
    fill(&ballast);

    let (stored, refused) = until_refused(&workspace, &mut replica).await;
    fails(Err::<(), _>(refused), Reason::StoreUnavailable);
    hears(&mut feed, 1 + stored).await;
    let mut late = Feed::open(&workspace, Kind::Subscribe, None).await;
    hears(&mut late, 1 + stored).await;
    let head = workspace_head(&workspace).await;
    assert_eq!(head, 1 + stored, "what was refused was not stored, and reads go on");
    let again = replica.op_at(replica.counter, vec![big(replica.counter)]);
    fails(submit(&workspace, again.clone()).await, Reason::StoreUnavailable);

    std::fs::remove_file(&ballast).expect("room again");
    let started = Instant::now();
    while let Err(status) = submit(&workspace, again.clone()).await {
        assert!(started.elapsed() < RECOVERS_TIMEOUT, "still refused: {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!(
        "{stored} stored before the disk was full; written again {:?} after there was room",
        started.elapsed()
    );
    submit(&workspace, replica.op(vec![card("last").create()])).await.expect("room");
    hears(&mut feed, 3 + stored).await;
    hears(&mut late, 3 + stored).await;
    server.stop().await;
}

async fn submit(workspace: &Workspace, operation: pb::Operation) -> Result<u64, Status> {
    let request = pb::SubmitRequest {
        workspace_id: workspace.id.clone(),
        operations: vec![operation],
        ..Default::default()
    };
    let answer = harness::within("submitting", workspace.clients.operations().submit(request)).await?;
    let receipt = answer.into_inner().receipts.remove(0);
    match receipt.outcome {
        Some(pb::receipt::Outcome::Applied(applied)) => Ok(applied.seq),
        other => panic!("it came to {other:?}"),
    }
}

/// A record that needs room.
fn big(counter: u64) -> pb::Mutation {
    card(&format!("r-{counter}"))
        .create_with([("title", harness::IntoValue::into_value(&*"x".repeat(20_000)))])
}

/// How many operations were stored before the first one that was refused.
async fn until_refused(workspace: &Workspace, replica: &mut Replica) -> (u64, Status) {
    for stored in 0..10_000 {
        let next = replica.counter + 1;
        let operation = replica.op(vec![big(next)]);
        if let Err(status) = submit(workspace, operation).await {
            return (stored, status);
        }
    }
    panic!("the disk does not fill up");
}

/// Takes all room but a little, so that what the server wrote before does not matter.
fn fill(ballast: &Path) {
    let mut file = File::create(ballast).expect("a file");
    let block = vec![1; 64 << 10];
    loop {
        match file.write_all(&block) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => break,
            Err(error) => panic!("{error}"),
        }
    }
    let length = file.metadata().expect("its length").len();
    file.set_len(length - (1 << 20)).and_then(|()| file.sync_all()).expect("a megabyte is left");
}

async fn hears(feed: &mut Feed, until_seq: u64) {
    while feed.cursor.seq_inclusive < until_seq {
        match feed.next().await {
            Heard::Changes(_) | Heard::Checkpoint(_) => {}
            other => panic!("a feed on a full disk: {other:?}"),
        }
    }
}

async fn workspace_head(workspace: &Workspace) -> u64 {
    let request = pb::GetWorkspaceRequest { workspace_id: workspace.id.clone() };
    let answer = harness::within("reading", workspace.clients.workspaces().get_workspace(request)).await;
    answer.expect("a workspace").into_inner().workspace.expect("a workspace").head_seq
}
