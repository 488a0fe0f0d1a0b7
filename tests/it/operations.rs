//! OperationService: every outcome a receipt can have, and that it stays.

use crate::harness::ops::{assign, card, observed, person, reopen, resolving};
use crate::harness::receipts::{
    applied, conflicted, duplicate, held, merged, one_conflict, original, refused, rejected, settled,
    unknown, waits_for,
};
use crate::harness::workspace::{latest, register, request_id, state};
use crate::harness::{IntoValue as _, Reason, TestServer, fails, pb};

#[tokio::test]
async fn an_operation_is_applied_at_the_next_position_and_comes_back_with_its_labels() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut ada = ws.replica(1, "ada");
    let first = pb::Operation { correlation_id: "trace-1".to_owned(), ..ada.op(vec![card("c1").create()]) };
    let response = ws.try_submit(vec![first]).await.expect("an answer");
    assert_eq!((applied(&response.receipts[0]), response.head_seq), (1, 1));
    assert_eq!(response.receipts[0].dot, Some(ada.last()));
    assert_eq!(response.receipts[0].correlation_id, "trace-1");
    assert_eq!(ws.apply(ada.op(vec![card("c1").set("title", "one")])).await, 2);
    assert_eq!(register(&ws.record("c1").await, "title"), "one".into_value());
}

#[tokio::test]
async fn a_thousand_operations_of_one_call_settle_in_their_order() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut ada = ws.replica(1, "ada");
    let mut operations = vec![ada.op(vec![card("c1").create()])];
    operations.extend((1..1_000).map(|_| ada.op(vec![card("c1").increment("votes", 1)])));
    let receipts = ws.submit_all(operations).await;
    let positions: Vec<u64> = receipts.iter().map(applied).collect();
    assert_eq!(positions, (1..=1_000).collect::<Vec<_>>());
    assert_eq!(state(&ws.record("c1").await, "votes"), pb::field_state::State::Counter(999));
}

#[tokio::test]
async fn concurrent_edits_of_different_fields_of_a_card_merge_without_a_conflict() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create()]).await;
    let mut ada = ws.replica(1, "ada").having_seen(base);
    let mut bob = ws.replica(2, "bob").having_seen(base);
    settled(&ws.submit(ada.op(vec![card("c1").set("title", "by ada")])).await);
    settled(&ws.submit(bob.op(vec![card("c1").set("status", "by bob")])).await);
    let record = ws.record("c1").await;
    assert_eq!(register(&record, "title"), "by ada".into_value());
    assert_eq!(register(&record, "status"), "by bob".into_value());
    assert!(ws.inbox().await.is_empty());
}

#[tokio::test]
async fn concurrent_increments_are_merged_and_add_up() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create()]).await;
    let mut ada = ws.replica(1, "ada").having_seen(base);
    let mut bob = ws.replica(2, "bob").having_seen(base);
    applied(&ws.submit(ada.op(vec![card("c1").increment("votes", 3)])).await);
    merged(&ws.submit(bob.op(vec![card("c1").increment("votes", -1)])).await);
    assert_eq!(state(&ws.record("c1").await, "votes"), pb::field_state::State::Counter(2));
}

#[tokio::test]
async fn concurrent_edits_of_one_text_in_different_places_merge() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create(), card("c1").replace("notes", "the quick fox")]).await;
    let mut ada = ws.replica(1, "ada").having_seen(base);
    let mut bob = ws.replica(2, "bob").having_seen(base);
    applied(&ws.submit(ada.op(vec![card("c1").edit("notes", &[(0, 3, "a")])])).await);
    merged(&ws.submit(bob.op(vec![card("c1").edit("notes", &[(13, 0, " jumps 🦊")])])).await);
    assert_eq!(ws.text("c1", "notes").await, "a quick fox jumps 🦊");
}

#[tokio::test]
async fn concurrent_adds_win_over_removes_of_a_set() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let red = || vec!["red".into_value()];
    let base = ws.write(vec![card("c1").create(), card("c1").add("tags", red())]).await;
    let mut ada = ws.replica(1, "ada").having_seen(base);
    let mut bob = ws.replica(2, "bob").having_seen(base);
    settled(&ws.submit(ada.op(vec![card("c1").add("tags", red())])).await);
    settled(&ws.submit(bob.op(vec![card("c1").clear("tags")])).await);
    let expected = pb::ElementList { values: red() };
    assert_eq!(state(&ws.record("c1").await, "tags"), pb::field_state::State::Elements(expected));
    let seen = ws.head_seq().await;
    bob.saw(seen);
    settled(&ws.submit(bob.op(vec![card("c1").remove("tags", red())])).await);
    let empty = pb::ElementList { values: vec![] };
    assert_eq!(state(&ws.record("c1").await, "tags"), pb::field_state::State::Elements(empty));
}

#[tokio::test]
async fn two_values_for_one_field_conflict_and_both_are_kept() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create()]).await;
    let mut ada = ws.replica(1, "ada").having_seen(base);
    let mut bob = ws.replica(2, "bob").having_seen(base);
    let first = applied(&ws.submit(ada.op(vec![card("c1").set("title", "mine")])).await);
    let (second, conflicts) = conflicted(&ws.submit(bob.op(vec![card("c1").set("title", "yours")])).await);
    let record = ws.record("c1").await;
    assert_eq!(record.live_conflict_ids, conflicts);
    let field = &record.fields["title"];
    assert_eq!(field.state, Some(pb::field_state::State::RegisterValue("mine".into_value())));
    let candidates: Vec<_> =
        field.candidates.iter().map(|c| (c.seq, c.dot.clone(), c.value.clone())).collect();
    assert_eq!(
        candidates,
        [
            (first, Some(ada.last()), Some("mine".into_value())),
            (second, Some(bob.last()), Some("yours".into_value())),
        ]
    );
}

#[tokio::test]
async fn an_operation_before_its_predecessor_is_held_and_released_by_it() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut ada = ws.replica(1, "ada");
    let first = ada.op(vec![card("c1").create()]);
    let second = ada.op(vec![card("c1").set("title", "late")]);
    let third = ada.op(vec![card("c1").set("status", "later")]);

    let receipts = ws.submit_all(vec![third.clone(), second.clone()]).await;
    waits_for(&receipts[0], &ada.dot(2));
    waits_for(&receipts[1], &ada.dot(1));
    assert_eq!(held(&receipts[1]).expected_counter, 1);
    assert_eq!(ws.head_seq().await, 0);
    // Asking, and submitting again, change nothing.
    assert_eq!(ws.receipts(vec![ada.dot(3), ada.dot(2)]).await, receipts);
    assert_eq!(ws.submit_all(vec![third.clone(), second.clone()]).await, receipts);

    assert_eq!(ws.apply(first).await, 1);
    let stored = ws.receipts(vec![ada.dot(1), ada.dot(2), ada.dot(3)]).await;
    assert_eq!(stored.iter().map(applied).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(duplicate(&ws.submit(second).await), stored[1]);
    assert_eq!(duplicate(&ws.submit(third).await), stored[2]);
    assert_eq!(ws.head_seq().await, 3);
}

#[tokio::test]
async fn an_operation_waits_for_what_its_author_had_heard_of() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create()]).await;
    let mut ada = ws.replica(1, "ada").having_seen(base);
    let mut bob = ws.replica(2, "bob").having_seen(base);
    let by_ada = ada.op(vec![card("c1").set("title", "ada")]);
    // Bob got it from Ada directly and writes on top of it.
    bob.heard_of(ada.last());
    let receipt = ws.submit(bob.op(vec![card("c1").set("title", "bob")])).await;
    waits_for(&receipt, &ada.last());
    let seq = ws.apply(by_ada).await;
    let released = ws.receipts(vec![bob.last()]).await;
    assert_eq!(applied(&released[0]), seq + 1, "known, so that it is no conflict");
    assert_eq!(register(&ws.record("c1").await, "title"), "bob".into_value());
}

#[tokio::test]
async fn an_operation_waits_for_its_further_dependencies() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create()]).await;
    let mut ada = ws.replica(1, "ada").having_seen(base);
    let mut bob = ws.replica(2, "bob").having_seen(base);
    let by_ada = ada.op(vec![card("c1").set("title", "ada")]);
    let by_bob = pb::Operation {
        depends_on: vec![ada.last()],
        ..bob.op(vec![card("c1").set("status", "after ada's")])
    };
    waits_for(&ws.submit(by_bob).await, &ada.last());
    let seq = ws.apply(by_ada).await;
    assert_eq!(settled(&ws.receipts(vec![bob.last()]).await[0]), seq + 1);
}

#[tokio::test]
async fn what_depends_on_a_rejected_operation_is_rejected() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut ada = ws.replica(1, "ada");
    let mut bob = ws.replica(2, "bob");
    let poisonous = ada.op(vec![card("nowhere").set("title", "x")]);
    let dependent = pb::Operation { depends_on: vec![ada.last()], ..bob.op(vec![card("c1").create()]) };
    waits_for(&ws.submit(dependent).await, &ada.last());
    rejected(&ws.submit(poisonous).await, Reason::RecordNotFound);
    let receipt = ws.receipts(vec![bob.last()]).await.remove(0);
    let metadata = &rejected(&receipt, Reason::DependencyRejected).metadata;
    assert_eq!((&metadata["replica_id"], metadata["counter"].as_str()), (&ada.id, "1"));
}

#[tokio::test]
async fn what_builds_on_a_record_whose_creation_was_rejected_is_rejected() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut ada = ws.replica(1, "ada");
    let receipts = ws
        .submit_all(vec![
            ada.op(vec![card("c1").create(), card("c1").set("colour", "red")]),
            ada.op(vec![card("c1").set("title", "x")]),
        ])
        .await;
    assert_eq!(rejected(&receipts[0], Reason::UndeclaredField).mutation_index, Some(1));
    rejected(&receipts[1], Reason::DependencyRejected);
    fails(ws.try_read("c1").await, Reason::RecordNotFound);
}

#[tokio::test]
async fn an_operation_that_awaits_a_record_is_held_until_the_record_is_created() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut ada = ws.replica(1, "ada");
    let mut bob = ws.replica(2, "bob");
    let waiting = pb::Operation { await_records: true, ..ada.op(vec![card("c1").set("title", "x")]) };
    let receipt = ws.submit(waiting).await;
    assert_eq!(held(&receipt).missing, Some(pb::held::Missing::RecordId("c1".to_owned())));
    assert_eq!(ws.apply(bob.op(vec![card("c1").create()])).await, 1);
    let released = ws.receipts(vec![ada.last()]).await;
    assert_eq!(settled(&released[0]), 2);
    assert_eq!(register(&ws.record("c1").await, "title"), "x".into_value());
    // The target of a link as well.
    let link = pb::Operation { await_records: true, ..ada.op(vec![card("c1").link("owner", "p1")]) };
    let receipt = ws.submit(link).await;
    assert_eq!(held(&receipt).missing, Some(pb::held::Missing::RecordId("p1".to_owned())));
    assert_eq!(ws.apply(bob.op(vec![person("p1").create()])).await, 3);
    assert_eq!(settled(&ws.receipts(vec![ada.last()]).await[0]), 4);
}

#[tokio::test]
async fn without_awaiting_an_unknown_record_is_refused_for_good() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut ada = ws.replica(1, "ada");
    let operation = ada.op(vec![card("c1").set("title", "x")]);
    let receipt = ws.submit(operation.clone()).await;
    let found = rejected(&receipt, Reason::RecordNotFound);
    assert_eq!((found.metadata["record_id"].as_str(), found.mutation_index), ("c1", Some(0)));
    ws.write(vec![card("c1").create()]).await;
    assert_eq!(duplicate(&ws.submit(operation).await), receipt, "terminal, though it would do now");
}

#[tokio::test]
async fn every_settled_outcome_is_returned_again_as_a_duplicate() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create()]).await;
    let mut ada = ws.replica(1, "ada").having_seen(base);
    let mut bob = ws.replica(2, "bob").having_seen(base);
    let operations = vec![
        ada.op(vec![card("c1").set("title", "a")]),
        bob.op(vec![card("c1").set("title", "b")]),
        ada.op(vec![card("c1").increment("votes", 1)]),
        bob.op(vec![card("c1").increment("votes", 1)]),
        bob.op(vec![card("c2").delete()]),
    ];
    let first = ws.submit_all(operations.clone()).await;
    applied(&first[0]);
    conflicted(&first[1]);
    applied(&first[2]);
    merged(&first[3]);
    rejected(&first[4], Reason::RecordNotFound);
    let head = ws.head().await;
    for _ in 0..2 {
        let again = ws.submit_all(operations.iter().rev().cloned().collect()).await;
        assert_eq!(again.iter().rev().map(duplicate).collect::<Vec<_>>(), first);
    }
    assert_eq!(ws.head().await, head, "nothing was applied twice");
    let dots = first.iter().map(|r| r.dot.clone().expect("a dot")).collect();
    assert_eq!(ws.receipts(dots).await, first);
}

#[tokio::test]
async fn a_rejected_operation_uses_up_its_counter_and_no_position() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut ada = ws.replica(1, "ada");
    let receipts = ws
        .submit_all(vec![
            ada.op(vec![card("c1").create()]),
            ada.op(vec![card("c1").set("title", "kept out"), card("gone").delete()]),
            ada.op(vec![card("c1").set("status", "next")]),
        ])
        .await;
    assert_eq!(applied(&receipts[0]), 1);
    assert_eq!(rejected(&receipts[1], Reason::RecordNotFound).mutation_index, Some(1));
    assert_eq!(applied(&receipts[2]), 2, "later counters go on");
    assert!(!ws.record("c1").await.fields.contains_key("title"), "all or nothing");
}

#[tokio::test]
async fn a_lost_counter_can_be_abandoned_so_that_later_ones_go_on() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut ada = ws.replica(1, "ada");
    let _lost = ada.op(vec![card("c0").create()]);
    waits_for(&ws.submit(ada.op(vec![card("c1").create()])).await, &ada.dot(1));

    let fault = fails(ws.abandon(ada.dot(2)).await, Reason::CounterNotNext);
    assert_eq!(fault.metadata["expected_counter"], "1");
    let given_up = ws.abandon(ada.dot(1)).await.expect("given up");
    rejected(&given_up, Reason::Abandoned);
    assert_eq!(given_up.dot, Some(ada.dot(1)));
    assert_eq!(applied(&ws.receipts(vec![ada.dot(2)]).await[0]), 1);
    // Again: nothing changes.
    let again = ws.abandon(ada.dot(1)).await.expect("idempotent");
    rejected(&original(&again), Reason::Abandoned);
    rejected(&ws.receipts(vec![ada.dot(1)]).await[0], Reason::Abandoned);
    assert_eq!(ws.head_seq().await, 1);
}

#[tokio::test]
async fn an_abandoned_operation_that_turns_up_again_has_no_effect() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut ada = ws.replica(1, "ada");
    let lost = ada.op(vec![card("c0").create()]);
    ws.abandon(ada.dot(1)).await.expect("given up");
    let found = ws.submit(lost).await;
    assert_eq!(crate::harness::receipts::position(&found), None, "{found:?}");
    assert_eq!(ws.head_seq().await, 0);
    rejected(&ws.receipts(vec![ada.dot(1)]).await[0], Reason::Abandoned);
}

#[tokio::test]
async fn a_job_writes_with_a_request_id_once_however_often_it_asks() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let operation = latest(vec![card("c1").create(), card("c1").increment("votes", 1)]);
    let first = ws.submit(operation.clone()).await;
    assert_eq!(applied(&first), 1);
    let dot = first.dot.clone().expect("the server's dot");
    assert_eq!(dot.replica_id, "00000000-0000-0000-0000-000000000000");
    for _ in 0..2 {
        assert_eq!(duplicate(&ws.submit(operation.clone()).await), first);
    }
    assert_eq!(state(&ws.record("c1").await, "votes"), pb::field_state::State::Counter(1));
    let stored = ws.receipts_of(vec![], vec![first.request_id.clone()]).await;
    assert_eq!(stored, [first]);
}

#[tokio::test]
async fn a_request_id_with_other_content_is_refused_and_the_first_stays() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let operation = latest(vec![card("c1").create()]);
    let first = ws.submit(operation.clone()).await;
    let other = pb::Operation { mutations: vec![card("c2").create()], ..operation };
    let receipt = ws.submit(other).await;
    assert_eq!(refused(&receipt, Reason::RequestIdReused).metadata["request_id"], first.request_id);
    assert_eq!(ws.head_seq().await, 1);
    assert_eq!(ws.receipts_of(vec![], vec![first.request_id.clone()]).await, [first]);
}

#[tokio::test]
async fn a_job_that_knows_everything_overwrites_without_a_conflict() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    ws.write(vec![card("c1").create_with([("title", "old".into_value())])]).await;
    ws.write(vec![card("c1").set("title", "new")]).await;
    assert_eq!(register(&ws.record("c1").await, "title"), "new".into_value());
    assert!(ws.inbox().await.is_empty());
}

#[tokio::test]
async fn a_read_modify_write_with_the_context_of_its_read_meets_true_conflicts() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    ws.write(vec![card("c1").create_with([("status", "open".into_value())])]).await;
    let with = |context: &pb::CausalContext, value: &str| pb::Operation {
        identity: Some(pb::operation::Identity::RequestId(request_id())),
        knowledge: Some(pb::operation::Knowledge::Context(context.clone())),
        mutations: vec![card("c1").set("status", value)],
        ..Default::default()
    };
    let (_, one) = ws.read("c1").await;
    let (_, two) = ws.read("c1").await;
    applied(&ws.submit(with(&one, "done")).await);
    let conflict = one_conflict(&ws.submit(with(&two, "dropped")).await);
    assert_eq!(ws.record("c1").await.live_conflict_ids, [conflict]);
    // Who has read the result overwrites it knowingly.
    let (_, now) = ws.read("c1").await;
    settled(&ws.submit(with(&now, "reopened")).await);
}

#[tokio::test]
async fn a_form_read_long_before_the_context_conflicts_from_where_it_was_read() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let read_at = ws.write(vec![card("c1").create_with([("title", "a".into_value())])]).await;
    let since = ws.write(vec![card("c1").set("title", "b")]).await;
    // The form was opened at `read_at`, the client has synced in the background since.
    let mut ada = ws.replica(1, "ada").having_seen(since);
    let saved = ada.op(vec![observed(card("c1").set("title", "c"), read_at)]);
    one_conflict(&ws.submit(saved).await);
    let plain = ada.op(vec![observed(card("c1").set("status", "x"), since)]);
    applied(&ws.submit(plain).await);
}

#[tokio::test]
async fn a_resolution_that_had_not_seen_everything_says_what_remains() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create()]).await;
    let mut ada = ws.replica(1, "ada").having_seen(base);
    let mut bob = ws.replica(2, "bob").having_seen(base);
    let mut eve = ws.replica(3, "eve").having_seen(base);
    settled(&ws.submit(ada.op(vec![card("c1").set("title", "a")])).await);
    let (opened, ids) = conflicted(&ws.submit(bob.op(vec![card("c1").set("title", "b")])).await);
    let (third, _) = conflicted(&ws.submit(eve.op(vec![card("c1").set("title", "e")])).await);
    ada.saw(opened);
    let resolution = ada.op(vec![resolving(card("c1").set("title", "a+b"), &ids[0])]);
    let receipt = ws.submit(resolution.clone()).await;
    settled(&receipt);
    assert_eq!(
        receipt.remaining,
        [pb::ConflictRemaining { conflict_id: ids[0].clone(), unseen_seqs: vec![third] }]
    );
    assert_eq!(ws.summary(&ids[0]).await.status(), pb::ConflictStatus::Open);
    // What remains belongs to the stored outcome.
    assert_eq!(duplicate(&ws.submit(resolution).await), receipt);
    assert_eq!(ws.receipts(vec![ada.last()]).await, [receipt]);
}

#[tokio::test]
async fn a_replica_decides_conflicts_with_operations_of_its_own() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create()]).await;
    let mut ada = ws.replica(1, "ada").having_seen(base);
    let mut bob = ws.replica(2, "bob").having_seen(base);
    settled(&ws.submit(ada.op(vec![card("c1").set("title", "a")])).await);
    let id = one_conflict(&ws.submit(bob.op(vec![card("c1").set("title", "b")])).await);
    let seen = ws.head_seq().await;
    ada.saw(seen);
    settled(&ws.submit(ada.op(vec![assign(&id, "ada")])).await);
    assert_eq!(ws.summary(&id).await.assignee.as_deref(), Some("ada"));
    settled(&ws.submit(ada.op(vec![resolving(card("c1").set("title", "a"), &id)])).await);
    assert_eq!(ws.summary(&id).await.status(), pb::ConflictStatus::Resolved);
    settled(&ws.submit(ada.op(vec![reopen(&id)])).await);
    assert_eq!(ws.summary(&id).await.status(), pb::ConflictStatus::Open);
    rejected(&ws.submit(ada.op(vec![reopen(&id)])).await, Reason::ConflictLive);
}

#[tokio::test]
async fn receipts_come_in_the_order_asked_and_what_is_unknown_is_said_to_be() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut ada = ws.replica(1, "ada");
    let job = ws.submit(latest(vec![card("c1").create()])).await;
    let mine = ws.submit(ada.op(vec![card("c2").create()])).await;
    let receipts = ws
        .receipts_of(
            vec![ada.dot(7), ada.dot(1), ws.replica(9, "").dot(1)],
            vec!["never".to_owned(), job.request_id.clone()],
        )
        .await;
    assert_eq!(receipts.len(), 5);
    assert_eq!(unknown(&receipts[0]), 2);
    assert_eq!(receipts[1], mine);
    assert_eq!(unknown(&receipts[2]), 1);
    assert_eq!((unknown(&receipts[3]), receipts[3].request_id.as_str()), (0, "never"));
    assert_eq!(receipts[4], job);
    assert_eq!(ws.head_seq().await, 2, "asking changes nothing");
}

#[tokio::test]
async fn a_client_reads_its_own_writes_at_once_and_its_receipt_names_a_readable_position() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut ada = ws.replica(1, "ada");
    ws.apply(ada.op(vec![card("c1").create()])).await;
    for n in 0..20_i64 {
        let seq = settled(&ws.submit(ada.op(vec![card("c1").set("title", n)])).await);
        let (record, context) = ws.read("c1").await;
        assert_eq!(register(&record, "title"), n.into_value());
        assert!(context.base_seq >= seq && record.last_seq == seq);
    }
}
