//! Turning a transaction's gathered writes into few texts of SQL, and running them.

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Either, Executor, SqliteConnection};
use tokio_stream::StreamExt;

use super::errors::{of_commit, of_statement};
use super::reads::bits;
use super::shapes::{self, Shape, padded};
use crate::store::StoreError;
use crate::store::pending::{LogRow, Pending};
use syncline_core::ids::WorkspaceNo;
use syncline_core::state::WorkspaceHead;

/// A transaction up to these sizes is one text. Above them, round trips no longer matter, and texts of every
/// combination of sizes would only fill the cache of statements.
const SMALL: Limits = Limits { heads: 4, changes: 64, puts: 128, deletes: 8 };
/// Rows in one statement.
const LARGE: Limits = Limits { heads: 64, changes: 256, puts: 256, deletes: 64 };

struct Limits {
    heads: usize,
    changes: usize,
    puts: usize,
    deletes: usize,
}

/// One text with its rows.
#[derive(Debug, Default)]
pub(super) struct Batch {
    begin: bool,
    heads: Vec<(WorkspaceNo, WorkspaceHead)>,
    changes: Vec<LogRow>,
    puts: Vec<(WorkspaceNo, Vec<u8>, Vec<u8>)>,
    /// All of one workspace.
    deletes: Vec<(WorkspaceNo, Vec<u8>)>,
    commit: bool,
}

/// Splits writes into texts, of which the first begins and the last commits the transaction, if asked to.
pub(super) fn plan(pending: Pending, begin: bool, commit: bool) -> Vec<Batch> {
    let mut all = Batch { changes: pending.changes, ..Batch::default() };
    all.heads.extend(pending.heads);
    for ((ws, key), value) in pending.rows {
        match value {
            Some(value) => all.puts.push((ws, key, value)),
            None => all.deletes.push((ws, key)),
        }
    }
    let mut batches = if all.fits(&SMALL) { vec![all] } else { all.cut() };
    if let Some(first) = batches.first_mut() {
        first.begin = begin;
    }
    if let Some(last) = batches.last_mut() {
        last.commit = commit;
    }
    batches
}

impl Batch {
    fn fits(&self, limits: &Limits) -> bool {
        self.heads.len() <= limits.heads
            && self.changes.len() <= limits.changes
            && self.puts.len() <= limits.puts
            && self.deletes.len() <= limits.deletes
            && self.deletes.iter().all(|(ws, _)| Some(ws) == self.deletes.first().map(|(first, _)| first))
    }

    fn cut(self) -> Vec<Batch> {
        let mut batches = Vec::new();
        let heads = chunks(self.heads, LARGE.heads).map(|heads| Batch { heads, ..Batch::default() });
        batches.extend(heads);
        let changes =
            chunks(self.changes, LARGE.changes).map(|changes| Batch { changes, ..Batch::default() });
        batches.extend(changes);
        let puts = chunks(self.puts, LARGE.puts).map(|puts| Batch { puts, ..Batch::default() });
        batches.extend(puts);
        for deletes in self.deletes.chunk_by(|a, b| a.0 == b.0) {
            let deletes = deletes
                .chunks(LARGE.deletes)
                .map(|deletes| Batch { deletes: deletes.to_vec(), ..Batch::default() });
            batches.extend(deletes);
        }
        batches
    }

    fn shape(&self) -> Shape {
        Shape {
            begin: self.begin,
            heads: padded(self.heads.len()),
            changes: padded(self.changes.len()),
            puts: padded(self.puts.len()),
            deletes: padded(self.deletes.len()),
            commit: self.commit,
        }
    }

    /// Runs the text. Afterwards the transaction is as the batch says, or it has to be rolled back.
    ///
    /// The connection's thread goes through the text by itself and stops at the first error only, so whatever
    /// must prevent the commit has to be an error in SQL: by the time a result is looked at here, the commit
    /// may be done.
    pub async fn run(self, conn: &mut SqliteConnection) -> Result<(), StoreError> {
        let shape = self.shape();
        let statements = [
            shape.begin,
            shape.heads > 0,
            shape.changes > 0,
            shape.puts > 0,
            shape.deletes > 0,
            shape.commit,
        ];
        let statement_count = statements.iter().filter(|there| **there).count();
        if statement_count == 0 {
            return Ok(());
        }
        let arguments = self.arguments(&shape).map_err(|e| of_statement(sqlx::Error::Encode(e)))?;
        let mut results = conn.fetch_many(sqlx::query_with(shapes::write(shape), arguments));
        let mut done = 0;
        while done < statement_count {
            let at_commit = shape.commit && done + 1 == statement_count;
            match results.next().await {
                Some(Ok(Either::Left(_))) => done += 1,
                Some(Ok(Either::Right(_))) => {}
                Some(Err(e)) if at_commit => return Err(of_commit(e)),
                Some(Err(e)) => return Err(of_statement(e)),
                // The connection's thread ended in the middle; the rest of the text may have been executed.
                None if shape.commit => return Err(of_commit(sqlx::Error::WorkerCrashed)),
                None => return Err(of_statement(sqlx::Error::WorkerCrashed)),
            }
        }
        Ok(())
    }

    fn arguments(self, shape: &Shape) -> Result<SqliteArguments, sqlx::error::BoxDynError> {
        let mut out = SqliteArguments::default();
        out.reserve(shape.heads * 6 + shape.changes * 5 + shape.puts * 3 + shape.deletes + 1, 0);
        let padding = [
            (shape.heads - self.heads.len()) * 6,
            (shape.changes - self.changes.len()) * 5,
            (shape.puts - self.puts.len()) * 3,
        ];
        for (ws, head) in self.heads {
            out.add(ws.0)?;
            out.add(bits(head.epoch.0))?;
            out.add(i64::try_from(head.head_seq.0)?)?;
            out.add(head.chain.as_slice())?;
            out.add(i64::from(head.replica_count))?;
            out.add(bits(head.commit_count))?;
        }
        pad(&mut out, padding[0])?;
        for change in self.changes {
            out.add(change.ws.0)?;
            out.add(i64::try_from(change.seq.0)?)?;
            out.add(i64::from(change.replica_no.0))?;
            out.add(bits(change.counter.0))?;
            out.add(change.content)?;
        }
        pad(&mut out, padding[1])?;
        for (ws, key, value) in self.puts {
            out.add(ws.0)?;
            out.add(key)?;
            out.add(value)?;
        }
        pad(&mut out, padding[2])?;
        if let Some((ws, last)) = self.deletes.last() {
            out.add(ws.0)?;
            for n in 0..shape.deletes {
                out.add(self.deletes.get(n).map_or(last, |(_, key)| key).as_slice())?;
            }
        }
        Ok(out)
    }
}

fn pad(out: &mut SqliteArguments, count: usize) -> Result<(), sqlx::error::BoxDynError> {
    (0..count).try_for_each(|_| out.add(None::<i64>))
}

fn chunks<T>(all: Vec<T>, size: usize) -> impl Iterator<Item = Vec<T>> {
    let mut all = all.into_iter();
    std::iter::from_fn(move || {
        Some(all.by_ref().take(size).collect::<Vec<T>>()).filter(|chunk| !chunk.is_empty())
    })
}
