//! Reads on a connection that is inside a transaction, for readers and the writer alike.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::errors::of_statement;
use super::shapes;
use crate::store::{Order, Page, StoreError, WorkspaceInfo, codec};
use syncline_core::causality::{Counter, ReplicaNo, Seq};
use syncline_core::change::Change;
use syncline_core::hash::Hash;
use syncline_core::ids::{Epoch, WorkspaceNo};
use syncline_core::state::{Key, Prefix, Row, WorkspaceHead};

/// Maximum number of keys in one statement.
const KEYS_PER_STATEMENT_MAX: usize = 256;

/// A number as the database keeps it: by its bits, for what is only compared for equality.
pub(super) fn bits(number: u64) -> i64 {
    number.cast_signed()
}

/// A position as the database keeps it; no log ever reaches the limit.
fn position(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) async fn workspaces(
    conn: &mut SqliteConnection,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<WorkspaceInfo>, StoreError> {
    let rows = sqlx::query(include_str!("../sql/workspace_page.sql"))
        .bind(after.unwrap_or_default())
        .bind(limit_of(limit))
        .fetch_all(conn)
        .await
        .map_err(of_statement)?;
    rows.iter().map(info).collect()
}

pub(super) async fn workspace(
    conn: &mut SqliteConnection,
    id: &str,
) -> Result<Option<WorkspaceInfo>, StoreError> {
    let row = sqlx::query(include_str!("../sql/workspace_by_id.sql"))
        .bind(id)
        .fetch_optional(conn)
        .await
        .map_err(of_statement)?;
    row.as_ref().map(info).transpose()
}

fn info(row: &SqliteRow) -> Result<WorkspaceInfo, StoreError> {
    Ok(WorkspaceInfo {
        no: row.try_get(0).map(WorkspaceNo).map_err(of_statement)?,
        id: Arc::from(row.try_get::<&str, _>(1).map_err(of_statement)?),
        display_name: Arc::from(row.try_get::<&str, _>(2).map_err(of_statement)?),
        created_at_ms: row.try_get(3).map_err(of_statement)?,
    })
}

pub(super) async fn head(
    conn: &mut SqliteConnection,
    ws: WorkspaceNo,
) -> Result<Option<WorkspaceHead>, StoreError> {
    let row = sqlx::query(include_str!("../sql/head_by_workspace.sql"))
        .bind(ws.0)
        .fetch_optional(conn)
        .await
        .map_err(of_statement)?;
    let Some(row) = row else { return Ok(None) };
    let inconsistent =
        |what: &str| StoreError::Inconsistent(format!("the {what} of workspace number {ws} is none"));
    Ok(Some(WorkspaceHead {
        epoch: Epoch(row.try_get::<i64, _>(0).map_err(of_statement)?.cast_unsigned()),
        head_seq: u64::try_from(row.try_get::<i64, _>(1).map_err(of_statement)?)
            .map(Seq)
            .map_err(|_| inconsistent("head position"))?,
        chain: Hash::try_from(row.try_get::<&[u8], _>(2).map_err(of_statement)?)
            .map_err(|_| inconsistent("hash chain"))?,
        replica_count: u32::try_from(row.try_get::<i64, _>(3).map_err(of_statement)?)
            .map_err(|_| inconsistent("number of replicas"))?,
        commit_count: row.try_get::<i64, _>(4).map_err(of_statement)?.cast_unsigned(),
    }))
}

pub(super) async fn rows(
    conn: &mut SqliteConnection,
    ws: WorkspaceNo,
    keys: &[Key],
) -> Result<Vec<Option<Row>>, StoreError> {
    let keys = keys.iter().map(codec::encode_key).collect::<Result<Vec<_>, _>>()?;
    let mut found: HashMap<Vec<u8>, SqliteRow> = HashMap::with_capacity(keys.len());
    for chunk in keys.chunks(KEYS_PER_STATEMENT_MAX) {
        let size = shapes::padded(chunk.len());
        let mut query = sqlx::query(shapes::rows(size)).bind(ws.0);
        let padding = chunk.last().into_iter().cycle().take(size - chunk.len());
        for key in chunk.iter().chain(padding) {
            query = query.bind(key.clone());
        }
        for row in query.fetch_all(&mut *conn).await.map_err(of_statement)? {
            found.insert(row.try_get(0).map_err(of_statement)?, row);
        }
    }
    let decoded = |key| match found.get(key) {
        None => Ok(None),
        Some(row) => codec::decode_row(row.try_get(1).map_err(of_statement)?).map(Some),
    };
    keys.iter().map(decoded).collect()
}

pub(super) async fn range(
    conn: &mut SqliteConnection,
    ws: WorkspaceNo,
    prefix: &Prefix,
    after: Option<&Key>,
    limit: usize,
    order: Order,
) -> Result<Page, StoreError> {
    let (start, end) = codec::page_range(prefix, after, order)?;
    let sql = match order {
        Order::Ascending => include_str!("../sql/state_range_ascending.sql"),
        Order::Descending => include_str!("../sql/state_range_descending.sql"),
    };
    // One row more than asked for tells whether there are more.
    let mut rows = sqlx::query(sql)
        .bind(ws.0)
        .bind(start)
        .bind(end)
        .bind(limit_of(limit.saturating_add(1)))
        .fetch_all(conn)
        .await
        .map_err(of_statement)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let rows = rows
        .iter()
        .map(|row| {
            let key = codec::decode_key(row.try_get(0).map_err(of_statement)?)?;
            Ok((key, codec::decode_row(row.try_get(1).map_err(of_statement)?)?))
        })
        .collect::<Result<_, StoreError>>()?;
    Ok(Page { rows, more })
}

pub(super) async fn count(
    conn: &mut SqliteConnection,
    ws: WorkspaceNo,
    prefix: &Prefix,
) -> Result<u64, StoreError> {
    let (start, end) = codec::prefix_range(prefix)?;
    let count: i64 = sqlx::query_scalar(include_str!("../sql/state_count.sql"))
        .bind(ws.0)
        .bind(start)
        .bind(end)
        .fetch_one(conn)
        .await
        .map_err(of_statement)?;
    Ok(u64::try_from(count).unwrap_or_default())
}

pub(super) async fn changes(
    conn: &mut SqliteConnection,
    ws: WorkspaceNo,
    from_exclusive: Seq,
    to_inclusive: Seq,
    limit: usize,
) -> Result<Vec<Change>, StoreError> {
    let rows = sqlx::query(include_str!("../sql/change_range.sql"))
        .bind(ws.0)
        .bind(position(from_exclusive))
        .bind(position(to_inclusive))
        .bind(limit_of(limit))
        .fetch_all(conn)
        .await
        .map_err(of_statement)?;
    rows.iter().map(change).collect()
}

pub(super) async fn change_of(
    conn: &mut SqliteConnection,
    ws: WorkspaceNo,
    replica_no: ReplicaNo,
    counter: Counter,
) -> Result<Option<Change>, StoreError> {
    let row = sqlx::query(include_str!("../sql/change_by_dot.sql"))
        .bind(ws.0)
        .bind(i64::from(replica_no.0))
        .bind(bits(counter.0))
        .fetch_optional(conn)
        .await
        .map_err(of_statement)?;
    row.as_ref().map(change).transpose()
}

fn change(row: &SqliteRow) -> Result<Change, StoreError> {
    let seq: i64 = row.try_get(0).map_err(of_statement)?;
    let change = codec::decode_change(row.try_get(1).map_err(of_statement)?)?;
    if position(change.seq) != seq {
        let detail = format!("the log has change {} at position {seq}", change.seq);
        return Err(StoreError::Inconsistent(detail));
    }
    Ok(change)
}
