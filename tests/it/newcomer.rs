//! The tour of `docs/tour.md`, as it stands there: its shell blocks run against `syncline dev` with grpcurl.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::process::{Process, free_port, program, project};

/// grpcurl, as the test command installed it or from the path.
fn grpcurl() -> Option<PathBuf> {
    let ours = project().join(".tools/bin/grpcurl");
    if ours.exists() {
        return Some(ours);
    }
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|p| p.join("grpcurl")).find(|p| p.exists())
}

/// The document whose commands are run.
const TOUR: &str = "docs/tour.md";

/// What macOS does not have, or has with other options. The tour must not use it.
const LINUX_ONLY: [&str; 7] =
    ["/proc/", "sed -i", "sed -r", "grep -P", "readlink -f", "date -d", "base64 -w"];

/// The `sh` blocks of the tour, in order.
fn blocks() -> Vec<String> {
    let text = std::fs::read_to_string(project().join(TOUR)).expect("the tour");
    text.split("```sh\n").skip(1).filter_map(|b| b.split("```").next()).map(str::to_owned).collect()
}

#[test]
fn the_tour_uses_nothing_that_only_linux_has() {
    let script = blocks().join("\n");
    for word in LINUX_ONLY {
        assert!(!script.contains(word), "{TOUR} uses `{word}`, which macOS does not have in this form");
    }
    // An interactive zsh, the shell of macOS, takes a comment for a command.
    for line in script.lines() {
        assert!(!line.trim_start().starts_with('#'), "{TOUR} has a comment in a command: {line}");
    }
}

#[test]
fn the_tour_leads_a_newcomer_from_two_edits_to_a_resolved_conflict() {
    let grpcurl = grpcurl().expect("grpcurl: run `make tools`, or put it on the path");
    let directory = tempfile::tempdir().expect("a directory");
    let listen = format!("127.0.0.1:{}", free_port());
    let arguments = ["dev", "--listen", &listen, "--metrics-listen", ""];
    let mut server = Process::start(&arguments, directory.path(), "ready on http://");
    assert!(directory.path().join(".syncline").is_dir(), "the database lies under ./.syncline");

    // A feed that is open all the while.
    let feed_output = directory.path().join("feed");
    let mut feed = Command::new(&grpcurl)
        .args(["-plaintext", "-d", r#"{"start":{"workspaceId":"demo","head":{}}}"#, &listen])
        .arg("syncline.v1.ChangeService/Watch")
        .stdout(std::fs::File::create(&feed_output).expect("a file"))
        .spawn()
        .expect("grpcurl runs");

    let blocks = blocks();
    assert!(blocks.len() >= 5, "{TOUR} has its steps");
    let script = blocks.join("\n").replace("127.0.0.1:7447", &listen);
    let path = format!(
        "{}:{}:{}",
        grpcurl.parent().expect("a folder").display(),
        Path::new(program()).parent().expect("a folder").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .env("PATH", path)
        .env("SYNCLINE_TARGET", format!("http://{listen}"))
        .output()
        .expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{errors}");

    assert!(said.contains(r#""merged""#) || said.contains(r#""applied""#), "{said}");
    assert!(
        said.contains("Today: Write down what must be ready, and tested, and who does it."),
        "both text edits are in the text: {said}"
    );
    assert!(said.contains(r#""counter": "1""#), "the vote counts: {said}");
    assert!(said.contains("urgent"), "the tag is there: {said}");
    assert_eq!(said.matches(r#""conflicted""#).count(), 1, "one write clashes: {said}");
    for part in [
        "Plan the big launch",
        "Plan the quiet launch",
        "Plan the launch",
        "Ada",
        "Grace",
        "baseValue",
        "linkedRecords",
        "recentHistory",
    ] {
        assert!(said.contains(part), "the conflict's context has {part}: {said}");
    }
    assert!(said.contains("Plan the launch, quietly"), "{said}");
    assert!(said.contains("CONFLICT_STATUS_RESOLVED"), "{said}");
    assert!(said.contains("workspace garden is there, with schema version 1"), "{said}");
    assert!(said.contains("Our garden") && said.contains("collection plants"), "{said}");

    let resolved_in_feed = || {
        let text = std::fs::read_to_string(&feed_output).unwrap_or_default();
        text.contains("CONFLICT_EVENT_KIND_CLOSED") && text.contains("Plan the launch, quietly")
    };
    let started = std::time::Instant::now();
    while !resolved_in_feed() {
        assert!(started.elapsed() < Duration::from_secs(20), "the resolution reaches the open feed");
        std::thread::sleep(Duration::from_millis(50));
    }
    let status = server.terminate(Duration::from_secs(25)).expect("it stops when asked");
    assert!(status.success(), "{status}");
    let _ = feed.wait();
    let text = std::fs::read_to_string(&feed_output).expect("the feed's output");
    assert!(text.contains("GO_AWAY_REASON_DRAINING"), "an open feed is told where to resume");
}

#[test]
fn the_commands_that_the_server_prints_at_its_start_work_as_they_stand() {
    let grpcurl = grpcurl().expect("grpcurl: run `make tools`, or put it on the path");
    let directory = tempfile::tempdir().expect("a directory");
    let listen = format!("127.0.0.1:{}", free_port());
    let mut server = Command::new(program())
        .args(["dev", "--listen", &listen, "--metrics-listen", "", "--log-level", "warn"])
        .current_dir(directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let lines = BufReader::new(server.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let told: Vec<String> = lines.take_while(|line| !line.contains("docs/tour.md goes on")).collect();
    let told = told.join("\n");
    let commands: Vec<&str> = told.split("\n\n").filter(|part| part.starts_with("  grpcurl")).collect();
    let path = format!(
        "{}:{}",
        grpcurl.parent().expect("a folder").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let answers: Vec<String> = commands
        .iter()
        .map(|command| {
            // The last one follows for ever.
            let script = command.trim_start().replacen("grpcurl", "timeout 5 grpcurl -max-time 2", 1);
            let output = Command::new("bash").args(["-c", &script]).env("PATH", &path).output();
            let output = output.expect("bash runs");
            let (said, errors) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
            assert!(
                !errors.contains("InvalidArgument") && !errors.contains("known field"),
                "{command}\n{errors}"
            );
            String::from_utf8_lossy(&said).into_owned()
        })
        .collect();
    let _ = server.kill();
    let _ = server.wait();
    assert_eq!(commands.len(), 3, "{told}");
    for (answer, part) in answers.iter().zip(["\"recordId\": \"card-1\"", "\"applied\"", "\"changes\""]) {
        assert!(answer.contains(part), "{part} is in {answer}");
    }
}

/// The document that tells operators every configuration key.
const OPERATING: &str = "docs/operating.md";

/// Keys with their defaults, as `section.key` and the bare value, from what the program prints.
fn keys_of_the_program() -> Vec<(String, String)> {
    let output = Command::new(program())
        .args(["serve", "--print-effective-config"])
        .output()
        .expect("the program runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut section = "";
    let mut keys = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((key, rest)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            let value = rest.trim_end_matches("  # default").trim_matches('"').replace("[]", "");
            keys.push((format!("{section}.{key}"), value));
        }
    }
    keys
}

/// The same from the table of the document: the rows whose first cell is a dotted name in code.
fn keys_of_the_document() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(project().join(OPERATING)).expect("the document");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| {
        let (key, rest) = row.split_once("` |")?;
        let plain = key.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '.');
        let (default, _) = rest.split_once('|')?;
        (plain && key.contains('.')).then(|| (key.to_owned(), default.trim().replace('`', "")))
    })
    .collect()
}

#[test]
fn operators_read_of_every_configuration_key_with_its_default() {
    let program = keys_of_the_program();
    assert!(program.len() > 10, "the program prints its configuration: {program:?}");
    assert_eq!(keys_of_the_document(), program, "{OPERATING} has other keys or defaults than the program");
}
