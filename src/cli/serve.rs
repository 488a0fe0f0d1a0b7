//! `syncline serve`.

use std::process::ExitCode;

use crate::config::{Config, Flags};
use crate::server::Server;
use crate::telemetry;

use super::{CliError, say, signal};

/// Starts a server and waits for a signal.
pub(super) async fn run(flags: Flags) -> Result<ExitCode, CliError> {
    let Some(config) = configured(&flags)? else { return Ok(ExitCode::SUCCESS) };
    let running = start(config).await?;
    say(&format!("syncline listens on http://{}", running.server.address()));
    running.wait().await
}

/// The configuration; `None` when it was only to be printed.
pub(super) fn configured(flags: &Flags) -> Result<Option<Config>, CliError> {
    let config = Config::from_process(flags)?;
    if flags.print_effective_config {
        print!("{}", config.effective());
        return Ok(None);
    }
    Ok(Some(config))
}

/// A server with its log and metrics.
pub(super) struct Running {
    pub server: Server,
    _metrics: Option<telemetry::MetricsServer>,
}

/// Starts the log, the metrics and the server.
pub(super) async fn start(config: Config) -> Result<Running, CliError> {
    telemetry::init_log(&config.log)?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    raise_file_limit(&config)?;
    let metrics = config.metrics.listen.map(telemetry::serve_metrics).transpose()?;
    if let Some(metrics) = &metrics {
        tracing::info!(address = %metrics.address(), "metrics");
    }
    let server = Server::build(config).await?;
    tracing::info!(address = %server.address(), store = server.engine().store_name(), "serving");
    Ok(Running { server, _metrics: metrics })
}

impl Running {
    /// Serves until a signal.
    pub(super) async fn wait(self) -> Result<ExitCode, CliError> {
        let drain = self.server.drain();
        self.server.run(signal::shutdown(drain)).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Every connection is an open file: if the limit is lower than the configuration needs, the server refuses to start
/// instead of failing later.
fn raise_file_limit(config: &Config) -> Result<(), CliError> {
    let needed = config.files_needed();
    match rlimit::increase_nofile_limit(needed) {
        Ok(limit) if limit >= needed => Ok(()),
        Ok(limit) => Err(CliError::Other(format!(
            "this process may open {limit} files, but server.max_connections needs {needed}; \
             raise the limit (ulimit -n) or lower server.max_connections"
        ))),
        Err(error) => Err(CliError::Other(format!("the limit of open files cannot be read: {error}"))),
    }
}
