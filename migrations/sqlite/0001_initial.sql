-- The first schema: four narrow tables, the same columns on every engine.
--
-- Only INTEGER, TEXT and BLOB (BIGINT, TEXT and BYTEA elsewhere). Times are milliseconds since 1970. Unsigned
-- 64-bit numbers are stored by their bits: epochs and counters are only compared for equality, and positions
-- never reach the sign bit. Once released, this file never changes; the next change of the schema is 0002.

-- Workspaces as people name them. Everything else goes by the number, which is short and never changes.
CREATE TABLE workspace (
    workspace_no  INTEGER PRIMARY KEY,
    workspace_id  TEXT    NOT NULL UNIQUE,
    display_name  TEXT    NOT NULL,
    created_at_ms INTEGER NOT NULL
);

-- The hot row of a workspace, written by every commit; on engines with several writers also its lock.
CREATE TABLE workspace_head (
    workspace_no  INTEGER PRIMARY KEY,
    epoch         INTEGER NOT NULL,
    head_seq      INTEGER NOT NULL,
    chain         BLOB    NOT NULL,
    replica_count INTEGER NOT NULL
);

-- The order of every workspace. Rows are only ever added, at the end; compaction cuts from the front.
CREATE TABLE change_log (
    workspace_no INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    replica_no   INTEGER NOT NULL,
    counter      INTEGER NOT NULL,
    content      BLOB    NOT NULL,
    PRIMARY KEY (workspace_no, seq)
);

-- An operation settles once, and is found again when it is sent again.
CREATE UNIQUE INDEX change_log_dot ON change_log (workspace_no, replica_no, counter);

-- Everything else by key, in the order of the keys: the table is its own index.
CREATE TABLE state (
    workspace_no INTEGER NOT NULL,
    key          BLOB    NOT NULL,
    value        BLOB    NOT NULL,
    PRIMARY KEY (workspace_no, key)
) WITHOUT ROWID;
