//! Decisions: every kind of conflict, every kind of decision, and those that come too late.

use pb::resolve_conflict_request::Decision;
use tonic::Code;

use super::{Clash, authors, decide, delete, keep, reopen, resolution, resolve, send, unlink};
use crate::harness::ops::{card, null, person};
use crate::harness::receipts::{applied, conflicted, duplicate, original, settled};
use crate::harness::workspace::{answer, collection, field, link, links, register, state};
use crate::harness::{Feed, IntoValue as _, Kind, Reason, TestServer, fails, fails_with, pb, within};

#[tokio::test]
async fn a_register_conflict_is_decided_by_an_alternative_a_value_or_what_is_there() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    decide(&ws, &clash.id, Decision::AlternativeSeq(clash.second)).await;
    let decided = Clash::register(&ws, "c2").await;
    decide(&ws, &decided.id, Decision::Value("both".into_value())).await;
    let kept = Clash::register(&ws, "c3").await;
    decide(&ws, &kept.id, keep()).await;
    let emptied = Clash::register(&ws, "c4").await;
    decide(&ws, &emptied.id, Decision::Value(null())).await;
    for (id, title) in [
        ("c1", "by bob".into_value()),
        ("c2", "both".into_value()),
        ("c3", "by ada".into_value()),
        ("c4", null()),
    ] {
        let record = ws.record(id).await;
        assert_eq!(register(&record, "title"), title, "{id}");
        assert!(record.live_conflict_ids.is_empty() && record.fields["title"].candidates.is_empty(), "{id}");
    }
    assert!(ws.inbox().await.is_empty());
}

#[tokio::test]
async fn counters_and_links_are_decided_with_values_of_their_kind() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create(), person("p1").create(), person("p2").create()]).await;
    let votes = Clash::of(&ws, base, card("c1").assign("votes", 3), card("c1").assign("votes", 4)).await;
    fails(resolve(&ws, &votes.id, Decision::Value("five".into_value())).await, Reason::InvalidRequest);
    decide(&ws, &votes.id, Decision::Value(5.into_value())).await;
    assert_eq!(state(&ws.record("c1").await, "votes"), pb::field_state::State::Counter(5));

    let base = ws.head_seq().await;
    let (mut ada, mut bob) = (votes.ada.having_seen(base), votes.bob.having_seen(base));
    applied(&ws.submit(ada.op(vec![card("c1").link("owner", "p1")])).await);
    let (_, ids) = conflicted(&ws.submit(bob.op(vec![card("c1").link("owner", "p2")])).await);
    fails(resolve(&ws, &ids[0], Decision::Value(5.into_value())).await, Reason::InvalidRequest);
    decide(&ws, &ids[0], Decision::Value("p2".into_value())).await;
    assert_eq!(state(&ws.record("c1").await, "owner"), link(Some("p2")));
}

#[tokio::test]
async fn a_counter_keeps_increments_that_nobody_clashed_over() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create()]).await;
    let mut clash =
        Clash::of(&ws, base, card("c1").assign("votes", 10), card("c1").assign("votes", 20)).await;
    let read = ws.conflict(&clash.id).await;
    settled(&ws.submit(clash.bob.op(vec![card("c1").increment("votes", 1)])).await);
    // Decided on what was read before the increment: that stays on top.
    let request = resolution(&ws, &clash.id, 1, Decision::Value(30.into_value()), read.context);
    send(&ws, request).await.expect("decided");
    assert_eq!(state(&ws.record("c1").await, "votes"), pb::field_state::State::Counter(31));
}

#[tokio::test]
async fn choosing_the_assignment_of_a_counter_keeps_every_increment_that_it_did_not_know() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    for (id, chooses_first, expected) in [("c1", true, 15), ("c2", false, 17)] {
        let base = ws.write(vec![card(id).create(), card(id).assign("votes", 1)]).await;
        let mut clash = Clash::of(&ws, base, card(id).assign("votes", 5), card(id).assign("votes", 7)).await;
        // One by somebody who knew both, one by somebody who knew neither.
        ws.write(vec![card(id).increment("votes", 4)]).await;
        let (mut cem, mut dee) = authors(&ws, base);
        settled(&ws.submit(cem.op(vec![card(id).increment("votes", 6)])).await);
        let read = ws.conflict(&clash.id).await;
        let offered: Vec<_> = read.alternatives.iter().map(|a| a.value.clone().expect("a value")).collect();
        assert_eq!(offered, [15.into_value(), 17.into_value()]);
        let candidates = ws.record(id).await.fields["votes"].candidates.clone();
        assert_eq!(candidates.into_iter().map(|c| c.value.expect("a value")).collect::<Vec<_>>(), offered);
        // One more, which whoever decides has not seen.
        settled(&ws.submit(dee.op(vec![card(id).increment("votes", 100)])).await);
        let chosen = Decision::AlternativeSeq(if chooses_first { clash.first } else { clash.second });
        send(&ws, resolution(&ws, &clash.id, 1, chosen, read.context)).await.expect("decided");
        let counter = state(&ws.record(id).await, "votes");
        assert_eq!(counter, pb::field_state::State::Counter(expected + 100));
        // Later increments go on top, as ever.
        clash.ada.saw(ws.head_seq().await);
        applied(&ws.submit(clash.ada.op(vec![card(id).increment("votes", 1)])).await);
        let counter = state(&ws.record(id).await, "votes");
        assert_eq!(counter, pb::field_state::State::Counter(expected + 101));
    }
}

#[tokio::test]
async fn a_side_that_was_overwritten_or_decided_against_comes_with_later_increments_too() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    // Decided, counted further, opened again.
    let base = ws.write(vec![card("c1").create()]).await;
    let clash = Clash::of(&ws, base, card("c1").assign("votes", 100), card("c1").assign("votes", 200)).await;
    decide(&ws, &clash.id, Decision::AlternativeSeq(clash.first)).await;
    for _ in 0..12 {
        ws.write(vec![card("c1").increment("votes", 1)]).await;
    }
    reopen(&ws, &clash.id).await.expect("open again");
    let offered = |read: &pb::GetConflictResponse| -> Vec<pb::Value> {
        read.alternatives.iter().map(|side| side.value.clone().expect("a value")).collect()
    };
    assert_eq!(offered(&ws.conflict(&clash.id).await), [112.into_value(), 212.into_value()]);
    decide(&ws, &clash.id, Decision::AlternativeSeq(clash.second)).await;
    assert_eq!(state(&ws.record("c1").await, "votes"), pb::field_state::State::Counter(212));

    // Overwritten by somebody who saw both, counted further, and chosen all the same.
    let base = ws.write(vec![card("c2").create()]).await;
    let clash = Clash::of(&ws, base, card("c2").assign("votes", 100), card("c2").assign("votes", 200)).await;
    ws.write(vec![card("c2").assign("votes", 300)]).await;
    ws.write(vec![card("c2").increment("votes", 7)]).await;
    decide(&ws, &clash.id, Decision::AlternativeSeq(clash.second)).await;
    assert_eq!(state(&ws.record("c2").await, "votes"), pb::field_state::State::Counter(207));

    // Beyond 64 bits nothing is decided in silence.
    let base = ws.write(vec![card("c3").create()]).await;
    let near = card("c3").assign("votes", i64::MAX - 5);
    let clash = Clash::of(&ws, base, card("c3").assign("votes", 0), near).await;
    ws.write(vec![card("c3").increment("votes", 10)]).await;
    fails(resolve(&ws, &clash.id, Decision::AlternativeSeq(clash.second)).await, Reason::InvalidRequest);
    decide(&ws, &clash.id, Decision::AlternativeSeq(clash.first)).await;
    assert_eq!(state(&ws.record("c3").await, "votes"), pb::field_state::State::Counter(10));
}

#[tokio::test]
async fn increments_that_lie_too_far_back_to_be_added_up_are_never_left_out_in_silence() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create()]).await;
    let clash = Clash::of(&ws, base, card("c1").assign("votes", 100), card("c1").assign("votes", 200)).await;
    ws.write(vec![card("c1").assign("votes", 300)]).await;
    let early = ws.conflict(&clash.id).await;
    let revision = early.conflict.expect("a summary").revision;
    // More changes of the counter than are read for a sum.
    for _ in 0..101 {
        let by_one = card("c1").increment("votes", 1);
        let call = (0..100).map(|_| crate::harness::workspace::latest(vec![by_one.clone()])).collect();
        for receipt in ws.submit_all(call).await {
            settled(&receipt);
        }
    }
    let stale = resolution(&ws, &clash.id, revision, keep(), early.context);
    fails(send(&ws, stale).await, Reason::InvalidRequest);
    fails(resolve(&ws, &clash.id, Decision::AlternativeSeq(clash.second)).await, Reason::InvalidRequest);
    decide(&ws, &clash.id, keep()).await;
    assert_eq!(state(&ws.record("c1").await, "votes"), pb::field_state::State::Counter(10_400));
}

#[tokio::test]
async fn a_text_conflict_is_decided_by_a_version_a_text_the_base_or_what_is_there() {
    let server = TestServer::start().await;
    for (decision, expected) in [
        (None, "hello moon!"),
        (Some(Decision::Text("earth and moon".to_owned())), "hello earth and moon!"),
        (Some(Decision::UseBase(pb::UseBase {})), "hello world!"),
        (Some(keep()), "hello earth!"),
    ] {
        let ws = server.workspace(&expected.replace([' ', '!'], "-")).await;
        let clash = Clash::text(&ws).await;
        decide(&ws, &clash.id, decision.unwrap_or(Decision::AlternativeSeq(clash.second))).await;
        assert_eq!(ws.text("c1", "notes").await, expected);
        assert!(ws.inbox().await.is_empty());
    }
}

#[tokio::test]
async fn choosing_the_text_that_is_there_changes_nothing_but_the_conflict() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::text(&ws).await;
    decide(&ws, &clash.id, Decision::AlternativeSeq(clash.first)).await;
    assert_eq!(ws.text("c1", "notes").await, "hello earth!");
}

#[tokio::test]
async fn an_edit_delete_conflict_is_decided_by_keeping_or_deleting() {
    let server = TestServer::start().await;
    for (name, decision, deleted) in [
        ("keep", Some(keep()), false),
        ("delete", Some(delete()), true),
        ("edit-side", None, false),
        ("delete-side", Some(Decision::AlternativeSeq(2)), true),
    ] {
        let ws = server.workspace(name).await;
        let clash = Clash::edit_delete(&ws).await;
        decide(&ws, &clash.id, decision.unwrap_or(Decision::AlternativeSeq(clash.second))).await;
        let record = ws.record("c1").await;
        assert_eq!((record.deleted, record.live_conflict_ids.len()), (deleted, 0), "{name}");
        assert_eq!(register(&record, "title"), "by bob".into_value(), "{name}");
    }
}

#[tokio::test]
async fn a_relationship_conflict_is_decided_by_keeping_deleting_or_unlinking() {
    let server = TestServer::start().await;
    for (name, decision, owner, deleted) in [
        ("keep", keep(), Some("p1"), false),
        ("delete", delete(), Some("p1"), true),
        ("unlink", unlink(), None, false),
    ] {
        let ws = server.workspace(name).await;
        let clash = Clash::relationship(&ws).await;
        decide(&ws, &clash.id, decision).await;
        assert_eq!(ws.record("p1").await.deleted, deleted, "{name}");
        let record = ws.record("c1").await;
        assert_eq!(state(&record, "owner"), link(owner), "{name}");
        assert_eq!(record.deleted_target_record_ids.len(), usize::from(deleted), "{name}");
        assert!(ws.inbox().await.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_relationship_conflict_through_a_to_many_field_is_decided_as_well() {
    let server = TestServer::start().await;
    for (name, decision, linked, deleted) in
        [("keep", keep(), true, false), ("delete", delete(), true, true), ("unlink", unlink(), false, false)]
    {
        for delete_first in [true, false] {
            let ws = server.workspace(&format!("{name}-{delete_first}")).await;
            let base = ws.write(vec![card("c1").create(), card("c2").create()]).await;
            let (gone, link) = (card("c2").delete(), card("c1").link("blocks", "c2"));
            let clash = if delete_first {
                Clash::of(&ws, base, gone, link).await
            } else {
                Clash::of(&ws, base, link, gone).await
            };
            assert_eq!(ws.summary(&clash.id).await.kind(), pb::ConflictKind::Relationship);
            decide(&ws, &clash.id, decision.clone()).await;
            assert_eq!(ws.record("c2").await.deleted, deleted, "{name}");
            let record = ws.record("c1").await;
            assert_eq!(state(&record, "blocks"), links(if linked { &["c2"] } else { &[] }), "{name}");
            assert_eq!(record.deleted_target_record_ids.len(), usize::from(deleted), "{name}");
        }
    }
}

#[tokio::test]
async fn a_decision_that_does_not_fit_the_conflict_is_refused_and_changes_nothing() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    let head = ws.head().await;
    let decisions =
        [delete(), unlink(), Decision::Text("x".to_owned()), Decision::AlternativeSeq(clash.first - 1)];
    for decision in decisions {
        let fault = fails(resolve(&ws, &clash.id, decision).await, Reason::InvalidRequest);
        assert_eq!(fault.violations[0].0, "decision");
    }
    let none = pb::ResolveConflictRequest { decision: None, ..resolution(&ws, &clash.id, 1, keep(), None) };
    assert_eq!(fails(send(&ws, none).await, Reason::InvalidRequest).violations[0].0, "decision");
    let nobody = pb::ResolveConflictRequest {
        request_id: String::new(),
        actor: "cut, not refused".repeat(129),
        ..resolution(&ws, &clash.id, 1, keep(), None)
    };
    let fields: Vec<_> = fails(send(&ws, nobody).await, Reason::InvalidRequest).violations;
    assert_eq!(fields.iter().map(|v| v.0.as_str()).collect::<Vec<_>>(), ["request_id"]);
    let nan = Decision::Value(f64::NAN.into_value());
    fails_with(resolve(&ws, &clash.id, nan).await, Code::InvalidArgument, Reason::InvalidValue);
    assert_eq!(ws.head().await, head);
    decide(&ws, &clash.id, keep()).await;
}

#[tokio::test]
async fn a_decision_on_an_old_revision_is_aborted_with_the_present_one() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    let mut eve = ws.replica(3, "eve").having_seen(1);
    conflicted(&ws.submit(eve.op(vec![card("c1").set("title", "by eve")])).await);
    let head = ws.head().await;
    for revision in [0, 1, 3, u64::MAX] {
        let late = send(&ws, resolution(&ws, &clash.id, revision, keep(), None)).await;
        let fault = fails(late, Reason::ConflictChanged);
        assert_eq!(
            (fault.metadata["conflict_id"].as_str(), fault.metadata["revision"].as_str()),
            (clash.id.as_str(), "2")
        );
    }
    let late = super::defer(&ws, &clash.id, 1, Some(server.in_ms(60_000))).await;
    fails(late, Reason::ConflictChanged);
    assert_eq!(ws.head().await, head);
    decide(&ws, &clash.id, keep()).await;
}

#[tokio::test]
async fn a_decision_without_a_context_knows_what_its_revision_knew() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    // Something else happens to the field's card since.
    ws.write(vec![card("c1").set("status", "later")]).await;
    let response =
        send(&ws, resolution(&ws, &clash.id, 1, Decision::AlternativeSeq(clash.second), None)).await;
    let conflict = response.expect("decided").conflict.expect("the conflict");
    assert_eq!(conflict.status(), pb::ConflictStatus::Resolved);
    assert_eq!(register(&ws.record("c1").await, "title"), "by bob".into_value());
}

#[tokio::test]
async fn a_decision_made_with_another_history_is_refused() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    let read = ws.conflict(&clash.id).await.context.expect("a context");
    let other = pb::CausalContext { epoch: read.epoch ^ 1, ..read.clone() };
    let fault =
        fails(send(&ws, resolution(&ws, &clash.id, 1, keep(), Some(other))).await, Reason::WrongEpoch);
    assert_eq!(fault.metadata["expected_epoch"], ws.epoch.to_string());
    let ahead = pb::CausalContext { base_seq: read.base_seq + 10, ..read };
    let refused = send(&ws, resolution(&ws, &clash.id, 1, keep(), Some(ahead))).await;
    fails_with(refused, Code::FailedPrecondition, Reason::ContextAhead);
    decide(&ws, &clash.id, keep()).await;
}

#[tokio::test]
async fn a_decision_asked_for_twice_decides_once() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    let request = resolution(&ws, &clash.id, 1, Decision::AlternativeSeq(clash.second), None);
    let first = send(&ws, request.clone()).await.expect("decided").receipt.expect("a receipt");
    let head = ws.head().await;
    let again = send(&ws, request).await.expect("the same").receipt.expect("a receipt");
    assert_eq!(duplicate(&again), original(&first));
    assert_eq!(ws.head().await, head);
    // Somebody else's decision comes too late.
    fails(send(&ws, resolution(&ws, &clash.id, 1, keep(), None)).await, Reason::ConflictChanged);
}

#[tokio::test]
async fn the_same_request_id_with_another_decision_is_refused_and_the_stored_one_stays() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    let read = ws.conflict(&clash.id).await.context;
    let first = resolution(&ws, &clash.id, 1, Decision::AlternativeSeq(clash.second), read.clone());
    let receipt = send(&ws, first.clone()).await.expect("decided").receipt.expect("a receipt");
    let head = ws.head().await;
    // The same value, asked for in other words, is another request; and so is everything else about it.
    for other in [
        pb::ResolveConflictRequest {
            decision: Some(Decision::Value("by bob".into_value())),
            ..first.clone()
        },
        pb::ResolveConflictRequest { decision: Some(keep()), ..first.clone() },
        pb::ResolveConflictRequest { decision: Some(Decision::AlternativeSeq(clash.first)), ..first.clone() },
        pb::ResolveConflictRequest { revision: 2, ..first.clone() },
        pb::ResolveConflictRequest { actor: "dan".to_owned(), ..first.clone() },
        pb::ResolveConflictRequest { context: None, ..first.clone() },
    ] {
        let fault = fails_with(send(&ws, other).await, Code::Aborted, Reason::RequestIdReused);
        assert_eq!(fault.metadata["request_id"], first.request_id);
    }
    let again = send(&ws, first).await.expect("the same").receipt.expect("a receipt");
    assert_eq!(duplicate(&again), original(&receipt));
    assert_eq!(ws.head().await, head);
}

#[tokio::test]
async fn a_decision_sent_twice_at_once_decides_once() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    for n in 0..10 {
        let clash = Clash::register(&ws, &format!("c{n}")).await;
        let request = resolution(&ws, &clash.id, 1, keep(), None);
        let head = ws.head_seq().await;
        let (one, other) = tokio::join!(send(&ws, request.clone()), send(&ws, request));
        let seqs: Vec<u64> = [one, other]
            .map(|answer| answer.expect("decided").receipt.expect("a receipt"))
            .iter()
            .map(|receipt| settled(&original(receipt)))
            .collect();
        assert_eq!(seqs, [head + 1, head + 1]);
        assert_eq!(ws.head_seq().await, head + 1);
    }
}

#[tokio::test]
async fn a_refused_decision_is_not_remembered_under_its_request_id() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    let late = resolution(&ws, &clash.id, 7, keep(), None);
    fails(send(&ws, late.clone()).await, Reason::ConflictChanged);
    let put_right = pb::ResolveConflictRequest { revision: 1, ..late };
    let conflict = send(&ws, put_right).await.expect("decided").conflict.expect("the conflict");
    assert_eq!(conflict.close_reason(), pb::CloseReason::Resolved);
}

#[tokio::test]
async fn the_other_decisions_follow_the_rules_of_request_ids_as_well() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    let request = |assignee: &str| pb::AssignConflictRequest {
        workspace_id: ws.id.clone(),
        conflict_id: clash.id.clone(),
        assignee: Some(assignee.to_owned()),
        request_id: "once".to_owned(),
        actor: "carol".to_owned(),
    };
    let assign = async |assignee: &str| {
        within("AssignConflict", ws.clients.conflicts().assign_conflict(request(assignee))).await
    };
    let first = answer(assign("dana").await).receipt.expect("a receipt");
    let again = answer(assign("dana").await).receipt.expect("a receipt");
    assert_eq!(duplicate(&again), original(&first));
    fails_with(assign("dan").await, Code::Aborted, Reason::RequestIdReused);
    assert_eq!(ws.summary(&clash.id).await.assignee.as_deref(), Some("dana"));
}

#[tokio::test]
async fn a_decision_about_fields_that_stay_together_is_refused_while_no_schema_has_such() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    let values = [("title".to_owned(), "both".into_value())].into();
    let decision = Decision::Values(pb::ValuesByField { values });
    let fault = fails(resolve(&ws, &clash.id, decision).await, Reason::InvalidRequest);
    assert_eq!(fault.violations[0].0, "values");
}

#[tokio::test]
async fn a_request_id_that_was_used_for_something_else_decides_nothing() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let (one, two) = (Clash::register(&ws, "c1").await, Clash::register(&ws, "c2").await);
    let first = resolution(&ws, &one.id, 1, keep(), None);
    send(&ws, first.clone()).await.expect("decided");
    let job = crate::harness::workspace::latest(vec![card("c3").create()]);
    let Some(pb::operation::Identity::RequestId(written)) = job.identity.clone() else { unreachable!() };
    applied(&ws.submit(job).await);
    let head = ws.head().await;
    for used in [first.request_id, written] {
        let request =
            pb::ResolveConflictRequest { request_id: used, ..resolution(&ws, &two.id, 1, keep(), None) };
        fails_with(send(&ws, request).await, Code::Aborted, Reason::RequestIdReused);
    }
    assert_eq!(ws.head().await, head);
    assert_eq!(ws.summary(&two.id).await.status(), pb::ConflictStatus::Open);
    decide(&ws, &two.id, keep()).await;
}

#[tokio::test]
async fn keeping_keeps_what_is_shown_whatever_rule_chose_it() {
    let server = TestServer::start().await;
    for (name, rule, shown) in
        [("latest", pb::ProvisionalRule::Latest, 3), ("max", pb::ProvisionalRule::Max, 9)]
    {
        let spec = pb::FieldSchema { provisional: rule.into(), ..field(pb::FieldKind::Register) };
        let schema = pb::Schema {
            strict: Some(true),
            collections: [("cards".to_owned(), collection([("title", spec)]))].into(),
        };
        let ws = server.workspace_of(name, Some(schema)).await;
        let base = ws.write(vec![card("c1").create()]).await;
        let clash = Clash::of(&ws, base, card("c1").set("title", 9), card("c1").set("title", 3)).await;
        assert_eq!(register(&ws.record("c1").await, "title"), shown.into_value());
        // Another rule is for later writes.
        let spec = field(pb::FieldKind::Register);
        let schema = pb::Schema {
            strict: Some(true),
            collections: [("cards".to_owned(), collection([("title", spec)]))].into(),
        };
        ws.update_schema(schema).await;
        assert_eq!(register(&ws.record("c1").await, "title"), shown.into_value());
        decide(&ws, &clash.id, keep()).await;
        assert_eq!(register(&ws.record("c1").await, "title"), shown.into_value(), "{name}");
    }
}

#[tokio::test]
async fn keeping_a_counter_keeps_its_increments() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create()]).await;
    let clash = Clash::of(&ws, base, card("c1").assign("votes", 10), card("c1").assign("votes", 20)).await;
    let votes = async || state(&ws.record("c1").await, "votes");
    ws.write(vec![card("c1").increment("votes", 5)]).await;
    let read = ws.conflict(&clash.id).await;
    ws.write(vec![card("c1").increment("votes", 100)]).await;
    assert_eq!(votes().await, pb::field_state::State::Counter(115));
    // Decided on what was read in between: what is shown stays, whether the decider knew of it or not.
    send(&ws, resolution(&ws, &clash.id, 1, keep(), read.context)).await.expect("decided");
    assert_eq!(votes().await, pb::field_state::State::Counter(115));
    assert_eq!(ws.summary(&clash.id).await.status(), pb::ConflictStatus::Resolved);
}

#[tokio::test]
async fn the_suppressed_edit_finds_its_place_after_later_edits() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::text(&ws).await;
    ws.write(vec![card("c1").edit("notes", &[(0, 5, "well, hello 🦊"), (12, 0, " Bye.")])]).await;
    assert_eq!(ws.text("c1", "notes").await, "well, hello 🦊 earth! Bye.");
    decide(&ws, &clash.id, Decision::AlternativeSeq(clash.second)).await;
    assert_eq!(ws.text("c1", "notes").await, "well, hello 🦊 moon! Bye.");
}

#[tokio::test]
async fn an_overwritten_alternative_can_still_be_chosen() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    ws.write(vec![card("c1").set("title", "a plain write that knew both")]).await;
    decide(&ws, &clash.id, Decision::AlternativeSeq(clash.second)).await;
    assert_eq!(register(&ws.record("c1").await, "title"), "by bob".into_value());
}

#[tokio::test]
async fn a_decision_reaches_open_feeds() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    let mut feeds = [
        Feed::open(&ws, Kind::Watch, Some(ws.head().await)).await,
        Feed::open(&ws, Kind::Subscribe, Some(ws.head().await)).await,
    ];
    let closed = decide(&ws, &clash.id, Decision::AlternativeSeq(clash.second)).await;
    for feed in &mut feeds {
        let change = feed.until(closed.closed_seq.expect("a position")).await.remove(0);
        assert_eq!(change.actor, "carol");
        let effects: Vec<_> = change.effects.into_iter().filter_map(|e| e.effect).collect();
        let value = Some("by bob".into_value());
        let register = pb::record_effect::Effect::RegisterChanged(pb::RegisterChanged { value });
        let shown = effects.iter().any(|effect| match effect {
            pb::effect::Effect::Record(effect) => effect.effect.as_ref() == Some(&register),
            pb::effect::Effect::ConflictChanged(_) => false,
        });
        assert!(shown, "{effects:?}");
        let event = pb::ConflictEventKind::Closed.into();
        let told = pb::ConflictChanged { event, conflict: Some(closed.clone()) };
        assert!(effects.contains(&pb::effect::Effect::ConflictChanged(told)), "{effects:?}");
    }
}

#[tokio::test]
async fn a_decided_conflict_that_comes_up_again_follows_the_first_one() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut clash = Clash::register(&ws, "c1").await;
    decide(&ws, &clash.id, Decision::AlternativeSeq(clash.second)).await;
    // Ada has seen nothing of it and goes on.
    let (_, ids) = conflicted(&ws.submit(clash.ada.op(vec![card("c1").set("title", "still ada's")])).await);
    assert_ne!(ids[0], clash.id);
    assert_eq!(ws.summary(&ids[0]).await.parent_conflict_id, Some(clash.id.clone()));
    assert_eq!(ws.summary(&clash.id).await.status(), pb::ConflictStatus::Resolved);
}
