-- Minute candles of instrument $1 in [$2, $3) that look wrong, by a tick of $4 (0: not known) and
-- a cost/volume at most $5 basis points off the bar. A hair more is caught than the rules of
-- validators/quality/sanity.py allow for: those name each fault, and have the last word.
SELECT timestamp, instrument, open, high, low, close, volume, cost
FROM {table}
WHERE instrument = $1 AND timestamp >= $2 AND timestamp < $3
    AND CASE
        WHEN timestamp <> time_bucket(INTERVAL '1 minute', timestamp) THEN true
        -- Not positive, infinite, NaN (greatest of all here), or so far out that a quotient
        -- would overflow, which PostgreSQL makes an error.
        WHEN least(open, high, low, close) < 1e-12 OR least(volume, cost) < 0 THEN true
        WHEN greatest(open, high, low, close, volume, cost) > 1e15 THEN true
        WHEN low > least(open, close) OR high < greatest(open, close) THEN true
        WHEN $4 > 0 AND (
            abs(open / $4 - round(open / $4)) > 0.9e-6
            OR abs(high / $4 - round(high / $4)) > 0.9e-6
            OR abs(low / $4 - round(low / $4)) > 0.9e-6
            OR abs(close / $4 - round(close / $4)) > 0.9e-6
        ) THEN true
        WHEN volume = 0 OR cost = 0 THEN volume <> cost OR low <> high
        WHEN least(volume, cost) < 1e-12 THEN true
        ELSE cost / volume / high > 1 + 0.999e-4 * $5 OR cost / volume / low < 1 - 0.999e-4 * $5
    END
ORDER BY timestamp
