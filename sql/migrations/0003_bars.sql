-- Version 3: hourly and daily candles are tables that the loader keeps; minutes in `reference` are
-- hypertables, which can be compressed.

-- The views of before: continuous aggregates in the community edition. What a user made on top of
-- them stops this, by name.
DROP VIEW IF EXISTS public.perpetuals_1d_0800;
DO $$
DECLARE
    resampled text;
BEGIN
    FOREACH resampled IN ARRAY ARRAY['perpetuals_1h', 'perpetuals_1d'] LOOP
        IF EXISTS (
            SELECT FROM timescaledb_information.continuous_aggregates
            WHERE view_schema = 'public' AND view_name = resampled
        ) THEN
            EXECUTE format('DROP MATERIALIZED VIEW public.%I', resampled);
        ELSE
            EXECUTE format('DROP VIEW IF EXISTS public.%I', resampled);
        END IF;
    END LOOP;
END
$$;

CREATE TABLE reference.perpetuals_1h (
    timestamp timestamptz NOT NULL,
    instrument text COLLATE "C" NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    cost double precision NOT NULL,
    minutes bigint NOT NULL,
    PRIMARY KEY (instrument, timestamp)
);
SELECT create_hypertable(
    'reference.perpetuals_1h', by_range('timestamp', INTERVAL '365 days'),
    create_default_indexes => false
);
COMMENT ON TABLE reference.perpetuals_1h IS 'Hourly candles of perpetuals; public.perpetuals_1h shows them';
COMMENT ON COLUMN reference.perpetuals_1h.timestamp IS 'Open time [UTC]';
COMMENT ON COLUMN reference.perpetuals_1h.instrument IS 'Deribit''s instrument_name';
COMMENT ON COLUMN reference.perpetuals_1h.open IS 'First price [quote currency]';
COMMENT ON COLUMN reference.perpetuals_1h.high IS 'Highest price [quote currency]';
COMMENT ON COLUMN reference.perpetuals_1h.low IS 'Lowest price [quote currency]';
COMMENT ON COLUMN reference.perpetuals_1h.close IS 'Last price [quote currency]';
COMMENT ON COLUMN reference.perpetuals_1h.volume IS 'Volume [base coin]; 0 marks a filler';
COMMENT ON COLUMN reference.perpetuals_1h.cost IS 'Turnover [quote currency]';
COMMENT ON COLUMN reference.perpetuals_1h.minutes IS 'Minutes the candle is made of [count]';

CREATE TABLE reference.perpetuals_1d (
    timestamp timestamptz NOT NULL,
    instrument text COLLATE "C" NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    cost double precision NOT NULL,
    minutes bigint NOT NULL,
    PRIMARY KEY (instrument, timestamp)
);
COMMENT ON TABLE reference.perpetuals_1d IS 'Daily candles of perpetuals from 00:00 UTC; public.perpetuals_1d shows them';
COMMENT ON COLUMN reference.perpetuals_1d.timestamp IS 'Open time [UTC]';
COMMENT ON COLUMN reference.perpetuals_1d.instrument IS 'Deribit''s instrument_name';
COMMENT ON COLUMN reference.perpetuals_1d.open IS 'First price [quote currency]';
COMMENT ON COLUMN reference.perpetuals_1d.high IS 'Highest price [quote currency]';
COMMENT ON COLUMN reference.perpetuals_1d.low IS 'Lowest price [quote currency]';
COMMENT ON COLUMN reference.perpetuals_1d.close IS 'Last price [quote currency]';
COMMENT ON COLUMN reference.perpetuals_1d.volume IS 'Volume [base coin]; 0 marks a filler';
COMMENT ON COLUMN reference.perpetuals_1d.cost IS 'Turnover [quote currency]';
COMMENT ON COLUMN reference.perpetuals_1d.minutes IS 'Minutes the candle is made of [count]';

SELECT create_hypertable(
    'reference.volatility_index', by_range('timestamp', INTERVAL '90 days'),
    create_default_indexes => false, migrate_data => true
);
SELECT create_hypertable(
    'reference.futures_basis', by_range('timestamp', INTERVAL '90 days'),
    create_default_indexes => false, migrate_data => true
);
SELECT create_hypertable(
    'reference.futures_curve', by_range('timestamp', INTERVAL '90 days'),
    create_default_indexes => false, migrate_data => true
);

COMMENT ON COLUMN reference.load_ledger.dataset IS 'Name of the dataset, or of the bars made from it';

-- Options have few rows each: by instrument they grow when they are compressed. Jobs of before
-- started together, which is more than a server starts by default.
DO $$
DECLARE
    job record;
BEGIN
    IF current_setting('timescaledb.license') <> 'timescale' THEN
        RETURN;
    END IF;
    IF EXISTS (
        SELECT FROM timescaledb_information.hypertables
        WHERE hypertable_schema = 'public' AND hypertable_name = 'options_greeks'
            AND compression_enabled
    ) THEN
        ALTER TABLE public.options_ohlcv SET (
            timescaledb.compress_segmentby = '',
            timescaledb.compress_orderby = 'instrument, timestamp'
        );
        ALTER TABLE public.options_greeks SET (
            timescaledb.compress_segmentby = 'underlying',
            timescaledb.compress_orderby = 'instrument, timestamp'
        );
    END IF;
    FOR job IN
        SELECT job_id, row_number() OVER (ORDER BY job_id) AS place
        FROM timescaledb_information.jobs
        WHERE proc_name = 'policy_compression' AND hypertable_schema = 'public'
            AND NOT fixed_schedule
    LOOP
        PERFORM alter_job(job.job_id, next_start => now() + job.place * INTERVAL '5 minutes');
    END LOOP;
END
$$;
