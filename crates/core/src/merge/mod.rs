//! Merge rules that do not depend on how state is kept.

pub mod text;
