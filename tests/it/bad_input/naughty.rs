//! Strings that break programs, and every way in which characters join: kept byte for byte by each kind of field, edited and
//! merged as text, compared as sides of a conflict, and refused with words where a name is wanted.

use std::path::Path;

use crate::harness::ops::{card, on};
use crate::harness::receipts::settled;
use crate::harness::workspace::{knowing, latest, register};
use crate::harness::{IntoValue as _, TestServer, Workspace, pb};
use pb::field_state::State;
use pb::receipt::Outcome;

fn strings(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let text = std::fs::read_to_string(path).expect("a list of strings");
    serde_json::from_str(&text).expect("strings")
}

fn all() -> Vec<String> {
    [strings("naughty_strings.json"), strings("grapheme_breaks.json")].concat()
}

fn id(n: usize) -> String {
    format!("c{n}")
}

async fn submit(ws: &Workspace, operations: Vec<pb::Operation>) -> Vec<pb::Receipt> {
    let mut receipts = Vec::new();
    for part in operations.chunks(200) {
        receipts.extend(ws.submit_all(part.to_vec()).await);
    }
    receipts
}

/// A map with the string as its only name and as its value; a name has at most 256 bytes.
fn map_of(text: &str) -> pb::Value {
    let name = if text.len() <= 256 { text } else { "long" };
    let entries = [(name.to_owned(), text.into_value())].into();
    pb::Value { kind: Some(pb::value::Kind::MapValue(pb::MapValue { entries })) }
}

#[tokio::test]
async fn every_string_is_kept_as_it_was_written() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let strings = all();
    assert!(strings.len() > 1_000, "{} strings", strings.len());
    let create = |(n, text): (usize, &String)| {
        let card = card(&id(n));
        latest(vec![
            card.create(),
            card.set("title", text.as_str()),
            card.edit("notes", &[(0, 0, text)]),
            card.add("tags", vec![text.as_str().into_value()]),
        ])
    };
    // An edit without letters is none.
    let written = strings.iter().enumerate().filter(|(_, text)| !text.is_empty());
    for receipt in submit(&ws, written.clone().map(create).collect()).await {
        settled(&receipt);
    }
    for (n, text) in written.clone() {
        let record = ws.record(&id(n)).await;
        assert_eq!(register(&record, "title"), text.as_str().into_value(), "as a value: {text:?}");
        assert_eq!(ws.text(&id(n), "notes").await, *text, "as a text: {text:?}");
        let tags = Some(State::Elements(pb::ElementList { values: vec![text.as_str().into_value()] }));
        assert_eq!(record.fields["tags"].state, tags, "as an element: {text:?}");
    }
    let maps = written.clone().map(|(n, text)| latest(vec![card(&id(n)).set("title", map_of(text))]));
    for receipt in submit(&ws, maps.collect()).await {
        settled(&receipt);
    }
    for (n, text) in written {
        let record = ws.record(&id(n)).await;
        assert_eq!(register(&record, "title"), map_of(text), "as a name in a map: {text:?}");
    }
}

#[tokio::test]
async fn every_string_merges_as_a_text_and_clashes_as_a_value() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    let strings: Vec<String> = all().into_iter().filter(|text| !text.is_empty()).collect();
    let create = |(n, text): (usize, &String)| {
        latest(vec![card(&id(n)).create(), card(&id(n)).edit("notes", &[(0, 0, text)])])
    };
    submit(&ws, strings.iter().enumerate().map(create).collect()).await;
    let (_, context) = ws.read(&id(0)).await;
    let mut edits = Vec::new();
    for (n, text) in strings.iter().enumerate() {
        let end = u32::try_from(text.chars().count()).expect("a short text");
        let other = &strings[(n + 1) % strings.len()];
        let card = card(&id(n));
        edits.push(knowing(
            &context,
            vec![card.edit("notes", &[(0, 0, "<")]), card.set("title", text.as_str())],
        ));
        edits.push(knowing(
            &context,
            vec![card.edit("notes", &[(end, 0, ">")]), card.set("title", other.as_str())],
        ));
    }
    for receipt in submit(&ws, edits).await {
        settled(&receipt);
    }
    for (n, text) in strings.iter().enumerate() {
        assert_eq!(ws.text(&id(n), "notes").await, format!("<{text}>"), "two edits beside it: {text:?}");
    }
    let live = ws.inbox_of_all().await;
    let differ = strings.iter().enumerate().filter(|(n, text)| strings[(n + 1) % strings.len()] != **text);
    assert_eq!(live.len(), differ.count(), "each two values that differ are in conflict");
    // Each text becomes the next one by comparison, whatever their words are.
    let replaced = |(n, _): (usize, &String)| {
        let other = &strings[(n + 1) % strings.len()];
        latest(vec![card(&id(n)).replace("notes", other)])
    };
    for receipt in submit(&ws, strings.iter().enumerate().map(replaced).collect()).await {
        settled(&receipt);
    }
    for n in 0..strings.len() {
        assert_eq!(ws.text(&id(n), "notes").await, strings[(n + 1) % strings.len()]);
    }
}

#[tokio::test]
async fn a_string_that_is_no_name_is_refused_with_words() {
    let server = TestServer::start().await;
    let ws = server.workspace("w").await;
    for text in all() {
        for mutation in [on("cards", &text).create(), on(&text, "c1").create(), card("c1").set(&text, 1_i64)]
        {
            // The whole call is answered; of the operation it is said what is wrong, or it has settled.
            let receipt = ws.submit(latest(vec![mutation])).await;
            match receipt.outcome {
                Some(Outcome::NotSettled(pb::NotSettled { message, .. })) => {
                    assert!(!message.is_empty(), "{text:?}");
                }
                Some(_) => {
                    settled(&receipt);
                }
                None => panic!("{text:?}: {receipt:?}"),
            }
        }
    }
}
