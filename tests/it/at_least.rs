//! Reads that name what they must contain: they wait for it, or say why they cannot.

use tonic::{Code, Status};

use crate::conflicts::Clash;
use crate::harness::errors::Fault;
use crate::harness::ops::card;
use crate::harness::workspace::register;
use crate::harness::{IntoValue as _, Reason, TestServer, Workspace, fails, fails_with, pb, within};

/// Every read that takes a position, with what is there to be read.
struct Reads {
    ws: Workspace,
    conflict_id: String,
}

impl Reads {
    async fn of(ws: &Workspace) -> Reads {
        Reads { ws: ws.clone(), conflict_id: Clash::register(ws, "c1").await.id }
    }

    async fn record(&self, at_least: Option<pb::Cursor>) -> Result<pb::GetRecordResponse, Status> {
        let (workspace_id, record_id) = (self.ws.id.clone(), "c1".to_owned());
        let request = pb::GetRecordRequest { workspace_id, record_id, at_least };
        let read = within("GetRecord", self.ws.clients.records().get_record(request)).await;
        read.map(tonic::Response::into_inner)
    }

    /// The five reads, each with its name.
    async fn all(&self, at_least: pb::Cursor) -> Vec<(&'static str, Result<(), Status>)> {
        let (workspace_id, at_least) = (self.ws.id.clone(), Some(at_least));
        let records = pb::ListRecordsRequest {
            workspace_id: workspace_id.clone(),
            collection_id: "cards".to_owned(),
            at_least: at_least.clone(),
            ..Default::default()
        };
        let history = pb::ListRecordHistoryRequest {
            workspace_id: workspace_id.clone(),
            record_id: "c1".to_owned(),
            at_least: at_least.clone(),
            ..Default::default()
        };
        let conflicts = pb::ListConflictsRequest {
            workspace_id: workspace_id.clone(),
            at_least: at_least.clone(),
            ..Default::default()
        };
        let conflict = pb::GetConflictRequest {
            workspace_id,
            conflict_id: self.conflict_id.clone(),
            at_least: at_least.clone(),
        };
        let clients = &self.ws.clients;
        let (mut of_records, mut more_records) = (clients.records(), clients.records());
        let (mut of_conflicts, mut more_conflicts) = (clients.conflicts(), clients.conflicts());
        let (record, records, history, conflicts, conflict) = within("the reads", async {
            tokio::join!(
                self.record(at_least),
                of_records.list_records(records),
                more_records.list_record_history(history),
                of_conflicts.list_conflicts(conflicts),
                more_conflicts.get_conflict(conflict),
            )
        })
        .await;
        vec![
            ("GetRecord", record.map(drop)),
            ("ListRecords", records.map(drop)),
            ("ListRecordHistory", history.map(drop)),
            ("ListConflicts", conflicts.map(drop)),
            ("GetConflict", conflict.map(drop)),
        ]
    }

    async fn all_fail(&self, at_least: pb::Cursor, code: Code, reason: Reason) -> Vec<Fault> {
        let answers = self.all(at_least).await;
        answers.into_iter().map(|(_, answer)| fails_with(answer, code, reason)).collect()
    }
}

#[tokio::test]
async fn reads_contain_the_position_they_name() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let reads = Reads::of(&ws).await;
    let head = ws.head().await;
    let earlier = ws.write(vec![card("c1").set("status", "later")]).await;
    let now = ws.head().await;
    assert_eq!((head.seq_inclusive + 1, now.seq_inclusive), (earlier, earlier));
    let without_chain = pb::Cursor { chain: Default::default(), ..now.clone() };
    for at_least in [ws.beginning(), head, without_chain, now] {
        for (name, answer) in reads.all(at_least.clone()).await {
            answer.unwrap_or_else(|status| panic!("{name} at least {at_least:?}: {status}"));
        }
    }
}

#[tokio::test]
async fn a_read_waits_for_a_position_that_is_about_to_come() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let reads = Reads::of(&ws).await;
    let head = ws.head().await;
    // A busy machine may take longer than the second that a read waits: then once more.
    for round in 1..=20_u64 {
        let next = pb::Cursor {
            seq_inclusive: head.seq_inclusive + round,
            chain: Default::default(),
            ..head.clone()
        };
        let value = i64::try_from(round).expect("a small number");
        let (read, seq) =
            tokio::join!(reads.record(Some(next.clone())), ws.write(vec![card("c1").set("status", value)]),);
        assert_eq!(seq, next.seq_inclusive);
        match read {
            Ok(response) => {
                assert_eq!(response.context.expect("a context").base_seq, seq);
                assert_eq!(register(&response.record.expect("a record"), "status"), value.into_value());
                return;
            }
            Err(status) => drop(fails(Err::<(), _>(status), Reason::NotCaughtUp)),
        }
    }
    panic!("no read was answered in twenty rounds");
}

#[tokio::test]
async fn a_read_of_a_position_that_does_not_come_says_how_far_the_server_is() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let reads = Reads::of(&ws).await;
    let head = ws.head().await;
    let ahead = pb::Cursor { seq_inclusive: head.seq_inclusive + 1, ..head.clone() };
    for fault in reads.all_fail(ahead.clone(), Code::Unavailable, Reason::NotCaughtUp).await {
        assert!(fault.retries);
        assert_eq!(fault.metadata["seq"], ahead.seq_inclusive.to_string());
        assert_eq!(fault.metadata["head_seq"], head.seq_inclusive.to_string());
    }
}

#[tokio::test]
async fn a_read_of_another_history_is_refused() {
    let server = TestServer::in_memory().await;
    let (ws, other) = (server.workspace("w").await, server.workspace("other").await);
    let reads = Reads::of(&ws).await;
    let head = ws.head().await;
    let epoch = pb::Cursor { epoch: head.epoch ^ 1, ..head.clone() };
    for fault in reads.all_fail(epoch, Code::FailedPrecondition, Reason::WrongEpoch).await {
        assert_eq!(fault.metadata["expected_epoch"], ws.epoch.to_string());
    }
    // A chain that this history never had: at the head, before it, and at the beginning.
    for seq_inclusive in [head.seq_inclusive, 1, 0] {
        let elsewhere = pb::Cursor { seq_inclusive, chain: vec![0xa5; 16].into(), ..head.clone() };
        for fault in reads.all_fail(elsewhere, Code::FailedPrecondition, Reason::HistoryRewound).await {
            assert_eq!(fault.metadata["base_seq"], seq_inclusive.to_string());
        }
    }
    reads.all_fail(other.head().await, Code::InvalidArgument, Reason::CursorMismatch).await;
    let torn = pb::Cursor { chain: vec![1; 15].into(), ..head };
    for fault in reads.all_fail(torn, Code::InvalidArgument, Reason::InvalidRequest).await {
        assert_eq!(fault.violations[0].0, "at_least.chain");
    }
}

#[tokio::test]
async fn a_waiting_read_ends_with_the_server() {
    let mut server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let reads = Reads::of(&ws).await;
    let head = ws.head().await;
    let ahead = pb::Cursor { seq_inclusive: head.seq_inclusive + 1, ..head };
    let read = tokio::spawn(async move { reads.record(Some(ahead)).await });
    server.begin_stop();
    // Either it had begun to wait and was ended, or it came too late to be taken at all.
    let ended = within("the read", read).await.expect("no panic").expect_err("no answer");
    assert_eq!(ended.code(), Code::Unavailable);
    server.stop().await;
}

#[tokio::test]
async fn a_page_has_a_context_of_its_own() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    for n in 0..3 {
        ws.write(vec![card(&format!("c{n}")).create()]).await;
    }
    let page = async |page_token: String, at_least: Option<pb::Cursor>| {
        let request = pb::ListRecordsRequest {
            workspace_id: ws.id.clone(),
            collection_id: "cards".to_owned(),
            page_size: 2,
            page_token,
            at_least,
            ..Default::default()
        };
        let listed = within("ListRecords", ws.clients.records().list_records(request)).await;
        crate::harness::workspace::answer(listed)
    };
    let first = page(String::new(), None).await;
    assert_eq!(first.context.map(|c| c.base_seq), Some(3));
    ws.write(vec![card("c2").set("title", "between two pages")]).await;
    let second = page(first.next_page_token, Some(ws.head().await)).await;
    assert_eq!(second.context.map(|c| c.base_seq), Some(4));
    assert_eq!(register(&second.records[0], "title"), "between two pages".into_value());
}
