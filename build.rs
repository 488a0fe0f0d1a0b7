//! Compiles `proto/` without a system protoc: protox resolves the files, tonic-prost generates the code.

use std::path::PathBuf;

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
    let descriptors = protox::compile(&files, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("syncline.bin"), prost::Message::encode_to_vec(&descriptors))?;
    served_frames(&descriptors, &out.join("served"))?;
    generator().build_client(true).build_server(true).compile_fds(descriptors)?;
    Ok(())
}

fn generator() -> tonic_prost_build::Builder {
    tonic_prost_build::configure()
        // One codec for all methods: it refuses what is too large or malformed with a typed error.
        .codec_path("crate::grpc::codec::Codec")
        .btree_map(".")
        .bytes(".")
}

/// The file whose service the server serves with frames that are bytes already.
const SERVED_FILE: &str = "syncline/v1/change_service.proto";
/// Its messages that hold nothing but a frame.
const SERVED_MESSAGES: [&str; 2] = ["SubscribeResponse", "WatchResponse"];

/// Generates the server's side of ChangeService once more, with `bytes frame` in the place of `Frame frame`. On the wire
/// both are the same; in the server it lets a change be encoded once and sent to thousands of feeds.
fn served_frames(
    descriptors: &prost_types::FileDescriptorSet,
    out: &std::path::Path,
) -> Result<(), Box<dyn std::error::Error>> {
    use prost_types::field_descriptor_proto::Type;
    std::fs::create_dir_all(out)?;
    let mut generator = generator().build_client(false).out_dir(out);
    for file in &descriptors.file {
        let messages = file.message_type.iter().map(|m| m.name());
        for name in messages.chain(file.enum_type.iter().map(|e| e.name())) {
            if !SERVED_MESSAGES.contains(&name) {
                let path = format!(".{}.{name}", file.package());
                generator = generator.extern_path(path, format!("crate::grpc::pb::{name}"));
            }
        }
    }
    let mut served =
        descriptors.file.iter().find(|file| file.name() == SERVED_FILE).ok_or("no change service")?.clone();
    for message in served.message_type.iter_mut().filter(|m| SERVED_MESSAGES.contains(&m.name())) {
        for field in &mut message.field {
            field.set_type(Type::Bytes);
            field.type_name = None;
        }
    }
    generator.compile_fds(prost_types::FileDescriptorSet { file: vec![served] })?;
    Ok(())
}
