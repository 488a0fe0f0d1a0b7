//! The contract of [`Store`]: one law per test, the same for every store.
//!
//! A law is a function of the modules below; `stamp!` makes a test of it for each store. What only one store
//! has (files, locks, simulated faults) is tested in modules of its own.

mod fixtures;
mod log;
mod memory_faults;
mod postgres_open;
mod postgres_server;
mod rows;
mod schema_parity;
mod shared;
mod sqlite_files;
mod transactions;
mod workspaces;

use std::sync::Arc;

use syncline::store::Store;
use syncline::store::memory::MemoryStore;
use syncline::store::sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

use super::harness::postgres::Database;

use log::*;
use rows::*;
use shared::*;
use transactions::*;
use workspaces::*;

/// A store to try the laws on, with what has to outlive it.
struct Backend {
    store: Arc<dyn Store>,
    _directory: Option<TempDir>,
    _database: Option<Database>,
}

async fn memory() -> Backend {
    Backend { store: Arc::new(MemoryStore::new()), _directory: None, _database: None }
}

async fn sqlite() -> Backend {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(fast(&directory)).await.unwrap();
    Backend { store: Arc::new(store), _directory: Some(directory), _database: None }
}

async fn postgres() -> Backend {
    let database = Database::create().await;
    let store = database.store().await;
    Backend { store: Arc::new(store), _directory: None, _database: Some(database) }
}

/// Laws about order and isolation do not need the disk to keep up.
fn fast(directory: &TempDir) -> SqliteOptions {
    SqliteOptions { synchronous_full: false, ..SqliteOptions::new(directory.path().join("syncline.db")) }
}

macro_rules! stamp {
    ($backend:ident: $($law:ident),* $(,)?) => {
        mod $backend {
            $(
                #[tokio::test]
                async fn $law() {
                    let backend = super::$backend().await;
                    super::$law(&*backend.store).await;
                    backend.store.close().await;
                }
            )*
        }
    };
}

macro_rules! every_law {
    ($($backend:ident),*) => {
        $(stamp!($backend:
            a_reader_shows_the_state_it_began_with,
            nothing_shows_before_the_commit,
            a_writer_reads_what_it_wrote,
            a_dropped_writer_undoes_everything,
            one_writer_at_a_time,
            a_failed_transaction_keeps_nothing,
            a_writer_goes_on_after_one_that_failed,
            a_workspace_is_found_by_its_id,
            workspaces_are_listed_by_id_in_pages,
            a_workspace_id_is_given_once,
            writing_to_an_absent_workspace_fails,
            a_head_comes_back_with_all_its_bits,
            rows_come_back_in_the_order_of_the_keys,
            any_number_of_keys_can_be_read,
            a_row_is_replaced_and_deleted,
            the_last_write_of_a_transaction_counts,
            a_range_is_in_order_from_either_end,
            a_range_is_read_in_pages,
            a_page_begins_after_any_key,
            neighbours_are_read_together,
            a_range_shows_only_its_own_keys,
            every_kind_of_key_can_be_stored,
            workspaces_never_mix,
            a_range_is_counted,
            the_log_is_in_order,
            the_log_is_read_in_pages,
            a_change_is_found_by_its_operation,
            a_position_is_taken_once,
            an_operation_is_in_the_log_once,
            one_transaction_writes_several_workspaces,
            a_megabyte_comes_back_whole,
            flushes_of_all_sizes_are_stored,
            a_cancelled_reader_leaves_nothing_open,
            a_cancelled_commit_is_whole_or_nothing,
        );)*
    };
}

every_law!(memory, sqlite, postgres);

/// Two servers on one store.
struct Servers {
    first: Arc<dyn Store>,
    second: Arc<dyn Store>,
    _database: Option<Database>,
}

async fn memory_shared() -> Servers {
    let store = MemoryStore::new();
    Servers { first: Arc::new(store.join()), second: Arc::new(store.join()), _database: None }
}

async fn postgres_shared() -> Servers {
    let database = Database::create().await;
    let (first, second) = (database.store().await, database.store().await);
    Servers { first: Arc::new(first), second: Arc::new(second), _database: Some(database) }
}

macro_rules! every_shared_law {
    ($($backend:ident),*) => {
        $(stamp_shared!($backend:
            announcements_reach_every_server,
            heads_of_many_are_the_committed_ones,
            first_keys_are_listed_by_workspace,
            a_connection_is_seen_by_every_server,
            connections_are_listed_in_pages,
            a_connection_ends_with_its_lease,
            a_head_waits_for_the_other_server,
            servers_that_write_at_once_leave_one_log,
        );)*
    };
}

macro_rules! stamp_shared {
    ($backend:ident: $($law:ident),* $(,)?) => {
        mod $backend {
            $(
                #[tokio::test]
                async fn $law() {
                    let servers = super::$backend().await;
                    super::$law(&*servers.first, &*servers.second).await;
                    servers.first.close().await;
                    servers.second.close().await;
                }
            )*
        }
    };
}

every_shared_law!(memory_shared, postgres_shared);
