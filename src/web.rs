//! The built web pages of `console/dist`, served on the port of gRPC to browsers that ask with GET.
//!
//! The pages are embedded when the server is built; building them needs Node, building the server does not. Calls are
//! POST, so [`WebLayer`] answers GET and HEAD and passes everything else on untouched. It stands outside of every other
//! layer: tonic-web would refuse such requests over HTTP/1.1.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use pin_project_lite::pin_project;
use rust_embed::{EmbeddedFile, RustEmbed};
use tonic::body::Body;
use tower::{Layer, Service};

/// The page of the root.
const INDEX: &str = "index.html";
/// Files whose names contain a hash of their content.
const HASHED: &str = "assets/";
/// How those files are cached: they never change.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Everything else is asked for again, and usually answered with "not modified".
const ASK_AGAIN: &str = "no-cache";

/// What a page may do: load what this server embeds, call this server, and nothing else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Headers of every page.
const SECURITY_HEADERS: [(&str, &str); 5] = [
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Syncline</title>\
     <h1>This server was built without its web pages</h1>\
     <p>It works; only the pages are missing. Build them, and then the server again:</p>\
     <pre>cd clients/typescript\nnpm ci\nnpm run build:console\ncd ../..\ncargo build</pre>";
const NO_SUCH_PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Syncline</title>\
     <h1>There is no such page</h1><p><a href=\"/\">To the board</a></p>";

#[derive(RustEmbed)]
#[folder = "console/dist"]
#[allow_missing = true]
struct Pages;

/// Answers browsers with pages; see the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WebLayer {
    enabled: bool,
}

impl WebLayer {
    /// Unless it is `enabled`, it passes every request on.
    pub(crate) fn new(enabled: bool) -> WebLayer {
        WebLayer { enabled }
    }
}

impl<S> Layer<S> for WebLayer {
    type Service = Web<S>;

    fn layer(&self, inner: S) -> Web<S> {
        Web { inner, enabled: self.enabled }
    }
}

/// A service under [`WebLayer`].
#[derive(Debug, Clone)]
pub(crate) struct Web<S> {
    inner: S,
    enabled: bool,
}

impl<S, RequestBody> Service<Request<RequestBody>> for Web<S>
where
    S: Service<Request<RequestBody>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        if self.enabled && matches!(*request.method(), Method::GET | Method::HEAD) {
            let response = page(request.uri().path(), request.headers());
            return Answer::Page { response: Some(response.map(|bytes| Body::new(Full::new(bytes)))) };
        }
        Answer::Call { call: self.inner.call(request) }
    }
}

pin_project! {
    /// A page at once, or what the call gives.
    #[project = AnswerProjection]
    pub(crate) enum Answer<F> {
        Page { response: Option<Response<Body>> },
        Call { #[pin] call: F },
    }
}

impl<F: Future<Output = Result<Response<Body>, E>>, E> Future for Answer<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AnswerProjection::Page { response } => Poll::Ready(Ok(response.take().unwrap_or_default())),
            AnswerProjection::Call { call } => call.poll(cx),
        }
    }
}

/// The answer to a request for a page. A body of HEAD is left out by hyper.
fn page(path: &str, request: &HeaderMap) -> Response<Bytes> {
    let name = match path.trim_start_matches('/') {
        "" => INDEX,
        name => name,
    };
    let mut response = match Pages::get(name) {
        Some(file) => of_file(name, file, request),
        None if name == INDEX => of_text(StatusCode::SERVICE_UNAVAILABLE, NOT_BUILT),
        None => of_text(StatusCode::NOT_FOUND, NO_SUCH_PAGE),
    };
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn of_file(name: &str, file: EmbeddedFile, request: &HeaderMap) -> Response<Bytes> {
    let tag = tag(&file);
    let known = request.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        value.to_str().is_ok_and(|value| value.split(',').any(|one| matches_tag(one.trim(), &tag)))
    });
    let mut response = Response::new(if known { Bytes::new() } else { bytes(file.data) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    let caching = if name.starts_with(HASHED) { FOR_EVER } else { ASK_AGAIN };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

fn of_text(status: StatusCode, text: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn bytes(data: Cow<'static, [u8]>) -> Bytes {
    match data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => Bytes::from(data),
    }
}

/// The file's hash, in quotes.
fn tag(file: &EmbeddedFile) -> String {
    let mut tag = String::from("\"");
    for byte in file.metadata.sha256_hash().iter().take(16) {
        // Writing to a string cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

/// Whether a client's tag is this one; a weak one is enough.
fn matches_tag(given: &str, tag: &str) -> bool {
    given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag
}

/// The content type by the name's ending, for the files that the build of the pages produces.
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_type_that_browsers_insist_on() {
        for (name, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("assets/index-1a2b.js", "text/javascript; charset=utf-8"),
            ("assets/index.min.css", "text/css; charset=utf-8"),
            ("favicon.svg", "image/svg+xml"),
            ("LICENSE", "application/octet-stream"),
        ] {
            assert_eq!(content_type(name), expected, "{name}");
        }
    }

    #[test]
    fn a_tag_is_known_alone_weak_and_in_company() {
        assert!(matches_tag("\"a\"", "\"a\""));
        assert!(matches_tag("W/\"a\"", "\"a\""));
        assert!(matches_tag("*", "\"a\""));
        assert!(!matches_tag("\"b\"", "\"a\""));
    }

    #[test]
    fn a_path_never_leaves_the_folder() {
        for path in ["/../Cargo.toml", "/%2e%2e/Cargo.toml", "//etc/passwd", "/assets/../../Cargo.toml", "/."]
        {
            assert_eq!(page(path, &HeaderMap::new()).status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
