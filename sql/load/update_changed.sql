-- Rows the lake holds with other values.
WITH changed AS (
    UPDATE {table} AS held SET {assignments}
    FROM pg_temp.staged
    WHERE held.instrument = $1 AND held.timestamp >= $2 AND held.timestamp < $3
        AND staged.timestamp = held.timestamp
        AND ({held}) IS DISTINCT FROM ({staged})
    RETURNING 1
)
SELECT count(*) FROM changed
