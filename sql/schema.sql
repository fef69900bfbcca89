-- The database of deribit-lake: six hypertables in `public`, everything else in `reference`.
-- Written from the models of the datasets by `just schema`: change those, not this file.
--
-- Run by hand: psql -1 -v ON_ERROR_STOP=1 -f sql/schema.sql; `deribit-lake db init` runs the
-- migrations. A second run changes nothing. This file is the sum of sql/migrations: a test holds
-- them equal.
--
-- The key begins with the instrument: half as many bytes as (timestamp, instrument) beside an
-- index on instrument, and twice as fast to load. Instruments compare by their bytes, as in the
-- lake, whatever the server's language. Prices are above zero and candles are consistent because
-- the lake's contract says so; checks here would say it twice.

CREATE EXTENSION IF NOT EXISTS timescaledb;

CREATE SCHEMA IF NOT EXISTS reference;
COMMENT ON SCHEMA reference IS 'What the hypertables refer to, and the books of the loader';

CREATE TABLE IF NOT EXISTS reference.schema_version (
    version integer NOT NULL,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (version)
);
COMMENT ON TABLE reference.schema_version IS 'Migrations applied, forward only';
COMMENT ON COLUMN reference.schema_version.version IS 'Number of the migration';
COMMENT ON COLUMN reference.schema_version.name IS 'File name of the migration';
COMMENT ON COLUMN reference.schema_version.applied_at IS 'When it was applied';

DO $$
DECLARE
    found integer := (SELECT max(version) FROM reference.schema_version);
BEGIN
    IF found <> 3 THEN
        RAISE EXCEPTION 'the schema is at version %, this file is version 3', found
            USING HINT = 'run: deribit-lake db migrate';
    END IF;
END
$$;

CREATE TABLE IF NOT EXISTS public.perpetuals_ohlcv (
    timestamp timestamptz NOT NULL,
    instrument text COLLATE "C" NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    cost double precision NOT NULL,
    PRIMARY KEY (instrument, timestamp)
);
SELECT create_hypertable(
    'public.perpetuals_ohlcv', by_range('timestamp', INTERVAL '90 days'),
    create_default_indexes => false, if_not_exists => true
);
COMMENT ON TABLE public.perpetuals_ohlcv IS 'One-minute candles of perpetuals';
COMMENT ON COLUMN public.perpetuals_ohlcv.timestamp IS 'Open time of the minute [UTC]';
COMMENT ON COLUMN public.perpetuals_ohlcv.instrument IS 'Deribit''s instrument_name';
COMMENT ON COLUMN public.perpetuals_ohlcv.open IS 'First price [quote currency]';
COMMENT ON COLUMN public.perpetuals_ohlcv.high IS 'Highest price [quote currency]';
COMMENT ON COLUMN public.perpetuals_ohlcv.low IS 'Lowest price [quote currency]';
COMMENT ON COLUMN public.perpetuals_ohlcv.close IS 'Last price [quote currency]';
COMMENT ON COLUMN public.perpetuals_ohlcv.volume IS 'Volume [base coin]; 0 marks a filler';
COMMENT ON COLUMN public.perpetuals_ohlcv.cost IS 'Turnover [quote currency]';

CREATE TABLE IF NOT EXISTS public.futures_ohlcv (
    timestamp timestamptz NOT NULL,
    instrument text COLLATE "C" NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    cost double precision NOT NULL,
    PRIMARY KEY (instrument, timestamp)
);
SELECT create_hypertable(
    'public.futures_ohlcv', by_range('timestamp', INTERVAL '90 days'),
    create_default_indexes => false, if_not_exists => true
);
COMMENT ON TABLE public.futures_ohlcv IS 'One-minute candles of dated futures';
COMMENT ON COLUMN public.futures_ohlcv.timestamp IS 'Open time of the minute [UTC]';
COMMENT ON COLUMN public.futures_ohlcv.instrument IS 'Deribit''s instrument_name';
COMMENT ON COLUMN public.futures_ohlcv.open IS 'First price [quote currency]';
COMMENT ON COLUMN public.futures_ohlcv.high IS 'Highest price [quote currency]';
COMMENT ON COLUMN public.futures_ohlcv.low IS 'Lowest price [quote currency]';
COMMENT ON COLUMN public.futures_ohlcv.close IS 'Last price [quote currency]';
COMMENT ON COLUMN public.futures_ohlcv.volume IS 'Volume [base coin]; 0 marks a filler';
COMMENT ON COLUMN public.futures_ohlcv.cost IS 'Turnover [quote currency]';

CREATE TABLE IF NOT EXISTS public.funding_rates (
    timestamp timestamptz NOT NULL,
    instrument text COLLATE "C" NOT NULL,
    index_price double precision NOT NULL,
    prev_index_price double precision NOT NULL,
    interest_1h double precision NOT NULL,
    interest_8h double precision NOT NULL,
    PRIMARY KEY (instrument, timestamp)
);
SELECT create_hypertable(
    'public.funding_rates', by_range('timestamp', INTERVAL '365 days'),
    create_default_indexes => false, if_not_exists => true
);
COMMENT ON TABLE public.funding_rates IS 'Hourly funding of perpetuals; a row describes the hour that ends at its timestamp';
COMMENT ON COLUMN public.funding_rates.timestamp IS 'End of the hour [UTC]';
COMMENT ON COLUMN public.funding_rates.instrument IS 'Deribit''s instrument_name';
COMMENT ON COLUMN public.funding_rates.index_price IS 'Index at the end of the hour [USD]';
COMMENT ON COLUMN public.funding_rates.prev_index_price IS 'Index at its start [USD]';
COMMENT ON COLUMN public.funding_rates.interest_1h IS 'Funding of the hour, 0.0001 for 0.01 % [1]';
COMMENT ON COLUMN public.funding_rates.interest_8h IS 'Funding of the last eight hours [1]';

CREATE TABLE IF NOT EXISTS public.index_prices (
    timestamp timestamptz NOT NULL,
    instrument text COLLATE "C" NOT NULL,
    price double precision NOT NULL,
    source text NOT NULL,
    PRIMARY KEY (instrument, timestamp)
);
SELECT create_hypertable(
    'public.index_prices', by_range('timestamp', INTERVAL '90 days'),
    create_default_indexes => false, if_not_exists => true
);
COMMENT ON TABLE public.index_prices IS 'Index prices, one row per index and moment';
COMMENT ON COLUMN public.index_prices.timestamp IS 'Moment of the price [UTC]';
COMMENT ON COLUMN public.index_prices.instrument IS 'Deribit''s index_name, as btc_usd';
COMMENT ON COLUMN public.index_prices.price IS 'Index [quote currency]';
COMMENT ON COLUMN public.index_prices.source IS 'Dataset the price was taken from';

CREATE TABLE IF NOT EXISTS reference.volatility_index (
    timestamp timestamptz NOT NULL,
    instrument text COLLATE "C" NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    PRIMARY KEY (instrument, timestamp)
);
SELECT create_hypertable(
    'reference.volatility_index', by_range('timestamp', INTERVAL '90 days'),
    create_default_indexes => false, if_not_exists => true
);
COMMENT ON TABLE reference.volatility_index IS 'Deribit''s volatility index (DVOL), one-minute bars';
COMMENT ON COLUMN reference.volatility_index.timestamp IS 'Open time of the minute [UTC]';
COMMENT ON COLUMN reference.volatility_index.instrument IS 'Name of the index, as btc_usd';
COMMENT ON COLUMN reference.volatility_index.open IS 'First value, 0.65 for 65 vol points [1/sqrt(yr)]';
COMMENT ON COLUMN reference.volatility_index.high IS 'Highest value [1/sqrt(yr)]';
COMMENT ON COLUMN reference.volatility_index.low IS 'Lowest value [1/sqrt(yr)]';
COMMENT ON COLUMN reference.volatility_index.close IS 'Last value [1/sqrt(yr)]';

CREATE TABLE IF NOT EXISTS reference.delivery_prices (
    timestamp timestamptz NOT NULL,
    instrument text COLLATE "C" NOT NULL,
    delivery_price double precision NOT NULL,
    PRIMARY KEY (instrument, timestamp)
);
COMMENT ON TABLE reference.delivery_prices IS 'What contracts that expire at 08:00 UTC are delivered at';
COMMENT ON COLUMN reference.delivery_prices.timestamp IS '08:00 of the day [UTC]';
COMMENT ON COLUMN reference.delivery_prices.instrument IS 'Deribit''s index_name, as btc_usd';
COMMENT ON COLUMN reference.delivery_prices.delivery_price IS 'Average of the index from 07:30 to 08:00 [quote currency]';

CREATE TABLE IF NOT EXISTS public.options_ohlcv (
    timestamp timestamptz NOT NULL,
    instrument text COLLATE "C" NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    cost double precision NOT NULL,
    PRIMARY KEY (instrument, timestamp)
);
SELECT create_hypertable(
    'public.options_ohlcv', by_range('timestamp', INTERVAL '90 days'),
    create_default_indexes => false, if_not_exists => true
);
COMMENT ON TABLE public.options_ohlcv IS 'One-minute candles of options';
COMMENT ON COLUMN public.options_ohlcv.timestamp IS 'Open time of the minute [UTC]';
COMMENT ON COLUMN public.options_ohlcv.instrument IS 'Deribit''s instrument_name';
COMMENT ON COLUMN public.options_ohlcv.open IS 'First premium [price unit of the option: coin or USDC]';
COMMENT ON COLUMN public.options_ohlcv.high IS 'Highest premium [price unit of the option]';
COMMENT ON COLUMN public.options_ohlcv.low IS 'Lowest premium [price unit of the option]';
COMMENT ON COLUMN public.options_ohlcv.close IS 'Last premium [price unit of the option]';
COMMENT ON COLUMN public.options_ohlcv.volume IS 'Volume [base coin]; 0 marks a filler';
COMMENT ON COLUMN public.options_ohlcv.cost IS 'Turnover [price unit of the option]';

CREATE TABLE IF NOT EXISTS reference.instruments (
    instrument_id bigint NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    instrument text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    record jsonb NOT NULL,
    PRIMARY KEY (instrument_id, valid_from)
);
CREATE INDEX IF NOT EXISTS instruments_by_name ON reference.instruments (instrument, valid_from);
COMMENT ON TABLE reference.instruments IS 'Instruments as they were, by interval of validity [valid_from, valid_to)';
COMMENT ON COLUMN reference.instruments.instrument_id IS 'Deribit''s instrument_id';
COMMENT ON COLUMN reference.instruments.valid_from IS 'From when the record held [UTC]';
COMMENT ON COLUMN reference.instruments.valid_to IS 'Until when, null for now [UTC]';
COMMENT ON COLUMN reference.instruments.instrument IS 'Deribit''s instrument_name in that interval';
COMMENT ON COLUMN reference.instruments.kind IS 'future, option, spot, future_combo or option_combo';
COMMENT ON COLUMN reference.instruments.record IS 'The record as Deribit sent it';

CREATE TABLE IF NOT EXISTS reference.futures_basis (
    timestamp timestamptz NOT NULL,
    instrument text COLLATE "C" NOT NULL,
    future_price double precision NOT NULL,
    perpetual_price double precision,
    index_price double precision,
    future_is_filler boolean NOT NULL,
    perpetual_is_filler boolean NOT NULL,
    days_to_expiry double precision,
    basis double precision,
    index_basis double precision,
    basis_annualised double precision,
    carry double precision,
    status text NOT NULL,
    PRIMARY KEY (instrument, timestamp)
);
SELECT create_hypertable(
    'reference.futures_basis', by_range('timestamp', INTERVAL '90 days'),
    create_default_indexes => false, if_not_exists => true
);
COMMENT ON TABLE reference.futures_basis IS 'Basis of dated futures over the perpetual, by minute; null where `status` says why';
COMMENT ON COLUMN reference.futures_basis.timestamp IS 'Open time of the minute [UTC]';
COMMENT ON COLUMN reference.futures_basis.instrument IS 'The future, by Deribit''s instrument_name';
COMMENT ON COLUMN reference.futures_basis.future_price IS 'Close of the future [quote currency]';
COMMENT ON COLUMN reference.futures_basis.perpetual_price IS 'Last close of the perpetual [quote currency]';
COMMENT ON COLUMN reference.futures_basis.index_price IS 'Index where it is known for that minute [quote currency]';
COMMENT ON COLUMN reference.futures_basis.future_is_filler IS 'Whether the future did not trade in the minute';
COMMENT ON COLUMN reference.futures_basis.perpetual_is_filler IS 'Whether the perpetual did not';
COMMENT ON COLUMN reference.futures_basis.days_to_expiry IS 'From the end of the minute to expiry [days]';
COMMENT ON COLUMN reference.futures_basis.basis IS 'Future less perpetual [quote currency]';
COMMENT ON COLUMN reference.futures_basis.index_basis IS 'Future less index [quote currency]';
COMMENT ON COLUMN reference.futures_basis.basis_annualised IS 'Basis over the perpetual, simple, ACT/365 [1/yr]';
COMMENT ON COLUMN reference.futures_basis.carry IS 'The same continuously compounded [1/yr]';
COMMENT ON COLUMN reference.futures_basis.status IS 'ok, or the reason why there is no basis';

CREATE TABLE IF NOT EXISTS reference.futures_curve (
    timestamp timestamptz NOT NULL,
    underlying text COLLATE "C" NOT NULL,
    maturity_days double precision NOT NULL,
    carry double precision,
    shorter text,
    longer text,
    status text NOT NULL,
    PRIMARY KEY (underlying, timestamp, maturity_days)
);
SELECT create_hypertable(
    'reference.futures_curve', by_range('timestamp', INTERVAL '90 days'),
    create_default_indexes => false, if_not_exists => true
);
COMMENT ON TABLE reference.futures_curve IS 'Carry of futures at constant maturities, by minute; null where `status` says why';
COMMENT ON COLUMN reference.futures_curve.timestamp IS 'Open time of the minute [UTC]';
COMMENT ON COLUMN reference.futures_curve.underlying IS 'What the futures are on: BTC, or BTC_USDC for linear ones';
COMMENT ON COLUMN reference.futures_curve.maturity_days IS 'Time to expiry of the interpolated future [days]';
COMMENT ON COLUMN reference.futures_curve.carry IS 'Carry over the perpetual, continuously compounded, ACT/365 [1/yr]';
COMMENT ON COLUMN reference.futures_curve.shorter IS 'The future that expires before';
COMMENT ON COLUMN reference.futures_curve.longer IS 'The future that expires after; the same one when it expires just then';
COMMENT ON COLUMN reference.futures_curve.status IS 'ok, or the reason why carry is null';

CREATE TABLE IF NOT EXISTS reference.perpetuals_1h (
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
    create_default_indexes => false, if_not_exists => true
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

CREATE TABLE IF NOT EXISTS reference.perpetuals_1d (
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

CREATE TABLE IF NOT EXISTS public.options_greeks (
    timestamp timestamptz NOT NULL,
    instrument text COLLATE "C" NOT NULL,
    underlying text NOT NULL,
    close_timestamp timestamptz,
    price double precision,
    index_price double precision,
    forward double precision,
    forward_source text,
    tenor double precision,
    rate double precision,
    coin_rate double precision,
    iv double precision,
    delta double precision,
    gamma double precision,
    vega double precision,
    theta double precision,
    rho double precision,
    price_disc double precision,
    delta_disc double precision,
    gamma_disc double precision,
    vega_disc double precision,
    theta_disc double precision,
    rho_disc double precision,
    status text NOT NULL,
    PRIMARY KEY (instrument, timestamp)
);
SELECT create_hypertable(
    'public.options_greeks', by_range('timestamp', INTERVAL '90 days'),
    create_default_indexes => false, if_not_exists => true
);
COMMENT ON TABLE public.options_greeks IS 'Implied volatility and Greeks of option candles; columns without suffix in the exchange''s convention (Black-76, rate 0), those in _disc discounted at `rate`';
COMMENT ON COLUMN public.options_greeks.timestamp IS 'Open time of the candle [UTC]';
COMMENT ON COLUMN public.options_greeks.instrument IS 'Deribit''s instrument_name';
COMMENT ON COLUMN public.options_greeks.underlying IS 'What the option is on, by currency: BTC, ETH';
COMMENT ON COLUMN public.options_greeks.close_timestamp IS 'Time of the candle''s last trade, which the row values [UTC]';
COMMENT ON COLUMN public.options_greeks.price IS 'Price of that trade [USD]';
COMMENT ON COLUMN public.options_greeks.index_price IS 'Index at that trade [USD]';
COMMENT ON COLUMN public.options_greeks.forward IS 'Forward of the expiry at that trade [USD]';
COMMENT ON COLUMN public.options_greeks.forward_source IS 'Where the forward''s carry comes from';
COMMENT ON COLUMN public.options_greeks.tenor IS 'Time to expiry, ACT/365 to 08:00 UTC [yr]';
COMMENT ON COLUMN public.options_greeks.rate IS 'Treasury bill rate used by the _disc columns, continuously compounded [1/yr]';
COMMENT ON COLUMN public.options_greeks.coin_rate IS 'rate - ln(forward / index_price) / tenor [1/yr]';
COMMENT ON COLUMN public.options_greeks.iv IS 'Implied volatility, 0.65 for 65 % [1/sqrt(yr)]';
COMMENT ON COLUMN public.options_greeks.delta IS 'Change of price with the forward [1]';
COMMENT ON COLUMN public.options_greeks.gamma IS 'Change of delta with the forward [1/USD]';
COMMENT ON COLUMN public.options_greeks.vega IS 'Change of price per volatility point [USD]';
COMMENT ON COLUMN public.options_greeks.theta IS 'Change of price per day, capped as the exchange does [USD]';
COMMENT ON COLUMN public.options_greeks.rho IS 'Change of price per 1 % of rate [USD]';
COMMENT ON COLUMN public.options_greeks.price_disc IS 'Discounted price [USD]';
COMMENT ON COLUMN public.options_greeks.delta_disc IS 'Discounted delta, with the index [1]';
COMMENT ON COLUMN public.options_greeks.gamma_disc IS 'Discounted gamma, with the index [1/USD]';
COMMENT ON COLUMN public.options_greeks.vega_disc IS 'Discounted vega per volatility point [USD]';
COMMENT ON COLUMN public.options_greeks.theta_disc IS 'Discounted theta per day, not capped [USD]';
COMMENT ON COLUMN public.options_greeks.rho_disc IS 'Discounted rho per 1 % with the forward held [USD]';
COMMENT ON COLUMN public.options_greeks.status IS 'ok, or the reason why iv is null';

CREATE TABLE IF NOT EXISTS reference.load_ledger (
    dataset text COLLATE "C" NOT NULL,
    instrument text COLLATE "C" NOT NULL,
    month date NOT NULL,
    rows bigint NOT NULL,
    checksum text NOT NULL,
    source text NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (dataset, instrument, month)
);
COMMENT ON TABLE reference.load_ledger IS 'What was loaded; written in the transaction that loads it';
COMMENT ON COLUMN reference.load_ledger.dataset IS 'Name of the dataset, or of the bars made from it';
COMMENT ON COLUMN reference.load_ledger.instrument IS 'What the key of the table begins with: an instrument, index or underlying';
COMMENT ON COLUMN reference.load_ledger.month IS 'First day of the month [UTC]';
COMMENT ON COLUMN reference.load_ledger.rows IS 'Rows of that month';
COMMENT ON COLUMN reference.load_ledger.checksum IS 'Checksum of their content, whatever their order';
COMMENT ON COLUMN reference.load_ledger.source IS 'Checksum of the lake''s year they were loaded from';
COMMENT ON COLUMN reference.load_ledger.loaded_at IS 'When they were loaded';

INSERT INTO reference.schema_version (version, name) VALUES
    (1, '0001_schema.sql'), (2, '0002_reference_series.sql'), (3, '0003_bars.sql')
ON CONFLICT DO NOTHING;
