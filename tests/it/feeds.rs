//! Two feeds of one workspace, one bidirectional and one server-streaming, opened, cut and resumed at random during
//! writes: both deliver the same changes, each exactly once, in order.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;

use crate::harness::ops::card;
use crate::harness::receipts::{position, settled};
use crate::harness::{Feed, Heard, Kind, TestServer, Workspace, pb, within};

/// Two writers, alone and in batches; the last position.
async fn write(ws: Workspace, seed: u64, count: usize) -> u64 {
    let mut random = StdRng::seed_from_u64(seed);
    let mut authors = [ws.replica(u128::from(seed) * 2 + 1, "a"), ws.replica(u128::from(seed) * 2 + 2, "b")];
    let mut written = 0;
    while written < count {
        let by = random.random_range(0..2);
        if random.random_bool(0.3) {
            let head = ws.head_seq().await;
            authors[by].saw(head);
        }
        let batch = random.random_range(1..=12);
        let operations = (0..batch)
            .map(|_| {
                let mutation = match random.random_range(0..4) {
                    0 => card("c1").set("title", random.random_range(0..100_i64)),
                    1 => card("c1").increment("votes", 1),
                    2 => card("c1").edit("notes", &[(0, 0, "long text ")]),
                    _ => card("gone").delete(),
                };
                authors[by].op(vec![mutation])
            })
            .collect();
        ws.submit_all(operations).await;
        written += batch;
    }
    ws.head_seq().await
}

/// Follows the feed through cuts until the writers are done and everything was heard.
async fn follow(
    ws: Workspace,
    kind: Kind,
    seed: u64,
    end: watch::Receiver<Option<u64>>,
) -> (Vec<pb::Change>, usize) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut changes: Vec<pb::Change> = Vec::new();
    let mut cursor: Option<pb::Cursor> = None;
    let mut openings = 0;
    loop {
        let mut feed = Feed::open(&ws, kind, cursor.clone()).await;
        openings += 1;
        for _ in 0..random.random_range(0..8) {
            let patience = Duration::from_millis(random.random_range(1..40));
            // Cut wherever it is, also in the middle of a wait.
            let Ok(heard) = tokio::time::timeout(patience, feed.next()).await else { break };
            match heard {
                Heard::Changes(more) => changes.extend(more),
                Heard::Checkpoint(_) => {}
                other => panic!("seed {seed}: {other:?}"),
            }
        }
        let end = *end.borrow();
        if end == Some(feed.position()) {
            return (changes, openings);
        }
        cursor = Some(feed.cursor.clone());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_feeds_cut_and_resumed_at_random_deliver_the_same_changes_once_and_in_order() {
    for seed in 1..=4_u64 {
        println!("seed {seed}");
        // Few recent changes: feeds go from memory to the store and back.
        let server = TestServer::with(&[("feed.recent_changes", "32")]).await;
        let ws = server.workspace("w").await;
        ws.write(vec![card("c1").create()]).await;
        let (told, end) = watch::channel(None);
        let feeds = [(Kind::Subscribe, seed * 10 + 1), (Kind::Watch, seed * 10 + 2)];
        let mut tasks = Vec::new();
        for (kind, feed_seed) in feeds {
            // Each over a connection of its own.
            let ws = server.existing("w").await;
            tasks.push(tokio::spawn(follow(ws, kind, feed_seed, end.clone())));
        }
        let writers = [
            tokio::spawn(write(ws.clone(), seed * 10 + 3, 250)),
            tokio::spawn(write(server.existing("w").await, seed * 10 + 4, 250)),
        ];
        for writer in writers {
            within("a writer", writer).await.expect("no panic");
        }
        let head = ws.head_seq().await;
        told.send(Some(head)).expect("somebody listens");
        let mut heard = Vec::new();
        for task in tasks {
            let (changes, openings) = within("a feed", task).await.expect("no panic");
            println!("seed {seed}: {} changes in {openings} openings", changes.len());
            heard.push(changes);
        }
        let positions: Vec<u64> = heard[0].iter().map(|c| c.seq).collect();
        assert_eq!(positions, (1..=head).collect::<Vec<_>>(), "seed {seed}: each once, in order");
        assert_eq!(heard[0], heard[1], "seed {seed}: the same");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feeds_go_on_exactly_through_restarts_of_the_server() {
    for seed in 1..=2_u64 {
        println!("seed {seed}");
        let mut server = TestServer::start().await;
        let mut ws = server.workspace("w").await;
        ws.write(vec![card("c1").create()]).await;
        let mut random = StdRng::seed_from_u64(seed);
        let mut ada = ws.replica(1, "ada");
        let mut heard: Vec<Vec<pb::Change>> = vec![Vec::new(), Vec::new()];
        let mut cursors: [Option<pb::Cursor>; 2] = [None, None];
        for _ in 0..4 {
            let mut feeds = Vec::new();
            for (kind, cursor) in [Kind::Subscribe, Kind::Watch].into_iter().zip(&cursors) {
                feeds.push(Feed::open(&ws, kind, cursor.clone()).await);
            }
            let mut accepted = Vec::new();
            for _ in 0..random.random_range(1..30) {
                accepted.extend(position(&ws.submit(ada.op(vec![card("c1").increment("votes", 1)])).await));
            }
            assert!(accepted.is_sorted());
            server.begin_stop();
            for (index, feed) in feeds.iter_mut().enumerate() {
                loop {
                    match feed.next().await {
                        Heard::Changes(more) => heard[index].extend(more),
                        Heard::GoAway(pb::GoAwayReason::Draining) => break,
                        other => panic!("seed {seed}: {other:?}"),
                    }
                }
                cursors[index] = Some(feed.cursor.clone());
            }
            drop(feeds);
            server.restart().await;
            ws = server.existing("w").await;
        }
        let head = settled(&ws.submit(ada.op(vec![card("c1").increment("votes", 1)])).await);
        for ((kind, cursor), heard) in [Kind::Subscribe, Kind::Watch].into_iter().zip(cursors).zip(&mut heard)
        {
            heard.extend(Feed::open(&ws, kind, cursor).await.until(head).await);
            let positions: Vec<u64> = heard.iter().map(|c| c.seq).collect();
            assert_eq!(positions, (1..=head).collect::<Vec<_>>(), "seed {seed} {kind:?}");
        }
        assert_eq!(heard[0], heard[1], "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_that_find_a_workspace_at_once_all_see_its_true_head() {
    // Nobody has looked at the workspace since the start: all of these are the first.
    for round in 0..10 {
        let mut server = TestServer::start().await;
        let ws = server.workspace("w").await;
        let head = ws.write(vec![card("c1").create()]).await;
        let cursor = ws.head().await;
        server.restart().await;
        let mut tasks = Vec::new();
        for n in 0..8 {
            let (ws, cursor) = (server.existing("w").await, cursor.clone());
            tasks.push(tokio::spawn(async move {
                let kind = if n % 2 == 0 { Kind::Watch } else { Kind::Subscribe };
                let opened = Feed::try_open(&ws, kind, Some(cursor), None).await.expect("a frame");
                opened.map(|feed| feed.opened.head_seq)
            }));
        }
        for task in tasks {
            assert_eq!(within("a feed", task).await.expect("no panic"), Ok(head), "round {round}");
        }
    }
}
