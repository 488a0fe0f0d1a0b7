//! Whose jobs are next: the workspaces that wait take turns.
//!
//! A database that one process owns has one lane for all workspaces. In every round each of them gets a share of the next
//! batch, whatever waits behind it, so that a workspace with few writes waits for one batch and not for the queues of the
//! busy ones. A call with many operations gets its share in several batches.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use syncline_core::ids::WorkspaceNo;

use super::Job;
use super::job::{allow, weight};

/// Approximate maximum number of operations in one transaction.
const BATCH_OPERATIONS: usize = 1_024;
/// The same while several workspaces write: each of them waits for the batch that is at work when its job comes.
const SHARED_BATCH_OPERATIONS: usize = 256;
/// How long batches stay small after several workspaces have written.
const SHARED_FOR: Duration = Duration::from_secs(1);
/// How many operations a workspace may add to a batch in one round.
const SHARE_OPERATIONS: usize = 64;
/// Maximum number of jobs taken out of the queue to wait for their turn here; the others wait in the queue.
const WAITING_MAX: usize = 4_096;

/// Jobs that wait, by workspace.
#[derive(Default)]
pub(super) struct Turns {
    queues: HashMap<Option<WorkspaceNo>, VecDeque<Job>>,
    /// The workspaces that have jobs here, in the order of their turns.
    order: VecDeque<Option<WorkspaceNo>>,
    len: usize,
    /// When jobs of several workspaces waited last.
    last_shared: Option<Instant>,
}

impl Turns {
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn is_full(&self) -> bool {
        self.len >= WAITING_MAX
    }

    /// Adds a job behind those of its workspace. One whose caller has gone is dropped: nobody waits for it, and whoever
    /// wants it asks again.
    pub fn push(&mut self, job: Job) {
        if job.is_abandoned() {
            return;
        }
        let ws = job.workspace();
        let queue = self.queues.entry(ws).or_default();
        if queue.is_empty() {
            self.order.push_back(ws);
        }
        queue.push_back(job);
        self.len += 1;
    }

    /// Puts jobs back for which there was no time: their workspaces are the first ones in the next batch.
    pub fn put_back(&mut self, jobs: Vec<Job>) {
        let first = self.take_out(&jobs);
        first.into_iter().rev().for_each(|ws| self.order.push_front(ws));
        self.put_before(jobs);
    }

    /// Puts jobs back that go on: their workspaces had their turn.
    pub fn go_on(&mut self, jobs: Vec<Job>) {
        let last = self.take_out(&jobs);
        self.order.extend(last);
        self.put_before(jobs);
    }

    /// Takes the workspaces of these jobs out of the order, and returns each of them once.
    fn take_out(&mut self, jobs: &[Job]) -> Vec<Option<WorkspaceNo>> {
        let mut found = HashSet::new();
        let workspaces = jobs.iter().map(Job::workspace).filter(|ws| found.insert(*ws)).collect();
        self.order.retain(|ws| !found.contains(ws));
        workspaces
    }

    /// Puts jobs before those of their workspaces, in their order.
    fn put_before(&mut self, jobs: Vec<Job>) {
        self.len += jobs.len();
        for job in jobs.into_iter().rev() {
            self.queues.entry(job.workspace()).or_default().push_front(job);
        }
    }

    /// The next batch: a share of each workspace's jobs, round after round. Jobs that fit in part are allowed that part. Returns
    /// how many operations it has.
    pub fn batch(&mut self) -> (Vec<Job>, usize) {
        if self.order.len() > 1 {
            self.last_shared = Some(Instant::now());
        }
        let is_shared = self.last_shared.is_some_and(|at| at.elapsed() < SHARED_FOR);
        let limit = if is_shared { SHARED_BATCH_OPERATIONS } else { BATCH_OPERATIONS };
        let mut operations = 0;
        let mut shares: HashMap<Option<WorkspaceNo>, usize> = HashMap::new();
        let waiting = |ws: &_| self.queues.get(ws).map_or(0, |queue| queue.iter().map(weight).sum());
        let mut round: VecDeque<(Option<WorkspaceNo>, usize)> =
            self.order.iter().map(|ws| (*ws, waiting(ws))).collect();
        while let Some((ws, waiting)) = round.pop_front().filter(|_| operations < limit) {
            let more = SHARE_OPERATIONS.min(waiting);
            *shares.entry(ws).or_default() += more;
            operations += more;
            if waiting > more {
                round.push_back((ws, waiting - more));
            }
        }
        let mut jobs = Vec::new();
        // Those for whom the batch had no room are the first ones in the next.
        let (served, mut order): (VecDeque<_>, VecDeque<_>) =
            self.order.drain(..).partition(|ws| shares.contains_key(ws));
        for ws in served {
            self.take(ws, shares.get(&ws).copied().unwrap_or_default(), &mut jobs);
            if self.queues.get(&ws).is_some_and(|queue| !queue.is_empty()) {
                order.push_back(ws);
            } else {
                self.queues.remove(&ws);
            }
        }
        self.order = order;
        (jobs, operations)
    }

    /// Takes jobs of a workspace for its share.
    fn take(&mut self, ws: Option<WorkspaceNo>, mut share: usize, jobs: &mut Vec<Job>) {
        let Some(queue) = self.queues.get_mut(&ws) else { return };
        while share > 0
            && let Some(mut job) = queue.pop_front()
        {
            self.len -= 1;
            if job.is_abandoned() {
                continue;
            }
            share = share.saturating_sub(allow(&mut job, share));
            jobs.push(job);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::job::Progress;
    use super::super::tests::write;
    use super::*;
    use crate::engine::error::EngineError;
    use crate::engine::lane::Reply;
    use syncline_core::operation::Receipt;
    use tokio::sync::oneshot;

    type Answer = oneshot::Receiver<Result<(Vec<Receipt>, u64), EngineError>>;

    fn call(ws: i64, operations: usize, all_or_nothing: bool) -> (Job, Answer) {
        let (reply, answer) = Reply::new();
        let operations = (0..operations).map(|n| write(&format!("{n}"))).collect();
        let progress = Progress::default();
        (Job::Submit { ws: WorkspaceNo(ws), operations, all_or_nothing, progress, reply }, answer)
    }

    /// The workspaces of a batch's jobs, each with how many operations it may settle.
    fn allowed(jobs: &[Job]) -> Vec<(i64, usize)> {
        let of = |job: &Job| match job {
            Job::Submit { ws, operations, progress, .. } => (ws.0, progress.next(operations).len()),
            other => panic!("no call: {:?}", other.workspace()),
        };
        jobs.iter().map(of).collect()
    }

    #[test]
    fn a_call_of_a_quiet_workspace_is_in_the_next_batch_whatever_waits_before_it() {
        let mut turns = Turns::default();
        let mut answers = Vec::new();
        for (ws, operations) in [(1, 1_000), (1, 1_000), (1, 1_000), (2, 900), (3, 2), (3, 1)] {
            let (job, answer) = call(ws, operations, false);
            turns.push(job);
            answers.push(answer);
        }
        let (jobs, operations) = turns.batch();
        assert_eq!(operations, SHARED_BATCH_OPERATIONS + 3);
        assert_eq!(allowed(&jobs), [(1, 128), (2, 128), (3, 2), (3, 1)]);
        // What had its turn goes on before what waits behind it, and whoever had none begins.
        let mut rest = jobs.into_iter();
        turns.go_on(rest.by_ref().take(1).collect());
        turns.put_back(rest.take(1).collect());
        let (jobs, _) = turns.batch();
        assert_eq!(allowed(&jobs), [(2, 128), (1, 128)]);
    }

    /// Also where each of them sends more single operations than fit into its share, so that none of its jobs is divided.
    #[test]
    fn every_workspace_has_its_turn_however_many_there_are() {
        let mut turns = Turns::default();
        let mut answers = Vec::new();
        for ws in 0..12 {
            for _ in 0..200 {
                let (job, answer) = call(ws, 1, false);
                turns.push(job);
                answers.push(answer);
            }
        }
        let mut served = HashSet::new();
        for _ in 0..3 {
            let (jobs, _) = turns.batch();
            served.extend(allowed(&jobs).into_iter().map(|(ws, _)| ws));
        }
        assert_eq!(served.len(), 12, "{served:?}");
    }

    #[test]
    fn a_workspace_alone_has_the_whole_batch_and_what_settles_together_is_not_divided() {
        let mut turns = Turns::default();
        let (first, _one) = call(1, 1_000, false);
        let (second, _other) = call(1, 1_000, true);
        turns.push(first);
        turns.push(second);
        let (jobs, _) = turns.batch();
        assert_eq!(allowed(&jobs), [(1, 1_000), (1, 1_000)]);
        assert!(turns.is_empty() && turns.batch().0.is_empty());
    }

    #[test]
    fn a_job_whose_caller_has_gone_is_dropped() {
        let mut turns = Turns::default();
        let (early, gone) = call(1, 1, false);
        drop(gone);
        turns.push(early);
        assert!(turns.is_empty());
        let (late, gone) = call(1, 1, false);
        let (waited_for, _waits) = call(1, 2, false);
        turns.push(late);
        turns.push(waited_for);
        drop(gone);
        let (jobs, _) = turns.batch();
        assert_eq!(allowed(&jobs), [(1, 2)]);
        assert!(turns.is_empty());
    }
}
