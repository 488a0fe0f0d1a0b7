//! Code generated from `proto/syncline/v1`.

// Generated: its style is not ours to judge.
#![allow(missing_docs, clippy::all, clippy::pedantic)]

tonic::include_proto!("syncline.v1");

/// ChangeService as the server serves it: its frames are encoded already (see `build.rs` and [`super::frame`]).
pub mod served {
    include!(concat!(env!("OUT_DIR"), "/served/syncline.v1.rs"));
}

/// All files of the protocol as a serialized `FileDescriptorSet`, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/syncline.bin"));
