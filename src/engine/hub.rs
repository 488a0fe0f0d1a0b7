//! Where committed changes become visible: a ring of the latest ones per workspace, and its head to wait on.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::domain::causality::Seq;
use crate::domain::change::Change;
use crate::domain::hash::Hash;
use crate::domain::ids::{Epoch, WorkspaceNo};
use crate::domain::state::WorkspaceHead;

/// What feeds of a workspace wait on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub epoch: Epoch,
    pub seq: Seq,
    pub chain: Hash,
    pub schema_version: u64,
}

/// The hubs of all workspaces that anybody looked at.
#[derive(Clone)]
pub(super) struct Hubs {
    hubs: Arc<Mutex<HashMap<WorkspaceNo, Arc<Hub>>>>,
    /// Numbers of workspaces by id: they never change.
    numbers: Arc<Mutex<HashMap<Arc<str>, WorkspaceNo>>>,
    ring_changes: usize,
}

/// One workspace's latest changes.
pub(super) struct Hub {
    ring: Mutex<VecDeque<Arc<Change>>>,
    ring_changes: usize,
    head: watch::Sender<Head>,
}

impl Hubs {
    pub(super) fn new(ring_changes: usize) -> Hubs {
        Hubs { hubs: Arc::default(), numbers: Arc::default(), ring_changes }
    }

    /// The number of a workspace that was looked up before.
    pub(super) fn number_of(&self, id: &str) -> Option<WorkspaceNo> {
        lock(&self.numbers).get(id).copied()
    }

    /// Remembers the number of a workspace.
    pub(super) fn remember(&self, id: Arc<str>, no: WorkspaceNo) {
        lock(&self.numbers).insert(id, no);
    }

    /// The workspace's hub, if anybody looked at it before.
    pub(super) fn get(&self, ws: WorkspaceNo) -> Option<Arc<Hub>> {
        lock(&self.hubs).get(&ws).cloned()
    }

    /// The workspace's hub; a new one shows `head` until [`Hub::start`].
    pub(super) fn get_or_create(&self, ws: WorkspaceNo, head: Head) -> Arc<Hub> {
        lock(&self.hubs)
            .entry(ws)
            .or_insert_with(|| {
                Arc::new(Hub {
                    ring: Mutex::default(),
                    ring_changes: self.ring_changes,
                    head: watch::Sender::new(head),
                })
            })
            .clone()
    }
}

impl Hub {
    /// Takes a committed head as read from the store; commits since then may have moved it on.
    pub(super) fn start(&self, head: Head) {
        self.head.send_if_modified(|now| {
            let moved = now.epoch == 0 || head.seq > now.seq;
            if moved {
                *now = head;
            }
            moved
        });
    }

    /// Makes committed changes visible.
    pub(super) fn publish(&self, changes: &[Arc<Change>], head: &WorkspaceHead, schema_version: u64) {
        {
            let mut ring = lock(&self.ring);
            ring.extend(changes.iter().cloned());
            while ring.len() > self.ring_changes {
                ring.pop_front();
            }
        }
        let next = Head { epoch: head.epoch, seq: head.head_seq, chain: head.chain, schema_version };
        // A hub created from a read that raced with this commit may be ahead already, never behind it after.
        self.head.send_if_modified(|now| {
            let moved = now.epoch == 0 || next.seq > now.seq || next.schema_version > now.schema_version;
            if moved {
                *now = Head { schema_version: next.schema_version.max(now.schema_version), ..next };
            }
            moved
        });
    }

    /// The head now.
    pub(super) fn head(&self) -> Head {
        *self.head.borrow()
    }

    /// Follows the head.
    pub(super) fn watch(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    /// Up to `limit` changes after `after`, when the ring still has the first of them.
    pub(super) fn since(&self, after: Seq, limit: usize) -> Option<Vec<Arc<Change>>> {
        let ring = lock(&self.ring);
        let first = ring.front()?.seq;
        if first > after + 1 {
            return None;
        }
        let skip = usize::try_from(after + 1 - first).ok()?;
        Some(ring.iter().skip(skip).take(limit).cloned().collect())
    }
}

/// A lock whose holder panicked is still consistent here: every critical section is a few moves.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
