-- Where, in some scope, the lake and a table do not have the same rows, by key. On a compressed
-- chunk this reads, and decompresses nothing in place. Values are compared bit by bit, as checksums
-- are: to IS DISTINCT FROM, 0 and -0 are the same. What only the table has counts where the join is
-- full.
CREATE TEMP TABLE differing AS
SELECT {key}, is_held IS NOT NULL AS is_held, is_staged IS NOT NULL AS is_staged
FROM (SELECT true AS is_held, held.* FROM {table} AS held WHERE {scope}) AS held
{join} JOIN (SELECT true AS is_staged, staged.* FROM pg_temp.staged) AS staged USING ({key})
WHERE is_held IS NULL OR is_staged IS NULL OR ROW({held})::record *<> ROW({staged})::record
