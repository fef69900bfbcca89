-- Rows the table has not, or no longer.
INSERT INTO {table} ({columns})
SELECT {sent}
FROM pg_temp.staged
JOIN pg_temp.differing USING ({key})
WHERE differing.is_staged
