//! Seeded sessions as vectors that clients in other languages run: `clients/vectors/text.json`.
//!
//! `UPDATE_VECTORS=1 cargo test -p syncline-core vectors` writes the file; without it the test checks that it is up to date.

use super::session::{Logged, Server, random_session};
use super::{Hunk, Splice, Window};
use crate::merge::text::diff;
use serde_json::{Value, json};
use std::path::PathBuf;

const SESSIONS: u64 = 48;
const SESSIONS_WITH_EXTRAS: u64 = 16;

/// Texts whose comparison must be the same everywhere: there is one shortest way by words from one to the other.
const COMPARED: [(&str, &str); 25] = [
    ("", ""),
    ("", "a🦊"),
    ("a🦊", ""),
    ("same", "same"),
    ("one two", "one and two"),
    ("one and two", "one two"),
    ("aXc", "aYc"),
    ("é漢🎈", "é🎈"),
    ("ship on Monday", "ship on Tuesday"),
    ("ship on Monday", "ship in March"),
    ("The meeting is on Monday at ten.", "A meeting is on Friday at ten."),
    ("a wrd here", "a word here"),
    ("a woord here", "a word here"),
    ("go", "the go now"),
    ("the go now", "go"),
    ("漢字", "漢語"),
    ("don't stop", "don’t stop"),
    ("3.14 or 2,5", "3.15 or 2,5"),
    ("line one\nline two\n", "line one\nline 2\n"),
    ("👩\u{200D}👩\u{200D}👧 here", "👩\u{200D}👩\u{200D}👦 here"),
    ("cafe\u{301} noir", "cafe noir"),
    ("aa", "aaa"),
    ("one two three", "three two one"),
    ("a  b", "a b"),
    ("Привет, мир", "Привет, мiр"),
];

fn hunks(hunks: &[Hunk]) -> Value {
    hunks.iter().map(|h| json!([h.pos, h.del, h.ins])).collect()
}

fn splices(splices: &[Splice]) -> Value {
    let splice = |splice: &Splice| match splice {
        Splice::Retain(count) => json!({ "retain": count }),
        Splice::Insert(text) => json!({ "insert": text }),
        Splice::Delete(text) => json!({ "delete": text }),
    };
    splices.iter().map(splice).collect()
}

fn operation(server: &Server<Window>, logged: &Logged) -> Value {
    let author = &logged.edit.author;
    let extras: Vec<Value> = author.extras.iter().map(|e| json!([e.replica_no.0, e.counter.0])).collect();
    json!({
        "replica": author.replica_no.0,
        "counter": author.counter.0,
        "base_seq": author.base_seq,
        "extras": extras,
        "seq": logged.op.seq,
        "view": logged.edit.seen,
        "hunks": hunks(&logged.edit.hunks),
        "suppressed_by": logged.decision.suppressed_by,
        "splices": splices(logged.decision.splices.as_deref().unwrap_or_default()),
        "text": server.texts[usize::try_from(logged.op.seq.0).expect("a small log")],
    })
}

fn session(seed: u64, with_extras: bool) -> Value {
    let (server, _) = random_session::<Window>(seed, with_extras).expect("a session that keeps its promises");
    let operations: Vec<Value> = server.log.iter().map(|logged| operation(&server, logged)).collect();
    json!({
        "seed": seed,
        "with_extras": with_extras,
        "base_text": server.base_text,
        "operations": operations,
    })
}

/// One session or comparison a line, so that a change shows where it is.
fn lines(name: &str, items: &[Value]) -> String {
    let items: Vec<String> = items.iter().map(Value::to_string).collect();
    format!("\"{name}\": [\n{}\n]", items.join(",\n"))
}

fn vectors() -> String {
    let plain = (0..SESSIONS).map(|seed| session(seed, false));
    let with_extras = (0..SESSIONS_WITH_EXTRAS).map(|seed| session(seed, true));
    let sessions: Vec<Value> = plain.chain(with_extras).collect();
    let pairs = COMPARED.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned()));
    let strings = ["naughty_strings.json", "grapheme_breaks.json"].map(strings).concat();
    // Of each two that follow each other, one is the start and the other what it becomes.
    let odd = strings.chunks_exact(2).map(|pair| (format!("a {} b", pair[0]), format!("a {} b", pair[1])));
    let compared = pairs
        .chain(odd)
        .map(|(old, new)| json!({ "old": old, "new": new, "hunks": hunks(&diff(&old, &new)) }));
    let compared: Vec<Value> = compared.collect();
    format!("{{\n{},\n{}\n}}\n", lines("sessions", &sessions), lines("diffs", &compared))
}

/// Strings that break programs, and those of Unicode's test of grapheme breaks.
fn strings(name: &str) -> Vec<String> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "tests", "data", name].iter().collect();
    let text = std::fs::read_to_string(path).expect("a list of strings");
    serde_json::from_str(&text).expect("strings")
}

#[test]
fn the_vectors_of_clients_are_up_to_date() {
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "..", "clients", "vectors", "text.json"].iter().collect();
    let now = vectors();
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder of the vectors");
        std::fs::write(&path, &now).expect("writing the vectors");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == now,
        "clients/vectors/text.json is out of date: UPDATE_VECTORS=1 cargo test -p syncline-core vectors"
    );
}
