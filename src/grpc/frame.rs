//! Frames as bytes.
//!
//! A frame goes to every feed of a workspace, and so do the changes in it. [`FrameWriter`] assembles a frame from
//! changes that were encoded before ([`EncodedChange`]); what it writes is exactly what prost would write for the
//! [`pb::Frame`].

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len, uint32, uint64};

use crate::engine::EncodedChange;
use syncline_core::causality::Seq;
use syncline_core::change::Change;
use syncline_core::selection::Collections;
use syncline_protocol::convert::{change_to_pb, filtered_change_to_pb};
use syncline_protocol::pb;

/// Numbers of fields, as in `change.proto` and `change_service.proto`; a test compares them with the generated code.
mod field {
    pub const FRAME_CHANGES: u32 = 2;
    pub const FRAME_CURSOR: u32 = 10;
    pub const FRAME_SUBSCRIPTION: u32 = 12;
    pub const CHANGES_FROM: u32 = 1;
    pub const CHANGES_TO: u32 = 2;
    pub const CHANGES_CHANGES: u32 = 3;
    pub const CHANGES_HEAD: u32 = 4;
    pub const CHANGES_SCHEMA_VERSION: u32 = 5;
}

/// A run of changes on its way into a frame.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The position before the first change.
    pub from_seq_exclusive: Seq,
    /// The position of the last change.
    pub to_seq_inclusive: Seq,
    /// All changes between the two positions, in their order, whatever collections they touch.
    pub changes: &'a [std::sync::Arc<EncodedChange>],
    /// The newest position when the run was taken.
    pub head_seq: Seq,
    /// The version of the workspace's schema at that head.
    pub schema_version: u64,
}

/// A frame of any content, of one of a stream's feeds.
pub fn frame(content: pb::frame::Content, cursor: pb::Cursor, subscription_id: u32) -> Bytes {
    let frame = pb::Frame { content: Some(content), cursor: Some(cursor), ignorable: false, subscription_id };
    frame.encode_to_vec().into()
}

/// A frame after which there is nothing to resume, of one of a stream's feeds.
pub fn last_frame(content: pb::frame::Content, subscription_id: u32) -> Bytes {
    let frame = pb::Frame { content: Some(content), cursor: None, ignorable: false, subscription_id };
    frame.encode_to_vec().into()
}

/// A frame of changes, of one of a stream's feeds: what they did in these collections.
pub fn changes_frame(
    run: &Run<'_>,
    collections: &Collections,
    cursor: &pb::Cursor,
    subscription_id: u32,
) -> Bytes {
    let filtered: Vec<Bytes>;
    let encoded: Vec<&Bytes> = if collections.is_everything() {
        run.changes.iter().map(|shown| shown.encoded(encode_whole)).collect()
    } else {
        let wanted = run.changes.iter().filter_map(|shown| filtered_change_to_pb(&shown.change, collections));
        filtered = wanted.map(|change| encode(&change)).collect();
        filtered.iter().collect()
    };
    let numbers = [
        (field::CHANGES_FROM, run.from_seq_exclusive),
        (field::CHANGES_TO, run.to_seq_inclusive),
        (field::CHANGES_HEAD, run.head_seq),
        (field::CHANGES_SCHEMA_VERSION, Seq(run.schema_version)),
    ];
    // proto3 leaves zeros out.
    let numbers = numbers.into_iter().filter(|(_, number)| *number != 0);
    let numbers_len: usize = numbers.clone().map(|(tag, number)| uint64::encoded_len(tag, &number.0)).sum();
    let changes_len = encoded.iter().map(|bytes| bytes.len()).sum::<usize>() + numbers_len;
    let cursor_len = cursor.encoded_len();
    let mut out = BytesMut::with_capacity(
        key_len(field::FRAME_CHANGES)
            + encoded_len_varint(changes_len as u64)
            + changes_len
            + key_len(field::FRAME_CURSOR)
            + encoded_len_varint(cursor_len as u64)
            + cursor_len
            + uint32::encoded_len(field::FRAME_SUBSCRIPTION, &subscription_id),
    );
    encode_key(field::FRAME_CHANGES, WireType::LengthDelimited, &mut out);
    encode_varint(changes_len as u64, &mut out);
    // In the order of the fields' numbers, as prost does.
    let (before, after): (Vec<_>, Vec<_>) = numbers.partition(|(tag, _)| *tag < field::CHANGES_CHANGES);
    before.iter().for_each(|(tag, number)| uint64::encode(*tag, &number.0, &mut out));
    encoded.iter().for_each(|bytes| out.put_slice(bytes));
    after.iter().for_each(|(tag, number)| uint64::encode(*tag, &number.0, &mut out));
    prost::encoding::message::encode(field::FRAME_CURSOR, cursor, &mut out);
    if subscription_id != 0 {
        uint32::encode(field::FRAME_SUBSCRIPTION, &subscription_id, &mut out);
    }
    out.freeze()
}

/// A change with all its effects, as a field of `Changes`.
fn encode_whole(change: &Change) -> Bytes {
    encode(&change_to_pb(change))
}

fn encode(change: &pb::Change) -> Bytes {
    let mut out = Vec::with_capacity(prost::encoding::message::encoded_len(field::CHANGES_CHANGES, change));
    prost::encoding::message::encode(field::CHANGES_CHANGES, change, &mut out);
    out.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use syncline_core::causality::{Author, Counter, ReplicaNo};
    use syncline_core::ids::{Dot, Epoch, ReplicaId};

    use super::*;
    use syncline_core::change::{Effect, EffectKind};
    use syncline_core::operation::{CausalContext, Settlement};
    use syncline_core::value::Value;

    fn change(seq: Seq, collection: &str) -> Arc<Change> {
        let dot = Dot { replica: ReplicaId::from_u128(7), counter: Counter(seq.0) };
        let effect = Effect {
            collection: collection.into(),
            record: "r".into(),
            field: Some("f".into()),
            mutation_index: 0,
            previous_seq: Seq(0),
            kind: EffectKind::Register { value: Some(Value::string("x".repeat(300).as_str())) },
        };
        Arc::new(Change {
            seq,
            dot,
            author: Author {
                replica_no: ReplicaNo(1),
                counter: Counter(seq.0),
                base_seq: seq - 1,
                extras: vec![],
                own_requests: vec![],
            },
            context: CausalContext::at(Epoch(1), seq - 1),
            request_id: None,
            correlation_id: "c".into(),
            actor: "ann".into(),
            client_time_ms: None,
            committed_at_ms: 2_002,
            mutations: vec![],
            effects: vec![effect],
            settlement: Settlement::default(),
            operation_hash: [3; 16],
            hash_salt: [5; 16],
            chain: [4; 16],
        })
    }

    fn cursor() -> pb::Cursor {
        pb::Cursor {
            workspace_id: "w".into(),
            epoch: 5,
            seq_inclusive: 3,
            chain: Bytes::from_static(&[4; 16]),
            selection: Bytes::from_static(b"s"),
            loading: Bytes::new(),
        }
    }

    /// The same frame the ordinary way.
    fn by_prost(run: &Run<'_>, collections: &Collections, subscription_id: u32) -> Vec<u8> {
        let changes = pb::Changes {
            from_seq_exclusive: run.from_seq_exclusive.0,
            to_seq_inclusive: run.to_seq_inclusive.0,
            changes: run
                .changes
                .iter()
                .filter_map(|s| match collections.is_everything() {
                    true => Some(change_to_pb(&s.change)),
                    false => filtered_change_to_pb(&s.change, collections),
                })
                .collect(),
            head_seq: run.head_seq.0,
            schema_version: run.schema_version,
        };
        frame(pb::frame::Content::Changes(changes), cursor(), subscription_id).to_vec()
    }

    #[test]
    fn a_frame_of_encoded_changes_is_the_frame_that_prost_encodes() {
        let shown: Vec<_> = [change(Seq(1), "a"), change(Seq(2), "b"), change(Seq(3), "a")]
            .map(|c| Arc::new(EncodedChange::new(c)))
            .into();
        let only = Collections::Only(["a".into()].into());
        let none = Collections::Only(["nothing".into()].into());
        for (from, count, schema_version) in [(0, 3, 0), (1, 2, 9), (2, 1, 300), (3, 0, 1)] {
            let run = Run {
                from_seq_exclusive: Seq(from),
                to_seq_inclusive: Seq(3),
                changes: &shown[3 - count..],
                head_seq: Seq(70_000),
                schema_version,
            };
            for collections in [&Collections::everything(), &only, &none] {
                // Encoded now, and encoded before.
                for subscription in [0, 1, 300] {
                    let bytes = changes_frame(&run, collections, &cursor(), subscription);
                    assert_eq!(bytes, by_prost(&run, collections, subscription), "{run:?} {collections:?}");
                }
            }
        }
    }

    #[test]
    fn what_the_server_sends_is_what_clients_read() {
        let content = pb::frame::Content::Checkpoint(pb::Checkpoint { head_seq: 7 });
        let sent = crate::grpc::served::WatchResponse { frame: frame(content, cursor(), 7) }.encode_to_vec();
        let read = pb::WatchResponse::decode(&*sent).expect("decodes");
        let Some(pb::Frame {
            content: Some(content),
            cursor: Some(at),
            ignorable: false,
            subscription_id: 7,
        }) = read.frame
        else {
            panic!("no frame")
        };
        assert_eq!((content, at), (pb::frame::Content::Checkpoint(pb::Checkpoint { head_seq: 7 }), cursor()));
    }
}
