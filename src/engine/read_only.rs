//! Workspaces that nothing more is written to, because their stored data contradict themselves.
//!
//! Writing on would build on what is wrong, and each attempt would cost the other workspaces of its batch. What is noted
//! here is noted in memory only: a server that is started again finds out anew, so that data that were mended or restored
//! need a restart and nothing else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crate::store::StoreError;
use crate::telemetry;
use syncline_core::ids::WorkspaceNo;

use super::error::EngineError;
use super::hub::{Hubs, lock};
use super::lane::Job;

/// Maximum number of workspaces noted; further ones fail call by call.
const READ_ONLY_MAX: usize = 100_000;

/// The workspaces that are read-only. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct ReadOnly {
    workspaces: Arc<Mutex<BTreeSet<WorkspaceNo>>>,
}

impl ReadOnly {
    /// Takes no more writes to the workspace, and says so once, loudly. Returns what its callers are told.
    pub(super) fn close(&self, ws: WorkspaceNo, hubs: &Hubs, error: &StoreError) -> EngineError {
        let mut workspaces = lock(&self.workspaces);
        let id = hubs.id_of(ws);
        if workspaces.len() < READ_ONLY_MAX && workspaces.insert(ws) {
            metrics::gauge!(telemetry::WORKSPACES_READ_ONLY).set(workspaces.len() as f64);
            tracing::error!(
                workspace = %id,
                workspace_no = ws.0,
                %error,
                "the stored data of this workspace contradict themselves: it is read-only from now on; restore the \
                 database or mend the data, then start the server again"
            );
        }
        EngineError::WorkspaceReadOnly { id }
    }

    /// Refuses a job of a workspace that is read-only.
    pub(super) fn check(&self, job: &Job, hubs: &Hubs) -> Result<(), EngineError> {
        match job.workspace() {
            Some(ws) if lock(&self.workspaces).contains(&ws) => {
                Err(EngineError::WorkspaceReadOnly { id: hubs.id_of(ws) })
            }
            _ => Ok(()),
        }
    }

    /// The jobs of workspaces that can be written to; the others are answered.
    pub(super) fn without(&self, jobs: Vec<Job>, hubs: &Hubs) -> Vec<Job> {
        if lock(&self.workspaces).is_empty() {
            return jobs;
        }
        let mut left = Vec::with_capacity(jobs.len());
        for job in jobs {
            match self.check(&job, hubs) {
                Ok(()) => left.push(job),
                Err(error) => job.answer(Err(error)),
            }
        }
        left
    }
}
