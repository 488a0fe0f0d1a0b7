//! The edge of the server: gRPC on the outside, the domain on the inside.
//!
//! Messages, conversions and the reasons of errors are in `syncline-protocol`. [`layer`] makes sure that even errors
//! that no handler ever saw carry a reason. [`frame`] encodes what feeds send, each change once. [`listener`] accepts
//! connections, [`trace`] opens a span per call, [`services`] convert requests, call the engine and convert its
//! answers; [`served`] is what they implement.

pub mod frame;
pub mod health;
pub mod layer;
pub mod listener;
pub mod outflow;
pub mod outflow_layer;
pub mod served;
pub mod services;
pub mod trace;
pub mod unbuffered;
