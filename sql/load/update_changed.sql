-- Rows the lake holds with other values.
WITH changed AS (
    UPDATE {table} AS held SET {assignments}
    FROM pg_temp.staged
    WHERE {scope} AND {same}
        AND ({held}) IS DISTINCT FROM ({staged})
    RETURNING 1
)
SELECT count(*) FROM changed
