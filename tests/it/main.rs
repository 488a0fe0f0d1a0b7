//! Everything that tests the server from outside of its modules, in one binary.

mod store_contract;
mod crash;
mod layering;
mod newcomer;
mod process;
mod replay;
mod bad_input;
mod changes;
mod conflicts;
mod connections;
mod feeds;
mod grpc_web;
mod harness;
mod invariants;
mod operations;
mod reasons;
mod records;
mod stock_services;
mod workspaces;
