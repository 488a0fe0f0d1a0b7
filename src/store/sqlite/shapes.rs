//! Statements over many rows, in a few fixed sizes so that every text is compiled once per connection.
//!
//! The number of rows is padded to a power of two: lists of keys repeat the last one, rows to write are followed by
//! rows of NULL that the statement filters out. Several statements are in one text, because each text is a round trip
//! to the thread of the connection, and for a small commit those cost more than the disk. Parameters are anonymous: the
//! driver looks named ones up by name each time, which is quadratic in their number.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// What a text writes, and whether it begins and ends the transaction. Numbers of rows are padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Shape {
    pub begin: bool,
    pub heads: usize,
    pub changes: usize,
    pub puts: usize,
    pub deletes: usize,
    pub commit: bool,
}

/// One of the generated texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Text {
    Write(Shape),
    /// State rows by this many keys.
    Rows(usize),
}

static TEXTS: LazyLock<Mutex<HashMap<Text, Arc<str>>>> = LazyLock::new(Mutex::default);

/// The size that `count` rows are padded to; 0 stays 0.
pub(super) fn padded(count: usize) -> usize {
    if count == 0 { 0 } else { count.next_power_of_two() }
}

/// Reads state rows by `keys` keys: a workspace, then the keys.
pub(super) fn rows(keys: usize) -> SqlStr {
    text(Text::Rows(keys))
}

/// Writes of a shape; arguments in the order of the shape's fields.
pub(super) fn write(shape: Shape) -> SqlStr {
    text(Text::Write(shape))
}

fn text(wanted: Text) -> SqlStr {
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    let text = texts.entry(wanted).or_insert_with(|| match wanted {
        Text::Write(shape) => Arc::from(write_text(shape)),
        Text::Rows(keys) => Arc::from(rows_text(keys)),
    });
    // The text is generated from numbers alone.
    AssertSqlSafe(text.clone()).into_sql_str()
}

fn rows_text(keys: usize) -> String {
    format!("SELECT key, value FROM state WHERE workspace_no = ? AND key IN ({})", list("?", keys))
}

fn write_text(shape: Shape) -> String {
    let mut text = String::new();
    if shape.begin {
        text.push_str("BEGIN IMMEDIATE;\n");
    }
    if shape.heads > 0 {
        // Only existing heads are updated: for another workspace the epoch becomes NULL, which the table refuses.
        text.push_str(&format!(
            "INSERT INTO workspace_head (workspace_no, epoch, head_seq, chain, replica_count, commit_count) \
             SELECT column1, (SELECT column2 FROM workspace_head WHERE workspace_no = column1), \
             column3, column4, column5, column6 FROM (VALUES {}) AS v \
             WHERE column1 IS NOT NULL \
             ON CONFLICT (workspace_no) DO UPDATE SET epoch = excluded.epoch, head_seq = excluded.head_seq, \
             chain = excluded.chain, replica_count = excluded.replica_count, \
             commit_count = excluded.commit_count;\n",
            list("(?, ?, ?, ?, ?, ?)", shape.heads)
        ));
    }
    if shape.changes > 0 {
        text.push_str(&format!(
            "INSERT INTO change_log (workspace_no, seq, replica_no, counter, content) \
             SELECT column1, column2, column3, column4, column5 FROM (VALUES {}) AS v \
             WHERE column1 IS NOT NULL;\n",
            list("(?, ?, ?, ?, ?)", shape.changes)
        ));
    }
    if shape.puts > 0 {
        text.push_str(&format!(
            // The whole row is given, so this is the same as an upsert; in a table that is its own index SQLite
            // overwrites in place, with one search for each row instead of two.
            "REPLACE INTO state (workspace_no, key, value) \
             SELECT column1, column2, column3 FROM (VALUES {}) AS v \
             WHERE column1 IS NOT NULL;\n",
            list("(?, ?, ?)", shape.puts)
        ));
    }
    if shape.deletes > 0 {
        text.push_str(&format!(
            // Deletes are of one workspace: with pairs of workspace and key, SQLite would scan the whole table.
            "DELETE FROM state WHERE workspace_no = ? AND key IN ({});\n",
            list("?", shape.deletes)
        ));
    }
    if shape.commit {
        text.push_str("COMMIT;\n");
    }
    text
}

/// One text of each kind that is generated, for tests that compare the engines.
pub fn generated_statements() -> Vec<String> {
    let shape = Shape { heads: 2, changes: 2, puts: 2, deletes: 2, ..Shape::default() };
    let write = write_text(shape);
    write.split_terminator(";\n").map(str::to_owned).chain([rows_text(2)]).collect()
}

fn list(item: &str, count: usize) -> String {
    vec![item; count].join(", ")
}

#[cfg(test)]
mod tests {
    use sqlx::{ConnectOptions, Row};

    use super::*;
    use crate::store::migrations::{Dialect, migrator};

    #[test]
    fn sizes_are_padded_to_powers_of_two() {
        assert_eq!([0, 1, 2, 3, 4, 5, 64, 65].map(padded), [0, 1, 2, 4, 4, 8, 64, 128]);
    }

    #[test]
    fn a_text_holds_the_statements_of_its_shape() {
        let shape = Shape { begin: true, heads: 1, changes: 2, puts: 4, deletes: 1, commit: true };
        assert_eq!(write_text(shape).matches(';').count(), 6);
        assert_eq!(write_text(shape).matches('?').count(), 6 + 2 * 5 + 4 * 3 + 2);
        assert_eq!(rows_text(4).matches('?').count(), 5);
    }

    /// No statement's cost grows with the tables: none scans a table.
    #[tokio::test]
    async fn every_statement_finds_its_rows_by_key() {
        let mut conn = sqlx::sqlite::SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
        migrator(Dialect::Sqlite).run(&mut conn).await.unwrap();
        let mut statements = generated_statements();
        statements.extend(
            [
                include_str!("../sql/workspace_page.sql"),
                include_str!("../sql/workspace_by_id.sql"),
                include_str!("../sql/workspace_insert.sql"),
                include_str!("../sql/head_insert.sql"),
                include_str!("../sql/head_by_workspace.sql"),
                include_str!("../sql/state_range_ascending.sql"),
                include_str!("../sql/state_range_descending.sql"),
                include_str!("../sql/state_count.sql"),
                include_str!("../sql/change_range.sql"),
                include_str!("../sql/change_by_dot.sql"),
            ]
            .map(str::to_owned),
        );
        for statement in statements {
            let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
            for step in plan.fetch_all(&mut conn).await.unwrap() {
                let step: String = step.get(3);
                let walks = ["workspace", "workspace_head", "change_log", "state"].iter().any(|table| {
                    step == format!("SCAN {table}") || step.starts_with(&format!("SCAN {table} "))
                });
                assert!(!walks && !step.contains("TEMP B-TREE"), "{step}: {statement}");
            }
        }
    }
}
