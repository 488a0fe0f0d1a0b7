//! ChangeService: feeds that tile, resume, filter, pause and end.

use std::time::Duration;

use pb::feed_start::Origin;
use pb::subscribe_request::Message as Said;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::harness::feed::{KINDS, only};
use crate::harness::ops::{card, person};
use crate::harness::receipts::settled;
use crate::harness::{Feed, Heard, IntoValue as _, Kind, Reason, TestServer, Workspace, fails, pb, within};

/// `count` changes of one card.
async fn write(ws: &Workspace, count: u64) -> u64 {
    let mut job = Vec::new();
    if ws.head_seq().await == 0 {
        job.push(crate::harness::workspace::latest(vec![card("c1").create()]));
    }
    while (job.len() as u64) < count {
        job.push(crate::harness::workspace::latest(vec![card("c1").increment("votes", 1)]));
    }
    ws.submit_all(job).await.iter().map(settled).max().expect("something to write")
}

async fn opened_with(ws: &Workspace, messages: Vec<Option<Said>>) -> Result<(), Status> {
    let (say, said) = tokio::sync::mpsc::channel(8);
    for message in messages {
        say.send(pb::SubscribeRequest { subscription_id: 0, message }).await.expect("room");
    }
    let mut frames =
        within("Subscribe", ws.clients.changes().subscribe(ReceiverStream::new(said))).await?.into_inner();
    while within("a frame", frames.message()).await?.is_some() {}
    Ok(())
}

fn start(ws: &Workspace) -> Option<Said> {
    Some(Said::Start(pb::FeedStart {
        workspace_id: ws.id.clone(),
        origin: Some(Origin::Beginning(pb::FromBeginning {})),
        ..Default::default()
    }))
}

#[tokio::test]
async fn a_subscription_begins_with_start_and_has_one() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let pause = Some(Said::Pause(pb::FeedPause {}));
    fails(opened_with(&ws, vec![pause]).await, Reason::StreamProtocol);
    fails(opened_with(&ws, vec![None]).await, Reason::StreamProtocol);
    fails(opened_with(&ws, vec![start(&ws), start(&ws)]).await, Reason::StreamProtocol);
    fails(opened_with(&ws, vec![start(&ws), None]).await, Reason::StreamProtocol);
    let watch = within("Watch", ws.clients.changes().watch(pb::WatchRequest { start: None })).await;
    fails(watch.map(|_| ()), Reason::StreamProtocol);
    // The same client goes on.
    let head = write(&ws, 3).await;
    assert_eq!(Feed::open(&ws, Kind::Subscribe, None).await.until(head).await.len(), 3);
}

#[tokio::test]
async fn both_feeds_deliver_the_same_changes_in_the_same_order() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let head = write(&ws, 700).await;
    let mut watch = Feed::open(&ws, Kind::Watch, None).await;
    let mut subscription = Feed::open(&ws, Kind::Subscribe, None).await;
    assert_eq!(watch.opened, subscription.opened);
    assert_eq!((watch.opened.head_seq, watch.opened.schema_version), (head, 1));
    let before = watch.until(head).await;
    assert_eq!(before.len(), 700);
    assert_eq!(before, subscription.until(head).await);
    // And what comes while they are open.
    let head = write(&ws, 50).await;
    let live = watch.until(head).await;
    assert_eq!((live.len(), &live), (50, &subscription.until(head).await));
    assert_eq!(watch.cursor, subscription.cursor);
    assert_eq!(watch.cursor, ws.head().await);
}

#[tokio::test]
async fn a_change_says_who_did_what_when_and_why() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut ada = ws.replica(1, "ada");
    let client_time = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5_000_000 });
    let operation = pb::Operation {
        correlation_id: "trace".to_owned(),
        client_time,
        ..ada.op(vec![
            card("c1").create_with([("title", "x".into_value())]),
            card("c1").add("tags", vec![1.into_value()]),
        ])
    };
    ws.apply(operation).await;
    let mut feed = Feed::open(&ws, Kind::Watch, None).await;
    let change = feed.until(1).await.remove(0);
    assert_eq!((change.seq, &change.dot, change.actor.as_str()), (1, &Some(ada.last()), "ada"));
    assert_eq!((change.correlation_id.as_str(), change.request_id.as_str()), ("trace", ""));
    assert_eq!((change.client_time, &change.context), (client_time, &Some(ada.context.clone())));
    assert_eq!(change.outcome(), pb::ChangeOutcome::Applied);
    let commit = change.commit_time.expect("a time").seconds;
    assert!((commit - server.now_ms() / 1_000).abs() < 600);
    let kinds: Vec<&str> = change.effects.iter().map(effect_name).collect();
    assert_eq!(kinds, ["created", "register title", "set tags"]);
}

#[track_caller]
fn on_record(effect: &pb::Effect) -> &pb::RecordEffect {
    match &effect.effect {
        Some(pb::effect::Effect::Record(effect)) => effect,
        other => panic!("not on a record: {other:?}"),
    }
}

fn effect_name(effect: &pb::Effect) -> &'static str {
    use pb::record_effect::Effect;
    let effect = on_record(effect);
    match (effect.effect.as_ref().expect("an effect"), effect.field_id.as_deref()) {
        (Effect::RecordCreated(_), None) => "created",
        (Effect::RegisterChanged(_), Some("title")) => "register title",
        (Effect::SetChanged(_), Some("tags")) => "set tags",
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_feed_resumes_exactly_from_any_cursor() {
    // So few recent changes that most cursors lie behind them, in the store.
    let server = TestServer::with(&[("feed.recent_changes", "16")]).await;
    let ws = server.workspace("w").await;
    let head = write(&ws, 60).await;
    let all = Feed::open(&ws, Kind::Watch, None).await.until(head).await;
    for kind in KINDS {
        for seq in 0..=head {
            let chain = seq.checked_sub(1).map_or_else(Default::default, |at| all[at as usize].chain.clone());
            for chain in [chain, Default::default()] {
                let cursor = pb::Cursor { seq_inclusive: seq, chain, ..ws.beginning() };
                let mut feed = Feed::open(&ws, kind, Some(cursor)).await;
                assert_eq!(feed.until(head).await, all[seq as usize..], "{kind:?} from {seq}");
            }
        }
    }
}

#[tokio::test]
async fn a_feed_at_the_head_waits_and_then_gets_what_is_new() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    write(&ws, 5).await;
    for kind in KINDS {
        let mut feed = Feed::open(&ws, kind, Some(ws.head().await)).await;
        let head = write(&ws, 1).await;
        let changes = feed.until(head).await;
        assert_eq!(changes.iter().map(|c| c.seq).collect::<Vec<_>>(), [head], "{kind:?}");
    }
}

async fn cards_and_people(ws: &Workspace) -> u64 {
    let (mut ada, mut bob) = (ws.replica(1, "ada"), ws.replica(2, "bob"));
    for n in 0..10 {
        let (c, p) = (format!("c{n}"), format!("p{n}"));
        settled(&ws.submit(ada.op(vec![card(&c).create()])).await);
        settled(&ws.submit(bob.op(vec![person(&p).create()])).await);
    }
    // One operation in both, and one in neither.
    settled(&ws.submit(ada.op(vec![card("c0").set("title", "both"), person("p0").set("name", "both")])).await)
}

#[tokio::test]
async fn a_filtered_feed_leaves_changes_out_and_still_tiles() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let head = cards_and_people(&ws).await;
    for kind in KINDS {
        let mut feed = Feed::filtered(&ws, kind, None, only(&["people"])).await;
        let changes = feed.until(head).await;
        assert_eq!(feed.position(), head, "the position moves over what is left out");
        assert_eq!(changes.len(), 11);
        let effects: Vec<_> = changes.iter().flat_map(|c| &c.effects).collect();
        assert!(
            effects.iter().all(|e| on_record(e).collection_id == "people"),
            "only effects that are wanted"
        );
        assert_eq!(changes.last().map(|c| c.effects.len()), Some(1), "of the change in both, its own part");
        // Nothing that is wanted: a frame still says how far it is.
        let mut feed = Feed::filtered(&ws, kind, None, only(&["nothing"])).await;
        assert_eq!(feed.until(head).await, []);
        let (here, there) = (&feed.cursor, ws.head().await);
        assert_eq!((here.seq_inclusive, &here.chain), (there.seq_inclusive, &there.chain));
        assert!(here.loading.is_empty(), "nothing is to be loaded from the beginning");
    }
}

#[tokio::test]
async fn a_filtered_feed_resumes_exactly_from_its_own_cursors() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut feed = Feed::filtered(&ws, Kind::Watch, None, only(&["cards"])).await;
    let mut cut = Vec::new();
    let mut cursors = Vec::new();
    // Frame by frame: each write is one.
    for n in 0..8 {
        let (c, p) = (format!("c{n}"), format!("p{n}"));
        let seq = ws.write(vec![if n % 2 == 0 { card(&c).create() } else { person(&p).create() }]).await;
        cut.extend(feed.until(seq).await);
        cursors.push(feed.cursor.clone());
    }
    let head = ws.head_seq().await;
    for cursor in cursors {
        let from = cursor.seq_inclusive;
        let mut again = Feed::filtered(&ws, Kind::Subscribe, Some(cursor), only(&["cards"])).await;
        let rest: Vec<_> = cut.iter().filter(|c| c.seq > from).cloned().collect();
        assert_eq!(again.until(head).await, rest, "from {from}");
    }
}

#[tokio::test]
async fn a_filtered_feed_carries_conflicts_of_its_collections() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create(), person("p1").create()]).await;
    let mut ada = ws.replica(1, "ada").having_seen(base);
    let mut bob = ws.replica(2, "bob").having_seen(base);
    settled(&ws.submit(ada.op(vec![card("c1").set("title", "a"), person("p1").set("name", "a")])).await);
    settled(&ws.submit(bob.op(vec![card("c1").set("title", "b")])).await);
    let head = settled(&ws.submit(bob.op(vec![person("p1").set("name", "b")])).await);
    let mut feed = Feed::filtered(&ws, Kind::Watch, None, only(&["people"])).await;
    let conflicts: Vec<_> = feed.until(head).await.iter().flat_map(conflicts_of).collect();
    assert_eq!(conflicts.len(), 1);
    assert_eq!((conflicts[0].collection_id.as_str(), conflicts[0].record_id.as_str()), ("people", "p1"));
}

fn conflicts_of(change: &pb::Change) -> Vec<pb::Conflict> {
    let of = |effect: &pb::Effect| match &effect.effect {
        Some(pb::effect::Effect::ConflictChanged(changed)) => changed.conflict.clone(),
        _ => None,
    };
    change.effects.iter().filter_map(of).collect()
}

#[tokio::test]
async fn the_filter_can_be_changed_on_an_open_subscription() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut feed = Feed::open(&ws, Kind::Subscribe, None).await;
    let head = cards_and_people(&ws).await;
    assert_eq!(feed.until(head).await.len() as u64, head);
    feed.choose(&["people"]).await;
    // The choice holds from some frame on: write until it does, and from then on it must hold.
    let mut chosen = false;
    for n in 0..200 {
        let seq = ws.write(vec![card("c1").set("title", i64::from(n))]).await;
        let seen = !feed.until(seq).await.is_empty();
        assert!(!(chosen && seen), "the choice was forgotten");
        chosen = !seen;
        if chosen && n > 5 {
            break;
        }
    }
    assert!(chosen, "the choice never took effect");
    let seq = ws.write(vec![person("p1").set("name", "x")]).await;
    assert_eq!(feed.until(seq).await.len(), 1);
    feed.choose(&[]).await;
    for n in 0..200 {
        let seq = ws.write(vec![card("c1").set("title", i64::from(n))]).await;
        if !feed.until(seq).await.is_empty() {
            return;
        }
    }
    panic!("an empty choice is all");
}

#[tokio::test]
async fn a_paused_subscription_sends_no_changes_until_it_is_resumed() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let head = write(&ws, 3).await;
    let mut feed = Feed::open(&ws, Kind::Subscribe, None).await;
    feed.until(head).await;
    feed.say(Said::Pause(pb::FeedPause {})).await;
    // The pause holds from some frame on: then a change stays away for as long as nobody resumes.
    let mut quiet = false;
    for _ in 0..20 {
        write(&ws, 1).await;
        quiet = tokio::time::timeout(Duration::from_millis(300), feed.next()).await.is_err();
        if quiet {
            break;
        }
    }
    assert!(quiet, "changes came in spite of the pause");
    let position = feed.position();
    let head = write(&ws, 40).await;
    feed.say(Said::Resume(pb::FeedResume {})).await;
    let changes = feed.until(head).await;
    assert_eq!(changes.len() as u64, head - position, "from where it stopped");
}

#[tokio::test]
async fn acknowledging_more_than_was_sent_ends_the_stream() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let head = write(&ws, 5).await;
    let mut feed = Feed::open(&ws, Kind::Subscribe, None).await;
    feed.until(head).await;
    for seq_inclusive in [1, head, 2] {
        feed.say(Said::Acknowledge(pb::FeedAcknowledge { seq_inclusive })).await;
    }
    let next = write(&ws, 1).await;
    feed.until(next).await;
    feed.say(Said::Acknowledge(pb::FeedAcknowledge { seq_inclusive: next + 1 })).await;
    fails(Err::<(), _>(feed.failure().await), Reason::StreamProtocol);
    // The client reconnects from its cursor and goes on.
    let mut feed = Feed::open(&ws, Kind::Subscribe, Some(feed.cursor)).await;
    let head = write(&ws, 1).await;
    assert_eq!(feed.until(head).await.len(), 1);
}

#[tokio::test]
async fn an_idle_feed_sends_a_checkpoint_after_fifteen_seconds_also_while_paused_or_filtered() {
    let server = TestServer::in_memory().await;
    let ws = server.workspace("w").await;
    let head = write(&ws, 3).await;
    let mut watch = Feed::open(&ws, Kind::Watch, None).await;
    let mut filtered = Feed::filtered(&ws, Kind::Watch, None, only(&["people"])).await;
    let paused = Feed::open(&ws, Kind::Subscribe, Some(ws.head().await)).await;
    paused.say(Said::Pause(pb::FeedPause {})).await;
    watch.until(head).await;
    filtered.until(head).await;
    let idle = |feed: Feed| async move {
        let mut feed = feed;
        match feed.next().await {
            Heard::Checkpoint(checkpoint) => assert_eq!(checkpoint.head_seq, head),
            other => panic!("no checkpoint: {other:?}"),
        }
    };
    tokio::join!(idle(watch), idle(filtered), idle(paused));
}

#[tokio::test]
async fn a_feed_that_has_become_old_is_sent_away_and_resumes_exactly() {
    let settings = [("server.max_stream_age_seconds", "10"), ("database.url", "memory:")];
    let server = TestServer::with(&settings).await;
    let ws = server.workspace("w").await;
    let head = write(&ws, 5).await;
    let old = |kind| {
        let ws = ws.clone();
        async move {
            let mut feed = Feed::open(&ws, kind, None).await;
            feed.goes_away(pb::GoAwayReason::MaxAge).await;
            assert_eq!(feed.position(), head);
            feed.cursor
        }
    };
    let (watch, subscription) = tokio::join!(old(Kind::Watch), old(Kind::Subscribe));
    let now = write(&ws, 3).await;
    for (kind, cursor) in [(Kind::Watch, watch), (Kind::Subscribe, subscription)] {
        assert_eq!(Feed::open(&ws, kind, Some(cursor)).await.until(now).await.len(), 3);
    }
}

#[tokio::test]
async fn a_cursor_that_cannot_be_resumed_is_reset_with_the_reason() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    write(&ws, 10).await;
    let head = ws.head().await;
    let cases = [
        (pb::Cursor { epoch: head.epoch ^ 1, ..head.clone() }, pb::ResetReason::WrongEpoch),
        (
            pb::Cursor { seq_inclusive: 11, chain: Default::default(), ..head.clone() },
            pb::ResetReason::FutureCursor,
        ),
        (pb::Cursor { seq_inclusive: (1 << 63) - 1, ..head.clone() }, pb::ResetReason::FutureCursor),
        // The right place with another past: rewound within the epoch.
        (pb::Cursor { chain: vec![7; 16].into(), ..head.clone() }, pb::ResetReason::WrongEpoch),
        (pb::Cursor { seq_inclusive: 4, ..head.clone() }, pb::ResetReason::WrongEpoch),
    ];
    for (cursor, reason) in cases {
        for kind in KINDS {
            let opened = Feed::try_open(&ws, kind, Some(cursor.clone()), None).await.expect("a frame");
            assert_eq!(opened.err(), Some(reason), "{kind:?} {cursor:?}");
        }
    }
    assert_eq!(Feed::open(&ws, Kind::Watch, None).await.until(10).await.len(), 10);
}

#[tokio::test]
async fn a_cursor_of_another_workspace_is_refused() {
    let server = TestServer::start().await;
    let (ws, other) = (server.workspace("w").await, server.workspace("other").await);
    write(&ws, 2).await;
    write(&other, 2).await;
    for kind in KINDS {
        let opened = Feed::try_open(&ws, kind, Some(other.head().await), None).await.map(|_| ());
        assert_eq!(fails(opened, Reason::CursorMismatch).metadata["workspace_id"], "other");
    }
}

#[tokio::test]
async fn a_server_that_stops_tells_feeds_to_go_away_and_they_resume_exactly_after_it_is_back() {
    let mut server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let head = write(&ws, 30).await;
    let mut feeds = Vec::new();
    for kind in KINDS {
        let mut feed = Feed::open(&ws, kind, None).await;
        feed.until(head).await;
        feeds.push((kind, feed));
    }
    server.begin_stop();
    let mut cursors = Vec::new();
    for (kind, mut feed) in feeds {
        feed.goes_away(pb::GoAwayReason::Draining).await;
        cursors.push((kind, feed.cursor));
    }
    server.restart().await;
    let ws = server.existing("w").await;
    let now = write(&ws, 10).await;
    for (kind, cursor) in cursors {
        assert_eq!(cursor.seq_inclusive, head);
        let changes = Feed::open(&ws, kind, Some(cursor)).await.until(now).await;
        assert_eq!(changes.iter().map(|c| c.seq).collect::<Vec<_>>(), (head + 1..=now).collect::<Vec<_>>());
    }
}
