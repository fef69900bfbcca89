-- needs: perpetuals_ohlcv
-- Perpetuals, resampled from minutes: hourly candles.
-- timestamp [UTC]: Start of the hour
-- minutes [count]: Minutes with a candle
CREATE VIEW perpetuals_1h AS
SELECT
    time_bucket(INTERVAL 1 HOUR, timestamp) AS timestamp,
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
