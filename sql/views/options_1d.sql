-- needs: options_ohlcv
-- Options, resampled from minutes: daily candles from 00:00 UTC, of the days with a trade.
-- timestamp [UTC]: Start of the day
-- minutes [count]: Minutes with a trade
CREATE VIEW options_1d AS
SELECT
    time_bucket(INTERVAL 24 HOUR, timestamp) AS timestamp,
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
