//! Reminders and upkeep: what the server does without being asked. A reminder fires once, with or without clients, and
//! survives restarts because its time is a row; this task only remembers which workspace is due next.
//!
//! On a database that servers share, each server knows what it wrote itself and looks now and then for what others
//! wrote; if two fire the same reminder, the lock of the head lets the second one find it gone.

use std::time::Duration;

use crate::store::{Order, SharedStore, StoreError};
use syncline_core::fault;
use syncline_core::ids::{ConflictId, WorkspaceNo};
use syncline_core::state::{Key, Prefix};

use super::due::Due;
use super::lane::{Job, Swept};
use super::{Engine, EngineError};

/// How often deadlines are checked.
const TICK: Duration = Duration::from_millis(250);
/// Maximum number of reminders fired in one transaction.
const REMINDERS_PER_BATCH: usize = 256;
/// Minimum time between two sweeps of a workspace.
const SWEEP_EVERY_MS: i64 = 10_000;
/// Maximum number of sweeps of a workspace one after the other, before other workspaces have their turn.
const SWEEPS_IN_A_ROW_MAX: usize = 64;
/// Maximum number of workspaces read at once when all are scanned.
const WORKSPACES_PAGE: usize = 500;
/// How often reminders that other servers wrote are looked for, in ticks: 10 s.
const RESCAN_TICKS: u64 = 40;
/// How often rows of other servers that expire are looked for, in rescans: 10 min. Expiry settles nothing, so it may be
/// late.
const EXPIRY_RESCANS: u64 = 60;
/// A reminder that did not fire is looked at again after this time.
const AGAIN_MS: i64 = 1_000;
/// How long after its due time a reminder is left to the server that wrote it.
const OTHERS_GRACE_MS: i64 = 2_000;

/// Fires reminders and sweeps until the service stops.
pub(super) async fn run(engine: Engine, due: Due) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut ticks: u64 = 0;
    let mut scanned = fault!(RemindersForgotten);
    loop {
        tokio::select! {
            () = engine.draining().cancelled() => return,
            _ = tick.tick() => {}
        }
        let others = engine.inner.peers.is_some() && !fault!(RemindersForgotten);
        if !scanned || (others && ticks.is_multiple_of(RESCAN_TICKS)) {
            let expiring = !scanned || (ticks / RESCAN_TICKS).is_multiple_of(EXPIRY_RESCANS);
            match scan(&engine, &due, expiring).await {
                Ok(()) => scanned = true,
                Err(error) => {
                    tracing::warn!(%error, "deadlines could not be read; they will be read again");
                }
            }
        }
        ticks += 1;
        for ws in due.take_reminders(engine.now_ms()) {
            match fire(&engine, &due, ws).await {
                // As long as nothing can be written, nothing is due.
                Ok(()) | Err(EngineError::WorkspaceReadOnly { id: _ }) => {}
                Err(error) => {
                    tracing::warn!(workspace_no = ws.0, %error, "reminders could not be fired; they will be tried again");
                    due.remind_at(ws, engine.now_ms());
                }
            }
        }
        for ws in due.take_sweeps(engine.now_ms()) {
            sweep(&engine, &due, ws).await;
        }
    }
}

async fn sweep(engine: &Engine, due: &Due, ws: WorkspaceNo) {
    for _ in 0..SWEEPS_IN_A_ROW_MAX {
        let next_ms = match engine.enqueue(|reply| Job::Sweep { ws, reply }).await {
            Ok(Swept::More) => continue,
            Ok(Swept::Until(next_ms)) => next_ms,
            Err(EngineError::WorkspaceReadOnly { id: _ }) => None,
            Err(error) => {
                tracing::warn!(workspace_no = ws.0, %error, "a sweep failed; it will be tried again");
                Some(engine.now_ms())
            }
        };
        if let Some(next_ms) = next_ms {
            due.sweep_at(ws, next_ms.max(engine.now_ms() + SWEEP_EVERY_MS));
        }
        return;
    }
    due.sweep_at(ws, i64::MIN);
}

async fn fire(engine: &Engine, due: &Due, ws: WorkspaceNo) -> Result<(), EngineError> {
    let now_ms = engine.now_ms();
    let mut reader = engine.inner.store.reader().await?;
    let page = reader.range(ws, &Prefix::Reminders, None, REMINDERS_PER_BATCH, Order::Ascending).await?;
    drop(reader);
    let mut conflicts: Vec<ConflictId> = Vec::new();
    for (key, _) in &page.rows {
        match key {
            Key::Reminder(at, conflict) if *at <= now_ms => conflicts.push(*conflict),
            Key::Reminder(at, _) => {
                due.remind_at(ws, *at);
                break;
            }
            _ => {}
        }
    }
    if !conflicts.is_empty() {
        // More reminders may be due than fit into a batch.
        if page.more {
            due.remind_at(ws, now_ms);
        }
        let asked = conflicts.len();
        if engine.enqueue(|reply| Job::Remind { ws, conflicts, reply }).await? < asked {
            // Another server was first, or the clock went back; reading the rows again tells.
            due.remind_at(ws, now_ms.saturating_add(AGAIN_MS));
        }
    }
    Ok(())
}

/// Reads the deadlines of all workspaces: once at the start, and again and again where other servers write too.
async fn scan(engine: &Engine, due: &Due, expiring: bool) -> Result<(), StoreError> {
    match engine.inner.store.shared() {
        Some(shared) => scan_shared(&*shared, due, expiring).await,
        None => scan_own(engine, due).await,
    }
}

/// The ranges that sweeps work on. Only the first one, the wakes, is looked at in every scan.
const EXPIRING: [Prefix; 3] = [Prefix::Wakes, Prefix::HeldOperations, Prefix::Requests];

async fn scan_shared(shared: &dyn SharedStore, due: &Due, expiring: bool) -> Result<(), StoreError> {
    let mut after = WorkspaceNo(0);
    loop {
        let reminders = shared.first_keys(&Prefix::Reminders, after, WORKSPACES_PAGE).await?;
        for (ws, key) in &reminders {
            if let Some(Key::Reminder(at_ms, _)) = key {
                due.remind_at(*ws, at_ms.saturating_add(OTHERS_GRACE_MS));
            }
        }
        // A cascade that was cut off goes on soon, whichever server began it.
        for prefix in &EXPIRING[..if expiring { EXPIRING.len() } else { 1 }] {
            let found = shared.first_keys(prefix, after, WORKSPACES_PAGE).await?;
            found.iter().filter(|(_, key)| key.is_some()).for_each(|(ws, _)| due.sweep_at(*ws, i64::MIN));
        }
        match reminders.last() {
            Some((last, _)) if reminders.len() == WORKSPACES_PAGE => after = *last,
            _ => return Ok(()),
        }
    }
}

async fn scan_own(engine: &Engine, due: &Due) -> Result<(), StoreError> {
    let mut after: Option<std::sync::Arc<str>> = None;
    loop {
        let mut reader = engine.inner.store.reader().await?;
        let page = reader.workspaces(after.as_deref(), WORKSPACES_PAGE).await?;
        for info in &page {
            let first = reader.range(info.no, &Prefix::Reminders, None, 1, Order::Ascending).await?;
            if let Some((Key::Reminder(at_ms, _), _)) = first.rows.first() {
                due.remind_at(info.no, *at_ms);
            }
            for prefix in &EXPIRING {
                if !reader.range(info.no, prefix, None, 1, Order::Ascending).await?.rows.is_empty() {
                    due.sweep_at(info.no, i64::MIN);
                    break;
                }
            }
        }
        match page.last() {
            Some(last) if page.len() == WORKSPACES_PAGE => after = Some(last.id.clone()),
            _ => return Ok(()),
        }
    }
}
