//! `syncline workspace` and `syncline schema`, as people and programs run them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::workspace::{collection, field, latest};
use crate::harness::{TestServer, on, pb};
use crate::process::{free_port, program, project};

/// A server, and a folder in which the commands run.
struct Shell {
    server: TestServer,
    directory: tempfile::TempDir,
}

/// What a command said and how it ended.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    /// What it printed; it must have succeeded.
    #[track_caller]
    fn out(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// The one JSON object that it printed.
    #[track_caller]
    fn json(self) -> Value {
        let out = self.out();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// What it complained of; it must have failed, and printed nothing else.
    #[track_caller]
    fn failure(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
        self.err
    }
}

fn command(directory: &Path, arguments: &[&str], input: Option<&str>) -> Said {
    let mut child = Command::new(program())
        .args(arguments)
        .env_remove("SYNCLINE_TARGET")
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("its input");
    // A command that does not read its input may have ended already.
    let _ = stdin.write_all(input.unwrap_or_default().as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    Said {
        code: output.status.code().expect("an exit code"),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

impl Shell {
    async fn start() -> Shell {
        Shell { server: TestServer::start().await, directory: tempfile::tempdir().expect("a directory") }
    }

    async fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, None).await
    }

    /// Runs a command against the server, while the server goes on.
    async fn run_with(&self, arguments: &[&str], input: Option<&str>) -> Said {
        let target = format!("http://{}", self.server.address());
        let mut all: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        all.extend(["--target".to_owned(), target]);
        let (directory, input) = (self.directory.path().to_owned(), input.map(str::to_owned));
        let run = move || {
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            command(&directory, &all, input.as_deref())
        };
        tokio::task::spawn_blocking(run).await.expect("no panic")
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }
}

const BOARD: &str = "\
strict: true
collections:
  cards:
    title: register
    votes: counter
    assignee: { kind: to_one, on_clash: settle, provisional: latest }
  people:
    name: register
";

#[tokio::test]
async fn a_newcomer_makes_a_workspace_from_a_file_and_finds_it() {
    let shell = Shell::start().await;
    let said = shell.run(&["workspace", "list"]).await.out();
    assert!(said.contains("syncline workspace create"), "{said}");
    shell.file("board.yaml", BOARD);
    let create = ["workspace", "create", "board", "--name", "Our board", "--schema", "board.yaml"];
    let said = shell.run(&create).await.out();
    assert_eq!(said, "workspace board is there, with schema version 1\n");
    assert_eq!(shell.run(&create).await.out(), said, "again, it is there");
    shell.run(&["workspace", "create", "0"]).await.out();

    let list = shell.run(&["workspace", "list"]).await.out();
    let lines: Vec<&str> = list.lines().map(str::trim).collect();
    assert!(lines[0].starts_with("ID") && lines[1].starts_with('0') && lines.len() == 3, "{list}");
    assert!(lines[2].starts_with("board") && lines[2].contains("Our board"), "{list}");
    let shown = shell.run(&["workspace", "show", "board"]).await.out();
    for part in ["Our board", "collection cards", "3 fields", "refused"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }

    // The workspace is what the file says.
    let ws = shell.server.existing("board").await;
    let assignee = pb::FieldSchema {
        on_clash: pb::ClashRule::Settle.into(),
        provisional: pb::ProvisionalRule::Latest.into(),
        ..field(pb::FieldKind::ToOne)
    };
    let cards = collection([
        ("title", field(pb::FieldKind::Register)),
        ("votes", field(pb::FieldKind::Counter)),
        ("assignee", assignee),
    ]);
    let people = collection([("name", field(pb::FieldKind::Register))]);
    let expected = pb::Schema {
        strict: Some(true),
        collections: [("cards".to_owned(), cards), ("people".to_owned(), people)].into(),
    };
    assert_eq!(ws.schema().await, (expected, 1));
}

#[tokio::test]
async fn programs_get_one_json_object_from_each_command() {
    let shell = Shell::start().await;
    let schema = shell.file("board.json", r#"{"collections": {"cards": {"title": "register"}}}"#);
    let schema = schema.to_str().expect("a path");
    let created = shell.run(&["workspace", "create", "w", "--schema", schema, "--json"]).await.json();
    let ws = shell.server.existing("w").await;
    assert_eq!(created["epoch"], ws.epoch.to_string());
    assert_eq!((&created["workspace_id"], &created["schema_version"]), (&json!("w"), &json!(1)));
    let listed = shell.run(&["workspace", "list", "--json"]).await.json();
    assert_eq!(listed, json!({ "workspaces": [created] }));
    let shown = shell.run(&["workspace", "show", "w", "--json"]).await.json();
    assert_eq!(shown["collections"], json!([{ "collection_id": "cards", "field_count": 1 }]));
    assert_eq!((&shown["strict"], &shown["workspace_id"]), (&json!(false), &json!("w")));

    let more = r#"{"strict": true, "collections": {"cards": {"due": "register", "title": {"kind": "register", "on_clash": "settle"}}}}"#;
    let more = shell.file("more.json", more);
    let apply = ["workspace", "schema", "apply", "w", more.to_str().expect("a path"), "--json"];
    let applied = shell.run(&apply).await.json();
    let expected = json!({
        "workspace_id": "w", "dry_run": false, "from_version": 1, "schema_version": 2,
        "differences": [
            { "aspect": "strict", "before": "false", "after": "true" },
            { "collection_id": "cards", "field_id": "due", "aspect": "field", "after": "register" },
            { "collection_id": "cards", "field_id": "title", "aspect": "on_clash", "before": "open", "after": "settle" },
        ],
    });
    assert_eq!(applied, expected);
}

#[tokio::test]
async fn a_dry_run_shows_what_applying_then_does_and_changes_nothing() {
    let shell = Shell::start().await;
    shell.file("board.yaml", BOARD);
    shell.run(&["workspace", "create", "w", "--schema", "board.yaml"]).await.out();
    let ws = shell.server.existing("w").await;
    let before = ws.schema().await;
    let more = "collections:\n  cards:\n    due: { kind: register, provisional: min }\n  tags:\n";
    shell.file("more.yaml", more);
    let apply = ["workspace", "schema", "apply", "w", "more.yaml"];
    let differences = "\
+ field cards.due: register
+ field cards.due: provisional min
+ collection tags
";
    let dry = shell.run(&[&apply[..], &["--dry-run"]].concat()).await.out();
    let count = "3 differences; nothing was applied. To apply exactly this: --expect-version 1\n";
    assert_eq!(dry, format!("{differences}{count}"));
    assert_eq!(ws.schema().await, before);
    let applied = shell.run(&[&apply[..], &["--expect-version", "1"]].concat()).await.out();
    assert_eq!(applied, format!("{differences}applied: the schema of w has the version 2 now\n"));
    let (after, version) = ws.schema().await;
    assert_eq!(version, 2);
    let mut kept = after.clone();
    kept.collections.remove("tags");
    kept.collections.get_mut("cards").expect("cards").fields.remove("due");
    assert_eq!(kept, before.0, "what the file does not mention stays");
    // Again, and made for a version that is long gone: there is nothing to do.
    let again = shell.run(&[&apply[..], &["--expect-version", "1"]].concat()).await.out();
    assert_eq!(again, "nothing to change: the schema of w, version 2, has all of it\n");
}

#[tokio::test]
async fn what_get_prints_can_be_applied_and_makes_the_same_workspace() {
    let shell = Shell::start().await;
    shell.file("board.yaml", BOARD);
    shell.run(&["workspace", "create", "w", "--schema", "board.yaml"]).await.out();
    let ws = shell.server.existing("w").await;
    let get = ["workspace", "schema", "get", "w"];
    let text = shell.run(&get).await.out();
    assert!(text.starts_with("# The schema of the workspace w, version 1.\n"), "{text}");
    assert!(text.contains("    title: register\n"), "{text}");
    for (n, arguments) in
        [&[][..], &["--full"], &["--format", "json"], &["--format", "json", "--full"]].into_iter().enumerate()
    {
        let name = format!("got-{n}.{}", if arguments.contains(&"json") { "json" } else { "yaml" });
        let said = shell.run(&[&get[..], arguments, &["--out", &name]].concat()).await.out();
        assert!(said.contains(&name), "{said}");
        let again = shell.run(&["workspace", "schema", "apply", "w", &name]).await.out();
        assert!(again.starts_with("nothing to change"), "{again}");
        let copy = format!("copy-{n}");
        shell.run(&["workspace", "create", &copy, "--schema", &name]).await.out();
        assert_eq!(shell.server.existing(&copy).await.schema().await.0, ws.schema().await.0, "{name}");
    }
    // From standard input, and from a workspace whose schema nobody declared.
    shell.run_with(&["workspace", "create", "piped", "--schema", "-"], Some(&text)).await.out();
    assert_eq!(shell.server.existing("piped").await.schema().await, ws.schema().await);
    shell.run(&["workspace", "create", "derived"]).await.out();
    let derived = shell.server.existing("derived").await;
    derived.write(vec![on("cards", "c1").create(), on("cards", "c1").increment("votes", 1)]).await;
    let text = shell.run(&["workspace", "schema", "get", "derived"]).await.out();
    assert!(text.contains("strict: false\ncollections:\n  cards:\n    votes: counter\n"), "{text}");
}

#[tokio::test]
async fn full_files_bring_policies_back_and_short_ones_leave_them() {
    let shell = Shell::start().await;
    shell.file("board.yaml", "collections:\n  cards:\n    title: register\n");
    shell.run(&["workspace", "create", "w", "--schema", "board.yaml"]).await.out();
    shell.run(&["workspace", "schema", "get", "w", "--out", "short.yaml"]).await.out();
    shell.run(&["workspace", "schema", "get", "w", "--full", "--out", "full.yaml"]).await.out();
    shell.file("policy.yaml", "collections:\n  cards:\n    title: { kind: register, on_clash: settle }\n");
    shell.run(&["workspace", "schema", "apply", "w", "policy.yaml"]).await.out();
    let short = shell.run(&["workspace", "schema", "apply", "w", "short.yaml"]).await.out();
    assert!(short.starts_with("nothing to change"), "{short}");
    let full = shell.run(&["workspace", "schema", "apply", "w", "full.yaml"]).await.out();
    assert!(full.starts_with("~ field cards.title: on_clash settle -> open\n"), "{full}");
}

#[tokio::test]
async fn a_schema_that_somebody_else_changed_is_not_changed_again() {
    let shell = Shell::start().await;
    shell.file("board.yaml", BOARD);
    shell.run(&["workspace", "create", "w", "--schema", "board.yaml"]).await.out();
    shell.file("due.yaml", "collections:\n  cards:\n    due: register\n");
    shell.file("done.yaml", "collections:\n  cards:\n    done: register\n");
    shell.run(&["workspace", "schema", "apply", "w", "due.yaml", "--expect-version", "1"]).await.out();
    let ws = shell.server.existing("w").await;
    let before = ws.schema().await;
    for dry in [&[][..], &["--dry-run"]] {
        let apply = ["workspace", "schema", "apply", "w", "done.yaml", "--expect-version", "1"];
        let complaint = shell.run(&[&apply[..], dry].concat()).await.failure(1);
        assert!(
            complaint.contains("has the version 2 now") && complaint.contains("--dry-run"),
            "{complaint}"
        );
    }
    assert_eq!(ws.schema().await, before);
}

#[tokio::test]
async fn the_kind_of_a_field_is_not_changed_by_a_file() {
    let shell = Shell::start().await;
    shell.file("board.yaml", BOARD);
    shell.run(&["workspace", "create", "w", "--schema", "board.yaml"]).await.out();
    shell.file("text.yaml", "collections:\n  cards:\n    due: register\n    title: text\n");
    let apply = ["workspace", "schema", "apply", "w", "text.yaml"];
    let complaint = shell.run(&apply).await.failure(1);
    for part in ["cards.title", "register", "SCHEMA_CONFLICT"] {
        assert!(complaint.contains(part), "{part}: {complaint}");
    }
    assert_eq!(shell.server.existing("w").await.schema().await.1, 1, "nothing was applied");
    let complaint = shell.run(&["workspace", "create", "w", "--schema", "text.yaml"]).await.failure(1);
    assert!(complaint.contains("exists with another schema"), "{complaint}");
    assert!(complaint.contains("syncline workspace schema apply w"), "{complaint}");
}

#[tokio::test]
async fn a_workspace_that_is_not_there_is_named_with_what_to_do() {
    let shell = Shell::start().await;
    shell.file("board.yaml", BOARD);
    let commands: [&[&str]; 5] = [
        &["workspace", "show", "nowhere"],
        &["workspace", "schema", "get", "nowhere"],
        &["workspace", "schema", "apply", "nowhere", "board.yaml"],
        &["workspace", "schema", "apply", "nowhere", "board.yaml", "--expect-version", "1"],
        &["schema", "types", "--workspace", "nowhere", "--language", "ts"],
    ];
    for arguments in commands {
        let complaint = shell.run(arguments).await.failure(1);
        for part in ["no workspace `nowhere`", "syncline workspace list", "syncline workspace create nowhere"]
        {
            assert!(complaint.contains(part), "{part}: {complaint}");
        }
    }
}

#[tokio::test]
async fn a_bad_file_is_told_with_its_place_before_any_server_is_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let bad = "strict: true\ncollections:\n  cards:\n    title: regster\n";
    std::fs::write(directory.path().join("bad.yaml"), bad).expect("written");
    let commands: [&[&str]; 3] = [
        &["workspace", "create", "w", "--schema", "bad.yaml", "--target", &nobody],
        &["workspace", "schema", "apply", "w", "bad.yaml", "--target", &nobody],
        &["schema", "types", "bad.yaml", "--language", "ts"],
    ];
    for arguments in commands {
        let complaint = command(directory.path(), arguments, None).failure(1);
        assert!(complaint.contains("bad.yaml:4:12: "), "{complaint}");
        assert!(complaint.contains("did you mean `register`?"), "{complaint}");
        let missing: Vec<&str> =
            arguments.iter().map(|a| if *a == "bad.yaml" { "none.yaml" } else { a }).collect();
        let complaint = command(directory.path(), &missing, None).failure(1);
        assert!(complaint.contains("cannot read none.yaml"), "{complaint}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_with_its_address() {
    let directory = tempfile::tempdir().expect("a directory");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    std::fs::write(directory.path().join("board.yaml"), BOARD).expect("written");
    let commands: [&[&str]; 6] = [
        &["workspace", "create", "w"],
        &["workspace", "list"],
        &["workspace", "show", "w"],
        &["workspace", "schema", "get", "w"],
        &["workspace", "schema", "apply", "w", "board.yaml"],
        &["schema", "types", "--workspace", "w", "--language", "ts"],
    ];
    for arguments in commands {
        let complaint =
            command(directory.path(), &[arguments, &["--target", &nobody]].concat(), None).failure(1);
        assert!(complaint.contains(&format!("no server answers at {nobody}")), "{complaint}");
        assert!(complaint.contains("syncline dev") && complaint.contains("--target"), "{complaint}");
    }
}

#[tokio::test]
async fn somebody_else_on_the_port_is_not_taken_for_a_server() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = format!("http://{}", listener.local_addr().expect("an address"));
    // Answers everybody as a web server of old does.
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::AsyncWriteExt as _;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    let list = move || command(&project(), &["workspace", "list", "--target", &target], None);
    let complaint = tokio::task::spawn_blocking(list).await.expect("no panic").failure(1);
    let told = ["is it a Syncline server?", "no server answers"];
    assert!(told.iter().any(|part| complaint.contains(part)), "{complaint}");
}

#[test]
fn a_command_that_is_written_wrongly_ends_with_2() {
    let commands: [(&[&str], &str); 8] = [
        (&["workspace"], "Usage"),
        (&["workspace", "create"], "<ID>"),
        (&["workspace", "create", "No Name"], "a-z 0-9"),
        (&["workspace", "create", "w", "--name", "a\nb"], "control characters"),
        (&["workspace", "list", "--target", "127.0.0.1:7447"], "http://HOST:PORT"),
        (&["workspace", "list", "--target", "https://127.0.0.1:7447"], "TLS"),
        (&["schema", "types", "--language", "ts"], "--workspace"),
        (&["schema", "types", "a.yaml", "--language", "cobol"], "ts"),
    ];
    for (arguments, part) in commands {
        let complaint = command(&project(), arguments, None).failure(2);
        assert!(complaint.contains(part), "{arguments:?}: {complaint}");
    }
}

#[tokio::test]
async fn unknown_fields_of_a_strict_workspace_are_declared_by_a_file() {
    let shell = Shell::start().await;
    shell.file("board.yaml", BOARD);
    shell.run(&["workspace", "create", "w", "--schema", "board.yaml"]).await.out();
    let ws = shell.server.existing("w").await;
    ws.write(vec![on("cards", "c1").create()]).await;
    let refused = ws.submit(latest(vec![on("cards", "c1").set("due", "today")])).await;
    crate::harness::receipts::refused(&refused, crate::harness::Reason::UndeclaredField);
    shell.file("due.yaml", "collections: { cards: { due: register } }\n");
    shell.run(&["workspace", "schema", "apply", "w", "due.yaml"]).await.out();
    ws.write(vec![on("cards", "c1").set("due", "today")]).await;
}

#[tokio::test]
async fn types_of_a_file_and_of_its_workspace_are_one_program() {
    let shell = Shell::start().await;
    shell.file("board.yaml", BOARD);
    let from_file = shell.run(&["schema", "types", "board.yaml", "--language", "ts"]).await.out();
    for part in [
        "  strict: true,\n",
        "      assignee: toOne(undefined, { provisional: 'latest', onClash: 'settle' }),\n",
        "      title: register(),\n",
        "  readonly people: FieldsOf<Schema, 'people'>;\n",
    ] {
        assert!(from_file.contains(part), "{part}: {from_file}");
    }
    shell.run(&["workspace", "create", "w", "--schema", "board.yaml"]).await.out();
    let of_workspace = ["schema", "types", "--workspace", "w", "--language", "ts"];
    assert_eq!(shell.run(&of_workspace).await.out(), from_file);
    let piped = shell.run_with(&["schema", "types", "-", "--language", "ts"], Some(BOARD)).await.out();
    assert_eq!(piped, from_file);
    let said = shell.run(&[&of_workspace[..], &["--out", "schema.ts"]].concat()).await.out();
    assert_eq!(said, "wrote schema.ts\n");
    let written = std::fs::read_to_string(shell.directory.path().join("schema.ts")).expect("the file");
    assert_eq!(written, from_file);
    // A folder that is not there is made; one that cannot be is told.
    shell.run(&[&of_workspace[..], &["--out", "src/made/schema.ts"]].concat()).await.out();
    let made = std::fs::read_to_string(shell.directory.path().join("src/made/schema.ts"));
    assert_eq!(made.expect("the file"), from_file);
    let nowhere = [&of_workspace[..], &["--out", "schema.ts/below.ts"]].concat();
    let complaint = shell.run(&nowhere).await.failure(1);
    assert!(complaint.contains("cannot write schema.ts/below.ts"), "{complaint}");
}
