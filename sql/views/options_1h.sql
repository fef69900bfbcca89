-- needs: options_ohlcv
-- Options, resampled from minutes: hourly candles, of the hours with a trade.
-- timestamp [UTC]: Start of the hour
-- minutes [count]: Minutes with a trade
CREATE VIEW options_1h AS
SELECT
    time_bucket(INTERVAL 1 HOUR, timestamp) AS timestamp,
    instrument,
    arg_min(open, timestamp) AS open,
    max(high) AS high,
    min(low) AS low,
    arg_max(close, timestamp) AS close,
    exact_sum(volume) AS volume,
    exact_sum(cost) AS cost,
    CAST(sum(trades) AS BIGINT) AS trades,
    count(*) AS minutes
FROM options_ohlcv
GROUP BY ALL
ORDER BY instrument, timestamp;
