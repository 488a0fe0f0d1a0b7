-- Connections whose lease runs, with what is left of it.
SELECT connection_id, lease_expires_at_ms - clock.now_ms, content
FROM connection, (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms) AS clock
WHERE workspace_no = $1 AND connection_id > $2 AND lease_expires_at_ms > clock.now_ms
ORDER BY connection_id
LIMIT $3
