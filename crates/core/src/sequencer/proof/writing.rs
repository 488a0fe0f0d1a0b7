//! Texts through the whole engine: who clashes with whom, decisions, and people typing at one place.

use std::rc::Rc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::client::{Client, text_op};
use super::desk::{RuleFixture, dot, operation};
use super::script::{mutation, resolving};
use super::truth::{Made, Truth};
use super::{Check, ensure};
use crate::causality::{Author, Counter, Extra, ReplicaNo, Seq};
use crate::conflict::{AlternativeState, CloseReason, Conflict, ConflictKind};
use crate::ids::Dot;
use crate::merge::text::{Hunk, Window};
use crate::operation::{Action, Mutation};
use crate::state::{Key, Row};

fn edit(pos: u32, del: u32, ins: &str) -> Mutation {
    let hunks = vec![Hunk { pos, del, ins: ins.to_owned() }];
    mutation("r0", Action::EditText { field: "text".into(), hunks })
}

fn replace(text: &str) -> Mutation {
    mutation("r0", Action::ReplaceText { field: "text".into(), text: text.to_owned() })
}

/// "abcdef" stands since position 2.
fn begin() -> Result<RuleFixture, String> {
    let mut desk = RuleFixture::new()?;
    desk.settle(9, Seq(1), vec![replace("abcdef")])?;
    Ok(desk)
}

fn row(desk: &RuleFixture, conflict: &Conflict) -> Result<Conflict, String> {
    match desk.row(&Key::Conflict(conflict.id)) {
        Some(Row::Conflict(conflict)) => Ok((**conflict).clone()),
        _ => Err("the conflict is gone".to_owned()),
    }
}

/// The four reasons for a clash, and what stands close to them without being one.
pub(super) fn check_reasons() -> Check {
    let cases: [(&str, Mutation, Mutation, bool, &str); 7] = [
        ("c1: both replace", edit(1, 2, "X"), edit(2, 2, "Y"), true, "aXdef"),
        ("c1 not: both delete", edit(1, 2, ""), edit(2, 2, ""), false, "aef"),
        ("c1: a deletion and a replacement", edit(1, 2, ""), edit(2, 2, "Y"), true, "adef"),
        ("c2: around an insertion", edit(3, 0, "X"), edit(1, 4, ""), true, "abcXdef"),
        ("c2 not: beside it", edit(3, 0, "X"), edit(3, 2, ""), false, "abcXf"),
        ("c3: into what is gone", edit(1, 4, ""), edit(3, 0, "Y"), true, "af"),
        ("c3 not: at its edge", edit(1, 4, ""), edit(1, 0, "Y"), false, "aYf"),
    ];
    for (name, first, second, clashes, text) in cases {
        let mut desk = begin()?;
        desk.settle(1, Seq(2), vec![first])?;
        let (_, settlement) = desk.settle(2, Seq(2), vec![second])?;
        ensure!(settlement.conflicts.len() == usize::from(clashes), "{name}: {settlement:?}");
        ensure!(desk.text("r0", "text") == text, "{name}: {}", desk.text("r0", "text"));
        if clashes {
            let conflict = desk.conflict("r0", "text")?;
            ensure!(
                conflict.kind == ConflictKind::TextOverlap && conflict.pairs == [(Seq(3), Seq(4))],
                "{name}: {conflict:?}"
            );
        }
    }
    // c4: an edit of text that was suppressed meanwhile is suppressed as well, while its author still sees that text.
    let mut desk = begin()?;
    desk.settle(1, Seq(2), vec![edit(1, 2, "X")])?;
    desk.settle(2, Seq(2), vec![edit(1, 2, "YY")])?;
    desk.settle(2, Seq(2), vec![edit(2, 0, "y")])?;
    let conflict = desk.conflict("r0", "text")?;
    let suppressed: Vec<_> =
        conflict.alternatives.iter().filter(|a| a.state == AlternativeState::Suppressed).collect();
    let versions: Vec<_> = suppressed.iter().filter_map(|a| a.value.as_ref()?.as_str()).collect();
    ensure!(desk.text("r0", "text") == "aXdef" && versions == ["aYyYdef"], "c4: {conflict:?}");
    desk.settle(2, Seq(3), vec![edit(0, 0, "Z")])?;
    ensure!(desk.text("r0", "text") == "ZaXdef", "after it was seen: {}", desk.text("r0", "text"));
    Ok(())
}

/// A decision closes a text's conflict if its author knew all of it; otherwise what was not seen stays.
pub(super) fn check_decisions() -> Check {
    let mut desk = begin()?;
    desk.settle(1, Seq(2), vec![edit(1, 2, "X")])?;
    desk.settle(2, Seq(2), vec![edit(1, 2, "Y")])?;
    let opened = desk.conflict("r0", "text")?;
    desk.settle(3, Seq(2), vec![edit(2, 2, "W")])?;
    let (_, settlement) = desk.settle(4, Seq(4), vec![resolving(replace("aYdef"), opened.id)])?;
    ensure!(settlement.remaining == [(opened.id, vec![Seq(5)])], "{settlement:?}");
    let left = row(&desk, &opened)?;
    let seqs: Vec<Seq> = left.alternatives.iter().map(|a| a.stamp.seq).collect();
    ensure!(left.status.is_live() && seqs == [5, 6], "left: {left:?}");
    desk.settle(4, Seq(6), vec![resolving(edit(0, 0, "!"), opened.id)])?;
    let closed = row(&desk, &opened)?;
    ensure!(closed.closing.map(|c| c.reason) == Some(CloseReason::Resolved), "{closed:?}");
    ensure!(desk.text("r0", "text") == "!aYdef", "{}", desk.text("r0", "text"));
    // A second decision that raced the first and overlaps it is a conflict again, which names the first.
    desk.settle(5, Seq(6), vec![resolving(replace("aQQdef"), opened.id)])?;
    desk.settle(6, Seq(6), vec![resolving(replace("aRRdef"), opened.id)])?;
    let again = desk.conflict("r0", "text")?;
    ensure!(again.parent == Some(opened.id), "the follower: {again:?}");
    Ok(())
}

struct Typist {
    client: Client,
    run: Vec<char>,
    forward: bool,
    typed: usize,
    queue: Vec<Rc<Made>>,
}

impl Typist {
    /// Types its next character beside what it typed before, or between the brackets.
    fn types(&mut self, truth: &mut Truth) -> Check {
        let place = ("r0".into(), "text".into());
        let shown: Vec<char> = self.client.text(&place)?.chars().collect();
        let at = |c: char| shown.iter().position(|s| *s == c).ok_or_else(|| format!("{c} is not shown"));
        let len = self.run.len();
        let index = if self.forward { self.typed } else { len - 1 - self.typed };
        let pos = match (self.typed, self.forward) {
            (0, _) => at('[')? + 1,
            (_, true) => at(self.run[index - 1])? + 1,
            (_, false) => at(self.run[index + 1])?,
        };
        let made = self.client.write(vec![edit(pos as u32, 0, &self.run[index].to_string())], Vec::new())?;
        truth.add(&made);
        self.queue.push(made);
        self.typed += 1;
        Ok(())
    }
}

/// Invariant 28: two or three people type at one place, forward or backward, the server taking their characters in
/// any order: what each typed stays together. (Typing backward next to what others typed, seen meanwhile, can split
/// a run once; so those who go backward receive nothing while they type.)
pub(super) fn check_runs(seed: u64) -> Check {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut desk = RuleFixture::new()?;
    desk.settle(99, Seq(1), vec![replace("[]")])?;
    let mut truth = Truth::default();
    for change in &desk.server.shelf.changes {
        let (known, vector) = Truth::prefix(&desk.server.shelf, change.seq - 1);
        let operation = operation(change.dot, Seq(0), vec![], vec![]);
        truth.add(&Rc::new(Made {
            dot: change.dot,
            operation,
            known,
            vector,
            own_requests: Default::default(),
            seen_texts: Default::default(),
        }));
    }
    let receives = dice.random_bool(0.5);
    let runs = &["abcd", "wxyz", "1234"][..dice.random_range(2..=3)];
    let mut typists = Vec::new();
    for (number, run) in (1..).zip(runs) {
        let mut client = Client::new(number);
        client.receive(&truth, &desk.server.shelf.changes)?;
        let forward = receives || dice.random_bool(0.5);
        typists.push(Typist { client, run: run.chars().collect(), forward, typed: 0, queue: Vec::new() });
    }
    while typists.iter().any(|t| t.typed < t.run.len() || !t.queue.is_empty()) {
        let who = dice.random_range(0..typists.len());
        let typist = &mut typists[who];
        match dice.random_range(0..10) {
            0..5 if typist.typed < typist.run.len() => typist.types(&mut truth)?,
            5..8 if !typist.queue.is_empty() => {
                desk.settled(&typist.queue.remove(0).operation)?;
            }
            8.. if receives && typist.typed > 0 => {
                let from = typist.client.base_seq.0 as usize;
                let upto = dice.random_range(from..=desk.server.shelf.changes.len());
                typist.client.receive(&truth, &desk.server.shelf.changes[from..upto])?;
            }
            _ => {}
        }
    }
    let text = desk.text("r0", "text");
    let split = runs.iter().find(|run| !text.contains(**run));
    ensure!(split.is_none(), "{split:?} was split: {text}");
    Ok(())
}

/// Authors who know all kinds of operations beyond their base, as a recorded session does: what the engine decides on
/// the part of the history it looks at is what the whole history says.
pub(super) fn check_listed(seed: u64) -> Check {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut desk = RuleFixture::new()?;
    desk.settle(9, Seq(1), vec![replace("the quick brown fox")])?;
    let place = ("r0".into(), "text".into());
    let mut whole = Window::new("", Seq(0));
    whole
        .replay(&text_op(&desk.server.shelf.changes[1], &place).ok_or("no text")?)
        .map_err(|e| e.to_string())?;
    let mut last = [(0, 2); 4];
    for seq in 3..40 {
        let who = dice.random_range(0..last.len());
        let (counter, base_before) = last[who];
        let mut base_seq = dice.random_range(base_before..seq);
        let extras: Vec<Dot> = (0..last.len())
            .filter(|other| *other != who && last[*other].0 > 0 && dice.random_bool(0.4))
            .map(|other| dot(other as u128 + 1, last[other].0))
            .collect();
        let listed = desk.server.shelf.changes.iter().filter(|c| extras.contains(&c.dot));
        base_seq = listed.map(|c| c.author.base_seq).map(|seq| seq.0).fold(base_seq, u64::max);
        last[who] = (counter + 1, base_seq);
        let author = author_of(&desk, who, counter + 1, base_seq, &extras);
        let view_len = whole.view_len(&author);
        let pos = dice.random_range(0..=view_len);
        let del = dice.random_range(0..=3.min(view_len - pos));
        let ins = if del > 0 && dice.random_bool(0.4) { "" } else { "xyz" };
        let edit =
            operation(dot(who as u128 + 1, counter + 1), Seq(base_seq), extras, vec![edit(pos, del, ins)]);
        ensure!(desk.settled(&edit)?.0 == seq, "{edit:?} settled elsewhere");
        let change = desk.server.shelf.change(Seq(seq)).ok_or("no change")?.clone();
        let op = text_op(&change, &place).ok_or("no text")?;
        let hunks: Vec<Hunk> = op.hunks.iter().map(|h| h.hunk.clone()).collect();
        let decided = whole.integrate(&op.author, Seq(seq), &hunks).map_err(|e| e.to_string())?;
        ensure!(decided.hunks == op.hunks, "{change:?}, on the whole history {decided:?}");
        ensure!(desk.text("r0", "text") == whole.text(), "{:?} at {seq}", whole.text());
    }
    Ok(())
}

/// The author of a replica's operation, with the numbers the server gives.
fn author_of(desk: &RuleFixture, who: usize, counter: u64, base_seq: u64, extras: &[Dot]) -> Author {
    let number = |dot: &Dot| match desk.row(&Key::Replica(dot.replica)) {
        Some(Row::Replica(row)) => row.no,
        _ => ReplicaNo(u32::MAX),
    };
    let extras = extras.iter().map(|e| Extra { replica_no: number(e), counter: e.counter }).collect();
    let replica_no = number(&dot(who as u128 + 1, 1));
    Author {
        replica_no,
        counter: Counter(counter),
        base_seq: Seq(base_seq),
        extras,
        own_requests: Vec::new(),
    }
}
