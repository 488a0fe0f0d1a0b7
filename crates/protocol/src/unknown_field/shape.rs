//! What the messages of the protocol look like: as much of the descriptors as a walk through bytes needs.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet};

use crate::pb::FILE_DESCRIPTOR_SET;

/// The messages of the protocol, with those of other packages that they use.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    by_name: HashMap<String, usize>,
    shapes: Vec<Shape>,
}

/// A message.
#[derive(Debug, Default)]
pub(super) struct Shape {
    fields: BTreeMap<u32, FieldShape>,
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct FieldShape {
    pub name: String,
    pub repeated: bool,
    pub content: Content,
}

/// What is in a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    /// Not a message.
    Plain,
    /// The message of this index.
    Message(usize),
    /// Entries of a map; each is the message of this index.
    Map(usize),
}

impl Shapes {
    /// The messages of this version of the protocol.
    pub(super) fn of_protocol() -> &'static Shapes {
        static SHAPES: LazyLock<Shapes> = LazyLock::new(|| {
            // The set is compiled into the program; a test reads it.
            let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap_or_default();
            Shapes::of(&files)
        });
        &SHAPES
    }

    fn of(files: &FileDescriptorSet) -> Shapes {
        let mut found = Vec::new();
        for file in &files.file {
            collect(file.package(), &file.message_type, &mut found);
        }
        let by_name = found.iter().enumerate().map(|(index, (name, _))| (name.clone(), index)).collect();
        let maps: Vec<bool> = found.iter().map(|(_, message)| is_map_entry(message)).collect();
        let mut shapes = Shapes { by_name, shapes: Vec::with_capacity(found.len()) };
        for (_, message) in &found {
            let shape = shapes.shape_of(message, &maps);
            shapes.shapes.push(shape);
        }
        shapes
    }

    fn shape_of(&self, message: &DescriptorProto, maps: &[bool]) -> Shape {
        let mut shape = Shape::default();
        for field in &message.field {
            let Ok(number) = u32::try_from(field.number()) else { continue };
            let message = self.by_name.get(field.type_name().trim_start_matches('.'));
            let content = match (field.r#type(), message) {
                (Type::Message, Some(index)) if maps.get(*index).is_some_and(|map| *map) => {
                    Content::Map(*index)
                }
                (Type::Message, Some(index)) => Content::Message(*index),
                _ => Content::Plain,
            };
            let repeated = field.label() == Label::Repeated;
            let name = field.name().to_owned();
            shape.fields.insert(number, FieldShape { name, repeated, content });
        }
        shape
    }

    /// A message by its full name.
    pub(super) fn named(&self, name: &str) -> Option<&Shape> {
        self.at(*self.by_name.get(name)?)
    }

    /// A message by its index.
    pub(super) fn at(&self, index: usize) -> Option<&Shape> {
        self.shapes.get(index)
    }
}

impl Shape {
    /// The field of this number.
    pub(super) fn field(&self, number: u32) -> Option<&FieldShape> {
        self.fields.get(&number)
    }
}

fn collect<'d>(scope: &str, messages: &'d [DescriptorProto], found: &mut Vec<(String, &'d DescriptorProto)>) {
    for message in messages {
        let name =
            if scope.is_empty() { message.name().to_owned() } else { format!("{scope}.{}", message.name()) };
        collect(&name, &message.nested_type, found);
        found.push((name, message));
    }
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}
