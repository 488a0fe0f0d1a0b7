//! What fails in one job fails that job alone.
//!
//! A batch is one transaction for jobs of many workspaces, and any error ends it. So when something fails that is the
//! fault of one job (its data are damaged, the database refuses a value of it, the code panics over it), the batch is
//! settled again in smaller groups: the workspaces that have nothing to do with it in one, and each job of the workspace
//! at fault in a transaction of its own. Where only the commit tells that something is wrong, and not whose it is, the
//! group is halved until it does. A job is given up only when it fails on its own, with its data read anew.
//!
//! A failure of the database itself concerns everybody, and nothing is settled again after it.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use syncline_core::fault;
use syncline_core::ids::WorkspaceNo;

use super::figures::kind_of;
use super::{Job, Lane};
use crate::engine::error::EngineError;
use crate::store::StoreError;
use crate::telemetry;

/// How long a workspace settles apart from others after one of its jobs has failed.
const SUSPECT_MS: i64 = 60_000;
/// Maximum number of workspaces that settle apart.
const SUSPECTS_MAX: usize = 1_024;

/// Why a group of jobs could not be settled.
pub(super) struct Failed {
    /// The workspace whose data were at work, if any were; the inner value is absent for a job that is about none.
    pub at_work: Option<Option<WorkspaceNo>>,
    /// What went wrong.
    pub cause: Cause,
}

/// What went wrong.
pub(super) enum Cause {
    Store(StoreError),
    /// What the panic said.
    Panic(String),
}

impl Cause {
    /// Whether settling the others without the one at fault helps.
    fn is_of_one_job(&self) -> bool {
        match self {
            Cause::Panic(_)
            | Cause::Store(
                StoreError::Inconsistent(_) | StoreError::Refused(_) | StoreError::WorkspaceExists(_),
            ) => true,
            Cause::Store(
                StoreError::Database(_)
                | StoreError::CommitUnknown(_)
                | StoreError::Contended(_)
                | StoreError::DiskFull
                | StoreError::Unusable(_),
            ) => false,
        }
    }

    fn label(&self) -> &'static str {
        match self {
            Cause::Store(error) => kind_of(error),
            Cause::Panic(_) => "panic",
        }
    }
}

/// Workspaces that settle apart, because a job of theirs failed lately: whoever sends such jobs again and again must not
/// make others be settled twice each time.
#[derive(Default)]
pub(super) struct Suspects {
    until_ms: HashMap<WorkspaceNo, i64>,
}

impl Suspects {
    /// The jobs of all others as one group, and each job of a suspect as one of its own.
    pub fn apart(&mut self, jobs: Vec<Job>, now_ms: i64) -> VecDeque<Vec<Job>> {
        self.until_ms.retain(|_, until_ms| *until_ms > now_ms);
        let suspected = |job: &Job| job.workspace().is_some_and(|ws| self.until_ms.contains_key(&ws));
        let (alone, together): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(suspected);
        std::iter::once(together).chain(alone.into_iter().map(|job| vec![job])).collect()
    }

    /// Notes a failure; returns whether it is the first one of the workspace.
    fn add(&mut self, ws: WorkspaceNo, now_ms: i64) -> bool {
        if self.until_ms.len() >= SUSPECTS_MAX && !self.until_ms.contains_key(&ws) {
            return false;
        }
        self.until_ms.insert(ws, now_ms.saturating_add(SUSPECT_MS)).is_none()
    }
}

impl Lane {
    /// Answers the jobs that have failed, and puts those that can be settled again before all that wait.
    pub(super) fn contain(&mut self, mut jobs: Vec<Job>, failed: Failed, waiting: &mut VecDeque<Vec<Job>>) {
        let Failed { at_work, cause } = failed;
        metrics::counter!(telemetry::STORE_ERRORS_TOTAL, "kind" => cause.label()).increment(1);
        if !cause.is_of_one_job() {
            return self.fail(jobs, cause);
        }
        let at_fault = match jobs.as_slice() {
            [only] => only.workspace(),
            _ => at_work.flatten(),
        };
        let now_ms = self.tools.clock.now_ms();
        let is_first = at_fault.is_some_and(|ws| self.suspects.add(ws, now_ms));
        if jobs.len() <= 1 && !is_first {
            return self.fail(jobs, cause);
        }
        let groups = match at_work {
            _ if jobs.len() <= 1 => vec![jobs],
            Some(ws) if jobs.iter().any(|job| job.workspace() == ws) => {
                let (its, others): (Vec<Job>, Vec<Job>) =
                    jobs.into_iter().partition(|job| job.workspace() == ws);
                std::iter::once(others).chain(its.into_iter().map(|job| vec![job])).collect()
            }
            _ => {
                // Jobs of a workspace stay together and in their order.
                jobs.sort_by_key(Job::workspace);
                let rest = jobs.split_off(jobs.len() / 2);
                vec![jobs, rest]
            }
        };
        groups.into_iter().rev().for_each(|group: Vec<Job>| waiting.push_front(group));
    }

    fn fail(&self, jobs: Vec<Job>, cause: Cause) {
        let ws = jobs.first().and_then(Job::workspace);
        let error = match (cause, ws) {
            (Cause::Store(error @ StoreError::Inconsistent(_)), Some(ws)) => {
                self.tools.read_only.close(ws, &self.tools.hubs, &error)
            }
            (Cause::Store(error), _) => EngineError::from(error),
            (Cause::Panic(words), ws) => {
                let workspace = ws.map(|ws| self.tools.hubs.id_of(ws));
                tracing::error!(workspace, panic = words, "a call of this workspace made its lane panic");
                EngineError::Panicked
            }
        };
        let lies = fault!(FailureAnsweredAsSuccess);
        jobs.into_iter().for_each(|job| job.answer(if lies { Ok(()) } else { Err(error.clone()) }));
    }
}

/// What `work` returns, or the words of the panic that ended it.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| words_of(&*panic))
}

/// The output of `work`, or the words of the panic that ended it. What it had changed has to be forgotten then.
pub(super) async fn guarded<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let mut work = pin!(work);
    poll_fn(|cx| match caught(|| work.as_mut().poll(cx)) {
        Ok(polled) => polled.map(Ok),
        Err(words) => Poll::Ready(Err(words)),
    })
    .await
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words").to_owned()
}
