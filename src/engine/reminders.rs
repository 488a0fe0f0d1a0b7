//! Reminders and upkeep: what the server does without being asked. A reminder fires once, with or without clients, and
//! survives restarts because its time is a row; this task only remembers which workspace is due next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::domain::ids::{ConflictId, WorkspaceNo};
use crate::domain::state::{Key, Prefix, Row};
use crate::store::{Order, Store, StoreError};

use super::hub::lock;
use super::lane::Job;
use super::{Engine, EngineError};

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(250);
/// Reminders fired in one transaction.
const REMINDERS_PER_BATCH: usize = 256;
/// How often a workspace that holds operations or remembers request ids is swept, in ticks.
const SWEEP_TICKS: u64 = 40;
/// Workspaces read at once when starting.
const WORKSPACES_PAGE: usize = 500;

/// When workspaces next need attention.
#[derive(Clone, Default)]
pub(super) struct Due {
    inner: Arc<Mutex<Deadlines>>,
}

#[derive(Default)]
struct Deadlines {
    /// No reminder of the workspace is due before this.
    reminders: BTreeMap<WorkspaceNo, i64>,
    /// Workspaces with something that expires.
    sweeps: BTreeSet<WorkspaceNo>,
}

impl Due {
    /// Takes note of what a flush wrote.
    pub(super) fn note(&self, ws: WorkspaceNo, rows: &[(Key, Option<Arc<Row>>)]) {
        let mut reminder: Option<i64> = None;
        let mut sweep = false;
        for (key, row) in rows.iter().filter(|(_, row)| row.is_some()) {
            match key {
                Key::Reminder(at, _) => reminder = Some(reminder.map_or(*at, |r| r.min(*at))),
                Key::Held(_) | Key::Wake(_) | Key::Request(_) => sweep = true,
                _ => {}
            }
            debug_assert!(row.is_some());
        }
        if reminder.is_none() && !sweep {
            return;
        }
        let mut deadlines = lock(&self.inner);
        if let Some(at) = reminder {
            deadlines.reminders.entry(ws).and_modify(|now| *now = at.min(*now)).or_insert(at);
        }
        if sweep {
            deadlines.sweeps.insert(ws);
        }
    }

    fn due(&self, now_ms: i64) -> Vec<WorkspaceNo> {
        let deadlines = lock(&self.inner);
        deadlines.reminders.iter().filter(|(_, at)| **at <= now_ms).map(|(ws, _)| *ws).collect()
    }

    fn set(&self, ws: WorkspaceNo, next: Option<i64>) {
        let mut deadlines = lock(&self.inner);
        match next {
            Some(at) => drop(deadlines.reminders.insert(ws, at)),
            None => drop(deadlines.reminders.remove(&ws)),
        }
    }

    fn to_sweep(&self) -> Vec<WorkspaceNo> {
        lock(&self.inner).sweeps.iter().copied().collect()
    }
}

/// Reads the deadlines of all workspaces.
pub(super) async fn load(store: &dyn Store) -> Result<Due, StoreError> {
    let due = Due::default();
    let mut after: Option<Arc<str>> = None;
    loop {
        let mut reader = store.reader().await?;
        let page = reader.workspaces(after.as_deref(), WORKSPACES_PAGE).await?;
        for info in &page {
            let first = reader.range(info.no, &Prefix::Reminders, None, 1, Order::Ascending).await?;
            if let Some((Key::Reminder(at, _), _)) = first.rows.first() {
                due.set(info.no, Some(*at));
            }
            lock(&due.inner).sweeps.insert(info.no);
        }
        match page.last() {
            Some(last) if page.len() == WORKSPACES_PAGE => after = Some(last.id.clone()),
            _ => return Ok(due),
        }
    }
}

/// Fires reminders and sweeps until the service stops.
pub(super) async fn run(engine: Engine, due: Due) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut ticks: u64 = 0;
    loop {
        tokio::select! {
            () = engine.draining().cancelled() => return,
            _ = tick.tick() => {}
        }
        ticks += 1;
        engine.connections().expire(engine.now_ms());
        for ws in due.due(engine.now_ms()) {
            if let Err(error) = fire(&engine, &due, ws).await {
                tracing::warn!(workspace_no = ws, %error, "reminders could not be fired; they will be tried again");
            }
        }
        if ticks.is_multiple_of(SWEEP_TICKS) {
            for ws in due.to_sweep() {
                if let Err(error) = engine.enqueue(|reply| Job::Sweep { ws, reply }).await {
                    tracing::warn!(workspace_no = ws, %error, "a sweep failed; it will be tried again");
                }
            }
        }
    }
}

async fn fire(engine: &Engine, due: &Due, ws: WorkspaceNo) -> Result<(), EngineError> {
    let now_ms = engine.now_ms();
    let mut reader = engine.inner.store.reader().await?;
    let page = reader.range(ws, &Prefix::Reminders, None, REMINDERS_PER_BATCH, Order::Ascending).await?;
    drop(reader);
    let mut conflicts: Vec<ConflictId> = Vec::new();
    let mut next = None;
    for (key, _) in &page.rows {
        match key {
            Key::Reminder(at, conflict) if *at <= now_ms => conflicts.push(*conflict),
            Key::Reminder(at, _) => {
                next = Some(*at);
                break;
            }
            _ => {}
        }
    }
    if !conflicts.is_empty() {
        engine.enqueue(|reply| Job::Remind { ws, conflicts, reply }).await?;
        // Look again at once: there may be more than a batch.
        next = Some(now_ms);
    }
    due.set(ws, next);
    Ok(())
}
