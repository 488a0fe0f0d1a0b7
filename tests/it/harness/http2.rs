//! HTTP/2 by hand, for what no library would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The kinds of frames that tests look at.
pub const RESET: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GO_AWAY: u8 = 7;
pub const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame as it came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub payload: Vec<u8>,
}

/// A connection on which every byte is ours.
pub struct Http2 {
    socket: TcpStream,
    last_stream: u32,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The headers of a call, without any compression.
fn headers(path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    let all = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "here"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    for (name, value) in all {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("shorter than 127"));
            block.extend(text.as_bytes());
        }
    }
    block
}

impl Http2 {
    pub async fn connect(address: SocketAddr) -> Http2 {
        let mut socket = TcpStream::connect(address).await.expect("a connection");
        let opening = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        socket.write_all(&opening).await.expect("sent");
        Http2 { socket, last_stream: 0 }
    }

    fn next_stream(&mut self) -> u32 {
        self.last_stream = if self.last_stream == 0 { 1 } else { self.last_stream + 2 };
        self.last_stream
    }

    /// A call with this message.
    pub async fn call(&mut self, path: &str, message: &[u8]) {
        let stream = self.next_stream();
        let length = u32::try_from(message.len()).expect("short").to_be_bytes();
        let body = [&[0], &length[..], message].concat();
        let bytes =
            [frame(HEADERS, END_HEADERS, stream, &headers(path)), frame(DATA, END_STREAM, stream, &body)];
        self.socket.write_all(&bytes.concat()).await.expect("sent");
    }

    /// Opens a stream and breaks the protocol on it, so that the server has to reset it; `false` when the server has closed
    /// the connection.
    pub async fn provoke_a_reset(&mut self, path: &str) -> bool {
        let stream = self.next_stream();
        let bytes = [
            frame(HEADERS, END_HEADERS, stream, &headers(path)),
            // More room than a window can have.
            frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes()),
        ];
        self.socket.write_all(&bytes.concat()).await.is_ok()
    }

    /// The next frame; `None` at the end. Settings and pings are answered, and windows are never given back.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("24 bits")];
        self.socket.read_exact(&mut payload).await.ok()?;
        let (kind, flags) = (head[3], head[4]);
        let answer = match kind {
            SETTINGS if flags & ACK == 0 => frame(SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => frame(PING, ACK, 0, &payload),
            _ => Vec::new(),
        };
        // The server may have gone meanwhile; then the next read says so.
        let _ = self.socket.write_all(&answer).await;
        Some(Frame { kind, payload })
    }
}
