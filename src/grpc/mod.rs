//! The edge of the server: gRPC on the outside, the domain on the inside.
//!
//! [`convert`] holds the only conversions between protocol and domain, [`status`] is the only maker of
//! [`tonic::Status`], [`codec`] and [`layer`] see to it that even errors no handler ever saw carry a reason.
//! [`frame`] encodes what feeds send, each change once. [`listener`] accepts connections, [`trace`] opens a span per call, [`services`] convert, call and convert.

pub mod codec;
pub mod convert;
pub mod frame;
pub mod layer;
pub mod listener;
pub mod pb;
pub mod services;
pub mod status;
pub mod trace;
