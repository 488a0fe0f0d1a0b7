//! Lists of conflicts, the log of what happened to them, and how they ended.

use std::collections::BTreeMap;
use std::slice;

use super::{Clash, assign, decide, defer, events, keep, reopen};
use crate::harness::ops::{card, on};
use crate::harness::workspace::answer;
use crate::harness::{IntoValue as _, Reason, TestServer, Workspace, fails, pb, within};
use pb::ConflictStatus as Status;

async fn list(ws: &Workspace, request: pb::ListConflictsRequest) -> pb::ListConflictsResponse {
    let request = pb::ListConflictsRequest { workspace_id: ws.id.clone(), ..request };
    answer(within("ListConflicts", ws.clients.conflicts().list_conflicts(request)).await)
}

async fn ids(ws: &Workspace, request: pb::ListConflictsRequest) -> Vec<String> {
    list(ws, request).await.conflicts.into_iter().map(|c| c.conflict_id).collect()
}

async fn statistics(ws: &Workspace) -> pb::GetConflictStatisticsResponse {
    let request = pb::GetConflictStatisticsRequest { workspace_id: ws.id.clone() };
    answer(within("statistics", ws.clients.conflicts().get_conflict_statistics(request)).await)
}

#[tokio::test]
async fn conflicts_are_listed_newest_first_in_pages() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut expected = Vec::new();
    for n in 0..12 {
        expected.push(Clash::register(&ws, &format!("c{n}")).await.id);
    }
    expected.reverse();
    assert_eq!(ids(&ws, pb::ListConflictsRequest::default()).await, expected);
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListConflictsRequest { page_size: 5, page_token, ..Default::default() };
        let page = list(&ws, request).await;
        assert!(page.conflicts.len() <= 5);
        found.extend(page.conflicts.into_iter().map(|c| c.conflict_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, expected);
    for token in ["x", "conflicts:x", "conflicts:c01-0", "events:1/1/c1-0"] {
        let request = pb::ListConflictsRequest {
            workspace_id: ws.id.clone(),
            page_token: token.to_owned(),
            ..Default::default()
        };
        let listed = within("ListConflicts", ws.clients.conflicts().list_conflicts(request)).await;
        fails(listed, Reason::InvalidPageToken);
    }
}

#[tokio::test]
async fn conflicts_are_filtered_by_status_kind_place_and_assignee() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let open = Clash::register(&ws, "c1").await.id;
    let deferred = Clash::register(&ws, "c2").await.id;
    let resolved = Clash::register(&ws, "c3").await.id;
    defer(&ws, &deferred, 1, Some(server.in_ms(3_600_000))).await.expect("put aside");
    decide(&ws, &resolved, keep()).await;
    assign(&ws, &open, Some("dana")).await.expect("given");
    let base = ws.write(vec![card("c9").create(), on("people", "p9").create()]).await;
    let mut ada = ws.replica(1, "ada").having_seen(base);
    let mut bob = ws.replica(2, "bob").having_seen(base);
    crate::harness::receipts::applied(&ws.submit(ada.op(vec![on("people", "p9").delete()])).await);
    let other = ws.submit(bob.op(vec![on("people", "p9").set("name", "x")])).await;
    let other = crate::harness::receipts::one_conflict(&other);

    let with = |statuses: &[Status]| pb::ListConflictsRequest {
        statuses: statuses.iter().map(|s| i32::from(*s)).collect(),
        ..Default::default()
    };
    assert_eq!(ids(&ws, with(&[])).await, [&other, &deferred, &open].map(Clone::clone));
    assert_eq!(ids(&ws, with(&[Status::Resolved])).await, slice::from_ref(&resolved));
    assert_eq!(ids(&ws, with(&[Status::Deferred])).await, slice::from_ref(&deferred));
    assert_eq!(
        ids(&ws, with(&[Status::Resolved, Status::Deferred])).await,
        [&resolved, &deferred].map(Clone::clone)
    );
    assert_eq!(ids(&ws, with(&[Status::Unspecified])).await.len(), 4, "any");
    let kind = |kind: pb::ConflictKind| pb::ListConflictsRequest { kind: kind.into(), ..Default::default() };
    assert_eq!(ids(&ws, kind(pb::ConflictKind::EditDelete)).await, slice::from_ref(&other));
    assert_eq!(ids(&ws, kind(pb::ConflictKind::Register)).await, [&deferred, &open].map(Clone::clone));
    assert!(ids(&ws, kind(pb::ConflictKind::TextOverlap)).await.is_empty());
    let people = pb::ListConflictsRequest { collection_id: Some("people".to_owned()), ..Default::default() };
    assert_eq!(ids(&ws, people).await, [other]);
    let record = pb::ListConflictsRequest { record_id: Some("c2".to_owned()), ..Default::default() };
    assert_eq!(ids(&ws, record).await, [deferred]);
    let assignee = pb::ListConflictsRequest { assignee: Some("dana".to_owned()), ..Default::default() };
    assert_eq!(ids(&ws, assignee).await, [open]);

    for (request, field) in [
        (pb::ListConflictsRequest { statuses: vec![1, 77], ..Default::default() }, "statuses[1]"),
        (pb::ListConflictsRequest { kind: 77, ..Default::default() }, "kind"),
    ] {
        let request = pb::ListConflictsRequest { workspace_id: ws.id.clone(), ..request };
        let listed = within("ListConflicts", ws.clients.conflicts().list_conflicts(request)).await;
        let fault = fails(listed, Reason::UnknownEnumValue);
        assert_eq!((fault.metadata["field"].as_str(), fault.metadata["value"].as_str()), (field, "77"));
    }
}

#[tokio::test]
async fn the_log_has_everything_that_happened_newest_first_in_pages() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let one = Clash::register(&ws, "c1").await.id;
    let two = Clash::register(&ws, "c2").await.id;
    assign(&ws, &one, Some("dana")).await.expect("given");
    defer(&ws, &one, 2, Some(server.in_ms(3_600_000))).await.expect("put aside");
    decide(&ws, &one, keep()).await;
    reopen(&ws, &one).await.expect("open again");

    let of_one = events(&ws, Some(&one), 0, "").await.events;
    use pb::ConflictEventKind::{Assigned, Closed, Deferred, Opened, Reopened};
    let told: Vec<_> =
        of_one.iter().rev().map(|e| (e.kind(), e.actor.as_str(), e.revision, e.status())).collect();
    assert_eq!(
        told,
        [
            (Opened, "bob", 1, Status::Open),
            (Assigned, "carol", 2, Status::Open),
            (Deferred, "carol", 3, Status::Deferred),
            (Closed, "carol", 4, Status::Resolved),
            (Reopened, "carol", 5, Status::Open),
        ]
    );
    let read = ws.conflict(&one).await;
    assert_eq!(read.events, of_one.iter().rev().cloned().collect::<Vec<_>>(), "there, oldest first");

    let all = events(&ws, None, 0, "").await.events;
    assert_eq!(all.len(), 6);
    assert!(all.is_sorted_by(|a, b| a.seq >= b.seq));
    assert_eq!(all.iter().filter(|e| e.conflict_id == two).count(), 1);
    let mut paged = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = events(&ws, None, 4, &page_token).await;
        assert!(page.events.len() <= 4);
        paged.extend(page.events);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, all);
    for token in ["x", "events:1", "events:1/2", "events:a/b/c1-0", "conflicts:c1-0"] {
        let request = pb::ListConflictEventsRequest {
            workspace_id: ws.id.clone(),
            page_token: token.to_owned(),
            ..Default::default()
        };
        let listed = within("events", ws.clients.conflicts().list_conflict_events(request)).await;
        fails(listed, Reason::InvalidPageToken);
    }
}

#[tokio::test]
async fn statistics_count_conflicts_and_how_they_ended() {
    let mut server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let empty = statistics(&ws).await;
    assert_eq!((empty.total_count, empty.median_open_ms, empty.deferred_ever_count), (0, 0, 0));
    let ids = [
        Clash::register(&ws, "c1").await.id,
        Clash::register(&ws, "c2").await.id,
        Clash::register(&ws, "c3").await.id,
        Clash::register(&ws, "c4").await.id,
    ];
    decide(&ws, &ids[0], keep()).await;
    defer(&ws, &ids[1], 1, Some(server.in_ms(3_600_000))).await.expect("put aside");
    ws.write(vec![card("c3").delete()]).await;
    let base = ws.write(vec![card("t").create(), card("t").set("status", "x")]).await;
    Clash::of(&ws, base, card("t").delete(), card("t").set("title", "x".into_value())).await;
    server.restart().await;
    let ws = server.existing("w").await;

    let found = statistics(&ws).await;
    assert_eq!((found.total_count, found.deferred_ever_count), (5, 1));
    let by_status: BTreeMap<_, _> = found.by_status.iter().map(|s| (s.status(), s.count)).collect();
    let expected = [(Status::Open, 2), (Status::Deferred, 1), (Status::Resolved, 1), (Status::Obsolete, 1)];
    assert_eq!(by_status, expected.into());
    let by_kind: BTreeMap<_, _> = found.by_kind.iter().map(|k| (k.kind(), k.count)).collect();
    assert_eq!(by_kind, [(pb::ConflictKind::Register, 4), (pb::ConflictKind::EditDelete, 1)].into());
    let by_reason: Vec<_> = found.by_close_reason.iter().map(|r| (r.close_reason(), r.count)).collect();
    assert_eq!(by_reason, [(pb::CloseReason::Resolved, 1), (pb::CloseReason::Deleted, 1)]);
    assert!(found.median_open_ms < 600_000);
}
