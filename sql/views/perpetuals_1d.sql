-- needs: perpetuals_ohlcv
-- Perpetuals, resampled from minutes: daily candles from 00:00 UTC.
CREATE VIEW perpetuals_1d AS
SELECT
    time_bucket(INTERVAL 1 DAY, timestamp) AS timestamp,
    instrument,
    arg_min(open, timestamp) AS open,
    max(high) AS high,
    min(low) AS low,
    arg_max(close, timestamp) AS close,
    sum(volume) AS volume,
    sum(cost) AS cost,
    count(*) AS minutes
FROM perpetuals_ohlcv
GROUP BY ALL;
