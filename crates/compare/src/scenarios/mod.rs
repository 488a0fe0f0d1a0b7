//! What is measured.

mod fanout;
mod propagation;
mod writes;

use syncline_bench::driver::{Outcome, OutputArgs};

use crate::args::{Plan, Scenario};
use crate::disk::Disk;
use crate::error::CompareError;
use crate::report::Line;
use crate::servers::Programs;
use crate::turns::Turn;

/// Runs one scenario: the lines it has for the report.
pub(crate) async fn run(
    scenario: Scenario,
    programs: &Programs,
    disk: &Disk,
    plan: &Plan,
) -> Result<Vec<Line>, CompareError> {
    match scenario {
        Scenario::Writes256 => writes::run(&writes::IN_FLIGHT_256, programs, disk, plan).await,
        Scenario::Writes64 => writes::run(&writes::IN_FLIGHT_64, programs, disk, plan).await,
        Scenario::Writes1 => writes::run(&writes::IN_FLIGHT_1, programs, disk, plan).await,
        Scenario::Propagation => propagation::run(programs, disk, plan).await,
        Scenario::Fanout => fanout::run(programs, disk, plan).await,
    }
}

/// How the load driver shows what it does.
fn output(plan: &Plan) -> OutputArgs {
    OutputArgs { json: !plan.talks }
}

/// A turn of Syncline.
fn turn_of(outcome: Outcome) -> Turn {
    let mut problems = Vec::new();
    if outcome.errors > 0 {
        let first = outcome.first_error.as_deref().unwrap_or("unknown");
        problems.push(format!("syncline: {} calls failed, the first one: {first}", outcome.errors));
    }
    if outcome.history_ok == Some(false) {
        let violations = outcome.violations.as_deref().unwrap_or_default();
        problems.push(format!("syncline: the history is not what was promised: {violations}"));
    }
    Turn {
        rate_per_s: outcome.rate_per_s,
        p50_us: outcome.p50_us,
        p99_us: outcome.p99_us,
        operations: outcome.operations,
        problems,
    }
}
