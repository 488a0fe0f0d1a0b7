//! `syncline migrate`.

use std::process::ExitCode;

use crate::config::{DatabaseUrl, Flags};
use crate::server::postgres_options;
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::{SqliteOptions, SqliteStore};

use super::serve::configured;
use super::{CliError, say};

/// Brings the database to this version's schema.
pub(super) async fn run(flags: Flags) -> Result<ExitCode, CliError> {
    let Some(config) = configured(&flags)? else { return Ok(ExitCode::SUCCESS) };
    match &config.database.url {
        DatabaseUrl::Memory => println!("a database in memory needs no migration"),
        DatabaseUrl::Sqlite(path) => {
            SqliteStore::migrate_only(SqliteOptions::new(path)).await?;
            say(&format!("{} has this version's schema", path.display()));
        }
        DatabaseUrl::Postgres(url) => {
            PostgresStore::migrate_only(postgres_options(&config, url)?).await?;
            say(&format!("{url} has this version's schema"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
