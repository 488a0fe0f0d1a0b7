//! A process of its own for each seed (see [`crate::interpose`]), two at a time.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::world::Verdict;
use syncline_core::seeded_faults::SeededFault;

/// Processes at a time.
const PROCESSES_MAX: usize = 2;
/// What the line with the verdict begins with.
const MARK: &str = "verdict ";

/// Tells the verdict to the process that started this one.
pub fn tell(verdict: &Verdict) {
    println!("\n{MARK}{}", serde_json::to_string(verdict).unwrap());
}

/// One run in a process of its own, which is started from the program `simulate`.
pub fn run_alone(simulate: &Path, seed: u64, fault: Option<SeededFault>) -> Verdict {
    let mut command = Command::new(simulate);
    command.args(["--alone", "--seed", &seed.to_string()]).stdin(Stdio::null());
    if let Some(fault) = fault {
        command.args(["--fault", &format!("{fault:?}")]);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let verdict = said.lines().find_map(|line| line.strip_prefix(MARK));
    match verdict.map(serde_json::from_str) {
        Some(Ok(verdict)) => verdict,
        _ => {
            let error = String::from_utf8_lossy(&output.stderr);
            panic!("seed {seed} came to no verdict: {said}\n{error}");
        }
    }
}

/// Runs a check that takes a process for each number, and returns what is wrong.
pub fn each(numbers: std::ops::Range<u64>, check: impl Fn(u64) -> Option<String> + Sync) -> Vec<String> {
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
