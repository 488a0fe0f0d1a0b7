//! The core of a Syncline client: what every client has to get right, without connections, disks and clocks.
//!
//! | who | what |
//! |---|---|
//! | [`Replica`] | numbers its operations without gaps, and says with each what it knew |
//! | [`FeedReader`] | stands at a position, asks for what follows it, and checks every frame that comes |
//! | [`Fold`] | adds up what the feed brings to the state of all records |
//!
//! All work on the messages of [`syncline_protocol::pb`]; whoever uses them makes the calls.

mod feed;
mod fold;
mod replica;

pub use feed::{FeedError, FeedReader, Heard, Loading, check_tiling};
pub use fold::{Fold, FoldError, FoldedField, FoldedRecord};
pub use replica::Replica;
