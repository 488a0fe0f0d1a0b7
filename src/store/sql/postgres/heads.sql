SELECT epoch, head_seq, chain, replica_count, commit_count, workspace_no
FROM workspace_head
WHERE workspace_no = ANY ($1)
