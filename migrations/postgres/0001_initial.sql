-- The first schema: four narrow tables, the same columns on every engine.
--
-- Only BIGINT, TEXT and BYTEA. Times are milliseconds since 1970. Unsigned 64-bit numbers are stored by their bits:
-- epochs and counters are only compared for equality, and positions never reach the sign bit. Once released, this file
-- never changes; the next change of the schema has the next number.

-- Workspaces as people name them. Everything else goes by the number, which is short and never changes.
CREATE TABLE workspace (
    workspace_no  BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- By bytes, as on every other engine: the order of pages must not depend on a locale.
    workspace_id  TEXT   COLLATE "C" NOT NULL UNIQUE,
    display_name  TEXT   NOT NULL,
    created_at_ms BIGINT NOT NULL
);

-- The hot row of a workspace, written by every commit and locked by whoever writes. Half a page stays free, so that a
-- new version of the row finds its place beside the old one and no index has to be touched.
CREATE TABLE workspace_head (
    workspace_no  BIGINT PRIMARY KEY,
    epoch         BIGINT NOT NULL,
    head_seq      BIGINT NOT NULL,
    chain         BYTEA  NOT NULL,
    replica_count BIGINT NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- The order of every workspace. Rows are only ever added, at the end; compaction cuts from the front.
CREATE TABLE change_log (
    workspace_no BIGINT NOT NULL,
    seq          BIGINT NOT NULL,
    replica_no   BIGINT NOT NULL,
    counter      BIGINT NOT NULL,
    content      BYTEA  NOT NULL,
    PRIMARY KEY (workspace_no, seq)
);

-- An operation settles once, and is found again when it is sent again.
CREATE UNIQUE INDEX change_log_dot ON change_log (workspace_no, replica_no, counter);

-- Everything else by key, in the order of the keys.
CREATE TABLE state (
    workspace_no BIGINT NOT NULL,
    key          BYTEA  NOT NULL,
    value        BYTEA  NOT NULL,
    PRIMARY KEY (workspace_no, key)
) WITH (fillfactor = 90);
