-- A page of the log, in order.
SELECT seq, content
FROM change_log
WHERE workspace_no = $1 AND seq > $2 AND seq <= $3
ORDER BY seq
LIMIT $4
