//! Writes of a transaction before they reach the database.
//!
//! Writes are gathered and sent with the commit: a database is a thread or a network away, so the number of
//! statements, not their size, is what a commit costs. Flushes of several workspaces share statements, and a
//! row that is written twice is sent once.

use std::collections::BTreeMap;

use super::{ROW_BYTES_MAX, StoreError, codec};
use syncline_core::causality::{Counter, ReplicaNo, Seq};
use syncline_core::ids::WorkspaceNo;
use syncline_core::state::{WorkspaceHead, WriteBatch};

/// A change as it goes into the log.
#[derive(Debug)]
pub(super) struct LogRow {
    pub ws: WorkspaceNo,
    pub seq: Seq,
    pub replica_no: ReplicaNo,
    pub counter: Counter,
    pub content: Vec<u8>,
}

/// Encoded writes that are not in the database yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub heads: BTreeMap<WorkspaceNo, WorkspaceHead>,
    pub changes: Vec<LogRow>,
    /// In the order of the keys, which costs the table least; `None` deletes.
    pub rows: BTreeMap<(WorkspaceNo, Vec<u8>), Option<Vec<u8>>>,
}

impl Pending {
    /// Adds a batch. After an error the transaction must not be committed.
    pub fn add(
        &mut self,
        ws: WorkspaceNo,
        batch: &WriteBatch,
        head: &WorkspaceHead,
    ) -> Result<(), StoreError> {
        self.heads.insert(ws, *head);
        for (key, row) in &batch.rows {
            let value = row.as_deref().map(codec::encode_row).map(fitting).transpose()?;
            self.rows.insert((ws, codec::encode_key(key)?), value);
        }
        for change in &batch.changes {
            self.changes.push(LogRow {
                ws,
                seq: change.seq,
                replica_no: change.author.replica_no,
                counter: change.author.counter,
                content: fitting(codec::encode_change(change))?,
            });
        }
        Ok(())
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty() && self.changes.is_empty() && self.rows.is_empty()
    }
}

/// The encoded row, if every database takes one of its size.
fn fitting(content: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    match content.len() {
        bytes if bytes > ROW_BYTES_MAX => {
            Err(StoreError::Refused(format!("a row of {bytes} bytes, and {ROW_BYTES_MAX} are allowed")))
        }
        _ => Ok(content),
    }
}

/// The error of a transaction one of whose writes failed before.
pub(super) fn broken_transaction() -> StoreError {
    StoreError::Inconsistent("an earlier step of this transaction failed; it can only be dropped".to_owned())
}
