//! Generates the services that the server implements; their messages are those of `syncline-protocol`.

use std::path::PathBuf;

use prost_types::field_descriptor_proto::Type;

/// The file whose service the server serves with frames that are bytes already.
const FRAMED_FILE: &str = "syncline/v1/change_service.proto";
/// Its messages that hold nothing but a frame.
const FRAMED_MESSAGES: [&str; 2] = ["SubscribeResponse", "WatchResponse"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=migrations");
    // Embedded by src/web.rs; the macro alone would not notice new files.
    println!("cargo:rerun-if-changed=console/dist");
    let mut files: Vec<PathBuf> = std::fs::read_dir("proto/syncline/v1")?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
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
        let messages = file.message_type.iter().map(|message| message.name());
        for name in messages.chain(file.enum_type.iter().map(|e| e.name())) {
            if !FRAMED_MESSAGES.contains(&name) {
                let path = format!(".{}.{name}", file.package());
                generator = generator.extern_path(path, format!("::syncline_protocol::pb::{name}"));
            }
        }
    }
    frame_as_bytes(&mut descriptors)?;
    generator.compile_fds(descriptors)?;
    Ok(())
}

/// Puts `bytes frame` in the place of `Frame frame`. On the wire both are the same; in the server it lets a change be
/// encoded once and sent to thousands of feeds.
fn frame_as_bytes(
    descriptors: &mut prost_types::FileDescriptorSet,
) -> Result<(), Box<dyn std::error::Error>> {
    let file =
        descriptors.file.iter_mut().find(|file| file.name() == FRAMED_FILE).ok_or("no change service")?;
    for message in file.message_type.iter_mut().filter(|m| FRAMED_MESSAGES.contains(&m.name())) {
        for field in &mut message.field {
            field.set_type(Type::Bytes);
            field.type_name = None;
        }
    }
    Ok(())
}
