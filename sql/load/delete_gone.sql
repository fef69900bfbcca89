-- Rows of one instrument and span the lake no longer holds.
WITH gone AS (
    DELETE FROM {table} AS held
    WHERE held.instrument = $1 AND held.timestamp >= $2 AND held.timestamp < $3
        AND NOT EXISTS (SELECT FROM pg_temp.staged WHERE staged.timestamp = held.timestamp)
    RETURNING 1
)
SELECT count(*) FROM gone
