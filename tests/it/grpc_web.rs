//! The same services for browsers: gRPC-Web over HTTP/1.1 on the same port, spoken by hand.

use pb::frame::Content;
use prost::Message as _;
use tonic::{Code, Status};

use crate::harness::errors::fault;
use crate::harness::ops::card;
use crate::harness::web::{Part, Response, framed, grpc_web, request};
use crate::harness::workspace::latest;
use crate::harness::{Reason, TestServer, fails, pb};

const SUBMIT: &str = "/syncline.v1.OperationService/Submit";
const WATCH: &str = "/syncline.v1.ChangeService/Watch";

/// The status of a response that is over: in its trailers, or in its headers when nothing else came.
async fn status(response: &mut Response) -> Status {
    let mut pairs = response.headers.clone();
    while let Some(part) = response.part().await {
        match part {
            Part::Trailers(trailers) => pairs = trailers,
            Part::Message(message) => panic!("a message of {} bytes before the end", message.len()),
        }
    }
    let mut headers = http::HeaderMap::new();
    for (name, value) in pairs {
        let name = http::HeaderName::try_from(name).expect("a name");
        headers.append(name, http::HeaderValue::try_from(value).expect("a value"));
    }
    Status::from_header_map(&headers).expect("a grpc-status")
}

async fn message<T: prost::Message + Default>(response: &mut Response) -> T {
    match response.part().await {
        Some(Part::Message(bytes)) => T::decode(bytes.as_slice()).expect("the message"),
        other => panic!("no message: {other:?}"),
    }
}

#[tokio::test]
async fn a_browser_makes_unary_calls() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let submit = pb::SubmitRequest {
        workspace_id: ws.id.clone(),
        operations: vec![latest(vec![card("c1").create()])],
        ..Default::default()
    };
    let mut response = grpc_web(server.address(), SUBMIT, &submit.encode_to_vec()).await;
    assert_eq!(response.status, 200);
    assert!(response.header("content-type").is_some_and(|t| t.starts_with("application/grpc-web")));
    assert_eq!(response.header("access-control-allow-origin"), Some("http://localhost:5173"));
    let answer: pb::SubmitResponse = message(&mut response).await;
    assert_eq!(answer.head_seq, 1);
    assert_eq!(status(&mut response).await.code(), Code::Ok);
    assert_eq!(ws.head_seq().await, 1);
}

#[tokio::test]
async fn a_browser_gets_the_same_typed_errors_and_can_go_on() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let submit = |id: &str| pb::SubmitRequest {
        workspace_id: id.to_owned(),
        operations: vec![latest(vec![card("c1").create()])],
        ..Default::default()
    };
    let mut response = grpc_web(server.address(), SUBMIT, &submit("nowhere").encode_to_vec()).await;
    let refused = status(&mut response).await;
    assert_eq!(fails(Err::<(), _>(refused), Reason::UnknownWorkspace).metadata["workspace_id"], "nowhere");
    let mut response = grpc_web(server.address(), SUBMIT, b"\xff\xff").await;
    assert_eq!(fault(&status(&mut response).await).reason, "MALFORMED_MESSAGE");
    let mut response = grpc_web(server.address(), "/syncline.v1.OperationService/Nope", &[]).await;
    fails(Err::<(), _>(status(&mut response).await), Reason::UnknownMethod);
    let mut response = grpc_web(server.address(), SUBMIT, &submit("w").encode_to_vec()).await;
    assert_eq!(message::<pb::SubmitResponse>(&mut response).await.head_seq, 1);
    assert_eq!(ws.head_seq().await, 1);
}

#[tokio::test]
async fn a_browser_follows_a_server_stream_while_writes_go_on() {
    let mut server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    ws.write(vec![card("c1").create()]).await;
    let start = pb::FeedStart {
        workspace_id: ws.id.clone(),
        origin: Some(pb::feed_start::Origin::Beginning(pb::FromBeginning {})),
        ..Default::default()
    };
    let watch = pb::WatchRequest { start: Some(start) };
    let mut response = grpc_web(server.address(), WATCH, &watch.encode_to_vec()).await;
    assert_eq!(response.status, 200);
    // What stands between is told to hold nothing back.
    assert_eq!(response.header("x-accel-buffering"), Some("no"));
    assert_eq!(response.header("cache-control"), Some("no-store, no-transform"));
    let first: pb::WatchResponse = message(&mut response).await;
    assert!(matches!(first.frame.and_then(|f| f.content), Some(Content::Opened(_))));
    let mut position = 0;
    for expected in 1..=5 {
        let frame = message::<pb::WatchResponse>(&mut response).await.frame.expect("a frame");
        let Some(Content::Changes(changes)) = frame.content else { panic!("{frame:?}") };
        assert_eq!((changes.from_seq_exclusive, changes.to_seq_inclusive), (position, expected));
        position = expected;
        ws.write(vec![card("c1").increment("votes", 1)]).await;
    }
    // The sixth may come before the end.
    server.begin_stop();
    loop {
        let frame = message::<pb::WatchResponse>(&mut response).await.frame.expect("a frame");
        if let Some(Content::GoAway(go_away)) = frame.content {
            assert_eq!(go_away.reason(), pb::GoAwayReason::Draining);
            break;
        }
    }
    assert_eq!(status(&mut response).await.code(), Code::Ok);
    server.stop().await;
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_ask_first() {
    let server = TestServer::in_memory().await;
    let preflight = |origin: &'static str| {
        let address = server.address();
        async move {
            let headers = [
                ("origin", origin),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", "content-type,x-grpc-web,x-user-agent,grpc-timeout"),
            ];
            request(address, "OPTIONS", SUBMIT, &headers, &[]).await
        }
    };
    let mut allowed = preflight("http://localhost:5173").await;
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("http://localhost:5173"));
    assert!(allowed.header("access-control-allow-methods").is_some_and(|m| m.contains("POST")));
    let headers = allowed.header("access-control-allow-headers").unwrap_or_default().to_owned();
    for name in ["content-type", "x-grpc-web", "x-user-agent", "grpc-timeout", "authorization"] {
        assert!(headers.contains(name), "{headers}");
    }
    assert_eq!(allowed.bytes().await, b"");
    let foreign = preflight("http://evil.example").await;
    assert_eq!(foreign.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn a_browser_can_read_what_an_error_carries() {
    let server = TestServer::in_memory().await;
    let headers = [("content-type", "application/grpc-web+proto"), ("origin", "http://localhost:1")];
    let head = pb::GetHeadRequest { workspace_id: "nowhere".to_owned() }.encode_to_vec();
    let path = "/syncline.v1.WorkspaceService/GetHead";
    let response = request(server.address(), "POST", path, &headers, &framed(&head)).await;
    let exposed = response.header("access-control-expose-headers").unwrap_or_default().to_owned();
    for name in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
        assert!(exposed.contains(name), "{exposed}");
    }
}
