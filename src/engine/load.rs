//! Loading what the sequencer asks for into a working set.

use std::sync::Arc;

use crate::store::{Order, StoreError, StoreReader};
use syncline_core::causality::Seq;
use syncline_core::fault;
use syncline_core::hash::{CHAIN_START, Hash};
use syncline_core::ids::WorkspaceNo;
use syncline_core::schema::Schema;
use syncline_core::state::{Key, Missing, Prefix, Row, WorkspaceHead, WorkspaceState};

use super::EngineError;

/// Rows read in one page.
const PAGE_ROWS: usize = 1_000;
/// Changes read at once when a walk begins to go back through the log.
const CHANGES_BACK: u64 = 256;
/// Changes read at once when it goes on and on.
const CHANGES_BACK_MAX: u64 = 8_192;

/// How far back the walks of a step have read so far. Each miss begins the step anew, so a long walk reads twice as much with
/// each: it begins anew a few times, and not once for every page of the log.
pub(super) struct Walk {
    changes_back: u64,
}

impl Walk {
    pub(super) fn new() -> Walk {
        Walk { changes_back: CHANGES_BACK }
    }

    fn next(&mut self) -> u64 {
        let back = self.changes_back;
        self.changes_back = (back * 2).min(CHANGES_BACK_MAX);
        back
    }
}

/// Loads one thing that is missing.
pub(super) async fn load(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    state: &mut WorkspaceState,
    need: Missing,
    walk: &mut Walk,
) -> Result<(), StoreError> {
    match need {
        Missing::Row(key) => rows(reader, ws, state, vec![key]).await,
        Missing::Rows(keys) => rows(reader, ws, state, keys).await,
        Missing::Range(prefix) => range(reader, ws, state, prefix).await,
        Missing::ChangesUpTo(seq) => {
            let back = walk.next();
            let limit = usize::try_from(back).unwrap_or(usize::MAX);
            let changes = reader.changes(ws, seq.saturating_sub(back), seq, limit).await?;
            if changes.last().is_none_or(|c| c.seq != seq) {
                return Err(StoreError::Inconsistent(format!("the log has no change {seq}")));
            }
            state.learn_changes(changes.into_iter().map(Arc::new));
            Ok(())
        }
        Missing::ChainAt(seq) => {
            let change = reader.changes(ws, seq.saturating_sub(1), seq, 1).await?.pop();
            state.learn_chain(seq, change.filter(|change| change.seq == seq).map(|change| change.chain));
            Ok(())
        }
        Missing::ChangeOf(replica_no, counter) => match reader.change_of(ws, replica_no, counter).await? {
            Some(change) => {
                state.learn_changes([Arc::new(change)]);
                Ok(())
            }
            None => Err(StoreError::Inconsistent(format!(
                "replica {replica_no} settled counter {counter} without a trace"
            ))),
        },
    }
}

/// Loads rows by key; that a row is absent is remembered as well.
pub(super) async fn rows(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    state: &mut WorkspaceState,
    mut keys: Vec<Key>,
) -> Result<(), StoreError> {
    keys.retain(|key| !state.knows_row(key));
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return Ok(());
    }
    let mut found = reader.rows(ws, &keys).await?;
    if fault!(DuplicatesForgotten) {
        found.iter_mut().for_each(forget_the_last);
    }
    state.learn_rows(keys.into_iter().zip(found));
    Ok(())
}

/// For the fault `DuplicatesForgotten`.
fn forget_the_last(row: &mut Option<Row>) {
    if let Some(Row::Replica(replica)) = row {
        replica.last_settled = replica.last_settled.previous();
    }
}

/// Loads a whole range.
pub(super) async fn range(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    state: &mut WorkspaceState,
    prefix: Prefix,
) -> Result<(), StoreError> {
    let mut all = Vec::new();
    let mut after: Option<Key> = None;
    loop {
        let page = reader.range(ws, &prefix, after.as_ref(), PAGE_ROWS, Order::Ascending).await?;
        after = page.rows.last().map(|(key, _)| key.clone());
        all.extend(page.rows);
        if !page.more {
            break;
        }
    }
    state.learn_range(prefix, all);
    Ok(())
}

/// The head that a reader's snapshot shows.
pub(super) async fn committed_head(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
) -> Result<WorkspaceHead, EngineError> {
    match reader.head(ws).await? {
        Some(head) => Ok(head),
        None => Err(crate::store::StoreError::Inconsistent(format!("workspace {ws} has no head")).into()),
    }
}

/// The schema that a reader's snapshot shows.
pub(super) async fn read_schema(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
) -> Result<Schema, EngineError> {
    Ok(match reader.rows(ws, &[Key::Schema]).await?.pop().flatten() {
        Some(Row::Schema(schema)) => schema,
        _ => Schema::default(),
    })
}

/// The chain at a position below the head; `None` when the log does not have it.
pub(super) async fn chain_at(
    reader: &mut dyn StoreReader,
    ws: WorkspaceNo,
    seq: Seq,
) -> Result<Option<Hash>, StoreError> {
    let Some(before) = seq.checked_sub(1) else { return Ok(Some(CHAIN_START)) };
    Ok(reader.changes(ws, before, seq, 1).await?.first().map(|change| change.chain))
}
