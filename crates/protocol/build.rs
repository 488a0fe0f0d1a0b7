//! Compiles `proto/` without a system protoc: protox resolves the files, tonic-prost generates messages and clients.

use std::path::PathBuf;

use prost_types::FileDescriptorSet;

/// The protocol, as seen from this package.
const PROTO: &str = "../../proto";
/// The directories of its packages.
const PACKAGES: [&str; 2] = ["syncline/v1", "syncline/diagnostics/v1alpha1"];
/// The package that may change with every version.
const UNSTABLE_PACKAGE: &str = "syncline.diagnostics.v1alpha1";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed={PROTO}");
    let mut files: Vec<PathBuf> = Vec::new();
    for directory in PACKAGES {
        for entry in std::fs::read_dir(format!("{PROTO}/{directory}"))? {
            files.push(entry?.path());
        }
    }
    files.retain(|path| path.extension().is_some_and(|e| e == "proto"));
    files.sort();
    let descriptors = protox::compile(&files, [PROTO])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("syncline.bin"), prost::Message::encode_to_vec(&descriptors))?;
    // One package after the other: the second knows the messages of the first by their path.
    let (stable, _): (Vec<_>, Vec<_>) =
        descriptors.file.iter().cloned().partition(|file| file.package() != UNSTABLE_PACKAGE);
    generator().compile_fds(FileDescriptorSet { file: stable })?;
    let unstable = out.join("unstable");
    std::fs::create_dir_all(&unstable)?;
    generator().extern_path(".syncline.v1", "crate::pb").out_dir(unstable).compile_fds(descriptors)?;
    Ok(())
}

fn generator() -> tonic_prost_build::Builder {
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(false)
        // One codec for all methods: it refuses what is too large or malformed with a typed error.
        .codec_path("crate::codec::Codec")
        .btree_map(".")
        .bytes(".")
}
