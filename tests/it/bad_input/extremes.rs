//! Numbers at the ends of what their types hold, in every place of every request that takes one. The requests are made
//! from the descriptors, so that a new method, action or field is among them.

use std::collections::BTreeMap;

use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FieldDescriptorProto};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use super::Clumsy;
use crate::harness::errors::fault;
use crate::harness::ops::card;
use crate::harness::{pb, raw};

/// As they stand on the wire; numbers of 32 bits are cut, and signed ones are unfolded.
const EXTREMES: [u64; 11] = [
    1,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 6,
    (1 << 32) - 1,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
    (1 << 63) + 1,
    u64::MAX - 1,
    u64::MAX,
];
/// Calls under way at a time: some wait for a position that never comes.
const CALLS_AT_ONCE: usize = 64;

/// A method by its path, with the message that it takes.
struct Method {
    path: &'static str,
    request: String,
    takes_a_stream: bool,
}

/// What requests are made of.
struct Maker {
    messages: BTreeMap<String, DescriptorProto>,
    methods: Vec<Method>,
    epoch: u64,
    /// A position before the newest edits, so that these are concurrent with what is made.
    base_seq: u64,
    conflict_id: String,
    made: u128,
}

fn is_number(field: &FieldDescriptorProto) -> bool {
    !matches!(field.r#type(), Type::String | Type::Bytes | Type::Message | Type::Bool | Type::Group)
}

impl Maker {
    fn new(epoch: u64, base_seq: u64, conflict_id: String) -> Maker {
        let mut maker =
            Maker { messages: BTreeMap::new(), methods: Vec::new(), epoch, base_seq, conflict_id, made: 0 };
        let set = prost_types::FileDescriptorSet::decode(pb::FILE_DESCRIPTOR_SET).expect("descriptors");
        for file in &set.file {
            let package = format!(".{}", file.package());
            file.message_type.iter().for_each(|message| maker.learn(&package, message));
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    maker.methods.push(Method {
                        path: Box::leak(path.into_boxed_str()),
                        request: method.input_type().to_owned(),
                        takes_a_stream: method.client_streaming(),
                    });
                }
            }
        }
        maker
    }

    fn learn(&mut self, within: &str, message: &DescriptorProto) {
        let name = format!("{within}.{}", message.name());
        message.nested_type.iter().for_each(|nested| self.learn(&name, nested));
        self.messages.insert(name, message.clone());
    }

    /// The ways from a message to every number in it, by field numbers.
    fn ways(&self, message: &str, through: &mut Vec<String>) -> Vec<Vec<i32>> {
        let Some(descriptor) = self.messages.get(message) else { return Vec::new() };
        if through.iter().any(|name| name == message) {
            return Vec::new();
        }
        through.push(message.to_owned());
        let mut ways = Vec::new();
        for field in &descriptor.field {
            if is_number(field) {
                ways.push(vec![field.number()]);
            } else if field.r#type() == Type::Message {
                for way in self.ways(field.type_name(), through) {
                    ways.push(std::iter::once(field.number()).chain(way).collect());
                }
            }
        }
        through.pop();
        ways
    }

    /// A message with this number at the end of this way, and beside it what makes the message one that is worked on.
    fn make(&mut self, message: &str, way: &[i32], number: u64, with_dot: bool) -> Vec<u8> {
        let Some(descriptor) = self.messages.get(message).cloned() else { return Vec::new() };
        let on_way = descriptor.field.iter().find(|field| way.first() == Some(&field.number()));
        let choice = |field: &FieldDescriptorProto| {
            field.oneof_index.filter(|_| !field.proto3_optional.unwrap_or_default())
        };
        let mut chosen: Vec<i32> = on_way.and_then(choice).into_iter().collect();
        let mut bytes = Vec::new();
        for field in &descriptor.field {
            if on_way.is_some_and(|on_way| on_way.number == field.number) {
                match field.r#type() {
                    Type::Message => {
                        let inner = self.make(field.type_name(), &way[1..], number, with_dot);
                        append(&mut bytes, field.number(), &inner);
                    }
                    kind => append_number(&mut bytes, field.number(), kind, number),
                }
                continue;
            }
            if let Some(index) = choice(field) {
                let unwanted = if with_dot { ["request_id", "latest"] } else { ["dot", "context"] };
                if chosen.contains(&index) || unwanted.contains(&field.name()) {
                    continue;
                }
                chosen.push(index);
            }
            self.fill(&mut bytes, &descriptor, field, with_dot);
        }
        bytes
    }

    fn fill(
        &mut self,
        bytes: &mut Vec<u8>,
        of: &DescriptorProto,
        field: &FieldDescriptorProto,
        with_dot: bool,
    ) {
        self.made += 1;
        let fresh = format!("{:032x}", self.made);
        let field_id = match of.name() {
            "EditText" | "ReplaceText" => "notes",
            "IncrementCounter" | "AssignCounter" => "votes",
            "AddElements" | "RemoveElements" | "ClearElements" => "tags",
            "LinkRecord" | "UnlinkRecord" => "owner",
            _ => "title",
        };
        let text = match field.name() {
            "workspace_id" => "w",
            "collection_id" => "cards",
            "record_id" | "target_record_id" => "c1",
            "field_id" => field_id,
            "conflict_id" | "resolves_conflict_id" if of.name().ends_with("Request") => &self.conflict_id,
            "replica_id" => {
                let id = uuid::Uuid::from_u128(self.made).to_string();
                return append(bytes, field.number(), id.as_bytes());
            }
            "request_id" => &fresh,
            "insert" | "text" | "string_value" => "x",
            _ => "",
        };
        match field.r#type() {
            Type::String if !text.is_empty() => append(bytes, field.number(), text.as_bytes()),
            Type::Message if wanted(field.name()) => {
                let inner = self.make(field.type_name(), &[], 0, with_dot);
                append(bytes, field.number(), &inner);
            }
            kind if is_number(field) => {
                let number = match field.name() {
                    "epoch" => self.epoch,
                    "counter" | "delete_count" | "revision" => 1,
                    "base_seq" => self.base_seq,
                    _ => return,
                };
                append_number(bytes, field.number(), kind, number);
            }
            _ => {}
        }
    }
}

/// Parts without which a request would be refused before its numbers are looked at.
fn wanted(name: &str) -> bool {
    [
        "operations",
        "mutations",
        "record",
        "dot",
        "context",
        "latest",
        "hunks",
        "start",
        "heartbeat",
        "set_field",
        "value",
        "null_value",
        "create_record",
    ]
    .contains(&name)
}

fn append(bytes: &mut Vec<u8>, field: i32, content: &[u8]) {
    encode_key(field.unsigned_abs(), WireType::LengthDelimited, bytes);
    encode_varint(content.len() as u64, bytes);
    bytes.extend(content);
}

fn append_number(bytes: &mut Vec<u8>, field: i32, kind: Type, number: u64) {
    let field = field.unsigned_abs();
    match kind {
        Type::Fixed64 | Type::Sfixed64 | Type::Double => {
            encode_key(field, WireType::SixtyFourBit, bytes);
            bytes.extend(number.to_le_bytes());
        }
        Type::Fixed32 | Type::Sfixed32 | Type::Float => {
            encode_key(field, WireType::ThirtyTwoBit, bytes);
            bytes.extend(&number.to_le_bytes()[..4]);
        }
        _ => {
            encode_key(field, WireType::Varint, bytes);
            encode_varint(number, bytes);
        }
    }
}

/// Calls, and looks whether the answer is one that a client can do something with.
async fn call(channel: Channel, method: &'static str, messages: Vec<Vec<u8>>, case: String) {
    match raw::stream(&channel, method, messages).await {
        Ok(answers) if method.ends_with("/Submit") => {
            for answer in answers {
                let answer = pb::SubmitResponse::decode(answer).expect("a response");
                let said = format!("{answer:?}");
                assert!(!said.contains("reason: Internal"), "{case}: {said}");
            }
        }
        Ok(_) => {}
        Err(status) => assert_ne!(fault(&status).reason, "INTERNAL", "{case}: {status}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_number_of_every_request_may_be_extreme() {
    let mut client = Clumsy::new().await;
    let start =
        client.ws.apply(client.ada.op(vec![card("c1").edit("notes", &[(0, 0, "hello world")])])).await;
    let mut bob = client.ws.replica(2, "bob");
    bob.saw(start);
    // Concurrent edits: texts have a window, and a field has a conflict.
    client.ws.write(vec![card("c1").edit("notes", &[(0, 0, "A")]), card("c1").set("title", "one")]).await;
    client.ws.submit(bob.op(vec![card("c1").edit("notes", &[(5, 0, "B")])])).await;
    client.ws.submit(bob.op(vec![card("c1").set("title", "two")])).await;
    let conflict_id = client.ws.inbox().await.first().expect("a conflict").conflict_id.clone();

    let mut maker = Maker::new(client.ws.epoch, start, conflict_id);
    let methods = std::mem::take(&mut maker.methods);
    let mut calls = JoinSet::new();
    let mut count = 0;
    for Method { path, request, takes_a_stream } in methods {
        for way in maker.ways(&request, &mut Vec::new()) {
            for (number, with_dot) in EXTREMES.iter().flat_map(|number| [(*number, false), (*number, true)]) {
                let case = format!("{path} {way:?} = {number}");
                let message = maker.make(&request, &way, number, with_dot);
                let mut messages = vec![message];
                if takes_a_stream {
                    // `start` has another number on each stream, and is the first choice of its message on both.
                    messages.insert(0, maker.make(&request, &[], 0, with_dot));
                }
                if calls.len() >= CALLS_AT_ONCE {
                    calls.join_next().await.expect("a call").expect("a typed answer");
                }
                calls.spawn(call(client.ws.clients.channel.clone(), path, messages, case));
                count += 1;
            }
        }
    }
    while let Some(called) = calls.join_next().await {
        called.expect("a typed answer");
    }
    assert!(count > 1_500, "only {count} requests were made");
    // The requests came in any order, and one of them may have left the counter at the end of its range.
    client.ws.write(vec![card("c1").assign("votes", 0)]).await;
    client.head = client.ws.head_seq().await;
    client.ada.saw(client.head);
    client.goes_on().await;
}
