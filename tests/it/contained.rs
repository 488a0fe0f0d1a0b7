//! What is wrong with one workspace's data is that workspace's trouble and nobody else's.

use crate::harness::workspace::latest;
use crate::harness::{Reason, TestServer, Workspace, fails, on};

/// The first byte of the key of a record's row.
const RECORD_SPACE: u8 = 4;

/// Concurrent callers of each workspace.
const CALLERS: usize = 4;
/// Calls of each caller.
const CALLS: usize = 25;

async fn titles(workspace: Workspace, record: &'static str) -> Vec<Result<(), tonic::Status>> {
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let workspace = workspace.clone();
        callers.spawn(async move {
            let mut came = Vec::new();
            for call in 0..CALLS {
                let title = on("cards", record).set("title", format!("{caller}-{call}").as_str());
                came.push(workspace.try_submit(vec![latest(vec![title])]).await.map(drop));
            }
            came
        });
    }
    callers.join_all().await.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_damaged_row_makes_its_workspace_read_only_and_harms_no_other() {
    let mut server = TestServer::start().await;
    for id in ["damaged", "innocent"] {
        let workspace = server.workspace(id).await;
        workspace.write(vec![on("cards", "a").create(), on("cards", "b").create()]).await;
    }
    server.stop().await;
    assert_eq!(server.overwrite_rows("damaged", &[RECORD_SPACE, b'a'], &[9]).await, 1);
    server.restart().await;

    let (damaged, innocent) = (server.existing("damaged").await, server.existing("innocent").await);
    let (harmed, unharmed) = tokio::join!(titles(damaged.clone(), "a"), titles(innocent.clone(), "a"));
    for answer in unharmed {
        answer.expect("no call of the other workspace fails");
    }
    for answer in harmed {
        let refused = fails(answer, Reason::WorkspaceReadOnly);
        assert_eq!(refused.metadata["workspace_id"], "damaged");
    }
    // No other record is written to either, since nobody knows what else is wrong, and what can be read is read.
    let title = latest(vec![on("cards", "b").set("title", "x")]);
    fails(damaged.try_submit(vec![title]).await, Reason::WorkspaceReadOnly);
    assert_eq!(damaged.record("b").await.record_id, "b");
    assert_eq!(damaged.head_seq().await, 1, "nothing was half stored");
    assert_eq!(innocent.head_seq().await, 1 + (CALLERS * CALLS) as u64);
}
