//! What is shown of a workspace.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use syncline_protocol::pb;

use crate::cli::remote::RemoteError;

/// A workspace for programs, and the source of what people see.
#[derive(Debug, Clone, Serialize)]
pub(super) struct WorkspaceView {
    workspace_id: String,
    display_name: String,
    /// As text: programs that keep numbers as floating point would change it.
    epoch: String,
    head_seq: u64,
    schema_version: u64,
    create_time: String,
}

impl WorkspaceView {
    /// What a server said of a workspace.
    pub(super) fn of(workspace: Option<pb::Workspace>) -> Result<WorkspaceView, RemoteError> {
        let workspace = workspace.ok_or(RemoteError::Incomplete("workspace"))?;
        let pb::Workspace { workspace_id, display_name, epoch, head_seq, schema_version, create_time } =
            workspace;
        Ok(WorkspaceView {
            workspace_id,
            display_name,
            epoch: epoch.to_string(),
            head_seq,
            schema_version,
            create_time: create_time.map(|time| time.to_string()).unwrap_or_default(),
        })
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.workspace_id
    }

    /// The version of its schema.
    pub(super) fn schema_version(&self) -> u64 {
        self.schema_version
    }

    /// Name and value of each of its properties.
    pub(super) fn properties(&self) -> [(&'static str, String); 6] {
        [
            ("id", self.workspace_id.clone()),
            ("name", self.display_name.clone()),
            ("created", self.create_time.clone()),
            ("changes", self.head_seq.to_string()),
            ("epoch", self.epoch.clone()),
            ("schema version", self.schema_version.to_string()),
        ]
    }
}

/// A table without lines, which programs can split into columns as well.
pub(super) fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// The table's text without spaces at the ends of lines.
pub(super) fn text_of(table: &Table) -> String {
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}
