//! A process of its own for each seed (see [`super::interpose`]), two at a time.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::world::Verdict;
use crate::domain::mutants::Mutant;

/// Processes at a time.
const PROCESSES_MAX: usize = 2;
/// What the line with the verdict begins with.
const MARK: &str = "verdict ";

/// Tells the verdict to the process that started this one.
pub(super) fn tell(verdict: &Verdict) {
    println!("\n{MARK}{}", serde_json::to_string(verdict).unwrap());
}

/// One run in a process of its own.
pub(super) fn run(seed: u64, mutant: Option<Mutant>) -> Verdict {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["simulation::one_seed", "--exact", "--ignored", "--nocapture", "--test-threads", "2"])
        .env("SYNCLINE_SEED", seed.to_string())
        .env_remove("SYNCLINE_TRACE")
        .env("SYNCLINE_FAULT", mutant.map(|mutant| format!("{mutant:?}")).unwrap_or_default())
        .stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let verdict = said.lines().find_map(|line| line.strip_prefix(MARK));
    match verdict.map(serde_json::from_str) {
        Some(Ok(verdict)) => verdict,
        _ => {
            let error = String::from_utf8_lossy(&output.stderr);
            panic!("seed {seed} came to no verdict: {said}\n{error}\nagain: {}", again(seed, mutant));
        }
    }
}

/// Runs seeds, and hands every verdict to the judge. Returns what judges say is wrong.
pub(super) fn run_each(
    seeds: std::ops::Range<u64>,
    judge: impl Fn(u64, Verdict) -> Option<String> + Sync,
) -> Vec<String> {
    each(seeds, |seed| judge(seed, run(seed, None)))
}

/// Does something that takes a process for each number, and returns what is wrong.
pub(super) fn each(
    numbers: std::ops::Range<u64>,
    check: impl Fn(u64) -> Option<String> + Sync,
) -> Vec<String> {
    let next = AtomicU64::new(numbers.start);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..PROCESSES_MAX {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= numbers.end {
                        return;
                    }
                    let complaint = check(number);
                    wrong.lock().unwrap().extend(complaint);
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

/// The command that runs a seed again and shows what happens.
pub(super) fn again(seed: u64, mutant: Option<Mutant>) -> String {
    let fault = mutant.map(|mutant| format!(" SYNCLINE_FAULT={mutant:?}")).unwrap_or_default();
    format!(
        "SYNCLINE_SEED={seed}{fault} SYNCLINE_TRACE=1 cargo test --lib simulation::one_seed -- \
         --exact --ignored --nocapture"
    )
}
