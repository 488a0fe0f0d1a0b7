//! One span and one set of measurements for each call.
//!
//! The layer belongs inside of tonic-web's, where the status of every call, a browser's too, is still in headers and
//! trailers. Methods come from the protocol's own descriptors, so that labels are a bounded set; any other path is
//! `other`. Handlers add to the span what only they know, with `Span::current().record("workspace", …)`.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use metrics::{Counter, Gauge, Histogram, SharedString, counter, gauge, histogram};
use prost::Message;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::telemetry::{GRPC_CALL_SECONDS, GRPC_CALLS_TOTAL, GRPC_STREAMS_OPEN};

/// The label of all paths that are no method of this server.
const OTHER: &str = "other";
/// Methods of the stock services, which are served but not part of the protocol.
const STOCK_METHODS: [(&str, bool); 5] = [
    ("grpc.health.v1.Health/Check", false),
    ("grpc.health.v1.Health/List", false),
    ("grpc.health.v1.Health/Watch", true),
    ("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", true),
    ("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", true),
];
/// Status codes, and the label of each by its number.
const CODES: [&str; 17] = [
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

/// Opens a span `rpc` for every call and counts it. Make it after the metrics were started: it keeps handles.
#[derive(Clone)]
pub struct TraceLayer {
    methods: Arc<Methods>,
}

impl TraceLayer {
    /// Knows the methods of these descriptors (an encoded `FileDescriptorSet`) and of the stock services.
    pub fn new(descriptor_set: &[u8]) -> Result<Self, prost::DecodeError> {
        let descriptors = prost_types::FileDescriptorSet::decode(descriptor_set)?;
        let mut known = HashMap::new();
        let mut add = |method: String, streaming: bool| {
            known.insert(format!("/{method}"), Arc::new(MethodMetrics::new(method, streaming)));
        };
        for file in &descriptors.file {
            for service in &file.service {
                for method in &service.method {
                    add(
                        format!("{}.{}/{}", file.package(), service.name(), method.name()),
                        method.client_streaming() || method.server_streaming(),
                    );
                }
            }
        }
        for (method, streaming) in STOCK_METHODS {
            add(method.to_owned(), streaming);
        }
        let other = Arc::new(MethodMetrics::new(OTHER.to_owned(), false));
        Ok(Self { methods: Arc::new(Methods { known, other }) })
    }
}

impl fmt::Debug for TraceLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceLayer").field("methods", &self.methods.known.len()).finish()
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner, methods: Arc::clone(&self.methods) }
    }
}

/// By the path of the request.
struct Methods {
    known: HashMap<String, Arc<MethodMetrics>>,
    other: Arc<MethodMetrics>,
}

/// The handles of one method, so that a call costs no look-up by labels.
struct MethodMetrics {
    /// As `package.Service/Method`.
    method: Arc<str>,
    streaming: bool,
    seconds: Histogram,
    open: Gauge,
    /// Made when a code first occurs, so that the others are not shown.
    by_code: [OnceLock<Counter>; CODES.len()],
}

impl MethodMetrics {
    fn new(method: String, streaming: bool) -> Self {
        let method: Arc<str> = method.into();
        let label = SharedString::from_shared(Arc::clone(&method));
        let (seconds, open) = if streaming {
            (Histogram::noop(), gauge!(GRPC_STREAMS_OPEN, "method" => label))
        } else {
            (histogram!(GRPC_CALL_SECONDS, "method" => label), Gauge::noop())
        };
        Self { method, streaming, seconds, open, by_code: Default::default() }
    }

    fn count(&self, code: Code) {
        // The enum's numbers are the codes' own: 0 to 16.
        let index = code as usize;
        let (Some(counter), Some(name)) = (self.by_code.get(index), CODES.get(index)) else {
            return;
        };
        let method = || SharedString::from_shared(Arc::clone(&self.method));
        counter
            .get_or_init(|| counter!(GRPC_CALLS_TOTAL, "method" => method(), "code" => *name))
            .increment(1);
    }

    fn span(&self) -> Span {
        macro_rules! rpc {
            ($span:path) => {
                tracing::span!(
                    $span,
                    "rpc",
                    method = &*self.method,
                    workspace = Empty,
                    replica = Empty,
                    correlation_id = Empty
                )
            };
        }
        // Spans cost formatting when they are on: at the usual level `info` only streams, which are few,
        // have one.
        if self.streaming { rpc!(tracing::Level::INFO) } else { rpc!(tracing::Level::DEBUG) }
    }
}

/// The service that `TraceLayer` makes.
#[derive(Clone)]
pub struct Trace<S> {
    inner: S,
    methods: Arc<Methods>,
}

impl<S: fmt::Debug> fmt::Debug for Trace<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Trace<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    ResBody: Body + Unpin,
{
    type Response = Response<TracedBody<ResBody>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let metrics = self.methods.known.get(request.uri().path()).unwrap_or(&self.methods.other);
        let call = Call::begin(Arc::clone(metrics));
        // Within the span as well: middleware further in may work before it returns its future.
        let future = call.span.in_scope(|| self.inner.call(request)).instrument(call.span.clone());
        Box::pin(async move {
            let response = match future.await {
                Ok(response) => response,
                Err(error) => {
                    call.end(Code::Unknown);
                    return Err(error);
                }
            };
            let call = match code_of_head(response.status(), response.headers()) {
                Some(code) => {
                    call.end(code);
                    None
                }
                None => Some(call),
            };
            Ok(response.map(|inner| TracedBody { inner, call }))
        })
    }
}

/// A call until its end. One that is dropped was cancelled by its caller.
struct Call {
    metrics: Arc<MethodMetrics>,
    span: Span,
    began: Instant,
    code: Option<Code>,
}

impl Call {
    fn begin(metrics: Arc<MethodMetrics>) -> Self {
        metrics.open.increment(1.0);
        let span = metrics.span();
        Self { metrics, span, began: Instant::now(), code: None }
    }

    fn end(mut self, code: Code) {
        self.code = Some(code);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        self.metrics.open.decrement(1.0);
        self.metrics.seconds.record(self.began.elapsed());
        self.metrics.count(code);
        // These are the server's own faults. The cause is logged where it occurs.
        if matches!(code, Code::Internal | Code::Unknown | Code::DataLoss) {
            tracing::warn!(parent: &self.span, method = &*self.metrics.method, ?code, "a call has failed");
        }
    }
}

/// The outcome, when the head of the response tells it already.
fn code_of_head(status: StatusCode, headers: &HeaderMap) -> Option<Code> {
    if let Some(code) = headers.get(Status::GRPC_STATUS) {
        return Some(Code::from_bytes(code.as_bytes()));
    }
    let is_grpc = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|content_type| content_type.as_bytes().starts_with(b"application/grpc"));
    if status == StatusCode::OK && is_grpc {
        return None;
    }
    // Not gRPC: no trailers will come.
    Some(match status {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        status if status.is_success() => Code::Ok,
        _ => Code::Unknown,
    })
}

/// A response's body that tells how the call ended.
pub struct TracedBody<B> {
    inner: B,
    /// Until the end of the call.
    call: Option<Call>,
}

impl<B> fmt::Debug for TracedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedBody").field("ended", &self.call.is_none()).finish_non_exhaustive()
    }
}

impl<B: Body + Unpin> Body for TracedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = &mut *self;
        // Streams do their work while they are polled.
        let entered = this.call.as_ref().map(|call| call.span.enter());
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        drop(entered);
        let frame = ready!(polled);
        let code = match &frame {
            Some(Ok(frame)) => frame.trailers_ref().map(|trailers| {
                trailers
                    .get(Status::GRPC_STATUS)
                    .map_or(Code::Unknown, |code| Code::from_bytes(code.as_bytes()))
            }),
            // Without trailers the outcome was never said.
            Some(Err(_)) | None => Some(Code::Unknown),
        };
        if let Some(code) = code
            && let Some(call) = this.call.take()
        {
            call.end(code);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::io;
    use std::sync::Mutex;

    use bytes::Bytes;
    use http::HeaderValue;
    use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
    use prost_types::{
        FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
    };
    use tokio_util::sync::CancellationToken;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::grpc::listener::Listener;

    fn descriptors() -> Vec<u8> {
        let method = |name: &str, streaming: bool| MethodDescriptorProto {
            name: Some(name.to_owned()),
            server_streaming: Some(streaming),
            ..Default::default()
        };
        let service = ServiceDescriptorProto {
            name: Some("Notes".to_owned()),
            method: vec![method("Write", false), method("Follow", true)],
            ..Default::default()
        };
        let file = FileDescriptorProto {
            package: Some("test.v1".to_owned()),
            service: vec![service],
            ..Default::default()
        };
        FileDescriptorSet { file: vec![file] }.encode_to_vec()
    }

    fn recorder() -> (PrometheusRecorder, PrometheusHandle) {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        (recorder, handle)
    }

    /// A response's body of these frames.
    struct Frames(VecDeque<Frame<Bytes>>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }

    fn response(frames: Vec<Frame<Bytes>>) -> Response<Frames> {
        let mut response = Response::new(Frames(frames.into()));
        let grpc = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(header::CONTENT_TYPE, grpc);
        response
    }

    fn trailers(code: &'static str) -> Frame<Bytes> {
        let mut trailers = HeaderMap::new();
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static(code));
        Frame::trailers(trailers)
    }

    /// One call to a service that answers so; the body is read to its end unless `frames_read` says
    /// otherwise.
    async fn call(layer: &TraceLayer, path: &str, answer: Response<Frames>, frames_read: usize) {
        let mut answer = Some(answer);
        let service = layer.layer(service_fn(move |_: Request<()>| {
            let answer = answer.take();
            async move { answer.ok_or("called twice") }
        }));
        let request = Request::builder().uri(path).body(()).unwrap();
        let mut body = service.oneshot(request).await.unwrap().into_body();
        for _ in 0..frames_read {
            std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        }
    }

    fn counted(handle: &PrometheusHandle, method: &str, code: &str) -> bool {
        let line = format!("syncline_grpc_calls_total{{method=\"{method}\",code=\"{code}\"}} 1");
        handle.render().lines().any(|other| other == line)
    }

    #[tokio::test]
    async fn a_call_is_counted_with_the_code_of_its_trailers_or_headers() {
        let (recorder, handle) = recorder();
        let _recording = metrics::set_default_local_recorder(&recorder);
        let layer = TraceLayer::new(&descriptors()).unwrap();
        let data = || Frame::data(Bytes::from_static(b"x"));

        call(&layer, "/test.v1.Notes/Write", response(vec![data(), trailers("0")]), 3).await;
        assert!(counted(&handle, "test.v1.Notes/Write", "ok"), "{}", handle.render());
        call(&layer, "/test.v1.Notes/Write", response(vec![data(), trailers("10")]), 3).await;
        assert!(counted(&handle, "test.v1.Notes/Write", "aborted"), "{}", handle.render());
        let mut refused = response(vec![]);
        refused.headers_mut().insert(Status::GRPC_STATUS, HeaderValue::from_static("16"));
        call(&layer, "/test.v1.Notes/Write", refused, 1).await;
        assert!(counted(&handle, "test.v1.Notes/Write", "unauthenticated"), "{}", handle.render());
        call(&layer, "/test.v1.Notes/Write", response(vec![data()]), 2).await;
        assert!(counted(&handle, "test.v1.Notes/Write", "unknown"), "{}", handle.render());
        call(&layer, "/test.v1.Notes/Write", response(vec![data(), trailers("0")]), 1).await;
        assert!(counted(&handle, "test.v1.Notes/Write", "cancelled"), "{}", handle.render());
        assert!(
            handle.render().contains("syncline_grpc_call_seconds_count{method=\"test.v1.Notes/Write\"} 5")
        );
    }

    #[tokio::test]
    async fn unknown_paths_share_one_label() {
        let (recorder, handle) = recorder();
        let _recording = metrics::set_default_local_recorder(&recorder);
        let layer = TraceLayer::new(&descriptors()).unwrap();
        let mut missing = response(vec![]);
        *missing.status_mut() = StatusCode::NOT_FOUND;
        call(&layer, "/evil/path-1", missing, 1).await;
        call(&layer, "/evil/path-2", response(vec![trailers("0")]), 1).await;
        assert!(counted(&handle, "other", "unimplemented") && counted(&handle, "other", "ok"));
        assert!(!handle.render().contains("evil"), "{}", handle.render());
    }

    #[tokio::test]
    async fn a_handler_that_is_given_up_counts_as_cancelled() {
        let (recorder, handle) = recorder();
        let _recording = metrics::set_default_local_recorder(&recorder);
        let layer = TraceLayer::new(&descriptors()).unwrap();
        let mut service = layer.layer(service_fn(|_: Request<()>| {
            std::future::pending::<Result<Response<Frames>, Infallible>>()
        }));
        let request = Request::builder().uri("/test.v1.Notes/Follow").body(()).unwrap();
        let pending = service.call(request);
        let open = "syncline_grpc_streams_open{method=\"test.v1.Notes/Follow\"}";
        assert!(handle.render().contains(&format!("{open} 1")));
        drop(pending);
        assert!(handle.render().contains(&format!("{open} 0")));
        assert!(counted(&handle, "test.v1.Notes/Follow", "cancelled"));
    }

    #[tokio::test]
    async fn a_real_server_counts_calls_and_open_streams() {
        let (recorder, handle) = recorder();
        let _recording = metrics::set_default_local_recorder(&recorder);
        let stop = CancellationToken::new();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 10, stop.clone()).unwrap();
        let address = listener.address();
        let (_reporter, health) = tonic_health::server::health_reporter();
        let server = tonic::transport::Server::builder()
            .layer(TraceLayer::new(&descriptors()).unwrap())
            .add_service(health)
            .serve_with_incoming_shutdown(listener, stop.clone().cancelled_owned());
        let server = tokio::spawn(server);

        let channel =
            tonic::transport::Endpoint::new(format!("http://{address}")).unwrap().connect().await.unwrap();
        let mut client = HealthClient::new(channel);
        client.check(HealthCheckRequest::default()).await.unwrap();
        let absent = HealthCheckRequest { service: "absent".to_owned() };
        assert_eq!(client.check(absent).await.unwrap_err().code(), Code::NotFound);
        let mut watch = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
        watch.message().await.unwrap();
        let open = "syncline_grpc_streams_open{method=\"grpc.health.v1.Health/Watch\"}";
        assert!(handle.render().contains(&format!("{open} 1")), "{}", handle.render());
        assert!(handle.render().contains("syncline_sockets_open 1"), "{}", handle.render());
        drop((watch, client));
        while !handle.render().contains(&format!("{open} 0"))
            || !handle.render().contains("syncline_sockets_open 0")
        {
            tokio::task::yield_now().await;
        }
        assert!(counted(&handle, "grpc.health.v1.Health/Check", "ok"));
        assert!(counted(&handle, "grpc.health.v1.Health/Check", "not_found"));
        assert!(counted(&handle, "grpc.health.v1.Health/Watch", "cancelled"));
        stop.cancel();
        server.await.unwrap().unwrap();
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_a_handler_records_stands_in_its_lines_and_in_those_of_its_stream() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || writer.clone())
            .finish();
        let _logging = tracing::subscriber::set_default(subscriber);
        let layer = TraceLayer::new(&descriptors()).unwrap();
        let service = layer.layer(service_fn(|_: Request<()>| async {
            Span::current().record("workspace", "w1").record("correlation_id", "c1");
            tracing::info!("handled");
            Ok::<_, Infallible>(response(vec![trailers("13")]))
        }));
        let request = Request::builder().uri("/test.v1.Notes/Write").body(()).unwrap();
        let mut body = service.oneshot(request).await.unwrap().into_body();
        std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let span = "rpc{method=\"test.v1.Notes/Write\" workspace=\"w1\" correlation_id=\"c1\"}";
        assert_eq!(text.lines().filter(|line| line.contains(span)).count(), 2, "{text}");
        assert!(text.contains("a call has failed"), "{text}");
    }

    #[test]
    fn codes_have_their_names_at_their_numbers() {
        for (number, name) in CODES.iter().enumerate() {
            let code = Code::from_i32(number as i32);
            assert_eq!(code as usize, number);
            let camel: String = format!("{code:?}").to_ascii_lowercase();
            assert_eq!(camel, name.replace('_', ""));
        }
        assert!(TraceLayer::new(b"\xff").is_err());
    }
}
