//! What the store does to its callers at the moment. One for all servers, so that it survives their crashes.

use std::sync::Mutex;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use syncline::store::memory::CommitFault;

/// A stalled store is asked again this often whether it goes on.
const STALL_STEP: Duration = Duration::from_millis(5);

/// What the store does to its callers.
pub(super) struct StoreFaults(Mutex<Now>);

struct Now {
    dice: StdRng,
    stalled: bool,
    call_ms: u64,
    commits: [u8; 3],
    /// Per server: how many calls are left until it crashes, and whether after the call took effect.
    crash_in: Vec<Option<(u32, bool)>>,
    /// Servers that have to be crashed at the end of this tick.
    crash_now: Vec<usize>,
}

impl StoreFaults {
    pub(super) fn new(seed: u64, servers: usize) -> StoreFaults {
        StoreFaults(Mutex::new(Now {
            dice: StdRng::seed_from_u64(seed ^ 0x3ea),
            stalled: false,
            call_ms: 0,
            commits: [0; 3],
            crash_in: vec![None; servers],
            crash_now: Vec::new(),
        }))
    }

    fn now<R>(&self, change: impl FnOnce(&mut Now) -> R) -> R {
        change(&mut self.0.lock().unwrap())
    }

    pub(super) fn stall(&self, stalled: bool) {
        self.now(|now| now.stalled = stalled);
    }

    pub(super) fn slow(&self, call_ms: u64) {
        self.now(|now| now.call_ms = call_ms);
    }

    /// How many of a hundred commits are refused, unknown and lost, unknown and stored.
    pub(super) fn bad_commits(&self, commits: [u8; 3]) {
        self.now(|now| now.commits = commits);
    }

    pub(super) fn crash_in(&self, server: usize, calls: Option<(u32, bool)>) {
        self.now(|now| now.crash_in[server] = calls);
    }

    /// Servers that reached the call at which they have to crash.
    pub(super) fn to_crash(&self) -> Vec<usize> {
        self.now(|now| std::mem::take(&mut now.crash_now))
    }

    pub(super) fn clear(&self) {
        self.now(|now| {
            (now.stalled, now.call_ms, now.commits) = (false, 0, [0; 3]);
            now.crash_in.iter_mut().for_each(|calls| *calls = None);
        });
    }

    /// Before a call of the store.
    pub(super) async fn before(&self, server: usize) {
        let crashes = self.now(|now| {
            let Some((left, after)) = now.crash_in[server].as_mut() else { return false };
            *left = left.saturating_sub(1);
            let crashes = *left == 0 && !*after;
            if crashes {
                now.crash_in[server] = None;
                now.crash_now.push(server);
            }
            crashes
        });
        if crashes {
            std::future::pending::<()>().await;
        }
        self.pause().await;
    }

    /// After a call of the store took effect, before its caller learns of it.
    pub(super) async fn after(&self, server: usize) {
        let crashes = self.now(|now| {
            let crashes = now.crash_in[server] == Some((0, true));
            if crashes {
                now.crash_in[server] = None;
                now.crash_now.push(server);
            }
            crashes
        });
        if crashes {
            std::future::pending::<()>().await;
        }
        self.pause().await;
    }

    /// What becomes of the next commit.
    pub(super) fn commit_fault(&self) -> Option<CommitFault> {
        self.now(|now| {
            let [full, lost, stored] = now.commits;
            match now.dice.random_range(0..100u8) {
                n if n < full => Some(CommitFault::DiskFull),
                n if n < full + lost => Some(CommitFault::UnknownLost),
                n if n < full + lost + stored => Some(CommitFault::UnknownStored),
                _ => None,
            }
        })
    }

    async fn pause(&self) {
        while self.now(|now| now.stalled) {
            tokio::time::sleep(STALL_STEP).await;
        }
        let ms = self.now(|now| match now.dice.random_range(0..10) {
            _ if now.call_ms > 0 => now.dice.random_range(0..=now.call_ms),
            0 => now.dice.random_range(1..5),
            _ => 0,
        });
        if ms > 0 {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
    }
}
