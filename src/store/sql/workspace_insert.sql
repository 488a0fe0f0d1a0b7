INSERT INTO workspace (workspace_id, display_name, created_at_ms)
VALUES ($1, $2, $3)
ON CONFLICT (workspace_id) DO NOTHING
RETURNING workspace_no
