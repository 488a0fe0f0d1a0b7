//! The stock services beside our own: health and reflection.

use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::harness::{TestServer, within};

#[tokio::test]
async fn health_says_serving_and_the_end_of_it_when_the_server_stops() {
    // Longer than the test waits for the stop: what has to be waited for would fail it.
    let settings = [("database.url", "memory:"), ("server.drain_seconds", "600")];
    let mut server = TestServer::with(&settings).await;
    let mut health = HealthClient::new(server.channel().await);
    let whole = HealthCheckRequest { service: String::new() };
    let checked = within("Check", health.check(whole.clone())).await.expect("an answer").into_inner();
    assert_eq!(checked.status(), ServingStatus::Serving);
    let mut watched = within("Watch", health.watch(whole)).await.expect("a stream").into_inner();
    let first = within("a status", watched.message()).await.expect("a status").expect("a status");
    assert_eq!(first.status(), ServingStatus::Serving);
    server.begin_stop();
    let second = within("a status", watched.message()).await.expect("a status").expect("a status");
    assert_eq!(second.status(), ServingStatus::NotServing);
    let end = within("the end of the watch", watched.message()).await.expect("an orderly end");
    assert_eq!(end, None, "the watch does not hold up the stop");
    server.stop().await;
    drop(health);
}

async fn ask(channel: Channel, request: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let mut client = ServerReflectionClient::new(channel);
    let mut answers = within("reflection", client.server_reflection_info(tokio_stream::iter([request])))
        .await
        .expect("a stream")
        .into_inner();
    within("an answer", answers.next())
        .await
        .expect("one")
        .expect("an answer")
        .message_response
        .expect("content")
}

#[tokio::test]
async fn reflection_tells_every_service_and_describes_it() {
    let server = TestServer::in_memory().await;
    let channel = server.channel().await;
    let MessageResponse::ListServicesResponse(listed) =
        ask(channel.clone(), MessageRequest::ListServices(String::new())).await
    else {
        panic!("no list")
    };
    let mut names: Vec<String> = listed.service.into_iter().map(|s| s.name).collect();
    names.sort();
    let ours = ["Change", "Conflict", "Connection", "Operation", "Record", "Workspace"];
    for service in ours {
        let name = format!("syncline.v1.{service}Service");
        assert!(names.contains(&name), "{names:?}");
        let answer = ask(channel.clone(), MessageRequest::FileContainingSymbol(name.clone())).await;
        assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{name}: {answer:?}");
    }
    assert!(names.contains(&"grpc.health.v1.Health".to_owned()), "{names:?}");
}

#[tokio::test]
async fn reflection_is_off_unless_it_is_asked_for() {
    let server = TestServer::with(&[("server.reflection", "false"), ("database.url", "memory:")]).await;
    let mut client = ServerReflectionClient::new(server.channel().await);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let called = within("reflection", client.server_reflection_info(tokio_stream::iter([request]))).await;
    assert_eq!(called.map(|_| ()).expect_err("no such service").code(), tonic::Code::Unimplemented);
}
