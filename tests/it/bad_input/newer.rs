//! What a newer client sends: fields that this server does not know are refused, wherever they are, and not dropped.

use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::Clumsy;
use crate::harness::ops::{card, record_part};
use crate::harness::receipts::{applied, refused, rejected, unknown};
use crate::harness::workspace::latest;
use crate::harness::{Reason, fails, pb, raw};

const SUBMIT: &str = "/syncline.v1.OperationService/Submit";

/// Appends a field of this number that holds these bytes.
fn append(message: &mut Vec<u8>, field: u32, content: &[u8]) {
    encode_key(field, WireType::LengthDelimited, message);
    encode_varint(content.len() as u64, message);
    message.extend(content);
}

/// A message with a field more than it has here.
fn newer(message: &impl prost::Message) -> Vec<u8> {
    let mut bytes = message.encode_to_vec();
    append(&mut bytes, 4_711, b"only if the moon is full");
    bytes
}

#[tokio::test]
async fn a_request_with_an_unknown_field_anywhere_is_refused_with_the_way_to_it() {
    let mut client = Clumsy::new().await;
    let record = pb::GetRecordRequest {
        workspace_id: "w".to_owned(),
        record_id: "c1".to_owned(),
        ..Default::default()
    };
    let submit = pb::SubmitRequest {
        workspace_id: "w".to_owned(),
        operations: vec![latest(vec![card("c2").create()])],
        ..Default::default()
    };
    let start = pb::FeedStart { workspace_id: "w".to_owned(), ..Default::default() };
    let mut watch = Vec::new();
    append(&mut watch, 1, &newer(&start));
    let mut subscribe = Vec::new();
    append(&mut subscribe, 2, &newer(&start));
    let mut receipts =
        pb::GetReceiptsRequest { workspace_id: "w".to_owned(), ..Default::default() }.encode_to_vec();
    append(&mut receipts, 2, &client.ada.dot(1).encode_to_vec());
    append(&mut receipts, 2, &newer(&client.ada.dot(1)));
    let mut kind = pb::FieldSchema { kind: pb::FieldKind::Text.into(), ..Default::default() }.encode_to_vec();
    append(&mut kind, 99, b"");
    let entry = |value: &[u8]| {
        let mut entry = Vec::new();
        append(&mut entry, 1, b"notes");
        append(&mut entry, 2, value);
        entry
    };
    let (mut collection, mut schema, mut create) = (Vec::new(), Vec::new(), Vec::new());
    append(&mut collection, 1, &entry(&kind));
    append(&mut schema, 2, &entry(&collection));
    append(&mut create, 1, b"another");
    append(&mut create, 3, &schema);
    let cases = [
        ("/syncline.v1.RecordService/GetRecord", newer(&record), "4711"),
        (SUBMIT, newer(&submit), "4711"),
        ("/syncline.v1.OperationService/GetReceipts", receipts, "dots[1].4711"),
        ("/syncline.v1.ChangeService/Watch", watch, "start.4711"),
        ("/syncline.v1.ChangeService/Subscribe", subscribe, "start.4711"),
        (
            "/syncline.v1.WorkspaceService/CreateWorkspace",
            create,
            "schema.collections[notes].fields[notes].99",
        ),
    ];
    for (path, message, field) in cases {
        let called = raw::call(&client.ws.clients.channel, path, message).await;
        assert_eq!(fails(called, Reason::UnknownField).metadata["field"], field, "{path}");
    }
    client.goes_on().await;
}

/// A call with these operations as bytes.
async fn submit(client: &Clumsy, operations: &[Vec<u8>]) -> Vec<pb::Receipt> {
    let mut request = Vec::new();
    append(&mut request, 1, b"w");
    operations.iter().for_each(|operation| append(&mut request, 2, operation));
    let answer = raw::call(&client.ws.clients.channel, SUBMIT, request).await.expect("an answer");
    pb::SubmitResponse::decode(answer).expect("the response").receipts
}

#[tokio::test]
async fn an_operation_with_an_unknown_field_is_refused_alone() {
    let mut client = Clumsy::new().await;
    let with_condition = client.ada.op(vec![card("c1").set("title", "only if")]);
    let mut mutation = record_part(card("c1").set("title", "x")).encode_to_vec();
    append(&mut mutation, 99, b"");
    let mut outer = Vec::new();
    append(&mut outer, 1, &mutation);
    let mut of_a_mutation = client.ada.op(vec![card("c1").set("status", "x")]).encode_to_vec();
    append(&mut of_a_mutation, 5, &outer);
    let by_request = latest(vec![card("c1").set("title", "only if")]);
    let fine = client.ada.op(vec![card("c1").set("title", "plain")]);
    let call = [newer(&with_condition), of_a_mutation, newer(&by_request), fine.encode_to_vec()];
    let receipts = submit(&client, &call).await;
    let found = rejected(&receipts[0], Reason::UnknownField);
    assert_eq!((found.metadata["field"].as_str(), found.mutation_index), ("4711", None));
    let found = rejected(&receipts[1], Reason::UnknownField);
    assert_eq!((found.metadata["field"].as_str(), found.mutation_index), ("mutations[1].record.99", Some(1)));
    assert_eq!(refused(&receipts[2], Reason::UnknownField).metadata["field"], "4711");
    client.head = applied(&receipts[3]);
    client.ada.saw(client.head);
    // The same bytes are the same operation; without the field it is another one.
    let again = submit(&client, &call).await;
    assert_eq!(crate::harness::receipts::duplicate(&again[0]), receipts[0]);
    let forked = client.ws.submit(with_condition).await;
    refused(&forked, Reason::ReplicaForked);
    // Under a request id nothing is kept of it: an older client may go ahead.
    assert_eq!(unknown(&client.ws.receipts_of(vec![], vec![receipts[2].request_id.clone()]).await[0]), 0);
    client.head = applied(&client.ws.submit(by_request).await);
    client.ada.saw(client.head);
    client.goes_on().await;
}

#[tokio::test]
async fn unusual_encodings_of_what_is_known_are_taken() {
    let mut client = Clumsy::new().await;
    let operation = client.ada.op(vec![card("c1").increment("votes", 1)]);
    let mut unusual = Vec::new();
    // A default written out, and a value that is written twice.
    append(&mut unusual, 6, b"");
    append(&mut unusual, 8, b"somebody else");
    // Two mutations' messages apart from each other, and a number longer than necessary.
    unusual.extend([0x50, 0x80, 0x00]);
    unusual.extend(operation.encode_to_vec());
    let receipts = submit(&client, &[unusual]).await;
    client.head = applied(&receipts[0]);
    client.ada.saw(client.head);
    client.goes_on().await;
}
