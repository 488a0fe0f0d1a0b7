//! Operations that cannot be placed: by what they claim to be, to know, to wait for, or to decide.

use super::{Clumsy, parts};
use crate::harness::errors::fields_at_fault;
use crate::harness::ops::{assign, card, defer, observed, reopen, resolving};
use crate::harness::receipts::{
    applied, duplicate, held, one_conflict, original, refused, rejected, settled, unknown, waits_for,
};
use crate::harness::workspace::latest;
use crate::harness::{Reason, pb, until};

#[tokio::test]
async fn a_context_ahead_of_the_server_or_of_another_epoch_is_not_taken_and_uses_up_nothing() {
    let mut client = Clumsy::new().await;
    let made_up = |client: &Clumsy, context: pb::CausalContext| pb::Operation {
        knowledge: Some(pb::operation::Knowledge::Context(context)),
        ..client.ada.op_at(2, vec![card("c1").set("title", "x")])
    };
    for base_seq in [client.head + 1, (1 << 63) - 1] {
        let context = pb::CausalContext { base_seq, ..client.ada.context.clone() };
        let receipt = client.ws.submit(made_up(&client, context)).await;
        let found = refused(&receipt, Reason::ContextAhead);
        let expected = [base_seq.to_string(), client.head.to_string()];
        assert_eq!(parts(&found.metadata, ["base_seq", "head_seq"]), expected);
        assert_eq!(found.expected_counter, 2);
    }
    let context = pb::CausalContext { epoch: 1, ..client.ada.context.clone() };
    let receipt = client.ws.submit(made_up(&client, context)).await;
    let found = refused(&receipt, Reason::WrongEpoch);
    assert_eq!(
        parts(&found.metadata, ["epoch", "expected_epoch"]),
        ["1".to_owned(), client.ws.epoch.to_string()]
    );
    // A job as well.
    let context = pb::CausalContext { base_seq: 99, ..client.ada.context.clone() };
    let job = pb::Operation {
        knowledge: Some(pb::operation::Knowledge::Context(context)),
        ..latest(vec![card("c1").set("title", "x")])
    };
    refused(&client.ws.submit(job).await, Reason::ContextAhead);
    assert_eq!(unknown(&client.ws.receipts(vec![client.ada.dot(2)]).await[0]), 2);
    client.goes_on().await;
}

#[tokio::test]
async fn a_context_that_contradicts_itself_is_rejected() {
    let mut client = Clumsy::new().await;
    client.goes_on().await;
    // Its base goes back.
    let context = pb::CausalContext { base_seq: 0, ..client.ada.context.clone() };
    let back = client.ada.op(vec![card("c1").set("title", "x")]);
    let back = pb::Operation { knowledge: Some(pb::operation::Knowledge::Context(context)), ..back };
    rejected(&client.ws.submit(back).await, Reason::InvalidContext);
    // It knows an operation, and not what that one knew.
    let mut bob = client.ws.replica(2, "bob").having_seen(client.head);
    client.head = settled(&client.ws.submit(bob.op(vec![card("c1").set("status", "x")])).await);
    let mut eve = client.ws.replica(3, "eve");
    eve.heard_of(bob.last());
    rejected(&client.ws.submit(eve.op(vec![card("c1").set("status", "y")])).await, Reason::InvalidContext);
    // Readings that cannot be.
    client.ada.saw(client.head);
    for mutation in [
        observed(card("c1").set("title", "x"), client.head + 1),
        observed(card("c1").edit("notes", &[(0, 0, "x")]), 1),
        observed(card("c1").increment("votes", 1), 1),
        observed(card("c1").link("blocks", "c1"), 1),
        observed(card("c1").delete(), 1),
    ] {
        rejected(&client.tries(vec![mutation]).await, Reason::InvalidContext);
    }
    client.goes_on().await;
}

#[tokio::test]
async fn a_job_cannot_wait() {
    let mut client = Clumsy::new().await;
    let bob = client.ws.replica(2, "bob");
    let context = pb::CausalContext { extras: vec![bob.dot(1)], ..client.ada.context.clone() };
    let job = || latest(vec![card("c1").set("title", "x")]);
    for waiting in [
        pb::Operation { knowledge: Some(pb::operation::Knowledge::Context(context)), ..job() },
        pb::Operation { await_records: true, ..job() },
        pb::Operation { depends_on: vec![bob.dot(1)], ..job() },
    ] {
        let receipt = client.ws.submit(waiting).await;
        let Some(pb::receipt::Outcome::NotSettled(found)) = &receipt.outcome else { panic!("{receipt:?}") };
        assert_eq!(found.reason(), Reason::InvalidContext);
    }
    client.goes_on().await;
}

#[tokio::test]
async fn a_gap_between_counters_is_held_until_it_is_filled() {
    let mut client = Clumsy::new().await;
    let missing = client.ada.op(vec![card("c1").set("title", "missing")]);
    let early = client.ada.op(vec![card("c1").set("title", "early")]);
    let receipt = client.ws.submit(early).await;
    waits_for(&receipt, &client.ada.dot(2));
    assert_eq!(held(&receipt).expected_counter, 2);
    let far = client.ada.op_at(u64::MAX >> 1, vec![card("c1").delete()]);
    waits_for(&client.ws.submit(far).await, &client.ada.dot((u64::MAX >> 1) - 1));
    assert_eq!(client.ws.head_seq().await, client.head);
    client.head = client.ws.apply(missing).await + 1;
    client.ada.saw(client.head);
    client.goes_on().await;
}

#[tokio::test]
async fn a_dot_with_other_content_shows_a_forked_replica_whatever_became_of_the_first() {
    let mut client = Clumsy::new().await;
    let first = client.ada.op(vec![card("c1").set("title", "x")]);
    client.head = client.ws.apply(first.clone()).await;
    rejected(&client.tries(vec![card("c7").delete()]).await, Reason::RecordNotFound);
    client.ada.counter += 1;
    let early = client.ada.op(vec![card("c1").set("status", "early")]);
    waits_for(&client.ws.submit(early.clone()).await, &client.ada.dot(4));
    // Settled, rejected, held: in turn.
    for counter in [2, 3, 5] {
        let other = client.ada.op_at(counter, vec![card("c1").set("title", "another installation's")]);
        let receipt = client.ws.submit(other).await;
        let found = refused(&receipt, Reason::ReplicaForked);
        assert_eq!(
            parts(&found.metadata, ["replica_id", "counter"]),
            [client.ada.id.clone(), counter.to_string()]
        );
    }
    // Every part of the content counts.
    let base = first.clone();
    for other in [
        pb::Operation { correlation_id: "another".to_owned(), ..base.clone() },
        pb::Operation { actor: "another".to_owned(), ..base.clone() },
        pb::Operation { depends_on: vec![client.ada.dot(1)], ..base.clone() },
        pb::Operation { await_records: true, ..base.clone() },
        pb::Operation { client_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }), ..base },
    ] {
        refused(&client.ws.submit(other).await, Reason::ReplicaForked);
    }
    assert_eq!(applied(&duplicate(&client.ws.submit(first).await)), client.head);
    assert_eq!(client.ws.head_seq().await, client.head);
    let filler = client.ada.op_at(4, vec![card("c1").set("title", "filler")]);
    client.head = client.ws.apply(filler).await + 1;
    assert_eq!(duplicate(&client.ws.submit(early).await).dot, Some(client.ada.dot(5)));
    client.goes_on().await;
}

#[tokio::test]
async fn actions_on_conflicts_that_are_not_there_changed_or_closed_are_rejected() {
    let mut client = Clumsy::new().await;
    let mut bob = client.ws.replica(2, "bob").having_seen(client.head);
    let mut eve = client.ws.replica(3, "eve").having_seen(client.head);
    settled(&client.ws.submit(bob.op(vec![card("c1").set("title", "b")])).await);
    let id = one_conflict(&client.ws.submit(eve.op(vec![card("c1").set("title", "e")])).await);
    client.head = client.ws.head_seq().await;
    client.ada.saw(client.head);
    let defer = |id: &str, revision| defer(id, revision, client.server.in_ms(3_600_000));
    let assign = |id: &str| assign(id, "x");
    let missing =
        [defer("c1-0", 1), assign("c1-0"), reopen("c1-0"), resolving(card("c1").set("title", "x"), "c1-0")];
    let stale = defer(&id, 7);
    // A conflict of another field.
    let elsewhere = resolving(card("c1").set("status", "x"), &id);
    for mutation in missing {
        let receipt = client.tries(vec![mutation]).await;
        assert_eq!(rejected(&receipt, Reason::ConflictNotFound).metadata["conflict_id"], "c1-0");
    }
    rejected(&client.tries(vec![elsewhere]).await, Reason::ConflictNotFound);
    let receipt = client.tries(vec![stale]).await;
    let metadata = &rejected(&receipt, Reason::ConflictChanged).metadata;
    assert_eq!(parts(metadata, ["conflict_id", "revision"]), [id.clone(), "1".to_owned()]);
    let receipt = client.tries(vec![reopen(&id)]).await;
    assert_eq!(rejected(&receipt, Reason::ConflictLive).metadata["conflict_id"], id);
    client.head = settled(&client.tries(vec![resolving(card("c1").set("title", "x"), &id)]).await);
    let receipt = client.tries(vec![assign(&id)]).await;
    let metadata = &rejected(&receipt, Reason::ConflictNotLive).metadata;
    assert_eq!(parts(metadata, ["conflict_id", "status"]), [id, "resolved".to_owned()]);
    client.ada.saw(client.head);
    client.goes_on().await;
}

#[tokio::test]
async fn more_than_may_be_held_is_refused_and_settles_nothing() {
    let mut client = Clumsy::new().await;
    let mut bob = client.ws.replica(2, "bob");
    let first = bob.op(vec![card("c1").increment("votes", 1)]);
    let waiting: Vec<_> = (0..1_000).map(|_| bob.op(vec![card("c1").increment("votes", 1)])).collect();
    for receipt in client.ws.submit_all(waiting.clone()).await {
        held(&receipt);
    }
    let one_more = bob.op(vec![card("c1").increment("votes", 1)]);
    let receipt = client.ws.submit(one_more.clone()).await;
    let found = refused(&receipt, Reason::HoldQuota);
    assert_eq!((found.metadata["expected_counter"].as_str(), found.expected_counter), ("1", 1));
    // The other client is not concerned.
    client.goes_on().await;
    client.ws.submit(first).await;
    // They are released in steps, between which others write.
    let last = until("the last of those that waited", || async {
        let receipts = client.ws.receipts(vec![bob.dot(1_001)]).await;
        (!matches!(receipts[0].outcome, Some(pb::receipt::Outcome::Held(_)))).then(|| receipts[0].clone())
    });
    assert_eq!(settled(&last.await), 2 + 1_001);
    client.head = settled(&client.ws.submit(one_more).await);
    assert_eq!(client.head, 2 + 1_002);
    client.ada.saw(client.head);
    client.goes_on().await;
}

#[tokio::test]
async fn operations_that_wait_for_each_other_are_not_taken() {
    let mut client = Clumsy::new().await;
    let (mut bob, mut eve) = (client.ws.replica(2, "bob"), client.ws.replica(3, "eve"));
    let by_bob =
        pb::Operation { depends_on: vec![eve.dot(1)], ..bob.op(vec![card("c1").increment("votes", 1)]) };
    let by_eve =
        pb::Operation { depends_on: vec![bob.dot(1)], ..eve.op(vec![card("c1").increment("votes", 1)]) };
    waits_for(&client.ws.submit(by_bob).await, &eve.dot(1));
    refused(&client.ws.submit(by_eve).await, Reason::CausalityCycle);
    // Nobody is held any more: both may try again with something sensible.
    for receipt in client.ws.receipts(vec![bob.dot(1), eve.dot(1)]).await {
        assert_eq!(unknown(&receipt), 1);
    }
    let of_itself = pb::Operation {
        depends_on: vec![client.ada.dot(2)],
        ..client.ada.op_at(2, vec![card("c1").increment("votes", 1)])
    };
    refused(&client.ws.submit(of_itself).await, Reason::CausalityCycle);
    client.goes_on().await;
    let sensible = bob.op_at(1, vec![card("c1").increment("votes", 1)]);
    client.head = settled(&client.ws.submit(sensible).await);
    client.ada.saw(client.head);
    client.goes_on().await;
}

#[tokio::test]
async fn a_poisonous_operation_does_not_stop_its_neighbours_in_a_call() {
    let mut client = Clumsy::new().await;
    let mut bob = client.ws.replica(2, "bob").having_seen(client.head);
    let operations = vec![
        client.ada.op(vec![card("c1").increment("votes", 1)]),
        client.ada.op(vec![card("c1").set("title", f64::NAN)]),
        bob.op(vec![card("c9").delete()]),
        pb::Operation {
            knowledge: Some(pb::operation::Knowledge::Context(pb::CausalContext {
                base_seq: 99,
                ..bob.context.clone()
            })),
            ..bob.op(vec![card("c1").delete()])
        },
        client.ada.op(vec![card("c1").increment("votes", 1)]),
        client.ada.op(vec![]),
        client.ada.op(vec![card("c1").increment("votes", 1)]),
    ];
    let receipts = client.ws.submit_all(operations.clone()).await;
    let found: Vec<_> = receipts.iter().map(crate::harness::receipts::position).collect();
    let head = client.head;
    assert_eq!(found, [Some(head + 1), None, None, None, Some(head + 2), None, Some(head + 3)]);
    rejected(&receipts[1], Reason::InvalidValue);
    rejected(&receipts[2], Reason::RecordNotFound);
    refused(&receipts[3], Reason::ContextAhead);
    rejected(&receipts[5], Reason::InvalidRequest);
    // All of it again: what was settled stays as it was, and what was not taken is not taken.
    let again = client.ws.submit_all(operations).await;
    for (index, (first, second)) in receipts.iter().zip(&again).enumerate() {
        if index == 3 {
            refused(second, Reason::ContextAhead);
        } else {
            assert_eq!(*first, duplicate(second));
        }
    }
    client.head += 3;
    client.ada.saw(client.head);
    client.goes_on().await;
}

#[tokio::test]
async fn an_operation_with_an_identity_that_none_can_have_is_answered_and_stops_nobody() {
    let mut client = Clumsy::new().await;
    let dot = |replica_id: &str, counter| {
        pb::operation::Identity::Dot(pb::Dot { replica_id: replica_id.to_owned(), counter })
    };
    let request = |id: &str| pb::operation::Identity::RequestId(id.to_owned());
    let id = client.ada.id.clone();
    let cases = [
        (dot(&id, 0), "dot.counter"),
        (dot("", 1), "dot.replica_id"),
        (dot(&id.to_uppercase(), 1), "dot.replica_id"),
        (dot(&id.replace('-', ""), 1), "dot.replica_id"),
        (dot("00000000-0000-0000-0000-000000000000", 1), "dot.replica_id"),
        (request(""), "request_id"),
        (request("with space"), "request_id"),
        (request(&"r".repeat(65)), "request_id"),
    ];
    for (identity, field) in cases {
        let broken = pb::Operation {
            identity: Some(identity.clone()),
            ..client.ada.op_at(2, vec![card("c1").set("title", "x")])
        };
        let beside = || latest(vec![card("c1").set("status", "y")]);
        let call = vec![beside(), broken.clone(), beside()];
        let answer = client.ws.try_submit(call.clone()).await.expect("an answer");
        client.head += 2;
        let [before, of_broken, after] = answer.receipts.as_slice() else { panic!("{answer:?}") };
        settled(before);
        assert_eq!(settled(after), client.head);
        match &identity {
            pb::operation::Identity::Dot(dot) => {
                assert_eq!(of_broken.dot.as_ref(), Some(dot));
                assert_eq!(rejected(of_broken, Reason::InvalidRequest).metadata["field"], field);
            }
            pb::operation::Identity::RequestId(id) => {
                assert_eq!(&of_broken.request_id, id);
                let Some(pb::receipt::Outcome::NotSettled(told)) = &of_broken.outcome else { panic!() };
                assert_eq!(told.metadata["field"], field);
            }
        }
        let counts = answer.counts.expect("counts");
        assert_eq!(counts.rejected_count + counts.not_settled_count, 1);
        // All or none: then nothing of the call can be taken.
        let together = client.ws.try_submit_together(vec![beside(), broken]).await;
        assert_eq!(fields_at_fault(together), [format!("operations[1].{field}")]);
    }
    client.ada.saw(client.head);
    client.goes_on().await;
}

#[tokio::test]
async fn whatever_an_operation_says_of_what_it_needs_and_knew_settles_it_alone() {
    let mut client = Clumsy::new().await;
    let many = |client: &Clumsy, count| (0..count).map(|n| client.ws.replica(100 + n, "").dot(1)).collect();
    let knowing = |client: &Clumsy, extras: Vec<pb::Dot>| {
        let context = pb::CausalContext { extras, ..client.ada.context.clone() };
        Some(pb::operation::Knowledge::Context(context))
    };
    let other = client.ws.replica(50, "").dot(1);
    let too_many: Vec<pb::Dot> = many(&client, 301);
    type Break<'b> = &'b dyn Fn(&Clumsy, pb::Operation) -> pb::Operation;
    let breaks: [Break<'_>; 5] = [
        &|_, fine| pb::Operation { knowledge: None, ..fine },
        &|_, fine| pb::Operation { knowledge: Some(pb::operation::Knowledge::Latest(pb::Latest {})), ..fine },
        &|client, fine| pb::Operation { knowledge: knowing(client, many(client, 33)), ..fine },
        &|client, fine| pb::Operation {
            knowledge: knowing(client, vec![other.clone(), other.clone()]),
            ..fine
        },
        &|_, fine| pb::Operation { depends_on: too_many.clone(), ..fine },
    ];
    for (index, break_it) in breaks.into_iter().enumerate() {
        let fine = client.ada.op(vec![card("c1").set("title", "x")]);
        let broken = break_it(&client, fine);
        let beside = client.ada.op(vec![card("c1").set("title", format!("after {index}").as_str())]);
        let receipts = client.ws.submit_all(vec![broken.clone(), beside]).await;
        let reason = if index == 4 { Reason::InvalidRequest } else { Reason::InvalidContext };
        rejected(&receipts[0], reason);
        client.head += 1;
        assert_eq!(settled(&receipts[1]), client.head);
        // For good: the same content gets the same answer.
        rejected(&original(&client.ws.submit(broken).await), reason);
    }
    client.ada.saw(client.head);
    client.goes_on().await;
}
