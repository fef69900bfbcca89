-- Two groups without a login: deribit_loader writes what the loader writes, deribit_reader reads.
-- Give them to users of your own: GRANT deribit_reader TO alice.
-- Written from the models of the datasets by `just schema`.
--
-- Run by `deribit-lake db init`, or: psql -1 -v ON_ERROR_STOP=1 -f sql/roles.sql
-- A second run changes nothing. Needs CREATEROLE where the groups do not exist yet.

DO $$
DECLARE
    role text;
    extension regnamespace := (
        SELECT extnamespace FROM pg_extension WHERE extname = 'timescaledb'
    );
BEGIN
    FOREACH role IN ARRAY ARRAY['deribit_loader', 'deribit_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA public, reference, %s TO %I', extension, role);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA public, reference TO %I', role);
    END LOOP;
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO deribit_loader', current_database());
END
$$;

GRANT INSERT, UPDATE, DELETE, TRUNCATE ON
    public.perpetuals_ohlcv,
    public.futures_ohlcv,
    public.funding_rates,
    public.index_prices,
    reference.volatility_index,
    reference.delivery_prices,
    public.options_ohlcv,
    reference.instruments,
    reference.futures_basis,
    reference.futures_curve,
    reference.forward_curve,
    reference.option_iv,
    public.options_greeks,
    reference.vol_slices,
    reference.vol_grid,
    reference.constant_maturity_vol,
    reference.variance_swap,
    reference.perpetuals_1h,
    reference.perpetuals_1d,
    reference.load_ledger
TO deribit_loader;
