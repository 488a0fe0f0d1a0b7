//! WorkspaceService: creating, schemas, heads and version vectors.

use std::collections::BTreeMap;

use tonic::Status;

use crate::harness::ops::card;
use crate::harness::receipts::{refused, rejected, settled};
use crate::harness::workspace::{answer, collection, field, latest, schema};
use crate::harness::{IntoValue as _, Reason, TestServer, fails, pb, within};
use pb::FieldKind::{Counter, Register, Set, Text, ToMany};

async fn create(
    server: &TestServer,
    id: &str,
    name: &str,
    schema: Option<pb::Schema>,
) -> Result<pb::Workspace, Status> {
    let request =
        pb::CreateWorkspaceRequest { workspace_id: id.to_owned(), display_name: name.to_owned(), schema };
    let created =
        within("CreateWorkspace", server.clients().await.workspaces().create_workspace(request)).await?;
    Ok(created.into_inner().workspace.expect("a workspace"))
}

/// An update made for a version of the schema.
async fn update_from(
    server: &TestServer,
    version: u64,
    schema: pb::Schema,
    validate_only: bool,
) -> Result<pb::UpdateSchemaResponse, Status> {
    let request = pb::UpdateSchemaRequest {
        workspace_id: "w".to_owned(),
        schema: Some(schema),
        schema_version: version,
        validate_only,
    };
    let updated = within("UpdateSchema", server.clients().await.workspaces().update_schema(request)).await?;
    Ok(updated.into_inner())
}

/// An update made for the first version.
async fn update(server: &TestServer, schema: pb::Schema) -> Result<pb::UpdateSchemaResponse, Status> {
    update_from(server, 1, schema, false).await
}

/// What a new card field would be declared as.
fn cards(fields: &[(&str, pb::FieldSchema)]) -> pb::Schema {
    let fields = fields.iter().map(|(id, spec)| ((*id).to_owned(), *spec)).collect();
    pb::Schema { strict: None, collections: [("cards".to_owned(), pb::CollectionSchema { fields })].into() }
}

/// A field of which only the kind is said.
fn brief(kind: pb::FieldKind) -> pb::FieldSchema {
    pb::FieldSchema { kind: kind.into(), ..Default::default() }
}

/// Differences as tuples: collection, field, aspect, before, after.
fn told(response: &pb::UpdateSchemaResponse) -> Vec<(String, String, pb::SchemaAspect, String, String)> {
    let tell = |d: &pb::SchemaDifference| {
        let place = |id: &Option<String>| id.clone().unwrap_or_default();
        (place(&d.collection_id), place(&d.field_id), d.aspect(), d.before.clone(), d.after.clone())
    };
    response.differences.iter().map(tell).collect()
}

fn row(
    place: (&str, &str),
    aspect: pb::SchemaAspect,
    before: &str,
    after: &str,
) -> (String, String, pb::SchemaAspect, String, String) {
    (place.0.to_owned(), place.1.to_owned(), aspect, before.to_owned(), after.to_owned())
}

#[tokio::test]
async fn creating_a_workspace_again_with_an_equal_schema_returns_the_existing_one() {
    let mut server = TestServer::start().await;
    let first = create(&server, "w", "A name", Some(schema())).await.expect("created");
    assert_eq!((first.workspace_id.as_str(), first.display_name.as_str()), ("w", "A name"));
    assert_eq!((first.head_seq, first.schema_version), (0, 1));
    assert!(first.epoch != 0 && first.create_time.is_some());
    assert_eq!(create(&server, "w", "A name", Some(schema())).await.expect("the same"), first);
    server.restart().await;
    assert_eq!(create(&server, "w", "Another name", Some(schema())).await.expect("the same"), first);
}

#[tokio::test]
async fn creating_a_workspace_again_with_another_schema_is_refused() {
    let server = TestServer::start().await;
    let first = create(&server, "w", "", Some(schema())).await.expect("created");
    let other = pb::Schema { strict: Some(true), collections: [("cards".to_owned(), collection([]))].into() };
    for schema in [Some(other), None, Some(pb::Schema { strict: Some(false), ..schema() })] {
        let fault = fails(create(&server, "w", "", schema).await, Reason::WorkspaceExists);
        assert_eq!(fault.metadata["workspace_id"], "w");
    }
    assert_eq!(create(&server, "w", "", Some(schema())).await.expect("unchanged"), first);
}

#[tokio::test]
async fn creating_an_undeclared_workspace_again_is_fine_whatever_was_derived() {
    let server = TestServer::start().await;
    create(&server, "w", "", None).await.expect("created");
    let ws = server.existing("w").await;
    ws.write(vec![card("c1").create_with([("title", "x".into_value())])]).await;
    let again = create(&server, "w", "", None).await.expect("the existing one");
    assert_eq!(again.head_seq, 1);
    // The same for one that declared a part.
    let part = || pb::Schema {
        strict: Some(false),
        collections: [("cards".to_owned(), collection([("title", field(Register))]))].into(),
    };
    create(&server, "partly", "", Some(part())).await.expect("created");
    server.existing("partly").await.write(vec![card("c1").create(), card("c1").increment("votes", 1)]).await;
    assert_eq!(create(&server, "partly", "", Some(part())).await.expect("the existing one").head_seq, 1);
    let other = pb::Schema {
        strict: Some(false),
        collections: [("cards".to_owned(), collection([("title", field(Text))]))].into(),
    };
    fails(create(&server, "partly", "", Some(other)).await, Reason::WorkspaceExists);
}

#[tokio::test]
async fn workspaces_are_listed_by_id_in_pages_and_each_is_for_itself() {
    let server = TestServer::start().await;
    for id in ["delta", "alpha", "0", "charlie", "bravo-2"] {
        server.workspace(id).await;
    }
    server.existing("alpha").await.write(vec![card("c1").create()]).await;
    let clients = server.clients().await;
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListWorkspacesRequest { page_size: 2, page_token };
        let page = answer(within("ListWorkspaces", clients.workspaces().list_workspaces(request)).await);
        assert!(page.workspaces.len() <= 2);
        found.extend(page.workspaces.into_iter().map(|w| (w.workspace_id, w.head_seq)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let expected = [("0", 0), ("alpha", 1), ("bravo-2", 0), ("charlie", 0), ("delta", 0)];
    assert_eq!(found, expected.map(|(id, head)| (id.to_owned(), head)));
    let request = pb::ListWorkspacesRequest { page_size: 2, page_token: "nonsense".to_owned() };
    fails(
        within("ListWorkspaces", clients.workspaces().list_workspaces(request)).await,
        Reason::InvalidPageToken,
    );
    // The same record id in two workspaces is two records.
    let other = server.existing("delta").await;
    fails(other.try_read("c1").await, Reason::RecordNotFound);
    other.write(vec![card("c1").create()]).await;
}

#[tokio::test]
async fn the_schema_grows_and_nothing_else_about_it_changes() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    assert_eq!(ws.schema().await, (schema(), 1));
    let more = pb::Schema {
        strict: Some(true),
        collections: [
            ("cards".to_owned(), collection([("due", field(Register))])),
            ("boards".to_owned(), collection([])),
        ]
        .into(),
    };
    let updated = update(&server, more.clone()).await.expect("updated");
    assert_eq!(updated.schema_version, 2);
    let whole = updated.schema.expect("the whole schema");
    assert!(whole.collections.contains_key("boards") && whole.collections.contains_key("people"));
    assert_eq!(whole.collections["cards"].fields.len(), 8);
    assert_eq!(ws.schema().await, (whole, 2));
    // Nothing new: the version stays.
    assert_eq!(update(&server, more).await.expect("the same").schema_version, 2);
    ws.write(vec![card("c1").create_with([("due", "tomorrow".into_value())])]).await;
}

#[tokio::test]
async fn rules_that_are_left_out_are_returned_spelled_out_and_mean_the_same() {
    let server = TestServer::start().await;
    let brief = brief(Register);
    let with = |spec| pb::Schema {
        strict: Some(true),
        collections: [("cards".to_owned(), collection([("title", spec)]))].into(),
    };
    let first = create(&server, "w", "", Some(with(brief))).await.expect("created");
    let ws = server.existing("w").await;
    assert_eq!(ws.schema().await, (with(field(Register)), 1));
    assert_eq!(create(&server, "w", "", Some(with(field(Register)))).await.expect("equal"), first);
    assert_eq!(update(&server, with(brief)).await.expect("nothing new").schema_version, 1);
}

#[tokio::test]
async fn what_an_update_does_not_mention_stays_as_it_is() {
    let server = TestServer::start().await;
    let policies = pb::FieldSchema {
        kind: Register.into(),
        provisional: pb::ProvisionalRule::Max.into(),
        on_clash: pb::ClashRule::Settle.into(),
        on_dominate: pb::DominateRule::Supersede.into(),
    };
    let declared = pb::Schema { strict: Some(true), ..cards(&[("title", policies), ("body", field(Text))]) };
    create(&server, "w", "", Some(declared)).await.expect("created");
    let ws = server.existing("w").await;
    let before = ws.schema().await;
    for nothing in [pb::Schema::default(), cards(&[]), cards(&[("title", brief(Register))])] {
        let updated = update(&server, nothing).await.expect("nothing to do");
        assert_eq!((updated.schema_version, updated.differences.len()), (1, 0));
    }
    assert_eq!(ws.schema().await, before);
    // One thing is said, and one thing changes.
    let latest = pb::FieldSchema { provisional: pb::ProvisionalRule::Latest.into(), ..brief(Register) };
    let updated = update(&server, cards(&[("title", latest)])).await.expect("updated");
    let expected = [row(
        ("cards", "title"),
        pb::SchemaAspect::Provisional,
        "PROVISIONAL_RULE_MAX",
        "PROVISIONAL_RULE_LATEST",
    )];
    assert_eq!(told(&updated), expected);
    let (mut schema, version) = before;
    let title = schema.collections.get_mut("cards").and_then(|c| c.fields.get_mut("title"));
    title.expect("the title").provisional = pb::ProvisionalRule::Latest.into();
    assert_eq!(ws.schema().await, (schema, version + 1));
}

#[tokio::test]
async fn an_update_says_what_it_changes_in_the_order_of_collections_and_fields() {
    let server = TestServer::start().await;
    create(&server, "w", "", Some(cards(&[("title", brief(Register))]))).await.expect("created");
    let settle = pb::FieldSchema { on_clash: pb::ClashRule::Settle.into(), ..brief(pb::FieldKind::ToOne) };
    let mut more = cards(&[
        ("votes", brief(Counter)),
        ("owner", settle),
        ("title", pb::FieldSchema { on_dominate: pb::DominateRule::Supersede.into(), ..brief(Register) }),
    ]);
    more.collections.insert("boards".to_owned(), collection([]));
    more.strict = Some(true);
    let updated = update(&server, more).await.expect("updated");
    use pb::SchemaAspect as Aspect;
    let expected = [
        row(("", ""), Aspect::Strict, "false", "true"),
        row(("boards", ""), Aspect::Collection, "", "declared"),
        row(("cards", "owner"), Aspect::Field, "", "FIELD_KIND_TO_ONE"),
        row(("cards", "owner"), Aspect::OnClash, "", "CLASH_RULE_SETTLE"),
        row(("cards", "title"), Aspect::OnDominate, "DOMINATE_RULE_KEEP", "DOMINATE_RULE_SUPERSEDE"),
        row(("cards", "votes"), Aspect::Field, "", "FIELD_KIND_COUNTER"),
    ];
    assert_eq!(told(&updated), expected);
}

#[tokio::test]
async fn an_update_made_for_another_version_changes_nothing() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let due = || cards(&[("due", brief(Register))]);
    for version in [0, 2, u64::MAX] {
        for validate_only in [false, true] {
            let updated = update_from(&server, version, due(), validate_only).await;
            let fault = fails(updated, Reason::SchemaChanged);
            assert_eq!(fault.metadata["schema_version"], "1");
        }
    }
    assert_eq!(ws.schema().await, (schema(), 1));
    update(&server, due()).await.expect("made for the right one");
    // The same again, as after an answer that was lost, and made for any version: it has taken effect.
    for version in [0, 1, 2, 99] {
        let again = update_from(&server, version, due(), false).await.expect("done already");
        assert_eq!((again.schema_version, again.differences.len()), (2, 0));
    }
    fails(update(&server, cards(&[("done", brief(Register))])).await, Reason::SchemaChanged);
    assert_eq!(ws.schema().await.1, 2);
}

#[tokio::test]
async fn an_update_can_be_tried_without_changing_anything() {
    let mut server = TestServer::start().await;
    let due = || pb::Schema { strict: Some(false), ..cards(&[("due", brief(Register))]) };
    {
        let ws = server.workspace("w").await;
        let tried = update_from(&server, 1, due(), true).await.expect("it would do");
        assert_eq!(ws.schema().await, (schema(), 1));
        let done = update(&server, due()).await.expect("it does");
        assert_eq!(tried, done, "trying says what doing does");
        assert_eq!(ws.schema().await, (done.schema.expect("a schema"), 2));
        fails(update_from(&server, 2, cards(&[("title", brief(Text))]), true).await, Reason::SchemaConflict);
        update_from(&server, 2, cards(&[("later", brief(Register))]), true).await.expect("it would do");
    }
    server.restart().await;
    let (schema, version) = server.existing("w").await.schema().await;
    assert!(version == 2 && !schema.collections["cards"].fields.contains_key("later"));
}

#[tokio::test]
async fn a_schema_that_writes_derive_counts_its_versions_too() {
    let server = TestServer::start().await;
    let ws = server.workspace_of("w", None).await;
    let due = || cards(&[("due", brief(Register))]);
    ws.write(vec![card("c1").create(), card("c1").set("title", "x")]).await;
    let (_, version) = ws.schema().await;
    assert!(version > 0);
    let fault = fails(update_from(&server, 0, due(), false).await, Reason::SchemaChanged);
    assert_eq!(fault.metadata["schema_version"], version.to_string());
    let updated = update_from(&server, version, due(), false).await.expect("updated");
    assert_eq!(updated.schema_version, version + 1);
}

#[tokio::test]
async fn the_kind_of_a_field_never_changes() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let change = pb::Schema {
        strict: Some(false),
        collections: [("cards".to_owned(), collection([("extra", field(Register)), ("title", field(Text))]))]
            .into(),
    };
    let fault = fails(update(&server, change).await, Reason::SchemaConflict);
    assert_eq!(fault.metadata["field_id"], "title");
    assert_eq!(ws.schema().await, (schema(), 1), "not even the part that would do");
}

#[tokio::test]
async fn a_schema_with_an_unknown_kind_or_rule_is_refused() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let with = |spec: pb::FieldSchema| pb::Schema {
        strict: Some(true),
        collections: [("cards".to_owned(), collection([("new", spec)]))].into(),
    };
    for kind in [0, 99, -1] {
        let spec = pb::FieldSchema { kind, ..Default::default() };
        let fault = fails(update(&server, with(spec)).await, Reason::UnknownFieldKind);
        assert_eq!(fault.metadata["field_id"], "new");
        fails(create(&server, "w2", "", Some(with(spec))).await, Reason::UnknownFieldKind);
    }
    let rules = [
        (pb::FieldSchema { provisional: 9, ..field(Register) }, "provisional"),
        (pb::FieldSchema { on_clash: 9, ..field(Register) }, "on_clash"),
        (pb::FieldSchema { on_dominate: -9, ..field(Register) }, "on_dominate"),
    ];
    for (spec, name) in rules {
        let fault = fails(update(&server, with(spec)).await, Reason::UnknownEnumValue);
        assert!(fault.metadata["field"].ends_with(name), "{fault:?}");
    }
    assert_eq!(ws.schema().await, (schema(), 1));
}

#[tokio::test]
async fn a_strict_workspace_refuses_what_is_not_declared() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let unknown = crate::harness::on("boards", "b1");
    let receipt = ws.submit(latest(vec![unknown.create()])).await;
    assert_eq!(refused(&receipt, Reason::UndeclaredCollection).metadata["collection_id"], "boards");
    ws.write(vec![card("c1").create()]).await;
    let receipt = ws.submit(latest(vec![card("c1").set("colour", "red")])).await;
    let metadata = &refused(&receipt, Reason::UndeclaredField).metadata;
    assert_eq!((metadata["collection_id"].as_str(), metadata["field_id"].as_str()), ("cards", "colour"));
    let receipt = ws.submit(latest(vec![card("c1").increment("title", 1)])).await;
    let metadata = &refused(&receipt, Reason::KindMismatch).metadata;
    let found = ["field_id", "field_kind", "action"].map(|key| metadata[key].as_str());
    assert_eq!(found, ["title", "register", "increment_counter"]);
}

#[tokio::test]
async fn an_undeclared_workspace_derives_its_schema_from_what_settles() {
    let server = TestServer::start().await;
    let ws = server.workspace_of("w", None).await;
    let empty = pb::Schema { strict: Some(false), ..Default::default() };
    assert_eq!(ws.schema().await, (empty, 0));
    ws.write(vec![
        card("c1").create(),
        card("c1").set("title", "x"),
        card("c1").edit("notes", &[(0, 0, "x")]),
        card("c1").increment("votes", 1),
        card("c1").add("tags", vec![1.into_value()]),
        card("c1").link("blocks", "c1"),
    ])
    .await;
    let (derived, version) = ws.schema().await;
    assert!(derived.strict == Some(false) && version > 0);
    let kinds: BTreeMap<&str, pb::FieldKind> =
        derived.collections["cards"].fields.iter().map(|(id, f)| (id.as_str(), f.kind())).collect();
    let expected =
        [("blocks", ToMany), ("notes", Text), ("tags", Set), ("title", Register), ("votes", Counter)];
    assert_eq!(kinds, expected.into());
    let receipt = ws.submit(latest(vec![card("c1").set("votes", 1)])).await;
    refused(&receipt, Reason::KindMismatch);
    // A rejected operation fixes nothing.
    let receipt = ws.submit(latest(vec![card("c1").set("later", 1), card("c9").delete()])).await;
    refused(&receipt, Reason::RecordNotFound);
    ws.write(vec![card("c1").increment("later", 1)]).await;
}

#[tokio::test]
async fn a_feed_tells_when_the_schema_moved() {
    let server = TestServer::start().await;
    let ws = server.workspace_of("w", None).await;
    let mut feed = crate::harness::Feed::open(&ws, crate::harness::Kind::Watch, None).await;
    assert_eq!(feed.opened.schema_version, 0);
    let head = ws.write(vec![card("c1").create(), card("c1").set("title", "x")]).await;
    feed.until(head).await;
    let (_, version) = ws.schema().await;
    let again = crate::harness::Feed::open(&ws, crate::harness::Kind::Watch, None).await;
    assert_eq!(again.opened.schema_version, version);
}

#[tokio::test]
async fn the_version_vector_has_every_replica_that_settled_something() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut expected = BTreeMap::new();
    for n in 1..=7 {
        let mut replica = ws.replica(n, "");
        for k in 0..n as u64 {
            let on = card(&format!("c{n}-{k}"));
            settled(&ws.submit(replica.op(vec![on.create()])).await);
        }
        let mut accepted = n as u64;
        if n == 4 {
            // A rejected operation settles its counter.
            rejected(&ws.submit(replica.op(vec![card("nowhere").delete()])).await, Reason::RecordNotFound);
            accepted = 4;
        }
        // A held one does not.
        let _ = replica.op(vec![]);
        ws.submit(replica.op(vec![card("x").create()])).await;
        let settled = n as u64 + u64::from(n == 4);
        expected.insert(replica.id.clone(), (settled, accepted));
    }
    let mut found = BTreeMap::new();
    let mut page_token = String::new();
    loop {
        let request = pb::GetVersionVectorRequest { workspace_id: ws.id.clone(), page_size: 3, page_token };
        let page = answer(within("vector", ws.clients.workspaces().get_version_vector(request)).await);
        assert!(page.entries.len() <= 3);
        assert_eq!(page.head_seq, 28);
        for entry in page.entries {
            let dot = entry.last_settled.expect("a dot");
            found.insert(dot.replica_id, (dot.counter, entry.last_accepted_counter));
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_head_is_where_a_feed_goes_on() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let start = ws.head().await;
    assert_eq!((start.seq_inclusive, start.chain.as_ref(), &start.workspace_id), (0, &[0; 16][..], &ws.id));
    let head = ws.write(vec![card("c1").create()]).await;
    let now = ws.head().await;
    assert_eq!((now.seq_inclusive, now.epoch), (head, ws.epoch));
    assert_ne!(now.chain, start.chain);
    let mut feed = crate::harness::Feed::open(&ws, crate::harness::Kind::Watch, Some(start)).await;
    feed.until(head).await;
    assert_eq!(feed.cursor, now);
}

#[tokio::test]
async fn every_method_says_that_a_workspace_is_unknown() {
    let server = TestServer::in_memory().await;
    let mut nowhere = server.workspace("w").await;
    nowhere.id = "nowhere".to_owned();
    let id = || "nowhere".to_owned();
    let clients = nowhere.clients.clone();
    let (workspaces, records, conflicts) =
        (|| clients.workspaces(), || clients.records(), || clients.conflicts());
    let mut errors: Vec<Status> = Vec::new();
    macro_rules! call {
        ($client:expr, $method:ident, $request:expr) => {
            errors.push(
                within(stringify!($method), $client.$method($request))
                    .await
                    .err()
                    .expect(stringify!($method)),
            )
        };
    }
    call!(workspaces(), get_workspace, pb::GetWorkspaceRequest { workspace_id: id() });
    call!(workspaces(), get_schema, pb::GetSchemaRequest { workspace_id: id() });
    call!(workspaces(), update_schema, pb::UpdateSchemaRequest { workspace_id: id(), ..Default::default() });
    call!(workspaces(), get_head, pb::GetHeadRequest { workspace_id: id() });
    let vector = pb::GetVersionVectorRequest { workspace_id: id(), ..Default::default() };
    call!(workspaces(), get_version_vector, vector);
    call!(
        records(),
        get_record,
        pb::GetRecordRequest { workspace_id: id(), record_id: "c1".to_owned(), at_least: None }
    );
    let list = pb::ListRecordsRequest {
        workspace_id: id(),
        collection_id: "cards".to_owned(),
        ..Default::default()
    };
    call!(records(), list_records, list);
    let history =
        pb::ListRecordHistoryRequest { workspace_id: id(), record_id: "c1".to_owned(), ..Default::default() };
    call!(records(), list_record_history, history);
    call!(conflicts(), list_conflicts, pb::ListConflictsRequest { workspace_id: id(), ..Default::default() });
    let conflict_id = || "c1-0".to_owned();
    call!(
        conflicts(),
        get_conflict,
        pb::GetConflictRequest { workspace_id: id(), conflict_id: conflict_id(), at_least: None }
    );
    call!(
        conflicts(),
        get_alternative,
        pb::GetAlternativeRequest { workspace_id: id(), conflict_id: conflict_id(), alternative_seq: 1 }
    );
    let events = pb::ListConflictEventsRequest { workspace_id: id(), ..Default::default() };
    call!(conflicts(), list_conflict_events, events);
    call!(conflicts(), get_conflict_statistics, pb::GetConflictStatisticsRequest { workspace_id: id() });
    let resolve = pb::ResolveConflictRequest {
        workspace_id: id(),
        conflict_id: conflict_id(),
        request_id: "r".to_owned(),
        decision: Some(pb::resolve_conflict_request::Decision::KeepCurrent(pb::KeepCurrent {})),
        ..Default::default()
    };
    call!(conflicts(), resolve_conflict, resolve);
    let defer = pb::DeferConflictRequest {
        workspace_id: id(),
        conflict_id: conflict_id(),
        request_id: "r".to_owned(),
        remind_time: Some(server.in_ms(1_000)),
        ..Default::default()
    };
    call!(conflicts(), defer_conflict, defer);
    let assign = pb::AssignConflictRequest {
        workspace_id: id(),
        conflict_id: conflict_id(),
        request_id: "r".to_owned(),
        ..Default::default()
    };
    call!(conflicts(), assign_conflict, assign);
    let reopen = pb::ReopenConflictRequest {
        workspace_id: id(),
        conflict_id: conflict_id(),
        request_id: "r".to_owned(),
        ..Default::default()
    };
    call!(conflicts(), reopen_conflict, reopen);
    call!(
        clients.connections(),
        list_connections,
        pb::ListConnectionsRequest { workspace_id: id(), ..Default::default() }
    );
    call!(clients.changes(), snapshot, pb::SnapshotRequest { workspace_id: id(), ..Default::default() });
    call!(
        clients.changes(),
        watch,
        pb::WatchRequest {
            start: Some(pb::FeedStart {
                workspace_id: id(),
                origin: Some(pb::feed_start::Origin::Head(pb::FromHead {})),
                ..Default::default()
            })
        }
    );
    call!(
        clients.operations(),
        get_receipts,
        pb::GetReceiptsRequest { workspace_id: id(), ..Default::default() }
    );
    errors.push(nowhere.try_submit(vec![latest(vec![card("c1").create()])]).await.expect_err("Submit"));
    errors.push(nowhere.abandon(nowhere.replica(1, "").dot(1)).await.expect_err("AbandonCounter"));
    let subscribed = crate::harness::Feed::try_open(&nowhere, crate::harness::Kind::Subscribe, None, None)
        .await
        .map(|_| ());
    errors.push(subscribed.expect_err("Subscribe"));
    for error in errors {
        assert_eq!(fails(Err::<(), _>(error), Reason::UnknownWorkspace).metadata["workspace_id"], "nowhere");
    }
}
