//! Callers without a replica (jobs, agents, scripts): request ids, several writes on one reading, calls that settle as a
//! whole.

use crate::harness::ops::{card, on};
use crate::harness::receipts::{
    applied, duplicate, held, one_conflict, refused, refused_for_now, settled, unknown,
};
use crate::harness::workspace::{collection, field, knowing, latest, register, request_id, state};
use crate::harness::{Feed, IntoValue as _, Kind, Reason, TestServer, Workspace, pb};

/// The operation after the job's own earlier ones.
fn after(earlier: &[&pb::Receipt], operation: pb::Operation) -> pb::Operation {
    let after_request_ids = earlier.iter().map(|receipt| receipt.request_id.clone()).collect();
    pb::Operation { after_request_ids, ..operation }
}

/// A workspace with one card.
async fn with_a_card(server: &TestServer) -> Workspace {
    let ws = server.workspace("w").await;
    ws.write(vec![card("c1").create_with([("title", "as it was".into_value())])]).await;
    ws
}

#[tokio::test]
async fn a_job_that_writes_twice_on_one_reading_does_not_clash_with_itself() {
    let server = TestServer::start().await;
    let ws = with_a_card(&server).await;
    let (_, context) = ws.read("c1").await;
    let title = |title: &str| knowing(&context, vec![card("c1").set("title", title)]);
    let first = ws.submit(title("draft")).await;
    applied(&first);
    let second = ws.submit(after(&[&first], title("better"))).await;
    applied(&second);
    assert_eq!(register(&ws.record("c1").await, "title"), "better".into_value());
    assert!(ws.inbox().await.is_empty());
    // Without saying so it would: that is what two jobs look like.
    let (_, again) = ws.read("c1").await;
    applied(&ws.submit(knowing(&again, vec![card("c1").set("title", "x")])).await);
    one_conflict(&ws.submit(knowing(&again, vec![card("c1").set("title", "y")])).await);
}

#[tokio::test]
async fn a_job_that_writes_twice_still_clashes_with_somebody_who_wrote_in_between() {
    let server = TestServer::start().await;
    let ws = with_a_card(&server).await;
    let (_, context) = ws.read("c1").await;
    let title = |title: &str| knowing(&context, vec![card("c1").set("title", title)]);
    let first = ws.submit(title("draft")).await;
    let seen = applied(&first);
    // Another job of about the same time, and a person, on fields of their own.
    applied(&ws.submit(knowing(&context, vec![card("c1").set("status", "by another job")])).await);
    let mut ada = ws.replica(1, "ada").having_seen(seen);
    let by_ada = settled(&ws.submit(ada.op(vec![card("c1").set("title", "ada's")])).await);
    let second = ws.submit(after(&[&first], title("better"))).await;
    let conflict = ws.conflict(&one_conflict(&second)).await;
    let sides: Vec<u64> = conflict.alternatives.iter().map(|a| a.seq).collect();
    assert_eq!(sides, [by_ada, settled(&second)], "the first draft is no side of it");
    // The last one stands for what it knew; the other job's write was never known.
    let third = after(&[&second], knowing(&context, vec![card("c1").set("status", "mine")]));
    one_conflict(&ws.submit(third).await);
}

#[tokio::test]
async fn a_job_edits_a_text_twice_in_the_text_as_it_left_it() {
    let server = TestServer::start().await;
    let ws = with_a_card(&server).await;
    ws.write(vec![card("c1").edit("notes", &[(0, 0, "one three")])]).await;
    let (_, context) = ws.read("c1").await;
    let edit = |hunk| knowing(&context, vec![card("c1").edit("notes", &[hunk])]);
    let first = ws.submit(edit((4, 0, "two "))).await;
    settled(&first);
    ws.write(vec![card("c1").edit("notes", &[(0, 0, "zero ")])]).await;
    // "one two three" is what the job has before it.
    let second = ws.submit(after(&[&first], edit((13, 0, " four")))).await;
    settled(&second);
    let replaced = knowing(&context, vec![card("c1").replace("notes", "one two three four!")]);
    settled(&ws.submit(after(&[&second], replaced)).await);
    assert_eq!(ws.text("c1", "notes").await, "zero one two three four!");
    assert!(ws.inbox().await.is_empty());
}

#[tokio::test]
async fn a_job_can_only_name_what_was_accepted_and_what_it_had_read_before() {
    let server = TestServer::start().await;
    let ws = with_a_card(&server).await;
    let (_, context) = ws.read("c1").await;
    let write = || knowing(&context, vec![card("c1").set("title", "x")]);
    let never = pb::Operation { after_request_ids: vec!["never".to_owned()], ..write() };
    refused(&ws.submit(never).await, Reason::InvalidContext);
    let failed = ws.submit(knowing(&context, vec![card("c9").set("title", "x")])).await;
    refused(&failed, Reason::RecordNotFound);
    refused(&ws.submit(after(&[&failed], write())).await, Reason::InvalidContext);
    // A write that knew everything stands for more than this reading showed.
    ws.write(vec![card("c1").set("status", "new")]).await;
    let later = ws.submit(latest(vec![card("c1").set("status", "open")])).await;
    refused(&ws.submit(after(&[&later], write())).await, Reason::InvalidContext);
    let (_, context) = ws.read("c1").await;
    let informed = after(&[&later], knowing(&context, vec![card("c1").set("status", "done")]));
    applied(&ws.submit(informed).await);
    let mut ada = ws.replica(1, "ada").having_seen(1);
    let by_dot = after(&[&later], ada.op(vec![card("c1").set("title", "x")]));
    let receipt = ws.submit(by_dot).await;
    crate::harness::receipts::rejected(&receipt, Reason::InvalidContext);
}

#[tokio::test]
async fn what_was_refused_is_put_right_and_sent_again_under_the_same_request_id() {
    let server = TestServer::start().await;
    let ws = with_a_card(&server).await;
    let early = latest(vec![card("c1").set("title", "x"), card("c1").set("colour", "red")]);
    for _ in 0..2 {
        let receipt = ws.submit(early.clone()).await;
        let found = refused(&receipt, Reason::UndeclaredField);
        assert_eq!((found.mutation_index, found.expected_counter), (Some(1), 0));
        assert_eq!(receipt.dot, None);
        assert_eq!(unknown(&ws.receipts_of(vec![], vec![receipt.request_id.clone()]).await[0]), 0);
    }
    let more = collection([("colour", field(pb::FieldKind::Register))]);
    ws.update_schema(pb::Schema { strict: None, collections: [("cards".to_owned(), more)].into() }).await;
    let receipt = ws.submit(early.clone()).await;
    assert_eq!(applied(&receipt), 2);
    assert_eq!(duplicate(&ws.submit(early.clone()).await), receipt);
    // The content may be put right as well: nothing is remembered of the one that was refused.
    let id = request_id();
    let identity = || Some(pb::operation::Identity::RequestId(id.clone()));
    let wrong = pb::Operation { identity: identity(), ..latest(vec![card("c1").increment("title", 1)]) };
    refused(&ws.submit(wrong).await, Reason::KindMismatch);
    let right = pb::Operation { identity: identity(), ..latest(vec![card("c1").increment("votes", 1)]) };
    assert_eq!(applied(&ws.submit(right).await), 3);
}

#[tokio::test]
async fn an_answer_counts_how_its_operations_ended() {
    let server = TestServer::start().await;
    let ws = with_a_card(&server).await;
    let (mut ada, mut bob) = (ws.replica(1, "ada").having_seen(1), ws.replica(2, "bob").having_seen(1));
    let first = ada.op(vec![card("c1").set("title", "a")]);
    let operations = vec![
        first.clone(),
        bob.op(vec![card("c1").set("title", "b")]),
        ada.op(vec![card("c1").increment("votes", 1)]),
        bob.op(vec![card("c1").increment("votes", 1)]),
        first,
        bob.op(vec![card("c9").delete()]),
        ada.op_at(9, vec![card("c1").delete()]),
        latest(vec![card("c9").delete()]),
    ];
    let response = ws.try_submit(operations).await.expect("an answer");
    let counts = pb::OutcomeCounts {
        applied_count: 3,
        merged_count: 1,
        conflicted_count: 1,
        held_count: 1,
        rejected_count: 1,
        not_settled_count: 1,
        duplicate_count: 1,
    };
    assert_eq!(response.counts, Some(counts), "{:?}", response.receipts);
}

/// Nothing is known of an operation, and its replica's next counter is this.
async fn nothing_is_stored(ws: &Workspace, replica: &crate::harness::Replica, counter: u64) {
    for receipt in ws.receipts((counter..counter + 3).map(|c| replica.dot(c)).collect()).await {
        assert_eq!(unknown(&receipt), counter);
    }
}

async fn settles_as_a_whole_or_not_at_all(server: TestServer) {
    let ws = with_a_card(&server).await;
    let mut ada = ws.replica(1, "ada").having_seen(1);
    let call = vec![
        ada.op(vec![card("c2").create()]),
        ada.op(vec![card("c2").set("title", "second")]),
        latest(vec![card("c1").increment("votes", 1)]),
        ada.op(vec![card("c9").set("title", "nowhere")]),
        latest(vec![card("c1").increment("votes", 1)]),
    ];
    let head = ws.head().await;
    let response = ws.submit_together(call.clone()).await;
    for (index, receipt) in response.receipts.iter().enumerate() {
        if index == 3 {
            let found = refused_for_now(receipt, Reason::RecordNotFound);
            assert_eq!((found.mutation_index, found.expected_counter), (Some(0), 1));
        } else {
            assert_eq!(refused(receipt, Reason::NotAllSettled).metadata["operation_index"], "3");
        }
    }
    let counts = pb::OutcomeCounts { not_settled_count: 5, ..Default::default() };
    assert_eq!((response.counts, response.head_seq), (Some(counts), 1));
    assert_eq!(ws.head().await, head, "nothing is stored");
    nothing_is_stored(&ws, &ada, 1).await;
    assert!(ws.try_read("c2").await.is_err());

    // Put right, under the same identities, it settles at adjacent positions, whoever was waiting for a part of it.
    let mut bob = ws.replica(2, "bob").having_seen(1);
    let waiting =
        pb::Operation { depends_on: vec![ada.dot(1)], ..bob.op(vec![card("c1").increment("votes", 5)]) };
    held(&ws.submit(waiting.clone()).await);
    let mut right = call;
    right[3] = ada.op_at(3, vec![card("c2").set("status", "somewhere")]);
    let response = ws.submit_together(right.clone()).await;
    let positions: Vec<u64> = response.receipts.iter().map(settled).collect();
    assert_eq!(positions, [2, 3, 4, 5, 6]);
    assert_eq!(duplicate_position(&ws.submit(waiting).await), 7, "who waited comes after the whole");
    assert_eq!(state(&ws.record("c1").await, "votes"), pb::field_state::State::Counter(7));

    // Sent again, all of it is there already, and may come with something new; that fails alone.
    let again = ws.submit_together(right.clone()).await;
    assert_eq!(again.counts.map(|c| (c.duplicate_count, c.not_settled_count)), Some((5, 0)));
    let mut more = right;
    more.push(latest(vec![on("cards", "c1").create()]));
    let response = ws.submit_together(more).await;
    assert_eq!(response.counts.map(|c| (c.duplicate_count, c.not_settled_count)), Some((5, 1)));
    refused(&response.receipts[5], Reason::RecordExists);

    // What cannot settle yet does not settle with others.
    let gap = vec![latest(vec![card("c1").increment("votes", 1)]), ada.op_at(9, vec![card("c1").delete()])];
    let response = ws.submit_together(gap).await;
    refused(&response.receipts[0], Reason::NotAllSettled);
    refused_for_now(&response.receipts[1], Reason::InvalidContext);
    nothing_is_stored(&ws, &ada, 4).await;
    assert_eq!(ws.head_seq().await, 7);
}

fn duplicate_position(receipt: &pb::Receipt) -> u64 {
    settled(&duplicate(receipt))
}

#[tokio::test]
async fn a_call_settles_as_a_whole_or_not_at_all() {
    settles_as_a_whole_or_not_at_all(TestServer::start().await).await;
}

#[tokio::test]
async fn a_call_settles_as_a_whole_or_not_at_all_in_memory() {
    settles_as_a_whole_or_not_at_all(TestServer::in_memory().await).await;
}

#[tokio::test]
async fn a_call_settles_as_a_whole_or_not_at_all_on_postgres() {
    let database = crate::harness::postgres::Database::create().await;
    settles_as_a_whole_or_not_at_all(TestServer::with(&[("database.url", &database.url())]).await).await;
}

#[tokio::test]
async fn the_largest_call_settles_as_a_whole_while_others_write() {
    let server = TestServer::start().await;
    let ws = with_a_card(&server).await;
    let mut ada = ws.replica(1, "ada").having_seen(1);
    let mut whole: Vec<_> = (0..1_000).map(|_| ada.op(vec![card("c1").increment("votes", 1)])).collect();
    // The last one fails, when everything before it was ready to be written.
    let last = whole.pop();
    whole.push(latest(vec![card("c9").delete()]));
    let response = ws.submit_together(whole.clone()).await;
    assert_eq!(response.counts.map(|c| c.not_settled_count), Some(1_000));
    nothing_is_stored(&ws, &ada, 1).await;
    whole.splice(999.., last);
    let others = async {
        for _ in 0..20 {
            ws.write(vec![card("c1").increment("votes", 1)]).await;
        }
    };
    let (response, ()) = tokio::join!(ws.submit_together(whole), others);
    let positions: Vec<u64> = response.receipts.iter().map(settled).collect();
    assert!(positions.windows(2).all(|pair| pair[1] == pair[0] + 1), "not adjacent");
    let head = ws.head_seq().await;
    assert_eq!(head, 1 + 1_000 + 20);
    assert_eq!(Feed::open(&ws, Kind::Watch, None).await.until(head).await.len() as u64, head);
    assert_eq!(state(&ws.record("c1").await, "votes"), pb::field_state::State::Counter(1_020));
}
