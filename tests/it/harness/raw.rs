//! Calls with any bytes at all, as no generated client would send them.

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::within;

/// Hands bytes through.
#[derive(Debug, Clone, Copy, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Plain;
    type Decoder = Plain;

    fn encoder(&mut self) -> Plain {
        Plain
    }

    fn decoder(&mut self) -> Plain {
        Plain
    }
}

impl Encoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(item.len());
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// A unary call of a method by its path.
pub async fn call(channel: &Channel, path: &'static str, message: Vec<u8>) -> Result<Bytes, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    within(path, async {
        client.ready().await.map_err(|e| Status::unknown(e.to_string()))?;
        let request = Request::new(message);
        client.unary(request, PathAndQuery::from_static(path), Plain).await.map(tonic::Response::into_inner)
    })
    .await
}

/// A call of any method with these messages: its answers until it ends. Of a method whose answers never end, the first.
pub async fn stream(
    channel: &Channel,
    path: &'static str,
    messages: Vec<Vec<u8>>,
) -> Result<Vec<Bytes>, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    within(path, async {
        client.ready().await.map_err(|e| Status::unknown(e.to_string()))?;
        let request = Request::new(tokio_stream::iter(messages));
        let answered = client.streaming(request, PathAndQuery::from_static(path), Plain).await?;
        let mut answers = answered.into_inner();
        let mut heard = Vec::new();
        while let Some(answer) = answers.message().await? {
            heard.push(answer);
            if path.ends_with("/Watch") {
                break;
            }
        }
        Ok(heard)
    })
    .await
}
