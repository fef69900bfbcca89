-- Holes longer than $3 minutes in instrument $1, whose rows come every $2 minutes.
SELECT
    instrument,
    previous + $2 * INTERVAL '1 minute' AS start,
    timestamp AS "end",
    trunc(extract(epoch FROM timestamp - previous) / 60 - $2)::bigint AS minutes
FROM (
    SELECT
        instrument,
        timestamp,
        lag(timestamp) OVER (PARTITION BY instrument ORDER BY timestamp) AS previous
    FROM {table}
    WHERE instrument = $1
) AS neighbours
WHERE timestamp - previous > ($2 + $3) * INTERVAL '1 minute'
    AND trunc(extract(epoch FROM timestamp - previous) / 60 - $2) > $3
ORDER BY timestamp
