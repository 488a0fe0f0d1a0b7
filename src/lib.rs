//! Syncline: a self-hosted sync service. See ARCHITECTURE.md for the map.

pub mod domain;
//pub mod store;
