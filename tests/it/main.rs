//! Everything that tests the server from outside of its modules, in one binary.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    unsafe_code,
    reason = "all of this is a test; power loss is an ioctl that only the C library has"
)]

mod at_least;
mod bad_input;
mod changes;
mod conflicts;
mod connections;
mod contained;
mod crash;
mod doctor;
mod feeds;
mod grpc_web;
mod harness;
mod invariants;
mod jobs;
mod layering;
mod loading;
mod newcomer;
mod operations;
mod peers;
mod power_loss;
mod process;
mod proxies;
mod reasons;
mod records;
mod replay;
mod scaling;
mod server_info;
mod servers;
mod snapshots;
mod stock_services;
mod store_contract;
mod subscriptions;
mod web_console;
mod workspace_commands;
mod workspaces;
