//! Conflicts of texts: regions, versions, and decisions that touch nothing else.

use super::*;
use crate::harness::TestServer;
use crate::harness::receipts::settled;

type Hunks<'h> = &'h [(u32, u32, &'h str)];

/// A text that Ada and Bob change without knowing of each other.
struct Case {
    name: &'static str,
    base: &'static str,
    ada: Hunks<'static>,
    bob: Hunks<'static>,
    /// The text until somebody decides, with the region in brackets.
    shown: &'static str,
    /// Ada's version of the region, Bob's, and what both started from.
    versions: [&'static str; 3],
}

/// What went wrong in practice, each once.
const CASES: [Case; 14] = [
    Case {
        name: "both replace a word",
        base: "Hello world",
        ada: &[(6, 5, "Ada")],
        bob: &[(6, 5, "Grace")],
        shown: "Hello [Ada]",
        versions: ["Ada", "Grace", "world"],
    },
    Case {
        name: "one of two hunks overlaps",
        base: "see the sea",
        ada: &[(0, 3, "SEE"), (8, 3, "lake")],
        bob: &[(8, 3, "ocean")],
        shown: "SEE the [lake]",
        versions: ["lake", "ocean", "sea"],
    },
    Case {
        name: "an equal text stands beside it",
        base: "one [x] two three",
        ada: &[(0, 3, "[x] "), (8, 3, "2")],
        bob: &[(8, 3, "TWO")],
        shown: "[x]  [x] [2] three",
        versions: ["2", "TWO", "two"],
    },
    Case {
        name: "an equal text stands beside what is deleted",
        base: "one [x] two three",
        ada: &[(0, 3, "[x] "), (8, 3, "")],
        bob: &[(8, 3, "TWO")],
        shown: "[x]  [x] [] three",
        versions: ["", "TWO", "two"],
    },
    Case {
        name: "the winner deleted more than was replaced",
        base: "keep this old sentence here",
        ada: &[(0, 4, "Keep"), (9, 14, "")],
        bob: &[(13, 8, "new phrase")],
        shown: "Keep this[]here",
        versions: ["", " oldnew phrasee ", " old sentence "],
    },
    Case {
        name: "a check list",
        base: "- [ ] milk\n- [ ] eggs\n- [ ] bread\n",
        ada: &[(3, 1, "x"), (22, 12, "")],
        bob: &[(28, 5, "rolls")],
        shown: "- [x] milk\n- [ ] eggs\n[]",
        versions: ["", "- [ ] rolls\n", "- [ ] bread\n"],
    },
    Case {
        name: "an insertion into what is replaced whole",
        base: "Hello world",
        ada: &[(6, 0, "big ")],
        bob: &[(0, 11, "Bye")],
        shown: "[Hello big world]",
        versions: ["Hello big world", "Bye", "Hello world"],
    },
    Case {
        name: "an insertion into what is deleted whole",
        base: "Hello world",
        ada: &[(6, 0, "big ")],
        bob: &[(0, 11, "")],
        shown: "[Hello big world]",
        versions: ["Hello big world", "", "Hello world"],
    },
    Case {
        name: "a word mended in a paragraph that is gone",
        base: "one two three. rest",
        ada: &[(0, 14, "")],
        bob: &[(4, 3, "2")],
        shown: "[] rest",
        versions: ["", "one 2 three.", "one two three."],
    },
    Case {
        name: "an insertion where everything is gone",
        base: "one two three",
        ada: &[(0, 13, "")],
        bob: &[(3, 0, " and")],
        shown: "[]",
        versions: ["", "one and two three", "one two three"],
    },
    Case {
        name: "a replacement and a deletion",
        base: "Hello world",
        ada: &[(6, 5, "Ada")],
        bob: &[(6, 5, "")],
        shown: "Hello [Ada]",
        versions: ["Ada", "", "world"],
    },
    Case {
        name: "a part replaced, and the whole",
        base: "Hello world",
        ada: &[(6, 5, "Ada")],
        bob: &[(0, 11, "Bye")],
        shown: "[Hello Ada]",
        versions: ["Hello Ada", "Bye", "Hello world"],
    },
    Case {
        name: "the same letter beside it",
        base: "aXa",
        ada: &[(1, 1, "a")],
        bob: &[(1, 1, "b")],
        shown: "[aaa]",
        versions: ["aaa", "aba", "aXa"],
    },
    Case {
        name: "characters beyond the first plane",
        base: "🦊 likes 🍇🍇",
        ada: &[(2, 5, "eats")],
        bob: &[(2, 5, "hates"), (8, 1, "")],
        shown: "🦊 [eats] 🍇",
        versions: ["eats", "hates", "likes"],
    },
];

async fn clash(ws: &Workspace, case: &Case) -> Clash {
    let base = ws.write(vec![card("c1").create(), card("c1").replace("notes", case.base)]).await;
    Clash::of(ws, base, card("c1").edit("notes", case.ada), card("c1").edit("notes", case.bob)).await
}

/// The text around a conflict's region, checked to be what the region says it is.
async fn around(ws: &Workspace, read: &pb::GetConflictResponse) -> (String, String) {
    let region = read.region.clone().expect("a region");
    let text: Vec<char> = ws.text("c1", "notes").await.chars().collect();
    let (start, end) = (region.position as usize, (region.position + region.length) as usize);
    let part = |from: usize, to: usize| text[from..to].iter().collect::<String>();
    assert_eq!(region.shown, part(start, end));
    assert!(part(0, start).ends_with(&region.before) && part(end, text.len()).starts_with(&region.after));
    (part(0, start), part(end, text.len()))
}

fn version(read: &pb::GetConflictResponse, seq: u64) -> pb::Value {
    let side = read.alternatives.iter().find(|side| side.seq == seq);
    side.and_then(|side| side.value.clone()).unwrap_or_else(|| panic!("no side at {seq}: {read:?}"))
}

#[tokio::test]
async fn every_decision_puts_the_whole_version_in_the_place_of_the_region_and_touches_nothing_else() {
    let server = TestServer::start().await;
    for (index, case) in CASES.iter().enumerate() {
        for choice in 0..4 {
            let ws = server.workspace(&format!("w-{index}-{choice}")).await;
            let clash = clash(&ws, case).await;
            let read = ws.conflict(&clash.id).await;
            let (before, after) = around(&ws, &read).await;
            let shown = read.region.as_ref().map(|region| region.shown.clone()).expect("a region");
            assert_eq!(format!("{before}[{shown}]{after}"), case.shown, "{}", case.name);
            let [ada, bob, base] = case.versions;
            assert_eq!(version(&read, clash.first), ada.into_value(), "{}", case.name);
            assert_eq!(version(&read, clash.second), bob.into_value(), "{}", case.name);
            assert_eq!(read.base_value, Some(base.into_value()), "{}", case.name);
            let (decision, chosen) = match choice {
                0 => (Decision::AlternativeSeq(clash.first), ada),
                1 => (Decision::AlternativeSeq(clash.second), bob),
                2 => (Decision::UseBase(pb::UseBase {}), base),
                _ => (Decision::Text("something else".to_owned()), "something else"),
            };
            decide(&ws, &clash.id, decision).await;
            assert_eq!(ws.text("c1", "notes").await, format!("{before}{chosen}{after}"), "{}", case.name);
            assert!(ws.inbox().await.is_empty());
        }
    }
}

/// Letter by letter, a sentence is one version, however long it takes; a decision takes all of it.
#[tokio::test]
async fn a_sentence_typed_into_a_replaced_paragraph_is_one_version() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let text = "Intro.\nThe old paragraph stands here.\nEnd.";
    let base = ws.write(vec![card("c1").create(), card("c1").replace("notes", text)]).await;
    let (mut ada, mut bob) = authors(&ws, base);
    let first = applied(&ws.submit(ada.op(vec![card("c1").edit("notes", &[(7, 30, "All new.")])])).await);
    let mut ids = Vec::new();
    let mut last = 0;
    for (index, letter) in (0..).zip(" and we agreed to ship".chars()) {
        let typed = bob.op(vec![card("c1").edit("notes", &[(24 + index, 0, &letter.to_string())])]);
        let (seq, named) = conflicted(&ws.submit(typed).await);
        ids.extend(named);
        last = seq;
    }
    ids.dedup();
    let [id] = &ids[..] else { panic!("one conflict, not {ids:?}") };
    let read = ws.conflict(id).await;
    let sides: Vec<(u64, pb::Value)> =
        read.alternatives.iter().map(|side| (side.seq, version(&read, side.seq))).collect();
    let by_bob = "The old paragraph and we agreed to ship stands here.";
    assert_eq!(sides, [(first, "All new.".into_value()), (last, by_bob.into_value())]);
    let kinds: Vec<_> = read.events.iter().map(pb::ConflictEvent::kind).collect();
    let (opened, changed) = (pb::ConflictEventKind::Opened, pb::ConflictEventKind::Changed);
    assert_eq!(kinds, [opened, changed], "going on typing is one event");
    decide(&ws, id, Decision::AlternativeSeq(last)).await;
    assert_eq!(ws.text("c1", "notes").await, format!("Intro.\n{by_bob}\nEnd."));
}

/// Taking a word out and writing another one is one version, however many operations it takes.
#[tokio::test]
async fn whoever_takes_a_word_out_and_writes_another_is_one_side() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create(), card("c1").replace("notes", "The red car")]).await;
    let (mut ada, mut bob) = authors(&ws, base);
    applied(&ws.submit(ada.op(vec![card("c1").edit("notes", &[(4, 3, "blue")])])).await);
    let mut seq = 0;
    for hunk in [(4, 3, ""), (4, 0, "g"), (5, 0, "rey")] {
        seq = conflicted(&ws.submit(bob.op(vec![card("c1").edit("notes", &[hunk])])).await).0;
    }
    assert_eq!(ws.text("c1", "notes").await, "The blue car");
    let [conflict] = &ws.inbox().await[..] else { panic!("one conflict") };
    let read = ws.conflict(&conflict.conflict_id).await;
    let offered: Vec<pb::Value> = read.alternatives.iter().filter_map(|side| side.value.clone()).collect();
    assert_eq!(offered, ["blue".into_value(), "grey".into_value()]);
    decide(&ws, &conflict.conflict_id, Decision::AlternativeSeq(seq)).await;
    assert_eq!(ws.text("c1", "notes").await, "The grey car");
}

/// An operation with one hunk that clashes and one beside it that does not is one side of the conflict all the same.
#[tokio::test]
async fn an_operation_is_one_side_of_a_conflict() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create(), card("c1").replace("notes", "go, ab now")]).await;
    let (mut ada, mut bob) = authors(&ws, base);
    applied(&ws.submit(ada.op(vec![card("c1").edit("notes", &[(4, 2, "NEW")])])).await);
    conflicted(&ws.submit(bob.op(vec![card("c1").edit("notes", &[(5, 0, "mid")])])).await);
    let hunks = [(2, 0, "hey"), (7, 2, "qq")];
    let (seq, ids) = conflicted(&ws.submit(bob.op(vec![card("c1").edit("notes", &hunks)])).await);
    let read = ws.conflict(&ids[0]).await;
    let mut seqs: Vec<u64> = read.alternatives.iter().map(|side| side.seq).collect();
    seqs.dedup();
    assert_eq!(seqs.len(), read.alternatives.len(), "{read:?}");
    assert_eq!(seqs.iter().filter(|own| **own == seq).count(), 1);
}

/// What others wrote around the region meanwhile stays as it is, wherever that moved the region.
#[tokio::test]
async fn a_decision_finds_its_region_where_it_is_by_now() {
    let server = TestServer::start().await;
    for with_context in [true, false] {
        let ws = server.workspace(if with_context { "with" } else { "without" }).await;
        let clash = Clash::text(&ws).await;
        let read = ws.conflict(&clash.id).await;
        let (mut cem, _) = authors(&ws, ws.head_seq().await);
        let around = [(0, 0, "He said: "), (12, 0, " P.S. call me")];
        applied(&ws.submit(cem.op(vec![card("c1").edit("notes", &around)])).await);
        assert_eq!(ws.text("c1", "notes").await, "He said: hello earth! P.S. call me");
        let revision = read.conflict.expect("a summary").revision;
        let context = read.context.filter(|_| with_context);
        let decision = Decision::AlternativeSeq(clash.second);
        let decided = send(&ws, resolution(&ws, &clash.id, revision, decision, context)).await;
        let decided = decided.expect("a decision").conflict.expect("the conflict");
        assert_eq!(decided.status(), pb::ConflictStatus::Resolved);
        assert_eq!(ws.text("c1", "notes").await, "He said: hello moon! P.S. call me");
    }
}

/// Whoever decides has not seen it: it stays in the text and in the conflict, with the decision beside it.
#[tokio::test]
async fn what_came_into_the_region_unseen_stays_in_the_conflict() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let mut clash = Clash::text(&ws).await;
    let seen = ws.conflict(&clash.id).await;
    let more = clash.ada.op(vec![card("c1").edit("notes", &[(11, 0, "lings")])]);
    let third = settled(&ws.submit(more).await);
    let decision = card("c1").decide("notes", pb::decide_text::Choice::AlternativeSeq(clash.second));
    let decision = crate::harness::ops::resolving(decision, &clash.id);
    let (mut carol, _) = authors(&ws, seen.context.expect("a context").base_seq);
    let receipt = ws.submit(carol.op(vec![decision])).await;
    let fourth = settled(&receipt);
    assert_eq!(receipt.remaining.len(), 1);
    assert_eq!(receipt.remaining[0].unseen_seqs, [third]);
    let read = ws.conflict(&clash.id).await;
    let sides: Vec<(u64, pb::Value)> =
        read.alternatives.iter().map(|side| (side.seq, version(&read, side.seq))).collect();
    let moon = || "moon".into_value();
    assert_eq!(sides, [(third, "earthlings".into_value()), (clash.second, moon()), (fourth, moon())]);
    assert_eq!(ws.text("c1", "notes").await, "hello earthlings!");
}

/// Two places of one text are two conflicts; when edits reach from one to the other, they become the older one.
#[tokio::test]
async fn regions_are_conflicts_of_their_own_until_they_meet() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base =
        ws.write(vec![card("c1").create(), card("c1").replace("notes", "one two three four five")]).await;
    let (mut ada, mut bob) = authors(&ws, base);
    applied(&ws.submit(ada.op(vec![card("c1").edit("notes", &[(0, 3, "1"), (19, 4, "5")])])).await);
    let by_bob = bob.op(vec![card("c1").edit("notes", &[(0, 3, "uno"), (19, 4, "cinque")])]);
    let (_, ids) = conflicted(&ws.submit(by_bob).await);
    assert_eq!(ids.len(), 2);
    let (mut cem, _) = authors(&ws, base);
    let (seq, named) =
        conflicted(&ws.submit(cem.op(vec![card("c1").edit("notes", &[(0, 23, "all")])])).await);
    let oldest = ids.iter().min().expect("two").clone();
    assert_eq!(named, std::slice::from_ref(&oldest));
    let merged = ids.iter().max().expect("two").clone();
    assert_eq!(ws.summary(&merged).await.close_reason(), pb::CloseReason::Merged);
    let again = pb::ReopenConflictRequest {
        workspace_id: ws.id.clone(),
        conflict_id: merged,
        request_id: request_id(),
        actor: "carol".to_owned(),
    };
    let refused = within("ReopenConflict", ws.clients.conflicts().reopen_conflict(again)).await;
    assert!(refused.is_err_and(|status| status.message().contains("older conflict")));
    let read = ws.conflict(&oldest).await;
    let offered: Vec<pb::Value> = read.alternatives.iter().filter_map(|side| side.value.clone()).collect();
    let expected = ["1 two three four 5", "uno two three four cinque", "all"].map(|text| text.into_value());
    assert_eq!(offered, expected);
    decide(&ws, &oldest, Decision::AlternativeSeq(seq)).await;
    assert_eq!(ws.text("c1", "notes").await, "all");
}

#[tokio::test]
async fn a_decision_can_be_taken_back_and_made_again() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let clash = Clash::text(&ws).await;
    decide(&ws, &clash.id, Decision::AlternativeSeq(clash.first)).await;
    let (mut cem, _) = authors(&ws, ws.head_seq().await);
    applied(&ws.submit(cem.op(vec![card("c1").edit("notes", &[(0, 0, "Well, ")])])).await);
    let request = pb::ReopenConflictRequest {
        workspace_id: ws.id.clone(),
        conflict_id: clash.id.clone(),
        request_id: request_id(),
        actor: "carol".to_owned(),
    };
    let reopened = within("ReopenConflict", ws.clients.conflicts().reopen_conflict(request)).await;
    assert!(reopened.is_ok(), "{reopened:?}");
    decide(&ws, &clash.id, Decision::AlternativeSeq(clash.second)).await;
    assert_eq!(ws.text("c1", "notes").await, "Well, hello moon!");
}

/// Two people who write the same have nothing to decide.
#[tokio::test]
async fn the_same_words_are_no_conflict() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let base = ws.write(vec![card("c1").create(), card("c1").replace("notes", "Hello wrold")]).await;
    let (mut ada, mut bob) = authors(&ws, base);
    applied(&ws.submit(ada.op(vec![card("c1").replace("notes", "Hello world")])).await);
    let receipt = ws.submit(bob.op(vec![card("c1").replace("notes", "Hello world")])).await;
    settled(&receipt);
    assert!(ws.inbox().await.is_empty());
    assert_eq!(ws.text("c1", "notes").await, "Hello world");
}
