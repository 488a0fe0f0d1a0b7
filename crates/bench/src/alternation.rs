//! Two ways measured in turn, so that changes in the machine's speed affect both alike.

use tokio::time::Instant;

use crate::BenchError;
use crate::load::{Caller, Due, Latencies};
use crate::progress::Progress;

/// Makes `rounds` calls of each caller in turn, and returns how long those of the first and of the second took.
pub(super) async fn alternate<A: Caller, B: Caller>(
    first: &mut A,
    second: &mut B,
    rounds: u32,
    what: &str,
    progress: &Progress,
) -> Result<(Latencies, Latencies), BenchError> {
    let (mut of_first, mut of_second) = (Latencies::new()?, Latencies::new()?);
    let bar = progress.steps(what, rounds.into());
    for _ in 0..rounds {
        of_first.record(timed(first).await?);
        of_second.record(timed(second).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok((of_first, of_second))
}

async fn timed(caller: &mut impl Caller) -> Result<std::time::Duration, BenchError> {
    let begun = Instant::now();
    caller.call(Due { at: begun }).await.map_err(BenchError::Other)?;
    Ok(begun.elapsed())
}
