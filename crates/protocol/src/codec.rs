//! How messages become bytes and back, with typed errors for bytes that are no message.
//!
//! One codec serves both directions, and responses may be larger than requests: each message of a method says how
//! large it may be ([`Bounded`]). Servers should set `max_decoding_message_size` as well: tonic then refuses a message
//! by its length prefix, before a byte of it is buffered, and [`layer`](super::layer) gives that refusal its reason.

use std::marker::PhantomData;

use bytes::Buf;
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, DecodeBuf, EncodeBuf};

use super::pb;
use super::status::Failure;
use super::unknown_field::Strict;
use syncline_core::limits::MESSAGE_BYTES_MAX;

/// The initial size of a call's buffers, in each direction; they grow as messages need. tonic's own 8 KiB would be most
/// of the cost of a stream that waits.
const BUFFER_BYTES: usize = 1024;
/// Messages that are ready are sent together up to this size, which is tonic's default.
const YIELD_BYTES: usize = 32 * 1024;

fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
}

/// A message of a method, and what of it is refused. A new method does not compile until its two messages are listed.
pub trait Bounded {
    /// Larger messages are refused before they are decoded.
    const BYTES_MAX: usize;
    /// Whether a field that this version of the protocol does not have is refused instead of dropped.
    const STRICT: Option<Strict>;
}

/// Messages of clients: bounded, and strict.
macro_rules! requests {
    ($package:literal; $($message:ident)*) => {
        $(impl Bounded for pb::$message {
            const BYTES_MAX: usize = MESSAGE_BYTES_MAX;
            const STRICT: Option<Strict> =
                Some(Strict { message: concat!($package, ".", stringify!($message)), apart: &[] });
        })*

        /// The full names of all strict messages.
        #[cfg(test)]
        pub(crate) const STRICT_MESSAGES: &[&str] = &[$(concat!($package, ".", stringify!($message))),*];
    };
}

/// Messages of servers: bounded by the server, and by tonic's 4 MiB at the client, which drops unknown fields.
macro_rules! responses {
    ($($message:ident)*) => {
        $(impl Bounded for pb::$message {
            const BYTES_MAX: usize = usize::MAX;
            const STRICT: Option<Strict> = None;
        })*
    };
}

requests! { "syncline.v1";
    SubscribeRequest WatchRequest SnapshotRequest ListConflictsRequest GetConflictRequest GetAlternativeRequest
    ResolveConflictRequest DeferConflictRequest AssignConflictRequest ReopenConflictRequest
    ListConflictEventsRequest GetConflictStatisticsRequest KeepAliveRequest SendHeartbeatRequest DisconnectRequest
    ListConnectionsRequest SubmitRequest GetReceiptsRequest AbandonCounterRequest GetRecordRequest
    ListRecordsRequest ListRecordHistoryRequest CreateWorkspaceRequest GetWorkspaceRequest
    ListWorkspacesRequest GetSchemaRequest UpdateSchemaRequest GetVersionVectorRequest GetHeadRequest
    GetServerInfoRequest
}

responses! {
    SubscribeResponse WatchResponse SnapshotResponse ListConflictsResponse GetConflictResponse GetAlternativeResponse
    ResolveConflictResponse DeferConflictResponse AssignConflictResponse ReopenConflictResponse
    ListConflictEventsResponse GetConflictStatisticsResponse KeepAliveResponse SendHeartbeatResponse
    DisconnectResponse ListConnectionsResponse SubmitResponse GetReceiptsResponse AbandonCounterResponse
    GetRecordResponse ListRecordsResponse ListRecordHistoryResponse CreateWorkspaceResponse
    GetWorkspaceResponse ListWorkspacesResponse GetSchemaResponse UpdateSchemaResponse
    GetVersionVectorResponse GetHeadResponse GetServerInfoResponse
}

impl Bounded for pb::diagnostics::NoopRequest {
    const BYTES_MAX: usize = MESSAGE_BYTES_MAX;
    /// As strict as the Submit that it stands for.
    const STRICT: Option<Strict> =
        Some(Strict { message: "syncline.diagnostics.v1alpha1.NoopRequest", apart: &[] });
}

impl Bounded for pb::diagnostics::NoopResponse {
    const BYTES_MAX: usize = usize::MAX;
    const STRICT: Option<Strict> = None;
}

/// The codec of every method: encodes `T`, decodes `U`.
#[derive(Debug, Clone, Copy)]
pub struct Codec<T, U> {
    messages: PhantomData<fn(T) -> U>,
}

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Codec { messages: PhantomData }
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Bounded + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = Encoder<T>;
    type Decoder = Decoder<U>;

    fn encoder(&mut self) -> Encoder<T> {
        Encoder { message: PhantomData }
    }

    fn decoder(&mut self) -> Decoder<U> {
        Decoder { message: PhantomData }
    }
}

/// Encodes messages of one type.
#[derive(Debug, Clone, Copy)]
pub struct Encoder<T> {
    message: PhantomData<fn(T)>,
}

impl<T: Message> tonic::codec::Encoder for Encoder<T> {
    type Item = T;
    type Error = Status;

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        // All at once instead of by doubling, because frames of feeds are large.
        buffer.reserve(item.encoded_len());
        item.encode(buffer).map_err(|error| Failure::internal(&error).into())
    }
}

/// Decodes messages of one type.
#[derive(Debug, Clone, Copy)]
pub struct Decoder<U> {
    message: PhantomData<fn() -> U>,
}

impl<U: Message + Default + Bounded> tonic::codec::Decoder for Decoder<U> {
    type Item = U;
    type Error = Status;

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let length = buffer.remaining();
        if length > U::BYTES_MAX {
            return Err(Failure::message_too_large().into());
        }
        let Some(strict) = U::STRICT else { return Ok(Some(decode(buffer)?)) };
        // Taken out as one piece, which copies nothing, since the bytes may have to be looked at again.
        let bytes = buffer.copy_to_bytes(length);
        let message = decode(bytes.clone())?;
        match strict.unknown_field(&message, &bytes) {
            Some(path) => Err(Failure::unknown_field(&path).into()),
            None => Ok(Some(message)),
        }
    }
}

/// Decodes a whole message. prost stops at a nesting of 100, so that no sender decides how deep the stack grows.
pub fn decode<U: Message + Default>(bytes: impl Buf) -> Result<U, Failure> {
    U::decode(bytes).map_err(|error| Failure::malformed_message(&error))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use tonic::codec::{Codec as _, Streaming};
    use tonic::{Code, Status};
    use tonic_types::StatusExt as _;

    use super::*;
    use crate::convert::operations_from_bytes;

    /// Appends a length-delimited field around what `reversed` holds so far, back to front.
    fn wrap(reversed: &mut Vec<u8>, field: u8) {
        let mut header = Vec::new();
        prost::encoding::encode_varint(reversed.len() as u64, &mut header);
        reversed.extend(header.iter().rev());
        reversed.push(field << 3 | 2);
    }

    /// A SubmitRequest that sets a value of `levels` nested lists.
    fn bomb(levels: usize) -> Vec<u8> {
        let mut reversed = Vec::new();
        for _ in 0..levels {
            wrap(&mut reversed, 1); // ListValue.values
            wrap(&mut reversed, 7); // Value.list_value
        }
        wrap(&mut reversed, 2); // SetField.value
        wrap(&mut reversed, 6); // RecordMutation.set_field
        wrap(&mut reversed, 1); // Mutation.record
        wrap(&mut reversed, 5); // Operation.mutations
        wrap(&mut reversed, 2); // SubmitRequest.operations
        reversed.reverse();
        reversed
    }

    fn assert_malformed(status: &Status) {
        assert_eq!(status.code(), Code::InvalidArgument);
        let info = status.get_details_error_info().expect("an ErrorInfo");
        assert_eq!((info.domain.as_str(), info.reason.as_str()), ("syncline", "MALFORMED_MESSAGE"));
    }

    /// Decodes as a server does: framed, through tonic.
    async fn receive(message: &[u8]) -> Result<Option<pb::SubmitRequest>, Status> {
        let mut framed = vec![0];
        framed.extend(u32::try_from(message.len()).expect("a short message").to_be_bytes());
        framed.extend(message);
        let mut codec = Codec::<pb::SubmitResponse, pb::SubmitRequest>::default();
        let body = http_body_util::Full::new(Bytes::from(framed));
        Streaming::new_request(codec.decoder(), body, None, None).message().await
    }

    #[tokio::test]
    async fn nesting_bombs_are_malformed() {
        for levels in [60, 1_000, 100_000] {
            let bytes = bomb(levels);
            assert!(bytes.len() < MESSAGE_BYTES_MAX);
            assert_malformed(&receive(&bytes).await.expect_err("too deep"));
        }
        let mut groups = vec![0x5b; 100_000];
        assert_malformed(&receive(&groups).await.expect_err("groups too deep"));
        groups.extend(vec![0x5c; 100_000]);
        assert_malformed(&receive(&groups).await.expect_err("closed groups too deep"));
    }

    #[tokio::test]
    async fn values_of_allowed_nesting_come_through() {
        let request = receive(&bomb(16)).await.expect("decodes").expect("a message");
        assert_eq!(request.operations.len(), 1);
        assert_eq!(request.encode_to_vec(), bomb(16));
    }

    #[tokio::test]
    async fn bytes_that_are_no_message_are_malformed() {
        // Cut short; a wrong wire type; text that is not UTF-8; tag 0.
        for bytes in [&[0x0a, 5, b'a'][..], &[0x08, 1], &[0x0a, 1, 0xff], &[0x00, 1]] {
            assert_malformed(&receive(bytes).await.expect_err("malformed"));
        }
    }

    #[tokio::test]
    async fn requests_are_limited() {
        let request = |bytes| pb::SubmitRequest { workspace_id: "x".repeat(bytes), ..Default::default() };
        let frame = request(MESSAGE_BYTES_MAX).encoded_len() - MESSAGE_BYTES_MAX;
        let largest = request(MESSAGE_BYTES_MAX - frame);
        assert_eq!(receive(&largest.encode_to_vec()).await.expect("1 MiB"), Some(largest));
        let status =
            receive(&request(MESSAGE_BYTES_MAX - frame + 1).encode_to_vec()).await.expect_err("too large");
        let info = status.get_details_error_info().expect("an ErrorInfo");
        assert_eq!((status.code(), info.reason.as_str()), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
    }

    #[test]
    fn errors_name_no_content() {
        let error = decode::<pb::SubmitRequest>(&[0x0a, 7, b's', b'e', b'c', b'r', b'e', b't', 0xff][..]);
        let failure = error.expect_err("not UTF-8");
        assert!(!failure.message().contains("secret"), "{failure}");
        assert!(failure.message().contains("workspace_id"), "{failure}");
    }

    #[test]
    fn damaged_messages_never_panic() {
        let mut random = StdRng::seed_from_u64(17);
        let valid = bomb(12);
        for _ in 0..5_000 {
            let mut bytes = valid.clone();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..bytes.len());
                bytes[at] = random.random();
            }
            if let Ok(request) = decode::<pb::SubmitRequest>(&*bytes) {
                let operations = request.operations.iter().map(|o| o.encode_to_vec().into()).collect();
                let _ = operations_from_bytes(operations);
            }
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode::<pb::SubmitRequest>(&*bytes);
            let _ = decode::<pb::ListRecordsRequest>(&*bytes);
            let _ = decode::<pb::SubscribeRequest>(&*bytes);
            let _ = operations_from_bytes(vec![bytes.into()]);
        }
    }
}
