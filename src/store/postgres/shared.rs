//! What servers tell each other through the database they share.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use uuid::Uuid;

use super::connections::PgPool;
use super::errors::of_statement;
use super::listen::NotificationListener;
use super::reads::{head_of, limit_of};
use crate::store::{Announced, SharedConnection, SharedStore, StoreError, codec};
use syncline_core::ids::WorkspaceNo;
use syncline_core::state::{Key, Prefix, WorkspaceHead};

/// Maximum size of one announcement in bytes; the server accepts fewer than 8,000.
const ANNOUNCEMENT_BYTES_MAX: usize = 7_000;
/// Maximum number of connections in one statement.
const CONNECTIONS_PER_STATEMENT_MAX: usize = 1_000;
/// Longest lease: beyond it, adding to the clock could overflow.
const LEASE_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// One server's access to the shared database.
pub(super) struct Shared {
    /// For reads: single statements, each on the newest state.
    readers: PgPool,
    /// For hints and presence, which may be lost in a crash: their commits do not wait for the disk.
    signals: PgPool,
    listener: NotificationListener,
}

impl Shared {
    pub fn new(readers: PgPool, signals: PgPool, listener: NotificationListener) -> Shared {
        Shared { readers, signals, listener }
    }

    /// Stops listening.
    pub async fn close(&self) {
        self.listener.close().await;
    }
}

/// One statement outside of any transaction. A connection that turns out to be dead is replaced once: every statement
/// here can be repeated.
async fn single<'q>(
    connections: &PgPool,
    query: impl Fn() -> Query<'q, sqlx::Postgres, PgArguments>,
) -> Result<Vec<PgRow>, StoreError> {
    let mut session = connections.session().await?;
    let mut rows = session.rows(query()).await;
    if rows.is_err() && session.is_kept() && session.is_lost() {
        session = connections.session().await?;
        rows = session.rows(query()).await;
    }
    let rows = rows.map_err(of_statement)?;
    session.ended();
    Ok(rows)
}

#[async_trait]
impl SharedStore for Shared {
    async fn announce(&self, workspaces: &[WorkspaceNo]) -> Result<(), StoreError> {
        for payload in payloads(workspaces) {
            let query = || sqlx::query(include_str!("../sql/postgres/announce.sql")).bind(&payload);
            single(&self.signals, query).await?;
        }
        Ok(())
    }

    async fn announced(&self) -> Announced {
        self.listener.heard().await
    }

    async fn heads(
        &self,
        workspaces: &[WorkspaceNo],
    ) -> Result<Vec<(WorkspaceNo, WorkspaceHead)>, StoreError> {
        let numbers: Vec<i64> = workspaces.iter().map(|ws| ws.0).collect();
        let query = || sqlx::query(include_str!("../sql/postgres/heads.sql")).bind(&numbers);
        let rows = single(&self.readers, query).await?;
        rows.iter()
            .map(|row| Ok((row.try_get(5).map(WorkspaceNo).map_err(of_statement)?, head_of(row)?)))
            .collect()
    }

    async fn first_keys(
        &self,
        prefix: &Prefix,
        after: WorkspaceNo,
        limit: usize,
    ) -> Result<Vec<(WorkspaceNo, Option<Key>)>, StoreError> {
        let (start, end) = codec::prefix_range(prefix)?;
        let query = || {
            sqlx::query(include_str!("../sql/postgres/first_keys.sql"))
                .bind(after.0)
                .bind(limit_of(limit))
                .bind(&start)
                .bind(&end)
        };
        let rows = single(&self.readers, query).await?;
        rows.iter()
            .map(|row| {
                let key: Option<&[u8]> = row.try_get(1).map_err(of_statement)?;
                let ws = row.try_get(0).map(WorkspaceNo).map_err(of_statement)?;
                Ok((ws, key.map(codec::decode_key).transpose()?))
            })
            .collect()
    }

    async fn put_connections(&self, connections: &[SharedConnection]) -> Result<(), StoreError> {
        for connections in connections.chunks(CONNECTIONS_PER_STATEMENT_MAX) {
            self.put(connections).await?;
        }
        Ok(())
    }

    async fn remove_connections(&self, connections: &[(WorkspaceNo, Uuid)]) -> Result<(), StoreError> {
        for connections in connections.chunks(CONNECTIONS_PER_STATEMENT_MAX) {
            let (workspaces, ids): (Vec<_>, Vec<_>) =
                connections.iter().map(|(ws, id)| (ws.0, id.as_bytes().to_vec())).unzip();
            let query = || {
                sqlx::query(include_str!("../sql/postgres/connection_remove.sql"))
                    .bind(&workspaces)
                    .bind(&ids)
            };
            single(&self.signals, query).await?;
        }
        Ok(())
    }

    async fn connections(
        &self,
        ws: WorkspaceNo,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<SharedConnection>, StoreError> {
        // An empty id sorts before every other one.
        let after = after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
        let query = || {
            sqlx::query(include_str!("../sql/postgres/connection_page.sql"))
                .bind(ws.0)
                .bind(&after)
                .bind(limit_of(limit))
        };
        single(&self.readers, query).await?.iter().map(|row| connection_of(ws, row)).collect()
    }

    async fn connection(&self, ws: WorkspaceNo, id: Uuid) -> Result<Option<SharedConnection>, StoreError> {
        let query = || {
            sqlx::query(include_str!("../sql/postgres/connection_by_id.sql"))
                .bind(ws.0)
                .bind(id.as_bytes().as_slice().to_vec())
        };
        single(&self.readers, query).await?.first().map(|row| connection_of(ws, row)).transpose()
    }
}

impl Shared {
    async fn put(&self, connections: &[SharedConnection]) -> Result<(), StoreError> {
        // Of several connections with one id the last one counts; one statement cannot write a row twice.
        let unique: std::collections::BTreeMap<_, _> =
            connections.iter().map(|c| ((c.ws, c.id), c)).collect();
        let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let lease_max_ms = LEASE_MAX.as_millis().min(i64::MAX as u128) as u64;
        for connection in unique.values() {
            columns.0.push(connection.ws.0);
            columns.1.push(connection.id.as_bytes().to_vec());
            columns.2.push(connection.lease_ms.min(lease_max_ms).cast_signed());
            columns.3.push(codec::encode_connection(&connection.content));
        }
        let put = || {
            sqlx::query(include_str!("../sql/postgres/connection_put.sql"))
                .bind(&columns.0)
                .bind(&columns.1)
                .bind(&columns.2)
                .bind(&columns.3)
        };
        single(&self.signals, put).await?;
        let mut workspaces = columns.0.clone();
        workspaces.dedup();
        let expire = || sqlx::query(include_str!("../sql/postgres/connection_expire.sql")).bind(&workspaces);
        single(&self.signals, expire).await?;
        Ok(())
    }
}

fn connection_of(ws: WorkspaceNo, row: &PgRow) -> Result<SharedConnection, StoreError> {
    let id: &[u8] = row.try_get(0).map_err(of_statement)?;
    let lease_ms: i64 = row.try_get(1).map_err(of_statement)?;
    Ok(SharedConnection {
        ws,
        id: Uuid::from_slice(id).map_err(|_| {
            StoreError::Inconsistent(format!("the id of a connection has {} bytes", id.len()))
        })?,
        lease_ms: u64::try_from(lease_ms).unwrap_or_default(),
        content: codec::decode_connection(row.try_get(2).map_err(of_statement)?)?,
    })
}

/// Workspace numbers as texts that fit into announcements.
fn payloads(workspaces: &[WorkspaceNo]) -> Vec<String> {
    let mut payloads: Vec<String> = Vec::new();
    for ws in workspaces {
        let number = ws.to_string();
        match payloads.last_mut() {
            Some(last) if last.len() + 1 + number.len() <= ANNOUNCEMENT_BYTES_MAX => {
                last.push(' ');
                last.push_str(&number);
            }
            _ => payloads.push(number),
        }
    }
    payloads
}

/// The workspaces of an announcement; `None` when it is not one of ours.
pub(super) fn announced_in(payload: &str) -> Option<Vec<WorkspaceNo>> {
    payload.split(' ').map(|number| number.parse().ok().map(WorkspaceNo)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_hold_every_workspace_and_never_too_much() {
        let workspaces: Vec<WorkspaceNo> = (0..5_000).map(|n| WorkspaceNo(i64::MAX - n)).collect();
        let payloads = payloads(&workspaces);
        assert!(payloads.len() > 1 && payloads.iter().all(|p| p.len() <= ANNOUNCEMENT_BYTES_MAX));
        let heard: Vec<WorkspaceNo> = payloads.iter().flat_map(|p| announced_in(p).unwrap()).collect();
        assert_eq!(heard, workspaces);
        assert_eq!(announced_in("hello"), None);
    }
}
