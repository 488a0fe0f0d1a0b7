//! The life of a conflict, transition by transition.

use super::desk::{RuleFixture, dot, operation};
use super::script::{create, mutation, observing, on_conflict, resolving, set};
use super::{Check, ensure};
use crate::causality::Seq;
use crate::conflict::{AlternativeState, CloseReason, Conflict, ConflictStatus, ScopePart};
use crate::ids::ConflictId;
use crate::limits::DEFER_MS_MAX;
use crate::operation::{Action, ConflictAction, Mutation, Operation};
use crate::refusal::Refusal;
use crate::schema::{CollectionUpdate, FieldKind, FieldUpdate, Provisional, SchemaUpdate};
use crate::state::{Existence, FieldValue, Key, Row};
use crate::value::Value;

/// Replicas 1 and 2 write different values to "plain" on one base: live since position 3.
pub(super) fn clashing() -> Result<(RuleFixture, ConflictId), String> {
    let mut desk = RuleFixture::new()?;
    desk.settle(1, Seq(1), vec![set("r0", "plain", 1)])?;
    desk.settle(2, Seq(1), vec![set("r0", "plain", 2)])?;
    let id = desk.conflict("r0", "plain")?.id;
    Ok((desk, id))
}

fn decides(value: i64, id: ConflictId) -> Vec<Mutation> {
    vec![resolving(set("r0", "plain", value), id)]
}

pub(super) fn now(desk: &RuleFixture, id: ConflictId) -> Result<Conflict, String> {
    match desk.row(&Key::Conflict(id)) {
        Some(Row::Conflict(conflict)) => Ok((**conflict).clone()),
        _ => Err(format!("{id} is gone")),
    }
}

fn values(conflict: &Conflict) -> Vec<i64> {
    let mut values: Vec<i64> = conflict
        .alternatives
        .iter()
        .filter_map(|a| match a.value {
            Some(Value::Int(value)) => Some(value),
            _ => None,
        })
        .collect();
    values.sort_unstable();
    values
}

fn reason(conflict: &Conflict) -> Option<CloseReason> {
    conflict.closing.map(|c| c.reason)
}

/// Opening, growing, and the two ways a plain write goes on.
pub(super) fn check_growing() -> Check {
    let (mut desk, id) = clashing()?;
    let opened = now(&desk, id)?;
    ensure!(
        opened.revision == 1 && opened.pairs == [(Seq(2), Seq(3))] && values(&opened) == [1, 2],
        "opened: {opened:?}"
    );
    ensure!(opened.base.is_none() && opened.base_exact, "its base: {:?}", opened.base);
    desk.settle(3, Seq(1), vec![set("r0", "plain", 3)])?;
    let grown = now(&desk, id)?;
    ensure!(grown.revision == 2 && grown.pairs.len() == 3 && values(&grown) == [1, 2, 3], "grown: {grown:?}");
    // This write knows two sides: it continues the older one, and the other one is still offered.
    desk.settle(4, Seq(3), vec![set("r0", "plain", 4)])?;
    let advanced = now(&desk, id)?;
    let shadows = advanced.alternatives.iter().filter(|a| a.state == AlternativeState::Shadow).count();
    ensure!(values(&advanced) == [2, 3, 4] && shadows == 1, "advanced: {advanced:?}");
    // A plain write that knows everything does not close it either.
    desk.settle(4, Seq(5), vec![set("r0", "plain", 5)])?;
    let stuck = now(&desk, id)?;
    ensure!(stuck.status.is_live() && values(&stuck) == [2, 3, 5], "sticky: {stuck:?}");
    // What two knew in common is the base of a later clash.
    desk.settle(5, Seq(6), vec![resolving(set("r0", "plain", 6), id)])?;
    desk.settle(6, Seq(7), vec![set("r0", "plain", 7)])?;
    desk.settle(7, Seq(7), vec![set("r0", "plain", 8)])?;
    let later = desk.conflict("r0", "plain")?;
    ensure!(later.base == Some(Value::Int(6)) && later.parent.is_none(), "a new one: {later:?}");
    Ok(())
}

/// Resolved only by somebody who saw it open and knew every side; what was not seen stays, with the decision.
pub(super) fn check_resolving() -> Check {
    let (mut desk, id) = clashing()?;
    desk.settle(3, Seq(1), vec![set("r0", "plain", 3)])?;
    let (_, settlement) = desk.settle(4, Seq(3), decides(9, id))?;
    ensure!(settlement.remaining == [(id, vec![Seq(4)])], "remaining: {:?}", settlement.remaining);
    let left = now(&desk, id)?;
    ensure!(values(&left) == [3, 9] && left.status.is_live(), "left: {left:?}");
    let (_, settlement) = desk.settle(5, Seq(5), decides(3, id))?;
    ensure!(settlement.remaining.is_empty() && desk.conflict("r0", "plain").is_err(), "not resolved");
    ensure!(reason(&now(&desk, id)?) == Some(CloseReason::Resolved), "closed otherwise");
    // Another decision that raced it, with another value, is a conflict again; with the same value it is nothing.
    desk.settle(6, Seq(5), decides(3, id))?;
    ensure!(desk.conflict("r0", "plain").is_err(), "the same decision twice");
    desk.settle(7, Seq(5), decides(4, id))?;
    let again = desk.conflict("r0", "plain")?;
    ensure!(again.parent == Some(id) && again.id != id, "the follower: {again:?}");
    // Named for another field, the conflict is not found.
    let elsewhere = vec![resolving(set("r0", "latest", 1), id)];
    ensure!(desk.reject(8, Seq(6), elsewhere)? == Refusal::ConflictNotFound { conflict: id }, "elsewhere");
    let adding = vec![resolving(mutation("r0", Action::Increment { field: "count".into(), by: 1 }), id)];
    ensure!(
        desk.reject(9, Seq(6), adding)? == Refusal::ConflictNotFound { conflict: id },
        "decided by adding"
    );
    Ok(())
}

/// Equal values close a conflict; a plain write closes it where the field says so.
pub(super) fn check_converging_and_yielding() -> Check {
    let (mut desk, id) = clashing()?;
    desk.settle(2, Seq(1), vec![set("r0", "plain", 1)])?;
    ensure!(reason(&now(&desk, id)?) == Some(CloseReason::Converged), "not converged: {:?}", now(&desk, id)?);
    desk.settle(1, Seq(1), vec![set("r0", "yielding", 1)])?;
    desk.settle(2, Seq(1), vec![set("r0", "yielding", 2)])?;
    let id = desk.conflict("r0", "yielding")?.id;
    desk.settle(3, Seq(5), vec![set("r0", "yielding", 3)])?;
    ensure!(now(&desk, id)?.status == ConflictStatus::Open, "yielded to somebody who did not know all");
    desk.settle(4, desk.head(), vec![set("r0", "yielding", 4)])?;
    ensure!(now(&desk, id)?.status == ConflictStatus::Superseded, "did not yield: {:?}", now(&desk, id)?);
    desk.settle(1, Seq(1), vec![set("r0", "settled", 1)])?;
    let (_, settlement) = desk.settle(2, Seq(1), vec![set("r0", "settled", 2)])?;
    let settled = desk.last()?;
    ensure!(reason(&settled) == Some(CloseReason::Policy) && settlement.conflicts.is_empty(), "{settled:?}");
    Ok(())
}

/// Deferred, assigned, woken by a clash or by time, opened again.
pub(super) fn check_putting_aside() -> Check {
    let (mut desk, id) = clashing()?;
    let defer =
        |revision, remind_at_ms| vec![on_conflict(id, ConflictAction::Defer { revision, remind_at_ms })];
    let soon = desk.server.now_ms + 1_000;
    desk.settle(3, Seq(3), defer(1, soon))?;
    let aside = now(&desk, id)?;
    ensure!(aside.status == ConflictStatus::Deferred && aside.defer_count == 1, "deferred: {aside:?}");
    let stale = desk.reject(3, Seq(3), defer(1, soon))?;
    ensure!(stale == Refusal::ConflictChanged { conflict: id, revision: 2 }, "on an old revision: {stale:?}");
    desk.settle(3, Seq(4), vec![on_conflict(id, ConflictAction::Assign { assignee: Some("ann".into()) })])?;
    ensure!(now(&desk, id)?.assignee.as_ref() == "ann", "not assigned");
    let far = desk.server.now_ms + DEFER_MS_MAX + 1;
    ensure!(
        matches!(desk.reject(3, Seq(4), defer(3, far))?, Refusal::InvalidOperation { .. }),
        "too far ahead"
    );
    desk.settle(4, Seq(1), vec![set("r0", "plain", 4)])?;
    ensure!(now(&desk, id)?.status == ConflictStatus::Open, "a clash wakes it");
    let reopen = || vec![on_conflict(id, ConflictAction::Reopen)];
    ensure!(
        desk.reject(5, Seq(6), reopen())? == Refusal::ConflictLive { conflict: id },
        "opened again while live"
    );
    desk.settle(6, desk.head(), decides(1, id))?;
    let closed = desk.reject(5, Seq(6), defer(6, soon))?;
    ensure!(matches!(closed, Refusal::ConflictNotLive { .. }), "put aside when closed: {closed:?}");
    ensure!(desk.server.due_reminders().is_empty(), "a closed conflict reminds");
    desk.settle(5, desk.head(), reopen())?;
    ensure!(now(&desk, id)?.status == ConflictStatus::Open, "not open again");
    // Somebody who decided before it was opened again has not seen that.
    let (_, settlement) = desk.settle(7, desk.head() - 1, decides(2, id))?;
    ensure!(
        settlement.remaining.len() == 1 && now(&desk, id)?.status.is_live(),
        "decided unseen: {settlement:?}"
    );
    desk.settle(7, desk.head(), decides(2, id))?;
    ensure!(!now(&desk, id)?.status.is_live(), "not decided");
    Ok(())
}

/// Invariant 40: a reminder fires once when its time has come, not before; another deferral replaces it.
pub(super) fn check_reminders() -> Check {
    let (mut desk, id) = clashing()?;
    let start = desk.server.now_ms;
    let defer =
        |revision, at| vec![on_conflict(id, ConflictAction::Defer { revision, remind_at_ms: start + at })];
    desk.settle(3, Seq(3), defer(1, 1_000))?;
    desk.settle(3, Seq(4), defer(2, 5_000))?;
    for (at, fires) in
        [(999, false), (1_000, false), (4_999, false), (5_000, true), (5_000, false), (9_000, false)]
    {
        desk.server.now_ms = start + at;
        let due = desk.server.due_reminders();
        ensure!(due.is_empty() != fires, "at {at}: {due:?}");
        let (fired, wrote) = desk.server.remind(id)?;
        ensure!(fired == fires && wrote.changes.len() == usize::from(fires), "at {at} it fired: {fired}");
    }
    let open = now(&desk, id)?;
    ensure!(open.status == ConflictStatus::Open && open.remind_at_ms.is_none(), "reminded: {open:?}");
    desk.settle(3, desk.head(), defer(open.revision, 20_000))?;
    desk.server.now_ms = start + 20_000;
    ensure!(desk.server.remind(id)?.0 && !desk.server.remind(id)?.0, "put aside anew, it reminds once more");
    Ok(())
}

/// A value read earlier than the rest of what its author knew clashes with what came in between, and a decision
/// made on it has not seen that either.
pub(super) fn check_observed() -> Check {
    let mut desk = RuleFixture::new()?;
    desk.settle(1, Seq(1), vec![set("r0", "plain", 1)])?;
    let old_form = |base, observed, mutation: Mutation| {
        operation(dot(2, 1), base, vec![], vec![observing(mutation, observed)])
    };
    desk.settled(&old_form(Seq(2), Seq(1), set("r0", "plain", 2)))?;
    let id = desk.conflict("r0", "plain")?.id;
    desk.settle(3, Seq(1), vec![set("r0", "plain", 3)])?;
    let decision = Operation {
        identity: crate::operation::Identity::Dot(dot(4, 1)),
        ..old_form(desk.head(), Seq(3), resolving(set("r0", "plain", 4), id))
    };
    let (_, settlement) = desk.settled(&decision)?;
    ensure!(settlement.remaining == [(id, vec![Seq(4)])], "seen, though read before: {settlement:?}");
    Ok(())
}

/// Deleting a record ends the conflicts of its fields; when it comes back, so do they.
pub(super) fn check_deleted_and_back() -> Check {
    let (mut desk, id) = clashing()?;
    desk.settle(3, Seq(3), vec![mutation("r0", Action::Delete)])?;
    ensure!(reason(&now(&desk, id)?) == Some(CloseReason::Deleted), "still: {:?}", now(&desk, id)?);
    desk.settle(3, Seq(4), vec![mutation("r0", Action::Restore)])?;
    let back = now(&desk, id)?;
    ensure!(back.status == ConflictStatus::Open && values(&back) == [1, 2], "came back: {back:?}");
    // An edit that did not know of the deletion brings it back as well.
    desk.settle(3, Seq(5), vec![mutation("r0", Action::Delete)])?;
    desk.settle(4, Seq(5), vec![set("r0", "plain", 1)])?;
    ensure!(now(&desk, id)?.status.is_live(), "came back with an edit: {:?}", now(&desk, id)?);
    let decision = desk.live("r0", ScopePart::Record).ok_or("no clash of edit and delete")?.id;
    desk.settle(5, desk.head(), vec![resolving(mutation("r0", Action::Delete), decision)])?;
    ensure!(reason(&now(&desk, decision)?) == Some(CloseReason::Resolved), "decided for deletion");
    Ok(())
}

/// An operation that decides and then writes once more offers its last value when the conflict is opened again.
pub(super) fn check_writing_again_after_deciding() -> Check {
    let (mut desk, id) = clashing()?;
    desk.settle(4, Seq(3), [decides(9, id), vec![set("r0", "plain", 7)]].concat())?;
    ensure!(reason(&now(&desk, id)?) == Some(CloseReason::Resolved), "closed otherwise");
    desk.settle(5, desk.head(), vec![on_conflict(id, ConflictAction::Reopen)])?;
    desk.settle(6, Seq(3), vec![set("r0", "plain", 6)])?;
    let offered = values(&now(&desk, id)?);
    ensure!(offered.contains(&7) && offered.contains(&6) && !offered.contains(&9), "offered: {offered:?}");
    Ok(())
}

/// Whoever deletes without having seen a conflict about it does not resolve it: another delete agreed, that is all.
pub(super) fn check_agreeing_deletes() -> Check {
    let mut desk = RuleFixture::new()?;
    let delete = || vec![mutation("r0", Action::Delete)];
    desk.settle(1, Seq(1), vec![set("r0", "plain", 1)])?;
    desk.settle(2, Seq(1), delete())?;
    let id = desk.live("r0", ScopePart::Record).ok_or("no clash of edit and delete")?.id;
    desk.settle(3, Seq(2), delete())?;
    ensure!(
        reason(&now(&desk, id)?) == Some(CloseReason::Deleted),
        "closed as {:?}",
        reason(&now(&desk, id)?)
    );
    // Opened again on the deleted record, it can be decided for deletion, and for keeping.
    desk.settle(4, Seq(4), vec![on_conflict(id, ConflictAction::Reopen)])?;
    desk.settle(4, Seq(5), vec![resolving(mutation("r0", Action::Delete), id)])?;
    ensure!(reason(&now(&desk, id)?) == Some(CloseReason::Resolved), "decided for deletion");
    let refusal = desk.reject(4, Seq(6), delete())?;
    ensure!(matches!(refusal, Refusal::RecordDeleted { .. }), "deleted again: {refusal:?}");
    desk.settle(4, Seq(6), vec![on_conflict(id, ConflictAction::Reopen)])?;
    desk.settle(4, Seq(7), vec![resolving(mutation("r0", Action::Restore), id)])?;
    ensure!(reason(&now(&desk, id)?) == Some(CloseReason::Resolved), "decided for keeping");
    match desk.row(&Key::Record("r0".into())) {
        Some(Row::Record(row)) if row.existence == Existence::Alive => Ok(()),
        other => Err(format!("kept, and yet {other:?}")),
    }
}

/// A delete of the record that holds a link does not decide about the link's other end behind the back of whoever
/// deleted that; keeping or deleting the other end does.
pub(super) fn check_relationships() -> Check {
    for keep in [true, false] {
        let mut desk = RuleFixture::new()?;
        desk.settle(1, Seq(1), vec![create("r1")])?;
        let link = Action::Link { field: "many".into(), target: "r1".into() };
        desk.settle(1, Seq(2), vec![mutation("r0", link)])?;
        desk.settle(2, Seq(2), vec![mutation("r1", Action::Delete)])?;
        let place = || ScopePart::Link("many".into(), "r1".into());
        let id = desk.live("r0", place()).ok_or("no clash of link and delete")?.id;
        desk.settle(3, Seq(3), vec![mutation("r0", Action::Delete)])?;
        ensure!(desk.live("r0", place()).is_some(), "the unseen delete is forgotten");
        let action = if keep { Action::Restore } else { Action::Delete };
        desk.settle(4, desk.head(), vec![resolving(mutation("r1", action), id)])?;
        ensure!(reason(&now(&desk, id)?) == Some(CloseReason::Resolved), "decided: {:?}", now(&desk, id)?);
        let alive = matches!(
            desk.row(&Key::Record("r1".into())),
            Some(Row::Record(row)) if row.existence == Existence::Alive
        );
        ensure!(alive == keep, "kept: {keep}, alive: {alive}");
    }
    Ok(())
}

/// Every link that a delete did not know clashes with it; a link that is gone can still be decided about.
pub(super) fn check_links_of_many() -> Check {
    let mut desk = RuleFixture::new()?;
    desk.settle(1, Seq(1), vec![create("r1")])?;
    let link = || vec![mutation("r0", Action::Link { field: "many".into(), target: "r1".into() })];
    desk.settle(2, Seq(2), link())?;
    desk.settle(3, Seq(2), link())?;
    desk.settle(4, Seq(2), vec![mutation("r1", Action::Delete)])?;
    let place = || ScopePart::Link("many".into(), "r1".into());
    let conflict = desk.live("r0", place()).ok_or("no clash of link and delete")?.clone();
    ensure!(
        conflict.pairs == [(Seq(3), Seq(5)), (Seq(4), Seq(5))] && conflict.alternatives.len() == 3,
        "{conflict:?}"
    );
    let unlink = Action::Unlink { field: "many".into(), target: Some("r1".into()) };
    desk.settle(5, Seq(5), vec![mutation("r0", unlink)])?;
    ensure!(desk.live("r0", place()).is_some(), "a plain unlink decides nothing");
    desk.settle(5, Seq(6), vec![resolving(mutation("r1", Action::Delete), conflict.id)])?;
    ensure!(desk.live("r0", place()).is_none(), "a decision to delete was not heard");
    Ok(())
}

/// Two creations of one id: a delete that knew only one of them clashes with the other.
pub(super) fn check_twins() -> Check {
    let mut desk = RuleFixture::new()?;
    desk.settle(1, Seq(1), vec![create("r1")])?;
    desk.settle(2, Seq(1), vec![create("r1")])?;
    desk.settle(3, Seq(2), vec![mutation("r1", Action::Delete)])?;
    let conflict = desk.live("r1", ScopePart::Record).ok_or("the second creation was deleted unseen")?;
    ensure!(conflict.pairs == [(Seq(3), Seq(4))], "{conflict:?}");
    let refusal = desk.reject(2, Seq(1), vec![create("r1")])?;
    ensure!(matches!(refusal, Refusal::RecordExists { .. }), "a third by one who knew: {refusal:?}");
    Ok(())
}

/// A field goes on showing what the feed said, whatever becomes of its policy, until it is written again.
pub(super) fn check_changed_policy() -> Check {
    let (mut desk, _) = clashing()?;
    let latest =
        FieldUpdate { provisional: Some(Provisional::Latest), ..FieldUpdate::of(FieldKind::Register) };
    let things = CollectionUpdate { fields: [("plain".into(), latest)].into() };
    let update = SchemaUpdate { collections: [("things".into(), things)].into(), ..SchemaUpdate::default() };
    let updated = match desk.row(&Key::Schema) {
        Some(Row::Schema(schema)) => schema.updated(&update).map_err(|e| e.to_string())?,
        _ => return Err("no schema".to_owned()),
    };
    let schema = updated.schema;
    desk.server.step(|state, _| {
        state.put(Key::Schema, Some(Row::Schema(schema.clone())));
        Ok(())
    })?;
    let shown = |desk: &RuleFixture| match desk.field("r0", "plain") {
        Some(FieldValue::Register(heads)) => heads.first().map(|h| h.value.clone()),
        _ => None,
    };
    ensure!(shown(&desk) == Some(Value::Int(1)), "shows {:?}", shown(&desk));
    desk.settle(3, Seq(1), vec![set("r0", "plain", 3)])?;
    ensure!(shown(&desk) == Some(Value::Int(3)), "shows {:?}", shown(&desk));
    Ok(())
}
