//! Syncline and its peers, side by side on one machine.

fn main() {}
