//! When workspaces next need attention without anybody asking.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use syncline_core::ids::WorkspaceNo;
use syncline_core::state::{Key, Row};

use super::hub::lock;

/// The deadlines of all workspaces that this server knows of. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Due {
    inner: Arc<Mutex<Deadlines>>,
}

#[derive(Default)]
struct Deadlines {
    /// For each workspace, a time before which no reminder known to this server is due.
    reminders: BTreeMap<WorkspaceNo, i64>,
    /// For each workspace, a time before which nothing known to this server expires.
    sweeps: BTreeMap<WorkspaceNo, i64>,
}

impl Due {
    /// Takes note of what a commit wrote.
    pub(super) fn note(&self, ws: WorkspaceNo, rows: &[(Key, Option<Arc<Row>>)]) {
        let mut deadlines = lock(&self.inner);
        for (key, row) in rows {
            match (key, row.as_deref()) {
                (Key::Reminder(at_ms, _), Some(_)) => earliest(&mut deadlines.reminders, ws, *at_ms),
                (_, Some(Row::Held(held))) => earliest(&mut deadlines.sweeps, ws, held.expires_at_ms),
                (_, Some(Row::Request(request))) => {
                    earliest(&mut deadlines.sweeps, ws, request.expires_at_ms);
                }
                // A cascade that was cut off continues as soon as there is time.
                (Key::Wake(_), Some(_)) => earliest(&mut deadlines.sweeps, ws, i64::MIN),
                _ => {}
            }
        }
    }

    /// Takes out the workspaces with reminders that are due. Deadlines noted after this call stay noted, so the caller
    /// must read the store only afterwards, and note again the later deadlines that it finds.
    pub(super) fn take_reminders(&self, now_ms: i64) -> Vec<WorkspaceNo> {
        take(&mut lock(&self.inner).reminders, now_ms)
    }

    /// Notes that a reminder of the workspace is due at this time.
    pub(super) fn remind_at(&self, ws: WorkspaceNo, at_ms: i64) {
        earliest(&mut lock(&self.inner).reminders, ws, at_ms);
    }

    /// Takes out the workspaces in which something has expired, like [`Due::take_reminders`].
    pub(super) fn take_sweeps(&self, now_ms: i64) -> Vec<WorkspaceNo> {
        take(&mut lock(&self.inner).sweeps, now_ms)
    }

    /// Notes that something in the workspace expires at this time.
    pub(super) fn sweep_at(&self, ws: WorkspaceNo, at_ms: i64) {
        earliest(&mut lock(&self.inner).sweeps, ws, at_ms);
    }
}

fn earliest(deadlines: &mut BTreeMap<WorkspaceNo, i64>, ws: WorkspaceNo, at_ms: i64) {
    deadlines.entry(ws).and_modify(|now| *now = at_ms.min(*now)).or_insert(at_ms);
}

fn take(deadlines: &mut BTreeMap<WorkspaceNo, i64>, now_ms: i64) -> Vec<WorkspaceNo> {
    let due: Vec<_> = deadlines.iter().filter(|(_, at)| **at <= now_ms).map(|(ws, _)| *ws).collect();
    due.iter().for_each(|ws| {
        deadlines.remove(ws);
    });
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: WorkspaceNo = WorkspaceNo(1);
    const SECOND: WorkspaceNo = WorkspaceNo(2);

    #[test]
    fn what_is_noted_while_a_workspace_is_looked_at_stays_noted() {
        let due = Due::default();
        due.remind_at(FIRST, 10);
        due.remind_at(FIRST, 20);
        due.remind_at(SECOND, 30);
        assert_eq!(due.take_reminders(9), Vec::<WorkspaceNo>::new());
        assert_eq!(due.take_reminders(15), [FIRST]);
        due.remind_at(FIRST, 12);
        due.remind_at(FIRST, 40);
        assert_eq!(due.take_reminders(15), [FIRST]);
        assert_eq!(due.take_reminders(40), [SECOND]);
    }
}
