INSERT INTO workspace_head (workspace_no, epoch, head_seq, chain, replica_count, commit_count)
VALUES ($1, $2, $3, $4, $5, $6)
