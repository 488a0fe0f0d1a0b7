//! A conflict's life beside decisions: put aside, reminded, assigned, opened again, gone by itself, settled by a policy.

use std::slice;
use std::time::Duration;

use pb::ConflictEventKind as Event;
use pb::ConflictStatus as Status;

use super::{Clash, assign, decide, defer, events, keep, reopen};
use crate::harness::ops::{card, resolving};
use crate::harness::receipts::{merged, refused, settled};
use crate::harness::workspace::{collection, field, knowing, register};
use crate::harness::{Feed, Heard, IntoValue as _, Kind, Reason, TestServer, Workspace, fails, pb, until};

/// How often the reminder of a conflict fired.
async fn reminders(ws: &Workspace, id: &str) -> usize {
    events(ws, Some(id), 0, "").await.events.iter().filter(|e| e.kind() == Event::Reminded).count()
}

async fn reminded(ws: &Workspace, id: &str) -> pb::Conflict {
    until("a reminder", || async {
        let conflict = ws.summary(id).await;
        (conflict.status() == Status::Open).then_some(conflict)
    })
    .await
}

#[tokio::test]
async fn a_conflict_put_aside_reminds_once_and_says_so_in_the_feed() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    let mut feed = Feed::open(&ws, Kind::Watch, Some(ws.head().await)).await;
    let at = server.in_ms(700);
    let deferred = defer(&ws, &clash.id, 1, Some(at)).await.expect("put aside");
    assert_eq!((deferred.status(), deferred.revision, deferred.defer_count), (Status::Deferred, 2, 1));
    assert_eq!(deferred.remind_time, Some(at));
    assert_eq!(ws.inbox().await, slice::from_ref(&deferred), "still in the inbox");

    let mut told = Vec::new();
    while told.len() < 2 {
        match feed.next().await {
            Heard::Changes(changes) => {
                for effect in changes.iter().flat_map(|c| &c.effects) {
                    if let Some(pb::effect::Effect::ConflictChanged(changed)) = &effect.effect {
                        told.push((changed.event(), changed.conflict.clone().expect("a conflict")));
                    }
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(server.now_ms() >= at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000, "not before its time");
    assert_eq!(told[0], (Event::Deferred, deferred));
    let (event, conflict) = told[1].clone();
    assert_eq!((event, conflict.status(), conflict.revision), (Event::Reminded, Status::Open, 3));
    assert_eq!((conflict.remind_time, conflict.defer_count), (None, 1));
    assert_eq!(ws.summary(&clash.id).await, conflict);
    // The clock looks every 250 ms: a second firing would come now.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(reminders(&ws, &clash.id).await, 1);
    assert_eq!(ws.head_seq().await, feed.position());
    // Once more from the beginning.
    let again = defer(&ws, &clash.id, 3, Some(server.in_ms(1))).await.expect("put aside again");
    assert_eq!(again.defer_count, 2);
    reminded(&ws, &clash.id).await;
    assert_eq!(reminders(&ws, &clash.id).await, 2);
}

#[tokio::test]
async fn a_reminder_survives_a_restart_and_fires_once_without_clients() {
    let mut server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let later = Clash::register(&ws, "c1").await;
    let meanwhile = Clash::register(&ws, "c2").await;
    let at = server.in_ms(1_500);
    defer(&ws, &later.id, 1, Some(at)).await.expect("put aside");
    defer(&ws, &meanwhile.id, 1, Some(server.in_ms(100))).await.expect("put aside");
    drop(ws);
    server.stop().await;
    // The second one becomes due while nobody is there.
    tokio::time::sleep(Duration::from_millis(150)).await;
    server.restart().await;
    let ws = server.existing("w").await;
    reminded(&ws, &meanwhile.id).await;
    reminded(&ws, &later.id).await;
    assert!(server.now_ms() >= at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000, "not before its time");
    server.restart().await;
    let ws = server.existing("w").await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    for id in [&later.id, &meanwhile.id] {
        assert_eq!(reminders(&ws, id).await, 1);
        assert_eq!(ws.summary(id).await.status(), Status::Open);
    }
}

#[tokio::test]
async fn a_decided_conflict_does_not_remind() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    defer(&ws, &clash.id, 1, Some(server.in_ms(400))).await.expect("put aside");
    let closed = decide(&ws, &clash.id, keep()).await;
    assert_eq!(closed.remind_time, None);
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert_eq!(reminders(&ws, &clash.id).await, 0);
    assert_eq!(ws.summary(&clash.id).await, closed);
}

#[tokio::test]
async fn a_new_clash_wakes_a_conflict_that_was_put_aside() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    defer(&ws, &clash.id, 1, Some(server.in_ms(3_600_000))).await.expect("put aside");
    let mut eve = ws.replica(3, "eve").having_seen(1);
    settled(&ws.submit(eve.op(vec![card("c1").set("title", "by eve")])).await);
    let conflict = ws.summary(&clash.id).await;
    assert_eq!((conflict.status(), conflict.alternative_count), (Status::Open, 3));
}

#[tokio::test]
async fn the_time_of_a_reminder_is_checked() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    let head = ws.head().await;
    let day_ms = 24 * 60 * 60 * 1_000;
    let invalid = prost_types::Timestamp { seconds: i64::MAX, nanos: -1 };
    for time in [None, Some(invalid), Some(server.in_ms(367 * day_ms))] {
        fails(defer(&ws, &clash.id, 1, time).await, Reason::InvalidRequest);
    }
    assert_eq!(ws.summary(&clash.id).await.status(), Status::Open);
    assert!(ws.head().await == head, "nothing was stored");
    let deferred = defer(&ws, &clash.id, 1, Some(server.in_ms(365 * day_ms))).await.expect("put aside");
    assert_eq!(deferred.status(), Status::Deferred);
}

#[tokio::test]
async fn a_conflict_is_given_to_somebody_and_taken_back() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    let given = assign(&ws, &clash.id, Some("dana")).await.expect("given");
    assert_eq!((given.assignee.as_deref(), given.status(), given.revision), (Some("dana"), Status::Open, 2));
    let back = assign(&ws, &clash.id, None).await.expect("taken back");
    assert_eq!((back.assignee, back.revision), (None, 3));
    for nobody in ["", &"x".repeat(129)] {
        let fault = fails(assign(&ws, &clash.id, Some(nobody)).await, Reason::InvalidRequest);
        assert_eq!(fault.violations[0].0, "assignee");
    }
    decide(&ws, &clash.id, keep()).await;
    let fault = fails(assign(&ws, &clash.id, Some("dana")).await, Reason::ConflictNotLive);
    assert_eq!(
        (fault.metadata["conflict_id"].as_str(), fault.metadata["status"].as_str()),
        (clash.id.as_str(), "resolved")
    );
    let late = defer(&ws, &clash.id, 4, Some(server.in_ms(1_000))).await;
    fails(late, Reason::ConflictNotLive);
}

#[tokio::test]
async fn a_closed_conflict_is_opened_again_and_decided_again() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    assert_eq!(fails(reopen(&ws, &clash.id).await, Reason::ConflictLive).metadata["conflict_id"], clash.id);
    decide(&ws, &clash.id, keep()).await;
    let open = reopen(&ws, &clash.id).await.expect("open again");
    assert_eq!(
        (open.status(), open.closed_seq, open.close_reason()),
        (Status::Open, None, pb::CloseReason::Unspecified)
    );
    assert_eq!(ws.record("c1").await.live_conflict_ids, slice::from_ref(&clash.id));
    decide(&ws, &clash.id, pb::resolve_conflict_request::Decision::AlternativeSeq(clash.second)).await;
    assert_eq!(register(&ws.record("c1").await, "title"), "by bob".into_value());
    let kinds: Vec<_> = ws.conflict(&clash.id).await.events.iter().map(pb::ConflictEvent::kind).collect();
    assert_eq!(kinds, [Event::Opened, Event::Closed, Event::Reopened, Event::Closed]);
}

#[tokio::test]
async fn a_conflict_about_a_field_of_a_deleted_record_is_opened_again_with_its_record_only() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let decided = Clash::register(&ws, "c1").await;
    decide(&ws, &decided.id, keep()).await;
    let open = Clash::register(&ws, "c2").await;
    ws.write(vec![card("c1").delete(), card("c2").delete()]).await;
    assert!(ws.inbox().await.is_empty());
    // Nobody could decide about them.
    for (id, record) in [(&decided.id, "c1"), (&open.id, "c2")] {
        let fault = fails(reopen(&ws, id).await, Reason::RecordDeleted);
        assert_eq!(fault.metadata["record_id"], record);
    }
    assert!(ws.inbox().await.is_empty());
    ws.write(vec![card("c1").restore(), card("c2").restore()]).await;
    // What the deletion had closed is back by itself; what was decided can be opened again.
    assert_eq!(ws.inbox().await.remove(0).conflict_id, open.id);
    reopen(&ws, &decided.id).await.expect("open again");
    for id in [&open.id, &decided.id] {
        decide(&ws, id, keep()).await;
    }
    assert!(ws.inbox().await.is_empty());
}

#[tokio::test]
async fn only_one_conflict_of_a_place_is_live() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut clash = Clash::register(&ws, "c1").await;
    decide(&ws, &clash.id, keep()).await;
    settled(&ws.submit(clash.bob.op(vec![card("c1").set("title", "still bob's")])).await);
    let second = ws.inbox().await.remove(0);
    assert_ne!(second.conflict_id, clash.id);
    let fault = fails(reopen(&ws, &clash.id).await, Reason::ConflictLive);
    assert_eq!(fault.metadata["conflict_id"], second.conflict_id, "the one that is live");
}

#[tokio::test]
async fn what_is_no_conflict_is_not_found() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    Clash::register(&ws, "c1").await;
    for id in ["c1-0", "c999-0", "", "x", "c3-00", "c+3-0", "c3-0 ", &"9".repeat(400)] {
        let request = pb::GetConflictRequest {
            workspace_id: ws.id.clone(),
            conflict_id: id.to_owned(),
            at_least: None,
        };
        let read = crate::harness::within("GetConflict", ws.clients.conflicts().get_conflict(request)).await;
        fails(read, Reason::ConflictNotFound);
        fails(assign(&ws, id, Some("dana")).await, Reason::ConflictNotFound);
        fails(reopen(&ws, id).await, Reason::ConflictNotFound);
        fails(defer(&ws, id, 1, Some(server.in_ms(1_000))).await, Reason::ConflictNotFound);
        let decision = super::resolution(&ws, id, 1, keep(), None);
        fails(super::send(&ws, decision).await, Reason::ConflictNotFound);
    }
}

#[tokio::test]
async fn a_conflict_whose_values_converge_is_obsolete() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut clash = Clash::register(&ws, "c1").await;
    settled(&ws.submit(clash.ada.op(vec![card("c1").set("title", "by bob")])).await);
    let conflict = ws.summary(&clash.id).await;
    assert_eq!((conflict.status(), conflict.close_reason()), (Status::Obsolete, pb::CloseReason::Converged));
    assert!(ws.inbox().await.is_empty());
}

#[tokio::test]
async fn a_conflict_goes_with_its_record_when_the_delete_knew_all_of_it() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    ws.write(vec![card("c1").delete()]).await;
    assert!(ws.record("c1").await.deleted);
    let conflict = ws.summary(&clash.id).await;
    assert_eq!((conflict.status(), conflict.close_reason()), (Status::Obsolete, pb::CloseReason::Deleted));
}

fn with_policy(spec: pb::FieldSchema) -> pb::Schema {
    pb::Schema {
        strict: Some(true),
        collections: [("cards".to_owned(), collection([("title", spec)]))].into(),
    }
}

fn plain() -> pb::FieldSchema {
    field(pb::FieldKind::Register)
}

#[tokio::test]
async fn the_schema_says_which_value_is_shown_until_somebody_decides() {
    let server = TestServer::start().await;
    for (name, rule, shown) in [
        ("unspecified", pb::ProvisionalRule::Unspecified, 5),
        ("incumbent", pb::ProvisionalRule::Incumbent, 5),
        ("latest", pb::ProvisionalRule::Latest, 3),
        ("min", pb::ProvisionalRule::Min, 3),
        ("max", pb::ProvisionalRule::Max, 9),
    ] {
        let schema = with_policy(pb::FieldSchema { provisional: rule.into(), ..plain() });
        let ws = server.workspace_of(name, Some(schema)).await;
        let base = ws.write(vec![card("c1").create()]).await;
        let clash = Clash::of(&ws, base, card("c1").set("title", 5), card("c1").set("title", 9)).await;
        let mut eve = ws.replica(3, "eve").having_seen(base);
        settled(&ws.submit(eve.op(vec![card("c1").set("title", 3)])).await);
        assert_eq!(register(&ws.record("c1").await, "title"), shown.into_value(), "{name}");
        let read = ws.conflict(&clash.id).await;
        let first = &read.alternatives[0];
        assert_eq!((&first.value, first.provisional), (&Some(shown.into_value()), true), "{name}");
        assert_eq!(read.alternatives.iter().filter(|a| a.provisional).count(), 1, "{name}");
        // Every client folds the same value.
        let mut model = crate::harness::model::Model::default();
        for change in Feed::open(&ws, Kind::Watch, None).await.until(ws.head_seq().await).await {
            model.apply(&change);
        }
        model.agrees_with(&ws.record("c1").await);
    }
}

#[tokio::test]
async fn a_field_may_settle_its_conflicts_by_its_rule_and_keeps_the_record_of_it() {
    let server = TestServer::start().await;
    let spec = pb::FieldSchema {
        on_clash: pb::ClashRule::Settle.into(),
        provisional: pb::ProvisionalRule::Latest.into(),
        ..plain()
    };
    let ws = server.workspace_of("w", Some(with_policy(spec))).await;
    let base = ws.write(vec![card("c1").create()]).await;
    let (mut ada, mut bob) = super::authors(&ws, base);
    settled(&ws.submit(ada.op(vec![card("c1").set("title", "a")])).await);
    let seq = merged(&ws.submit(bob.op(vec![card("c1").set("title", "b")])).await);
    assert!(ws.inbox().await.is_empty());
    assert_eq!(register(&ws.record("c1").await, "title"), "b".into_value());
    let conflict = ws.conflict(&format!("c{seq}-0")).await;
    let summary = conflict.conflict.expect("it is recorded");
    assert_eq!((summary.status(), summary.close_reason()), (Status::Resolved, pb::CloseReason::Policy));
    assert_eq!(conflict.alternatives.len(), 2, "with all sides");
}

#[tokio::test]
async fn a_field_may_let_a_write_that_knew_everything_supersede_its_conflict() {
    let server = TestServer::start().await;
    let spec = pb::FieldSchema { on_dominate: pb::DominateRule::Supersede.into(), ..plain() };
    let ws = server.workspace_of("w", Some(with_policy(spec))).await;
    let mut clash = Clash::register(&ws, "c1").await;
    clash.ada.saw(clash.second);
    settled(&ws.submit(clash.ada.op(vec![card("c1").set("title", "final")])).await);
    let conflict = ws.summary(&clash.id).await;
    assert_eq!(
        (conflict.status(), conflict.close_reason()),
        (Status::Superseded, pb::CloseReason::Superseded)
    );
}

#[tokio::test]
async fn a_place_takes_a_limited_number_of_values_that_did_not_know_each_other() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    ws.write(vec![card("c1").create()]).await;
    let (_, context) = ws.read("c1").await;
    let write = |n: u32| knowing(&context, vec![card("c1").set("title", n.to_string().as_str())]);
    assert_eq!(ws.submit_all((0..256).map(write).collect()).await.len(), 256);
    let metadata = refused(&ws.submit(write(256)).await, Reason::TooManySides).metadata.clone();
    assert_eq!((metadata["record_id"].as_str(), metadata["limit"].as_str()), ("c1", "256"));
    // Somebody decides, and there is room again.
    let inbox = ws.inbox().await;
    assert_eq!(inbox.len(), 1, "{inbox:?}");
    let decision = resolving(card("c1").set("title", "decided"), &inbox[0].conflict_id);
    ws.write(vec![decision]).await;
    assert_eq!(ws.inbox().await, []);
    settled(&ws.submit(write(257)).await);
}
