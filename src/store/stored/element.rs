//! An element of a set or a to-many link: rewritten by concurrent additions and removals.

use super::message::{Fault, Kind, Message, Nested, Reader, message};
use syncline_core::state::{Addition, ElementRow};

message! { ElementRow, keeps unknown {
    1 value: need Nested,
    2 additions: rep Nested,
} }

message! { Addition, keeps unknown {
    1 stamp: need Nested,
} }
