//! ConflictService: what could not be merged, with everything needed to decide it, and what becomes of it.

mod context;
mod deciding;
mod life;
mod listing;
mod long_values;
mod texts;

use std::sync::atomic::{AtomicU64, Ordering};

use pb::resolve_conflict_request::Decision;
use tonic::{Response, Status};

use crate::harness::ops::{card, person};
use crate::harness::receipts::{applied, conflicted};
use crate::harness::workspace::request_id;
use crate::harness::{IntoValue as _, Replica, Workspace, pb, within};

/// Two new authors who had both seen the position.
fn authors(ws: &Workspace, seq: u64) -> (Replica, Replica) {
    static PAIRS: AtomicU64 = AtomicU64::new(500);
    let n = u128::from(PAIRS.fetch_add(1, Ordering::Relaxed)) * 2;
    (ws.replica(n, "ada").having_seen(seq), ws.replica(n + 1, "bob").having_seen(seq))
}

/// A conflict, with the positions of its two sides in their order.
pub(crate) struct Clash {
    pub id: String,
    first: u64,
    second: u64,
    ada: Replica,
    bob: Replica,
}

impl Clash {
    async fn of(ws: &Workspace, base: u64, by_ada: pb::Mutation, by_bob: pb::Mutation) -> Clash {
        let (mut ada, mut bob) = authors(ws, base);
        let first = applied(&ws.submit(ada.op(vec![by_ada])).await);
        let (second, ids) = conflicted(&ws.submit(bob.op(vec![by_bob])).await);
        assert_eq!(ids.len(), 1);
        Clash { id: ids[0].clone(), first, second, ada, bob }
    }

    /// Ada and Bob set the title of a card.
    pub async fn register(ws: &Workspace, record_id: &str) -> Clash {
        let base = ws.write(vec![card(record_id).create_with([("title", "base".into_value())])]).await;
        Clash::of(ws, base, card(record_id).set("title", "by ada"), card(record_id).set("title", "by bob"))
            .await
    }

    /// Ada and Bob replace the same word.
    async fn text(ws: &Workspace) -> Clash {
        let base = ws.write(vec![card("c1").create(), card("c1").replace("notes", "hello world!")]).await;
        let (by_ada, by_bob) = (&[(6, 5, "earth")], &[(6, 5, "moon")]);
        Clash::of(ws, base, card("c1").edit("notes", by_ada), card("c1").edit("notes", by_bob)).await
    }

    /// Ada deletes the card that Bob edits.
    async fn edit_delete(ws: &Workspace) -> Clash {
        let base = ws.write(vec![card("c1").create_with([("title", "base".into_value())])]).await;
        Clash::of(ws, base, card("c1").delete(), card("c1").set("title", "by bob")).await
    }

    /// Ada deletes the person that Bob makes the owner of a card.
    async fn relationship(ws: &Workspace) -> Clash {
        let base = ws.write(vec![card("c1").create(), person("p1").create()]).await;
        Clash::of(ws, base, person("p1").delete(), card("c1").link("owner", "p1")).await
    }
}

/// A decision on the conflict as it stands, made on a fresh read.
pub(crate) async fn resolve(
    ws: &Workspace,
    id: &str,
    decision: Decision,
) -> Result<pb::ResolveConflictResponse, Status> {
    let read = ws.conflict(id).await;
    let revision = read.conflict.expect("a summary").revision;
    send(ws, resolution(ws, id, revision, decision, read.context)).await
}

fn resolution(
    ws: &Workspace,
    id: &str,
    revision: u64,
    decision: Decision,
    context: Option<pb::CausalContext>,
) -> pb::ResolveConflictRequest {
    pb::ResolveConflictRequest {
        workspace_id: ws.id.clone(),
        conflict_id: id.to_owned(),
        revision,
        request_id: request_id(),
        actor: "carol".to_owned(),
        decision: Some(decision),
        context,
    }
}

async fn send(
    ws: &Workspace,
    request: pb::ResolveConflictRequest,
) -> Result<pb::ResolveConflictResponse, Status> {
    within("ResolveConflict", ws.clients.conflicts().resolve_conflict(request))
        .await
        .map(Response::into_inner)
}

/// A decision that has to close the conflict.
async fn decide(ws: &Workspace, id: &str, decision: Decision) -> pb::Conflict {
    let response = resolve(ws, id, decision).await.unwrap_or_else(|s| panic!("ResolveConflict: {s}"));
    let receipt = response.receipt.expect("a receipt");
    let seq = crate::harness::receipts::settled(&receipt);
    let conflict = response.conflict.expect("the conflict afterwards");
    assert_eq!(conflict.status(), pb::ConflictStatus::Resolved);
    assert_eq!((conflict.close_reason(), conflict.closed_seq), (pb::CloseReason::Resolved, Some(seq)));
    assert_eq!(ws.summary(id).await, conflict);
    conflict
}

pub(crate) fn keep() -> Decision {
    Decision::KeepCurrent(pb::KeepCurrent {})
}

fn delete() -> Decision {
    Decision::DeleteRecord(pb::DeleteInstead {})
}

fn unlink() -> Decision {
    Decision::UnlinkRecord(pb::UnlinkInstead {})
}

pub(crate) async fn defer(
    ws: &Workspace,
    id: &str,
    revision: u64,
    remind_time: Option<prost_types::Timestamp>,
) -> Result<pb::Conflict, Status> {
    let request = pb::DeferConflictRequest {
        workspace_id: ws.id.clone(),
        conflict_id: id.to_owned(),
        revision,
        remind_time,
        request_id: request_id(),
        actor: "carol".to_owned(),
    };
    let response = within("DeferConflict", ws.clients.conflicts().defer_conflict(request)).await?;
    Ok(response.into_inner().conflict.expect("the conflict"))
}

async fn assign(ws: &Workspace, id: &str, assignee: Option<&str>) -> Result<pb::Conflict, Status> {
    let request = pb::AssignConflictRequest {
        workspace_id: ws.id.clone(),
        conflict_id: id.to_owned(),
        assignee: assignee.map(str::to_owned),
        request_id: request_id(),
        actor: "carol".to_owned(),
    };
    let response = within("AssignConflict", ws.clients.conflicts().assign_conflict(request)).await?;
    Ok(response.into_inner().conflict.expect("the conflict"))
}

async fn reopen(ws: &Workspace, id: &str) -> Result<pb::Conflict, Status> {
    let request = pb::ReopenConflictRequest {
        workspace_id: ws.id.clone(),
        conflict_id: id.to_owned(),
        request_id: request_id(),
        actor: "carol".to_owned(),
    };
    let response = within("ReopenConflict", ws.clients.conflicts().reopen_conflict(request)).await?;
    Ok(response.into_inner().conflict.expect("the conflict"))
}

pub(crate) async fn events(
    ws: &Workspace,
    id: Option<&str>,
    page_size: u32,
    page_token: &str,
) -> pb::ListConflictEventsResponse {
    let request = pb::ListConflictEventsRequest {
        workspace_id: ws.id.clone(),
        conflict_id: id.map(str::to_owned),
        page_size,
        page_token: page_token.to_owned(),
    };
    let listed = within("ListConflictEvents", ws.clients.conflicts().list_conflict_events(request)).await;
    crate::harness::workspace::answer(listed)
}
