//! Random messages in every legal encoding pass; one with an unknown field is refused, with the path to it. The
//! messages are made here from the descriptors, by other code than the code under test.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::codec::{Bounded, decode};
use crate::pb;

/// Messages within messages.
const DEPTH_MAX: usize = 9;
/// Random messages of each type.
const RUNS: u64 = 400;

/// Every message of the protocol by its full name.
fn messages() -> BTreeMap<String, DescriptorProto> {
    fn collect(scope: &str, messages: &[DescriptorProto], into: &mut BTreeMap<String, DescriptorProto>) {
        for message in messages {
            let name = format!("{scope}.{}", message.name());
            collect(&name, &message.nested_type, into);
            into.insert(name, message.clone());
        }
    }
    let files = FileDescriptorSet::decode(pb::FILE_DESCRIPTOR_SET).expect("the descriptors");
    let mut all = BTreeMap::new();
    for file in &files.file {
        collect(&format!(".{}", file.package()), &file.message_type, &mut all);
    }
    all
}

/// A message as it is about to be written.
#[derive(Debug, Clone, Default)]
struct Draft {
    fields: Vec<(u32, Content)>,
}

#[derive(Debug, Clone)]
enum Content {
    Varint(u64),
    Fixed64(u64),
    Bytes(Vec<u8>),
    /// Numbers in one field.
    Packed(Vec<u64>),
    Message(Draft),
}

struct Author<'m> {
    messages: &'m BTreeMap<String, DescriptorProto>,
    dice: StdRng,
}

impl Author<'_> {
    fn draft(&mut self, name: &str, depth: usize) -> Draft {
        let message = &self.messages[name];
        let mut draft = Draft::default();
        for field in &message.field {
            // Of several fields of a oneof the last one counts; all of them are legal.
            let wanted = if self.messages.contains_key(field.type_name()) { depth < DEPTH_MAX } else { true };
            let times = match field.label() {
                Label::Repeated => self.dice.random_range(0..4),
                _ => usize::from(self.dice.random_bool(0.6)),
            };
            for _ in 0..if wanted { times } else { 0 } {
                let content = self.content(field, depth);
                draft.fields.push((field.number().cast_unsigned(), content));
            }
        }
        // The fields of a message may come in any order.
        for at in (1..draft.fields.len()).rev() {
            draft.fields.swap(at, self.dice.random_range(0..=at));
        }
        draft
    }

    fn content(&mut self, field: &FieldDescriptorProto, depth: usize) -> Content {
        let repeated = field.label() == Label::Repeated;
        match field.r#type() {
            Type::Message => Content::Message(self.draft(field.type_name(), depth + 1)),
            Type::String => {
                let length = self.dice.random_range(0..5);
                Content::Bytes((0..length).map(|_| self.dice.random_range(b'a'..=b'z')).collect())
            }
            Type::Bytes => Content::Bytes(vec![0xff; self.dice.random_range(0..5)]),
            Type::Double | Type::Fixed64 | Type::Sfixed64 => Content::Fixed64(self.dice.random()),
            Type::Float | Type::Fixed32 | Type::Sfixed32 | Type::Group => panic!("not in this protocol"),
            _ if repeated && self.dice.random_bool(0.5) => {
                let numbers = self.dice.random_range(0..4);
                Content::Packed((0..numbers).map(|_| self.number()).collect())
            }
            _ => Content::Varint(self.number()),
        }
    }

    /// Mostly small; often the default.
    fn number(&mut self) -> u64 {
        match self.dice.random_range(0..4) {
            0 => 0,
            1 => 1,
            2 => self.dice.random_range(0..300),
            _ => self.dice.random(),
        }
    }

    /// As a sender may write it: numbers longer than necessary, messages in two parts.
    fn write(&mut self, draft: &Draft) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, content) in &draft.fields {
            match content {
                Content::Varint(value) => {
                    self.key(&mut bytes, *number, 0);
                    self.varint(&mut bytes, *value);
                }
                Content::Fixed64(value) => {
                    self.key(&mut bytes, *number, 1);
                    bytes.extend(value.to_le_bytes());
                }
                Content::Bytes(content) => self.delimited(&mut bytes, *number, content),
                Content::Packed(values) => {
                    let mut packed = Vec::new();
                    values.iter().for_each(|value| self.varint(&mut packed, *value));
                    self.delimited(&mut bytes, *number, &packed);
                }
                Content::Message(inner) => {
                    let written = self.write(inner);
                    self.delimited(&mut bytes, *number, &written);
                }
            }
        }
        bytes
    }

    fn key(&mut self, bytes: &mut Vec<u8>, number: u32, layout: u64) {
        self.varint(bytes, u64::from(number) << 3 | layout);
    }

    fn delimited(&mut self, bytes: &mut Vec<u8>, number: u32, content: &[u8]) {
        self.key(bytes, number, 2);
        self.varint(bytes, content.len() as u64);
        bytes.extend(content);
    }

    fn varint(&mut self, bytes: &mut Vec<u8>, mut value: u64) {
        let longer = if self.dice.random_bool(0.1) { self.dice.random_range(0..3) } else { 0 };
        let mut groups = vec![];
        loop {
            groups.push((value & 0x7f) as u8);
            value >>= 7;
            if value == 0 {
                break;
            }
        }
        // Ten groups are the longest that a number may have.
        groups.resize((groups.len() + longer).min(10.max(groups.len())), 0);
        let last = groups.len() - 1;
        bytes.extend(
            groups.iter().enumerate().map(|(at, group)| if at < last { group | 0x80 } else { *group }),
        );
    }

    /// Puts an unknown field somewhere, and says where.
    fn spoil(&mut self, draft: &mut Draft, name: &str) -> Vec<String> {
        let message = &self.messages[name];
        let inner: Vec<usize> = draft
            .fields
            .iter()
            .enumerate()
            .filter(|(_, (_, content))| matches!(content, Content::Message(_)))
            .map(|(at, _)| at)
            .collect();
        if inner.is_empty() || self.dice.random_bool(0.2) {
            let number = loop {
                let number = self.dice.random_range(1..200);
                if message.field.iter().all(|f| f.number() != number) {
                    break number.cast_unsigned();
                }
            };
            let content = match self.dice.random_range(0..3) {
                0 => Content::Varint(self.number()),
                1 => Content::Fixed64(7),
                _ => Content::Bytes(vec![0xff; self.dice.random_range(0..3)]),
            };
            let at = self.dice.random_range(0..=draft.fields.len());
            draft.fields.insert(at, (number, content));
            return vec![number.to_string()];
        }
        let at = inner[self.dice.random_range(0..inner.len())];
        let number = draft.fields[at].0;
        let index = draft.fields[..at].iter().filter(|(other, _)| *other == number).count();
        let field = message.field.iter().find(|f| f.number().cast_unsigned() == number).expect("a field");
        let (_, Content::Message(inner)) = &mut draft.fields[at] else { unreachable!("a message") };
        let mut path = self.spoil(inner, field.type_name());
        let entry = self.messages[field.type_name()].options.as_ref().is_some_and(|o| o.map_entry());
        if entry {
            if path.first().is_some_and(|part| part == "value") {
                path.remove(0);
            }
            let key = inner.fields.iter().rev().find_map(|(number, content)| match content {
                Content::Bytes(key) if *number == 1 => Some(String::from_utf8(key.clone()).expect("a key")),
                _ => None,
            });
            path.insert(0, format!("{}[{}]", field.name(), key.unwrap_or_default()));
        } else if field.label() == Label::Repeated {
            path.insert(0, format!("{}[{index}]", field.name()));
        } else {
            path.insert(0, field.name().to_owned());
        }
        path
    }
}

/// What is found in the bytes of a message of this type.
type Found = fn(&[u8]) -> Option<String>;

fn found<M: prost::Message + Default + Bounded>(bytes: &[u8]) -> Option<String> {
    let strict = M::STRICT.expect("a message of a client");
    let message: M = decode(bytes).expect("legal bytes");
    strict.unknown_field(&message, bytes).map(|path| path.to_string())
}

fn found_in_operation(bytes: &[u8]) -> Option<String> {
    let message: pb::Operation = decode(bytes).expect("legal bytes");
    let strict = Strict { message: "syncline.v1.Operation", apart: &[] };
    strict.unknown_field(&message, bytes).map(|path| path.to_string())
}

/// Messages with everything there is: oneofs, maps, lists, numbers that may be packed, messages within themselves.
const TYPES: [(&str, Found); 6] = [
    (".syncline.v1.Operation", found_in_operation),
    (".syncline.v1.SubmitRequest", found::<pb::SubmitRequest>),
    (".syncline.v1.SubscribeRequest", found::<pb::SubscribeRequest>),
    (".syncline.v1.ListConflictsRequest", found::<pb::ListConflictsRequest>),
    (".syncline.v1.CreateWorkspaceRequest", found::<pb::CreateWorkspaceRequest>),
    (".syncline.v1.ListRecordsRequest", found::<pb::ListRecordsRequest>),
];

#[test]
fn every_legal_encoding_of_what_is_known_passes() {
    let messages = messages();
    let mut unusual = 0;
    for (name, find) in TYPES {
        for seed in 0..RUNS {
            let mut author = Author { messages: &messages, dice: StdRng::seed_from_u64(seed) };
            let draft = author.draft(name, 0);
            let bytes = author.write(&draft);
            assert_eq!(find(&bytes), None, "{name}, seed {seed}: {draft:?}");
            if name == ".syncline.v1.SubmitRequest" {
                let request = pb::SubmitRequest::decode(&*bytes).expect("legal bytes");
                unusual += u64::from(request.encoded_len() != bytes.len());
            }
        }
    }
    assert!(unusual > RUNS / 2, "the walk was hardly ever needed: {unusual}");
}

#[test]
fn an_unknown_field_anywhere_is_found_with_the_way_to_it() {
    let messages = messages();
    let mut depths = BTreeMap::new();
    for (name, find) in TYPES {
        for seed in 0..RUNS {
            let mut author = Author { messages: &messages, dice: StdRng::seed_from_u64(seed) };
            let mut draft = author.draft(name, 0);
            let path = author.spoil(&mut draft, name);
            let bytes = author.write(&draft);
            assert_eq!(find(&bytes), Some(path.join(".")), "{name}, seed {seed}: {draft:?}");
            *depths.entry(path.len()).or_insert(0) += 1;
        }
    }
    assert!(depths.keys().any(|depth| *depth > 5), "nothing was deep: {depths:?}");
}

/// What the comparison of lengths rests on: at most one field that a legal sender writes in fewer bytes than we do.
#[test]
fn no_request_has_two_fields_that_could_hide_an_unknown_one() {
    fn savings(name: &str, messages: &BTreeMap<String, DescriptorProto>, within: &mut Vec<String>) -> usize {
        if within.iter().any(|outer| outer == name) {
            return 0;
        }
        within.push(name.to_owned());
        let mut sum = 0;
        for field in &messages[name].field {
            let repeated = field.label() == Label::Repeated;
            sum += match field.r#type() {
                // Two occurrences are as bad as many.
                Type::Message => savings(field.type_name(), messages, within) * if repeated { 2 } else { 1 },
                Type::String | Type::Bytes => 0,
                _ => usize::from(repeated),
            };
        }
        within.pop();
        sum
    }
    let messages = messages();
    let requests: Vec<&String> = messages.keys().filter(|name| name.ends_with("Request")).collect();
    assert!(requests.len() > 20, "{requests:?}");
    for name in requests {
        assert!(savings(name, &messages, &mut Vec::new()) <= 1, "{name}: walk it always, or pack less");
    }
}

#[test]
fn every_strict_message_is_in_the_descriptors() {
    let shapes = Shapes::of_protocol();
    for name in crate::codec::STRICT_MESSAGES {
        assert!(shapes.named(name).is_some(), "{name}");
    }
    assert!(shapes.named("syncline.v1.Operation").is_some());
    assert!(shapes.named("syncline.v1.Nothing").is_none());
}

#[test]
fn long_keys_are_cut() {
    let messages = messages();
    let mut author = Author { messages: &messages, dice: StdRng::seed_from_u64(0) };
    let value = Draft { fields: vec![(99, Content::Varint(1))] };
    let key = Content::Bytes("ß".repeat(100).into_bytes());
    let entry = Draft { fields: vec![(1, key), (2, Content::Message(value))] };
    let draft = Draft { fields: vec![(1, Content::Message(entry))] };
    let bytes = author.write(&draft);
    let decoded: pb::CreateRecord = decode(&*bytes).expect("legal bytes");
    let strict = Strict { message: "syncline.v1.CreateRecord", apart: &[] };
    let path = strict.unknown_field(&decoded, &bytes).expect("found").to_string();
    assert_eq!(path, format!("fields[{}].99", "ß".repeat(32)));
}
