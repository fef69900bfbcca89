-- needs: option_trades
-- The last trade of each option at a moment, no older than a tolerance, of the options that have not
-- expired by then and without blocks and combos:
-- FROM chain_at(TIMESTAMPTZ '2024-06-01 12:00', INTERVAL 24 HOUR)
CREATE MACRO chain_at(moment, tolerance := INTERVAL 24 HOUR) AS TABLE
WITH last AS (
    SELECT
        instrument,
        arg_max(
            {
                timestamp: timestamp, price: price, amount: amount, iv: iv,
                mark_price: mark_price, index_price: index_price
            },
            (timestamp, trade_seq)
        ) AS trade
    FROM option_trades
    WHERE timestamp <= CAST(moment AS TIMESTAMPTZ)
        AND timestamp >= CAST(moment AS TIMESTAMPTZ) - tolerance
        AND block_trade_id IS NULL AND block_rfq_id IS NULL AND combo_id IS NULL
    GROUP BY instrument
)

SELECT
    timezone('UTC', strptime(split_part(instrument, '-', 2), '%d%b%y') + INTERVAL 8 HOUR) AS expiry,
    CAST(replace(split_part(instrument, '-', 3), 'd', '.') AS DOUBLE) AS strike,
    CASE split_part(instrument, '-', 4) WHEN 'C' THEN 'call' ELSE 'put' END AS option_type,
    instrument,
    unnest(trade)
FROM last
WHERE expiry > CAST(moment AS TIMESTAMPTZ)
ORDER BY expiry, strike, option_type, instrument;
