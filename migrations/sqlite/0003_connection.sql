-- Nothing: one server owns the file, so who is connected is known in its memory. Where several servers share a database,
-- this migration makes the table `connection`.
SELECT 1;
