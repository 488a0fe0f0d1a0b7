//! HTTP/1.1 by hand, as a browser's gRPC-Web client speaks it.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::within;

/// A response that is read as it comes.
pub struct Response {
    socket: BufReader<TcpStream>,
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body bytes that were read and not taken yet.
    body: Vec<u8>,
    ended: bool,
}

/// A part of a gRPC-Web body.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    Message(Vec<u8>),
    Trailers(Vec<(String, String)>),
}

/// Sends a request on a connection of its own and reads the response's head.
pub async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    within("an HTTP response", async {
        let mut socket = TcpStream::connect(address).await.expect("a connection");
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        socket.write_all(&[head.as_bytes(), body].concat()).await.expect("sent");
        let mut socket = BufReader::new(socket);
        let first = line(&mut socket).await;
        let status =
            first.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("{first}"));
        let mut headers = Vec::new();
        loop {
            let line = line(&mut socket).await;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Response { socket, status, headers, body: Vec::new(), ended: false }
    })
    .await
}

/// A gRPC-Web call with one message.
pub async fn grpc_web(address: SocketAddr, path: &str, message: &[u8]) -> Response {
    let headers = [
        ("content-type", "application/grpc-web+proto"),
        ("x-grpc-web", "1"),
        ("origin", "http://localhost:5173"),
    ];
    request(address, "POST", path, &headers, &framed(message)).await
}

/// A message with its prefix.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message");
    [&[0][..], &length.to_be_bytes(), message].concat()
}

async fn line(socket: &mut BufReader<TcpStream>) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(socket.read_u8().await.expect("a line"));
    }
    String::from_utf8_lossy(&line).trim_end().to_owned()
}

impl Response {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Reads one more chunk of the body; says whether there was one.
    async fn more(&mut self) -> bool {
        if self.ended {
            return false;
        }
        if self.header("transfer-encoding") != Some("chunked") {
            let length = self.header("content-length").map_or(0, |l| l.parse().expect("a length"));
            let mut body = vec![0; length];
            self.socket.read_exact(&mut body).await.expect("the body");
            self.body.extend(body);
            self.ended = true;
            return length > 0;
        }
        let size = line(&mut self.socket).await;
        let size =
            usize::from_str_radix(size.trim(), 16).unwrap_or_else(|_| panic!("a chunk's size: {size}"));
        let mut chunk = vec![0; size];
        self.socket.read_exact(&mut chunk).await.expect("a chunk");
        line(&mut self.socket).await;
        self.body.extend(chunk);
        self.ended = size == 0;
        !self.ended
    }

    /// The next part of the body; none when it is over.
    pub async fn part(&mut self) -> Option<Part> {
        within("a part of a body", async {
            loop {
                if let [flag, a, b, c, d, rest @ ..] = self.body.as_slice() {
                    let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
                    if let Some(content) = rest.get(..length) {
                        let part = match *flag {
                            0 => Part::Message(content.to_vec()),
                            0x80 => Part::Trailers(trailers(content)),
                            other => panic!("a part with the flag {other}"),
                        };
                        self.body.drain(..5 + length);
                        return Some(part);
                    }
                }
                if !self.more().await {
                    assert!(self.body.is_empty(), "half a part: {:?}", self.body);
                    return None;
                }
            }
        })
        .await
    }

    /// The whole body, whatever it is.
    pub async fn bytes(&mut self) -> Vec<u8> {
        within("a body", async {
            while self.more().await {}
            std::mem::take(&mut self.body)
        })
        .await
    }
}

fn trailers(content: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(content).into_owned();
    text.lines()
        .filter_map(|l| l.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect()
}
