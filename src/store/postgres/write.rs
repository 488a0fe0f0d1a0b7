//! Turning a transaction's gathered writes into few statements, and running them.

use sqlx::Row as _;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

use super::errors::of_statement;
use super::reads::bits;
use super::session::PgSession;
use crate::store::StoreError;
use crate::store::pending::{LogRow, Pending};
use syncline_core::causality::Seq;
use syncline_core::ids::WorkspaceNo;
use syncline_core::state::WorkspaceHead;

/// Maximum number of rows of all kinds in one statement.
const STATEMENT_ROWS_MAX: usize = 2_000;
/// Approximate maximum size of one statement in bytes: no more than its deadline leaves time for. A single row may be
/// larger.
const STATEMENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One statement's rows.
#[derive(Debug, Default)]
pub(super) struct Batch {
    heads: Vec<(WorkspaceNo, WorkspaceHead)>,
    changes: Vec<LogRow>,
    puts: Vec<(WorkspaceNo, Vec<u8>, Vec<u8>)>,
    deletes: Vec<(WorkspaceNo, Vec<u8>)>,
    rows: usize,
    bytes: usize,
}

/// Splits writes into statements; usually one is enough.
pub(super) fn plan(pending: Pending) -> Vec<Batch> {
    let mut plan = Plan(vec![Batch::default()]);
    for head in pending.heads {
        plan.room(0, |batch| batch.heads.push(head));
    }
    for change in pending.changes {
        plan.room(change.content.len(), |batch| batch.changes.push(change));
    }
    for ((ws, key), value) in pending.rows {
        match value {
            Some(value) => plan.room(key.len() + value.len(), |batch| batch.puts.push((ws, key, value))),
            None => plan.room(key.len(), |batch| batch.deletes.push((ws, key))),
        }
    }
    plan.0.retain(|batch| batch.rows > 0);
    plan.0
}

struct Plan(Vec<Batch>);

impl Plan {
    fn room(&mut self, bytes: usize, add: impl FnOnce(&mut Batch)) {
        let full = self.0.last().is_none_or(|last| {
            last.rows >= STATEMENT_ROWS_MAX || (last.rows > 0 && last.bytes + bytes > STATEMENT_BYTES_MAX)
        });
        if full {
            self.0.push(Batch::default());
        }
        if let Some(last) = self.0.last_mut() {
            last.rows += 1;
            last.bytes += bytes;
            add(last);
        }
    }
}

impl Batch {
    /// Runs the statement. A workspace without a head is an error, and so is a position or an operation that is in the
    /// log already.
    pub async fn run(self, session: &mut PgSession) -> Result<(), StoreError> {
        let expected = self.heads.len();
        let rows = session.rows(self.query()?).await.map_err(of_statement)?;
        let found: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0)).map_err(of_statement)?;
        if usize::try_from(found) != Ok(expected) {
            let detail = format!("of {expected} workspaces to write to, {found} are there");
            return Err(StoreError::Inconsistent(detail));
        }
        Ok(())
    }

    fn query(self) -> Result<Query<'static, sqlx::Postgres, PgArguments>, StoreError> {
        let heads = &self.heads;
        let head_seqs = heads.iter().map(|(_, h)| stored(h.head_seq)).collect::<Result<Vec<_>, _>>()?;
        let query = sqlx::query(include_str!("../sql/postgres/write.sql"))
            .bind(heads.iter().map(|(ws, _)| ws.0).collect::<Vec<_>>())
            .bind(heads.iter().map(|(_, h)| bits(h.epoch.0)).collect::<Vec<_>>())
            .bind(head_seqs)
            .bind(heads.iter().map(|(_, h)| h.chain.to_vec()).collect::<Vec<_>>())
            .bind(heads.iter().map(|(_, h)| i64::from(h.replica_count)).collect::<Vec<_>>())
            .bind(heads.iter().map(|(_, h)| bits(h.commit_count)).collect::<Vec<_>>());
        let changes = &self.changes;
        let seqs = changes.iter().map(|c| stored(c.seq)).collect::<Result<Vec<_>, _>>()?;
        let query = query
            .bind(changes.iter().map(|c| c.ws.0).collect::<Vec<_>>())
            .bind(seqs)
            .bind(changes.iter().map(|c| i64::from(c.replica_no.0)).collect::<Vec<_>>())
            .bind(changes.iter().map(|c| bits(c.counter.0)).collect::<Vec<_>>())
            .bind(self.changes.into_iter().map(|c| c.content).collect::<Vec<_>>());
        let mut puts = (Vec::new(), Vec::new(), Vec::new());
        for (ws, key, value) in self.puts {
            puts.0.push(ws.0);
            puts.1.push(key);
            puts.2.push(value);
        }
        let (delete_workspaces, delete_keys): (Vec<_>, Vec<_>) =
            self.deletes.into_iter().map(|(ws, key)| (ws.0, key)).unzip();
        Ok(query.bind(puts.0).bind(puts.1).bind(puts.2).bind(delete_workspaces).bind(delete_keys))
    }
}

fn stored(seq: Seq) -> Result<i64, StoreError> {
    i64::try_from(seq.0).map_err(|_| StoreError::Inconsistent(format!("{seq} is no position")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncline_core::ids::Epoch;

    fn put(n: usize, bytes: usize) -> ((WorkspaceNo, Vec<u8>), Option<Vec<u8>>) {
        ((WorkspaceNo(1), n.to_be_bytes().to_vec()), Some(vec![0; bytes]))
    }

    #[test]
    fn a_usual_transaction_is_one_statement() {
        let mut pending = Pending::default();
        pending.heads.insert(WorkspaceNo(1), WorkspaceHead::new(Epoch(1)));
        pending.rows.extend((0..100).map(|n| put(n, 100)));
        assert_eq!(plan(pending).len(), 1);
        assert_eq!(plan(Pending::default()).len(), 0);
    }

    #[test]
    fn statements_are_cut_by_rows_and_by_bytes() {
        let many =
            Pending { rows: (0..STATEMENT_ROWS_MAX + 1).map(|n| put(n, 1)).collect(), ..Pending::default() };
        assert_eq!(plan(many).iter().map(|b| b.puts.len()).collect::<Vec<_>>(), [STATEMENT_ROWS_MAX, 1]);
        let large =
            Pending { rows: (0..3).map(|n| put(n, STATEMENT_BYTES_MAX - 8)).collect(), ..Pending::default() };
        assert_eq!(plan(large).iter().map(|b| b.puts.len()).collect::<Vec<_>>(), [1, 1, 1]);
    }
}
