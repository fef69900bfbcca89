-- Rows in some scope that the lake no longer holds.
WITH gone AS (
    DELETE FROM {table} AS held
    WHERE {scope}
        AND NOT EXISTS (SELECT FROM pg_temp.staged WHERE {same})
    RETURNING 1
)
SELECT count(*) FROM gone
