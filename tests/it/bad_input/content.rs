//! Operations whose content breaks a rule: rejected for good, each for itself, and never half applied.

use super::{Clumsy, parts};
use crate::harness::ops::{assign, card, nested, null, person, record_part, reopen, resolving};
use crate::harness::receipts::{original, rejected, settled};
use crate::harness::{IntoValue as _, Reason, pb, raw, within};

#[tokio::test]
async fn what_the_schema_does_not_have_is_rejected_by_name() {
    let mut client = Clumsy::new().await;
    let receipt = client.tries(vec![crate::harness::on("boards", "b1").create()]).await;
    assert_eq!(rejected(&receipt, Reason::UndeclaredCollection).metadata["collection_id"], "boards");
    let receipt = client.tries(vec![card("c1").set("title", "x"), card("c1").set("colour", "red")]).await;
    let found = rejected(&receipt, Reason::UndeclaredField);
    assert_eq!(parts(&found.metadata, ["collection_id", "field_id"]), ["cards", "colour"]);
    assert_eq!(found.mutation_index, Some(1));
    for (mutation, kind, action) in [
        (card("c1").set("notes", "x"), "text", "set_field"),
        (card("c1").set("votes", 1), "counter", "set_field"),
        (card("c1").edit("title", &[(0, 0, "x")]), "register", "edit_text"),
        (card("c1").increment("tags", 1), "set", "increment_counter"),
        (card("c1").link("title", "c1"), "register", "link_record"),
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
    type Hunks<'a> = &'a [(u32, u32, &'a str)];
    let cases: [(Hunks<'_>, &str); 6] = [
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
    assert_eq!(
        rejected(&receipt, Reason::InvalidRequest).metadata["field"],
        "mutations[0].record.edit_text.hunks"
    );
    assert_eq!(client.ws.text("c1", "notes").await, "0123456789");
    client.goes_on().await;
}

#[tokio::test]
async fn values_that_are_none_or_nest_too_deeply_are_rejected() {
    let mut client = Clumsy::new().await;
    let long_name = pb::value::Kind::MapValue(pb::MapValue { entries: [("n".repeat(257), null())].into() });
    let set_nothing = card("c1").mutation(pb::record_mutation::Action::SetField(pb::SetField {
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
    for levels in [31, 40] {
        let receipt = client.tries(vec![card("c1").set("title", nested(levels))]).await;
        assert_eq!(rejected(&receipt, Reason::ValueTooDeep).metadata["limit"], "30");
        let receipt = client.tries(vec![card("c2").create_with([("title", nested(levels))])]).await;
        rejected(&receipt, Reason::ValueTooDeep);
    }
    client.head = settled(&client.tries(vec![card("c1").set("title", nested(30))]).await);
    for odd in [f64::INFINITY, -0.0, f64::MIN_POSITIVE] {
        client.head = settled(&client.tries(vec![card("c1").set("title", odd)]).await);
        assert_eq!(
            crate::harness::workspace::register(&client.ws.record("c1").await, "title"),
            odd.into_value()
        );
    }
    client.ada.saw(client.head);
    client.goes_on().await;
}

#[tokio::test]
async fn an_action_of_a_newer_protocol_is_rejected_as_unknown() {
    use prost::Message as _;
    let mut client = Clumsy::new().await;
    // No action at all looks the same as one this server does not know.
    let no_action = pb::RecordMutation { action: None, ..record_part(card("c1").delete()) };
    for nothing in [pb::Mutation::default(), pb::ConflictMutation::default().into()] {
        let receipt = client.tries(vec![card("c1").set("title", "x"), nothing]).await;
        assert_eq!(rejected(&receipt, Reason::UnknownAction).mutation_index, Some(1));
    }
    let nothing = pb::Mutation::from(no_action);
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
        (on("", "c1").create(), "record.collection_id"),
        (on("cards", "").create(), "record.record_id"),
        (on("cards", "c 1").create(), "record.record_id"),
        (on("cards", &long).create(), "record.record_id"),
        (on("cärds", "c1").create(), "record.collection_id"),
        (card("c1").set("", "x"), "record.set_field.field_id"),
        (card("c1").set("a.b", "x"), "record.set_field.field_id"),
        (card("c1").link("owner", "no good"), "record.link_record.target_record_id"),
        (card("c1").unlink("owner", ""), "record.unlink_record.target_record_id"),
        (resolving(card("c1").set("title", "x"), "no id"), "record.resolves_conflict_id"),
        (reopen("no id"), "conflict.conflict_id"),
        (assign("c1-0", ""), "conflict.assign.assignee"),
    ] {
        let receipt = client.tries(vec![mutation]).await;
        let found = rejected(&receipt, Reason::InvalidRequest);
        assert_eq!(found.metadata["field"], format!("mutations[0].{field}"));
        assert_eq!(found.mutation_index, Some(0));
    }
    let label = "x".repeat(129);
    let operation = client.ada.op(vec![card("c1").set("title", "x")]);
    let receipt = client.ws.submit(pb::Operation { correlation_id: label.clone(), ..operation }).await;
    assert_eq!(rejected(&receipt, Reason::InvalidRequest).metadata["field"], "correlation_id");
    client.goes_on().await;
}

#[tokio::test]
async fn what_is_only_shown_is_cut_and_refuses_nothing() {
    let mut client = Clumsy::new().await;
    let shown = pb::Operation {
        actor: format!("two\nlines {}", "é".repeat(100)),
        client_time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
        ..client.ada.op(vec![card("c1").set("title", "x")])
    };
    client.head = settled(&client.ws.submit(shown.clone()).await);
    // Sent again it is the same operation.
    assert_eq!(settled(&original(&client.ws.submit(shown).await)), client.head);
    let request = pb::ListRecordHistoryRequest {
        workspace_id: "w".to_owned(),
        record_id: "c1".to_owned(),
        ..Default::default()
    };
    let history = within("history", client.ws.clients.records().list_record_history(request)).await;
    let change = history.expect("a history").into_inner().changes.remove(0);
    assert_eq!(change.actor, format!("two lines {}", "é".repeat(59)));
    assert_eq!(change.client_time, None);
    client.ada.saw(client.head);
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
        for mutation in
            [card("c1").add("tags", elements(0, count)), card("c1").remove("tags", elements(0, count))]
        {
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

    // Two such texts cannot go by one operation: no client could receive what that does.
    client.head = settled(&client.tries(vec![card("e2").create()]).await);
    for _ in 0..4 {
        client.head = settled(&client.tries(vec![card("e2").edit("notes", &[(0, 0, &part)])]).await);
    }
    let clears = ["c1", "e2"].map(|id| card(id).replace("notes", ""));
    let receipt = client.tries(clears.to_vec()).await;
    assert_eq!(rejected(&receipt, Reason::EffectTooLarge).metadata["limit_bytes"], "1638400");
    for clear in clears {
        client.head = settled(&client.tries(vec![clear]).await);
    }

    let long = "x".repeat(1_025).as_str().into_value();
    let receipt = client.tries(vec![card("c1").add("tags", vec![long])]).await;
    let found = rejected(&receipt, Reason::InvalidValue);
    assert!(found.message.contains("at most 1024 bytes"), "{}", found.message);

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
    for mutation in [
        card("c9").delete(),
        card("c9").restore(),
        card("c9").set("title", 1),
        card("c1").link("owner", "c9"),
    ] {
        let receipt = client.tries(vec![mutation]).await;
        assert_eq!(rejected(&receipt, Reason::RecordNotFound).metadata["record_id"], "c9");
    }
    client.head = client.ws.write(vec![card("c2").create()]).await;
    client.head = client.ws.write(vec![card("c2").delete()]).await;
    client.ada.saw(client.head);
    for mutation in
        [card("c2").set("title", 1), card("c2").delete(), card("c2").create(), card("c1").link("owner", "c2")]
    {
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
