//! The layer that counts what waits for a peer; see [`super::outflow`]. It stands outside of all others.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tonic::Status;
use tower::{Layer, Service};

use super::outflow::{End, Outflow, Peer};
use syncline_protocol::status::Failure;

/// Bytes that are given to the transport at a time: what a peer takes is noticed in steps of this size.
const PIECE_BYTES: usize = 16 * 1024;

/// Counts what waits for the peers of a listener. Connections of others pass unchanged.
#[derive(Debug, Clone, Copy, Default)]
pub struct OutflowLayer;

impl<S> Layer<S> for OutflowLayer {
    type Service = OutflowService<S>;

    fn layer(&self, inner: S) -> OutflowService<S> {
        OutflowService { inner }
    }
}

/// A service under [`OutflowLayer`].
#[derive(Debug, Clone)]
pub struct OutflowService<S> {
    inner: S,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for OutflowService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    S::Future: Send + 'static,
    ResponseBody: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<OutflowBody<ResponseBody>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let outflow = request.extensions().get::<Peer>().map(|peer| Arc::clone(&peer.outflow));
        let call = self.inner.call(request);
        Box::pin(async move { Ok(call.await?.map(|body| OutflowBody::new(body, outflow))) })
    }
}

/// A response's body in pieces that are counted until the transport has sent them.
pub struct OutflowBody<B> {
    source: Arc<Source<B>>,
    /// What the source has given and the transport has not been given yet.
    rest: Bytes,
    /// The peer, and the number of the stream there.
    peer: Option<(Arc<Outflow>, u64)>,
    /// Whether the end was sent of a body that was ended from outside.
    ended: bool,
}

/// The body itself, until it is ended from outside.
struct Source<B> {
    body: Mutex<Option<Pin<Box<B>>>>,
}

impl<B> Source<B> {
    fn lock(&self) -> MutexGuard<'_, Option<Pin<Box<B>>>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Send> End for Source<B> {
    fn end(&self) {
        // Dropped after the lock is free again: a body may have much to let go of.
        let body = self.lock().take();
        drop(body);
    }
}

impl<B: Send + 'static> OutflowBody<B> {
    fn new(body: B, outflow: Option<Arc<Outflow>>) -> OutflowBody<B> {
        let source = Arc::new(Source { body: Mutex::new(Some(Box::pin(body))) });
        let peer = outflow.map(|outflow| {
            let weak: Weak<Source<B>> = Arc::downgrade(&source);
            let id = outflow.enter(weak);
            (outflow, id)
        });
        OutflowBody { source, rest: Bytes::new(), peer, ended: false }
    }
}

impl<B> Drop for OutflowBody<B> {
    fn drop(&mut self) {
        if let Some((outflow, id)) = &self.peer {
            outflow.leave(*id);
            outflow.taken(self.rest.len());
        }
    }
}

/// Bytes that wait for the peer until the transport drops them.
struct Piece {
    bytes: Bytes,
    outflow: Arc<Outflow>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.outflow.taken(self.bytes.len());
    }
}

impl<B: Body<Data = Bytes>> OutflowBody<B> {
    /// The next piece of what the source has given.
    fn piece(&mut self) -> Option<Bytes> {
        let (outflow, id) = self.peer.as_ref()?;
        if self.rest.is_empty() {
            return None;
        }
        let bytes = self.rest.split_to(self.rest.len().min(PIECE_BYTES));
        outflow.handed(*id);
        Some(Bytes::from_owner(Piece { bytes, outflow: Arc::clone(outflow) }))
    }

    fn poll_source(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.source.lock().as_mut() {
            Some(body) => body.as_mut().poll_frame(cx),
            None => Poll::Ready(None),
        }
    }
}

/// The last thing that a peer hears of a stream that it did not read.
fn end_of_unread() -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    // A message and base64 are always header values.
    let _ = Status::from(Failure::deadline()).add_header(&mut trailers);
    Frame::trailers(trailers)
}

impl<B: Body<Data = Bytes>> Body for OutflowBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let Some((outflow, id)) = &this.peer else { return this.poll_source(cx) };
        outflow.asked(*id);
        if let Some(piece) = this.piece() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if this.source.lock().is_none() {
            let first = !std::mem::replace(&mut this.ended, true);
            return Poll::Ready(first.then(|| Ok(end_of_unread())));
        }
        let frame = match ready!(this.poll_source(cx)) {
            Some(Ok(frame)) => frame,
            end => return Poll::Ready(end),
        };
        match frame.into_data() {
            Ok(data) => {
                if let Some((outflow, _)) = &this.peer {
                    outflow.add(data.len());
                }
                this.rest = data;
                let piece = this.piece().unwrap_or_default();
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Err(trailers) => Poll::Ready(Some(Ok(trailers))),
        }
    }

    fn is_end_stream(&self) -> bool {
        let over = |body: &Pin<Box<B>>| body.is_end_stream();
        self.rest.is_empty() && self.source.lock().as_ref().map_or(self.ended, over)
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.source.lock().as_ref().map_or_else(SizeHint::default, |body| body.size_hint());
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use http_body_util::{BodyExt as _, Full};
    use tokio_util::sync::CancellationToken;
    use tonic::Code;
    use tower::ServiceExt as _;

    use super::*;
    use crate::grpc::outflow::{Peers, UNREAD_BYTES_MAX, UNREAD_TIMEOUT};

    /// A response of this many bytes to this peer.
    async fn answer(outflow: &Arc<Outflow>, bytes: usize) -> OutflowBody<Full<Bytes>> {
        let answer = tower::service_fn(move |_: Request<()>| async move {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![7; bytes]))))
        });
        let mut request = Request::new(());
        request.extensions_mut().insert(Peer { address: None, outflow: Arc::clone(outflow) });
        OutflowLayer.layer(answer).oneshot(request).await.expect("infallible").into_body()
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_transport_holds_counts_until_it_is_sent() {
        let outflow = Arc::<Outflow>::default();
        let mut body = answer(&outflow, UNREAD_BYTES_MAX).await;
        let first = body.frame().await.expect("a piece").expect("infallible").into_data().expect("data");
        assert_eq!(first.len(), PIECE_BYTES);
        let producing = tokio::time::timeout(Duration::from_secs(1), outflow.room(PIECE_BYTES)).await;
        assert!(producing.is_err(), "what waits leaves no room");
        drop(first);
        let claim = tokio::time::timeout(Duration::from_secs(1), outflow.room(PIECE_BYTES)).await;
        drop(claim.expect("room, once a piece is sent"));
        let rest = body.collect().await.expect("infallible").to_bytes();
        assert_eq!(rest.len(), UNREAD_BYTES_MAX - PIECE_BYTES);
        drop(rest);
        drop(outflow.room(UNREAD_BYTES_MAX).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_given_up_frees_what_waited_in_it() {
        let outflow = Arc::<Outflow>::default();
        let mut body = answer(&outflow, UNREAD_BYTES_MAX).await;
        drop(body.frame().await);
        drop(body);
        drop(outflow.room(UNREAD_BYTES_MAX).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_whose_peer_makes_no_room_ends_with_a_reason() {
        let peers = Peers::watched(CancellationToken::new());
        let outflow = peers.outflow();
        let mut unread = answer(&outflow, 3 * PIECE_BYTES).await;
        // Another stream of the peer is read now and then.
        for _ in 0..8 {
            let mut read = answer(&outflow, 1).await;
            drop(read.frame().await);
            tokio::time::sleep(UNREAD_TIMEOUT / 4).await;
        }
        assert!(!outflow.cut().is_cancelled());
        let end = unread.frame().await.expect("the end").expect("infallible");
        let trailers = end.into_trailers().expect("trailers");
        let status = Status::from_header_map(&trailers).expect("a status");
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert!(unread.frame().await.is_none() && unread.is_end_stream());
    }

    #[tokio::test]
    async fn the_size_of_what_is_left_stays_known() {
        let outflow = Arc::<Outflow>::default();
        let mut body = answer(&outflow, PIECE_BYTES + 5).await;
        assert_eq!(body.size_hint().exact(), Some(PIECE_BYTES as u64 + 5));
        drop(body.frame().await);
        assert_eq!(body.size_hint().exact(), Some(5));
        assert!(!body.is_end_stream());
    }
}
