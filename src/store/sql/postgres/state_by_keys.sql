SELECT key, value
FROM state
WHERE workspace_no = $1 AND key = ANY ($2)
