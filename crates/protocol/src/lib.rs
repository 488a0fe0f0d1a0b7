//! Syncline's protocol in Rust: what server, clients and tools share of it.
//!
//! [`pb`] holds the messages and the stubs of clients, [`convert`] the only conversions between messages and the core,
//! [`status`] every reason why a call fails and the only maker of [`tonic::Status`], [`codec`] the decoder that
//! refuses what is too large, malformed, or from a newer client ([`unknown_field`]).

pub mod codec;
pub mod convert;
pub mod pb;
pub mod status;
pub mod unknown_field;
