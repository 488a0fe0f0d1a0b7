//! What came of it: lines as they come in, a table for people at the end, or one JSON object for programs.

use std::process::ExitCode;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use syncline_bench::driver::{bytes, duration, grouped};

use crate::args::{Args, Plan};
use crate::disk::DiskDescription;
use crate::error::CompareError;
use crate::machine::Machine;
use crate::servers::{Guarantee, Programs};
use crate::turns::{Turn, median};

/// What a figure is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    #[default]
    PerSecond,
    Microseconds,
    Bytes,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Unit::PerSecond => format!("{}/s", grouped(value.round() as u64)),
            Unit::Microseconds => duration(value.round() as u64),
            Unit::Bytes => bytes(value.round() as u64),
        }
    }
}

/// Which way is better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    #[default]
    More,
    Less,
}

/// One figure of Syncline against that of a peer.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Line {
    pub what: String,
    pub peer: &'static str,
    pub unit: Unit,
    pub better: Better,
    /// Whether both promise the same, so that a ratio says something.
    pub comparable: bool,
    /// Figures of the turns, in the order of the turns.
    pub syncline: Vec<f64>,
    pub other: Vec<f64>,
    /// What the ratio, Syncline's figure by the peer's, must at least or at most be.
    pub bar: Option<f64>,
    pub goal: Option<f64>,
    /// What else the turns came to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub syncline_turns: Vec<Turn>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_turns: Vec<Turn>,
}

/// Medians and ratios of a line.
#[derive(Debug, Clone, Serialize)]
struct Summary {
    syncline_median: f64,
    other_median: f64,
    /// Syncline by peer: the median, the lowest and the highest of the turns' ratios.
    ratio: Option<f64>,
    ratio_lowest: Option<f64>,
    ratio_highest: Option<f64>,
    bar_met: Option<bool>,
    goal_met: Option<bool>,
}

impl Line {
    /// A figure of both sides' turns.
    pub(crate) fn of(syncline: &[Turn], other: &[Turn], figure: impl Fn(&Turn) -> f64) -> Line {
        Line {
            comparable: true,
            syncline: syncline.iter().map(&figure).collect(),
            other: other.iter().map(&figure).collect(),
            syncline_turns: syncline.to_vec(),
            other_turns: other.to_vec(),
            ..Line::default()
        }
    }

    fn problems(&self) -> impl Iterator<Item = &String> {
        self.syncline_turns.iter().chain(&self.other_turns).flat_map(|turn| &turn.problems)
    }

    fn summary(&self) -> Summary {
        let mut ratios: Vec<f64> =
            self.syncline.iter().zip(&self.other).filter(|(_, o)| **o > 0.0).map(|(s, o)| s / o).collect();
        ratios.sort_by(f64::total_cmp);
        let ratio = (self.comparable && !ratios.is_empty()).then(|| median(&ratios));
        let meets = |wanted: Option<f64>| match (ratio, wanted) {
            (Some(ratio), Some(wanted)) => Some(match self.better {
                Better::More => ratio >= wanted,
                Better::Less => ratio <= wanted,
            }),
            _ => None,
        };
        Summary {
            syncline_median: median(&self.syncline),
            other_median: median(&self.other),
            ratio,
            ratio_lowest: ratio.and_then(|_| ratios.first().copied()),
            ratio_highest: ratio.and_then(|_| ratios.last().copied()),
            bar_met: meets(self.bar),
            goal_met: meets(self.goal),
        }
    }
}

/// Everything that is reported.
pub(crate) struct Report {
    json: bool,
    quick: bool,
    turns: u32,
    seconds: u32,
    value_bytes: u32,
    machine: Machine,
    disk: DiskDescription,
    guarantees: Vec<Guarantee>,
    lines: Vec<Line>,
}

/// One line with the figures that follow from it.
#[derive(Serialize)]
struct WholeLine<'a> {
    #[serde(flatten)]
    line: &'a Line,
    #[serde(flatten)]
    summary: Summary,
}

/// The object for programs.
#[derive(Serialize)]
struct Whole<'a> {
    quick: bool,
    turns: u32,
    seconds: u32,
    value_bytes: u32,
    machine: &'a Machine,
    disk: &'a DiskDescription,
    durability: &'a [Guarantee],
    lines: Vec<WholeLine<'a>>,
    ok: bool,
}

impl Report {
    pub(crate) fn new(
        args: &Args,
        plan: &Plan,
        machine: Machine,
        disk: DiskDescription,
        programs: &Programs,
    ) -> Report {
        Report {
            json: args.json,
            quick: args.quick,
            turns: plan.turns,
            seconds: plan.seconds,
            value_bytes: plan.value_bytes,
            machine,
            disk,
            guarantees: programs.guarantees(),
            lines: Vec::new(),
        }
    }

    /// What is known before anything is measured.
    pub(crate) fn begin(&self) {
        if !self.json {
            self.conditions();
        }
    }

    fn conditions(&self) {
        let load =
            self.machine.load_at_start.map_or_else(String::new, |load| format!(", load {load} at the start"));
        say(&format!("machine: {} cores, loopback, clients and servers share it{load}", self.machine.cores));
        let sync = duration(self.disk.write_and_sync_us);
        say(&format!(
            "disk: {}; a bare write of 4 KiB in place with its sync takes {sync}",
            self.disk.file_system
        ));
        say(&format!("values: {} bytes; turns: {} of {} s each", self.value_bytes, self.turns, self.seconds));
        say("durability:");
        for guarantee in &self.guarantees {
            say(&format!("  {}: {}", guarantee.server, guarantee.how));
        }
    }

    pub(crate) fn take(&mut self, lines: Vec<Line>) {
        self.lines.extend(lines);
    }

    /// The result: a failure when something was wrong, or when a bar was missed in a run that counts.
    pub(crate) fn end(&self) -> Result<ExitCode, CompareError> {
        let sound = self.lines.iter().all(|line| line.problems().next().is_none());
        let met = self.lines.iter().all(|line| line.summary().bar_met != Some(false));
        let ok = sound && (met || self.quick);
        if self.json {
            let lines = self.lines.iter().map(|line| WholeLine { line, summary: line.summary() }).collect();
            let whole = Whole {
                quick: self.quick,
                turns: self.turns,
                seconds: self.seconds,
                value_bytes: self.value_bytes,
                machine: &self.machine,
                disk: &self.disk,
                durability: &self.guarantees,
                lines,
                ok,
            };
            say(&serde_json::to_string(&whole).map_err(|source| CompareError::Report { source })?);
        } else {
            say("");
            say(&self.table().to_string());
            say(
                "Figures are medians of the turns. The ratio is Syncline's figure by the peer's: the median of the",
            );
            say("turns' ratios, with the lowest and the highest.");
            for problem in self.lines.iter().flat_map(Line::problems) {
                say(&format!("WRONG: {problem}"));
            }
        }
        Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["", "Syncline", "peer", "ratio (lowest to highest)", "bar", "goal", "met"]);
        for line in &self.lines {
            table.add_row(self.row(line));
        }
        table
    }

    fn row(&self, line: &Line) -> [String; 7] {
        let summary = line.summary();
        let ratio = match (line.comparable, summary.ratio, summary.ratio_lowest, summary.ratio_highest) {
            (false, ..) => "peer is not durable".to_owned(),
            (true, Some(ratio), Some(lowest), Some(highest)) => {
                format!("{ratio:.2}x ({lowest:.2} to {highest:.2})")
            }
            _ => String::new(),
        };
        let than = if line.better == Better::More { "≥" } else { "≤" };
        let wanted =
            |value: Option<f64>| value.map_or_else(String::new, |value| format!("{than} {value:.1}x"));
        [
            line.what.clone(),
            line.unit.show(summary.syncline_median),
            format!("{}: {}", line.peer, line.unit.show(summary.other_median)),
            ratio,
            wanted(line.bar),
            wanted(line.goal),
            self.verdict(&summary).to_owned(),
        ]
    }

    fn verdict(&self, summary: &Summary) -> &'static str {
        match (summary.bar_met, summary.goal_met) {
            (None, None) => "",
            _ if self.quick => "(quick)",
            (_, Some(true)) => "goal",
            (Some(true), _) => "bar",
            (Some(false), _) => "NO",
            (None, Some(false)) => "not the goal",
        }
    }
}

/// A line for people while it runs.
pub(crate) fn talk(plan: &Plan, line: &str) {
    if plan.talks {
        say(line);
    }
}

/// Prints a line. That nobody reads it is no reason to leave servers running.
fn say(line: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(better: Better, syncline: &[f64], other: &[f64]) -> Line {
        Line {
            comparable: true,
            better,
            syncline: syncline.to_vec(),
            other: other.to_vec(),
            bar: Some(1.0),
            goal: Some(2.0),
            ..Line::default()
        }
    }

    #[test]
    fn the_ratio_is_the_median_of_the_ratios_of_the_turns() {
        let summary = line(Better::More, &[10.0, 30.0, 50.0], &[10.0, 20.0, 20.0]).summary();
        assert_eq!(
            (summary.ratio, summary.ratio_lowest, summary.ratio_highest),
            (Some(1.5), Some(1.0), Some(2.5))
        );
        assert_eq!((summary.bar_met, summary.goal_met), (Some(true), Some(false)));
    }

    #[test]
    fn less_is_better_for_times_and_memory() {
        let summary = line(Better::Less, &[15.0], &[10.0]).summary();
        assert_eq!((summary.bar_met, summary.goal_met), (Some(false), Some(true)));
    }

    #[test]
    fn what_is_not_promised_alike_has_no_ratio() {
        let line = Line { comparable: false, ..line(Better::More, &[10.0], &[20.0]) };
        let summary = line.summary();
        assert_eq!((summary.ratio, summary.bar_met, summary.goal_met), (None, None, None));
    }
}
