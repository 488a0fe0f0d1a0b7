//! The machine that is measured on.

use serde::Serialize;

use crate::args::Plan;
use crate::error::CompareError;

/// Open files beside one for each connection.
const SPARE_FILES: u64 = 256;

/// What a reader of figures asks first.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    pub cores: usize,
    /// Runnable tasks over the last minute; much above 0 at the start means that others are at work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_at_start: Option<f64>,
}

impl Machine {
    pub(crate) fn look() -> Machine {
        let load = std::fs::read_to_string("/proc/loadavg").ok();
        Machine {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            load_at_start: load.and_then(|l| l.split_whitespace().next()?.parse().ok()),
        }
    }
}

/// As many open files as the system allows, here and in the servers that are started.
pub(crate) fn raise_file_limit(plan: &Plan) -> Result<(), CompareError> {
    let needed = u64::from(plan.watcher_connections) + SPARE_FILES;
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(allowed) if allowed < needed => Err(CompareError::Files { needed, allowed }),
        // Unknown: an attempt will show it.
        Ok(_) | Err(_) => Ok(()),
    }
}
