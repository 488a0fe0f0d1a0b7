//! The simulated network as tonic sees it.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{self, AsyncRead, AsyncWrite, ReadBuf};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Uri};
use turmoil::net::{TcpListener, TcpStream};

/// The port of every server.
const PORT: u16 = 7447;
/// How long a client waits for a connection.
const CONNECT_MAX: Duration = Duration::from_millis(600);
/// After how much silence a client asks a server whether it is there, and how long it waits for an answer.
const KEEPALIVE_AFTER: Duration = Duration::from_millis(400);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_millis(600);
/// Connections that were accepted and not yet taken.
const ACCEPTED_MAX: usize = 16;

/// An accepted connection.
pub(super) struct Socket(TcpStream);

impl Connected for Socket {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Connections to this host, as long as the stream is polled.
pub(super) async fn listen() -> io::Result<ReceiverStream<Result<Socket, Infallible>>> {
    let listener = TcpListener::bind((IpAddr::from(Ipv4Addr::UNSPECIFIED), PORT)).await?;
    let (taken, sockets) = tokio::sync::mpsc::channel(ACCEPTED_MAX);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                biased;
                () = taken.closed() => return,
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    if taken.send(Ok(Socket(stream))).await.is_err() {
                        return;
                    }
                }
            }
        }
    });
    Ok(ReceiverStream::new(sockets))
}

/// The name of a server's host.
pub(super) fn server_name(server: usize) -> String {
    format!("server-{server}")
}

/// The name of a client's host.
pub(super) fn client_name(client: usize) -> String {
    format!("client-{client}")
}

/// A connection that is made when it is first used, and again when it broke.
pub(super) fn channel(server: usize) -> Channel {
    Endpoint::from_shared(format!("http://{}:{PORT}", server_name(server)))
        .expect("a URI")
        .connect_timeout(CONNECT_MAX)
        .http2_keep_alive_interval(KEEPALIVE_AFTER)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(tower::service_fn(|uri: Uri| async move {
            let host = uri.host().unwrap_or_default().to_owned();
            let stream = TcpStream::connect((host, PORT)).await?;
            Ok::<_, io::Error>(TokioIo::new(stream))
        }))
}
