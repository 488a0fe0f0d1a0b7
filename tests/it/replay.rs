//! `syncline replay`: recorded sessions through the real program.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::harness::postgres::Database;
use super::process::program;

fn replay(trace: &Path) -> serde_json::Value {
    replay_on(&[], trace)
}

fn replay_on(arguments: &[&str], trace: &Path) -> serde_json::Value {
    let replay = Command::new(program()).args(["replay", "--json"]).args(arguments).arg(trace).output();
    let output = replay.expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "replay failed: {text} {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).expect("one JSON object")
}

fn write_trace(directory: &Path, json: &str) -> PathBuf {
    let path = directory.join("trace.json.gz");
    let file = std::fs::File::create(&path).expect("a file");
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    encoder.write_all(json.as_bytes()).expect("written");
    encoder.finish().expect("written");
    path
}

/// Three authors, several patches in a transaction, a merge of three branches.
const THREE_AUTHORS: &str = r#"{"kind":"concurrent","endContent":"(one) TWO [three]!","numAgents":3,"txns":[
        {"parents":[],"agent":0,"numChildren":3,"patches":[[0,0,"one two three"]]},
        {"parents":[0],"agent":0,"numChildren":1,"patches":[[0,0,"("],[4,0,")"]]},
        {"parents":[0],"agent":1,"numChildren":1,"patches":[[4,1,"T"],[5,1,"W"],[6,1,"O"]]},
        {"parents":[0],"agent":2,"numChildren":1,"patches":[[8,0,"["],[14,0,"]"]]},
        {"parents":[1,2,3],"agent":1,"numChildren":0,"patches":[[17,0,"!"]]}]}"#;

#[tokio::test]
async fn a_session_of_three_authors_with_several_patches_each_ends_in_the_recorded_text() {
    let directory = tempfile::tempdir().expect("a directory");
    let trace = write_trace(directory.path(), THREE_AUTHORS);
    let postgres = Database::create().await;
    for database in ["memory:", &postgres.url()] {
        let outcome = replay_on(&["--database-url", database], &trace);
        assert_eq!(outcome["final_text_equal"], true, "{outcome}");
        assert_eq!(outcome["operations"], 5);
    }
    let outcome = replay(&trace);
    assert_eq!(outcome["final_text_equal"], true, "{outcome}");
    assert_eq!(outcome["operations"], 5);
    assert_eq!(outcome["conflicts"], 0);
    assert_eq!(outcome["authors"], 3);
}

#[test]
fn a_trace_that_does_not_end_in_its_text_fails() {
    let directory = tempfile::tempdir().expect("a directory");
    let trace = r#"{"endContent":"b","numAgents":1,"txns":[{"parents":[],"agent":0,"patches":[[0,0,"a"]]}]}"#;
    let path = write_trace(directory.path(), trace);
    let output = Command::new(program()).args(["replay", "--json"]).arg(path).output().expect("it runs");
    assert!(!output.status.success());
}

#[test]
fn a_file_that_is_no_trace_is_refused_with_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("no-trace");
    std::fs::write(&path, "hello").expect("written");
    let output = Command::new(program()).arg("replay").arg(&path).output().expect("it runs");
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("no-trace") && message.contains("gzip"), "{message}");
}

/// The recorded two-author session, when the environment names it (it is not ours to ship).
#[tokio::test]
async fn the_recorded_session_ends_in_the_recorded_text_without_a_conflict() {
    let Some(trace) = std::env::var_os("SYNCLINE_TRACE").map(PathBuf::from) else {
        println!("skipped: set SYNCLINE_TRACE to friendsforever.json.gz of the public editing traces");
        return;
    };
    let postgres = Database::create().await;
    let url = postgres.url();
    for arguments in [&[] as &[&str], &["--database-url", &url]] {
        let outcome = replay_on(arguments, &trace);
        println!("{outcome}");
        assert_eq!(outcome["final_text_equal"], true, "{outcome}");
        assert_eq!(outcome["operations"], 26_078);
        assert_eq!(outcome["conflicts"], 0);
        assert_eq!(outcome["rejected"], 0);
    }
}
