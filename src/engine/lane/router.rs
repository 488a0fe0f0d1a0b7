//! Which lane a job goes to, and the lives of lanes.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::task::TaskTracker;

use syncline_core::ids::WorkspaceNo;

use super::{Job, Lane, Tools};
use crate::engine::error::EngineError;
use crate::engine::hub::lock;

/// Maximum number of jobs that wait for a lane before it takes them to give them their turns; more are refused with a retry
/// delay.
const QUEUE_MAX: usize = 4_096;
/// Maximum number of lanes on this server; jobs of further workspaces are refused with a retry delay.
const LANES_MAX: usize = 4_096;

/// How long lanes may go on writing when the service stops: a database that does not answer must not hold up the stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);

/// Who writes what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum LaneKey {
    /// Everything, where one process owns the database: it has one writer at a time anyway, and shares each commit
    /// among workspaces.
    Everything,
    /// The list of workspaces.
    Registry,
    /// One workspace.
    Workspace(WorkspaceNo),
}

/// The lanes of a server. Cheap to clone.
#[derive(Clone)]
pub(in crate::engine) struct Lanes {
    inner: Arc<Inner>,
}

struct Inner {
    tools: Tools,
    /// `None` once stopped.
    queues: Mutex<Option<HashMap<LaneKey, mpsc::Sender<Job>>>>,
    tasks: TaskTracker,
    bytes_total: Arc<AtomicUsize>,
}

impl Lanes {
    pub(in crate::engine) fn new(tools: Tools) -> Lanes {
        let inner = Inner {
            tools,
            queues: Mutex::new(Some(HashMap::new())),
            tasks: TaskTracker::new(),
            bytes_total: Arc::default(),
        };
        Lanes { inner: Arc::new(inner) }
    }

    /// Hands a job to its lane, starting it if need be.
    pub(in crate::engine) fn send(&self, job: Job) -> Result<(), EngineError> {
        self.inner.tools.read_only.check(&job, &self.inner.tools.hubs)?;
        let key = match (&self.inner.tools.peers, job.workspace()) {
            (None, _) => LaneKey::Everything,
            (Some(_), None) => LaneKey::Registry,
            (Some(_), Some(ws)) => LaneKey::Workspace(ws),
        };
        // Sent under the lock. A lane retires under the same lock, so it cannot be handed a job just before it ends.
        let mut queues = lock(&self.inner.queues);
        let queues = queues.as_mut().ok_or(EngineError::ShuttingDown)?;
        let job = match queues.get(&key) {
            Some(queue) => match queue.try_send(job) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(_)) => return Err(EngineError::Overloaded),
                // A lane that ended without retiring has failed; what it had in memory is lost, but not what it
                // committed.
                Err(TrySendError::Closed(job)) => job,
            },
            None => job,
        };
        if queues.len() >= LANES_MAX && !end_an_idle_one(queues) {
            return Err(EngineError::Overloaded);
        }
        let queue = self.start(key);
        let sent = queue.try_send(job).map_err(|_| EngineError::Overloaded);
        queues.insert(key, queue);
        sent
    }

    fn start(&self, key: LaneKey) -> mpsc::Sender<Job> {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let bytes_total = self.inner.bytes_total.clone();
        let lane = Lane::new(self.inner.tools.clone(), bytes_total, key == LaneKey::Registry);
        let inner = Arc::downgrade(&self.inner);
        let retire = move |queue: &mpsc::Receiver<Job>| {
            let Some(inner) = inner.upgrade() else { return true };
            let mut queues = lock(&inner.queues);
            let idle = queue.is_empty() && key != LaneKey::Everything;
            if let (true, Some(queues)) = (idle, queues.as_mut()) {
                queues.remove(&key);
            }
            idle
        };
        self.inner.tasks.spawn(lane.run(queue, retire));
        sender
    }

    /// Takes no more jobs, and returns when all that were taken are done.
    pub(in crate::engine) async fn stop(&self) {
        // Dropping the queues ends the lanes after the jobs in them.
        drop(lock(&self.inner.queues).take());
        self.inner.tasks.close();
        if tokio::time::timeout(STOP_TIMEOUT, self.inner.tasks.wait()).await.is_err() {
            tracing::warn!(
                "the database did not take what was still to be written; its callers have to ask again"
            );
        }
    }
}

/// Makes room for another lane by ending one without queued jobs. That lane first finishes its current batch, if any; a
/// new one for the same workspace may begin before that, since the lock of the head decides.
fn end_an_idle_one(queues: &mut HashMap<LaneKey, mpsc::Sender<Job>>) -> bool {
    let idle = queues.iter().find(|(_, queue)| queue.capacity() == queue.max_capacity());
    let key = idle.map(|(key, _)| *key);
    key.is_some_and(|key| queues.remove(&key).is_some())
}
