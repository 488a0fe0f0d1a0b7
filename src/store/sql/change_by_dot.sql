-- The change an operation became.
SELECT seq, content
FROM change_log
WHERE workspace_no = $1 AND replica_no = $2 AND counter = $3
