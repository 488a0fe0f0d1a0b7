//! Actions on conflicts themselves: defer, remind, assign, reopen. They are ordered like any other operation, so
//! that everybody agrees on a conflict's status.

use std::sync::Arc;

use super::settle::Settling;
use crate::conflict::ConflictEventKind;
use crate::conflict::{CloseReason, Conflict, ConflictStatus, ScopePart};
use crate::fault;
use crate::ids::{ConflictId, RecordId};
use crate::limits::DEFER_MS_MAX;
use crate::operation::{ConflictAction, ConflictMutation};
use crate::refusal::Refusal;
use crate::state::{Attempt, Existence, Key, Prefix, Row};

impl Settling<'_, '_> {
    /// Applies an action on a conflict.
    pub(super) fn act_on_conflict(&mut self, mutation: &ConflictMutation) -> Attempt<()> {
        let ConflictMutation { conflict, action } = mutation;
        match action {
            ConflictAction::Defer { revision, remind_at_ms } => {
                self.defer(*conflict, *revision, *remind_at_ms)
            }
            ConflictAction::Assign { assignee } => self.assign(*conflict, assignee.as_ref()),
            ConflictAction::Reopen => self.reopen(*conflict),
            ConflictAction::Remind => self.remind(*conflict),
        }
    }

    fn conflict_for_action(&self, id: ConflictId) -> Attempt<Conflict> {
        match self.tx.conflict(id)? {
            Some(conflict) => Ok(conflict.clone()),
            None => Err(Refusal::ConflictNotFound { conflict: id }.into()),
        }
    }

    fn live_for_action(&self, id: ConflictId) -> Attempt<Conflict> {
        let conflict = self.conflict_for_action(id)?;
        if conflict.status.is_live() {
            return Ok(conflict);
        }
        Err(Refusal::ConflictNotLive { conflict: id, status: conflict.status }.into())
    }

    fn defer(&mut self, id: ConflictId, revision: u64, remind_at_ms: i64) -> Attempt<()> {
        let mut conflict = self.live_for_action(id)?;
        if conflict.revision != revision {
            return Err(Refusal::ConflictChanged { conflict: id, revision: conflict.revision }.into());
        }
        if remind_at_ms > self.now_ms.saturating_add(DEFER_MS_MAX) {
            let detail = "a conflict can be deferred 366 days at most".to_owned();
            return Err(Refusal::InvalidOperation { field: "remind_time".to_owned(), detail }.into());
        }
        if let Some(earlier) = conflict.remind_at_ms {
            self.tx.delete(Key::Reminder(earlier, id));
        }
        self.tx.put(Key::Reminder(remind_at_ms, id), Row::Unit);
        conflict.status = ConflictStatus::Deferred;
        conflict.remind_at_ms = Some(remind_at_ms);
        conflict.defer_count += 1;
        self.save(conflict, ConflictEventKind::Deferred, "put aside")
    }

    /// The server's own action when a deferral runs out. A conflict that closed or was deferred anew in the
    /// meantime is left alone.
    fn remind(&mut self, id: ConflictId) -> Attempt<()> {
        let mut conflict = self.live_for_action(id)?;
        let Some(due) = conflict.remind_at_ms.filter(|at| *at <= self.now_ms) else {
            return Err(Refusal::ConflictChanged { conflict: id, revision: conflict.revision }.into());
        };
        if !fault!(ReminderStays) {
            self.tx.delete(Key::Reminder(due, id));
            conflict.remind_at_ms = None;
        }
        conflict.status = ConflictStatus::Open;
        self.save(conflict, ConflictEventKind::Reminded, "its reminder fired")
    }

    fn assign(&mut self, id: ConflictId, assignee: Option<&Arc<str>>) -> Attempt<()> {
        let mut conflict = self.live_for_action(id)?;
        conflict.assignee = assignee.cloned().unwrap_or_default();
        let detail = if assignee.is_none() { "given back" } else { "given to somebody" };
        self.save(conflict, ConflictEventKind::Assigned, detail)
    }

    /// Opens again what closed only because the record was deleted: fields whose values still differ, and links
    /// whose other end is still there.
    pub(super) fn reopen_with_record(&mut self, record: &RecordId) -> Attempt<()> {
        for key in self.tx.keys(&Prefix::ScopesOf(record.clone()))? {
            let Key::Scope(scope) = key else { continue };
            let other_end_is_there = match &scope.part {
                ScopePart::Record => false,
                ScopePart::Field(_) | ScopePart::Region(..) => true,
                ScopePart::Link(_, target) => {
                    self.tx.record(target)?.is_some_and(|r| r.existence == Existence::Alive)
                }
            };
            let places = self.tx.scope(&scope)?;
            let (Some(last), None, true) = (places.last, places.live, other_end_is_there) else { continue };
            let mut conflict = self.live_conflict(last)?;
            if conflict.scope == scope && conflict.closing.is_some_and(|c| c.reason == CloseReason::Deleted) {
                self.find_region(&mut conflict)?;
                conflict.status = ConflictStatus::Open;
                conflict.closing = None;
                self.save(conflict, ConflictEventKind::Reopened, "its record is back")?;
            }
        }
        Ok(())
    }

    fn reopen(&mut self, id: ConflictId) -> Attempt<()> {
        let mut conflict = self.conflict_for_action(id)?;
        if conflict.status.is_live() {
            return Err(Refusal::ConflictLive { conflict: id }.into());
        }
        if let Some(live) = self.tx.scope(&conflict.scope)?.live {
            return Err(Refusal::ConflictLive { conflict: live }.into());
        }
        if conflict.closing.is_some_and(|closing| closing.reason == CloseReason::Merged) {
            let detail = "it became part of an older conflict of its text; open that one again".to_owned();
            return Err(Refusal::InvalidOperation { field: "reopen_conflict".to_owned(), detail }.into());
        }
        // Nobody could decide about a field of a record that is gone. What is about the record itself, or about a link,
        // is decided by bringing it back.
        if let ScopePart::Field(_) | ScopePart::Region(..) = conflict.scope.part {
            let record = &conflict.scope.record;
            if self.tx.record(record)?.is_none_or(|row| row.existence != Existence::Alive) {
                return Err(Refusal::RecordDeleted { record: record.clone() }.into());
            }
        }
        self.find_region(&mut conflict)?;
        conflict.status = ConflictStatus::Open;
        conflict.closing = None;
        self.save(conflict, ConflictEventKind::Reopened, "opened again")
    }
}
