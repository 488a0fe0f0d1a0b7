//! Syncline: a self-hosted sync service. See ARCHITECTURE.md for the map.

pub mod cli;
pub mod config;
pub mod engine;
pub mod grpc;
pub mod server;
pub mod store;
pub mod telemetry;
mod web;
