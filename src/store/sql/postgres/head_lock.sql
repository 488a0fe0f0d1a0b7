-- The head, locked until the transaction ends. A statement of its own: what is read in the one that waits for the lock
-- can be older than what it waited for.
SELECT epoch, head_seq, chain, replica_count, commit_count
FROM workspace_head
WHERE workspace_no = $1
FOR NO KEY UPDATE
