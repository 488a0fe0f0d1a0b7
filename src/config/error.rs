//! Mistakes in the configuration, and where each was made.

use std::fmt;
use std::sync::Arc;

/// Characters of a mistaken value or name that an error shows.
const SHOWN_CHARS_MAX: usize = 80;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A default of the command itself, as `syncline dev`.
    Command(&'static str),
    /// A line of the configuration file.
    File {
        /// The file as it was named.
        path: Arc<str>,
        /// From 1.
        line: usize,
    },
    /// An environment variable, by its name.
    Env(String),
    /// A flag, with its dashes.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Command(command) => f.write_str(command),
            Self::File { path, line } => write!(f, "{}:{line}", printable(path)),
            Self::Env(name) => f.write_str(&printable(name)),
            Self::Flag(flag) => f.write_str(&printable(flag)),
        }
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file that `--config` names cannot be read.
    #[error("--config: cannot read {path}: {detail}")]
    Unreadable {
        /// The file as it was named.
        path: String,
        /// What the operating system said.
        detail: String,
    },
    /// The file is not TOML.
    #[error("{origin}: {detail}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// What the parser said.
        detail: String,
    },
    /// There is no such key.
    #[error("{origin}: there is no `{name}`; {hint}")]
    UnknownKey {
        /// Where.
        origin: Origin,
        /// The key or variable as it was written.
        name: String,
        /// What may have been meant.
        hint: String,
    },
    /// The key exists, but its value cannot be used.
    #[error("{origin}: {key}: {detail}{}", Ending(given))]
    InvalidValue {
        /// Where.
        origin: Origin,
        /// The key's dotted name.
        key: &'static str,
        /// What is expected.
        detail: String,
        /// The value, unless it may hold a secret.
        given: Option<String>,
    },
}

/// The value at the end of a line, if it is shown.
struct Ending<'a>(&'a Option<String>);

impl fmt::Display for Ending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(given) => write!(f, "; given: {given}"),
            None => Ok(()),
        }
    }
}

/// All mistakes, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    pub(super) fn new(errors: Vec<ConfigError>) -> Option<Self> {
        (!errors.is_empty()).then_some(Self(errors))
    }

    /// The mistakes, in the order of the sources.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "the configuration has a mistake; nothing was started:")?,
            count => write!(f, "the configuration has {count} mistakes; nothing was started:")?,
        }
        for error in &self.0 {
            write!(f, "\n  {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// The text without control characters and cut to a length that fits a line.
pub(super) fn printable(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN_CHARS_MAX)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}
