-- The first key of a range of every workspace, some workspaces at a time.
SELECT w.workspace_no, first.key
FROM (
    SELECT workspace_no
    FROM workspace_head
    WHERE workspace_no > $1
    ORDER BY workspace_no
    LIMIT $2
) AS w
LEFT JOIN LATERAL (
    SELECT key
    FROM state
    WHERE state.workspace_no = w.workspace_no AND key >= $3 AND key < $4
    ORDER BY key
    LIMIT 1
) AS first ON TRUE
ORDER BY w.workspace_no
