-- Rows in the order of their keys, so that two servers never wait for each other.
INSERT INTO connection (workspace_no, connection_id, lease_expires_at_ms, content)
SELECT workspace_no, connection_id, (extract(epoch FROM clock_timestamp()) * 1000)::bigint + lease_ms, content
FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bytea[])
    AS v (workspace_no, connection_id, lease_ms, content)
ORDER BY workspace_no, connection_id
ON CONFLICT (workspace_no, connection_id) DO UPDATE
SET lease_expires_at_ms = excluded.lease_expires_at_ms, content = excluded.content
