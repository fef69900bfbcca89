-- Compression and continuous aggregates where TimescaleDB's licence allows them; elsewhere plain
-- views of the same names, so that queries read the same everywhere. Retention is off: to keep
-- five years only, SELECT add_retention_policy('options_ohlcv', INTERVAL '5 years').
--
-- Run by `deribit-lake db init`, or: psql -1 -v ON_ERROR_STOP=1 -f sql/policies.sql
-- A second run changes nothing. The views are those of the lake (sql/views).

DO $$
DECLARE
    has_policies boolean := current_setting('timescaledb.license') = 'timescale';
    hypertable text;
    resampled record;
    body text;
    kind text;
BEGIN
    FOR resampled IN
        SELECT * FROM (VALUES
            ('perpetuals_1h', 'time_bucket(INTERVAL ''1 hour'', timestamp)', 'hourly'),
            ('perpetuals_1d', 'time_bucket(INTERVAL ''1 day'', timestamp)', 'daily, from 00:00 UTC')
        ) AS views (name, bucket, title)
    LOOP
        body := format(
            'SELECT %s AS timestamp, instrument, first(open, timestamp) AS open, '
            'max(high) AS high, min(low) AS low, last(close, timestamp) AS close, '
            'sum(volume) AS volume, sum(cost) AS cost, count(*) AS minutes '
            'FROM public.perpetuals_ohlcv GROUP BY 1, 2',
            resampled.bucket
        );
        kind := CASE
            WHEN to_regclass('public.' || resampled.name) IS NULL THEN 'none'
            WHEN EXISTS (
                SELECT FROM timescaledb_information.continuous_aggregates
                WHERE view_schema = 'public' AND view_name = resampled.name
            ) THEN 'aggregate'
            ELSE 'view'
        END;
        IF NOT has_policies THEN
            EXECUTE format('CREATE OR REPLACE VIEW public.%I AS %s', resampled.name, body);
        ELSE
            IF kind = 'view' THEN
                EXECUTE format('DROP VIEW public.%I CASCADE', resampled.name);
            END IF;
            IF kind <> 'aggregate' THEN
                EXECUTE format(
                    'CREATE MATERIALIZED VIEW public.%I WITH (timescaledb.continuous, '
                    'timescaledb.materialized_only = false) AS %s WITH NO DATA',
                    resampled.name, body
                );
            END IF;
            PERFORM add_continuous_aggregate_policy(
                format('public.%I', resampled.name)::regclass,
                start_offset => NULL, end_offset => INTERVAL '1 day',
                schedule_interval => INTERVAL '1 hour', if_not_exists => true
            );
        END IF;
        EXECUTE format(
            'COMMENT ON VIEW public.%I IS %L',
            resampled.name, 'Candles of perpetuals, ' || resampled.title
        );
    END LOOP;

    IF has_policies THEN
        FOR hypertable IN
            SELECT hypertable_name FROM timescaledb_information.hypertables
            WHERE hypertable_schema = 'public' AND NOT compression_enabled
        LOOP
            EXECUTE format(
                'ALTER TABLE public.%I SET (timescaledb.compress, '
                'timescaledb.compress_segmentby = ''instrument'', '
                'timescaledb.compress_orderby = ''timestamp'')',
                hypertable
            );
            PERFORM add_compression_policy(
                format('public.%I', hypertable)::regclass,
                compress_after => INTERVAL '60 days', if_not_exists => true
            );
        END LOOP;
    END IF;
END
$$;

-- The exchange's day, from hours: aggregates with an origin of their own need TimescaleDB 2.16.
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
FROM public.perpetuals_1h
GROUP BY 1, 2;
COMMENT ON VIEW public.perpetuals_1d_0800 IS 'Candles of perpetuals, daily, from 08:00 UTC';
