SELECT count(*)
FROM state
WHERE workspace_no = $1 AND key >= $2 AND key < $3
