//! Code generated from `proto/syncline/v1`: messages, and stubs for clients.

// Generated code does not follow our lints.
#![allow(missing_docs, clippy::all, clippy::pedantic)]

tonic::include_proto!("syncline.v1");

/// What operators measure a server with; it may change with every version.
pub mod diagnostics {
    include!(concat!(env!("OUT_DIR"), "/unstable/syncline.diagnostics.v1alpha1.rs"));
}

/// All files of the protocol as a serialized `FileDescriptorSet`, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/syncline.bin"));
