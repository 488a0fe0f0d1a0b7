//! Reasons for all errors: every failed call carries a reason of ours, even if no handler ever saw it.
//!
//! tonic itself refuses messages that are too large, unknown methods and calls that ran out of time with a bare code.
//! [`ErrorInfoLayer`] stands around the whole router (below or above tonic-web) and gives these a reason. The stock
//! services under `/grpc.` (health, reflection) are left unchanged, as their clients expect.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, sleep_until};
use tonic::{Code, Status};
use tower::{BoxError, Layer, Service};

use syncline_protocol::status::Failure;

/// When to come back to a server that had no room.
const OVERLOADED_RETRY: Duration = Duration::from_secs(1);

/// Longest time that a client can give its call, the same as the server's own can be set to. A call holds what it works
/// with until its end, whether or not anybody still waits for it.
const CLIENT_TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// Services with a protocol of their own.
const STOCK_SERVICES: &str = "/grpc.";

/// Gives every failed call a reason; see the module.
///
/// It also ends calls at the deadline their client set, or at the server's own where it set none. tonic would do the
/// same, but outside of every layer, where the error could not be given a reason any more; here it comes first. Do not
/// set `Server::timeout` for the same purpose. As everywhere, a deadline ends with the response's headers: streams need
/// their own, and the methods that first wait for a message of their client limit that wait themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct ErrorInfoLayer {
    default_timeout: Option<Duration>,
}

impl ErrorInfoLayer {
    /// Calls without a deadline get this one.
    pub fn with_default_timeout(timeout: Duration) -> ErrorInfoLayer {
        ErrorInfoLayer { default_timeout: Some(timeout) }
    }
}

/// Methods that wait for their client's first message before they answer.
const WAITING_METHODS: [&str; 2] = ["/Subscribe", "/KeepAlive"];

impl<S> Layer<S> for ErrorInfoLayer {
    type Service = ErrorInfoService<S>;

    fn layer(&self, inner: S) -> ErrorInfoService<S> {
        ErrorInfoService { inner, default_timeout: self.default_timeout }
    }
}

/// A service under [`ErrorInfoLayer`].
#[derive(Debug, Clone)]
pub struct ErrorInfoService<S> {
    inner: S,
    default_timeout: Option<Duration>,
}

impl<S> ErrorInfoService<S> {
    /// How long a call may take; none for a method that limits its waits itself.
    fn time_for(&self, path: &str, headers: &HeaderMap) -> Option<Duration> {
        match timeout(headers) {
            None if WAITING_METHODS.iter().any(|method| path.ends_with(method)) => None,
            None => self.default_timeout,
            Some(set) => Some(set.min(CLIENT_TIMEOUT_MAX)),
        }
    }
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for ErrorInfoService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    ResponseBody: Default + Send + 'static,
{
    type Response = Response<ErrorInfoBody<ResponseBody>>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        if request.uri().path().starts_with(STOCK_SERVICES) {
            let call = self.inner.call(request);
            return Box::pin(async { Ok(call.await?.map(|inner| ErrorInfoBody { inner, stock: true })) });
        }
        // The deadline is set before the inner call, so that it never comes after tonic's own.
        let timeout = self.time_for(request.uri().path(), request.headers());
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let call = self.inner.call(request);
        Box::pin(async move {
            let response = match before(deadline, call).await {
                Some(Ok(response)) => with_reason(response),
                Some(Err(error)) => failed(reason_for_error(error.into())),
                None => failed(Failure::deadline()),
            };
            Ok(response.map(|inner| ErrorInfoBody { inner, stock: false }))
        })
    }
}

/// The output of `call`, or `None` when the deadline passes before.
async fn before<F: Future>(deadline: Option<Instant>, call: F) -> Option<F::Output> {
    let mut call = pin!(call);
    let Some(deadline) = deadline else { return Some(call.await) };
    let mut sleep = pin!(sleep_until(deadline));
    poll_fn(|cx| {
        if let Poll::Ready(output) = call.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        // Checks the clock as well as the timer: tonic's timer for the same instant may wake us before ours has fired.
        if sleep.as_mut().poll(cx).is_ready() || Instant::now() >= deadline {
            return Poll::Ready(None);
        }
        Poll::Pending
    })
    .await
}

/// The client's `grpc-timeout`: at most eight digits and a unit. Anything else is no timeout, as in tonic.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 60 * 60)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// A response that is nothing but the failure.
fn failed<B: Default>(failure: Failure) -> Response<B> {
    Status::from(failure).into_http()
}

fn with_reason<B>(mut response: Response<B>) -> Response<B> {
    if give_reason(response.headers_mut()) {
        // tonic leaves the old status here as well.
        response.extensions_mut().remove::<Status>();
    }
    response
}

/// Replaces an error without details by one with a reason; says whether it did.
fn give_reason(headers: &mut HeaderMap) -> bool {
    let bare = headers.get(Status::GRPC_STATUS).is_some_and(|code| code.as_bytes() != b"0")
        && !headers.contains_key(Status::GRPC_STATUS_DETAILS);
    if !bare {
        return false;
    }
    let Some(status) = Status::from_header_map(headers) else { return false };
    let reasoned = Status::from(reason_for(status.code(), status.message()));
    // A percent-encoded message and base64 are always header values.
    reasoned.add_header(headers).is_ok()
}

fn reason_for_error(error: BoxError) -> Failure {
    match Status::try_from_error(error) {
        Ok(status) => reason_for(status.code(), status.message()),
        Err(error) => Failure::internal(&*error),
    }
}

/// The reason for an error that came without one. The texts are those of tonic 0.14, which a test pins.
fn reason_for(code: Code, message: &str) -> Failure {
    match code {
        Code::OutOfRange if message.contains("decoded message length too large") => {
            Failure::message_too_large()
        }
        Code::ResourceExhausted if message.contains("exceeded while decompressing") => {
            Failure::message_too_large()
        }
        Code::ResourceExhausted => Failure::overloaded(OVERLOADED_RETRY),
        Code::Unimplemented => Failure::unknown_method(message),
        Code::Internal if is_about_the_request(message) => Failure::malformed_message(&message),
        // Nobody receives the answer to a call that was cancelled or whose connection broke; it is not a fault of ours.
        Code::DeadlineExceeded | Code::Cancelled => Failure::deadline(),
        Code::Internal | Code::Unknown | Code::Unavailable if message.starts_with("h2 protocol error") => {
            Failure::deadline()
        }
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => Failure::fault(&format!("an error without a reason: {code:?}: {message}")),
    }
}

/// Whether an internal error of tonic's is really about bytes the client sent.
fn is_about_the_request(message: &str) -> bool {
    [
        "protocol error: received message",
        "Unexpected EOF decoding stream",
        "Missing request message",
        "Error decompressing",
        "tonic-web: ",
    ]
    .iter()
    .any(|start| message.starts_with(start))
}

/// A body whose trailers carry a reason when they carry an error: a stream may fail after its headers.
#[derive(Debug)]
pub struct ErrorInfoBody<B> {
    inner: B,
    stock: bool,
}

impl<B: Default> Default for ErrorInfoBody<B> {
    fn default() -> Self {
        ErrorInfoBody { inner: B::default(), stock: false }
    }
}

impl<B: Body + Unpin> Body for ErrorInfoBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let stock = self.stock;
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| match frame.into_trailers() {
                Ok(mut trailers) => {
                    if !stock {
                        give_reason(&mut trailers);
                    }
                    Frame::trailers(trailers)
                }
                Err(other) => other,
            })
        }))
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
    use std::convert::Infallible;

    use bytes::Bytes;
    use prost::Message as _;
    use tonic::service::Routes;
    use tonic_types::StatusExt as _;
    use tower::ServiceExt as _;

    use super::*;
    use crate::grpc::served;
    use crate::grpc::served::operation_service_server::{OperationService, OperationServiceServer};
    use syncline_core::limits::MESSAGE_BYTES_MAX;
    use syncline_protocol::pb;
    use syncline_protocol::pb::operation_service_client::OperationServiceClient;

    /// A body of one piece.
    struct Once(Option<Bytes>);

    impl Once {
        fn new(bytes: Bytes) -> Once {
            Once(Some(bytes))
        }
    }

    impl Body for Once {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
        }
    }

    /// Does as the workspace's id says.
    struct Stub;

    #[tonic::async_trait]
    impl OperationService for Stub {
        async fn submit(
            &self,
            request: tonic::Request<served::SubmitRequest>,
        ) -> Result<tonic::Response<pb::SubmitResponse>, Status> {
            match request.get_ref().workspace_id.as_str() {
                "bare" => Err(Status::failed_precondition("password=hunter2")),
                "large" => {
                    let receipt =
                        pb::Receipt { correlation_id: "x".repeat(MESSAGE_BYTES_MAX), ..Default::default() };
                    Ok(tonic::Response::new(pb::SubmitResponse {
                        receipts: vec![receipt; 3],
                        head_seq: 7,
                        ..Default::default()
                    }))
                }
                "typed" => Err(Failure::unknown_workspace("typed").into()),
                "slow" => {
                    std::future::pending::<()>().await;
                    Err(Status::internal("never"))
                }
                _ => Ok(tonic::Response::new(pb::SubmitResponse { head_seq: 7, ..Default::default() })),
            }
        }

        async fn get_receipts(
            &self,
            _: tonic::Request<pb::GetReceiptsRequest>,
        ) -> Result<tonic::Response<pb::GetReceiptsResponse>, Status> {
            Err(Status::cancelled("Timeout expired"))
        }

        async fn abandon_counter(
            &self,
            _: tonic::Request<pb::AbandonCounterRequest>,
        ) -> Result<tonic::Response<pb::AbandonCounterResponse>, Status> {
            Err(Status::unavailable("h2 protocol error: stream reset"))
        }
    }

    fn routes() -> Routes {
        let (_, health) = tonic_health::server::health_reporter();
        let operations = OperationServiceServer::new(Stub).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Routes::new(operations).add_service(health)
    }

    fn frame(message: &[u8]) -> Bytes {
        let length = u32::try_from(message.len()).expect("a short message");
        [&[0][..], &length.to_be_bytes(), message].concat().into()
    }

    fn submit(workspace_id: &str) -> Bytes {
        frame(
            &pb::SubmitRequest {
                workspace_id: workspace_id.to_owned(),
                operations: vec![],
                ..Default::default()
            }
            .encode_to_vec(),
        )
    }

    fn request(path: &str, body: Bytes) -> Request<Once> {
        Request::post(path)
            .version(http::Version::HTTP_2)
            .header("content-type", "application/grpc")
            .body(Once::new(body))
            .expect("a request")
    }

    async fn call(path: &str, body: Bytes) -> Response<ErrorInfoBody<tonic::body::Body>> {
        ErrorInfoLayer::default().layer(routes()).oneshot(request(path, body)).await.expect("infallible")
    }

    fn status_of(headers: &HeaderMap) -> (Status, String) {
        let status = Status::from_header_map(headers).expect("a status");
        let info = status.get_details_error_info().expect("an ErrorInfo");
        assert_eq!(info.domain, "syncline");
        (status, info.reason)
    }

    const SUBMIT: &str = "/syncline.v1.OperationService/Submit";

    #[tokio::test]
    async fn errors_no_handler_saw_have_a_reason() {
        let mut claims_too_much = vec![0];
        claims_too_much.extend(u32::try_from(MESSAGE_BYTES_MAX + 1).expect("fits").to_be_bytes());
        let cases = [
            (SUBMIT, Bytes::from(claims_too_much), Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
            (SUBMIT, frame(&[0x08, 1]), Code::InvalidArgument, "MALFORMED_MESSAGE"),
            (SUBMIT, Bytes::from_static(&[0, 0, 0, 0, 9, 1]), Code::InvalidArgument, "MALFORMED_MESSAGE"),
            (SUBMIT, Bytes::from_static(&[1, 0, 0, 0, 0]), Code::InvalidArgument, "MALFORMED_MESSAGE"),
            (SUBMIT, Bytes::from_static(&[9, 0, 0, 0, 0]), Code::InvalidArgument, "MALFORMED_MESSAGE"),
            (SUBMIT, Bytes::new(), Code::InvalidArgument, "MALFORMED_MESSAGE"),
            ("/syncline.v1.OperationService/Nope", frame(&[]), Code::Unimplemented, "UNKNOWN_METHOD"),
            ("/no.such.Service/Nope", frame(&[]), Code::Unimplemented, "UNKNOWN_METHOD"),
            ("/syncline.v1.OperationService/GetReceipts", frame(&[]), Code::DeadlineExceeded, "DEADLINE"),
            ("/syncline.v1.OperationService/AbandonCounter", frame(&[]), Code::DeadlineExceeded, "DEADLINE"),
            (SUBMIT, submit("typed"), Code::NotFound, "UNKNOWN_WORKSPACE"),
        ];
        for (path, body, code, reason) in cases {
            let response = call(path, body).await;
            let (status, found) = status_of(response.headers());
            assert_eq!((status.code(), found.as_str()), (code, reason), "{path}: {}", status.message());
        }
    }

    #[tokio::test]
    async fn a_bare_error_of_ours_tells_nothing() {
        let response = call(SUBMIT, submit("bare")).await;
        let (status, reason) = status_of(response.headers());
        assert_eq!((status.code(), reason.as_str()), (Code::Internal, "INTERNAL"));
        assert!(!format!("{:?}", response.headers()).contains("hunter2"));
        assert!(response.extensions().get::<Status>().is_none());
    }

    #[tokio::test]
    async fn success_is_left_alone() {
        let mut response = call(SUBMIT, submit("fine")).await;
        assert!(!response.headers().contains_key("grpc-status"));
        let data =
            poll_fn(|cx| Pin::new(response.body_mut()).poll_frame(cx)).await.expect("data").expect("data");
        assert!(data.is_data());
        let end =
            poll_fn(|cx| Pin::new(response.body_mut()).poll_frame(cx)).await.expect("end").expect("end");
        let trailers = end.into_trailers().expect("trailers");
        assert_eq!(trailers["grpc-status"], "0");
        assert!(!trailers.contains_key("grpc-status-details-bin"));
    }

    #[tokio::test]
    async fn stock_services_keep_their_own_errors() {
        // HealthCheckRequest { service: "x" }: not registered.
        let response = call("/grpc.health.v1.Health/Check", frame(&[0x0a, 1, b'x'])).await;
        let status = Status::from_header_map(response.headers()).expect("a status");
        assert_eq!(status.code(), Code::NotFound);
        assert!(status.details().is_empty());
        let absent = call("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", frame(&[])).await;
        assert_eq!(absent.headers()["grpc-status"], "12");
        assert!(!absent.headers().contains_key("grpc-status-details-bin"));
    }

    #[tokio::test]
    async fn reasons_pass_tonic_web_both_ways() {
        let below = tonic_web::GrpcWebLayer::new().layer(ErrorInfoLayer::default().layer(routes()));
        let above = ErrorInfoLayer::default().layer(tonic_web::GrpcWebLayer::new().layer(routes()));
        let web = || {
            let mut request = request("/no.such.Service/Nope", frame(&[]));
            request
                .headers_mut()
                .insert("content-type", http::HeaderValue::from_static("application/grpc-web+proto"));
            request
        };
        let below = below.oneshot(web()).await.expect("infallible");
        assert_eq!(status_of(below.headers()).1, "UNKNOWN_METHOD");
        let above = above.oneshot(web()).await.expect("infallible");
        assert_eq!(status_of(above.headers()).1, "UNKNOWN_METHOD");
    }

    #[tokio::test]
    async fn trailers_of_a_failing_stream_get_a_reason() {
        struct Trailers;
        impl Body for Trailers {
            type Data = Bytes;
            type Error = Infallible;
            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
                let mut trailers = HeaderMap::new();
                let text = "Error, decoded message length too large: found 2 bytes, the limit is: 1 bytes";
                Status::out_of_range(text).add_header(&mut trailers).expect("headers");
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
        }
        let mut body = ErrorInfoBody { inner: Trailers, stock: false };
        let frame =
            poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.expect("a frame").expect("a frame");
        let (status, reason) = status_of(&frame.into_trailers().expect("trailers"));
        assert_eq!((status.code(), reason.as_str()), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
    }

    #[tokio::test]
    async fn errors_of_layers_below_become_failures() {
        let shed = tower::service_fn(|_: Request<Once>| async {
            Err::<Response<tonic::body::Body>, BoxError>(tower::load_shed::error::Overloaded::new().into())
        });
        let response = ErrorInfoLayer::default()
            .layer(shed)
            .oneshot(request(SUBMIT, frame(&[])))
            .await
            .expect("a response");
        let (status, reason) = status_of(response.headers());
        assert_eq!((status.code(), reason.as_str()), (Code::Unavailable, "OVERLOADED"));
        assert!(status.get_details_retry_info().is_some());

        let broken = tower::service_fn(|_: Request<Once>| async {
            Err::<Response<tonic::body::Body>, BoxError>("hunter2".into())
        });
        let response = ErrorInfoLayer::default()
            .layer(broken)
            .oneshot(request(SUBMIT, frame(&[])))
            .await
            .expect("a response");
        assert_eq!(status_of(response.headers()).1, "INTERNAL");
    }

    async fn serve() -> std::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder()
            .accept_http1(true)
            .layer(tonic_web::GrpcWebLayer::new())
            .layer(ErrorInfoLayer::default())
            .add_routes(routes());
        tokio::spawn(server.serve_with_incoming(incoming));
        address
    }

    /// Over a real connection, where tonic has a timer of its own outside of every layer. Spoken by hand, because
    /// tonic's client has one as well, which would come first.
    #[tokio::test]
    async fn a_clients_deadline_has_a_reason() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let address = serve().await;
        let body = submit("slow");
        let head = format!(
            "POST {SUBMIT} HTTP/1.1\r\nhost: here\r\nconnection: close\r\ngrpc-timeout: 3m\r\n\
             content-type: application/grpc-web+proto\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        for _ in 0..50 {
            let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
            stream.write_all(&[head.as_bytes(), &body].concat()).await.expect("sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("an answer");
            let mut headers = HeaderMap::new();
            for (name, value) in answer.lines().filter_map(|line| line.split_once(": ")) {
                let name: http::HeaderName = name.parse().expect("a name");
                headers.insert(name, value.parse().expect("a value"));
            }
            let (status, reason) = status_of(&headers);
            assert_eq!((status.code(), reason.as_str()), (Code::DeadlineExceeded, "DEADLINE"));
        }
    }

    #[tokio::test]
    async fn requests_are_limited_and_responses_are_not() {
        let endpoint =
            tonic::transport::Endpoint::from_shared(format!("http://{}", serve().await)).expect("an address");
        let mut client = OperationServiceClient::new(endpoint.connect().await.expect("a connection"));
        let of = |workspace_id: String| pb::SubmitRequest {
            workspace_id,
            operations: vec![],
            ..Default::default()
        };
        let status = client.submit(of("x".repeat(MESSAGE_BYTES_MAX))).await.expect_err("too large");
        assert_eq!(status.get_details_error_info().expect("an ErrorInfo").reason, "MESSAGE_TOO_LARGE");
        let response = client.submit(of("large".into())).await.expect("a response").into_inner();
        assert!(response.encoded_len() > 3 * MESSAGE_BYTES_MAX);
    }

    #[test]
    fn a_client_cannot_give_its_call_more_time_than_the_limit() {
        let service = ErrorInfoLayer::with_default_timeout(Duration::from_secs(30)).layer(());
        let time = |path: &str, text: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(text) = text {
                headers.insert("grpc-timeout", http::HeaderValue::from_static(text));
            }
            service.time_for(path, &headers)
        };
        assert_eq!(time(SUBMIT, None), Some(Duration::from_secs(30)));
        assert_eq!(time(SUBMIT, Some("42S")), Some(Duration::from_secs(42)));
        assert_eq!(time(SUBMIT, Some("99999999H")), Some(CLIENT_TIMEOUT_MAX));
        assert_eq!(time("/syncline.v1.ChangeService/Subscribe", None), None);
        assert_eq!(time("/syncline.v1.ChangeService/Subscribe", Some("9H")), Some(CLIENT_TIMEOUT_MAX));
    }

    #[test]
    fn timeouts_are_read_as_tonic_reads_them() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", http::HeaderValue::from_static(text));
            timeout(&headers)
        };
        assert_eq!(read("3H"), Some(Duration::from_secs(10_800)));
        assert_eq!(read("1M"), Some(Duration::from_secs(60)));
        assert_eq!(read("42S"), Some(Duration::from_secs(42)));
        assert_eq!(read("13m"), Some(Duration::from_millis(13)));
        assert_eq!(read("2u"), Some(Duration::from_micros(2)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for nonsense in ["", "H", "123456789H", "-1S", "1.5S", "1", "82f", "+1S"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
        assert_eq!(timeout(&HeaderMap::new()), None);
    }
}
