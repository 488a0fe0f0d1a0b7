//! Headers that keep what stands between a browser and this server from holding back what is sent.
//!
//! A proxy that takes an answer of gRPC-Web for a page reads all of it before it passes on any: the first byte of a feed
//! would arrive when the feed ends. nginx does so unless it is told not to. Caches and compressing proxies do the same
//! unless the answer says that it may be neither stored nor transformed.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response};
use tower::ServiceBuilder;
use tower::layer::util::{Identity, Stack};
use tower_http::set_header::{MakeHeaderValue, SetResponseHeaderLayer};

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const NOT_BUFFERED: HeaderValue = HeaderValue::from_static("no");
const NEITHER_STORED_NOR_TRANSFORMED: HeaderValue = HeaderValue::from_static("no-store, no-transform");
const GRPC_WEB: &[u8] = b"application/grpc-web";

type Headers = Stack<SetResponseHeaderLayer<OfGrpcWeb>, Stack<SetResponseHeaderLayer<OfGrpcWeb>, Identity>>;

/// Sets these headers on every answer of gRPC-Web. It stands outside of the layer that makes them.
pub fn unbuffered() -> Headers {
    ServiceBuilder::new()
        .layer(SetResponseHeaderLayer::overriding(X_ACCEL_BUFFERING, OfGrpcWeb(NOT_BUFFERED)))
        .layer(SetResponseHeaderLayer::overriding(CACHE_CONTROL, OfGrpcWeb(NEITHER_STORED_NOR_TRANSFORMED)))
        .into_inner()
}

/// The value, where the answer is one of gRPC-Web.
#[derive(Debug, Clone)]
pub struct OfGrpcWeb(HeaderValue);

impl<B> MakeHeaderValue<Response<B>> for OfGrpcWeb {
    fn make_header_value(&mut self, response: &Response<B>) -> Option<HeaderValue> {
        let content = response.headers().get(CONTENT_TYPE)?;
        content.as_bytes().starts_with(GRPC_WEB).then(|| self.0.clone())
    }
}
