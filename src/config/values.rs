//! The kinds of value that are more than a number or a text, and how each is read.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use tracing_subscriber::EnvFilter;

use super::postgres_url::PostgresUrl;

/// Maximum size of a web origin in bytes.
const ORIGIN_BYTES_MAX: usize = 256;

/// Where everything is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite:PATH`: one file.
    Sqlite(PathBuf),
    /// `postgres://…`: a database that several servers may share.
    Postgres(PostgresUrl),
    /// `memory:`: nothing is kept.
    Memory,
}

impl DatabaseUrl {
    /// Reads `sqlite:PATH`, `postgres://…` or `memory:`. The error never repeats the text, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        const SUPPORTED: &str = "sqlite:PATH (a file, as sqlite:./syncline.db), \
                                 postgres://USER:PASSWORD@HOST:PORT/DATABASE, or memory: (nothing is kept)";
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(format!("expected {SUPPORTED}"));
        };
        match scheme {
            "memory" if rest.is_empty() => Ok(Self::Memory),
            "memory" => Err("expected nothing after memory:".to_owned()),
            "sqlite" if rest.is_empty() => Err("expected the path of a file after sqlite:".to_owned()),
            "sqlite" if rest == ":memory:" => Err("for a database in memory, say memory:".to_owned()),
            "sqlite" if rest.starts_with("//") => {
                Err("expected the path right after sqlite:, as sqlite:./a.db or sqlite:/var/lib/a.db"
                    .to_owned())
            }
            "sqlite" if rest.contains('?') => Err("expected a path without parameters (no `?`)".to_owned()),
            "sqlite" if rest.contains('\0') => Err("expected a path without zero bytes".to_owned()),
            "sqlite" => Ok(Self::Sqlite(PathBuf::from(rest))),
            "postgres" | "postgresql" => PostgresUrl::parse(text).map(Self::Postgres),
            _ => Err(format!("this kind of database is not supported; supported: {SUPPORTED}")),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => write!(f, "{url}"),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

/// Shows what Display shows, which never holds a password.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line for people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// Reads `pretty` or `json`.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "pretty" => Ok(Self::Pretty),
            "json" => Ok(Self::Json),
            _ => Err("expected pretty or json".to_owned()),
        }
    }

    /// As it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pretty => "pretty",
            Self::Json => "json",
        }
    }
}

/// A web origin that may call from a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsOrigin {
    /// `http` or `https`, host, and the port unless it is the scheme's own.
    origin: String,
    /// Whether it was written as `scheme://host:*`, which allows any port.
    any_port: bool,
}

impl CorsOrigin {
    /// Reads `scheme://host`, `scheme://host:port` or `scheme://host:*`.
    pub fn parse(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected origins as https://app.example.com or http://localhost:3000 without \
                                a path; `:*` stands for any port";
        if text == "*" {
            return Err("every origin at once is not allowed, since any web page could then use the \
                        server; name the origins"
                .to_owned());
        }
        let scheme_end = text.find("://").ok_or(EXPECTED)?;
        let (scheme, authority) = (&text[..scheme_end], &text[scheme_end + 3..]);
        if !matches!(scheme, "http" | "https") || text.len() > ORIGIN_BYTES_MAX {
            return Err(EXPECTED.to_owned());
        }
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of an IPv6 address stand within brackets.
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let bare = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        let host_valid = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
            }
        };
        if !host_valid {
            return Err(EXPECTED.to_owned());
        }
        let host = host.to_ascii_lowercase();
        match port {
            Some("*") => Ok(Self { origin: format!("{scheme}://{host}"), any_port: true }),
            None => Ok(Self { origin: format!("{scheme}://{host}"), any_port: false }),
            Some(port) => {
                let port: u16 = port.parse().map_err(|_| EXPECTED.to_owned())?;
                // Browsers leave out the port that belongs to the scheme.
                let own = matches!((scheme, port), ("http", 80) | ("https", 443));
                let origin =
                    if own { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") };
                Ok(Self { origin, any_port: false })
            }
        }
    }

    /// Whether a browser's `Origin` header is this origin.
    pub fn matches(&self, origin: &str) -> bool {
        let Some(rest) = origin.strip_prefix(self.origin.as_str()) else {
            return false;
        };
        if rest.is_empty() {
            return true;
        }
        let port = rest.strip_prefix(':').unwrap_or_default();
        self.any_port && !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit())
    }
}

impl fmt::Display for CorsOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, if self.any_port { ":*" } else { "" })
    }
}

/// Reads an address and a port. A name is not looked up, except that `localhost` is 127.0.0.1.
pub(super) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse().map_err(|_| "expected an IP address and a port, as 127.0.0.1:7447 or [::1]:7447".to_owned())
}

/// Checks a filter for log lines.
pub(super) fn parse_log_level(text: &str) -> Result<String, String> {
    const EXPECTED: &str =
        "expected error, warn, info, debug, trace or off, or a list such as info,syncline=debug";
    // A lone word that is no level would be taken for the name of a target, and silence everything else.
    let plausible = |part: &str| {
        let level = ["off", "error", "warn", "info", "debug", "trace"];
        part.contains('=') || part.contains('[') || level.iter().any(|level| part.eq_ignore_ascii_case(level))
    };
    if text.trim().is_empty() || !text.split(',').map(str::trim).all(plausible) {
        return Err(EXPECTED.to_owned());
    }
    EnvFilter::builder().parse(text).map(|_| text.to_owned()).map_err(|_| EXPECTED.to_owned())
}
