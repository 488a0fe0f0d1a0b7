//! Everything that tests the server from outside of its modules, in one binary.

mod store_contract;
mod crash;
mod layering;
mod newcomer;
mod process;
mod replay;
