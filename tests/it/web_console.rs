//! The web pages on the port of gRPC: real requests over HTTP/1.1, and calls that go on beside them.

use prost::Message as _;

use crate::harness::web::{Part, Response, grpc_web, request};
use crate::harness::workspace::latest;
use crate::harness::{TestServer, ops::card, pb};

/// A server that serves the pages.
async fn serving() -> TestServer {
    TestServer::with(&[("database.url", "memory:"), ("server.console", "true")]).await
}

async fn get(server: &TestServer, path: &str, headers: &[(&str, &str)]) -> Response {
    request(server.address(), "GET", path, headers, &[]).await
}

/// The page of the root, as text.
async fn board(server: &TestServer) -> String {
    let mut response = get(server, "/", &[]).await;
    assert_eq!(response.status, 200);
    String::from_utf8(response.bytes().await).expect("a text")
}

/// Paths of a kind of file that the page loads.
fn linked(page: &str, ending: &str) -> Vec<String> {
    let quoted = page.split('"').skip(1).step_by(2);
    quoted.filter(|path| path.ends_with(ending)).map(|path| path.replacen("./", "/", 1)).collect()
}

#[tokio::test]
async fn a_browser_gets_the_board_with_its_script_and_style() {
    let server = serving().await;
    let page = board(&server).await;
    assert!(page.starts_with("<!doctype html>") && page.contains("id=\"root\""), "{page}");
    for (ending, content_type) in [(".js", "text/javascript"), (".css", "text/css")] {
        let paths = linked(&page, ending);
        assert!(!paths.is_empty(), "the page has a {ending}: {page}");
        for path in paths {
            let mut response = get(&server, &path, &[]).await;
            assert_eq!(response.status, 200, "{path}");
            assert!(response.header("content-type").is_some_and(|t| t.starts_with(content_type)), "{path}");
            assert_eq!(response.header("cache-control"), Some("public, max-age=31536000, immutable"));
            assert!(response.bytes().await.len() > 100, "{path}");
        }
    }
}

#[tokio::test]
async fn a_page_may_do_nothing_but_run_its_own_code_and_call_its_own_server() {
    let server = serving().await;
    for path in ["/", "/nowhere"] {
        let response = get(&server, path, &[]).await;
        let policy = response.header("content-security-policy").unwrap_or_default().to_owned();
        for part in
            ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"]
        {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    }
    let page = board(&server).await;
    assert!(!page.contains("<style") && !page.contains("style="), "the policy forbids inline styles: {page}");
    assert_eq!(page.matches("<script").count(), page.matches("src=\"").count(), "and inline scripts: {page}");
}

#[tokio::test]
async fn what_a_browser_has_already_is_not_sent_again() {
    let server = serving().await;
    let first = get(&server, "/", &[]).await;
    assert_eq!(first.header("cache-control"), Some("no-cache"));
    let tag = first.header("etag").expect("a tag").to_owned();
    let mut again = get(&server, "/", &[("if-none-match", &tag)]).await;
    assert_eq!(again.status, 304);
    assert_eq!(again.bytes().await, b"");
    assert_eq!(get(&server, "/", &[("if-none-match", "\"other\"")]).await.status, 200);
}

#[tokio::test]
async fn head_tells_the_length_and_unknown_paths_are_not_found() {
    let server = serving().await;
    let head = request(server.address(), "HEAD", "/", &[], &[]).await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-length"), Some(board(&server).await.len().to_string().as_str()));
    for path in ["/nowhere", "/assets/", "/../Cargo.toml", "/syncline.v1.OperationService/Submit"] {
        assert_eq!(get(&server, path, &[]).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn calls_go_on_beside_the_pages() {
    let server = serving().await;
    let ws = server.workspace("w").await;
    let submit = pb::SubmitRequest {
        workspace_id: ws.id.clone(),
        operations: vec![latest(vec![card("c1").create()])],
        ..Default::default()
    };
    let path = "/syncline.v1.OperationService/Submit";
    let mut response = grpc_web(server.address(), path, &submit.encode_to_vec()).await;
    assert_eq!(response.status, 200);
    assert!(response.header("content-type").is_some_and(|t| t.starts_with("application/grpc-web")));
    let Some(Part::Message(message)) = response.part().await else { panic!("a message") };
    assert_eq!(pb::SubmitResponse::decode(message.as_slice()).expect("an answer").head_seq, 1);
    // And over gRPC.
    assert_eq!(ws.head_seq().await, 1);
    board(&server).await;
}

#[tokio::test]
async fn there_are_no_pages_unless_they_are_asked_for() {
    let server = TestServer::in_memory().await;
    let mut response = get(&server, "/", &[]).await;
    assert_ne!(response.status, 200);
    assert_eq!(response.bytes().await, b"");
}
