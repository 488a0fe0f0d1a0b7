//! Calls that fail as a whole: they have stored nothing.

use std::time::Duration;

use prost::Message as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tonic::{Code, Response};

use pb::ComparisonOperator as Op;

use super::Clumsy;
use crate::harness::errors::{fault, fields_at_fault};
use crate::harness::filters;
use crate::harness::ops::{card, nested};
use crate::harness::receipts::applied;
use crate::harness::web::{framed, request};
use crate::harness::workspace::{latest, schema};
use crate::harness::{Feed, Kind, Reason, TestServer, fails, pb, raw, until, within};

const SUBMIT: &str = "/syncline.v1.OperationService/Submit";
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// The path of every method there is.
fn methods() -> Vec<&'static str> {
    let files = prost_types::FileDescriptorSet::decode(pb::FILE_DESCRIPTOR_SET).expect("descriptors");
    let mut paths = Vec::new();
    for file in &files.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                paths.push(&*Box::leak(path.into_boxed_str()));
            }
        }
    }
    assert!(paths.len() >= 28, "{paths:?}");
    paths
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused_by_every_method() {
    let mut client = Clumsy::new().await;
    // A wire type that does not exist; a length that is not there; a string that is no UTF-8.
    for bytes in [vec![0xff; 9], vec![0x0a, 0x7f, 1], vec![0x0a, 2, 0xc3, 0x28]] {
        // Where a request has no fields, no field can be damaged.
        let has_fields = |path: &&&str| !path.ends_with("/GetServerInfo") || bytes.len() != 4;
        for path in methods().iter().filter(has_fields) {
            let called = raw::call(&client.ws.clients.channel, path, bytes.clone()).await;
            let fault = fails(called, Reason::MalformedMessage);
            assert_eq!(fault.code, Code::InvalidArgument, "{path}");
        }
    }
    client.goes_on().await;
}

#[tokio::test]
async fn a_request_that_was_damaged_on_its_way_is_answered_one_way_or_the_other() {
    let mut client = Clumsy::new().await;
    let operation =
        client.ada.op_at(2, vec![card("c1").set("title", "x"), card("c1").edit("notes", &[(0, 0, "y")])]);
    let request = pb::SubmitRequest {
        workspace_id: "elsewhere".to_owned(),
        operations: vec![operation],
        ..Default::default()
    };
    let whole = request.encode_to_vec();
    for seed in 0..300 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut bytes = whole.clone();
        if random.random_bool(0.5) {
            bytes.truncate(random.random_range(0..bytes.len()));
        }
        for _ in 0..random.random_range(0..4) {
            if let Some(last) = bytes.len().checked_sub(1) {
                let at = random.random_range(0..=last);
                bytes[at] = random.random();
            }
        }
        let status =
            raw::call(&client.ws.clients.channel, SUBMIT, bytes).await.expect_err("no such workspace");
        let reason = fault(&status).reason;
        let expected = ["MALFORMED_MESSAGE", "UNKNOWN_WORKSPACE", "INVALID_REQUEST", "UNKNOWN_FIELD"];
        assert!(expected.contains(&reason.as_str()), "seed {seed}: {reason}");
    }
    client.goes_on().await;
}

#[tokio::test]
async fn a_message_above_its_limit_is_refused_and_one_at_the_limit_is_taken() {
    let mut client = Clumsy::new().await;
    let request = pb::SubmitRequest {
        workspace_id: "w".to_owned(),
        operations: vec![latest(vec![card("c2").create()])],
        ..Default::default()
    };
    let padded = |bytes: usize| {
        // Of a field that is sent twice the last one counts; the first fills the message.
        let request = request.encode_to_vec();
        let fill = bytes - request.len() - 1 - 3;
        let mut message = Vec::with_capacity(bytes);
        prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut message);
        prost::encoding::encode_varint(fill as u64, &mut message);
        message.resize(bytes - request.len(), b'w');
        message.extend(request);
        message
    };
    for bytes in [MESSAGE_BYTES_MAX + 1, 3 * MESSAGE_BYTES_MAX] {
        let called = raw::call(&client.ws.clients.channel, SUBMIT, padded(bytes)).await;
        let fault = fails(called, Reason::MessageTooLarge);
        assert_eq!(fault.metadata["limit_bytes"], MESSAGE_BYTES_MAX.to_string());
    }
    client.goes_on().await;
    raw::call(&client.ws.clients.channel, SUBMIT, padded(MESSAGE_BYTES_MAX)).await.expect("taken");
    client.head += 1;
    client.goes_on().await;

    let large = vec![latest(vec![card("c1").set("title", "x".repeat(MESSAGE_BYTES_MAX).as_str())])];
    fails(client.ws.try_submit(large).await, Reason::MessageTooLarge);
    client.goes_on().await;
}

#[tokio::test]
async fn a_nesting_bomb_is_refused_before_it_is_unfolded() {
    let mut client = Clumsy::new().await;
    for (inner, outer) in [(1, 7), (1, 8)] {
        // 60,000 levels of lists (7) or map entries (8), from the inside out; no generated type could hold them.
        let mut bytes: Vec<u8> = Vec::new();
        let wrap = |bytes: &mut Vec<u8>, field: u32| {
            let mut head = Vec::new();
            prost::encoding::encode_key(field, prost::encoding::WireType::LengthDelimited, &mut head);
            prost::encoding::encode_varint(bytes.len() as u64, &mut head);
            head.reverse();
            // Kept reversed, so that a level costs what it adds.
            bytes.extend(head);
        };
        while bytes.len() < 500_000 {
            if outer == 8 {
                wrap(&mut bytes, 2);
            }
            wrap(&mut bytes, inner);
            wrap(&mut bytes, outer);
        }
        // SetField.value, RecordMutation.set_field, Mutation.record, Operation.mutations, SubmitRequest.operations.
        for field in [2, 6, 1, 5, 2] {
            wrap(&mut bytes, field);
        }
        bytes.reverse();
        let called = raw::call(&client.ws.clients.channel, SUBMIT, bytes).await;
        fails(called, Reason::MalformedMessage);
    }
    client.goes_on().await;
}

#[tokio::test]
async fn ten_thousand_operations_in_a_call_are_too_many() {
    let mut client = Clumsy::new().await;
    for count in [1_001, 10_000] {
        let mut bob = client.ws.replica(2, "");
        let operations: Vec<_> = (0..count).map(|_| bob.op(vec![card("c1").delete()])).collect();
        let size: usize = operations.iter().map(|o| o.encoded_len() + 4).sum();
        assert!(size < MESSAGE_BYTES_MAX, "{size} bytes: refused for another reason");
        let fault = fails(client.ws.try_submit(operations).await, Reason::TooManyOperations);
        assert_eq!(
            (fault.metadata["limit"].as_str(), &fault.metadata["count"]),
            ("1000", &count.to_string())
        );
    }
    assert_eq!(fields_at_fault(client.ws.try_submit(vec![]).await), ["operations"]);
    let ask = |count: u64| pb::GetReceiptsRequest {
        workspace_id: "w".to_owned(),
        dots: (1..=count / 2).map(|n| client.ada.dot(n)).collect(),
        request_ids: (0..count - count / 2).map(|n| n.to_string()).collect(),
    };
    let operations = client.ws.clients.operations();
    let asked = within("GetReceipts", operations.clone().get_receipts(ask(1_001))).await;
    fails(asked, Reason::TooManyOperations);
    let asked =
        within("GetReceipts", operations.clone().get_receipts(ask(1_000))).await.map(Response::into_inner);
    assert_eq!(asked.expect("receipts").receipts.len(), 1_000);
    client.goes_on().await;
}

#[tokio::test]
async fn an_unknown_workspace_is_said_to_be_unknown_whatever_it_is_called() {
    let mut client = Clumsy::new().await;
    let long = "x".repeat(100_000);
    for id in ["nowhere", "", "NO WORKSPACE", "w ", "../w", "w\0", long.as_str()] {
        let operations = vec![latest(vec![card("c1").create()])];
        let request = pb::SubmitRequest { workspace_id: id.to_owned(), operations, ..Default::default() };
        let submitted = within("Submit", client.ws.clients.operations().submit(request)).await;
        let fault = fails(submitted, Reason::UnknownWorkspace);
        assert!(id.len() > 100 || fault.metadata["workspace_id"] == id, "{fault:?}");
        assert!(fault.metadata["workspace_id"].len() <= 4_096);
    }
    client.goes_on().await;
}

#[tokio::test]
async fn a_workspace_needs_an_id_of_its_form() {
    let server = TestServer::in_memory().await;
    let clients = server.clients().await;
    let long = "w".repeat(65);
    for id in ["", "-w", "W", "w_1", "w w", "é", long.as_str()] {
        let request = pb::CreateWorkspaceRequest { workspace_id: id.to_owned(), ..Default::default() };
        let created = within("CreateWorkspace", clients.workspaces().create_workspace(request)).await;
        assert_eq!(fields_at_fault(created), ["workspace_id"], "{id}");
    }
    let request = pb::CreateWorkspaceRequest {
        workspace_id: "-".to_owned(),
        display_name: "x".repeat(129),
        schema: None,
    };
    let created = within("CreateWorkspace", clients.workspaces().create_workspace(request)).await;
    assert_eq!(fields_at_fault(created), ["workspace_id", "display_name"], "all at once");
    server.workspace(&"w".repeat(64)).await;
}

#[tokio::test]
async fn only_what_cannot_be_attributed_to_an_operation_fails_its_call() {
    let mut client = Clumsy::new().await;
    let nobody = pb::Operation { identity: None, ..client.ada.op_at(2, vec![card("c1").set("title", "x")]) };
    for broken in [pb::Operation::default(), nobody] {
        // Beside one that would do: a call that fails has stored nothing at all.
        let beside = latest(vec![card("c9").create()]);
        let submitted = client.ws.try_submit(vec![beside, broken]).await;
        assert_eq!(fields_at_fault(submitted), ["operations[1]"]);
    }
    client.goes_on().await;
}

#[tokio::test]
async fn a_page_token_a_filter_and_a_label_of_no_known_form_are_refused() {
    let mut client = Clumsy::new().await;
    let records = client.ws.clients.records();
    let list = |request: pb::ListRecordsRequest| {
        let mut records = records.clone();
        async move {
            let request = pb::ListRecordsRequest { workspace_id: "w".to_owned(), ..request };
            within("ListRecords", records.list_records(request)).await
        }
    };
    let cards = || "cards".to_owned();
    assert_eq!(fields_at_fault(list(pb::ListRecordsRequest::default()).await), ["collection_id"]);
    let bad_token = pb::ListRecordsRequest {
        collection_id: cards(),
        page_token: "bogus".to_owned(),
        ..Default::default()
    };
    fails(list(bad_token).await, Reason::InvalidPageToken);
    let leaf = || filters::equals("title", "x");
    let nine_deep = (0..8).fold(leaf(), |inner, _| filters::not(inner));
    for (filter, field) in [
        (pb::Filter::default(), "filter".to_owned()),
        (filters::all(vec![]), "filter.all_of.filters".to_owned()),
        (
            filters::any(vec![leaf(), filters::present("a b")]),
            "filter.any_of.filters[1].present.field_id".to_owned(),
        ),
        (filters::compare("title", Op::Equals, vec![]), "filter.comparison.values".to_owned()),
        (filters::is("title", Op::Contains, nested(1)), "filter.comparison.values[0]".to_owned()),
        (nine_deep, format!("filter{}", ".negation_of".repeat(8))),
    ] {
        let filter = Some(filter);
        let filtered = pb::ListRecordsRequest { collection_id: cards(), filter, ..Default::default() };
        assert_eq!(fields_at_fault(list(filtered).await), [field]);
    }
    let filter = Some(filters::is("title", Op::Unspecified, 1));
    let filtered = pb::ListRecordsRequest { collection_id: cards(), filter, ..Default::default() };
    let fault = fails(list(filtered).await, Reason::UnknownEnumValue);
    assert_eq!(fault.metadata["field"], "filter.comparison.op");
    let read = client.ws.try_read("no good id").await;
    assert_eq!(fields_at_fault(read), ["record_id"]);

    let ws = &client.ws;
    let collections: Vec<String> = (0..101).map(|n| format!("c{n}")).collect();
    for (ids, field) in [
        (collections, "filter.collection_ids"),
        (vec!["ok".to_owned(), "not ok".to_owned()], "filter.collection_ids[1]"),
    ] {
        for kind in [Kind::Watch, Kind::Subscribe] {
            let filter = Some(pb::FeedFilter { collection_ids: ids.clone() });
            let opened = Feed::try_open(ws, kind, None, filter.clone()).await.map(|_| ());
            assert_eq!(fields_at_fault(opened), [field]);
        }
        let snapshot = pb::SnapshotRequest {
            workspace_id: "w".to_owned(),
            filter: Some(pb::FeedFilter { collection_ids: ids }),
            at_least: None,
        };
        let opened = within("Snapshot", ws.clients.changes().snapshot(snapshot)).await.map(|_| ());
        assert_eq!(fields_at_fault(opened), [field]);
    }
    let start = pb::FeedStart { workspace_id: "w".to_owned(), ..Default::default() };
    let opened = within("Watch", ws.clients.changes().watch(pb::WatchRequest { start: Some(start) }))
        .await
        .map(|_| ());
    assert_eq!(fields_at_fault(opened), ["start.origin"], "a feed starts somewhere");
    client.goes_on().await;
}

#[tokio::test]
async fn a_cursor_of_the_future_of_another_epoch_or_workspace_or_of_no_form_is_told_apart() {
    let mut client = Clumsy::new().await;
    let other = client.server.workspace("other").await;
    let ws = client.ws.clone();
    let head = ws.head().await;
    for kind in [Kind::Watch, Kind::Subscribe] {
        let future = pb::Cursor { seq_inclusive: head.seq_inclusive + 1, ..head.clone() };
        let opened = Feed::try_open(&ws, kind, Some(future), None).await.expect("a frame");
        assert_eq!(opened.err(), Some(pb::ResetReason::FutureCursor));
        let epoch = pb::Cursor { epoch: head.epoch.wrapping_add(1), ..head.clone() };
        let opened = Feed::try_open(&ws, kind, Some(epoch), None).await.expect("a frame");
        assert_eq!(opened.err(), Some(pb::ResetReason::WrongEpoch));
        let opened = Feed::try_open(&ws, kind, Some(other.head().await), None).await.map(|_| ());
        assert_eq!(fails(opened, Reason::CursorMismatch).metadata["workspace_id"], "other");
        let short = pb::Cursor { chain: vec![1; 15].into(), ..head.clone() };
        let opened = Feed::try_open(&ws, kind, Some(short), None).await.map(|_| ());
        assert_eq!(fields_at_fault(opened), ["start.cursor.chain"]);
        for bytes in [vec![0xff], vec![7; 40], b"made up".to_vec()] {
            let selection = pb::Cursor { selection: bytes.clone().into(), ..head.clone() };
            let opened = Feed::try_open(&ws, kind, Some(selection), None).await.map(|_| ());
            assert_eq!(fields_at_fault(opened), ["start.cursor.selection"]);
            let loading = pb::Cursor { loading: bytes.into(), ..head.clone() };
            let opened = Feed::try_open(&ws, kind, Some(loading), None).await.map(|_| ());
            assert_eq!(fields_at_fault(opened), ["start.cursor.loading"]);
        }
    }
    client.goes_on().await;
    let mut feed = Feed::open(&ws, Kind::Subscribe, Some(head)).await;
    feed.until(client.head).await;
}

#[tokio::test]
async fn a_value_of_an_enum_that_nobody_knows_is_refused() {
    let mut client = Clumsy::new().await;
    let conflicts = client.ws.clients.conflicts();
    for (request, field, value) in [
        (pb::ListConflictsRequest { kind: -5, ..Default::default() }, "kind", "-5"),
        (pb::ListConflictsRequest { statuses: vec![0, 6], ..Default::default() }, "statuses[1]", "6"),
    ] {
        let request = pb::ListConflictsRequest { workspace_id: "w".to_owned(), ..request };
        let fault = fails(
            within("ListConflicts", conflicts.clone().list_conflicts(request)).await,
            Reason::UnknownEnumValue,
        );
        assert_eq!((fault.metadata["field"].as_str(), fault.metadata["value"].as_str()), (field, value));
    }
    let mut unknown = schema();
    let title =
        unknown.collections.get_mut("cards").and_then(|c| c.fields.get_mut("title")).expect("the title");
    title.kind = 42;
    let request =
        pb::UpdateSchemaRequest { workspace_id: "w".to_owned(), schema: Some(unknown), ..Default::default() };
    let fault = fails(
        within("UpdateSchema", client.ws.clients.workspaces().update_schema(request)).await,
        Reason::UnknownFieldKind,
    );
    assert_eq!(fault.metadata["field_id"], "title");
    client.goes_on().await;
}

#[tokio::test]
async fn a_schema_of_too_many_collections_or_fields_is_refused() {
    let mut client = Clumsy::new().await;
    let wide = pb::Schema {
        strict: Some(true),
        collections: (0..201).map(|n| (format!("c{n}"), pb::CollectionSchema::default())).collect(),
    };
    let spec = pb::FieldSchema { kind: 1, ..Default::default() };
    let fields = (0..501).map(|n| (format!("f{n}"), spec)).collect();
    let deep = pb::Schema {
        strict: Some(true),
        collections: [("cards".to_owned(), pb::CollectionSchema { fields })].into(),
    };
    let collections = [("not ok".to_owned(), pb::CollectionSchema::default())].into();
    let misnamed = pb::Schema { strict: Some(true), collections };
    for schema in [wide, deep, misnamed] {
        let request = pb::UpdateSchemaRequest {
            workspace_id: "w".to_owned(),
            schema: Some(schema),
            ..Default::default()
        };
        fails(
            within("UpdateSchema", client.ws.clients.workspaces().update_schema(request)).await,
            Reason::InvalidRequest,
        );
    }
    assert_eq!(client.ws.schema().await, (schema(), 1));
    client.goes_on().await;
}

#[tokio::test]
async fn a_method_or_service_that_does_not_exist_is_said_to_be_unknown() {
    let mut client = Clumsy::new().await;
    let paths = ["/syncline.v1.OperationService/Nope", "/syncline.v2.OperationService/Submit", "/x/y"];
    for path in paths {
        let fault = fails(raw::call(&client.ws.clients.channel, path, vec![]).await, Reason::UnknownMethod);
        assert_eq!(fault.code, Code::Unimplemented);
    }
    client.goes_on().await;
}

#[tokio::test]
async fn a_call_without_time_ends_with_its_deadline_and_may_be_sent_again() {
    let client = Clumsy::new().await;
    let operation = latest(vec![card("c2").create()]);
    let submit = pb::SubmitRequest {
        workspace_id: "w".to_owned(),
        operations: vec![operation.clone()],
        ..Default::default()
    };
    // A generated client would give up by itself: by hand the server's own word is heard.
    let headers = [("content-type", "application/grpc-web+proto"), ("grpc-timeout", "1n")];
    let body = framed(&submit.encode_to_vec());
    let response = request(client.server.address(), "POST", SUBMIT, &headers, &body).await;
    let mut map = http::HeaderMap::new();
    for (name, value) in &response.headers {
        map.append(
            http::HeaderName::try_from(name.as_str()).expect("a name"),
            http::HeaderValue::try_from(value.as_str()).expect("a value"),
        );
    }
    let status = tonic::Status::from_header_map(&map).expect("a status");
    fails(Err::<(), _>(status), Reason::Deadline);
    // Whether it was stored is not known; sent again, it is stored once.
    assert_eq!(crate::harness::receipts::settled(&client.ws.submit(operation).await), client.head + 1);
    assert_eq!(client.ws.head_seq().await, client.head + 1);
}

#[tokio::test]
async fn a_unary_call_is_given_up_after_the_time_the_server_allows() {
    let client = Clumsy::over(TestServer::with(&[("server.request_timeout_seconds", "1")]).await).await;
    let somebody_else = client.server.lock_database().await;
    fails(client.ws.try_submit(vec![latest(vec![card("c2").create()])]).await, Reason::Deadline);
    somebody_else.lets_go().await;
}

#[tokio::test]
async fn a_store_that_cannot_write_fails_calls_and_they_are_sent_again() {
    let client = Clumsy::over(TestServer::start().await).await;
    let somebody_else = client.server.lock_database().await;

    let mut ada = client.ada.clone();
    let operation = ada.op(vec![card("c1").set("title", "in spite of it")]);
    let fault = fails(client.ws.try_submit(vec![operation.clone()]).await, Reason::StoreUnavailable);
    assert!(fault.retries);
    assert_eq!(client.ws.head_seq().await, client.head, "reads go on");
    assert_eq!(crate::harness::receipts::unknown(&client.ws.receipts(vec![ada.last()]).await[0]), 2);

    somebody_else.lets_go().await;
    let receipt = until("a store that writes", || async {
        client.ws.try_submit(vec![operation.clone()]).await.ok().map(|r| r.receipts[0].clone())
    })
    .await;
    assert_eq!(applied(&receipt), client.head + 1);
    tokio::time::timeout(Duration::from_secs(5), client.ws.head()).await.expect("an answer");
}
