//! Operations that are refused each for itself: rejected for good, or not taken; never half applied.

use super::Clumsy;
use crate::harness::ops::{card, nested, null, observed, on_conflict, person, resolving};
use crate::harness::receipts::{
    applied, duplicate, held, one_conflict, refused, rejected, settled, unknown, waits_for,
};
use crate::harness::workspace::latest;
use crate::harness::{IntoValue as _, Reason, pb, raw};

/// A receipt's metadata by key.
fn parts<const N: usize>(metadata: &std::collections::BTreeMap<String, String>, keys: [&str; N]) -> [String; N] {
    keys.map(|key| metadata[key].clone())
}

#[tokio::test]
async fn what_the_schema_does_not_have_is_rejected_by_name() {
    let mut client = Clumsy::new().await;
    let receipt = client.tries(vec![crate::harness::on("boards", "b1").create()]).await;
    assert_eq!(rejected(&receipt, Reason::UnknownCollection).metadata["collection_id"], "boards");
    let receipt = client.tries(vec![card("c1").set("title", "x"), card("c1").set("colour", "red")]).await;
    let found = rejected(&receipt, Reason::UnknownField);
    assert_eq!(parts(&found.metadata, ["collection_id", "field_id"]), ["cards", "colour"]);
    assert_eq!(found.mutation_index, Some(1));
    for (mutation, kind, action) in [
        (card("c1").set("notes", "x"), "text", "set"),
        (card("c1").set("votes", 1), "counter", "set"),
        (card("c1").edit("title", &[(0, 0, "x")]), "register", "edit_text"),
        (card("c1").increment("tags", 1), "set", "increment"),
        (card("c1").link("title", "c1"), "register", "link"),
        (card("c1").add("owner", vec![1.into_value()]), "to_one", "add_elements"),
        (card("c1").clear("title"), "register", "clear_elements"),
    ] {
        let receipt = client.tries(vec![mutation]).await;
        let metadata = &rejected(&receipt, Reason::KindMismatch).metadata;
        assert_eq!(parts(metadata, ["field_kind", "action"]), [kind, action]);
    }
    assert!(!client.ws.record("c1").await.fields.contains_key("title"), "all or nothing");
    client.goes_on().await;
}

#[tokio::test]
async fn a_context_ahead_of_the_server_or_of_another_epoch_is_not_taken_and_uses_up_nothing() {
    let mut client = Clumsy::new().await;
    let made_up = |client: &Clumsy, context: pb::CausalContext| pb::Operation {
        knowledge: Some(pb::operation::Knowledge::Context(context)),
        ..client.ada.op_at(2, vec![card("c1").set("title", "x")])
    };
    for base_seq in [client.head + 1, u64::MAX] {
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
    assert_eq!(parts(&found.metadata, ["epoch", "expected_epoch"]), ["1".to_owned(), client.ws.epoch.to_string()]);
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
    let far = client.ada.op_at(u64::MAX, vec![card("c1").delete()]);
    waits_for(&client.ws.submit(far).await, &client.ada.dot(u64::MAX - 1));
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
        assert_eq!(parts(&found.metadata, ["replica_id", "counter"]), [client.ada.id.clone(), counter.to_string()]);
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
async fn positions_outside_of_the_authors_text_are_rejected() {
    let mut client = Clumsy::new().await;
    // Four characters, of which one needs four bytes.
    client.head = client.ws.write(vec![card("c1").replace("notes", "a🦊éz")]).await;
    client.ada.saw(client.head);
    for (position, delete_count) in [(5, 0), (4, 1), (0, 5), (u32::MAX, 0), (0, u32::MAX)] {
        let receipt = client.tries(vec![card("c1").edit("notes", &[(position, delete_count, "x")])]).await;
        let found = rejected(&receipt, Reason::PositionOutOfBounds);
        let expected = [position.to_string(), delete_count.to_string(), "4".to_owned()];
        assert_eq!(parts(&found.metadata, ["position", "delete_count", "text_length"]), expected);
        assert_eq!(found.mutation_index, Some(0));
    }
    // In the author's view, not in the present text: Bob has not seen it at all.
    let mut bob = client.ws.replica(2, "bob").having_seen(1);
    let receipt = client.ws.submit(bob.op(vec![card("c1").edit("notes", &[(1, 0, "x")])])).await;
    assert_eq!(rejected(&receipt, Reason::PositionOutOfBounds).metadata["text_length"], "0");
    assert_eq!(client.ws.text("c1", "notes").await, "a🦊éz");
    client.head = settled(&client.tries(vec![card("c1").edit("notes", &[(1, 2, "-"), (4, 0, "!")])]).await);
    assert_eq!(client.ws.text("c1", "notes").await, "a-z!");
    client.ada.saw(client.head);
    client.goes_on().await;
}

#[tokio::test]
#[ignore = "known fault of the merge rules: such a hunk is rejected with TEXT_TOO_LARGE"]
async fn positions_that_no_text_can_have_are_rejected_like_any_outside_of_it() {
    let mut client = Clumsy::new().await;
    for (position, delete_count) in [(1, u32::MAX), (u32::MAX, 1), (u32::MAX, u32::MAX)] {
        let receipt = client.tries(vec![card("c1").edit("notes", &[(position, delete_count, "x")])]).await;
        rejected(&receipt, Reason::PositionOutOfBounds);
    }
    client.goes_on().await;
}

#[tokio::test]
async fn hunks_out_of_order_overlapping_touching_or_empty_are_rejected() {
    let mut client = Clumsy::new().await;
    client.head = client.ws.write(vec![card("c1").replace("notes", "0123456789")]).await;
    client.ada.saw(client.head);
    let cases: [(&[(u32, u32, &str)], &str); 6] = [
        (&[(5, 1, "a"), (1, 1, "b")], "1"),
        (&[(1, 4, "a"), (3, 1, "b")], "1"),
        (&[(1, 2, "a"), (3, 1, "b")], "1"),
        (&[(1, 0, "a"), (1, 0, "b")], "1"),
        (&[(1, 1, "a"), (4, 0, "")], "1"),
        (&[(0, 0, "")], "0"),
    ];
    for (hunks, index) in cases {
        let receipt = client.tries(vec![card("c1").edit("notes", hunks)]).await;
        assert_eq!(rejected(&receipt, Reason::InvalidTextEdit).metadata["hunk_index"], index, "{hunks:?}");
    }
    let twice = vec![card("c1").edit("notes", &[(0, 1, "a")]), card("c1").edit("notes", &[(5, 1, "b")])];
    assert_eq!(rejected(&client.tries(twice).await, Reason::InvalidTextEdit).mutation_index, Some(1));
    let many: Vec<(u32, u32, &str)> = (0..1_001).map(|n| (n * 2, 1, "x")).collect();
    let receipt = client.tries(vec![card("c1").edit("notes", &many)]).await;
    assert_eq!(rejected(&receipt, Reason::InvalidRequest).metadata["field"], "mutations[0].edit_text.hunks");
    assert_eq!(client.ws.text("c1", "notes").await, "0123456789");
    client.goes_on().await;
}

#[tokio::test]
async fn values_that_are_none_or_nest_too_deeply_are_rejected() {
    let mut client = Clumsy::new().await;
    let long_name = pb::value::Kind::MapValue(pb::MapValue { entries: [("n".repeat(65), null())].into() });
    let set_nothing = card("c1").mutation(pb::mutation::Action::Set(pb::SetField {
        field_id: "title".to_owned(),
        value: None,
    }));
    for mutation in [
        card("c1").set("title", pb::Value::default()),
        card("c1").set("title", f64::NAN),
        card("c1").set("title", pb::Value { kind: Some(long_name) }),
        card("c1").add("tags", vec![nested(1)]),
        card("c1").add("tags", vec![1.into_value(), pb::Value::default()]),
        set_nothing,
    ] {
        rejected(&client.tries(vec![mutation]).await, Reason::InvalidValue);
    }
    for levels in [17, 40] {
        let receipt = client.tries(vec![card("c1").set("title", nested(levels))]).await;
        assert_eq!(rejected(&receipt, Reason::ValueTooDeep).metadata["limit"], "16");
        let receipt = client.tries(vec![card("c2").create_with([("title", nested(levels))])]).await;
        rejected(&receipt, Reason::ValueTooDeep);
    }
    client.head = settled(&client.tries(vec![card("c1").set("title", nested(16))]).await);
    for odd in [f64::INFINITY, -0.0, f64::MIN_POSITIVE] {
        client.head = settled(&client.tries(vec![card("c1").set("title", odd)]).await);
        assert_eq!(crate::harness::workspace::register(&client.ws.record("c1").await, "title"), odd.into_value());
    }
    client.ada.saw(client.head);
    client.goes_on().await;
}

#[tokio::test]
async fn an_action_of_a_newer_protocol_is_rejected_as_unknown() {
    use prost::Message as _;
    let mut client = Clumsy::new().await;
    // No action at all looks the same as one this server does not know.
    let nothing = pb::Mutation { action: None, ..card("c1").delete() };
    rejected(&client.tries(vec![card("c1").set("title", "x"), nothing.clone()]).await, Reason::UnknownAction);
    let operation = client.ada.op(vec![nothing]);
    let mut mutation = operation.mutations[0].encode_to_vec();
    prost::encoding::encode_key(99, prost::encoding::WireType::LengthDelimited, &mut mutation);
    prost::encoding::encode_varint(0, &mut mutation);
    let mut message = pb::Operation { mutations: vec![], ..operation }.encode_to_vec();
    let append = |message: &mut Vec<u8>, field: u32, content: &[u8]| {
        prost::encoding::encode_key(field, prost::encoding::WireType::LengthDelimited, message);
        prost::encoding::encode_varint(content.len() as u64, message);
        message.extend(content);
    };
    append(&mut message, 5, &mutation);
    let mut request = Vec::new();
    append(&mut request, 1, b"w");
    append(&mut request, 2, &message);
    let path = "/syncline.v1.OperationService/Submit";
    let answer = raw::call(&client.ws.clients.channel, path, request).await.expect("an answer");
    let answer = pb::SubmitResponse::decode(answer).expect("the response");
    rejected(&answer.receipts[0], Reason::UnknownAction);
    client.goes_on().await;
}

#[tokio::test]
async fn ids_and_labels_of_no_form_are_rejected_by_field() {
    let mut client = Clumsy::new().await;
    let long = "x".repeat(65);
    let on = crate::harness::on;
    for (mutation, field) in [
        (on("", "c1").create(), "collection_id"),
        (on("cards", "").create(), "record_id"),
        (on("cards", "c 1").create(), "record_id"),
        (on("cards", &long).create(), "record_id"),
        (on("cärds", "c1").create(), "collection_id"),
        (card("c1").set("", "x"), "set.field_id"),
        (card("c1").set("a.b", "x"), "set.field_id"),
        (card("c1").link("owner", "no good"), "link.target_record_id"),
        (resolving(card("c1").set("title", "x"), "no id"), "resolves_conflict_id"),
    ] {
        let receipt = client.tries(vec![mutation]).await;
        let found = rejected(&receipt, Reason::InvalidRequest);
        assert_eq!(found.metadata["field"], format!("mutations[0].{field}"));
        assert_eq!(found.mutation_index, Some(0));
    }
    let about_both = pb::Mutation {
        record_id: "c1".to_owned(),
        ..on_conflict(pb::mutation::Action::ReopenConflict(pb::ReopenAction { conflict_id: "c1-0".to_owned() }))
    };
    rejected(&client.tries(vec![about_both]).await, Reason::InvalidRequest);
    let label = "x".repeat(129);
    let operation = client.ada.op(vec![card("c1").set("title", "x")]);
    let receipt = client.ws.submit(pb::Operation { correlation_id: label.clone(), ..operation }).await;
    assert_eq!(rejected(&receipt, Reason::InvalidRequest).metadata["field"], "correlation_id");
    let operation = client.ada.op(vec![card("c1").set("title", "x")]);
    let receipt = client.ws.submit(pb::Operation { actor: "two\nlines".to_owned(), ..operation }).await;
    assert_eq!(rejected(&receipt, Reason::InvalidRequest).metadata["field"], "actor");
    let operation = client.ada.op(vec![card("c1").set("title", "x")]);
    let time = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
    let receipt = client.ws.submit(pb::Operation { client_time: time, ..operation }).await;
    assert_eq!(rejected(&receipt, Reason::InvalidRequest).metadata["field"], "client_time");
    client.goes_on().await;
}

#[tokio::test]
async fn an_operation_of_no_or_too_many_mutations_or_elements_is_rejected() {
    let mut client = Clumsy::new().await;
    for count in [0, 101] {
        let receipt = client.tries(vec![card("c1").increment("votes", 1); count]).await;
        assert_eq!(rejected(&receipt, Reason::InvalidRequest).metadata["field"], "mutations");
    }
    for count in [0, 101] {
        for mutation in [card("c1").add("tags", elements(0, count)), card("c1").remove("tags", elements(0, count))] {
            rejected(&client.tries(vec![mutation]).await, Reason::InvalidRequest);
        }
    }
    client.head = settled(&client.tries(vec![card("c1").increment("votes", 1); 100]).await);
    client.ada.saw(client.head);
    client.goes_on().await;
}

fn elements(from: i64, count: i64) -> Vec<pb::Value> {
    (from..from + count).map(|n| n.into_value()).collect()
}

#[tokio::test]
async fn what_would_exceed_a_limit_is_rejected_and_leaves_things_as_they_are() {
    let mut client = Clumsy::new().await;
    let receipt = client.tries(vec![card("c1").set("title", "x".repeat(256 * 1024).as_str())]).await;
    let found = rejected(&receipt, Reason::OperationTooLarge);
    assert_eq!(found.metadata["limit_bytes"], "262144");
    assert!(found.metadata["bytes"].parse::<u64>().is_ok_and(|bytes| bytes > 262_144));

    // A text of four parts of 250 KiB is below its limit, and a fifth is not.
    let part = "x".repeat(250 * 1024);
    for n in 0..4 {
        client.head = settled(&client.tries(vec![card("c1").edit("notes", &[(0, 0, &part)])]).await);
        assert_eq!(client.ws.text("c1", "notes").await.len(), (n + 1) * part.len());
    }
    let receipt = client.tries(vec![card("c1").edit("notes", &[(0, 0, &part)])]).await;
    assert_eq!(rejected(&receipt, Reason::TextTooLarge).metadata["limit_bytes"], "1048576");

    let hundreds = (0..100).map(|n| card("c1").add("tags", elements(n * 100, 100))).collect();
    client.head = settled(&client.tries(hundreds).await);
    let receipt = client.tries(vec![card("c1").add("tags", elements(10_000, 1))]).await;
    let metadata = &rejected(&receipt, Reason::SetTooLarge).metadata;
    assert_eq!(parts(metadata, ["field_id", "limit"]), ["tags", "10000"]);
    // What is there already is no more.
    client.head = settled(&client.tries(vec![card("c1").add("tags", elements(0, 100))]).await);

    client.head = settled(&client.tries(vec![card("c1").assign("votes", i64::MAX)]).await);
    let receipt = client.tries(vec![card("c1").increment("votes", 1)]).await;
    assert_eq!(rejected(&receipt, Reason::CounterOutOfRange).metadata["field_id"], "votes");
    client.head = settled(&client.tries(vec![card("c1").assign("votes", i64::MIN + 1)]).await);
    rejected(&client.tries(vec![card("c1").increment("votes", -2)]).await, Reason::CounterOutOfRange);
    client.ada.saw(client.head);
    client.goes_on().await;
}

#[tokio::test]
async fn records_that_are_there_gone_or_of_another_collection_are_told_apart() {
    let mut client = Clumsy::new().await;
    let receipt = client.tries(vec![card("c1").create()]).await;
    assert_eq!(rejected(&receipt, Reason::RecordExists).metadata["record_id"], "c1");
    let receipt = client.tries(vec![person("c1").set("name", "x")]).await;
    let metadata = &rejected(&receipt, Reason::CollectionMismatch).metadata;
    assert_eq!(parts(metadata, ["record_id", "collection_id"]), ["c1", "cards"]);
    rejected(&client.tries(vec![person("c1").create()]).await, Reason::RecordExists);
    for mutation in [card("c9").delete(), card("c9").restore(), card("c9").set("title", 1), card("c1").link("owner", "c9")]
    {
        let receipt = client.tries(vec![mutation]).await;
        assert_eq!(rejected(&receipt, Reason::RecordNotFound).metadata["record_id"], "c9");
    }
    client.head = client.ws.write(vec![card("c2").create()]).await;
    client.head = client.ws.write(vec![card("c2").delete()]).await;
    client.ada.saw(client.head);
    for mutation in [card("c2").set("title", 1), card("c2").delete(), card("c1").link("owner", "c2")] {
        let receipt = client.tries(vec![mutation]).await;
        assert_eq!(rejected(&receipt, Reason::RecordDeleted).metadata["record_id"], "c2");
    }
    client.goes_on().await;
}

#[tokio::test]
async fn a_record_created_concurrently_in_another_collection_is_rejected() {
    let mut client = Clumsy::new().await;
    let mut bob = client.ws.replica(2, "bob");
    let receipt = client.ws.submit(bob.op(vec![person("c1").create()])).await;
    let metadata = &rejected(&receipt, Reason::CollectionMismatch).metadata;
    assert_eq!(parts(metadata, ["record_id", "collection_id"]), ["c1", "cards"]);
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
    use pb::mutation::Action;
    let defer = |id: &str, revision| {
        let remind_time = Some(client.server.in_ms(3_600_000));
        on_conflict(Action::DeferConflict(pb::DeferAction { conflict_id: id.to_owned(), revision, remind_time }))
    };
    let assign = |id: &str| {
        on_conflict(Action::AssignConflict(pb::AssignAction { conflict_id: id.to_owned(), assignee: "x".to_owned() }))
    };
    let reopen = |id: &str| on_conflict(Action::ReopenConflict(pb::ReopenAction { conflict_id: id.to_owned() }));
    let missing = [defer("c1-0", 1), assign("c1-0"), reopen("c1-0"), resolving(card("c1").set("title", "x"), "c1-0")];
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
    client.head = settled(&client.ws.submit(one_more).await);
    assert_eq!(client.head, 2 + 1_002);
    let last = client.ws.receipts(vec![bob.dot(1_001)]).await;
    assert_eq!(settled(&last[0]), 2 + 1_001);
    client.ada.saw(client.head);
    client.goes_on().await;
}

#[tokio::test]
async fn operations_that_wait_for_each_other_are_not_taken() {
    let mut client = Clumsy::new().await;
    let (mut bob, mut eve) = (client.ws.replica(2, "bob"), client.ws.replica(3, "eve"));
    let by_bob = pb::Operation { depends_on: vec![eve.dot(1)], ..bob.op(vec![card("c1").increment("votes", 1)]) };
    let by_eve = pb::Operation { depends_on: vec![bob.dot(1)], ..eve.op(vec![card("c1").increment("votes", 1)]) };
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
