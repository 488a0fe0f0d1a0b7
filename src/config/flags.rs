//! Flags of the command line: one for each key, made from the table of keys.

use std::fmt;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::keys::{self, KEYS, Setter};

/// Defaults of a command that differ from the general ones. Anything else overrides them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// The command, as it is shown as the origin of a value.
    pub command: &'static str,
    /// Dotted names with values.
    pub values: &'static [(&'static str, &'static str)],
}

impl Preset {
    /// `syncline serve`, and every command without a preset of its own.
    pub const SERVE: Self = Self { command: "syncline serve", values: &[] };
    /// `syncline dev`: a database of its own, reflection, the web pages, and other pages from this machine may call.
    pub const DEV: Self = Self {
        command: "syncline dev",
        values: &[
            ("server.reflection", "true"),
            ("server.console", "true"),
            ("server.cors_origins", "http://localhost:*,http://127.0.0.1:*,http://[::1]:*"),
            ("database.url", "sqlite:./.syncline/syncline.db"),
        ],
    };
}

/// What the command line says about the configuration. Flatten it into a clap command, or fill it with
/// `with`.
#[derive(Clone)]
pub struct Flags {
    /// `--config FILE`.
    pub config_file: Option<PathBuf>,
    /// `--print-effective-config`.
    pub print_effective_config: bool,
    /// The command's own defaults; clap leaves `Preset::SERVE` here.
    pub preset: Preset,
    values: Vec<(String, String)>,
}

impl Flags {
    /// No flag at all.
    pub fn new(preset: Preset) -> Self {
        Self { config_file: None, print_effective_config: false, preset, values: Vec::new() }
    }

    /// The same with a value for the key with this dotted name; an unknown name is a mistake that `load`
    /// reports.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.values.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Names the keys and leaves out their values, which may be secret.
impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flags")
            .field("config_file", &self.config_file)
            .field("preset", &self.preset.command)
            .field("keys", &self.values.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The flag of the key with this dotted name, with its dashes.
pub(super) fn flag_of(name: &str) -> String {
    match keys::find(name) {
        Some(key) => format!("--{}", key.flag),
        None => format!("--{}", name.replace(['.', '_'], "-")),
    }
}

const CONFIG: &str = "config";
const PRINT: &str = "print-effective-config";
const HEADING: &str = "Configuration (also in the file, and as SYNCLINE__SECTION__KEY)";

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let command = command
            .arg(
                Arg::new(CONFIG)
                    .long(CONFIG)
                    .value_name("FILE")
                    .value_parser(ValueParser::path_buf())
                    .help("A TOML file with the configuration"),
            )
            .arg(
                Arg::new(PRINT)
                    .long(PRINT)
                    .action(ArgAction::SetTrue)
                    .help("Print the configuration with where each value came from, and stop"),
            );
        KEYS.iter().fold(command, |command, key| {
            let mut arg = Arg::new(key.name)
                .long(key.flag)
                .value_parser(ValueParser::string())
                .help_heading(HEADING)
                .help(format!("{} [{}, default: {}]", key.doc, key.name, shown_default(key.default)));
            arg = match key.setter {
                Setter::Flag(_) => {
                    arg.value_name("BOOL").num_args(0..=1).require_equals(true).default_missing_value("true")
                }
                Setter::Whole { .. } => arg.value_name("NUMBER"),
                Setter::List(_) => arg.value_name("LIST"),
                Setter::Text(_) => arg.value_name("VALUE"),
            };
            command.arg(arg)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::new(Preset::SERVE);
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        if let Some(path) = matches.get_one::<PathBuf>(CONFIG) {
            self.config_file = Some(path.clone());
        }
        self.print_effective_config |= matches.get_flag(PRINT);
        for key in KEYS {
            if let Some(value) = matches.get_one::<String>(key.name) {
                self.values.push((key.name.to_owned(), value.clone()));
            }
        }
        Ok(())
    }
}

fn shown_default(default: &str) -> &str {
    if default.is_empty() { "none" } else { default }
}
