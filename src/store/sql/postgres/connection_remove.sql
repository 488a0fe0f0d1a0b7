DELETE FROM connection
USING unnest($1::bigint[], $2::bytea[]) AS v (workspace_no, connection_id)
WHERE connection.workspace_no = v.workspace_no AND connection.connection_id = v.connection_id
