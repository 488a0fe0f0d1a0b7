//! What a database holds can be read by every later version, and is not damaged by an earlier one.

mod bytes;
mod golden;
mod samples;
mod survival;
