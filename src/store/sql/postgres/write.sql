-- Everything a transaction writes, in one round trip. The number of heads that were there comes back.
WITH head AS (
    UPDATE workspace_head
    SET epoch = v.epoch, head_seq = v.head_seq, chain = v.chain, replica_count = v.replica_count,
        commit_count = v.commit_count
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bigint[], $6::bigint[])
        AS v (workspace_no, epoch, head_seq, chain, replica_count, commit_count)
    WHERE workspace_head.workspace_no = v.workspace_no
    RETURNING 1
), appended AS (
    INSERT INTO change_log (workspace_no, seq, replica_no, counter, content)
    SELECT workspace_no, seq, replica_no, counter, content
    FROM unnest($7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bytea[])
        AS v (workspace_no, seq, replica_no, counter, content)
), put AS (
    INSERT INTO state (workspace_no, key, value)
    SELECT workspace_no, key, value
    FROM unnest($12::bigint[], $13::bytea[], $14::bytea[]) AS v (workspace_no, key, value)
    ON CONFLICT (workspace_no, key) DO UPDATE SET value = excluded.value
), deleted AS (
    DELETE FROM state
    USING unnest($15::bigint[], $16::bytea[]) AS v (workspace_no, key)
    WHERE state.workspace_no = v.workspace_no AND state.key = v.key
)
SELECT count(*) FROM head
