//! `syncline doctor`: says what would keep a server from starting, before it is tried.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use crate::config::{Config, DatabaseUrl, Flags, PostgresUrl};
use crate::engine::{Clock, SystemClock};
use crate::server::{open_store, postgres_options};
use crate::store::postgres::{PostgresStore, Severity};

use super::{CliError, say};

/// Checks everything and prints a line for each; fails if anything needs fixing.
pub(super) async fn run(flags: Flags) -> Result<ExitCode, CliError> {
    let mut report = Report::default();
    let config = match Config::from_process(&flags) {
        Ok(config) => config,
        Err(errors) => {
            errors.iter().for_each(|error| report.bad("configuration", &error.to_string()));
            return Ok(report.finish());
        }
    };
    report.good("configuration", "complete and valid");
    config.warnings().iter().for_each(|warning| report.warn("configuration", warning));
    check_address(&mut report, "server.listen", config.server.listen);
    if let Some(address) = config.metrics.listen {
        check_address(&mut report, "metrics.listen", address);
    }
    check_files(&mut report, &config);
    check_database(&mut report, &config).await;
    Ok(report.finish())
}

fn check_address(report: &mut Report, name: &str, address: SocketAddr) {
    match TcpListener::bind(address) {
        Ok(_) => report.good(name, &format!("{address} is free")),
        Err(error) => {
            report.bad(name, &format!("{address} cannot be listened on: {error}; is a server running?"))
        }
    }
}

fn check_files(report: &mut Report, config: &Config) {
    let needed = config.files_needed();
    match rlimit::Resource::NOFILE.get() {
        Ok((_, hard)) if hard >= needed => {
            report.good("open files", &format!("{needed} needed, {hard} allowed"))
        }
        Ok((_, hard)) => report.bad(
            "open files",
            &format!("{needed} needed, {hard} allowed; raise the limit or lower server.max_connections"),
        ),
        Err(error) => report.warn("open files", &format!("the limit cannot be read: {error}")),
    }
}

async fn check_database(report: &mut Report, config: &Config) {
    if let DatabaseUrl::Sqlite(path) = &config.database.url
        && !path.exists()
    {
        report.good("database", &format!("{} does not exist yet; it will be created", path.display()));
        return;
    }
    if let DatabaseUrl::Postgres(url) = &config.database.url
        && !inspect_postgres(report, config, url).await
    {
        return;
    }
    let store = match open_store(config).await {
        Ok(store) => store,
        Err(error) => return report.bad("database", &error.to_string()),
    };
    report.good("database", &format!("{} opens, settings and schema are right", store.name()));
    let counted = async {
        let mut reader = store.reader().await?;
        let mut workspaces = 0;
        let mut changes = 0;
        let mut after: Option<std::sync::Arc<str>> = None;
        loop {
            let page = reader.workspaces(after.as_deref(), 500).await?;
            for info in &page {
                workspaces += 1;
                changes += reader.head(info.no).await?.map_or(0, |head| head.head_seq.0);
            }
            match page.last() {
                Some(last) => after = Some(last.id.clone()),
                None => return Ok::<_, crate::store::StoreError>((workspaces, changes)),
            }
        }
    };
    match counted.await {
        Ok((workspaces, changes)) => {
            report.good("content", &format!("{workspaces} workspaces with {changes} changes"));
        }
        Err(error) => report.bad("content", &error.to_string()),
    }
    store.close().await;
}

/// Reports everything about the database's server without changing anything. Returns whether the database can be opened
/// and is not new.
async fn inspect_postgres(report: &mut Report, config: &Config, url: &PostgresUrl) -> bool {
    let options = match postgres_options(config, url) {
        Ok(options) => options,
        Err(error) => {
            report.bad("database", &error.to_string());
            return false;
        }
    };
    let findings = PostgresStore::inspect(&options, &|| SystemClock.now_ms()).await;
    for finding in &findings {
        let what = format!("database, {}", finding.what);
        match finding.severity {
            Severity::Good => report.good(&what, &finding.detail),
            Severity::Note => report.warn(&what, &finding.detail),
            Severity::Bad => report.bad(&what, &finding.detail),
        }
    }
    // A database that is not migrated has no content, and a check must not migrate it.
    findings.iter().all(|finding| finding.severity != Severity::Bad && finding.what != "migrations")
}

#[derive(Default)]
struct Report {
    bad: usize,
}

impl Report {
    fn good(&mut self, what: &str, detail: &str) {
        say(&format!("ok    {what}: {detail}"));
    }

    fn warn(&mut self, what: &str, detail: &str) {
        say(&format!("note  {what}: {detail}"));
    }

    fn bad(&mut self, what: &str, detail: &str) {
        self.bad += 1;
        say(&format!("BAD   {what}: {detail}"));
    }

    fn finish(self) -> ExitCode {
        match self.bad {
            0 => {
                say("a server with this configuration will start");
                ExitCode::SUCCESS
            }
            count => {
                say(&format!("{count} to fix"));
                ExitCode::FAILURE
            }
        }
    }
}
