//! What a person sees while a scenario runs. Drawn on standard error, and only when that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

/// How often a timed bar moves.
const TICK: Duration = Duration::from_millis(200);

/// Draws bars, or none.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    hidden: bool,
}

impl Progress {
    /// Bars for people; none when the output is for programs.
    pub fn new(json: bool) -> Progress {
        Progress { hidden: json }
    }

    /// No bars.
    #[cfg(test)]
    pub(super) fn hidden() -> Progress {
        Progress { hidden: true }
    }

    /// A bar over so many steps of `what`.
    pub fn steps(&self, what: &str, steps: u64) -> ProgressBar {
        if self.hidden {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(steps).with_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{msg}: {bar:40} {human_pos}/{human_len}, {eta} left")
        {
            bar.set_style(style);
        }
        bar
    }

    /// A bar over a time, with a count that grows; it disappears when the returned value is dropped.
    pub(super) fn timed(&self, whole: Duration, count: impl Fn() -> u64 + Send + 'static) -> Timed {
        if self.hidden {
            return Timed { bar: ProgressBar::hidden(), ticking: None };
        }
        let bar = ProgressBar::new(u64::try_from(whole.as_millis()).unwrap_or(u64::MAX));
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {elapsed} {msg}") {
            bar.set_style(style);
        }
        let shown = bar.clone();
        let ticking = tokio::spawn(async move {
            let mut before = count();
            loop {
                tokio::time::sleep(TICK).await;
                let now = count();
                let rate = (now - before) as f64 / TICK.as_secs_f64();
                before = now;
                shown.inc(u64::try_from(TICK.as_millis()).unwrap_or(0));
                shown.set_message(format!("{now} so far, {rate:.0} a second"));
            }
        });
        Timed { bar, ticking: Some(ticking) }
    }
}

/// A bar that moves by itself.
pub(super) struct Timed {
    bar: ProgressBar,
    ticking: Option<JoinHandle<()>>,
}

impl Drop for Timed {
    fn drop(&mut self) {
        if let Some(ticking) = &self.ticking {
            ticking.abort();
        }
        self.bar.finish_and_clear();
    }
}
