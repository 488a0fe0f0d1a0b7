//! Time and randomness as arguments, so that a simulation can provide its own.

use uuid::Uuid;

/// The wall clock.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;
}

/// A source of randomness.
pub trait Randomness: Send + Sync + 'static {
    /// A random number.
    fn number(&self) -> u64;
    /// A random id.
    fn uuid(&self) -> Uuid;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is where the ambient clock comes in")]
    fn now_ms(&self) -> i64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The machine's randomness.
#[derive(Debug, Default)]
pub struct SystemRandomness;

#[allow(clippy::disallowed_methods, reason = "this is where ambient randomness comes in")]
impl Randomness for SystemRandomness {
    fn number(&self) -> u64 {
        Uuid::new_v4().as_u64_pair().0
    }

    fn uuid(&self) -> Uuid {
        Uuid::new_v4()
    }
}
