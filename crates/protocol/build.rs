//! Compiles `proto/` without a system protoc: protox resolves the files, tonic-prost generates messages and clients.

use std::path::PathBuf;

/// The protocol, as seen from this package.
const PROTO: &str = "../../proto";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed={PROTO}");
    let mut files: Vec<PathBuf> = std::fs::read_dir(format!("{PROTO}/syncline/v1"))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|e| e == "proto"));
    files.sort();
    let descriptors = protox::compile(&files, [PROTO])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("syncline.bin"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(false)
        // One codec for all methods: it refuses what is too large or malformed with a typed error.
        .codec_path("crate::codec::Codec")
        .btree_map(".")
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
