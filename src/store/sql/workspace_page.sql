-- Workspaces by id.
SELECT workspace_no, workspace_id, display_name, created_at_ms
FROM workspace
WHERE workspace_id > $1
ORDER BY workspace_id
LIMIT $2
