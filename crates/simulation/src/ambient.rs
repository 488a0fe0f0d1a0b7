//! The time and the randomness that servers are given.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use syncline::engine::{Clock, Randomness};

/// When simulations begin, in milliseconds since the Unix epoch.
pub(super) const BEGINNING_MS: i64 = 1_767_225_600_000;

/// Simulated time since the beginning, in milliseconds. Call it on a simulated host.
pub(super) fn elapsed_ms() -> u64 {
    turmoil::sim_elapsed().map_or(0, |elapsed| elapsed.as_millis() as u64)
}

/// One server's wall clock: simulated time, and how far it is off.
#[derive(Debug, Default)]
pub(super) struct SimClock {
    off_by_ms: AtomicI64,
}

impl SimClock {
    /// Steps the clock: from now on it is off by this.
    pub(super) fn set_off_by_ms(&self, off_by_ms: i64) {
        self.off_by_ms.store(off_by_ms, Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now_ms(&self) -> i64 {
        BEGINNING_MS + elapsed_ms() as i64 + self.off_by_ms.load(Ordering::SeqCst)
    }
}

/// Randomness by a seed.
pub(super) struct SimRandomness(Mutex<StdRng>);

impl SimRandomness {
    pub(super) fn new(seed: u64) -> SimRandomness {
        SimRandomness(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Randomness for SimRandomness {
    fn number(&self) -> u64 {
        self.0.lock().unwrap().random()
    }

    fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.0.lock().unwrap().random()).into_uuid()
    }
}
