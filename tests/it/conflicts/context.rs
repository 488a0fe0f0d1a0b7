//! What one reads of a conflict: everything needed to decide it.

use std::slice;

use pb::AlternativeState::{Head, Suppressed};
use pb::ConflictKind::{EditDelete, Register, Relationship, TextOverlap};
use pb::MutationKind::{DeleteRecord, EditText, LinkRecord, SetField};

use super::{Clash, authors};
use crate::harness::ops::{card, null, person};
use crate::harness::receipts::{applied, conflicted, one_conflict, settled};
use crate::harness::workspace::{link, register, state};
use crate::harness::{IntoValue as _, TestServer, pb};

fn sides(read: &pb::GetConflictResponse) -> Vec<(u64, &str, pb::MutationKind, bool)> {
    read.alternatives.iter().map(|a| (a.seq, a.actor.as_str(), a.action(), a.provisional)).collect()
}

fn pairs(read: &pb::GetConflictResponse) -> Vec<(u64, u64)> {
    read.pairs.iter().map(|p| (p.earlier_seq, p.later_seq)).collect()
}

#[tokio::test]
async fn a_register_conflict_has_its_whole_context() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    ws.write(vec![person("p1").create(), card("c1").create_with([("title", "base".into_value())])]).await;
    let base = ws
        .write(vec![card("c1").link("owner", "p1"), card("c2").create(), card("c2").link("blocks", "c1")])
        .await;
    let (mut ada, mut bob) = authors(&ws, base);
    let written = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 });
    let by_ada = pb::Operation {
        client_time: written,
        correlation_id: "trace-a".to_owned(),
        ..ada.op(vec![card("c1").set("title", "by ada")])
    };
    let first = applied(&ws.submit(by_ada).await);
    let by_bob = bob.op(vec![card("c1").set("title", "by bob"), card("c1").increment("votes", 1)]);
    let (second, ids) = conflicted(&ws.submit(by_bob).await);

    let read = ws.conflict(&ids[0]).await;
    let summary = read.conflict.clone().expect("a summary");
    assert_eq!((summary.kind(), summary.status(), summary.revision), (Register, pb::ConflictStatus::Open, 1));
    assert_eq!([&summary.conflict_id, &summary.collection_id, &summary.record_id], [&ids[0], "cards", "c1"]);
    assert_eq!(
        (&summary.field_ids[..], summary.target_record_id.as_deref()),
        (&["title".to_owned()][..], None)
    );
    assert_eq!((summary.opened_seq, summary.closed_seq, summary.alternative_count), (second, None, 2));
    assert_eq!((summary.assignee.as_deref(), summary.close_reason()), (None, pb::CloseReason::Unspecified));

    assert!(!read.rule.is_empty());
    assert!(read.reason.contains("ada") && read.reason.contains("bob"), "{}", read.reason);
    assert_eq!((read.base_value.clone(), read.base_exact), (Some("base".into_value()), true));
    assert_eq!(sides(&read), [(first, "ada", SetField, true), (second, "bob", SetField, false)]);
    let [one, two] = &read.alternatives[..] else { panic!("{:?}", read.alternatives) };
    assert_eq!((&one.value, &two.value), (&Some("by ada".into_value()), &Some("by bob".into_value())));
    assert_eq!((&one.dot, &two.dot), (&Some(ada.last()), &Some(bob.last())));
    assert_eq!((&one.context, &two.context), (&Some(ada.context), &Some(bob.context)), "the causal path");
    assert_eq!((one.state(), two.state()), (Head, Head));
    assert_eq!((one.client_time, one.correlation_id.as_str()), (written, "trace-a"));
    assert!(one.commit_time.is_some() && two.commit_time.is_some());
    assert!(one.siblings.is_empty());
    assert_eq!(two.siblings, ["increment_counter c1.votes"]);

    let record = read.record.clone().expect("the record");
    assert_eq!(record, ws.record("c1").await);
    assert_eq!(register(&record, "title"), "by ada".into_value());
    let opening = read.record_at_opening.clone().expect("the record at the opening");
    assert_eq!(register(&opening, "title"), "by ada".into_value());
    assert_eq!(register(&opening, "owner"), "p1".into_value());
    let mut linked: Vec<(String, &str, bool)> = read
        .linked_records
        .iter()
        .map(|l| (l.record.as_ref().expect("a record").record_id.clone(), l.field_id.as_str(), l.incoming))
        .collect();
    linked.sort();
    assert_eq!(linked, [("c2".to_owned(), "blocks", true), ("p1".to_owned(), "owner", false)]);
    let recent: Vec<u64> = read.recent_history.iter().map(|c| c.seq).collect();
    assert_eq!(recent, [second, first, base, base - 1], "newest first, each once");
    let [event] = &read.events[..] else { panic!("{:?}", read.events) };
    assert_eq!((event.kind(), event.seq, event.revision), (pb::ConflictEventKind::Opened, second, 1));
    assert_eq!((event.actor.as_str(), event.status()), ("bob", pb::ConflictStatus::Open));
    assert_eq!(read.context.as_ref().map(|c| (c.epoch, c.base_seq)), Some((ws.epoch, second)));
    assert_eq!(pairs(&read), [(first, second)]);
}

#[tokio::test]
async fn three_concurrent_values_are_one_conflict_with_every_pair() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    let mut eve = ws.replica(3, "eve").having_seen(1);
    let (third, ids) = conflicted(&ws.submit(eve.op(vec![card("c1").set("title", "by eve")])).await);
    assert_eq!(ids, slice::from_ref(&clash.id));
    let read = ws.conflict(&clash.id).await;
    let summary = read.conflict.clone().expect("a summary");
    assert_eq!((summary.revision, summary.alternative_count), (2, 3));
    assert_eq!(
        sides(&read),
        [
            (clash.first, "ada", SetField, true),
            (clash.second, "bob", SetField, false),
            (third, "eve", SetField, false)
        ]
    );
    let mut found = pairs(&read);
    found.sort_unstable();
    assert_eq!(found, [(clash.first, clash.second), (clash.first, third), (clash.second, third)]);
    let kinds: Vec<_> = read.events.iter().map(pb::ConflictEvent::kind).collect();
    assert_eq!(kinds, [pb::ConflictEventKind::Opened, pb::ConflictEventKind::Changed]);
}

#[tokio::test]
async fn the_base_of_a_field_that_was_never_set_is_none() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create()]).await;
    let clash = Clash::of(&ws, base, card("c1").set("title", "a"), card("c1").set("title", "b")).await;
    let read = ws.conflict(&clash.id).await;
    assert!(read.base_value.is_none_or(|v| v == null()));
    assert!(read.base_exact);
}

#[tokio::test]
async fn concurrent_assignments_of_a_counter_and_of_a_link_conflict_like_registers() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create(), person("p1").create(), person("p2").create()]).await;
    let votes = Clash::of(&ws, base, card("c1").assign("votes", 3), card("c1").assign("votes", 4)).await;
    let read = ws.conflict(&votes.id).await;
    assert_eq!(read.conflict.as_ref().map(pb::Conflict::kind), Some(Register));
    let values: Vec<_> = read.alternatives.iter().map(|a| a.value.clone()).collect();
    assert_eq!(values, [Some(3.into_value()), Some(4.into_value())]);
    assert_eq!(state(&ws.record("c1").await, "votes"), pb::field_state::State::Counter(3));

    let base = ws.head_seq().await;
    let mut ada = votes.ada.having_seen(base);
    let mut bob = votes.bob.having_seen(base);
    applied(&ws.submit(ada.op(vec![card("c1").link("owner", "p1")])).await);
    let id = one_conflict(&ws.submit(bob.op(vec![card("c1").link("owner", "p2")])).await);
    let read = ws.conflict(&id).await;
    let summary = read.conflict.as_ref().expect("a summary");
    assert_eq!((summary.kind(), &summary.field_ids[..]), (Register, &["owner".to_owned()][..]));
    let values: Vec<_> = read.alternatives.iter().map(|a| a.value.clone()).collect();
    assert_eq!(values, [Some("p1".into_value()), Some("p2".into_value())]);
    assert_eq!(state(&ws.record("c1").await, "owner"), link(Some("p1")));
}

#[tokio::test]
async fn a_text_conflict_keeps_every_version_of_its_region() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::text(&ws).await;
    assert_eq!(
        ws.text("c1", "notes").await,
        "hello earth!",
        "the edit that was ordered first is in the text"
    );
    let read = ws.conflict(&clash.id).await;
    let summary = read.conflict.clone().expect("a summary");
    assert_eq!((summary.kind(), &summary.field_ids[..]), (TextOverlap, &["notes".to_owned()][..]));
    assert_eq!(sides(&read), [(clash.first, "ada", EditText, true), (clash.second, "bob", EditText, false)]);
    let [one, two] = &read.alternatives[..] else { panic!("{:?}", read.alternatives) };
    assert_eq!((one.state(), two.state()), (Head, Suppressed));
    let values = (one.value.clone(), two.value.clone(), read.base_value.clone());
    assert_eq!(values, (Some("earth".into_value()), Some("moon".into_value()), Some("world".into_value())));
    assert!(read.base_exact);
    let region = read.region.clone().expect("a live conflict of a text has a region");
    assert_eq!((region.position, region.length, region.shown.as_str()), (6, 5, "earth"));
    assert_eq!((region.before.as_str(), region.after.as_str()), ("hello ", "!"));
    assert_eq!(pairs(&read), [(clash.first, clash.second)]);
    assert!(!read.rule.is_empty() && read.reason.contains("ada") && read.reason.contains("bob"));
}

#[tokio::test]
async fn the_feed_says_which_hunks_were_suppressed() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::text(&ws).await;
    let changes =
        crate::harness::Feed::open(&ws, crate::harness::Kind::Watch, None).await.until(clash.second).await;
    let change = changes.last().expect("bob's");
    assert_eq!(change.outcome(), pb::ChangeOutcome::Conflicted);
    let text = change.effects.iter().find_map(|e| match &e.effect {
        Some(pb::effect::Effect::Record(pb::RecordEffect {
            effect: Some(pb::record_effect::Effect::TextChanged(text)),
            ..
        })) => Some(text.clone()),
        _ => None,
    });
    let text = text.expect("an effect on the text");
    assert_eq!(text.hunks.len(), 1);
    assert_eq!(text.hunks[0].suppressed_by_seq, Some(clash.first));
    assert_eq!(crate::harness::model::spliced("hello earth!", &text.splices), "hello earth!");
}

#[tokio::test]
async fn an_edit_against_a_delete_keeps_the_record_and_both_sides() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::edit_delete(&ws).await;
    let record = ws.record("c1").await;
    assert!(!record.deleted, "the edit wins until somebody decides");
    assert_eq!(register(&record, "title"), "by bob".into_value());
    let read = ws.conflict(&clash.id).await;
    let summary = read.conflict.clone().expect("a summary");
    assert_eq!((summary.kind(), summary.field_ids.len(), summary.record_id.as_str()), (EditDelete, 0, "c1"));
    assert_eq!(
        sides(&read),
        [(clash.second, "bob", SetField, true), (clash.first, "ada", DeleteRecord, false)]
    );
    assert_eq!(read.alternatives[0].value, Some("by bob".into_value()));
    assert_eq!(read.alternatives[1].value, None, "a delete offers nothing");
    assert_eq!(pairs(&read), [(clash.first, clash.second)]);
}

#[tokio::test]
async fn a_delete_against_an_edit_keeps_the_record_and_both_sides() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create_with([("title", "base".into_value())])]).await;
    let clash = Clash::of(&ws, base, card("c1").set("title", "by ada"), card("c1").delete()).await;
    assert!(!ws.record("c1").await.deleted);
    let read = ws.conflict(&clash.id).await;
    assert_eq!(read.conflict.as_ref().map(pb::Conflict::kind), Some(EditDelete));
    assert_eq!(
        sides(&read),
        [(clash.first, "ada", SetField, true), (clash.second, "bob", DeleteRecord, false)]
    );
    assert_eq!(read.record_at_opening.as_ref().map(|r| register(r, "title")), Some("by ada".into_value()));
    assert_eq!(pairs(&read), [(clash.first, clash.second)]);
}

#[tokio::test]
async fn a_link_to_what_somebody_deletes_keeps_both_and_names_both() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::relationship(&ws).await;
    assert!(!ws.record("p1").await.deleted, "the link wins until somebody decides");
    let read = ws.conflict(&clash.id).await;
    let summary = read.conflict.clone().expect("a summary");
    assert_eq!(summary.kind(), Relationship);
    assert_eq!(
        [&summary.collection_id, &summary.record_id, &summary.field_ids.concat()],
        ["cards", "c1", "owner"]
    );
    assert_eq!(summary.target_record_id.as_deref(), Some("p1"));
    assert_eq!(
        sides(&read),
        [(clash.second, "bob", LinkRecord, true), (clash.first, "ada", DeleteRecord, false)]
    );
    let linked: Vec<_> = read
        .linked_records
        .iter()
        .map(|l| (l.record.as_ref().expect("a record").record_id.as_str(), l.field_id.as_str(), l.incoming))
        .collect();
    assert_eq!(linked, [("p1", "owner", false)], "the target, once");
    assert_eq!(pairs(&read), [(clash.first, clash.second)]);
}

#[tokio::test]
async fn a_delete_of_what_somebody_links_to_names_the_collection_of_the_record_with_the_link() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create(), person("p1").create()]).await;
    let clash = Clash::of(&ws, base, card("c1").link("owner", "p1"), person("p1").delete()).await;
    let read = ws.conflict(&clash.id).await;
    let summary = read.conflict.clone().expect("a summary");
    assert_eq!(summary.kind(), Relationship);
    assert_eq!(
        [&summary.collection_id, &summary.record_id, &summary.field_ids.concat()],
        ["cards", "c1", "owner"]
    );
    assert_eq!(summary.target_record_id.as_deref(), Some("p1"));
    assert_eq!(
        sides(&read),
        [(clash.first, "ada", LinkRecord, true), (clash.second, "bob", DeleteRecord, false)]
    );
    super::decide(&ws, &clash.id, super::unlink()).await;
}

#[tokio::test]
async fn a_write_within_a_conflict_advances_its_side_and_forgets_nothing() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut clash = Clash::register(&ws, "c1").await;
    // Bob goes on without having seen Ada's value.
    let seq = settled(&ws.submit(clash.bob.op(vec![card("c1").set("title", "by bob, again")])).await);
    let read = ws.conflict(&clash.id).await;
    assert_eq!(sides(&read), [(clash.first, "ada", SetField, true), (seq, "bob", SetField, false)]);
    assert_eq!(read.conflict.as_ref().map(|c| c.revision), Some(2));
    // Who has seen everything and just writes does not decide.
    clash.ada.saw(seq);
    settled(&ws.submit(clash.ada.op(vec![card("c1").set("title", "by ada, knowing")])).await);
    let read = ws.conflict(&clash.id).await;
    assert_eq!(read.conflict.as_ref().map(pb::Conflict::status), Some(pb::ConflictStatus::Open));
    let values: Vec<_> = read.alternatives.iter().filter_map(|a| a.value.clone()).collect();
    assert!(values.contains(&"by bob, again".into_value()), "still offered: {values:?}");
    assert!(read.alternatives.iter().any(|a| a.state() == pb::AlternativeState::Shadow));
}
