-- Who is connected, to whichever server. Rows live as long as their lease; a server writes those of its clients, a few
-- times a minute and many at once. Nothing here has a part in ordering or merging.
CREATE TABLE connection (
    workspace_no        BIGINT NOT NULL,
    -- 16 bytes, from the server that opened it.
    connection_id       BYTEA  NOT NULL,
    -- By this database's clock, so that servers whose clocks differ agree on who is there.
    lease_expires_at_ms BIGINT NOT NULL,
    content             BYTEA  NOT NULL,
    PRIMARY KEY (workspace_no, connection_id)
) WITH (fillfactor = 70);
