//! The bytes of every message, as databases hold them: `golden.txt`.
//!
//! They say what the format is. When a message gets a further field, the old lines stay as they are (what is stored
//! already has to be read) and the new field goes into a sample of its own. `UPDATE_GOLDEN=1 cargo test --lib golden`
//! writes the file anew; that is for a sample that is added, never for one that has changed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::samples;
use crate::store::stored::{
    decode_change, decode_connection, decode_row, encode_change, encode_connection, encode_row,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |at: usize| text.get(at..at + 2).expect("two digits to a byte");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(digits(at), 16).expect("a byte")).collect()
}

fn path() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "src", "store", "stored", "golden.txt"].iter().collect()
}

fn written() -> String {
    let mut lines: Vec<String> =
        samples::rows().iter().map(|(name, row)| format!("{name} {}", hex(&encode_row(row)))).collect();
    let changes = samples::changes();
    lines.extend(changes.iter().map(|(name, change)| format!("{name} {}", hex(&encode_change(change)))));
    lines.push(format!("connection {}", hex(&encode_connection(&samples::connection()))));
    lines.join("\n") + "\n"
}

fn golden() -> BTreeMap<String, Vec<u8>> {
    let text = std::fs::read_to_string(path()).expect("golden.txt");
    let line = |line: &str| {
        let (name, bytes) = line.split_once(' ').expect("a name and bytes");
        (name.to_owned(), unhex(bytes))
    };
    text.lines().map(line).collect()
}

/// Whether the file is to be written anew instead of being held against.
fn updates() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

#[test]
fn what_is_written_is_what_was_always_written() {
    if updates() {
        std::fs::write(path(), written()).expect("writing golden.txt");
    }
    let golden = golden();
    for (name, row) in samples::rows() {
        assert_eq!(golden.get(&name), Some(&encode_row(&row)), "{name}");
    }
    for (name, change) in samples::changes() {
        assert_eq!(golden.get(&name), Some(&encode_change(&change)), "{name}");
    }
    assert_eq!(golden.get("connection"), Some(&encode_connection(&samples::connection())));
    assert_eq!(
        golden.len(),
        samples::rows().len() + samples::changes().len() + 1,
        "golden.txt has a line that nothing writes"
    );
}

#[test]
fn what_was_written_is_read() {
    // The file is just being written by the other test.
    if updates() {
        return;
    }
    let golden = golden();
    for (name, row) in samples::rows() {
        assert_eq!(decode_row(&golden[&name]).expect("a row"), row, "{name}");
    }
    for (name, change) in samples::changes() {
        assert_eq!(decode_change(&golden[&name]).expect("a change"), change, "{name}");
    }
    assert_eq!(decode_connection(&golden["connection"]).expect("a connection"), samples::connection());
}
