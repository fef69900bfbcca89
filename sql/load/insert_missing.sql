-- Rows only the lake holds.
WITH missing AS (
    INSERT INTO {table} ({columns})
    SELECT {columns} FROM pg_temp.staged
    WHERE NOT EXISTS (
        SELECT FROM {table} AS held
        WHERE held.instrument = $1 AND held.timestamp >= $2 AND held.timestamp < $3
            AND held.timestamp = staged.timestamp
    )
    RETURNING 1
)
SELECT count(*) FROM missing
