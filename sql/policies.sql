-- Compression of chunks older than 60 days, where TimescaleDB's licence allows it; elsewhere this
-- does nothing. What rows are kept apart and sorted by was measured: docs/database.md. Settings a
-- table already has are left as they are, and `deribit-lake db status` names those of others.
-- Each job has its own five minutes: all at once are more than a server starts by default.
-- Retention is off; five years: SELECT add_retention_policy('options_ohlcv', INTERVAL '5 years').
-- Written from the models of the datasets by `just schema`.
--
-- Run by `deribit-lake db init`, or: psql -1 -v ON_ERROR_STOP=1 -f sql/policies.sql
-- A second run changes nothing.

DO $$
DECLARE
    chosen record;
BEGIN
    IF current_setting('timescaledb.license') <> 'timescale' THEN
        RETURN;
    END IF;
    FOR chosen IN
        SELECT path::regclass AS hypertable, segmentby, orderby, row_number() OVER () AS place
        FROM (VALUES
            ('public.perpetuals_ohlcv', 'instrument', 'timestamp'),
            ('public.futures_ohlcv', 'instrument', 'timestamp'),
            ('public.funding_rates', 'instrument', 'timestamp'),
            ('public.index_prices', 'instrument', 'timestamp'),
            ('reference.volatility_index', 'instrument', 'timestamp'),
            ('public.options_ohlcv', '', 'instrument, timestamp'),
            ('reference.futures_basis', 'instrument', 'timestamp'),
            ('reference.futures_curve', 'underlying', 'timestamp, maturity_days'),
            ('reference.forward_curve', 'underlying', 'timestamp, expiry'),
            ('reference.option_iv', '', 'instrument, timestamp, trade_seq'),
            ('public.options_greeks', 'underlying', 'instrument, timestamp'),
            ('reference.vol_slices', 'underlying', 'timestamp, source, expiry'),
            ('reference.vol_grid', 'underlying', 'timestamp, source, days, point'),
            ('reference.constant_maturity_vol', 'underlying', 'timestamp, source, days'),
            ('reference.variance_swap', 'underlying', 'timestamp, source'),
            ('reference.perpetuals_1h', 'instrument', 'timestamp')
        ) AS settings (path, segmentby, orderby)
    LOOP
        IF NOT EXISTS (
            SELECT FROM timescaledb_information.hypertables
            WHERE compression_enabled
                AND format('%I.%I', hypertable_schema, hypertable_name)::regclass
                    = chosen.hypertable
        ) THEN
            EXECUTE format(
                'ALTER TABLE %s SET (timescaledb.compress, '
                'timescaledb.compress_segmentby = %L, timescaledb.compress_orderby = %L)',
                chosen.hypertable, chosen.segmentby, chosen.orderby
            );
        END IF;
        PERFORM add_compression_policy(
            chosen.hypertable, compress_after => INTERVAL '60 days', if_not_exists => true,
            initial_start => now() + chosen.place * INTERVAL '5 minutes'
        );
    END LOOP;
END
$$;
