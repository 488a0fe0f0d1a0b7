//! Generates the services that the server implements; their messages are those of `syncline-protocol`.

use std::path::PathBuf;

use prost_types::field_descriptor_proto::Type;

/// Messages that the server generates a second time with one field as bytes; both forms are the same on the wire.
///
/// A change is encoded once as a frame and sent to thousands of feeds; an operation is decoded alone, so that what is
/// wrong with it concerns no other.
const SERVED_AS_BYTES: [(&str, &str); 3] =
    [("SubscribeResponse", "frame"), ("WatchResponse", "frame"), ("SubmitRequest", "operations")];
/// Packages of the protocol: directory, name, and the module that has their messages.
const PACKAGES: [(&str, &str, &str); 2] = [
    ("syncline/v1", "syncline.v1", "syncline_protocol::pb"),
    ("syncline/diagnostics/v1alpha1", "syncline.diagnostics.v1alpha1", "syncline_protocol::pb::diagnostics"),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=migrations");
    // Embedded by src/web.rs; the macro alone would not notice new files.
    println!("cargo:rerun-if-changed=console/dist");
    let mut files: Vec<PathBuf> = Vec::new();
    for (directory, _, _) in PACKAGES {
        for entry in std::fs::read_dir(format!("proto/{directory}"))? {
            files.push(entry?.path());
        }
    }
    files.retain(|path| path.extension().is_some_and(|e| e == "proto"));
    files.sort();
    let mut descriptors = protox::compile(&files, ["proto"])?;
    let mut generator = tonic_prost_build::configure()
        .build_client(false)
        .build_server(true)
        .codec_path("syncline_protocol::codec::Codec")
        .btree_map(".")
        .bytes(".");
    for file in &descriptors.file {
        // Messages of other packages, as timestamps, are known to the generator.
        let Some((_, _, module)) = PACKAGES.iter().find(|(_, package, _)| *package == file.package()) else {
            continue;
        };
        let messages = file.message_type.iter().map(|message| message.name());
        for name in messages.chain(file.enum_type.iter().map(|e| e.name())) {
            if SERVED_AS_BYTES.iter().all(|(message, _)| *message != name) {
                let path = format!(".{}.{name}", file.package());
                generator = generator.extern_path(path, format!("::{module}::{name}"));
            }
        }
    }
    serve_as_bytes(&mut descriptors)?;
    generator.compile_fds(descriptors)?;
    Ok(())
}

/// Gives the fields of [`SERVED_AS_BYTES`] the type `bytes`.
fn serve_as_bytes(
    descriptors: &mut prost_types::FileDescriptorSet,
) -> Result<(), Box<dyn std::error::Error>> {
    for (message, field) in SERVED_AS_BYTES {
        let mut messages = descriptors.file.iter_mut().flat_map(|file| &mut file.message_type);
        let message = messages.find(|m| m.name() == message).ok_or("no such message")?;
        let field = message.field.iter_mut().find(|f| f.name() == field).ok_or("no such field")?;
        field.set_type(Type::Bytes);
        field.type_name = None;
    }
    Ok(())
}
