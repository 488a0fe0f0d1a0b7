//! Single cases: validation, effects, the difference of two texts, and the numbers of a clash.

use super::{author, hunk, settled};
use crate::causality::{Author, Counter, Extra, ReplicaNo, Seq};
use crate::merge::text::run::RunText;
use crate::merge::text::{
    CriticalBase, DIFF_WORK_LIMIT, Splice, TextError, TextOp, Window, apply_hunks, apply_splices,
    critical_base, diff, undo_splices, validate_hunks,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

fn inserted(text: &str) -> Splice {
    Splice::Insert(text.to_owned())
}

fn deleted(text: &str) -> Splice {
    Splice::Delete(text.to_owned())
}

#[test]
fn hunks_must_do_something_and_not_touch() {
    assert_eq!(validate_hunks(&[]), Ok(()));
    assert_eq!(validate_hunks(&[hunk(0, 2, ""), hunk(3, 0, "x")]), Ok(()));
    assert_eq!(validate_hunks(&[hunk(0, 1, ""), hunk(4, 0, "")]), Err(TextError::EmptyHunk { index: 1 }));
    for second in [hunk(0, 1, "x"), hunk(1, 1, "x"), hunk(2, 1, "x")] {
        assert_eq!(validate_hunks(&[hunk(0, 2, "y"), second]), Err(TextError::NotSorted { index: 1 }));
    }
    assert_eq!(validate_hunks(&[hunk(3, 0, "x"), hunk(3, 0, "y")]), Err(TextError::NotSorted { index: 1 }));
    assert_eq!(validate_hunks(&[hunk(u32::MAX, 1, "")]), Ok(()), "the bounds say so");
}

#[test]
fn applying_hunks_returns_the_effect_and_counts_characters() {
    let mut text = "añb🦊c".to_owned();
    let effect = apply_hunks(&mut text, &[hunk(1, 1, "n"), hunk(4, 0, "é")]);
    assert_eq!(text, "anb🦊éc");
    let wanted = vec![
        Splice::Retain(1),
        inserted("n"),
        deleted("ñ"),
        Splice::Retain(2),
        inserted("é"),
        Splice::Retain(1),
    ];
    assert_eq!(effect, Ok(wanted));
}

#[test]
fn hunks_beyond_the_text_change_nothing() {
    for bad in [hunk(4, 0, "x"), hunk(2, 2, ""), hunk(9, 1, "x")] {
        let (pos, del) = (bad.pos, bad.del);
        let error = TextError::OutOfBounds { pos, del, view_len: 3 };
        let mut text = "añb".to_owned();
        assert_eq!(apply_hunks(&mut text, std::slice::from_ref(&bad)), Err(error));
        assert_eq!(text, "añb");

        let mut window = Window::new("añb", Seq(4));
        let before = window.characters();
        assert_eq!(window.integrate(&author(1, 1, Seq(4)), Seq(5), &[bad]), Err(error));
        assert_eq!(window.characters(), before);
        assert_eq!((window.last_seq(), window.op_count()), (Seq(4), 0));
    }
    let mut text = "añb".to_owned();
    assert!(apply_hunks(&mut text, &[hunk(3, 0, "x")]).is_ok());
}

#[test]
fn a_refused_operation_leaves_the_window_as_it_was() {
    let mut window = Window::new("abcdef", Seq(10));
    let first = window.integrate(&author(1, 1, Seq(10)), Seq(11), &[hunk(1, 2, "X")]);
    assert!(first.is_ok());
    let before = (window.characters(), window.last_seq(), window.op_count());
    let late = author(2, 1, Seq(10));
    let refused = [
        (11, late.clone(), vec![hunk(0, 1, "")]),
        (10, late.clone(), vec![hunk(0, 1, "")]),
        (12, author(2, 1, Seq(9)), vec![hunk(0, 1, "")]),
        (12, late.clone(), vec![hunk(2, 1, "y"), hunk(3, 9, "")]),
        (12, late.clone(), vec![hunk(2, 1, "y"), hunk(6, 1, "")]),
        (12, late.clone(), vec![hunk(2, 0, "")]),
    ];
    let errors: Vec<TextError> = refused
        .into_iter()
        .map(|(seq, author, hunks)| {
            let none = vec![None; hunks.len()];
            let op = TextOp { author: author.clone(), seq: Seq(seq), hunks: settled(&hunks, &none) };
            let error = window.integrate(&author, Seq(seq), &hunks).expect_err("refused");
            assert_eq!(window.replay(&op), Err(error));
            let after = (window.characters(), window.last_seq(), window.op_count());
            assert_eq!(after, before);
            error
        })
        .collect();
    let wanted = [
        TextError::OutOfOrder { seq: Seq(11), last_seq: Seq(11) },
        TextError::OutOfOrder { seq: Seq(10), last_seq: Seq(11) },
        TextError::StaleBase { base_seq: Seq(9), window_base_seq: Seq(10) },
        TextError::NotSorted { index: 1 },
        TextError::OutOfBounds { pos: 6, del: 1, view_len: 6 },
        TextError::EmptyHunk { index: 0 },
    ];
    assert_eq!(errors, wanted);
    // The same operation within bounds is accepted afterwards.
    assert!(window.integrate(&late, Seq(12), &[hunk(4, 1, "y")]).is_ok());
    assert_eq!(window.text(), "aXdyf");
}

#[test]
fn an_operation_without_hunks_only_counts() {
    let mut window = Window::new("", Seq(0));
    let outcome = window.integrate(&author(1, 1, Seq(0)), Seq(3), &[]).expect("accepted");
    assert_eq!((outcome.splices, window.last_seq()), (vec![], Seq(3)));
    assert_eq!(window.view_len(&author(2, 1, Seq(0))), 0);
}

#[test]
fn a_clash_tells_its_story() {
    let mut window = Window::new("the quick brown fox", Seq(0));
    let replaced = window.integrate(&author(1, 1, Seq(0)), Seq(1), &[hunk(4, 5, "slow")]);
    assert!(replaced.is_ok());
    let hunks = [hunk(0, 3, "A"), hunk(4, 5, "swift"), hunk(16, 3, "dog")];
    let outcome = window.integrate(&author(2, 1, Seq(0)), Seq(2), &hunks).expect("accepted");
    assert_eq!(window.text(), "A slow brown dog");
    assert_eq!(outcome.hunks, settled(&hunks, &[None, Some(Seq(1)), None]));
    let [clash] = outcome.clashes.as_slice() else {
        panic!("one clash, not {:?}", outcome.clashes);
    };
    assert_eq!(clash.hunk_index, 1);
    assert_eq!(clash.partners, [1]);
    // "slow" of "A slow brown dog": what the two replacements share.
    assert_eq!(clash.region, 2..6);
    assert_eq!(window.version(&author(2, 2, Seq(0)), 2..6), "swift");
    assert_eq!(window.version(&author(2, 2, Seq(1)), 2..6), "slow");
    assert_eq!(window.version(&author(3, 1, Seq(0)), 2..6), "quick");
    let writers = window.writers(&author(2, 2, Seq(0)), 2..6);
    assert_eq!(writers.iter().map(|(stamp, _)| stamp.seq).collect::<Vec<_>>(), [1]);

    // Its author goes on seeing it, and only it, until the other operation arrives.
    assert_eq!(window.view(&author(2, 2, Seq(0))), "A swift brown dog");
    assert_eq!(window.view(&author(2, 2, Seq(1))), "A slow brown dog");
    // What is written into the suppressed text meanwhile is suppressed with it.
    let into = window.integrate(&author(2, 2, Seq(0)), Seq(3), &[hunk(7, 0, "!")]).expect("accepted");
    assert_eq!(into.hunks[0].suppressed_by, Some(Seq(1)));
    assert_eq!(into.splices, [Splice::Retain(16)]);
}

/// Whatever is typed into a text that somebody replaced meanwhile belongs to one version, letter by letter.
#[test]
fn typing_into_a_replaced_text_makes_one_version() {
    let mut window = Window::new("Intro. The old one stands here. End.", Seq(0));
    assert!(window.integrate(&author(1, 1, Seq(0)), Seq(1), &[hunk(7, 24, "All new.")]).is_ok());
    let mut region = 0..0;
    for (n, letter) in (0..).zip(" of us".chars()) {
        let me = author(2, u64::from(n) + 1, Seq(0));
        let hunks = [hunk(18 + n, 0, &letter.to_string())];
        let outcome = window.integrate(&me, Seq(u64::from(n) + 2), &hunks).expect("accepted");
        region = outcome.clashes[0].region.clone();
        assert_eq!(region, 7..15);
    }
    assert_eq!(window.text(), "Intro. All new. End.");
    let version = window.version(&author(2, 7, Seq(0)), region);
    assert_eq!(version, "The old one of us stands here.");
}

/// Text inserted at a region's edge does not separate the region from what is suppressed there.
#[test]
fn suppressed_text_is_found_behind_what_was_inserted_at_an_edge() {
    for (replacement, knew, inserted, after, apart, together) in
        [("", 0, "new", "one new three", 7..7, 4..7), ("TWO", 2, " new", "one TWO new three", 4..7, 4..11)]
    {
        let mut window = Window::new("one two three", Seq(0));
        assert!(window.integrate(&author(1, 1, Seq(0)), Seq(1), &[hunk(4, 3, replacement)]).is_ok());
        assert!(window.integrate(&author(2, 1, Seq(0)), Seq(2), &[hunk(4, 3, "zwei")]).is_ok());
        assert!(window.integrate(&author(3, 1, Seq(knew)), Seq(3), &[hunk(7, 0, inserted)]).is_ok());
        assert_eq!(window.text(), after);
        let me = author(2, 2, Seq(0));
        assert_eq!(window.with_suppressed(&me, apart.clone(), Seq(2)), together);
        assert!(!window.version(&me, apart.clone()).contains("zwei"));
        assert!(window.version(&me, together).contains("zwei"));
        // What was there before does separate them, and nobody else sees the word.
        assert_eq!(window.with_suppressed(&me, apart.clone(), Seq(3)), apart);
        assert_eq!(window.with_suppressed(&author(3, 2, Seq(3)), apart.clone(), Seq(2)), apart);
    }
}

#[test]
fn deletions_of_the_same_text_agree() {
    let mut window = Window::new("abcdef", Seq(0));
    assert!(window.integrate(&author(1, 1, Seq(0)), Seq(1), &[hunk(1, 3, "")]).is_ok());
    let outcome = window.integrate(&author(2, 1, Seq(0)), Seq(2), &[hunk(2, 3, "")]);
    let outcome = outcome.expect("accepted");
    assert!(outcome.clashes.is_empty());
    assert_eq!(outcome.splices, [Splice::Retain(1), deleted("e"), Splice::Retain(1)]);
    assert_eq!(window.text(), "af");
}

/// The server writes under one replica for many callers, so having written earlier gives it no knowledge.
#[test]
fn operations_of_the_server_replica_do_not_know_each_other() {
    let mut window = Window::new("ab", Seq(0));
    assert!(window.integrate(&author(0, 1, Seq(0)), Seq(1), &[hunk(1, 0, "x")]).is_ok());
    assert_eq!(window.view(&author(0, 2, Seq(0))), "ab");
    assert_eq!(window.view(&author(0, 2, Seq(1))), "axb");
    let extra = Author {
        extras: vec![Extra { replica_no: ReplicaNo::SERVER, counter: Counter::FIRST }],
        ..author(3, 1, Seq(0))
    };
    assert_eq!(window.view(&extra), "axb");
}

#[test]
fn effects_apply_and_undo_on_their_own_text_only() {
    let effect = [Splice::Retain(1), deleted("ñ"), inserted("n"), Splice::Retain(1)];
    assert_eq!(apply_splices("año", &effect), Ok("ano".to_owned()));
    assert_eq!(undo_splices("ano", &effect), Ok("año".to_owned()));
    let content = TextError::SpliceContent { index: 1 };
    assert_eq!(apply_splices("ano", &effect), Err(content));
    let content = TextError::SpliceContent { index: 2 };
    assert_eq!(undo_splices("año", &effect), Err(content));
    let length = |index| Err(TextError::SpliceLength { index });
    assert_eq!(apply_splices("añ", &effect), length(3));
    assert_eq!(apply_splices("años", &effect), length(4));
    assert_eq!(undo_splices("anos", &effect), length(4));
    assert_eq!(apply_splices("", &effect), length(0));
    assert_eq!(apply_splices("x", &[]), length(0));
    assert_eq!(apply_splices("", &[]), Ok(String::new()));
}

#[test]
fn the_critical_base_is_found_without_reading_more_than_needed() {
    // Operation 9 was made at 5, operation 6 at 3, operation 4 at 1 lies before that: 4 > 3, so it counts.
    let pair = |(seq, base)| (Seq(seq), Seq(base));
    let log = [(9, 5), (8, 7), (6, 3), (4, 1), (2, 1), (1, 0)].map(pair);
    let mut taken = 0;
    let settled = log.iter().copied().inspect(|_| taken += 1);
    assert_eq!(critical_base(Seq(8), settled), 1);
    assert_eq!(taken, 6);
    assert_eq!(critical_base(Seq(9), log), 9);
    assert_eq!(critical_base(Seq(8), [(9, 8), (8, 2)].map(pair)), 8);
    assert_eq!(critical_base(Seq(4), []), 4);

    let mut critical = CriticalBase::new(Seq(8));
    assert!(critical.offer(Seq(9), Seq(7)));
    assert!(critical.offer(Seq(8), Seq(7)));
    assert!(!critical.offer(Seq(7), Seq(0)));
    assert_eq!(critical.seq(), 7);
}

#[test]
fn a_difference_leads_from_one_text_to_the_other() {
    let mut rng = StdRng::seed_from_u64(7);
    for _ in 0..600 {
        let letters = rng.random_range(1..6);
        let mut text = |max: usize| -> String {
            let len = rng.random_range(0..=max);
            (0..len).map(|_| ['a', 'é', '🦊', 'b', 'c'][rng.random_range(0..letters.min(5))]).collect()
        };
        let (old, new) = (text(30), text(30));
        let hunks = diff(&old, &new);
        assert_eq!(validate_hunks(&hunks), Ok(()), "{old:?} {new:?}");
        let mut text = old.clone();
        let effect = apply_hunks(&mut text, &hunks).expect("fits");
        assert_eq!(text, new);
        assert_eq!(apply_splices(&old, &effect), Ok(new.clone()));
        assert_eq!(undo_splices(&new, &effect), Ok(old));
    }
}

#[test]
fn a_difference_is_small_where_the_change_is() {
    assert_eq!(diff("same", "same"), []);
    assert_eq!(diff("", "new"), [hunk(0, 0, "new")]);
    assert_eq!(diff("old", ""), [hunk(0, 3, "")]);
    assert_eq!(diff("one two", "one and two"), [hunk(4, 0, "and ")]);
    assert_eq!(diff("ship on Monday", "ship on Tuesday"), [hunk(8, 6, "Tuesday")]);
    assert_eq!(diff("ship on Monday", "ship in March"), [hunk(5, 9, "in March")]);
    let both = [hunk(0, 3, "A"), hunk(18, 6, "Friday")];
    assert_eq!(diff("The meeting is on Monday at ten.", "A meeting is on Friday at ten."), both);
    // Within a word, only what was inserted, or deleted.
    assert_eq!(diff("a wrd here", "a word here"), [hunk(3, 0, "o")]);
    assert_eq!(diff("a woord here", "a word here"), [hunk(4, 1, "")]);
    assert_eq!(diff("go", "the go now"), [hunk(0, 0, "the "), hunk(2, 0, " now")]);
    assert_eq!(diff("漢字", "漢語"), [hunk(1, 1, "語")]);
    // Beyond the bound on work the differing middle is one hunk.
    let side = usize::try_from(DIFF_WORK_LIMIT.isqrt()).expect("small") + 2;
    let (old, new) = (format!("a{}b", "-".repeat(side)), format!("c{}d", "-".repeat(side)));
    let length = u32::try_from(side).expect("small") + 2;
    assert_eq!(diff(&old, &new), [hunk(0, length, &new)]);
}

#[test]
fn slices_of_a_run_are_found_by_character() {
    for letters in ["abc", "aé漢🎈"] {
        let text: String = letters.chars().cycle().take(1000).collect();
        let chars: Vec<char> = text.chars().collect();
        let run = RunText::new(text.clone());
        assert_eq!(run.char_len(), 1000);
        for (start, len) in [(0, 1000), (0, 0), (127, 2), (128, 128), (255, 258), (999, 1), (1000, 0)] {
            let wanted: String = chars[start..start + len].iter().collect();
            assert_eq!(run.slice(start as u32, len as u32), wanted);
        }
    }
}

/// Neither typing forward nor backward for long makes the window recurse or slow down beyond reason.
#[test]
fn long_chains_do_not_exhaust_the_stack() {
    for backward in [false, true] {
        let mut window = Window::new("[]", Seq(0));
        for n in 0..1000u32 {
            let pos = if backward { 1 } else { 1 + n };
            let me = author(1, u64::from(n) + 1, Seq(0));
            let seq = u64::from(n) + 1;
            assert!(window.integrate(&me, Seq(seq), &[hunk(pos, 0, "x")]).is_ok());
        }
        let other = window.integrate(&author(2, 1, Seq(0)), Seq(2000), &[hunk(1, 0, "y")]);
        assert!(other.is_ok_and(|outcome| outcome.clashes.is_empty()));
        assert_eq!(window.text().len(), 1003);
    }
}
