//! Several servers on one Postgres behave as one: whatever server a client talks to, there is one order, and nothing is
//! lost, doubled or forgotten when it changes servers.

use std::collections::BTreeSet;
use std::slice;

use crate::conflicts::{Clash, defer, events, keep, resolve};
use crate::connections::{disconnect, going_on, opening, present, unary};
use crate::harness::ops::card;
use crate::harness::postgres::Database;
use crate::harness::receipts::{duplicate, held, original, settled};
use crate::harness::workspace::{collection, field, latest, state};
use crate::harness::{Feed, IntoValue as _, Kind, TestServer, Workspace, fails, pb, until, within};
use crate::harness::{Heard, Reason};

/// Two servers on one database.
struct Pair {
    first: TestServer,
    second: TestServer,
    database: Database,
}

impl Pair {
    async fn start() -> Pair {
        let database = Database::create().await;
        let (first, second) = (server(&database).await, server(&database).await);
        Pair { first, second, database }
    }

    /// A workspace with cards, through each server.
    async fn workspace(&self) -> (Workspace, Workspace) {
        let here = self.first.workspace("w").await;
        let there = self.second.existing("w").await;
        assert_eq!(here.epoch, there.epoch, "one history");
        (here, there)
    }
}

async fn server(database: &Database) -> TestServer {
    TestServer::with(&[("database.url", &database.url()), ("heartbeat.interval_seconds", "1")]).await
}

/// The changes up to a position as a feed from the beginning delivers them.
async fn log(ws: &Workspace, seq: u64) -> Vec<pb::Change> {
    Feed::open(ws, Kind::Watch, None).await.until(seq).await
}

#[tokio::test]
async fn a_feed_on_one_server_shows_what_is_written_on_another() {
    let pair = Pair::start().await;
    let (here, there) = pair.workspace().await;
    for kind in crate::harness::feed::KINDS {
        let mut feed = Feed::open(&there, kind, Some(here.head().await)).await;
        for n in 0..10 {
            let seq = here.write(vec![card(&format!("{kind:?}{n}")).create()]).await;
            let changes = feed.until(seq).await;
            assert_eq!(changes.iter().map(|c| c.seq).collect::<Vec<_>>(), [seq]);
        }
    }
}

#[tokio::test]
async fn a_feed_that_changes_its_choice_and_its_server_has_what_it_asked_for_last() {
    for seed in 11..=12 {
        let database = Database::create().await;
        let settings = [("database.url", &*database.url()), ("feed.chunk_records", "7")];
        let (first, second) = (TestServer::with(&settings).await, TestServer::with(&settings).await);
        let here = first.workspace("w").await;
        let there = second.existing("w").await;
        crate::loading::choices_lead_to_what_was_asked_for_last(&[here, there], seed).await;
    }
}

#[tokio::test]
async fn two_servers_write_at_the_same_time_and_both_show_one_order() {
    const CALLS: usize = 25;
    const OPERATIONS_PER_CALL: usize = 8;
    let pair = Pair::start().await;
    let (here, there) = pair.workspace().await;
    here.write(vec![card("c").create()]).await;
    let write = |ws: Workspace, n: u128| async move {
        let mut author = ws.replica(n, "author").having_seen(1);
        let mut seqs = Vec::new();
        for _ in 0..CALLS {
            let increment = || vec![card("c").increment("votes", 1)];
            let operations = (0..OPERATIONS_PER_CALL).map(|_| author.op(increment())).collect();
            seqs.extend(ws.submit_all(operations).await.iter().map(settled));
        }
        seqs
    };
    let writers =
        [(&here, 1), (&there, 2), (&here, 3), (&there, 4)].map(|(ws, n)| tokio::spawn(write(ws.clone(), n)));
    let mut seqs = BTreeSet::new();
    let total = writers.len() * CALLS * OPERATIONS_PER_CALL;
    for writer in writers {
        let own = within("a writer", writer).await.expect("no panic");
        assert!(own.is_sorted(), "a replica's operations keep their order");
        seqs.extend(own);
    }
    assert_eq!(seqs, (2..=1 + total as u64).collect(), "every position once");
    let head = 1 + total as u64;
    assert_eq!(log(&here, head).await, log(&there, head).await);
    for ws in [&here, &there] {
        assert_eq!(state(&ws.record("c").await, "votes"), pb::field_state::State::Counter(total as i64));
        assert_eq!(ws.head_seq().await, head);
    }
}

#[tokio::test]
async fn an_operation_sent_again_to_another_server_is_a_duplicate() {
    let pair = Pair::start().await;
    let (here, there) = pair.workspace().await;
    let operation = here.replica(1, "ada").op(vec![card("c").create()]);
    let first = here.submit(operation.clone()).await;
    let again = there.submit(operation.clone()).await;
    assert_eq!(original(&duplicate(&again)).outcome, first.outcome);
    let by_request = latest(vec![card("d").create()]);
    let seq = there.apply(by_request.clone()).await;
    assert_eq!(settled(&duplicate(&here.submit(by_request).await)), seq);
    let mut other = operation;
    other.mutations = vec![card("e").create()];
    let refused = there.submit(other).await;
    crate::harness::receipts::refused(&refused, Reason::ReplicaForked);
}

#[tokio::test]
async fn what_one_server_holds_is_released_through_another() {
    let pair = Pair::start().await;
    let (here, there) = pair.workspace().await;
    let mut ada = here.replica(1, "ada");
    let first = ada.op(vec![card("c").create()]);
    let second = ada.op(vec![card("c").set("title", "second".into_value())]);
    held(&here.submit(second.clone()).await);
    // A server that had cached that nothing waits must look again.
    assert_eq!(there.apply(first).await, 1);
    assert_eq!(settled(&duplicate(&here.submit(second).await)), 2);
    assert_eq!(log(&there, 2).await.len(), 2);
}

#[tokio::test]
async fn a_feed_goes_on_at_another_server_from_any_cursor() {
    let pair = Pair::start().await;
    let (here, there) = pair.workspace().await;
    // The second server has looked at the workspace, and then everything happens elsewhere.
    drop(Feed::open(&there, Kind::Watch, None).await);
    let mut seen = Vec::new();
    let mut cursor = None;
    for round in 0..20 {
        let seq = here.write(vec![card(&format!("c{round}")).create()]).await;
        let ws = if round % 2 == 0 { &here } else { &there };
        let mut feed = Feed::open(ws, Kind::Watch, cursor).await;
        seen.extend(feed.until(seq).await.iter().map(|c| c.seq));
        cursor = Some(feed.cursor.clone());
    }
    assert_eq!(seen, (1..=20).collect::<Vec<_>>());
    // A cursor that only the other server could have given is no future one.
    here.write(vec![card("last").create()]).await;
    let newest = Feed::open(&there, Kind::Subscribe, Some(here.head().await)).await;
    assert_eq!(newest.position(), 21);
}

#[tokio::test]
async fn a_workspace_created_on_both_at_once_is_one() {
    let pair = Pair::start().await;
    for n in 0..10 {
        let id = format!("w{n}");
        let (here, there) = tokio::join!(pair.first.workspace(&id), pair.second.workspace(&id));
        assert_eq!(here.epoch, there.epoch);
        assert_eq!(here.write(vec![card("c").create()]).await, 1);
        assert_eq!(there.write(vec![card("d").create()]).await, 2);
    }
}

#[tokio::test]
async fn a_schema_changed_on_one_server_holds_on_the_other() {
    let pair = Pair::start().await;
    let (here, there) = pair.workspace().await;
    there.write(vec![card("c").create()]).await;
    let unknown = there.submit(latest(vec![card("c").set("extra", "x".into_value())])).await;
    crate::harness::receipts::refused(&unknown, Reason::UndeclaredField);
    let more = collection([("extra", field(pb::FieldKind::Register))]);
    here.update_schema(pb::Schema { strict: None, collections: [("cards".to_owned(), more)].into() }).await;
    assert_eq!(there.write(vec![card("c").set("extra", "x".into_value())]).await, 2);
    assert_eq!(here.schema().await, there.schema().await);
}

#[tokio::test]
async fn of_two_schema_updates_made_for_one_version_on_two_servers_one_takes_effect() {
    let pair = Pair::start().await;
    let (here, there) = pair.workspace().await;
    for round in 0..20 {
        let (_, version) = here.schema().await;
        let adding = |name: &str| {
            let more = collection([(name, field(pb::FieldKind::Register))]);
            let schema = pb::Schema { strict: None, collections: [("cards".to_owned(), more)].into() };
            pb::UpdateSchemaRequest {
                workspace_id: here.id.clone(),
                schema: Some(schema),
                schema_version: version,
                validate_only: false,
            }
        };
        let (mut first, mut second) = (here.clients.workspaces(), there.clients.workspaces());
        let (one, two) = (format!("here-{round}"), format!("there-{round}"));
        let sent =
            async { tokio::join!(first.update_schema(adding(&one)), second.update_schema(adding(&two))) };
        let outcomes = match within("both", async { Ok::<_, tonic::Status>(sent.await) }).await {
            Ok((one, two)) => [one, two],
            Err(status) => panic!("{status}"),
        };
        let mut refused = 0;
        for outcome in outcomes {
            match outcome {
                Ok(updated) => {
                    let updated = updated.into_inner();
                    assert_eq!((updated.schema_version, updated.differences.len()), (version + 1, 1));
                }
                Err(status) => {
                    refused += 1;
                    let fault = fails(Err::<(), _>(status), Reason::SchemaChanged);
                    assert_eq!(fault.metadata["schema_version"], (version + 1).to_string());
                }
            }
        }
        assert_eq!(refused, 1, "round {round}");
        let (schema, now) = there.schema().await;
        let fields = &schema.collections["cards"].fields;
        assert_eq!(now, version + 1);
        assert_eq!(usize::from(fields.contains_key(&one)) + usize::from(fields.contains_key(&two)), 1);
    }
}

#[tokio::test]
async fn a_conflict_put_aside_on_a_server_that_ends_is_reminded_of_once_by_another() {
    let mut pair = Pair::start().await;
    let (here, there) = pair.workspace().await;
    let (alone, both) = (Clash::register(&here, "c1").await, Clash::register(&here, "c2").await);
    let at = pair.first.in_ms(300);
    defer(&here, &both.id, 1, Some(at)).await.expect("put aside");
    until("the reminder", || reminded(&there, &both.id)).await;
    let at = pair.first.in_ms(500);
    defer(&here, &alone.id, 1, Some(at)).await.expect("put aside");
    pair.first.stop().await;
    // The second server looks for what others left behind every 10 seconds.
    until("the reminder", || reminded(&there, &alone.id)).await;
    for id in [&alone.id, &both.id] {
        let told = events(&there, Some(id), 0, "").await.events;
        let reminders = told.iter().filter(|e| e.kind() == pb::ConflictEventKind::Reminded).count();
        assert_eq!(reminders, 1, "{id}");
    }
}

async fn reminded(ws: &Workspace, id: &str) -> Option<()> {
    (ws.summary(id).await.status() == pb::ConflictStatus::Open).then_some(())
}

#[tokio::test]
async fn a_decision_made_on_one_server_reaches_the_feeds_of_the_other() {
    let pair = Pair::start().await;
    let (here, there) = pair.workspace().await;
    let clash = Clash::register(&here, "c").await;
    let mut feed = Feed::open(&there, Kind::Watch, Some(here.head().await)).await;
    assert_eq!(there.inbox().await.len(), 1);
    resolve(&there, &clash.id, keep()).await.expect("a decision");
    let Heard::Changes(changes) = feed.next().await else { panic!("changes") };
    assert_eq!(changes.len(), 1);
    assert_eq!(here.inbox().await, []);
}

#[tokio::test]
async fn who_is_connected_to_one_server_is_seen_on_the_other_and_may_send_heartbeats_there() {
    let pair = Pair::start().await;
    let (here, there) = pair.workspace().await;
    let start = pb::ConnectionStart {
        workspace_id: here.id.clone(),
        client_name: "tests".to_owned(),
        actor: "ada".to_owned(),
        ..Default::default()
    };
    let id = unary(&here, opening(&here, start)).await.expect("a connection").connection_id;
    let ids = |list: Vec<pb::Connection>| list.into_iter().map(|c| c.connection_id).collect::<Vec<_>>();
    until("being seen elsewhere", || async {
        (ids(present(&there).await) == slice::from_ref(&id)).then_some(())
    })
    .await;
    let heartbeat = |seq| pb::SendHeartbeatRequest {
        heartbeat: Some(pb::Heartbeat { heartbeat_id: seq, seq, ..Default::default() }),
        ..going_on(&there, &id)
    };
    for seq in 1..=4 {
        unary(&there, heartbeat(seq)).await.expect("a heartbeat at the other server");
    }
    until("the heartbeats being seen at the first", || async {
        let seen = present(&here).await;
        (seen.len() == 1 && seen[0].seq == 4 && seen[0].actor == "ada").then_some(())
    })
    .await;
    disconnect(&here, &id).await;
    disconnect(&there, &id).await;
    until("being gone everywhere", || async {
        (present(&here).await.is_empty() && present(&there).await.is_empty()).then_some(())
    })
    .await;
    fails(unary(&there, heartbeat(5)).await, Reason::UnknownConnection);
}

#[tokio::test]
async fn a_lost_listener_costs_time_and_nothing_else() {
    let pair = Pair::start().await;
    let (here, there) = pair.workspace().await;
    let mut feed = Feed::open(&there, Kind::Watch, None).await;
    let mut admin = pair.database.superuser().await;
    for n in 0..5 {
        let terminated = sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ILIKE 'LISTEN%'",
        );
        terminated.execute(&mut admin).await.expect("termination");
        let seq = here.write(vec![card(&format!("c{n}")).create()]).await;
        feed.until(seq).await;
    }
}
