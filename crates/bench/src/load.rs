//! Calls at a pace, and how long they took.
//!
//! Closed loop: every caller makes its next call when the last one came back. Open loop: calls are due at a steady
//! rate, and the next free caller makes the one that is due next. A call that had to wait for a free caller is timed
//! from when it was due, so that a server that stalls is charged for the calls it kept from being made ("coordinated
//! omission"). A caller that was waiting for its time is timed from when it woke: the timer's lateness is not the
//! server's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::{Instant, sleep_until};

use crate::BenchError;
use crate::args::PaceArgs;
use crate::progress::Progress;

/// Longest latency that is recorded as it is.
const LATENCY_MAX_US: u64 = 600_000_000;
/// After the end, callers still make what was due before it for this long; the rest counts as errors.
const LATE_MAX: Duration = Duration::from_secs(10);
/// A caller whose call failed makes the next one after this.
const AFTER_FAILURE: Duration = Duration::from_millis(20);

/// When one call began: when it was due, unless its caller was waiting for that and woke later.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// The moment from which the call is timed.
    pub at: Instant,
}

/// Something that makes one call at a time.
pub trait Caller: Send + 'static {
    /// Makes a call, and returns how many operations it carried, or why it failed.
    fn call(&mut self, due: Due) -> impl Future<Output = Result<u64, String>> + Send;
}

/// How long and how hard.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Calls a second; none for a closed loop.
    pub rate_per_s: Option<f64>,
    /// How long calls run before, unmeasured.
    pub warmup: Duration,
    /// How long is measured, after the warm-up.
    pub measured: Duration,
}

impl From<&PaceArgs> for Pace {
    fn from(args: &PaceArgs) -> Pace {
        Pace {
            rate_per_s: args.rate,
            warmup: Duration::from_secs(args.warmup_seconds.into()),
            measured: Duration::from_secs(args.seconds.into()),
        }
    }
}

/// Latencies in microseconds, to three digits.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// No latencies yet; there is room for those up to ten minutes.
    pub fn new() -> Result<Latencies, BenchError> {
        let histogram = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3);
        histogram.map(Latencies).map_err(|error| BenchError::Other(error.to_string()))
    }

    /// Takes in one latency; one of more than ten minutes counts as ten minutes.
    pub fn record(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(us);
    }

    /// Latency that this part of the calls (0 to 1) stayed within.
    pub fn quantile_us(&self, part: f64) -> u64 {
        self.0.value_at_quantile(part)
    }

    pub(super) fn max_us(&self) -> u64 {
        self.0.max()
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Takes in everything that `other` has.
    pub fn add(&mut self, other: &Latencies) {
        // Both have the same bounds, so it cannot fail.
        let _ = self.0.add(&other.0);
    }
}

/// What calls came to.
#[derive(Debug)]
pub struct Measured {
    /// How long the calls took that began after the warm-up and succeeded.
    pub latencies: Latencies,
    /// Operations within the measured time.
    pub operations: u64,
    /// Calls that failed, or were due and could not be made; those of the warm-up count as well.
    pub errors: u64,
    /// Why a call failed; none when none did.
    pub first_error: Option<String>,
    /// How long was measured.
    pub seconds: f64,
}

impl Measured {
    /// Operations a second, over the measured time.
    pub fn rate_per_s(&self) -> f64 {
        self.operations as f64 / self.seconds.max(f64::EPSILON)
    }
}

/// The run's times.
#[derive(Debug, Clone, Copy)]
struct Times {
    start: Instant,
    measured_from: Instant,
    end: Instant,
}

/// One caller's part.
struct Tally {
    latencies: Latencies,
    operations: u64,
    errors: u64,
    first_error: Option<String>,
}

/// Counts that the progress shows.
#[derive(Default)]
struct Shared {
    next: AtomicU64,
    operations: AtomicU64,
}

/// Lets the callers make calls at a pace, and returns them afterwards with what they wrote down.
pub async fn drive<C: Caller>(
    callers: Vec<C>,
    pace: Pace,
    progress: &Progress,
) -> Result<(Measured, Vec<C>), BenchError> {
    let start = Instant::now();
    let measured_from = start + pace.warmup;
    let times = Times { start, measured_from, end: measured_from + pace.measured };
    let shared = Arc::new(Shared::default());
    let mut tasks = Vec::with_capacity(callers.len());
    for caller in callers {
        let tally = Tally { latencies: Latencies::new()?, operations: 0, errors: 0, first_error: None };
        tasks.push(tokio::spawn(calls(caller, pace.rate_per_s, times, shared.clone(), tally)));
    }
    let counted = shared.clone();
    let shown =
        progress.timed(pace.warmup + pace.measured, move || counted.operations.load(Ordering::Relaxed));
    let mut whole = Measured {
        latencies: Latencies::new()?,
        operations: 0,
        errors: 0,
        first_error: None,
        seconds: pace.measured.as_secs_f64(),
    };
    let mut callers = Vec::with_capacity(tasks.len());
    for task in tasks {
        let (caller, tally) = task.await.map_err(|error| BenchError::Other(error.to_string()))?;
        whole.latencies.add(&tally.latencies);
        whole.operations += tally.operations;
        whole.errors += tally.errors;
        whole.first_error = whole.first_error.or(tally.first_error);
        callers.push(caller);
    }
    drop(shown);
    Ok((whole, callers))
}

async fn calls<C: Caller>(
    mut caller: C,
    rate_per_s: Option<f64>,
    times: Times,
    shared: Arc<Shared>,
    mut tally: Tally,
) -> (C, Tally) {
    loop {
        let now = Instant::now();
        let due = match rate_per_s {
            None => now,
            Some(rate) => {
                let ticket = shared.next.fetch_add(1, Ordering::Relaxed);
                times.start + Duration::from_secs_f64(ticket as f64 / rate)
            }
        };
        if due >= times.end {
            return (caller, tally);
        }
        if now > times.end + LATE_MAX {
            tally.fail("a call was due and could not be made: all callers were busy".to_owned());
            continue;
        }
        let begun = if due > now {
            sleep_until(due).await;
            Instant::now()
        } else {
            due
        };
        let answer = caller.call(Due { at: begun }).await;
        let ended = Instant::now();
        match answer {
            Ok(operations) => {
                shared.operations.fetch_add(operations, Ordering::Relaxed);
                if begun >= times.measured_from {
                    tally.latencies.record(ended.duration_since(begun));
                }
                if ended >= times.measured_from && ended < times.end {
                    tally.operations += operations;
                }
            }
            Err(error) => {
                tally.fail(error);
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

impl Tally {
    fn fail(&mut self, error: String) {
        self.errors += 1;
        self.first_error.get_or_insert(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes this long for its first call, and no time for the others.
    struct Stalls {
        first: Option<Duration>,
    }

    impl Caller for Stalls {
        async fn call(&mut self, _: Due) -> Result<u64, String> {
            if let Some(first) = self.first.take() {
                tokio::time::sleep(first).await;
            }
            Ok(1)
        }
    }

    /// Fails every call.
    struct Fails;

    impl Caller for Fails {
        async fn call(&mut self, _: Due) -> Result<u64, String> {
            Err("no".to_owned())
        }
    }

    fn pace(rate_per_s: Option<f64>) -> Pace {
        Pace { rate_per_s, warmup: Duration::ZERO, measured: Duration::from_secs(2) }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_a_stall_kept_from_being_made_are_charged_to_it() {
        let callers = vec![Stalls { first: Some(Duration::from_secs(1)) }];
        let (measured, _) = drive(callers, pace(Some(100.0)), &Progress::hidden()).await.expect("measured");
        assert_eq!(measured.latencies.count(), 200, "all that were due, late or not");
        // Half of the calls were due while the first one stalled: they waited half a second on average.
        let (p75, p50) = (measured.latencies.quantile_us(0.75), measured.latencies.quantile_us(0.5));
        assert!((480_000..=520_000).contains(&p75), "{p75}");
        assert!(p50 < 20_000, "{p50}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_can_no_longer_be_made_is_an_error() {
        let callers = vec![Stalls { first: Some(Duration::from_secs(60)) }];
        let (measured, _) = drive(callers, pace(Some(10.0)), &Progress::hidden()).await.expect("measured");
        assert_eq!(measured.errors, 19);
    }

    #[tokio::test(start_paused = true)]
    async fn failed_calls_are_counted_and_give_their_reason() {
        let (measured, _) =
            drive(vec![Fails], pace(Some(10.0)), &Progress::hidden()).await.expect("measured");
        assert_eq!((measured.errors, measured.operations), (20, 0));
        assert_eq!(measured.first_error.as_deref(), Some("no"));
    }
}
