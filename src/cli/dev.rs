//! `syncline dev`: a server to try things out, with an example workspace.

use std::process::ExitCode;

use crate::config::Flags;
use crate::engine::Engine;
use syncline_core::operation::{Action, Identity, Knowledge, Mutation, Operation, RecordMutation};
use syncline_core::schema::{CollectionUpdate, FieldKind, FieldUpdate, SchemaUpdate};
use syncline_core::value::Value;

use super::serve::{configured, start};
use super::{CliError, say};

/// The example workspace.
const WORKSPACE: &str = "demo";

/// Starts the server, fills the example workspace, and says how to call it.
pub(super) async fn run(flags: Flags) -> Result<ExitCode, CliError> {
    let Some(config) = configured(&flags)? else { return Ok(ExitCode::SUCCESS) };
    let console = config.server.console;
    let running = start(config).await?;
    seed(running.server.engine()).await?;
    let address = running.server.address();
    say(&welcome(&address.to_string(), console));
    running.wait().await
}

fn welcome(address: &str, console: bool) -> String {
    let page = if console {
        format!(
            "\nA board of cards, in a browser:  http://{address}/\n\
             Two people side by side:         http://{address}/?people=2\n"
        )
    } else {
        String::new()
    };
    format!(
        r#"{page}
Syncline is ready on http://{address}  (gRPC and gRPC-Web; Ctrl-C stops it)

The workspace "{WORKSPACE}" holds a small board of cards. Look at one:

  grpcurl -plaintext -d '{{"workspaceId":"{WORKSPACE}","recordId":"card-1"}}' \
    {address} syncline.v1.RecordService/GetRecord

Write to it (send the same requestId again and nothing happens twice):

  grpcurl -plaintext -d '{{"workspaceId":"{WORKSPACE}","operations":[{{"requestId":"hello-1","latest":{{}},
    "mutations":[{{"record":{{"collectionId":"cards","recordId":"card-1",
      "setField":{{"fieldId":"title","value":{{"stringValue":"Hello"}}}}}}}}]}}]}}' \
    {address} syncline.v1.OperationService/Submit

Follow what everybody does:

  grpcurl -plaintext -d '{{"start":{{"workspaceId":"{WORKSPACE}","beginning":{{}}}}}}' {address} syncline.v1.ChangeService/Watch

docs/tour.md goes on from here: two people, one card, a conflict and its resolution."#
    )
}

fn schema() -> SchemaUpdate {
    let fields = |kinds: &[(&str, FieldKind)]| CollectionUpdate {
        fields: kinds.iter().map(|(name, kind)| ((*name).into(), FieldUpdate::of(*kind))).collect(),
    };
    let collections = [
        (
            "cards",
            fields(&[
                ("title", FieldKind::Register),
                ("body", FieldKind::Text),
                ("votes", FieldKind::Counter),
                ("tags", FieldKind::Set),
                ("column", FieldKind::ToOne),
                ("assignees", FieldKind::ToMany),
                ("blocked_by", FieldKind::ToMany),
            ]),
        ),
        ("columns", fields(&[("name", FieldKind::Register), ("position", FieldKind::Register)])),
        ("people", fields(&[("name", FieldKind::Register)])),
    ];
    SchemaUpdate {
        strict: Some(true),
        collections: collections.into_iter().map(|(name, c)| (name.into(), c)).collect(),
    }
}

/// Fills the example workspace once; on later starts every operation is a duplicate.
async fn seed(engine: &Engine) -> Result<(), CliError> {
    engine.create_workspace(WORKSPACE, "Demo board", &schema()).await?;
    if engine.head(WORKSPACE).await?.seq > 0 {
        return Ok(());
    }
    let mut operations = Vec::new();
    for (id, name, position) in [("todo", "To do", 1), ("doing", "Doing", 2), ("done", "Done", 3)] {
        let fields = vec![("name".into(), Value::string(name)), ("position".into(), Value::Int(position))];
        operations
            .push(example(id, vec![on("columns", id, Action::Create { fields, replace_deleted: false })]));
    }
    for (id, name) in [("ada", "Ada"), ("grace", "Grace"), ("linus", "Linus")] {
        let fields = vec![("name".into(), Value::string(name))];
        operations
            .push(example(id, vec![on("people", id, Action::Create { fields, replace_deleted: false })]));
    }
    let cards = [
        (
            "card-1",
            "Plan the launch",
            "Write down what must be ready, and who does it.",
            "doing",
            "ada",
            "plan",
        ),
        ("card-2", "Translate the guide", "Start with the first chapter.", "todo", "grace", "docs"),
        ("card-3", "Answer the first users", "Thank them. Ask what was hard.", "todo", "linus", "people"),
        ("card-4", "Choose a name", "Syncline it is.", "done", "ada", "plan"),
    ];
    for (id, title, body, column, person, tag) in cards {
        let fields = vec![("title".into(), Value::string(title)), ("body".into(), Value::string(body))];
        let link = |field: &str, target: &str| Action::Link { field: field.into(), target: target.into() };
        let tags = Action::AddElements { field: "tags".into(), elements: vec![Value::string(tag)] };
        let actions = vec![
            Action::Create { fields, replace_deleted: false },
            link("column", column),
            link("assignees", person),
            tags,
        ];
        operations.push(example(id, actions.into_iter().map(|action| on("cards", id, action)).collect()));
    }
    let blocked = Action::Link { field: "blocked_by".into(), target: "card-1".into() };
    operations.push(example("card-2-blocked", vec![on("cards", "card-2", blocked)]));
    engine.submit(WORKSPACE, operations, false).await?;
    Ok(())
}

fn on(collection: &str, record: &str, action: Action) -> Mutation {
    let (collection, record) = (collection.into(), record.into());
    RecordMutation { collection, record, action, observed_seq: None, resolves: None }.into()
}

fn example(name: &str, mutations: Vec<Mutation>) -> Operation {
    Operation {
        identity: Identity::Request(format!("example:{name}").into()),
        knowledge: Knowledge::Latest,
        mutations,
        depends_on: Vec::new(),
        after_requests: Vec::new(),
        await_records: false,
        correlation_id: "example".into(),
        actor: "syncline dev".into(),
        client_time_ms: None,
        malformed: None,
    }
}
