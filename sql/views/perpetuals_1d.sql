-- needs: perpetuals_ohlcv
-- Perpetuals, resampled from minutes: daily candles from 00:00 UTC.
-- timestamp [UTC]: Start of the day
-- minutes [count]: Minutes with a candle
CREATE VIEW perpetuals_1d AS
SELECT
    -- A day is 24 hours in UTC, and said so it takes a quarter of the time.
    time_bucket(INTERVAL 24 HOUR, timestamp) AS timestamp,
    instrument,
    arg_min(open, timestamp) AS open,
    max(high) AS high,
    min(low) AS low,
    arg_max(close, timestamp) AS close,
    exact_sum(volume) AS volume,
    exact_sum(cost) AS cost,
    count(*) AS minutes
FROM perpetuals_ohlcv
GROUP BY ALL
ORDER BY instrument, timestamp;
