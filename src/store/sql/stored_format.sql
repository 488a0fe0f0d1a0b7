-- The first row of all: the first byte of its value says in which format the database is written.
SELECT value FROM state ORDER BY workspace_no, key LIMIT 1
