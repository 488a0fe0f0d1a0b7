-- What somebody else is at is left to them.
DELETE FROM connection
USING (
    SELECT workspace_no, connection_id
    FROM connection
    WHERE workspace_no = ANY ($1)
        AND lease_expires_at_ms <= (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
    FOR UPDATE SKIP LOCKED
) AS ended
WHERE connection.workspace_no = ended.workspace_no AND connection.connection_id = ended.connection_id
