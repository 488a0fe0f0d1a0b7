//! Schemas as files: YAML or JSON that people write by hand, keep with their code, and apply to a workspace.
//!
//! What a file does not mention stays as it is in the workspace. `docs/schema.md` describes the form for people,
//! `docs/schema-file.schema.json` for editors.

mod hint;
mod parse;
mod print;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use syncline_core::schema::SchemaUpdate;

use parse::FileUpdate;
pub use print::PrintError;
pub(super) use print::{Detail, Format, print};

/// Maximum size of a file; the largest schema that a server takes in one call is not larger either.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Where a schema is read from: a file, or standard input for `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Stdin,
    File(PathBuf),
}

impl FromStr for Source {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Source, Self::Err> {
        Ok(if text == "-" { Source::Stdin } else { Source::File(PathBuf::from(text)) })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Stdin => f.write_str("standard input"),
            Source::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Why a schema file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaFileError {
    /// The file cannot be read.
    #[error("cannot read {name}: {source}")]
    Read {
        /// The file.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// The file is larger than any schema.
    #[error("{name} is larger than {limit} bytes, which no schema is")]
    TooLarge {
        /// The file.
        name: String,
        /// How large it may be.
        limit: u64,
    },
    /// The file is not text.
    #[error("{name} is not text in UTF-8")]
    NotText {
        /// The file.
        name: String,
    },
    /// What the file says makes no sense.
    #[error("{name}{at}: {detail}", at = At(*.line_column))]
    Content {
        /// The file.
        name: String,
        /// Where in it, counted from 1, as far as that is known.
        line_column: Option<(u64, u64)>,
        /// What is wrong there.
        detail: String,
    },
}

/// A place behind a file's name, as compilers write it.
struct At(Option<(u64, u64)>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((line, column)) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// Reads a schema: JSON from files that end in `.json`, otherwise YAML.
pub(super) fn read(source: &Source) -> Result<SchemaUpdate, SchemaFileError> {
    let text = text_of(source)?;
    let content =
        |(line_column, detail)| SchemaFileError::Content { name: source.to_string(), line_column, detail };
    if is_json(source) { from_json(&text) } else { from_yaml(&text) }.map_err(content)
}

fn is_json(source: &Source) -> bool {
    match source {
        Source::Stdin => false,
        Source::File(path) => has_extension(path, "json"),
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

fn text_of(source: &Source) -> Result<String, SchemaFileError> {
    let name = || source.to_string();
    let mut bytes = Vec::new();
    let read = match source {
        Source::Stdin => io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes),
        Source::File(path) => {
            File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        }
    };
    read.map_err(|source| SchemaFileError::Read { name: name(), source })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(SchemaFileError::TooLarge { name: name(), limit: FILE_BYTES_MAX });
    }
    String::from_utf8(bytes).map_err(|_| SchemaFileError::NotText { name: name() })
}

/// Where and what is wrong.
type Mistake = (Option<(u64, u64)>, String);

fn from_json(text: &str) -> Result<SchemaUpdate, Mistake> {
    let read = serde_json::from_str::<FileUpdate>(text);
    read.map(|FileUpdate(update)| update).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let detail = without_end(error.to_string(), &format!(" at line {line} column {column}"));
        ((line > 0).then_some((line as u64, column as u64)), detail)
    })
}

fn from_yaml(text: &str) -> Result<SchemaUpdate, Mistake> {
    // A field may be called `null`. Merge keys would hide what a file declares.
    let options = serde_saphyr::options! {
        strict_booleans: true,
        null_as_string: true,
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        with_snippet: false,
    };
    let read = serde_saphyr::from_str_with_options::<FileUpdate>(text, options);
    read.map(|FileUpdate(update)| update).map_err(|error| {
        let text = error.to_string();
        match error.location() {
            Some(at) => {
                let (line, column) = (at.line(), at.column());
                (Some((line, column)), without_end(text, &format!(" at line {line}, column {column}")))
            }
            // An error about the whole file has no place of its own.
            None => (Some((1, 1)), text),
        }
    })
}

/// The message without the place at its end, since the place is already shown before the message.
fn without_end(mut text: String, end: &str) -> String {
    if text.ends_with(end) {
        text.truncate(text.len() - end.len());
    }
    text
}

#[cfg(test)]
mod tests;
