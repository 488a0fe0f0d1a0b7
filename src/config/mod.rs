//! The configuration of the server: defaults, then the command's own, then a TOML file, then `SYNCLINE__SECTION__KEY`
//! variables, then flags. Every key is declared once, in `keys`. Reading the configuration opens nothing but the file
//! itself and binds nothing; all mistakes are reported at once, each with the place it was made.

mod error;
mod flags;
mod hint;
mod keys;
mod postgres_url;
mod sources;
mod values;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

pub use error::{ConfigError, ConfigErrors, Origin};
pub use flags::{Flags, Preset};
pub use postgres_url::PostgresUrl;
pub use sources::ConfigFile;
pub use values::{CorsOrigin, DatabaseUrl, LogFormat};

use keys::{KEYS, Key};
use sources::Given;

/// What every environment variable of Syncline starts with.
pub const ENV_PREFIX: &str = "SYNCLINE__";
/// Files a server needs in addition to one for each connection: database, logs, metrics, listeners.
pub const FILES_BESIDE_CONNECTIONS: u64 = 512;

/// The whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The listener for clients.
    pub server: ServerConfig,
    /// The listener for Prometheus.
    pub metrics: MetricsConfig,
    /// Where everything is kept.
    pub database: DatabaseConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Presence and liveness of clients.
    pub heartbeat: HeartbeatConfig,
    /// The change feed.
    pub feed: FeedConfig,
    /// Where each value came from, in the order of `KEYS`.
    origins: Vec<Origin>,
}

/// The listener for clients: section `server`.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Address of gRPC and gRPC-Web.
    pub listen: SocketAddr,
    /// The operator accepts that anyone who reaches the address can read and write everything.
    pub insecure_listen: bool,
    /// How long a stop waits for clients.
    pub drain: Duration,
    /// Connections at a time; more are refused.
    pub max_connections: usize,
    /// Calls in flight on one connection.
    pub max_streams_per_connection: u32,
    /// The time after which a unary call is given up.
    pub request_timeout: Duration,
    /// The time after which a feed is asked to reconnect, give or take 10 %.
    pub max_stream_age: Duration,
    /// Whether gRPC reflection is served.
    pub reflection: bool,
    /// Whether the web pages are served.
    pub console: bool,
    /// Web origins that may call from a browser.
    pub cors_origins: Vec<CorsOrigin>,
}

/// The listener for Prometheus: section `metrics`.
#[derive(Debug, Clone)]
pub struct MetricsConfig {
    /// Its address; none: metrics are off.
    pub listen: Option<SocketAddr>,
}

/// Where everything is kept: section `database`.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// The database.
    pub url: DatabaseUrl,
    /// Connections that only read.
    pub readers: u32,
}

/// What is logged: section `log`.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Level, or a list of `target=level`; it parses as a filter of tracing-subscriber.
    pub level: String,
    /// For people or for programs.
    pub format: LogFormat,
}

/// Presence: section `heartbeat`.
#[derive(Debug, Clone)]
pub struct HeartbeatConfig {
    /// Time between two heartbeats; a peer is gone after 2.5 of them.
    pub interval: Duration,
}

/// The change feed: section `feed`.
#[derive(Debug, Clone)]
pub struct FeedConfig {
    /// Newest changes of each workspace kept in memory; a feed further behind reads the database.
    pub recent_changes: usize,
    /// Records in a chunk of a snapshot, or of a feed that loads, at most.
    pub chunk_records: usize,
}

impl Config {
    /// Reads the file that `flags` name and the environment of the process. Everything wrong is reported
    /// together.
    pub fn from_process(flags: &Flags) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let file = flags.config_file.as_deref().and_then(|path| match ConfigFile::read(path) {
            Ok(file) => Some(file),
            Err(error) => {
                errors.push(error);
                None
            }
        });
        let env = sources::process_environment(&mut errors);
        Self::load_after(errors, flags, env.into_iter(), file.as_ref())
    }

    /// Combines the sources. Reads and opens nothing.
    pub fn load(
        flags: &Flags,
        env: impl Iterator<Item = (String, String)>,
        file: Option<&ConfigFile>,
    ) -> Result<Self, ConfigErrors> {
        Self::load_after(Vec::new(), flags, env, file)
    }

    fn load_after(
        errors: Vec<ConfigError>,
        flags: &Flags,
        env: impl Iterator<Item = (String, String)>,
        file: Option<&ConfigFile>,
    ) -> Result<Self, ConfigErrors> {
        let mut loader = Loader { config: Self::blank(), errors };
        for key in KEYS {
            loader.set(key, Given::Word(key.default.to_owned()), Origin::Default);
        }
        for (name, value) in flags.preset.values {
            loader.set_named(name, Given::Word((*value).to_owned()), Origin::Command(flags.preset.command));
        }
        if let Some(file) = file {
            sources::read_file(file, &mut loader);
        }
        sources::read_environment(env, &mut loader);
        for (name, value) in flags.values() {
            loader.set_named(name, Given::Word(value.to_owned()), Origin::Flag(flags::flag_of(name)));
        }
        loader.finish()
    }

    /// Where the value of the key with this dotted name came from.
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        KEYS.iter().position(|key| key.name == name).and_then(|index| self.origins.get(index))
    }

    /// Open files this configuration may need.
    pub fn files_needed(&self) -> u64 {
        u64::try_from(self.server.max_connections)
            .unwrap_or(u64::MAX)
            .saturating_add(FILES_BESIDE_CONNECTIONS)
    }

    /// What is allowed but worth a line in the log at every start.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.database.url == DatabaseUrl::Memory {
            warnings.push(
                "database.url is memory: nothing is kept, everything is gone when this process ends"
                    .to_owned(),
            );
        }
        for (name, address) in self.listeners() {
            if !is_loopback(address) {
                warnings.push(format!(
                    "{name} is {address} without TLS or authentication, as server.insecure_listen asks: \
                     anyone who reaches it can use it"
                ));
            }
        }
        warnings
    }

    /// The configuration as a TOML file that means the same, each value with where it came from. Secrets
    /// are not shown.
    pub fn effective(&self) -> String {
        let mut text = String::from(
            "# The effective configuration: defaults, file, SYNCLINE__SECTION__KEY variables, flags.\n",
        );
        let mut section = "";
        for (key, origin) in KEYS.iter().zip(&self.origins) {
            let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
            if of != section {
                section = of;
                text.push_str(&format!("\n[{section}]\n"));
            }
            let value = (key.show)(self);
            text.push_str(&format!("# {}\n{name} = {value}  # {origin}\n", key.doc));
        }
        text
    }

    /// Every key with placeholder values: `load` sets all of them from their defaults first.
    fn blank() -> Self {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            server: ServerConfig {
                listen: nowhere,
                insecure_listen: false,
                drain: Duration::ZERO,
                max_connections: 0,
                max_streams_per_connection: 0,
                request_timeout: Duration::ZERO,
                max_stream_age: Duration::ZERO,
                reflection: false,
                console: false,
                cors_origins: Vec::new(),
            },
            metrics: MetricsConfig { listen: None },
            database: DatabaseConfig { url: DatabaseUrl::Memory, readers: 0 },
            log: LogConfig { level: String::new(), format: LogFormat::Pretty },
            heartbeat: HeartbeatConfig { interval: Duration::ZERO },
            feed: FeedConfig { recent_changes: 0, chunk_records: 0 },
            origins: vec![Origin::Default; KEYS.len()],
        }
    }

    fn listeners(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let metrics = self.metrics.listen.map(|address| ("metrics.listen", address));
        std::iter::once(("server.listen", self.server.listen)).chain(metrics)
    }
}

/// Collects values and mistakes.
struct Loader {
    config: Config,
    errors: Vec<ConfigError>,
}

impl Loader {
    fn set_named(&mut self, name: &str, given: Given, origin: Origin) {
        match keys::find(name) {
            Some(key) => self.set(key, given, origin),
            None => self.unknown(name, origin),
        }
    }

    fn set(&mut self, key: &'static Key, given: Given, origin: Origin) {
        match key.apply(&mut self.config, &given) {
            Ok(()) => {
                let index = KEYS.iter().position(|other| other.name == key.name);
                if let Some(slot) = index.and_then(|index| self.config.origins.get_mut(index)) {
                    *slot = origin;
                }
            }
            Err(detail) => {
                let given = if key.secret { None } else { given.quoted() };
                self.errors.push(ConfigError::InvalidValue { origin, key: key.name, detail, given });
            }
        }
    }

    fn unknown(&mut self, name: &str, origin: Origin) {
        let hint = hint::hint(name);
        self.errors.push(ConfigError::UnknownKey { origin, name: error::printable(name), hint });
    }

    fn invalid(&mut self, key: &'static str, detail: String) {
        let origin = self.config.origin(key).cloned().unwrap_or(Origin::Default);
        self.errors.push(ConfigError::InvalidValue { origin, key, detail, given: None });
    }

    fn finish(mut self) -> Result<Config, ConfigErrors> {
        self.check_listeners();
        match ConfigErrors::new(self.errors) {
            None => Ok(self.config),
            Some(errors) => Err(errors),
        }
    }

    /// Checks what concerns several keys.
    fn check_listeners(&mut self) {
        let listeners: Vec<_> = self.config.listeners().collect();
        for (name, address) in listeners {
            if !is_loopback(address) && !self.config.server.insecure_listen {
                self.invalid(
                    name,
                    format!(
                        "{address} can be reached from other machines, and TLS and authentication are not built \
                         in yet: anyone who reaches it could use it; listen on 127.0.0.1 behind a proxy that \
                         provides both, or accept the risk with server.insecure_listen = true"
                    ),
                );
            }
        }
        let server = self.config.server.listen;
        if let Some(metrics) = self.config.metrics.listen
            && server.port() != 0
            && server.port() == metrics.port()
            && (server.ip() == metrics.ip() || server.ip().is_unspecified() || metrics.ip().is_unspecified())
        {
            self.invalid(
                "metrics.listen",
                format!("{metrics} is taken by server.listen = {server}; give metrics a port of their own"),
            );
        }
    }
}

/// Whether only this machine can reach the address; an IPv4 address written as IPv6 counts as IPv4.
fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// The directory that must exist for this database, if it is a file.
pub fn database_directory(url: &DatabaseUrl) -> Option<&Path> {
    match url {
        DatabaseUrl::Sqlite(path) => path.parent().filter(|parent| !parent.as_os_str().is_empty()),
        DatabaseUrl::Postgres(_) | DatabaseUrl::Memory => None,
    }
}

#[cfg(test)]
mod tests;
