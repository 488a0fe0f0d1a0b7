-- Commits of a workspace so far. Not every commit moves the position (a held or a refused operation, a schema), so this
-- is what tells a server whether its copy in memory is still the latest.
ALTER TABLE workspace_head ADD COLUMN commit_count BIGINT NOT NULL DEFAULT 0;
