//! The edge of the server: gRPC on the outside, the domain on the inside.
//!
//! Messages, conversions and the reasons of errors are in `syncline-protocol`. [`layer`] sees to it that even errors no
//! handler ever saw carry a reason. [`frame`] encodes what feeds send, each change once. [`listener`] accepts
//! connections, [`trace`] opens a span per call, [`services`] convert, call and convert; [`served`] is what they
//! implement.

pub mod frame;
pub mod layer;
pub mod listener;
pub mod served;
pub mod services;
pub mod trace;
