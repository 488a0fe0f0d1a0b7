//! An [`author`](super::author) process seen from outside: started, listened to, closed or killed.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::author::Task;
use super::ledger::Told;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A line, and whether the power was on when it was read.
type Line = (String, bool);

/// The process. Dropping it kills it.
pub struct Victim {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Line>,
    power: Arc<AtomicBool>,
    told: Told,
}

impl Victim {
    pub fn start(task: &Task) -> Victim {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["power_loss::author::author", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(Task::VARIABLE, task.to_text())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let (input, output) = (child.stdin.take(), child.stdout.take().expect("its output"));
        let power = Arc::new(AtomicBool::new(true));
        let (send, lines) = channel();
        let power_seen = power.clone();
        std::thread::spawn(move || {
            let (mut output, mut line) = (BufReader::new(output), String::new());
            // A last line without its end is cut off: its numbers are not what was meant.
            while output.read_line(&mut line).is_ok() && line.ends_with('\n') {
                let _ = send.send((line.trim_end().to_owned(), power_seen.load(Ordering::SeqCst)));
                line.clear();
            }
        });
        Victim { child, input, lines, power, told: Told::default() }
    }

    /// Reads on until a line begins so.
    pub fn until(&mut self, beginning: &str) {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok((line, power)) => {
                    self.note(&line, power);
                    if line.starts_with(beginning) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no {beginning:?} within {PATIENCE:?}"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended before {beginning:?}: {:?}", self.child.wait())
                }
            }
        }
    }

    /// The power is about to be cut: from now on it may fail.
    pub fn power_goes(&self) {
        self.power.store(false, Ordering::SeqCst);
    }

    /// Asks it to stop in order.
    pub fn close(&mut self) {
        self.input = None;
    }

    /// Ends it, in whatever state, and returns all that it told.
    pub fn kill(mut self) -> Told {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
        while let Ok((line, power)) = self.lines.recv_timeout(PATIENCE) {
            self.note(&line, power);
        }
        std::mem::take(&mut self.told)
    }

    fn note(&mut self, line: &str, power: bool) {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        let numbers = || {
            let numbers: Vec<u64> = rest.split(' ').map(|n| n.parse().expect("a number")).collect();
            <[u64; 3]>::try_from(numbers).expect("three numbers")
        };
        match what {
            "opened" => self.told.opened = true,
            // What was delivered without power did not reach anybody.
            "fed" if !power => {}
            "log" | "fed" => {
                let [seq, writer, counter] = numbers();
                let told = if what == "log" { &mut self.told.log } else { &mut self.told.delivered };
                told.push((seq, (writer, counter)));
            }
            "ack" => {
                let [writer, counter, seq] = numbers();
                let told = if power { &mut self.told.acknowledged } else { &mut self.told.too_late };
                told.push(((writer, counter), seq));
            }
            "failed" => assert!(!power, "it failed while the power was on: {rest}"),
            _ => {}
        }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
