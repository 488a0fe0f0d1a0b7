//! Values longer than what a conflict keeps of them: shown as cut, decided whole, compared whole.

use pb::resolve_conflict_request::Decision;

use super::{Clash, authors, decide};
use crate::harness::errors::fields_at_fault;
use crate::harness::ops::card;
use crate::harness::receipts::{applied, conflicted, settled};
use crate::harness::workspace::{answer, register};
use crate::harness::{IntoValue as _, TestServer, Workspace, pb, within};

/// Longer than the 64 KiB that a conflict keeps.
fn long(end: &str) -> String {
    format!("{}{end}", "né🦊".repeat(10_000))
}

/// The whole of what a side offers, and its size where only the beginning is shown.
async fn offered(ws: &Workspace, id: &str) -> Vec<(u64, pb::Value, Option<u64>)> {
    let mut sides = Vec::new();
    for side in ws.conflict(id).await.alternatives {
        let request = pb::GetAlternativeRequest {
            workspace_id: ws.id.clone(),
            conflict_id: id.to_owned(),
            alternative_seq: side.seq,
        };
        let whole = answer(within("GetAlternative", ws.clients.conflicts().get_alternative(request)).await);
        sides.push((side.seq, whole.value.expect("a value"), side.whole_value_bytes));
    }
    sides
}

#[tokio::test]
async fn whichever_side_is_chosen_it_is_taken_whole() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let (by_ada, by_bob) = (long("by ada"), long("by bob"));
    for (id, chooses_first) in [("c1", true), ("c2", false)] {
        let base = ws.write(vec![card(id).create_with([("title", "base".into_value())])]).await;
        let clash = Clash::of(
            &ws,
            base,
            card(id).set("title", by_ada.as_str()),
            card(id).set("title", by_bob.as_str()),
        )
        .await;
        let shown = ws.conflict(&clash.id).await;
        for side in &shown.alternatives {
            let Some(pb::value::Kind::StringValue(beginning)) = &side.value.as_ref().expect("a value").kind
            else {
                panic!("{side:?}")
            };
            assert!(beginning.len() <= 64 * 1024 && by_ada.starts_with(beginning.as_str()));
        }
        let bytes = Some(by_ada.len() as u64);
        let expected = vec![
            (clash.first, by_ada.as_str().into_value(), bytes),
            (clash.second, by_bob.as_str().into_value(), bytes),
        ];
        assert_eq!(offered(&ws, &clash.id).await, expected);
        let (chosen, whole) = if chooses_first { (clash.first, &by_ada) } else { (clash.second, &by_bob) };
        decide(&ws, &clash.id, Decision::AlternativeSeq(chosen)).await;
        assert_eq!(register(&ws.record(id).await, "title"), whole.as_str().into_value());
    }
    assert!(ws.inbox().await.is_empty());
}

#[tokio::test]
async fn a_value_of_a_creation_and_one_of_several_in_an_operation_are_found_whole() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = ws.head_seq().await;
    let (mut ada, mut bob) = authors(&ws, base);
    let (created, twice) = (long("created"), long("the last of three"));
    applied(
        &ws.submit(ada.op(vec![card("c1").create_with([("title", created.as_str().into_value())])])).await,
    );
    let writes = vec![
        card("c1").create_with([("title", long("the first").as_str().into_value())]),
        card("c1").set("title", twice.as_str()),
    ];
    let receipt = ws.submit(bob.op(writes)).await;
    let (_, ids) = conflicted(&receipt);
    let of_title = ws.conflict(&ids[0]).await;
    assert_eq!(of_title.conflict.expect("a summary").field_ids, ["title"]);
    let wholes: Vec<pb::Value> = offered(&ws, &ids[0]).await.into_iter().map(|(_, value, _)| value).collect();
    assert_eq!(wholes, [created.as_str().into_value(), twice.as_str().into_value()]);
}

#[tokio::test]
async fn sides_of_texts_and_of_whole_records_are_given_whole_as_well() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let insert = long("inserted");
    let base = ws.write(vec![card("c1").create(), card("c1").replace("notes", "one two three")]).await;
    let by_bob = [(4, 3, insert.as_str())];
    let clash =
        Clash::of(&ws, base, card("c1").edit("notes", &[(4, 3, "AAA")]), card("c1").edit("notes", &by_bob))
            .await;
    let sides = offered(&ws, &clash.id).await;
    let (_, whole, bytes) = sides.iter().find(|(seq, ..)| *seq == clash.second).expect("bob's side");
    assert_eq!((whole, *bytes), (&insert.as_str().into_value(), Some(insert.len() as u64)));

    let (one, two) = (long("one"), long("two"));
    let base = ws.write(vec![card("c2").create(), card("c2").replace("notes", "seed")]).await;
    let clash =
        Clash::of(&ws, base, card("c2").replace("notes", &one), card("c2").replace("notes", &two)).await;
    assert!(offered(&ws, &clash.id).await.iter().any(|(_, whole, _)| *whole == two.as_str().into_value()));

    let base = ws.write(vec![card("c3").create()]).await;
    let clash = Clash::of(&ws, base, card("c3").delete(), card("c3").set("title", one.as_str())).await;
    for side in ws.conflict(&clash.id).await.alternatives {
        let request = pb::GetAlternativeRequest {
            workspace_id: ws.id.clone(),
            conflict_id: clash.id.clone(),
            alternative_seq: side.seq,
        };
        let whole = answer(within("GetAlternative", ws.clients.conflicts().get_alternative(request)).await);
        let expected = (side.seq == clash.second).then(|| one.as_str().into_value());
        assert_eq!(whole.value, expected);
    }
}

#[tokio::test]
async fn values_that_differ_only_beyond_what_is_kept_stay_in_conflict_until_they_are_equal() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create_with([("title", "base".into_value())])]).await;
    let (one, two, three) = (long("one"), long("two"), long("three"));
    let mut clash =
        Clash::of(&ws, base, card("c1").set("title", one.as_str()), card("c1").set("title", two.as_str()))
            .await;
    let (mut cem, _) = authors(&ws, base);
    let (_, ids) = conflicted(&ws.submit(cem.op(vec![card("c1").set("title", three.as_str())])).await);
    assert_eq!(ids, [clash.id.clone()]);
    assert_eq!(offered(&ws, &clash.id).await.len(), 3);
    // Each writes what the first one wrote: then there is nothing left to decide.
    settled(&ws.submit(clash.bob.op(vec![card("c1").set("title", one.as_str())])).await);
    assert_eq!(ws.inbox().await.len(), 1);
    settled(&ws.submit(cem.op(vec![card("c1").set("title", one.as_str())])).await);
    assert!(ws.inbox().await.is_empty());
    let closed = ws.conflict(&clash.id).await.conflict.expect("a summary");
    assert_eq!(closed.close_reason(), pb::CloseReason::Converged);
}

#[tokio::test]
async fn a_short_value_is_shown_whole_and_a_side_that_is_not_there_is_refused() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let clash = Clash::register(&ws, "c1").await;
    let expected =
        vec![(clash.first, "by ada".into_value(), None), (clash.second, "by bob".into_value(), None)];
    assert_eq!(offered(&ws, &clash.id).await, expected);
    let nowhere = pb::GetAlternativeRequest {
        workspace_id: ws.id.clone(),
        conflict_id: clash.id.clone(),
        alternative_seq: clash.second + 1,
    };
    let refused = within("GetAlternative", ws.clients.conflicts().get_alternative(nowhere)).await;
    assert_eq!(fields_at_fault(refused), ["alternative_seq"]);
}
