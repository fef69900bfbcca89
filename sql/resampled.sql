-- Hourly and daily candles under the names the lake's views have (sql/views). The rows of perpetuals
-- are kept by the loader, in the transaction of the minutes they are made of; those of options are
-- plain views.
--
-- Run by `deribit-lake db init`, or: psql -1 -v ON_ERROR_STOP=1 -f sql/resampled.sql
-- A second run changes nothing.

CREATE OR REPLACE VIEW public.perpetuals_1h AS
SELECT timestamp, instrument, open, high, low, close, volume, cost, minutes
FROM reference.perpetuals_1h;
COMMENT ON VIEW public.perpetuals_1h IS 'Candles of perpetuals, hourly';

CREATE OR REPLACE VIEW public.perpetuals_1d AS
SELECT timestamp, instrument, open, high, low, close, volume, cost, minutes
FROM reference.perpetuals_1d;
COMMENT ON VIEW public.perpetuals_1d IS 'Candles of perpetuals, daily, from 00:00 UTC';

-- Sums of at most 24 hours, as doubles: within 1e-14 of the lake's.
CREATE OR REPLACE VIEW public.perpetuals_1d_0800 AS
SELECT
    time_bucket(INTERVAL '1 day', timestamp, TIMESTAMPTZ '2000-01-01 08:00:00+00') AS timestamp,
    instrument,
    first(open, timestamp) AS open,
    max(high) AS high,
    min(low) AS low,
    last(close, timestamp) AS close,
    sum(volume) AS volume,
    sum(cost) AS cost,
    sum(minutes)::bigint AS minutes
FROM reference.perpetuals_1h
GROUP BY 1, 2;
COMMENT ON VIEW public.perpetuals_1d_0800 IS 'Candles of perpetuals, daily, from 08:00 UTC';

-- Options have rows for minutes with a trade alone, and so do their hours and days. Sums of doubles,
-- in the order of the index: within 1e-14 of the lake's.
CREATE OR REPLACE VIEW public.options_1h AS
SELECT
    time_bucket(INTERVAL '1 hour', timestamp) AS timestamp,
    instrument,
    first(open, timestamp) AS open,
    max(high) AS high,
    min(low) AS low,
    last(close, timestamp) AS close,
    sum(volume) AS volume,
    sum(cost) AS cost,
    count(*) AS minutes
FROM public.options_ohlcv
GROUP BY 1, 2;
COMMENT ON VIEW public.options_1h IS 'Candles of options, hourly';

CREATE OR REPLACE VIEW public.options_1d AS
SELECT
    time_bucket(INTERVAL '1 day', timestamp) AS timestamp,
    instrument,
    first(open, timestamp) AS open,
    max(high) AS high,
    min(low) AS low,
    last(close, timestamp) AS close,
    sum(volume) AS volume,
    sum(cost) AS cost,
    count(*) AS minutes
FROM public.options_ohlcv
GROUP BY 1, 2;
COMMENT ON VIEW public.options_1d IS 'Candles of options, daily, from 00:00 UTC';

-- The last trade of the order book in each minute, so that it joins options_ohlcv.
CREATE OR REPLACE VIEW public.option_iv_1m AS
SELECT DISTINCT ON (instrument, time_bucket(INTERVAL '1 minute', timestamp))
    time_bucket(INTERVAL '1 minute', timestamp) AS timestamp,
    instrument,
    timestamp AS close_timestamp,
    price,
    forward,
    iv,
    iv_low,
    iv_high,
    status,
    exchange_iv,
    trade_seq
FROM reference.option_iv
WHERE NOT is_block AND NOT is_rfq AND NOT is_combo
ORDER BY
    instrument,
    time_bucket(INTERVAL '1 minute', reference.option_iv.timestamp),
    reference.option_iv.timestamp DESC,
    trade_seq DESC;
COMMENT ON VIEW public.option_iv_1m IS 'Implied volatility of the last trade of each minute of an option';
