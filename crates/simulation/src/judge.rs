//! What has to hold at the end of a run.

use std::collections::BTreeMap;
use syncline_core::causality::Seq;

use syncline::store::{Order, Store, StoreReader};
use syncline_core::change::{Change, EffectKind};
use syncline_core::conflict::ConflictEventKind;
use syncline_core::history::{self, Expectations, History};
use syncline_core::ids::{ConflictId, Epoch, ReplicaId, WorkspaceNo};
use syncline_core::state::Prefix;
use syncline_protocol::convert::{change_to_pb, record_change};
use syncline_protocol::pb;

use super::ambient::BEGINNING_MS;
use super::client::WORKSPACE;
use super::client::chooser::CHOICES;
use super::client::{author, picture};
use super::net;
use super::record::{Dot, Outcome, Read, Record, Sent};
use super::world::World;
use syncline_client::{Fold, FoldedField};

/// The number of the only workspace.
const WS: WorkspaceNo = WorkspaceNo(1);

/// Runs something of the memory store, which never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the memory store waits"),
    }
}

fn reader(world: &World) -> Box<dyn StoreReader> {
    now(world.store.reader()).unwrap()
}

fn head_seq(world: &World) -> u64 {
    now(reader(world).head(WS)).unwrap().map_or(0, |head| head.head_seq.0)
}

fn log(world: &World) -> Vec<Change> {
    now(reader(world).changes(WS, Seq::START, Seq(u64::MAX), usize::MAX)).unwrap()
}

/// What is not in order yet, after everything was repaired.
pub(super) fn what_is_missing(world: &World) -> Option<String> {
    let head = head_seq(world);
    for client in world.clients.borrow().iter() {
        if !client.begun.get() {
            return Some(format!("{} has not begun", client.name));
        }
        let state = client.state.borrow();
        if let Some(first) = state.queue.front() {
            return Some(format!("{} waits for {} of {}", client.name, first.counter, state.queue.len()));
        }
        if state.position != head {
            return Some(format!("{} is at {} of {head}", client.name, state.position));
        }
        let chosen = client.chosen.borrow();
        if client.habits().chooses && (chosen.position() != head || !chosen.is_whole()) {
            return Some(format!("{} has its choice as of {} of {head}", client.name, chosen.position()));
        }
    }
    None
}

/// A conflict that was deferred and has not come back, although all are deferred for a moment only.
pub(super) fn what_is_deferred(world: &World) -> Option<String> {
    let clients = world.clients.borrow();
    let state = clients[0].state.borrow();
    let deferred = state.fold.conflicts.values().find(|c| c.status() == pb::ConflictStatus::Deferred);
    deferred.map(|conflict| format!("{} is still deferred", conflict.conflict_id))
}

/// Compares everything that was seen with the log.
pub(super) fn judge_history(world: &World) -> Result<(), String> {
    for waiting in [Prefix::HeldOperations, Prefix::Waiters, Prefix::Wakes] {
        let left = now(reader(world).range(WS, &waiting, None, 1, Order::Ascending)).unwrap();
        if let Some((key, _)) = left.rows.first() {
            return Err(format!("everything has settled, and {key:?} is still there"));
        }
    }
    let log = log(world);
    check_history(world, &log)?;
    let record = world.record.borrow();
    record.sent.iter().try_for_each(|(dot, sent)| judge_outcome(*dot, sent))?;
    judge_pictures(&record, &log)?;
    drop(record);
    let reminders = judge_reminders(&log)?;
    world.record.borrow_mut().counts.insert("reminders", reminders);
    judge_content(world)
}

/// What the history checker says of what clients saw.
fn check_history(world: &World, log: &[Change]) -> Result<(), String> {
    let mut whole = history::Log::new(Epoch(world.epoch.get().unwrap_or_default()));
    for change in log {
        record_change(&mut whole, &change_to_pb(change)).map_err(|unreadable| unreadable.to_string())?;
    }
    let head = now(reader(world).head(WS)).unwrap().ok_or("no head")?;
    whole.head(head.head_seq, Some(head.chain));
    // The server itself writes reminders.
    let expectations = Expectations { others: [ReplicaId::SERVER].into(), ..Expectations::default() };
    let mut history = History::new(whole, expectations);
    for client in world.clients.borrow().iter() {
        history.add(client.story.borrow().clone());
        let mut feed = client.feed_story.borrow().clone();
        feed.must_be_at_head();
        history.add_feed(feed);
    }
    let report = history::check(&history);
    if report.is_content() { Ok(()) } else { Err(report.to_string()) }
}

/// Judges an outcome: nothing settled that must not, and what was rejected was rejected for an honest reason.
fn judge_outcome(dot: Dot, sent: &Sent) -> Result<(), String> {
    match &sent.outcome {
        None => Err(format!("{dot:?} has no outcome")),
        Some(Outcome::Settled { seq }) if sent.invalid || sent.lost => {
            Err(format!("{dot:?} settled at {seq}"))
        }
        Some(Outcome::Settled { .. }) => Ok(()),
        Some(Outcome::Rejected { reason }) => judge_reason(dot, sent, reason),
    }
}

fn judge_reason(dot: Dot, sent: &Sent, reason: &str) -> Result<(), String> {
    const NEVER: [&str; 5] =
        ["INVALID_CONTEXT", "INVALID_REQUEST", "UNKNOWN_FIELD", "UNDECLARED_FIELD", "UNDECLARED_COLLECTION"];
    let reason = reason.trim_start_matches("ERROR_REASON_");
    match reason {
        "ABANDONED" if !sent.lost => Err(format!("{dot:?} was abandoned by nobody")),
        "KIND_MISMATCH" if !sent.invalid => Err(format!("{dot:?} was rejected: {reason}")),
        _ if NEVER.contains(&reason) => Err(format!("{dot:?} was rejected: {reason}")),
        _ => Ok(()),
    }
}

/// Reads and states are what the log says at their positions.
fn judge_pictures(record: &Record, log: &[Change]) -> Result<(), String> {
    let mut fold = Fold::default();
    let mut reads: BTreeMap<u64, Vec<&Read>> = BTreeMap::new();
    record.reads.iter().for_each(|read| reads.entry(read.seq).or_default().push(read));
    for seq in 0..=log.len() as u64 {
        if let Some(change) = seq.checked_sub(1).and_then(|at| log.get(at as usize)) {
            fold.apply(&change_to_pb(change)).map_err(|wrong| format!("at {}: {wrong}", change.seq))?;
        }
        if let Some((client, picture)) = record.states.get(&seq)
            && *picture != picture::of_everything(&fold)
        {
            return Err(format!(
                "client {client} had another state at {seq}:\n{picture}\n{}",
                picture::of_everything(&fold)
            ));
        }
        for (client, _, choice, picture) in record.views.iter().filter(|(_, at, ..)| *at == seq) {
            let ours = picture::of_collections(&fold, CHOICES[*choice]);
            if *picture != ours {
                let names = CHOICES[*choice];
                return Err(format!(
                    "client {client} had {names:?} at {seq} as\n{picture}\nthe log says\n{ours}"
                ));
            }
        }
        for read in reads.remove(&seq).unwrap_or_default() {
            let ours = picture::of_record(&fold, &read.record_id);
            if read.shown != ours {
                let Read { by, record_id, shown, .. } = read;
                return Err(format!(
                    "client {by} read {record_id} at {seq} as\n{shown}\nthe log says\n{ours}"
                ));
            }
        }
    }
    match reads.first_key_value() {
        Some((seq, _)) => Err(format!("a read shows {seq}, the log ends before")),
        None => Ok(()),
    }
}

/// A reminder comes once for each time a conflict was put aside.
fn judge_reminders(log: &[Change]) -> Result<u64, String> {
    let mut reminders = 0;
    let mut deferred: BTreeMap<ConflictId, bool> = BTreeMap::new();
    for change in log {
        for effect in &change.effects {
            let EffectKind::Conflict { event, summary } = &effect.kind else { continue };
            match event {
                ConflictEventKind::Deferred => {
                    deferred.insert(summary.id, true);
                }
                ConflictEventKind::Reminded if deferred.insert(summary.id, false) != Some(true) => {
                    return Err(format!("a reminder fired again at {}", change.seq));
                }
                ConflictEventKind::Reminded => reminders += 1,
                _ => {}
            }
        }
    }
    Ok(reminders)
}

/// Nobody's edits are lost or doubled; reads showed what the log says.
fn judge_content(world: &World) -> Result<(), String> {
    let clients = world.clients.borrow();
    let state = clients[0].state.borrow();
    let record = world.record.borrow();
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    let settled = |sent: &Sent| matches!(sent.outcome, Some(Outcome::Settled { .. }));
    let field = |record: &str, field: &str| state.fold.records.get(record).and_then(|r| r.fields.get(field));
    for (dot, sent) in record.sent.iter().filter(|(_, sent)| settled(sent)) {
        for (id, by) in &sent.increments {
            *sums.entry(id).or_default() += by;
        }
        for (id, piece) in &sent.pieces {
            let Some(FoldedField::Text(text)) = field(id, "notes") else {
                return Err(format!("{id} has no text"));
            };
            let found = text.matches(piece.as_str()).count();
            if found != 1 {
                return Err(format!("{piece} of {dot:?} is {found} times in the text of {id}"));
            }
        }
        for (id, element) in &sent.elements {
            let removed = record.sent.values().any(|s| s.removes.contains(&(id.clone(), element.clone())));
            let Some(FoldedField::Set(tags)) = field(id, "tags") else {
                return Err(format!("{id} has no tags"));
            };
            if !removed && !tags.values().any(|value| *value == author::string(element)) {
                return Err(format!("{element} of {dot:?} is not in the set of {id}"));
            }
        }
    }
    for (id, sum) in sums {
        match field(id, "votes") {
            Some(FoldedField::Counter(value)) if *value == sum => {}
            other => return Err(format!("the increments of {id} come to {sum}, there is {other:?}")),
        }
    }
    Ok(())
}

/// Asks every server for what it shows.
pub(super) async fn ask(world: &World) -> Result<(), String> {
    let failed =
        |what: &str, status: tonic::Status| format!("{what}: {:?}: {}", status.code(), status.message());
    let fold: Fold = world.clients.borrow()[0].state.borrow().fold.clone();
    for server in 0..world.plan.servers {
        let channel = net::channel(server);
        let mut records = pb::record_service_client::RecordServiceClient::new(channel.clone());
        let mut found = 0;
        for collection_id in ["cards", "people"] {
            let request = pb::ListRecordsRequest {
                workspace_id: WORKSPACE.to_owned(),
                collection_id: collection_id.to_owned(),
                include_deleted: true,
                ..Default::default()
            };
            let listed =
                records.list_records(request).await.map_err(|s| failed("ListRecords", s))?.into_inner();
            for record in &listed.records {
                found += 1;
                let (theirs, ours) = (
                    picture::of_read(record).map_err(|wrong| wrong.to_string())?,
                    picture::of_record(&fold, &record.record_id),
                );
                if theirs != ours {
                    let id = &record.record_id;
                    return Err(format!("server {server} shows {id} as\n{theirs}\nclients have\n{ours}"));
                }
            }
        }
        if found != fold.records.len() {
            return Err(format!("server {server} has {found} records, clients have {}", fold.records.len()));
        }
        let mut connections = pb::connection_service_client::ConnectionServiceClient::new(channel.clone());
        let request = pb::ListConnectionsRequest { workspace_id: WORKSPACE.to_owned(), ..Default::default() };
        let listed = connections.list_connections(request).await;
        let listed = listed.map_err(|s| failed("ListConnections", s))?.into_inner().connections;
        if let Some(connection) = listed.first() {
            let told =
                connection.lease_expire_time.map(|at| at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000);
            let ends_ms = told.unwrap_or_default() - BEGINNING_MS;
            let (name, seq) = (&connection.client_name, connection.seq);
            return Err(format!(
                "server {server} still shows {name} at {seq} as connected, until {ends_ms} ms"
            ));
        }
        let mut conflicts = pb::conflict_service_client::ConflictServiceClient::new(channel.clone());
        let request = pb::ListConflictsRequest {
            workspace_id: WORKSPACE.to_owned(),
            page_size: 200,
            ..Default::default()
        };
        let listed =
            conflicts.list_conflicts(request).await.map_err(|s| failed("ListConflicts", s))?.into_inner();
        let theirs: std::collections::BTreeSet<String> =
            listed.conflicts.into_iter().map(|c| c.conflict_id).collect();
        if !theirs.iter().eq(fold.live_conflicts()) {
            return Err(format!("server {server} has other live conflicts: {theirs:?}"));
        }
    }
    Ok(())
}
