//! ChangeService.Snapshot: all records while writes go on, and the feed that completes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::harness::feed::only;
use crate::harness::model::Model;
use crate::harness::ops::{card, on, person};
use crate::harness::receipts::settled;
use crate::harness::workspace::{link, links, state};
use crate::harness::{Feed, IntoValue as _, Kind, Reason, TestServer, Workspace, fails, pb, within};

#[tokio::test]
async fn a_snapshot_of_an_idle_workspace_is_what_reading_shows() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut script = Script::new(&ws, 7);
    for _ in 0..150 {
        script.step(&ws).await;
    }
    let (model, cursor) = snapshot(&ws, None).await;
    assert_eq!(cursor, ws.head().await);
    for id in &script.ids {
        model.agrees_with(&ws.record(id).await);
    }
    assert_eq!(model.records.len(), script.ids.len());
    assert_eq!(model.live_conflicts(), ws.inbox_of_all().await);
}

#[tokio::test]
async fn a_snapshot_of_some_collections_has_only_those() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    for n in 0..10 {
        ws.write(vec![card(&format!("c{n}")).create(), person(&format!("p{n}")).create()]).await;
    }
    let (model, _) = snapshot(&ws, only(&["people"])).await;
    assert_eq!(model.records.len(), 10);
    assert!(model.records.values().all(|r| r.collection_id == "people"));
}

#[tokio::test]
async fn an_empty_workspace_has_an_empty_snapshot() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let (model, cursor) = snapshot(&ws, None).await;
    assert!(model.records.is_empty() && model.conflicts.is_empty());
    assert_eq!(cursor.seq_inclusive, 0);
    assert_eq!(cursor, ws.head().await);
}

#[tokio::test]
async fn a_link_to_a_deleted_record_is_the_same_in_a_read_a_snapshot_and_the_feed() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    ws.write(vec![card("c1").create(), card("c2").create(), person("p1").create()]).await;
    ws.write(vec![card("c1").link("owner", "p1"), card("c1").link("blocks", "c2")]).await;
    ws.write(vec![person("p1").delete(), card("c2").delete()]).await;
    let dangling = ws.record("c1").await;
    assert_eq!(state(&dangling, "owner"), link(Some("p1")), "links are given as they are stored");
    assert_eq!(state(&dangling, "blocks"), links(&["c2"]));
    assert_eq!(dangling.deleted_target_record_ids, ["c2", "p1"]);
    let (mut model, cursor) = snapshot(&ws, None).await;
    model.agrees_with(&dangling);
    let mut folded = Model::default();
    for change in Feed::open(&ws, Kind::Watch, None).await.until(cursor.seq_inclusive).await {
        folded.apply(&change);
    }
    folded.agrees_with(&dangling);
    let head = ws.write(vec![person("p1").restore(), card("c2").restore()]).await;
    let shown = ws.record("c1").await;
    assert_eq!(state(&shown, "owner"), link(Some("p1")));
    assert!(shown.deleted_target_record_ids.is_empty());
    for change in Feed::open(&ws, Kind::Watch, Some(cursor)).await.until(head).await {
        model.apply(&change);
    }
    model.agrees_with(&shown);
}

/// A client's state from a snapshot, and where its feed has to go on.
async fn snapshot(ws: &Workspace, filter: Option<pb::FeedFilter>) -> (Model, pb::Cursor) {
    let request = pb::SnapshotRequest { workspace_id: ws.id.clone(), filter, at_least: None };
    let mut chunks =
        within("Snapshot", ws.clients.changes().snapshot(request)).await.expect("a stream").into_inner();
    let mut model = Model::default();
    let mut first: Option<pb::Cursor> = None;
    let (mut sent, mut position, mut complete) = (0, 0, false);
    let mut last_id = String::new();
    while let Some(chunk) = within("a chunk", chunks.message()).await.expect("a chunk") {
        assert!(!complete, "the complete chunk is the last one");
        let cursor = chunk.cursor.clone().expect("a cursor");
        assert!(cursor.seq_inclusive >= position, "chunks do not go back");
        position = cursor.seq_inclusive;
        for record in &chunk.records {
            let id = record.record.as_ref().expect("a record").record_id.clone();
            assert!(id > last_id, "{id} after {last_id}: in the order of their ids");
            last_id = id;
            assert!(record.as_of_seq <= position);
        }
        sent += chunk.records.len() as u64;
        assert_eq!(chunk.sent_count, sent);
        model.take_snapshot(&chunk);
        complete = chunk.complete;
        first.get_or_insert(cursor);
    }
    assert!(complete, "the last chunk says so");
    (model, first.expect("a chunk"))
}

/// Several clients that write anything, from a seed.
pub struct Script {
    random: StdRng,
    replicas: Vec<crate::harness::Replica>,
    pub ids: Vec<String>,
}

impl Script {
    pub fn new(ws: &Workspace, seed: u64) -> Script {
        let replicas = (1..=3).map(|n| ws.replica(n, &format!("author-{n}"))).collect();
        Script { random: StdRng::seed_from_u64(seed), replicas, ids: Vec::new() }
    }

    /// One more operation by one of them; it may well be rejected.
    pub async fn step(&mut self, ws: &Workspace) {
        let random = &mut self.random;
        let by = random.random_range(0..self.replicas.len());
        if random.random_bool(0.4) {
            let head = ws.head_seq().await;
            self.replicas[by].saw(head);
        }
        if self.ids.len() < 3 || random.random_bool(0.15) {
            let n = self.ids.len();
            let collection = if n.is_multiple_of(4) { "people" } else { "cards" };
            let id = format!("{collection}-{n:04}");
            settled(&ws.submit(self.replicas[by].op(vec![on(collection, &id).create()])).await);
            self.ids.push(id);
            return;
        }
        let mut any = |ids: &[String]| ids[random.random_range(0..ids.len())].clone();
        let (id, other) = (any(&self.ids), any(&self.ids));
        let record = on(id.split('-').next().expect("a collection"), &id);
        let value = random.random_range(0..5_i64);
        let mutation = match random.random_range(0..13) {
            0 => record.delete(),
            1 => record.restore(),
            2 if id.starts_with("people") => record.set("name", value),
            2 | 3 => record.set("title", value),
            4 => record.edit("notes", &[(0, 0, "äx")]),
            5 => record.replace("notes", &format!("all {value} new 🦊")),
            6 => record.increment("votes", value),
            7 => record.assign("votes", value),
            8 => record.add("tags", vec![value.into_value()]),
            9 => record.remove("tags", vec![value.into_value()]),
            10 => record.link("owner", &other),
            11 => record.link("blocks", &other),
            _ => record.unlink("blocks", &other),
        };
        ws.submit(self.replicas[by].op(vec![mutation])).await;
    }
}

#[tokio::test]
async fn a_snapshot_and_the_feed_after_it_are_the_full_replay_while_writes_go_on() {
    for seed in [1, 2, 3] {
        println!("seed {seed}");
        let server = TestServer::start().await;
        let ws = server.workspace("w").await;
        let mut script = Script::new(&ws, seed);
        for _ in 0..120 {
            script.step(&ws).await;
        }
        // Enough records for several chunks, so that writes fall between them.
        let more =
            (0..900).map(|n| script.replicas[0].op(vec![card(&format!("cards-x{n:04}")).create()])).collect();
        ws.submit_all(more).await;
        let done = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn({
            let (ws, done) = (ws.clone(), done.clone());
            async move {
                while !done.load(Ordering::Relaxed) {
                    script.step(&ws).await;
                }
                for _ in 0..30 {
                    script.step(&ws).await;
                }
                script
            }
        });
        let (mut client, cursor) = snapshot(&ws, None).await;
        done.store(true, Ordering::Relaxed);
        let script = within("the writer", writer).await.expect("no panic");
        let head = ws.head_seq().await;
        for change in Feed::open(&ws, Kind::Subscribe, Some(cursor)).await.until(head).await {
            client.apply(&change);
        }
        let mut replay = Model::default();
        for change in Feed::open(&ws, Kind::Watch, None).await.until(head).await {
            replay.apply(&change);
        }
        for id in &script.ids {
            let record = ws.record(id).await;
            replay.agrees_with(&record);
            client.agrees_with(&record);
        }
        assert_eq!(client.records.len(), replay.records.len(), "seed {seed}");
        let inbox = ws.inbox_of_all().await;
        assert_eq!(replay.live_conflicts(), inbox, "seed {seed}");
        assert_eq!(client.live_conflicts(), inbox, "seed {seed}");
    }
}

#[tokio::test]
async fn a_snapshot_that_a_stopping_server_cuts_off_says_so() {
    let mut server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    // More than the windows of a connection hold, so that the rest is still to be read when the server stops.
    let long = "x".repeat(4_000);
    for part in 0..8 {
        let operations = (0..200)
            .map(|n| {
                let id = format!("c{part}-{n}");
                crate::harness::workspace::latest(vec![
                    card(&id).create_with([("title", long.as_str().into_value())]),
                ])
            })
            .collect();
        ws.submit_all(operations).await;
    }
    let request = pb::SnapshotRequest { workspace_id: ws.id.clone(), ..Default::default() };
    let mut chunks =
        within("Snapshot", ws.clients.changes().snapshot(request)).await.expect("a stream").into_inner();
    within("a chunk", chunks.message()).await.expect("a chunk").expect("the first");
    server.begin_stop();
    let ended = loop {
        match within("a chunk", chunks.message()).await {
            Ok(Some(chunk)) => assert!(!chunk.complete, "the server was faster than its own end"),
            Ok(None) => panic!("an incomplete snapshot that says nothing"),
            Err(status) => break status,
        }
    };
    fails(Err::<(), _>(ended), Reason::ShuttingDown);
    server.stop().await;
}
