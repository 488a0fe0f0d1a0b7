//! Where values come from besides flags: the file and the environment.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Origin, printable};
use super::hint;
use super::keys::{self, KEYS};
use super::{ENV_PREFIX, Loader};

/// Maximum size of a configuration file in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Syntax errors reported for one file: one often causes the next.
const SYNTAX_ERRORS_MAX: usize = 5;
/// Start of a variable whose author forgot that sections are set off by two underscores.
const ENV_NEAR_PREFIX: &str = "SYNCLINE_";

/// A configuration file that was read.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    path: Arc<str>,
    text: String,
}

impl ConfigFile {
    /// A file's content, with the name that errors show.
    pub fn new(path: impl Into<Arc<str>>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let unreadable = |detail: String| ConfigError::Unreadable { path: printable(&shown), detail };
        let file = std::fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
        let mut text = String::new();
        // Limited while reading and not by the file's length: a pipe has none.
        file.take(FILE_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(|error| unreadable(error.to_string()))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(unreadable(format!("it is larger than {FILE_BYTES_MAX} bytes")));
        }
        Ok(Self::new(shown, text))
    }

    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.as_bytes().iter().take(offset);
        Origin::File { path: self.path.clone(), line: 1 + before.filter(|byte| **byte == b'\n').count() }
    }
}

/// A value before its check.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    /// From a source without kinds of values: a variable, a flag, a default.
    Word(String),
    Text(String),
    Whole(i64),
    Bool(bool),
    List(Vec<String>),
    /// A kind that no key takes.
    Other(&'static str),
}

impl Given {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Word(_) | Self::Text(_) => "a text",
            Self::Whole(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::List(_) => "a list",
            Self::Other(kind) => kind,
        }
    }

    /// The value as errors show it.
    pub(super) fn quoted(&self) -> Option<String> {
        match self {
            Self::Word(text) | Self::Text(text) => Some(format!("`{}`", printable(text))),
            Self::Whole(value) => Some(value.to_string()),
            Self::Bool(value) => Some(value.to_string()),
            Self::List(items) => Some(format!("`{}`", printable(&items.join(", ")))),
            Self::Other(_) => None,
        }
    }

    fn from_toml(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Self::Whole(number),
                Err(_) => Self::Other("a number beyond 64 bits"),
            },
            DeValue::Boolean(value) => Self::Bool(*value),
            DeValue::Float(_) => Self::Other("a fraction"),
            DeValue::Datetime(_) => Self::Other("a time"),
            DeValue::Table(_) => Self::Other("a table"),
            DeValue::Array(items) => {
                let texts: Option<Vec<String>> =
                    items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect();
                texts.map_or(Self::Other("a list of other things"), Self::List)
            }
        }
    }
}

/// Takes every value of the file, or its syntax errors.
pub(super) fn read_file(file: &ConfigFile, loader: &mut Loader) {
    let (root, errors) = DeTable::parse_recoverable(&file.text);
    if !errors.is_empty() {
        for error in errors.iter().take(SYNTAX_ERRORS_MAX) {
            let offset = error.span().map_or(0, |span| span.start);
            let detail = printable(error.message());
            loader.errors.push(ConfigError::Syntax { origin: file.origin(offset), detail });
        }
        return;
    }
    // In the order of the lines, so that errors are too.
    let mut found: Vec<(usize, String, Option<Given>)> = Vec::new();
    for (section, content) in root.get_ref().iter() {
        match content.get_ref() {
            DeValue::Table(table) => {
                if table.is_empty() && !is_section(section.get_ref()) {
                    found.push((section.span().start, section.get_ref().to_string(), None));
                }
                for (name, value) in table.iter() {
                    let name_at = name.span().start;
                    let name = format!("{}.{}", section.get_ref(), name.get_ref());
                    found.push((name_at, name, Some(Given::from_toml(value.get_ref()))));
                }
            }
            _ => found.push((section.span().start, section.get_ref().to_string(), None)),
        }
    }
    found.sort_by_key(|(offset, ..)| *offset);
    for (offset, name, given) in found {
        let origin = file.origin(offset);
        match given {
            Some(given) => loader.set_named(&name, given, origin),
            None => loader.unknown(&name, origin),
        }
    }
}

fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.name.split_once('.').is_some_and(|(section, _)| section == name))
}

/// Takes every variable that is meant for Syncline; the others are not looked at.
pub(super) fn read_environment(env: impl Iterator<Item = (String, String)>, loader: &mut Loader) {
    // Sorted, because the operating system's order is arbitrary, and errors must be the same each time.
    let mut variables: Vec<(String, String)> = env.filter(|(name, _)| is_ours(name)).collect();
    variables.sort();
    for (name, value) in variables {
        if let Some(key) = KEYS.iter().find(|key| key.variable() == name) {
            loader.set(key, Given::Word(value), Origin::Env(name));
            continue;
        }
        let upper = name.to_ascii_uppercase();
        let (shown, meant) = match upper.strip_prefix(ENV_PREFIX) {
            Some(rest) => {
                let dotted = rest.to_ascii_lowercase().replace("__", ".");
                let meant = keys::find(&dotted).or_else(|| hint::suggest(&dotted));
                // A variable that differs in its case only is shown as it is.
                (if keys::find(&dotted).is_some() { name.clone() } else { dotted }, meant)
            }
            None => (name.clone(), KEYS.iter().find(|key| key.variable().replace("__", "_") == upper)),
        };
        let hint = match meant {
            Some(key) => format!("did you mean {}?", key.variable()),
            None => "--print-effective-config lists what there is".to_owned(),
        };
        loader.errors.push(ConfigError::UnknownKey {
            origin: Origin::Env(name),
            name: printable(&shown),
            hint,
        });
    }
}

/// Whether a variable has our prefix, or is a key except for the number of underscores.
fn is_ours(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    upper.starts_with(ENV_PREFIX)
        || upper.starts_with(ENV_NEAR_PREFIX)
            && KEYS.iter().any(|key| key.variable().replace("__", "_") == upper)
}

/// The process's variables that are meant for Syncline; one that is not Unicode is a mistake.
pub(super) fn process_environment(errors: &mut Vec<ConfigError>) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if !is_ours(&name) {
            continue;
        }
        match value.into_string() {
            Ok(value) => variables.push((name, value)),
            Err(_) => errors.push(ConfigError::Syntax {
                origin: Origin::Env(name),
                detail: "the value is not valid UTF-8".to_owned(),
            }),
        }
    }
    variables
}
