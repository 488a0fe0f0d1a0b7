//! What a scenario came to, as a table for people or one JSON object for programs.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::load::{Latencies, Measured};
use crate::{BenchError, say};

/// What a scenario came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// What was measured: mostly the name that the command line has for it.
    pub scenario: String,
    /// Operations (or records, or deliveries, as the scenario says) in the measured time.
    pub operations: u64,
    /// What failed: calls that were refused or not made, and feeds that broke off or came too late.
    pub errors: u64,
    /// What one of the failures said; absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
    /// How long it took, or how long was measured.
    pub seconds: f64,
    /// What `operations` counts, a second.
    pub rate_per_s: f64,
    /// Half of the latencies are within this, in microseconds; like the others, 0 where none were taken.
    pub p50_us: u64,
    /// 90 % of the latencies are within this, in microseconds.
    pub p90_us: u64,
    /// 99 % of the latencies are within this, in microseconds.
    pub p99_us: u64,
    /// 99.9 % of the latencies are within this, in microseconds.
    pub p999_us: u64,
    /// The longest latency, in microseconds.
    pub max_us: u64,
    /// Feeds or connections that were open at the same time; absent where the scenario has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams: Option<u64>,
    /// Resident memory of the server, when it is on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
    /// What the server's memory grew by for each of the streams; absent where it was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_bytes_per_stream: Option<u64>,
    /// What the history checker says; absent where nothing was written that it could judge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_ok: Option<bool>,
    /// Further figures by name; units are in the names.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    pub figures: Vec<(&'static str, f64)>,
    /// What the history checker found wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violations: Option<String>,
}

impl Outcome {
    /// Calls that were measured.
    pub(super) fn of(scenario: &str, measured: Measured) -> Outcome {
        let rate_per_s = measured.rate_per_s();
        let mut outcome = Outcome {
            scenario: scenario.to_owned(),
            operations: measured.operations,
            errors: measured.errors,
            first_error: measured.first_error,
            seconds: measured.seconds,
            rate_per_s,
            ..Outcome::default()
        };
        outcome.take_latencies(&measured.latencies);
        outcome
    }

    pub(super) fn take_latencies(&mut self, latencies: &Latencies) {
        self.p50_us = latencies.quantile_us(0.5);
        self.p90_us = latencies.quantile_us(0.9);
        self.p99_us = latencies.quantile_us(0.99);
        self.p999_us = latencies.quantile_us(0.999);
        self.max_us = latencies.max_us();
    }

    /// Counts a failure.
    pub(super) fn take_failure(&mut self, outcome: Result<(), String>) {
        if let Err(error) = outcome {
            self.errors += 1;
            self.first_error.get_or_insert(error);
        }
    }

    /// A figure by its name.
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }

    /// Whether everything was answered, and answered correctly.
    pub fn is_sound(&self) -> bool {
        self.errors == 0 && self.history_ok != Some(false)
    }

    /// Prints it.
    pub(super) fn report(&self, json: bool) -> Result<(), BenchError> {
        if json {
            let line = serde_json::to_string(self).map_err(|error| BenchError::Other(error.to_string()))?;
            say(&line);
            return Ok(());
        }
        say(&self.table().to_string());
        if let Some(error) = &self.first_error {
            say(&format!("first error: {error}"));
        }
        if let Some(violations) = &self.violations {
            say(violations);
        }
        Ok(())
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
        let mut row = |name: &str, value: String| {
            table.add_row([name.to_owned(), value]);
        };
        row("scenario", self.scenario.clone());
        row("operations", format!("{} in {:.1} s", grouped(self.operations), self.seconds));
        row("rate", format!("{} a second", grouped(self.rate_per_s.round() as u64)));
        row("errors", grouped(self.errors));
        for (name, us) in [
            ("p50", self.p50_us),
            ("p90", self.p90_us),
            ("p99", self.p99_us),
            ("p99.9", self.p999_us),
            ("max", self.max_us),
        ] {
            row(name, duration(us));
        }
        if let Some(streams) = self.streams {
            row("streams", grouped(streams));
        }
        if let Some(rss) = self.rss_bytes {
            row("server memory", bytes(rss));
        }
        if let Some(rss) = self.rss_bytes_per_stream {
            row("server memory a stream", bytes(rss));
        }
        for (name, value) in &self.figures {
            row(&name.replace('_', " "), format!("{value:.3}"));
        }
        if let Some(ok) = self.history_ok {
            row("history", if ok { "no violation".to_owned() } else { "WRONG".to_owned() });
        }
        table
    }
}

fn as_map<S: serde::Serializer>(figures: &[(&'static str, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(figures.iter().map(|(name, value)| (*name, *value)))
}

/// A number with its thousands separated.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A time in the unit that suits it.
pub fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.2} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

/// A size in the unit that suits it.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn an_outcome_is_one_json_object() {
        let outcome =
            Outcome { scenario: "submit".into(), figures: vec![("ratio", 1.5)], ..Outcome::default() };
        let json = serde_json::to_value(&outcome).expect("serializes");
        for name in ["scenario", "operations", "errors", "rate_per_s", "p50_us", "p999_us", "max_us"] {
            assert!(json.get(name).is_some(), "{name}");
        }
        assert_eq!(json["figures"]["ratio"], 1.5);
    }
}
