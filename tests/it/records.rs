//! RecordService: one record, pages of a collection, a record's history.

use crate::harness::filters::{all, any, compare, equals, is, not, present};
use crate::harness::ops::{card, null, person};
use crate::harness::receipts::{refused, settled};
use crate::harness::workspace::{answer, latest, link, links, register};
use crate::harness::{IntoValue as _, Reason, TestServer, Workspace, fails, pb, within};
use pb::ComparisonOperator as Op;
use pb::field_state::State;

async fn page(ws: &Workspace, request: pb::ListRecordsRequest) -> pb::ListRecordsResponse {
    let request =
        pb::ListRecordsRequest { workspace_id: ws.id.clone(), collection_id: "cards".to_owned(), ..request };
    answer(within("ListRecords", ws.clients.records().list_records(request)).await)
}

async fn ids_where(ws: &Workspace, filter: pb::Filter) -> Vec<String> {
    ids(page(ws, pb::ListRecordsRequest { filter: Some(filter), ..Default::default() }).await)
}

fn ids(page: pb::ListRecordsResponse) -> Vec<String> {
    page.records.into_iter().map(|r| r.record_id).collect()
}

async fn history(
    ws: &Workspace,
    record_id: &str,
    page_size: u32,
    page_token: &str,
) -> pb::ListRecordHistoryResponse {
    let request = pb::ListRecordHistoryRequest {
        workspace_id: ws.id.clone(),
        record_id: record_id.to_owned(),
        page_size,
        page_token: page_token.to_owned(),
        at_least: None,
    };
    answer(within("ListRecordHistory", ws.clients.records().list_record_history(request)).await)
}

#[tokio::test]
async fn a_record_shows_a_field_of_every_kind() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let created = ws.write(vec![card("c2").create(), person("p1").create()]).await;
    ws.write(vec![
        card("c1").create_with([
            ("title", "a title".into_value()),
            ("notes", "a note".into_value()),
            ("votes", 4.into_value()),
        ]),
        card("c1").add("tags", vec![1.into_value(), true.into_value(), 2.5.into_value(), "x".into_value()]),
        card("c1").link("owner", "p1"),
        card("c1").link("blocks", "c2"),
    ])
    .await;
    let (record, context) = ws.read("c1").await;
    assert_eq!(
        (record.collection_id.as_str(), record.record_id.as_str(), record.deleted),
        ("cards", "c1", false)
    );
    assert_eq!((record.created_seq, record.last_seq), (created + 1, created + 1));
    assert_eq!((context.epoch, context.base_seq, context.extras.len()), (ws.epoch, created + 1, 0));
    let state = |field: &str| crate::harness::workspace::state(&record, field);
    assert_eq!(register(&record, "title"), "a title".into_value());
    assert_eq!(state("notes"), State::Text("a note".to_owned()));
    assert_eq!(state("votes"), State::Counter(4));
    let State::Elements(tags) = state("tags") else { panic!("no set") };
    assert_eq!(tags.values.len(), 4);
    assert_eq!(state("owner"), link(Some("p1")));
    assert_eq!(state("blocks"), links(&["c2"]));
    assert!(record.deleted_target_record_ids.is_empty());
    assert!(record.fields.values().all(|f| f.last_seq == created + 1 && f.candidates.is_empty()));
}

#[tokio::test]
async fn a_deleted_record_is_returned_as_deleted_and_comes_back_with_its_fields() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    ws.write(vec![card("c1").create_with([("title", "kept".into_value())])]).await;
    ws.write(vec![card("c1").delete()]).await;
    let record = ws.record("c1").await;
    assert!(record.deleted);
    assert_eq!(register(&record, "title"), "kept".into_value());
    let again = ws.submit(latest(vec![card("c1").create_with([])])).await;
    let words = refused(&again, Reason::RecordDeleted).message.clone();
    assert!(words.contains("restore it, or create it with replace_deleted"), "{words}");
    let edit = ws.submit(latest(vec![card("c1").set("title", "too late")])).await;
    assert_eq!(refused(&edit, Reason::RecordDeleted).metadata["record_id"], "c1");
    refused(&ws.submit(latest(vec![card("c1").delete()])).await, Reason::RecordDeleted);
    ws.write(vec![card("c1").restore()]).await;
    let record = ws.record("c1").await;
    assert!(!record.deleted);
    assert_eq!(register(&record, "title"), "kept".into_value());
}

#[tokio::test]
async fn a_record_created_in_the_place_of_a_deleted_one_has_nothing_of_what_was_there() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut old = vec![card("c1").create_with([("title", "old".into_value())])];
    old.push(card("c1").add("tags", vec![1_i64.into_value()]));
    ws.write(old).await;
    ws.write(vec![card("c1").delete()]).await;
    let replace = |title: &str| {
        let fields = [("title".to_owned(), title.into_value())].into();
        let create = pb::CreateRecord { fields, replace_deleted: true };
        card("c1").mutation(pb::record_mutation::Action::CreateRecord(create))
    };
    ws.write(vec![replace("new")]).await;
    let record = ws.record("c1").await;
    assert!(!record.deleted);
    assert_eq!(register(&record, "title"), "new".into_value());
    assert!(matches!(&record.fields["tags"].state, Some(State::Elements(tags)) if tags.values.is_empty()));
    // It is there now, and nothing is to be replaced.
    refused(&ws.submit(latest(vec![replace("newer")])).await, Reason::RecordExists);
    assert_eq!(history(&ws, "c1", 10, "").await.changes.len(), 3, "the history goes on");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let fault = fails(ws.try_read("c1").await, Reason::RecordNotFound);
    assert_eq!(fault.metadata["record_id"], "c1");
    let request = pb::ListRecordHistoryRequest {
        workspace_id: ws.id.clone(),
        record_id: "c1".to_owned(),
        ..Default::default()
    };
    fails(within("history", ws.clients.records().list_record_history(request)).await, Reason::RecordNotFound);
    assert!(ids(page(&ws, pb::ListRecordsRequest::default()).await).is_empty());
}

#[tokio::test]
async fn records_are_listed_by_id_in_pages_and_deleted_ones_on_demand() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let names: Vec<String> = (0..25).map(|n| format!("c{n:02}")).collect();
    // Not in the order of their ids.
    for name in names.iter().rev() {
        ws.write(vec![card(name).create()]).await;
    }
    ws.write(vec![person("p1").create()]).await;
    ws.write(vec![card("c03").delete()]).await;
    for (include_deleted, expected) in [(true, 25), (false, 24)] {
        let mut found = Vec::new();
        let mut page_token = String::new();
        let mut pages = 0;
        loop {
            let request =
                pb::ListRecordsRequest { page_size: 10, page_token, include_deleted, ..Default::default() };
            let next = page(&ws, request).await;
            assert!(next.records.len() <= 10);
            assert_eq!(next.context.as_ref().map(|c| c.base_seq), Some(27));
            page_token = next.next_page_token.clone();
            found.extend(ids(next));
            pages += 1;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!((found.len(), pages), (expected, 3));
        assert!(found.is_sorted());
        assert_eq!(found.contains(&"c03".to_owned()), include_deleted);
    }
}

#[tokio::test]
async fn a_page_of_large_records_is_cut_and_goes_on() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let large = "x".repeat(200_000);
    for n in 0..9 {
        ws.write(vec![card(&format!("c{n}")).create_with([("title", large.as_str().into_value())])]).await;
    }
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let next = page(&ws, pb::ListRecordsRequest { page_token, ..Default::default() }).await;
        let bytes = prost::Message::encoded_len(&next);
        assert!(bytes <= 1024 * 1024, "{bytes} bytes in a page");
        page_token = next.next_page_token.clone();
        found.extend(ids(next));
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found.len(), 9);
}

#[tokio::test]
async fn records_are_filtered_by_their_fields() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    ws.write(vec![person("p1").create(), person("p2").create()]).await;
    let set = |id: &str, title: &str, votes: i64| {
        vec![
            card(id).create_with([("title", title.into_value()), ("votes", votes.into_value())]),
            card(id).replace("notes", &format!("notes on {title}")),
            card(id).add("tags", vec![title.into_value()]),
        ]
    };
    ws.write(set("c1", "red", 1)).await;
    ws.write(set("c2", "green", 2)).await;
    ws.write(set("c3", "red", 3)).await;
    ws.write(vec![card("c4").create()]).await;
    ws.write(vec![card("c1").link("owner", "p1"), card("c2").link("owner", "p2")]).await;
    ws.write(vec![card("c2").link("blocks", "c1"), card("c3").link("blocks", "c1")]).await;

    let title = |op, value: &str| is("title", op, value);
    assert_eq!(ids_where(&ws, equals("title", "red")).await, ["c1", "c3"]);
    assert_eq!(ids_where(&ws, equals("title", null())).await, ["c4"], "a missing field equals null");
    assert_eq!(ids_where(&ws, equals("votes", 2)).await, ["c2"]);
    assert_eq!(ids_where(&ws, equals("votes", 2.0)).await, ["c2"], "numbers are compared by value");
    assert_eq!(ids_where(&ws, is("votes", Op::AtLeast, 2)).await, ["c2", "c3"]);
    assert_eq!(ids_where(&ws, is("votes", Op::Less, 1.5)).await, ["c1"]);
    assert_eq!(ids_where(&ws, equals("notes", "notes on red")).await, ["c1", "c3"]);
    assert_eq!(ids_where(&ws, equals("owner", "p1")).await, ["c1"]);
    assert_eq!(ids_where(&ws, equals("owner", null())).await, ["c3", "c4"]);
    assert_eq!(ids_where(&ws, title(Op::NotEquals, "red")).await, ["c2", "c4"]);
    assert_eq!(ids_where(&ws, title(Op::Greater, "green")).await, ["c1", "c3"]);
    let either = compare("title", Op::In, vec!["green".into_value(), null()]);
    assert_eq!(ids_where(&ws, either).await, ["c2", "c4"]);
    assert_eq!(ids_where(&ws, is("tags", Op::Contains, "green")).await, ["c2"]);
    assert_eq!(ids_where(&ws, is("blocks", Op::Contains, "c1")).await, ["c2", "c3"]);
    assert_eq!(ids_where(&ws, is("notes", Op::ContainsText, "on gr")).await, ["c2"]);
    assert_eq!(ids_where(&ws, title(Op::ContainsText, "re")).await, ["c1", "c2", "c3"]);
    assert_eq!(ids_where(&ws, title(Op::StartsWith, "re")).await, ["c1", "c3"]);
    assert_eq!(ids_where(&ws, present("blocks")).await, ["c2", "c3"]);
    let both = all(vec![equals("title", "red"), equals("votes", 3)]);
    assert_eq!(ids_where(&ws, both.clone()).await, ["c3"], "all of them must hold");
    assert_eq!(ids_where(&ws, not(both)).await, ["c1", "c2", "c4"]);
    let any_of_two = any(vec![equals("votes", 1), not(present("title"))]);
    assert_eq!(ids_where(&ws, any_of_two).await, ["c1", "c4"]);

    // Links are compared as they are stored, also those to deleted records.
    ws.write(vec![person("p1").delete()]).await;
    assert_eq!(ids_where(&ws, equals("owner", "p1")).await, ["c1"]);
}

#[tokio::test]
async fn the_history_of_a_record_has_its_own_changes_newest_first_by_pages() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut ada = ws.replica(1, "ada");
    let mut expected = Vec::new();
    expected.push(ws.apply(ada.op(vec![card("c1").create(), card("c2").create()])).await);
    for n in 0..12_i64 {
        let about = if n % 3 == 0 { card("c2") } else { card("c1") };
        let seq = settled(
            &ws.submit(ada.op(vec![about.set(if n % 2 == 0 { "title" } else { "status" }, n)])).await,
        );
        if n % 3 != 0 {
            expected.push(seq);
        }
    }
    expected.push(settled(&ws.submit(ada.op(vec![card("c1").delete(), card("c2").set("title", "z")])).await));
    expected.reverse();

    let whole = history(&ws, "c1", 0, "").await;
    assert_eq!(whole.changes.iter().map(|c| c.seq).collect::<Vec<_>>(), expected);
    assert!(whole.next_page_token.is_empty());
    for change in &whole.changes {
        assert!(
            !change.effects.is_empty()
                && change.effects.iter().all(|e| match &e.effect {
                    Some(pb::effect::Effect::Record(effect)) => effect.record_id == "c1",
                    _ => false,
                }),
            "{change:?}"
        );
        assert_eq!(change.actor, "ada");
    }
    let mut paged = Vec::new();
    let mut page_token = String::new();
    loop {
        let next = history(&ws, "c1", 4, &page_token).await;
        assert!(next.changes.len() <= 4);
        paged.extend(next.changes);
        page_token = next.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, whole.changes);
}

#[tokio::test]
async fn a_page_token_goes_on_with_its_own_arguments_only() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    for n in 0..3 {
        let votes = card(&format!("c{n}")).create_with([("votes", n.into_value())]);
        ws.write(vec![votes, person(&format!("p{n}")).create()]).await;
    }
    for n in 0..3 {
        ws.write(vec![card("c1").set("title", n), card("c2").set("title", n)]).await;
    }
    let filter = |votes: i64| Some(is("votes", Op::AtLeast, votes));
    let first = pb::ListRecordsRequest {
        workspace_id: ws.id.clone(),
        collection_id: "cards".to_owned(),
        filter: filter(0),
        page_size: 1,
        ..Default::default()
    };
    let list = async |request: pb::ListRecordsRequest| {
        within("ListRecords", ws.clients.records().list_records(request)).await
    };
    let page_token = answer(list(first.clone()).await).next_page_token;
    assert!(!page_token.is_empty());
    let next = pb::ListRecordsRequest { page_token, ..first.clone() };
    assert_eq!(ids(answer(list(next.clone()).await)), ["c1"]);
    // How much is asked for, and how new it has to be, are not what the list is of.
    let wider = pb::ListRecordsRequest { page_size: 9, at_least: Some(ws.head().await), ..next.clone() };
    assert_eq!(ids(answer(list(wider).await)), ["c1", "c2"]);
    for other in [
        pb::ListRecordsRequest { filter: filter(1), ..next.clone() },
        pb::ListRecordsRequest { filter: None, ..next.clone() },
        pb::ListRecordsRequest { include_deleted: true, ..next.clone() },
        pb::ListRecordsRequest { collection_id: "people".to_owned(), ..next.clone() },
    ] {
        fails(list(other).await, Reason::InvalidPageToken);
    }
    for token in ["x", "history:1", ":", "records:", "records:c1", "records"] {
        fails(
            list(pb::ListRecordsRequest { page_token: token.to_owned(), ..first.clone() }).await,
            Reason::InvalidPageToken,
        );
    }

    let of_one = history(&ws, "c1", 1, "").await.next_page_token;
    assert_eq!(history(&ws, "c1", 1, &of_one).await.changes.len(), 1);
    for (record_id, page_token) in
        [("c2", of_one.as_str()), ("c1", "history:x"), ("c1", "history:-1"), ("c1", &next.page_token)]
    {
        let request = pb::ListRecordHistoryRequest {
            workspace_id: ws.id.clone(),
            record_id: record_id.to_owned(),
            page_size: 1,
            page_token: page_token.to_owned(),
            at_least: None,
        };
        let listed = within("history", ws.clients.records().list_record_history(request)).await;
        fails(listed, Reason::InvalidPageToken);
    }
}
