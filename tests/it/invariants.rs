//! Promises that hold over the wire whatever is sent again, in whatever order, and through restarts.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use syncline_core::hash::{CHAIN_START, Hash, chain, operation_hash};
use syncline_protocol::convert::operation_from_pb;

use crate::harness::feed::only;
use crate::harness::model::Model;
use crate::harness::ops::{card, person};
use crate::harness::receipts::{applied, duplicate, held, original, position, rejected, settled, waits_for};
use crate::harness::workspace::{latest, register, state};
use crate::harness::{Feed, IntoValue as _, Kind, Reason, Replica, TestServer, Workspace, pb};

/// Three authors' operations, made without hearing of each other but for what is named; some cannot be accepted.
fn script(ws: &Workspace, seed: u64, base: u64) -> Vec<pb::Operation> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut authors: Vec<Replica> =
        (1..=3).map(|n| ws.replica(n, &format!("author-{n}")).having_seen(base)).collect();
    let mut operations = Vec::new();
    for _ in 0..60 {
        let by = random.random_range(0..3);
        let other = (by + random.random_range(1..3)) % 3;
        let mutation = match random.random_range(0..8) {
            0 => card("c1").set("title", random.random_range(0..4_i64)),
            1 => card("c2").set("title", random.random_range(0..4_i64)),
            2 => card("c1").increment("votes", 1),
            3 => card("c1").add("tags", vec![random.random_range(0..5_i64).into_value()]),
            4 => card("c1").edit("notes", &[(0, 0, "x")]),
            5 => card("c2").delete(),
            6 => card("c1").link("owner", "p1"),
            _ => card("nowhere").set("title", 1),
        };
        let depends = operations.len() > 5 && random.random_bool(0.2) && authors[other].counter > 0;
        let needed = authors[other].last();
        let mut operation = authors[by].op(vec![mutation]);
        if depends {
            operation.depends_on.push(needed);
        }
        operations.push(operation);
    }
    operations
}

async fn cards(ws: &Workspace) -> u64 {
    ws.write(vec![card("c1").create(), card("c2").create(), person("p1").create()]).await
}

fn dots(operations: &[pb::Operation]) -> Vec<pb::Dot> {
    operations
        .iter()
        .map(|o| match &o.identity {
            Some(pb::operation::Identity::Dot(dot)) => dot.clone(),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn shuffle<T>(items: &mut [T], random: &mut StdRng) {
    for last in (1..items.len()).rev() {
        items.swap(last, random.random_range(0..=last));
    }
}

#[tokio::test]
async fn operations_sent_in_any_order_any_number_of_times_are_applied_once() {
    for seed in 1..=6 {
        println!("seed {seed}");
        let server = TestServer::start().await;
        let ws = server.workspace("w").await;
        let operations = script(&ws, seed, cards(&ws).await);
        let mut random = StdRng::seed_from_u64(seed + 1_000);
        let mut sent: Vec<pb::Operation> = operations.iter().chain(&operations).cloned().collect();
        shuffle(&mut sent, &mut random);
        while !sent.is_empty() {
            let batch = sent.split_off(sent.len() - random.random_range(1..=sent.len().min(9)));
            ws.submit_all(batch).await;
        }
        let outcomes = ws.receipts(dots(&operations)).await;
        for receipt in &outcomes {
            let terminal = matches!(receipt.outcome, Some(pb::receipt::Outcome::Rejected(_)));
            assert!(terminal || position(receipt).is_some(), "seed {seed}: {receipt:?}");
        }
        let head = ws.head().await;
        // All of them again, backwards: the same outcomes, and nothing moves.
        let again = ws.submit_all(operations.iter().rev().cloned().collect()).await;
        for (receipt, outcome) in again.iter().rev().zip(&outcomes) {
            assert_eq!(duplicate(receipt), *outcome, "seed {seed}");
        }
        assert_eq!(ws.head().await, head, "seed {seed}");

        let changes = Feed::open(&ws, Kind::Watch, None).await.until(head.seq_inclusive).await;
        let accepted: BTreeMap<(String, u64), u64> = outcomes
            .iter()
            .filter_map(|r| {
                let dot = r.dot.clone().expect("a dot");
                Some(((dot.replica_id, dot.counter), position(r)?))
            })
            .collect();
        let mut found: BTreeMap<(String, u64), u64> = BTreeMap::new();
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for change in changes.iter().skip(1) {
            let dot = change.dot.clone().expect("a dot");
            let before = last.insert(dot.replica_id.clone(), dot.counter).unwrap_or(0);
            assert!(before < dot.counter, "seed {seed}: an author's own order");
            assert_eq!(found.insert((dot.replica_id, dot.counter), change.seq), None, "seed {seed}: twice");
        }
        assert_eq!(found, accepted, "seed {seed}: what the receipts say is what the feed has");
        for operation in &operations {
            let [dot] = &dots(std::slice::from_ref(operation))[..] else { unreachable!() };
            let Some(seq) = accepted.get(&(dot.replica_id.clone(), dot.counter)) else { continue };
            for needed in &operation.depends_on {
                let before = accepted.get(&(needed.replica_id.clone(), needed.counter));
                assert!(before.is_some_and(|b| b < seq), "seed {seed}: {dot:?} before {needed:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_settled_outcome_and_everything_read_are_the_same_after_a_restart() {
    for seed in [11, 12] {
        println!("seed {seed}");
        let mut server = TestServer::start().await;
        let ws = server.workspace("w").await;
        let operations = script(&ws, seed, cards(&ws).await);
        ws.submit_all(operations.clone()).await;
        let job = latest(vec![card("c3").create()]);
        let job_receipt = ws.submit(job.clone()).await;
        let read = async |ws: &Workspace| {
            let head = ws.head().await;
            let changes = Feed::open(ws, Kind::Subscribe, None).await.until(head.seq_inclusive).await;
            let records = [ws.record("c1").await, ws.record("c2").await, ws.record("p1").await];
            let mut conflicts = Vec::new();
            for id in ws.inbox_of_all().await {
                conflicts.push(ws.conflict(&id).await);
            }
            let outcomes = ws.receipts_of(dots(&operations), vec![job_receipt.request_id.clone()]).await;
            (head, changes, records, conflicts, outcomes, ws.schema().await)
        };
        let before = read(&ws).await;
        for _ in 0..2 {
            server.restart().await;
            let ws = server.existing("w").await;
            assert_eq!(read(&ws).await, before, "seed {seed}");
            let again = ws.submit_all(operations.clone()).await;
            for (receipt, outcome) in again.iter().zip(&before.4) {
                assert_eq!(duplicate(receipt), *outcome, "seed {seed}");
            }
            assert_eq!(duplicate(&ws.submit(job.clone()).await), job_receipt, "seed {seed}");
            assert_eq!(ws.head().await, before.0, "seed {seed}");
        }
    }
}

#[tokio::test]
async fn the_hash_chain_is_what_a_client_computes_itself() {
    let mut server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let operations = script(&ws, 21, cards(&ws).await);
    ws.submit_all(operations).await;
    server.restart().await;
    let ws = server.existing("w").await;
    ws.write(vec![card("c1").set("title", "after a restart")]).await;
    let head = ws.head().await;
    let mut computed = CHAIN_START;
    for change in Feed::open(&ws, Kind::Watch, None).await.until(head.seq_inclusive).await {
        let operation = Hash::try_from(change.operation_hash.as_ref()).expect("16 bytes");
        computed = chain(&computed, &operation);
        assert_eq!(change.chain.as_ref(), computed, "at {}", change.seq);
    }
    assert_eq!(head.chain.as_ref(), computed);
}

#[tokio::test]
async fn the_hash_of_an_operation_is_of_its_content_and_its_salt() {
    // Two workspaces: the content is the same, and so is the dot, but each has its own secret.
    let server = TestServer::start().await;
    let mut hashes = Vec::new();
    for id in ["one", "two"] {
        let ws = server.workspace(id).await;
        let operation = |request_id: &str, record_id: &str| pb::Operation {
            identity: Some(pb::operation::Identity::RequestId(request_id.to_owned())),
            ..latest(vec![card(record_id).create()])
        };
        ws.apply(operation("r1", "c1")).await;
        ws.apply(operation("r2", "c1x")).await;
        let changes = Feed::open(&ws, Kind::Watch, None).await.until(2).await;
        for (change, (request_id, record_id)) in changes.iter().zip([("r1", "c1"), ("r2", "c1x")]) {
            let sent = operation_from_pb(operation(request_id, record_id)).expect("an operation");
            let salt = Hash::try_from(change.hash_salt.as_ref()).expect("16 bytes");
            let expected = operation_hash(&salt, &sent.content_hash());
            assert_eq!(change.operation_hash.as_ref(), expected);
        }
        hashes.extend(changes.into_iter().map(|c| c.operation_hash));
    }
    let distinct: std::collections::BTreeSet<_> = hashes.iter().collect();
    assert_eq!(distinct.len(), 4);
}

#[tokio::test]
async fn who_is_not_sent_all_of_a_change_is_not_sent_its_salt() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    ws.write(vec![card("c1").create(), person("p1").create()]).await;
    ws.write(vec![card("c2").create()]).await;
    for (ids, has_salts) in [
        (vec!["cards"], vec![false, true]),
        (vec!["cards", "people"], vec![true, true]),
        (vec!["people"], vec![false]),
    ] {
        let changes = Feed::filtered(&ws, Kind::Watch, None, only(&ids)).await.until(2).await;
        let told: Vec<bool> = changes.iter().map(|c| !c.hash_salt.is_empty()).collect();
        assert_eq!(told, has_salts, "{ids:?}");
    }
}

#[tokio::test]
async fn a_restart_keeps_held_operations_and_releases_them_later() {
    let mut server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = cards(&ws).await;
    let mut ada = ws.replica(1, "ada").having_seen(base);
    let mut bob = ws.replica(2, "bob").having_seen(base);
    let lost = ada.op(vec![card("c1").set("title", "first")]);
    let second = ada.op(vec![card("c1").set("title", "second")]);
    let dependent =
        pb::Operation { depends_on: vec![ada.last()], ..bob.op(vec![card("c1").set("status", "third")]) };
    let waiting = pb::Operation { await_records: true, ..bob.op(vec![card("c9").set("title", "fourth")]) };
    let before = ws.submit_all(vec![second.clone(), dependent.clone(), waiting.clone()]).await;
    for receipt in &before {
        held(receipt);
    }
    for _ in 0..2 {
        server.restart().await;
        let ws = server.existing("w").await;
        assert_eq!(ws.receipts(vec![ada.dot(2), bob.dot(1), bob.dot(2)]).await, before);
        assert_eq!(ws.submit_all(vec![second.clone(), dependent.clone(), waiting.clone()]).await, before);
        assert_eq!(ws.head_seq().await, base);
    }
    let ws = server.existing("w").await;
    assert_eq!(ws.apply(lost).await, base + 1);
    let released = ws.receipts(vec![ada.dot(2), bob.dot(1)]).await;
    assert_eq!(released.iter().map(settled).collect::<Vec<_>>(), [base + 2, base + 3]);
    let still = ws.receipts(vec![bob.dot(2)]).await.remove(0);
    assert_eq!(held(&still).missing, Some(pb::held::Missing::RecordId("c9".to_owned())));
    server.restart().await;
    let ws = server.existing("w").await;
    let created = ws.write(vec![card("c9").create()]).await;
    assert_eq!(settled(&ws.receipts(vec![bob.dot(2)]).await[0]), created + 1);
    let record = ws.record("c1").await;
    assert_eq!(register(&record, "title"), "second".into_value());
    assert_eq!(register(&record, "status"), "third".into_value());
}

#[tokio::test]
async fn a_chain_of_held_operations_is_released_as_a_whole_in_causal_order() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = cards(&ws).await;
    // Each waits for the one before, by other authors in turn.
    let mut authors: Vec<Replica> = (1..=4).map(|n| ws.replica(n, "").having_seen(base)).collect();
    let mut operations: Vec<pb::Operation> = Vec::new();
    let mut previous: Option<pb::Dot> = None;
    for n in 0..40 {
        let author = &mut authors[n % 4];
        let operation = author.op(vec![card("c1").set("title", n as i64)]);
        let extras = previous.iter().filter(|dot| dot.replica_id != author.id).cloned().collect();
        let context = pb::CausalContext { extras, ..author.context.clone() };
        previous = Some(author.last());
        operations
            .push(pb::Operation { knowledge: Some(pb::operation::Knowledge::Context(context)), ..operation });
    }
    let first = operations.remove(0);
    for receipt in ws.submit_all(operations.iter().rev().cloned().collect()).await {
        held(&receipt);
    }
    ws.apply(first).await;
    let positions: Vec<u64> = ws.receipts(dots(&operations)).await.iter().map(settled).collect();
    assert_eq!(positions, (base + 2..base + 41).collect::<Vec<_>>());
    assert_eq!(register(&ws.record("c1").await, "title"), 39.into_value());
    assert!(ws.inbox().await.is_empty(), "each knew the one before");
}

#[tokio::test]
async fn what_one_client_was_told_is_settled_another_one_reads_at_once() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    cards(&ws).await;
    let elsewhere = server.existing("w").await;
    let mut feed = Feed::open(&elsewhere, Kind::Subscribe, Some(ws.head().await)).await;
    let mut ada = ws.replica(1, "ada");
    for n in 0..25_i64 {
        let seq = settled(&ws.submit(ada.op(vec![card("c1").set("title", n)])).await);
        assert_eq!(elsewhere.head_seq().await, seq);
        let (record, context) = elsewhere.read("c1").await;
        assert_eq!((register(&record, "title"), context.base_seq), (n.into_value(), seq));
        let told = original(&elsewhere.receipts(vec![ada.last()]).await[0]);
        assert_eq!(settled(&told), seq);
        assert_eq!(feed.until(seq).await.last().map(|c| c.seq), Some(seq));
    }
}

#[tokio::test]
async fn both_stores_give_the_same_history_for_the_same_operations() {
    let mut folded = Vec::new();
    for server in [TestServer::start().await, TestServer::in_memory().await] {
        let ws = server.workspace("w").await;
        for operation in script(&ws, 31, cards(&ws).await) {
            ws.submit(operation).await;
        }
        let head = ws.head_seq().await;
        let changes = Feed::open(&ws, Kind::Watch, None).await.until(head).await;
        let mut model = Model::default();
        changes.iter().for_each(|c| model.apply(c));
        for id in ["c1", "c2", "p1"] {
            model.agrees_with(&ws.record(id).await);
        }
        let effects: Vec<_> = changes.into_iter().map(|c| (c.seq, c.dot, c.effects, c.outcome)).collect();
        folded.push(effects);
    }
    assert_eq!(folded[0], folded[1]);
}

#[tokio::test]
async fn many_clients_that_write_at_once_get_every_position_once() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = cards(&ws).await;
    let mut tasks = Vec::new();
    for n in 1..=8 {
        let ws = server.existing("w").await;
        tasks.push(tokio::spawn(async move {
            let mut author = ws.replica(n, "");
            let mut positions = Vec::new();
            for _ in 0..25 {
                let operations = (0..4).map(|_| author.op(vec![card("c1").increment("votes", 1)])).collect();
                positions.extend(ws.submit_all(operations).await.iter().map(settled));
            }
            assert!(positions.is_sorted(), "an author's own order");
            positions
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(crate::harness::within("a client", task).await.expect("no panic"));
    }
    all.sort_unstable();
    assert_eq!(all, (base + 1..=base + 800).collect::<Vec<_>>());
    assert_eq!(state(&ws.record("c1").await, "votes"), pb::field_state::State::Counter(800));
}

#[tokio::test]
async fn a_rejected_operation_stays_rejected_after_a_restart() {
    let mut server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut ada = ws.replica(1, "ada");
    let poisonous = ada.op(vec![card("c1").set("title", f64::NAN)]);
    let lost = ada.op(vec![card("c1").create()]);
    let late = ada.op(vec![card("c1").create()]);
    let first = ws.submit(poisonous.clone()).await;
    rejected(&first, Reason::InvalidValue);
    waits_for(&ws.submit(late).await, &ada.dot(2));
    ws.abandon(ada.dot(2)).await.expect("given up");
    drop(lost);
    server.restart().await;
    let ws = server.existing("w").await;
    assert_eq!(duplicate(&ws.submit(poisonous).await), first);
    let stored = ws.receipts(vec![ada.dot(1), ada.dot(2), ada.dot(3)]).await;
    assert_eq!(stored[0], first);
    rejected(&stored[1], Reason::Abandoned);
    assert_eq!(applied(&stored[2]), 1);
}
