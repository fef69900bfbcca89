-- needs: option_iv
-- Implied volatility minute by minute: that of the last trade of the order book in each minute in
-- which an option traded, so that it joins options_ohlcv. Null where `status` says why.
-- timestamp [UTC]: Start of the minute
-- close_timestamp [UTC]: Moment of the trade
CREATE VIEW option_iv_1m AS
SELECT
    minute AS timestamp,
    instrument,
    unnest(last)
FROM (
    SELECT
        time_bucket(INTERVAL 1 MINUTE, timestamp) AS minute,
        instrument,
        arg_max(
            {
                close_timestamp: timestamp, price: price, forward: forward, iv: iv,
                iv_low: iv_low, iv_high: iv_high, status: status, exchange_iv: exchange_iv,
                trade_seq: trade_seq
            },
            (timestamp, trade_seq)
        ) AS last
    FROM option_iv
    WHERE NOT is_block AND NOT is_rfq AND NOT is_combo
    GROUP BY ALL
)
ORDER BY instrument, timestamp;
