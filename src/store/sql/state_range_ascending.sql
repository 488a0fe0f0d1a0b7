-- A page of a range of keys, from its start.
SELECT key, value
FROM state
WHERE workspace_no = $1 AND key >= $2 AND key < $3
ORDER BY key
LIMIT $4
