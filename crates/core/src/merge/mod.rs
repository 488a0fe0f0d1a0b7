//! Merge rules that stand by themselves, apart from where state is kept.

pub mod text;
