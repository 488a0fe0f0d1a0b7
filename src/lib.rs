//! Syncline: a self-hosted sync service. See ARCHITECTURE.md for the map.

pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod grpc;
pub mod history;
pub mod server;
#[cfg(all(test, target_os = "linux"))]
mod simulation;
pub mod store;
pub mod telemetry;
mod web;
