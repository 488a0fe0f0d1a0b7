SELECT epoch, head_seq, chain, replica_count, commit_count
FROM workspace_head
WHERE workspace_no = $1
