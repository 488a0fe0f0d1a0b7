//! Taking TCP connections for tonic: no more than allowed at a time, no hot loop when files run out, and a time limit
//! for a peer that connects and sends nothing.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use metrics::{Counter, Gauge, counter, gauge};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpIncoming};

use super::outflow::{Outflow, Peer, Peers};
use crate::telemetry::{SOCKET_ERRORS_TOTAL, SOCKETS_ACCEPTED_TOTAL, SOCKETS_OPEN, SOCKETS_REFUSED_TOTAL};

/// Connections that the kernel completes before they are taken: a fleet reconnecting at once needs room.
const BACKLOG: u32 = 4096;
/// First wait after the kernel could not hand over a connection; it doubles.
const BACKOFF_MIN: Duration = Duration::from_millis(5);
/// Longest wait.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// Silence after which the kernel probes whether the peer is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// Time between two probes of the kernel.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Unanswered probes after which the connection is dead.
const KEEPALIVE_RETRIES: u32 = 3;
/// How long a peer may take for its first bytes; tonic has no such limit, and a stop would wait for ever.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that every HTTP/2 connection begins with; no HTTP/1 request is shorter than this either.
const PREFACE_BYTES: usize = 24;
/// EMFILE and ENFILE, the same on Linux, macOS and the BSDs.
const TOO_MANY_FILES: [i32; 2] = [24, 23];

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on server.listen = {address}: {source}")]
pub struct ListenError {
    /// The address.
    pub address: SocketAddr,
    /// What the operating system said.
    pub source: io::Error,
}

/// A stream of connections for `serve_with_incoming_shutdown`. It ends when its token is cancelled, and the
/// port is closed when it is dropped.
#[derive(Debug)]
pub struct Listener<S = TcpIncoming> {
    sockets: S,
    address: SocketAddr,
    permits: Arc<Semaphore>,
    peers: Arc<Peers>,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    backoff: Option<Pin<Box<Sleep>>>,
    next_backoff: Duration,
    /// Whether the last connection was refused, so that a run of refusals is logged once.
    refusing: bool,
    accepted_total: Counter,
    refused_total: Counter,
    open: Gauge,
}

impl Listener {
    /// Listens on the address; port 0 takes a free one. Call it within a tokio runtime.
    pub fn bind(
        address: SocketAddr,
        connections_max: usize,
        stop: CancellationToken,
    ) -> Result<Self, ListenError> {
        let failed = |source| ListenError { address, source };
        let listener = listen(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let sockets = TcpIncoming::from(listener)
            .with_nodelay(Some(true))
            .with_keepalive(Some(KEEPALIVE_IDLE))
            .with_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .with_keepalive_retries(Some(KEEPALIVE_RETRIES));
        Ok(Self::new(sockets, address, connections_max, stop))
    }
}

impl<S> Listener<S> {
    fn new(sockets: S, address: SocketAddr, connections_max: usize, stop: CancellationToken) -> Self {
        Self {
            sockets,
            address,
            permits: Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS))),
            peers: Peers::watched(stop.clone()),
            stopped: Box::pin(stop.cancelled_owned()),
            backoff: None,
            next_backoff: BACKOFF_MIN,
            refusing: false,
            accepted_total: counter!(SOCKETS_ACCEPTED_TOTAL),
            refused_total: counter!(SOCKETS_REFUSED_TOTAL),
            open: gauge!(SOCKETS_OPEN),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The connection, unless there are too many: then it is closed at once, so that the peer backs off instead of
    /// waiting unseen in the kernel's queue until its deadline.
    fn admit(&mut self, stream: TcpStream) -> Option<Connection> {
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => {
                self.refusing = false;
                self.accepted_total.increment(1);
                self.open.increment(1.0);
                let outflow = self.peers.outflow();
                Some(Connection {
                    stream,
                    cut: Box::pin(outflow.cut().clone().cancelled_owned()),
                    outflow,
                    _peers: Arc::clone(&self.peers),
                    preface: Some((0, Box::pin(sleep(PREFACE_TIMEOUT)))),
                    open: self.open.clone(),
                    _permit: permit,
                })
            }
            Err(_) => {
                self.refused_total.increment(1);
                if !self.refusing {
                    self.refusing = true;
                    tracing::warn!("server.max_connections is reached; closing further connections");
                }
                None
            }
        }
    }

    /// Accepts nothing for a while, which leaves connections in the kernel's queue.
    fn back_off(&mut self, error: &io::Error) {
        let too_many_files = error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code));
        let reason = if too_many_files { "too_many_files" } else { "other" };
        counter!(SOCKET_ERRORS_TOTAL, "reason" => reason).increment(1);
        if self.next_backoff == BACKOFF_MIN {
            tracing::warn!(%error, "cannot take connections; trying again with back-off");
        }
        self.backoff = Some(Box::pin(sleep(self.next_backoff)));
        self.next_backoff = (self.next_backoff * 2).min(BACKOFF_MAX);
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of a server that has just stopped do not keep its successor from using the port. Not on Windows,
    // where the option lets two servers share it.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl<S> Stream for Listener<S>
where
    S: Stream<Item = io::Result<TcpStream>> + Unpin,
{
    type Item = Result<Connection, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.stopped.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        loop {
            if let Some(backoff) = &mut this.backoff {
                ready!(backoff.as_mut().poll(cx));
                this.backoff = None;
            }
            match ready!(Pin::new(&mut this.sockets).poll_next(cx)) {
                None => return Poll::Ready(None),
                Some(Ok(stream)) => {
                    this.next_backoff = BACKOFF_MIN;
                    if let Some(connection) = this.admit(stream) {
                        return Poll::Ready(Some(Ok(connection)));
                    }
                }
                // The peer was gone before it was taken: nothing to wait for.
                Some(Err(error)) if is_peers_fault(&error) => {}
                Some(Err(error)) => this.back_off(&error),
            }
        }
    }
}

fn is_peers_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// A TCP connection that counts against `server.max_connections` until it is dropped.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Present until the peer has sent its first bytes: how many it has sent, and until when it may send the rest.
    preface: Option<(usize, Pin<Box<Sleep>>)>,
    outflow: Arc<Outflow>,
    /// Ready when the peer is to be cut off.
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    /// They are watched over until the last connection is gone.
    _peers: Arc<Peers>,
    open: Gauge,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    /// What the socket said, unless it makes the task wait and the peer is to be cut off: then the connection breaks.
    fn unless_cut<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_pending() && self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.decrement(1.0);
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer { address: self.stream.peer_addr().ok(), outflow: Arc::clone(&self.outflow) }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let filled_before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if let Some((bytes, deadline)) = &mut this.preface {
            *bytes += buffer.filled().len() - filled_before;
            if *bytes >= PREFACE_BYTES {
                this.preface = None;
            } else if polled.is_pending() && deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        this.unless_cut(cx, polled)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.unless_cut(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.unless_cut(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.unless_cut(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_stream::StreamExt;

    use super::*;

    fn local(connections_max: usize) -> (Listener, CancellationToken) {
        let stop = CancellationToken::new();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), connections_max, stop.clone()).unwrap();
        (listener, stop)
    }

    async fn next(listener: &mut Listener) -> Connection {
        let Some(Ok(connection)) = listener.next().await else { panic!("the listener has ended") };
        connection
    }

    #[tokio::test]
    async fn a_connection_carries_its_peer_and_has_no_delay() {
        let (mut listener, _stop) = local(1);
        let mut client = TcpStream::connect(listener.address()).await.unwrap();
        let mut connection = next(&mut listener).await;
        assert_eq!(connection.connect_info().address, Some(client.local_addr().unwrap()));
        assert!(connection.stream.nodelay().unwrap());
        client.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        connection.read_exact(&mut heard).await.unwrap();
        connection.write_all(&heard).await.unwrap();
        client.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_are_closed_until_one_ends() {
        let (mut listener, _stop) = local(2);
        let address = listener.address();
        let _first = TcpStream::connect(address).await.unwrap();
        let taken = next(&mut listener).await;
        let _second = TcpStream::connect(address).await.unwrap();
        let _taken_too = next(&mut listener).await;

        let mut third = TcpStream::connect(address).await.unwrap();
        tokio::select! {
            _ = listener.next() => panic!("the third was let in"),
            end = third.read_u8() => assert!(end.is_err(), "it is closed without a word"),
        }
        drop(taken);
        let _fourth = TcpStream::connect(address).await.unwrap();
        next(&mut listener).await;
    }

    #[tokio::test]
    async fn a_stop_ends_the_stream_and_dropping_it_frees_the_port() {
        let (mut listener, stop) = local(1);
        let address = listener.address();
        let (ended, ()) = tokio::join!(listener.next(), async { stop.cancel() });
        assert!(ended.is_none());
        assert!(listener.next().await.is_none());
        drop(listener);
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_taken_port_is_a_clear_error() {
        let (listener, stop) = local(1);
        let error = Listener::bind(listener.address(), 1, stop).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot listen on server.listen = {}", listener.address())),
            "{error}"
        );
    }

    /// Hands out what it was given, then nothing more.
    struct Script {
        steps: VecDeque<io::Result<TcpStream>>,
        polls: usize,
    }

    impl Stream for Script {
        type Item = io::Result<TcpStream>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            self.polls += 1;
            Poll::Ready(self.steps.pop_front())
        }
    }

    async fn scripted(errors: Vec<io::Error>) -> Listener<Script> {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let (_client, taken) = tokio::join!(TcpStream::connect(address), server.accept());
        let mut steps: VecDeque<io::Result<TcpStream>> = errors.into_iter().map(Err).collect();
        steps.push_back(Ok(taken.unwrap().0));
        Listener::new(Script { steps, polls: 0 }, address, 10, CancellationToken::new())
    }

    #[tokio::test]
    async fn when_files_run_out_it_waits_longer_and_longer_instead_of_spinning() {
        let errors = (0..4).map(|_| io::Error::from_raw_os_error(TOO_MANY_FILES[0])).collect();
        let mut listener = scripted(errors).await;
        let started = Instant::now();
        assert!(matches!(listener.next().await, Some(Ok(_))));
        assert!(started.elapsed() >= BACKOFF_MIN * (1 + 2 + 4 + 8));
        assert_eq!(listener.sockets.polls, 5, "one try after each wait");
        assert_eq!(listener.next_backoff, BACKOFF_MIN, "a success resets the back-off");
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_already_is_passed_over_at_once() {
        let mut listener = scripted(vec![io::ErrorKind::ConnectionAborted.into()]).await;
        assert!(matches!(listener.next().await, Some(Ok(_))));
        assert!(listener.backoff.is_none());
    }

    #[tokio::test]
    async fn a_stop_does_not_wait_for_the_back_off() {
        let (listener, stop) = local(1);
        let Listener { sockets, address, .. } = listener;
        let mut listener = Listener::new(sockets, address, 1, stop.clone());
        listener.backoff = Some(Box::pin(sleep(Duration::from_secs(3600))));
        let (ended, ()) = tokio::join!(listener.next(), async { stop.cancel() });
        assert!(ended.is_none());
    }

    #[tokio::test]
    async fn a_peer_that_says_nothing_is_cut_off_and_one_that_spoke_is_not() {
        let (mut listener, _stop) = local(2);
        let mut client = TcpStream::connect(listener.address()).await.unwrap();
        let mut connection = next(&mut listener).await;
        assert!(connection.preface.is_some());
        client.write_all(&[b'x'; PREFACE_BYTES - 1]).await.unwrap();
        let mut heard = [0; PREFACE_BYTES - 1];
        connection.read_exact(&mut heard).await.unwrap();
        assert!(connection.preface.is_some(), "a part of the preface is not enough");
        connection.preface = Some((0, Box::pin(sleep(Duration::ZERO))));
        let error = connection.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let mut client = TcpStream::connect(listener.address()).await.unwrap();
        drop(connection);
        let mut connection = next(&mut listener).await;
        client.write_all(&[b'x'; PREFACE_BYTES]).await.unwrap();
        let mut heard = [0; PREFACE_BYTES];
        connection.read_exact(&mut heard).await.unwrap();
        assert!(connection.preface.is_none());
    }
}
