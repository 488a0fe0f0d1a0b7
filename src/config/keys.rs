//! The table of keys: each is declared once, with its default, its words and its check. The file, the
//! environment, the flags, their help and `--print-effective-config` all follow from it.

use std::time::Duration;

use toml::Value;

use super::sources::Given;
use super::values::{self, CorsOrigin, DatabaseUrl, LogFormat};
use super::{Config, ENV_PREFIX};

/// Longest wait for clients at a stop.
pub(super) const DRAIN_SECONDS_MAX: u64 = 600;
/// Most connections.
pub(super) const CONNECTIONS_MAX: u64 = 1_000_000;
/// Feeds that one connection must carry, beside the calls on it.
pub(super) const FEEDS_PER_CONNECTION: u64 = 10;
/// Fewest calls in flight on a connection.
pub(super) const STREAMS_PER_CONNECTION_MIN: u64 = FEEDS_PER_CONNECTION + 2;
/// Most calls in flight on a connection.
pub(super) const STREAMS_PER_CONNECTION_MAX: u64 = 1_000;
/// Longest unary call.
pub(super) const REQUEST_TIMEOUT_SECONDS_MAX: u64 = 600;
/// Shortest life of a feed: with a shorter one, clients would mostly reconnect.
pub(super) const STREAM_AGE_SECONDS_MIN: u64 = 10;
/// Longest life of a feed.
pub(super) const STREAM_AGE_SECONDS_MAX: u64 = 7 * 24 * 60 * 60;
/// Most web origins.
pub(super) const CORS_ORIGINS_MAX: usize = 100;
/// Fewest read connections.
pub(super) const READERS_MIN: u64 = 2;
/// Most read connections.
pub(super) const READERS_MAX: u64 = 8;
/// Longest time between two heartbeats.
pub(super) const HEARTBEAT_SECONDS_MAX: u64 = 300;
/// Fewest recent changes kept for a workspace.
pub(super) const RECENT_CHANGES_MIN: u64 = 16;
/// Most recent changes kept for a workspace.
pub(super) const RECENT_CHANGES_MAX: u64 = 1_048_576;
/// Most records in a chunk.
pub(super) const CHUNK_RECORDS_MAX: u64 = 10_000;

/// One key.
pub(super) struct Key {
    /// `section.name`.
    pub name: &'static str,
    /// The flag, without dashes.
    pub flag: &'static str,
    /// The default, as a variable would hold it.
    pub default: &'static str,
    /// One line for people.
    pub doc: &'static str,
    /// The value may hold a secret: errors do not repeat it.
    pub secret: bool,
    /// Checks and stores a value.
    pub setter: Setter,
    /// The value as TOML; without secrets.
    pub show: fn(&Config) -> Value,
}

/// What kind of value a key takes, and how it is stored. The text of an error says what is expected.
pub(super) enum Setter {
    Text(fn(&mut Config, &str) -> Result<(), String>),
    Whole { min: u64, max: u64, store: fn(&mut Config, u64) },
    Flag(fn(&mut Config, bool)),
    List(fn(&mut Config, &[String]) -> Result<(), String>),
}

/// All keys, section by section.
pub(super) static KEYS: &[Key] = &[
    Key {
        name: "server.listen",
        flag: "listen",
        default: "127.0.0.1:7447",
        doc: "Address of gRPC and gRPC-Web; port 0 takes a free one",
        secret: false,
        setter: Setter::Text(|c, text| values::parse_listen(text).map(|address| c.server.listen = address)),
        show: |c| text(c.server.listen),
    },
    Key {
        name: "server.insecure_listen",
        flag: "insecure-listen",
        default: "false",
        doc: "Accept that anyone who reaches a listener beyond loopback can use it: there is no TLS and \
              no authentication yet",
        secret: false,
        setter: Setter::Flag(|c, value| c.server.insecure_listen = value),
        show: |c| Value::Boolean(c.server.insecure_listen),
    },
    Key {
        name: "server.drain_seconds",
        flag: "drain-seconds",
        default: "20",
        doc: "How long a stop waits for clients to leave",
        secret: false,
        setter: Setter::Whole {
            min: 0,
            max: DRAIN_SECONDS_MAX,
            store: |c, value| c.server.drain = Duration::from_secs(value),
        },
        show: |c| seconds(c.server.drain),
    },
    Key {
        name: "server.max_connections",
        flag: "max-connections",
        default: "10000",
        doc: "Connections at a time; further ones are closed at once",
        secret: false,
        setter: Setter::Whole {
            min: 1,
            max: CONNECTIONS_MAX,
            store: |c, value| c.server.max_connections = size(value),
        },
        show: |c| whole(c.server.max_connections),
    },
    Key {
        name: "server.max_streams_per_connection",
        flag: "max-streams-per-connection",
        default: "32",
        doc: "Calls and feeds in flight on one connection; a client holds further ones back",
        secret: false,
        setter: Setter::Whole {
            min: STREAMS_PER_CONNECTION_MIN,
            max: STREAMS_PER_CONNECTION_MAX,
            store: |c, value| c.server.max_streams_per_connection = small(value),
        },
        show: |c| whole(c.server.max_streams_per_connection as usize),
    },
    Key {
        name: "server.request_timeout_seconds",
        flag: "request-timeout-seconds",
        default: "30",
        doc: "After how long a unary call is given up",
        secret: false,
        setter: Setter::Whole {
            min: 1,
            max: REQUEST_TIMEOUT_SECONDS_MAX,
            store: |c, value| c.server.request_timeout = Duration::from_secs(value),
        },
        show: |c| seconds(c.server.request_timeout),
    },
    Key {
        name: "server.max_stream_age_seconds",
        flag: "max-stream-age-seconds",
        default: "3600",
        doc: "After how long a feed is asked to reconnect, give or take 10 %",
        secret: false,
        setter: Setter::Whole {
            min: STREAM_AGE_SECONDS_MIN,
            max: STREAM_AGE_SECONDS_MAX,
            store: |c, value| c.server.max_stream_age = Duration::from_secs(value),
        },
        show: |c| seconds(c.server.max_stream_age),
    },
    Key {
        name: "server.reflection",
        flag: "reflection",
        default: "false",
        doc: "Serve gRPC reflection, which tells every caller the protocol; `syncline dev` does",
        secret: false,
        setter: Setter::Flag(|c, value| c.server.reflection = value),
        show: |c| Value::Boolean(c.server.reflection),
    },
    Key {
        name: "server.console",
        flag: "console",
        default: "false",
        doc: "Serve the web pages to browsers on the same port; `syncline dev` does",
        secret: false,
        setter: Setter::Flag(|c, value| c.server.console = value),
        show: |c| Value::Boolean(c.server.console),
    },
    Key {
        name: "server.cors_origins",
        flag: "cors-origins",
        default: "",
        doc: "Web origins that may call from a browser, as https://app.example.com or http://localhost:* \
              (any port); `syncline dev` allows this machine's",
        secret: false,
        setter: Setter::List(|c, origins| {
            if origins.len() > CORS_ORIGINS_MAX {
                return Err(format!("expected at most {CORS_ORIGINS_MAX} origins"));
            }
            let parsed: Result<Vec<_>, _> = origins.iter().map(|origin| CorsOrigin::parse(origin)).collect();
            parsed.map(|origins| c.server.cors_origins = origins)
        }),
        show: |c| Value::Array(c.server.cors_origins.iter().map(text).collect()),
    },
    Key {
        name: "metrics.listen",
        flag: "metrics-listen",
        default: "127.0.0.1:7448",
        doc: "Address of the Prometheus metrics; empty turns them off",
        secret: false,
        setter: Setter::Text(|c, text| {
            let address = if text.is_empty() { None } else { Some(values::parse_listen(text)?) };
            c.metrics.listen = address;
            Ok(())
        }),
        show: |c| c.metrics.listen.map_or_else(|| text(""), text),
    },
    Key {
        name: "database.url",
        flag: "database-url",
        default: "sqlite:./syncline.db",
        doc: "The database: sqlite:PATH, or postgres://USER:PASSWORD@HOST:PORT/DATABASE which several servers may \
              share, or memory: which keeps nothing",
        // The address of a Postgres holds a password.
        secret: true,
        setter: Setter::Text(|c, text| DatabaseUrl::parse(text).map(|url| c.database.url = url)),
        show: |c| text(&c.database.url),
    },
    Key {
        name: "database.readers",
        flag: "database-readers",
        default: "4",
        doc: "Database connections that only read",
        secret: false,
        setter: Setter::Whole {
            min: READERS_MIN,
            max: READERS_MAX,
            store: |c, value| c.database.readers = small(value),
        },
        show: |c| whole(c.database.readers as usize),
    },
    Key {
        name: "log.level",
        flag: "log-level",
        default: "info",
        doc: "Level of the log, or a list such as info,syncline=debug",
        secret: false,
        setter: Setter::Text(|c, text| values::parse_log_level(text).map(|level| c.log.level = level)),
        show: |c| text(&c.log.level),
    },
    Key {
        name: "log.format",
        flag: "log-format",
        default: "pretty",
        doc: "Log lines for people (pretty) or for programs (json)",
        secret: false,
        setter: Setter::Text(|c, text| LogFormat::parse(text).map(|format| c.log.format = format)),
        show: |c| text(c.log.format.as_str()),
    },
    Key {
        name: "heartbeat.interval_seconds",
        flag: "heartbeat-interval-seconds",
        default: "15",
        doc: "Time between two heartbeats; a client is gone after 2.5 of them",
        secret: false,
        setter: Setter::Whole {
            min: 1,
            max: HEARTBEAT_SECONDS_MAX,
            store: |c, value| c.heartbeat.interval = Duration::from_secs(value),
        },
        show: |c| seconds(c.heartbeat.interval),
    },
    Key {
        name: "feed.recent_changes",
        flag: "feed-recent-changes",
        default: "8192",
        doc: "Newest changes of each workspace kept in memory; a feed further behind reads the database",
        secret: false,
        setter: Setter::Whole {
            min: RECENT_CHANGES_MIN,
            max: RECENT_CHANGES_MAX,
            store: |c, value| c.feed.recent_changes = size(value),
        },
        show: |c| whole(c.feed.recent_changes),
    },
    Key {
        name: "feed.chunk_records",
        flag: "feed-chunk-records",
        default: "2000",
        doc: "Records that a snapshot, or a feed that loads, reads and sends at a time; fewer when they are large",
        secret: false,
        setter: Setter::Whole {
            min: 1,
            max: CHUNK_RECORDS_MAX,
            store: |c, value| c.feed.chunk_records = size(value),
        },
        show: |c| whole(c.feed.chunk_records),
    },
];

// Values within these limits fit the types they are stored in.
const _: () = assert!(STREAMS_PER_CONNECTION_MAX <= u32::MAX as u64);
const _: () = assert!(READERS_MAX <= u32::MAX as u64);
const _: () = assert!(STREAMS_PER_CONNECTION_MIN > FEEDS_PER_CONNECTION);

impl Key {
    /// The environment variable of this key.
    pub(super) fn variable(&self) -> String {
        format!("{ENV_PREFIX}{}", self.name.replace('.', "__").to_ascii_uppercase())
    }

    /// Checks a value and stores it; the error says what is expected.
    pub(super) fn apply(&self, config: &mut Config, given: &Given) -> Result<(), String> {
        match &self.setter {
            Setter::Text(store) => match given {
                Given::Word(text) | Given::Text(text) => store(config, text.trim()),
                other => Err(format!("expected a text in quotes, not {}", other.kind())),
            },
            Setter::Whole { min, max, store } => {
                let value = match given {
                    Given::Word(text) => text.trim().parse().ok(),
                    Given::Whole(value) => u64::try_from(*value).ok(),
                    _ => None,
                };
                match value {
                    Some(value) if (*min..=*max).contains(&value) => {
                        store(config, value);
                        Ok(())
                    }
                    _ => Err(format!("expected a whole number from {min} to {max}")),
                }
            }
            Setter::Flag(store) => {
                let value = match given {
                    Given::Word(text) => text.trim().parse().ok(),
                    Given::Bool(value) => Some(*value),
                    _ => None,
                };
                value
                    .map(|value| store(config, value))
                    .ok_or_else(|| "expected true or false, without quotes".to_owned())
            }
            Setter::List(store) => match given {
                Given::Word(text) => {
                    let items: Vec<String> = text
                        .split(',')
                        .map(str::trim)
                        .filter(|item| !item.is_empty())
                        .map(str::to_owned)
                        .collect();
                    store(config, &items)
                }
                Given::List(items) => store(config, items),
                other => Err(format!("expected a list of texts in quotes, not {}", other.kind())),
            },
        }
    }
}

/// The key with this dotted name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

fn text(value: impl ToString) -> Value {
    Value::String(value.to_string())
}

fn whole(value: usize) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

fn seconds(value: Duration) -> Value {
    Value::Integer(i64::try_from(value.as_secs()).unwrap_or(i64::MAX))
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
