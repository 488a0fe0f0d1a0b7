//! Feeds that load: from a snapshot, and what two choices of collections differ in.

use std::collections::BTreeSet;

use bytes::Bytes;
use pb::feed_start::Origin;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use syncline_core::resume::Stage;
use syncline_core::selection::Collections;
use syncline_protocol::convert::{cursor_from_pb, selection_to_bytes};

use crate::harness::feed::{KINDS, Loading, only};
use crate::harness::model::{Card, Model};
use crate::harness::ops::{card, person};
use crate::harness::receipts::settled;
use crate::harness::{Feed, Heard, IntoValue as _, Kind, PATIENCE, TestServer, Workspace, pb, within};
use crate::snapshots::Script;

/// Small enough for many chunks of few records.
const SMALL_CHUNKS: (&str, &str) = ("feed.chunk_records", "7");
const CHOICES: [&[&str]; 4] = [&["cards"], &["people"], &[], &["cards", "people"]];

/// A client of some collections, through any number of streams.
#[derive(Default)]
struct Reader {
    model: Model,
    asked: Vec<&'static str>,
    cursor: Option<pb::Cursor>,
    loading: bool,
    /// The model is the state of the position from here on.
    complete_from: u64,
    begun: Vec<pb::LoadingBegun>,
    left: Vec<String>,
    entered: Vec<String>,
}

/// A choice of collections as cursors have it; without any: everything.
fn selection(choice: &[&str]) -> Bytes {
    let names = choice.iter().map(|&name| name.into()).collect();
    selection_to_bytes(&if choice.is_empty() { Collections::everything() } else { Collections::Only(names) })
}

impl Reader {
    fn of(asked: &[&'static str]) -> Reader {
        Reader { asked: asked.to_vec(), ..Reader::default() }
    }

    async fn open(&mut self, ws: &Workspace, kind: Kind, origin: Origin) -> Feed {
        let origin = self.cursor.clone().map_or(origin, Origin::Cursor);
        let opened = Feed::start(ws, kind, origin, only(&self.asked)).await;
        let feed = opened.expect("a stream").expect("no reset");
        self.cursor = Some(feed.cursor.clone());
        // The cursor says what is to be loaded now: a choice that was on its way when the last stream was cut may never
        // have arrived. After the end of loading it still says so until the position has caught up.
        let resume =
            cursor_from_pb(feed.cursor.clone(), &feed.cursor.workspace_id, "cursor").expect("a cursor");
        self.loading = resume.loading.is_some_and(|loading| loading.stage != Stage::Loaded);
        feed
    }

    async fn choose(&mut self, feed: &mut Feed, asked: &[&'static str]) {
        self.loading |= self.asked != asked;
        self.asked = asked.to_vec();
        feed.choose(asked).await;
    }

    /// Nothing comes of a collection that the server was not asked for. On an open stream frames of an earlier choice may
    /// still be on their way: their cursors say which one that is.
    #[track_caller]
    fn may_have(&self, collection: &str) {
        let cursor = self.cursor.as_ref().expect("a cursor");
        let is_chosen = |choice: &&&[&str]| selection(choice) == cursor.selection;
        let chosen = CHOICES.iter().find(is_chosen).expect("one of the choices");
        let may = chosen.is_empty() || chosen.contains(&collection);
        assert!(may, "something of {collection} came, where {chosen:?} was asked for");
    }

    fn take(&mut self, feed: &Feed, heard: Heard) {
        self.cursor = Some(feed.cursor.clone());
        match heard {
            Heard::Changes(changes) => {
                for change in &changes {
                    change.effects.iter().for_each(|effect| self.may_have(&collection_of(effect)));
                    self.model.apply(change);
                }
            }
            Heard::Checkpoint(_) => {}
            Heard::Loading(loading) => self.load(loading),
            other => panic!("{other:?}"),
        }
    }

    fn load(&mut self, loading: Loading) {
        self.model.load(&loading);
        match loading {
            Loading::Begun(begun) => {
                self.loading = true;
                self.begun.push(begun);
            }
            Loading::Entered(entered) => {
                for record in entered.records.iter().filter_map(|snapshot| snapshot.record.as_ref()) {
                    self.may_have(&record.collection_id);
                    self.entered.push(record.record_id.clone());
                }
                entered.conflicts.iter().for_each(|conflict| self.may_have(&conflict.collection_id));
            }
            Loading::Left(left) => {
                for record in left.records {
                    assert_eq!(record.reason(), pb::LeaveReason::NoLongerMatches);
                    self.left.push(record.record_id);
                }
            }
            Loading::Finished(finished) => {
                self.loading = false;
                self.complete_from = self.complete_from.max(finished.complete_from_seq);
            }
        }
    }

    /// Reads until everything is loaded and the position is there.
    async fn reach(&mut self, feed: &mut Feed, seq: u64) {
        while self.loading || feed.position() < seq.max(self.complete_from) {
            let heard = tokio::time::timeout(PATIENCE, feed.next()).await;
            let nothing_new = matches!(heard, Err(_) | Ok(Heard::Checkpoint(_)));
            assert!(
                !nothing_new || (!self.loading && feed.head_seq < seq),
                "nothing comes at {} of {seq}, whole from {}: asked {:?}, loading {}, cursor {:?}, begun {:?}",
                feed.position(),
                self.complete_from,
                self.asked,
                self.loading,
                feed.cursor,
                self.begun.last(),
            );
            if let Ok(heard) = heard {
                self.take(feed, heard);
            }
        }
    }

    /// Compares what it has with the whole log at the head.
    async fn agrees(&self, ws: &Workspace, what: &str) {
        let head = self.cursor.as_ref().expect("a cursor").seq_inclusive;
        assert_eq!(head, ws.head_seq().await, "{what}: read to the head");
        let mut replay = Model::default();
        for change in Feed::open(ws, Kind::Watch, None).await.until(head).await {
            replay.apply(&change);
        }
        let wanted = |collection: &str| self.asked.is_empty() || self.asked.contains(&collection);
        let plain = |card: &Card| Card { as_of_seq: 0, ..card.clone() };
        let theirs: Vec<_> = replay
            .records
            .iter()
            .filter(|(_, card)| wanted(&card.collection_id))
            .map(|(id, card)| (id.clone(), plain(card)))
            .collect();
        let ours: Vec<_> = self.model.records.iter().map(|(id, card)| (id.clone(), plain(card))).collect();
        assert_eq!(ours, theirs, "{what}: what the client has, and what the log says");
        let live = |model: &Model| {
            let live = model.live_conflicts();
            let of = |id: &String| wanted(&model.conflicts[id].collection_id);
            live.into_iter().filter(of).collect::<BTreeSet<_>>()
        };
        assert_eq!(live(&self.model), live(&replay), "{what}: live conflicts");
        let foreign = self.model.conflicts.values().find(|conflict| !wanted(&conflict.collection_id));
        assert!(foreign.is_none(), "{what}: {foreign:?}");
    }
}

fn collection_of(effect: &pb::Effect) -> String {
    match effect.effect.as_ref().expect("an effect") {
        pb::effect::Effect::Record(effect) => effect.collection_id.clone(),
        pb::effect::Effect::ConflictChanged(changed) => {
            changed.conflict.as_ref().expect("a conflict").collection_id.clone()
        }
    }
}

fn from_snapshot() -> Origin {
    Origin::Snapshot(pb::FromSnapshot {})
}

async fn some_cards_and_people(ws: &Workspace) -> u64 {
    let mut job = Vec::new();
    for n in 0..30 {
        let title = [("title", "t".into_value())];
        job.push(crate::harness::workspace::latest(vec![card(&format!("c{n:02}")).create_with(title)]));
        job.push(crate::harness::workspace::latest(vec![person(&format!("p{n:02}")).create()]));
    }
    ws.submit_all(job).await.iter().map(settled).max().expect("something to write")
}

#[tokio::test]
async fn a_feed_that_starts_with_a_snapshot_brings_all_records_and_goes_on() {
    let server = TestServer::with(&[SMALL_CHUNKS]).await;
    let ws = server.workspace("w").await;
    let head = some_cards_and_people(&ws).await;
    for (kind, count) in KINDS.into_iter().zip([60, 61]) {
        let mut reader = Reader::of(&[]);
        let mut feed = reader.open(&ws, kind, from_snapshot()).await;
        assert!(reader.loading, "the cursor of the first frame says that nothing is there yet");
        reader.reach(&mut feed, head).await;
        assert_eq!(reader.entered.len(), count, "deleted ones included");
        let [begun] = reader.begun.as_slice() else { panic!("{:?}", reader.begun) };
        assert!(begun.from_scratch);
        assert_eq!(begun.estimated_count, count as u64);
        let seq = ws.write(vec![card(&format!("new-{kind:?}")).create()]).await;
        reader.reach(&mut feed, seq).await;
        reader.agrees(&ws, "after it").await;
        ws.write(vec![card(&format!("new-{kind:?}")).delete()]).await;
    }
}

#[tokio::test]
async fn a_feed_from_the_head_brings_only_what_comes_from_now_on() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let head = some_cards_and_people(&ws).await;
    for kind in KINDS {
        let origin = Origin::Head(pb::FromHead {});
        let mut feed = Feed::start(&ws, kind, origin, None).await.expect("a stream").expect("no reset");
        assert!(feed.position() >= head);
        let seq = ws.write(vec![card("c00").set("title", "new")]).await;
        assert_eq!(feed.until(seq).await.iter().map(|c| c.seq).collect::<Vec<_>>(), [seq]);
    }
}

/// A feed reopened with a wider filter skipped the history of what was new in it.
#[tokio::test]
async fn a_feed_reopened_with_a_wider_filter_brings_what_it_did_not_before() {
    let server = TestServer::with(&[SMALL_CHUNKS]).await;
    let ws = server.workspace("w").await;
    for kind in KINDS {
        let head = some_cards_and_people_again(&ws, kind).await;
        let mut reader = Reader::of(&["people"]);
        let mut feed = reader.open(&ws, kind, Origin::Beginning(pb::FromBeginning {})).await;
        reader.reach(&mut feed, head).await;
        assert!(reader.begun.is_empty(), "nothing is loaded where the whole history is read");
        drop(feed);
        reader.asked = vec!["cards", "people"];
        let mut feed = reader.open(&ws, kind, from_snapshot()).await;
        reader.reach(&mut feed, head).await;
        reader.agrees(&ws, "a wider filter").await;
        assert!(
            reader.entered.iter().all(|id| id.starts_with('c')),
            "people were there: {:?}",
            reader.entered
        );
        assert!(reader.left.is_empty());
        assert!(!reader.begun[0].from_scratch);
        drop(feed);
        reader.asked = vec!["cards"];
        let mut feed = reader.open(&ws, kind, from_snapshot()).await;
        reader.reach(&mut feed, head).await;
        reader.agrees(&ws, "a narrower filter").await;
        assert!(reader.left.iter().all(|id| id.starts_with('p')) && !reader.left.is_empty());
    }
}

async fn some_cards_and_people_again(ws: &Workspace, kind: Kind) -> u64 {
    match kind {
        Kind::Watch => some_cards_and_people(ws).await,
        Kind::Subscribe => ws.head_seq().await,
    }
}

#[tokio::test]
async fn more_names_than_a_cursor_holds_are_loaded_from_scratch() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let head = some_cards_and_people(&ws).await;
    let mut names: Vec<String> = (0..99).map(|n| format!("{n:064}")).collect();
    names.push("cards".to_owned());
    let many: Vec<&str> = names.iter().map(String::as_str).collect();
    let origin = Origin::Beginning(pb::FromBeginning {});
    let opened = Feed::start(&ws, Kind::Watch, origin, only(&many)).await;
    let mut feed = opened.expect("a stream").expect("no reset");
    feed.until(head).await;
    assert!(feed.cursor.selection.len() < 100, "a cursor comes with every frame");
    // The same again goes on, in whatever order; another choice begins anew.
    let mut backwards = many.clone();
    backwards.reverse();
    let again = Feed::filtered(&ws, Kind::Watch, Some(feed.cursor.clone()), only(&backwards)).await;
    assert!(again.cursor.loading.is_empty());
    let mut reader = Reader::of(&["people"]);
    reader.cursor = Some(feed.cursor.clone());
    let mut other = reader.open(&ws, Kind::Watch, from_snapshot()).await;
    reader.reach(&mut other, head).await;
    assert!(reader.begun[0].from_scratch);
    reader.agrees(&ws, "from scratch").await;
}

/// Whatever choices follow each other, cut anywhere and resumed on any server: in the end the client has what it asked
/// for last, as of its position, and never gets what it did not ask for.
pub async fn choices_lead_to_what_was_asked_for_last(servers: &[Workspace], seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let ws = &servers[0];
    let mut script = Script::new(ws, seed);
    for _ in 0..80 {
        script.step(ws).await;
    }
    let mut reader = Reader::of(CHOICES[random.random_range(0..CHOICES.len())]);
    let (mut cuts, mut choices) = (0, 0);
    for _ in 0..30 {
        let server = &servers[random.random_range(0..servers.len())];
        let kind = KINDS[random.random_range(0..2)];
        let origin = match random.random_bool(0.5) {
            true => from_snapshot(),
            false => Origin::Beginning(pb::FromBeginning {}),
        };
        let mut feed = reader.open(server, kind, origin).await;
        for _ in 0..random.random_range(0..12) {
            if random.random_bool(0.4) {
                script.step(server).await;
            }
            if kind == Kind::Subscribe && random.random_bool(0.2) {
                let asked = CHOICES[random.random_range(0..CHOICES.len())];
                reader.choose(&mut feed, asked).await;
                choices += 1;
            }
            // As far as something comes at once.
            let patience = std::time::Duration::from_millis(20);
            let Ok(heard) = tokio::time::timeout(patience, feed.next()).await else { break };
            reader.take(&feed, heard);
        }
        cuts += 1;
        if random.random_bool(0.5) {
            reader.asked = CHOICES[random.random_range(0..CHOICES.len())].to_vec();
            choices += 1;
        }
    }
    let head = ws.head_seq().await;
    for server in servers {
        let mut feed = reader.open(server, Kind::Watch, from_snapshot()).await;
        reader.reach(&mut feed, head).await;
    }
    println!("seed {seed}: {cuts} cuts, {choices} choices, {} loadings", reader.begun.len());
    reader.agrees(ws, &format!("seed {seed}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_choices_follow_each_other_a_client_has_what_it_asked_for_last() {
    for seed in 1..=4 {
        let server = TestServer::with(&[SMALL_CHUNKS, ("feed.recent_changes", "16")]).await;
        let ws = server.workspace("w").await;
        let same = server.existing("w").await;
        choices_lead_to_what_was_asked_for_last(&[ws, same], seed).await;
    }
}

#[tokio::test]
async fn a_loading_that_a_stopping_server_cuts_off_goes_on_after_it_is_back() {
    let mut server = TestServer::with(&[("feed.chunk_records", "3")]).await;
    let ws = server.workspace("w").await;
    let head = some_cards_and_people(&ws).await;
    // On a busy machine the last records may be on their way before the server stops: then it was not cut off.
    let mut cut_off = None;
    for _ in 0..20 {
        let ws = server.existing("w").await;
        let mut reader = Reader::of(&[]);
        let mut feed = reader.open(&ws, Kind::Watch, from_snapshot()).await;
        while reader.entered.is_empty() {
            let heard = feed.next().await;
            reader.take(&feed, heard);
        }
        server.begin_stop();
        loop {
            match feed.next().await {
                Heard::GoAway(pb::GoAwayReason::Draining) => break,
                heard => reader.take(&feed, heard),
            }
        }
        reader.cursor = Some(feed.cursor.clone());
        drop(feed);
        within("a restart", server.restart()).await;
        if reader.loading {
            cut_off = Some(reader);
            break;
        }
    }
    let mut reader = cut_off.expect("a loading that was cut off");
    let ws = server.existing("w").await;
    let had = reader.entered.len();
    let mut feed = reader.open(&ws, Kind::Subscribe, from_snapshot()).await;
    reader.reach(&mut feed, head).await;
    assert!(!reader.begun.last().expect("begun").from_scratch, "it goes on where it was");
    let unique: BTreeSet<_> = reader.entered.iter().collect();
    assert_eq!((unique.len(), reader.entered.len()), (60, 60), "{had} came before, and none of them again");
    reader.agrees(&ws, "after the restart").await;
}

#[tokio::test]
async fn a_paused_feed_does_not_load() {
    let server = TestServer::with(&[("feed.chunk_records", "1")]).await;
    let ws = server.workspace("w").await;
    let head = some_cards_and_people(&ws).await;
    let mut reader = Reader::of(&[]);
    let mut feed = reader.open(&ws, Kind::Subscribe, from_snapshot()).await;
    feed.say(pb::subscribe_request::Message::Pause(pb::FeedPause {})).await;
    // The pause holds from some frame on.
    let mut quiet = false;
    for _ in 0..61 {
        match tokio::time::timeout(std::time::Duration::from_millis(500), feed.next()).await {
            Ok(heard) => reader.take(&feed, heard),
            Err(_) => {
                quiet = true;
                break;
            }
        }
    }
    assert!(quiet && reader.loading, "{} records came in spite of the pause", reader.entered.len());
    feed.say(pb::subscribe_request::Message::Resume(pb::FeedResume {})).await;
    reader.reach(&mut feed, head).await;
    reader.agrees(&ws, "resumed").await;
}
