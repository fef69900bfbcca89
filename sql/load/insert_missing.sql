-- Rows only the lake holds.
WITH missing AS (
    INSERT INTO {table} ({columns})
    SELECT {sent} FROM pg_temp.staged
    WHERE NOT EXISTS (SELECT FROM {table} AS held WHERE {scope} AND {same})
    RETURNING 1
)
SELECT count(*) FROM missing
