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
    IF found <> 4 THEN
        RAISE EXCEPTION 'the schema is at version %, this file is version 4', found
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

CREATE TABLE IF NOT EXISTS reference.forward_curve (
    timestamp timestamptz NOT NULL,
    underlying text COLLATE "C" NOT NULL,
    expiry timestamptz NOT NULL,
    basis double precision,
    error double precision,
    carry double precision,
    source text NOT NULL,
    seen_at timestamptz,
    witnesses bigint NOT NULL,
    PRIMARY KEY (underlying, timestamp, expiry)
);
SELECT create_hypertable(
    'reference.forward_curve', by_range('timestamp', INTERVAL '90 days'),
    create_default_indexes => false, if_not_exists => true
);
COMMENT ON TABLE reference.forward_curve IS 'Forwards of option expiries over the index, by minute, each from earlier evidence alone; null where `source` is none';
COMMENT ON COLUMN reference.forward_curve.timestamp IS 'Beginning of the minute [UTC]';
COMMENT ON COLUMN reference.forward_curve.underlying IS 'What the options are on: BTC, or BTC_USDC for linear ones';
COMMENT ON COLUMN reference.forward_curve.expiry IS 'Moment of expiry [UTC]';
COMMENT ON COLUMN reference.forward_curve.basis IS 'ln(forward / index) [1]; null where nothing tells it';
COMMENT ON COLUMN reference.forward_curve.error IS 'Two standard errors of basis, with what age and interpolation add [1]';
COMMENT ON COLUMN reference.forward_curve.carry IS 'basis over time to expiry, ACT/365 [1/yr]';
COMMENT ON COLUMN reference.forward_curve.source IS 'What tells it: trades of the expiry, its ticker, its future, its neighbours';
COMMENT ON COLUMN reference.forward_curve.seen_at IS 'When the newest of that was seen [UTC]; of two neighbours the older';
COMMENT ON COLUMN reference.forward_curve.witnesses IS 'How many it is made of [count]';

CREATE TABLE IF NOT EXISTS reference.option_iv (
    timestamp timestamptz NOT NULL,
    instrument text COLLATE "C" NOT NULL,
    trade_seq bigint NOT NULL,
    price double precision NOT NULL,
    index_price double precision,
    forward double precision,
    forward_error double precision,
    forward_age double precision,
    forward_source text NOT NULL,
    iv double precision,
    iv_low double precision,
    iv_high double precision,
    status text NOT NULL,
    exchange_iv double precision,
    iv_difference double precision,
    is_block boolean NOT NULL,
    is_rfq boolean NOT NULL,
    is_combo boolean NOT NULL,
    is_liquidation boolean NOT NULL,
    is_near_expiry boolean NOT NULL,
    PRIMARY KEY (instrument, timestamp, trade_seq)
);
SELECT create_hypertable(
    'reference.option_iv', by_range('timestamp', INTERVAL '30 days'),
    create_default_indexes => false, if_not_exists => true
);
COMMENT ON TABLE reference.option_iv IS 'Implied volatility of every option trade, with the interval its price leaves; null where `status` says why';
COMMENT ON COLUMN reference.option_iv.timestamp IS 'Moment of the trade [UTC]';
COMMENT ON COLUMN reference.option_iv.instrument IS 'Deribit''s instrument_name';
COMMENT ON COLUMN reference.option_iv.trade_seq IS 'Number of the trade within its instrument [count]';
COMMENT ON COLUMN reference.option_iv.price IS 'Premium as traded [price unit of the option]';
COMMENT ON COLUMN reference.option_iv.index_price IS 'Index at the trade [quote currency]';
COMMENT ON COLUMN reference.option_iv.forward IS 'Forward of the expiry at the trade [quote currency]';
COMMENT ON COLUMN reference.option_iv.forward_error IS 'Two standard errors of ln(forward), in steps of 1e-7 [1]';
COMMENT ON COLUMN reference.option_iv.forward_age IS 'Age of what the forward is known from, whole [s]';
COMMENT ON COLUMN reference.option_iv.forward_source IS 'What the forward is known from';
COMMENT ON COLUMN reference.option_iv.iv IS 'Implied volatility, 0.65 for 65 % [1/sqrt(yr)]';
COMMENT ON COLUMN reference.option_iv.iv_low IS 'The same at half a price step less [1/sqrt(yr)]; 0 where that has no time value';
COMMENT ON COLUMN reference.option_iv.iv_high IS 'The same at half a step more [1/sqrt(yr)]; null where that is above the maximum';
COMMENT ON COLUMN reference.option_iv.status IS 'ok, or the reason why iv is null';
COMMENT ON COLUMN reference.option_iv.exchange_iv IS 'What the exchange implied [1/sqrt(yr)]';
COMMENT ON COLUMN reference.option_iv.iv_difference IS 'iv less exchange_iv [1/sqrt(yr)]';
COMMENT ON COLUMN reference.option_iv.is_block IS 'Whether it is part of a block';
COMMENT ON COLUMN reference.option_iv.is_rfq IS 'Whether it is part of a block RFQ';
COMMENT ON COLUMN reference.option_iv.is_combo IS 'Whether it is a leg of a combo';
COMMENT ON COLUMN reference.option_iv.is_liquidation IS 'Whether somebody was liquidated';
COMMENT ON COLUMN reference.option_iv.is_near_expiry IS 'Whether less than four hours were left';

CREATE TABLE IF NOT EXISTS public.options_greeks (
    timestamp timestamptz NOT NULL,
    instrument text COLLATE "C" NOT NULL,
    underlying text NOT NULL,
    close_timestamp timestamptz NOT NULL,
    price double precision NOT NULL,
    index_price double precision,
    forward double precision,
    forward_source text NOT NULL,
    tenor double precision NOT NULL,
    iv double precision,
    status text NOT NULL,
    delta double precision,
    gamma double precision,
    vega double precision,
    theta double precision,
    rho double precision,
    vanna double precision,
    volga double precision,
    net_delta double precision,
    delta_coin double precision,
    gamma_coin double precision,
    vega_coin double precision,
    theta_coin double precision,
    rate double precision,
    rate_age double precision,
    rate_status text NOT NULL,
    coin_rate double precision,
    price_disc double precision,
    delta_disc double precision,
    gamma_disc double precision,
    vega_disc double precision,
    theta_disc double precision,
    rho_disc double precision,
    PRIMARY KEY (instrument, timestamp)
);
SELECT create_hypertable(
    'public.options_greeks', by_range('timestamp', INTERVAL '90 days'),
    create_default_indexes => false, if_not_exists => true
);
COMMENT ON TABLE public.options_greeks IS 'Implied volatility and Greeks of option candles; columns without suffix in the exchange''s convention (Black-76, rate 0), in _coin of the premium in coin, in _disc discounted at `rate`';
COMMENT ON COLUMN public.options_greeks.timestamp IS 'Open time of the candle [UTC]';
COMMENT ON COLUMN public.options_greeks.instrument IS 'Deribit''s instrument_name';
COMMENT ON COLUMN public.options_greeks.underlying IS 'What the option is on: BTC, or BTC_USDC if linear';
COMMENT ON COLUMN public.options_greeks.close_timestamp IS 'Time of the candle''s last trade, which the row values [UTC]';
COMMENT ON COLUMN public.options_greeks.price IS 'Premium of that trade [price unit of the option]';
COMMENT ON COLUMN public.options_greeks.index_price IS 'Index at that trade [quote currency]';
COMMENT ON COLUMN public.options_greeks.forward IS 'Forward of the expiry at that trade [quote currency]';
COMMENT ON COLUMN public.options_greeks.forward_source IS 'What the forward is known from';
COMMENT ON COLUMN public.options_greeks.tenor IS 'Time to expiry, ACT/365 to 08:00 UTC [yr]; negative after it';
COMMENT ON COLUMN public.options_greeks.iv IS 'Implied volatility, 0.65 for 65 % [1/sqrt(yr)]';
COMMENT ON COLUMN public.options_greeks.status IS 'ok, or the reason why iv is null';
COMMENT ON COLUMN public.options_greeks.delta IS 'Change of price with the forward [1]';
COMMENT ON COLUMN public.options_greeks.gamma IS 'Change of delta with the forward [1/USD]';
COMMENT ON COLUMN public.options_greeks.vega IS 'Change of price per volatility point [quote currency]';
COMMENT ON COLUMN public.options_greeks.theta IS 'Change of price per day, capped as the exchange does [quote currency]';
COMMENT ON COLUMN public.options_greeks.rho IS 'Change of price per 1 % of rate, the forward moving with it [quote currency]';
COMMENT ON COLUMN public.options_greeks.vanna IS 'Change of delta per volatility point [1 per volatility point]';
COMMENT ON COLUMN public.options_greeks.volga IS 'Change of vega per volatility point [quote currency per volatility point squared]';
COMMENT ON COLUMN public.options_greeks.net_delta IS 'delta less the premium in coin: what hedges holdings in coin [1]';
COMMENT ON COLUMN public.options_greeks.delta_coin IS 'Change of the premium in coin with the forward [coin per USD]';
COMMENT ON COLUMN public.options_greeks.gamma_coin IS 'Change of delta_coin with the forward [coin per USD squared]';
COMMENT ON COLUMN public.options_greeks.vega_coin IS 'Change of the premium in coin per volatility point [base coin]';
COMMENT ON COLUMN public.options_greeks.theta_coin IS 'Change of the premium in coin per day [base coin]';
COMMENT ON COLUMN public.options_greeks.rate IS 'Treasury bill rate at the option''s tenor, continuously compounded [1/yr]';
COMMENT ON COLUMN public.options_greeks.rate_age IS 'Days since the curve it is from [days]';
COMMENT ON COLUMN public.options_greeks.rate_status IS 'ok, carried over days without a curve, or why there is none: too_old, none';
COMMENT ON COLUMN public.options_greeks.coin_rate IS 'rate - ln(forward / index_price) / tenor: what the coin earns [1/yr]';
COMMENT ON COLUMN public.options_greeks.price_disc IS 'Discounted price [quote currency]';
COMMENT ON COLUMN public.options_greeks.delta_disc IS 'Discounted delta, with the index [1]';
COMMENT ON COLUMN public.options_greeks.gamma_disc IS 'Discounted gamma, with the index [1/USD]';
COMMENT ON COLUMN public.options_greeks.vega_disc IS 'Discounted vega per volatility point [quote currency]';
COMMENT ON COLUMN public.options_greeks.theta_disc IS 'Discounted theta per day, not capped, the forward held [quote currency]';
COMMENT ON COLUMN public.options_greeks.rho_disc IS 'Discounted rho per 1 % with the forward held [quote currency]';

CREATE TABLE IF NOT EXISTS reference.vol_slices (
    timestamp timestamptz NOT NULL,
    underlying text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    expiry timestamptz NOT NULL,
    tenor double precision NOT NULL,
    forward double precision,
    model text,
    theta double precision,
    rho double precision,
    psi double precision,
    svi_a double precision,
    svi_b double precision,
    svi_rho double precision,
    svi_m double precision,
    svi_sigma double precision,
    atm_iv double precision,
    atm_error double precision,
    cov_theta_theta double precision,
    cov_theta_rho double precision,
    cov_theta_psi double precision,
    cov_rho_rho double precision,
    cov_rho_psi double precision,
    cov_psi_psi double precision,
    quotes bigint NOT NULL,
    left_out bigint,
    repaired bigint,
    low_moneyness double precision,
    high_moneyness double precision,
    rmse double precision,
    largest_residual double precision,
    violations_before bigint,
    worst_before double precision,
    violations_after bigint,
    min_density double precision,
    calendar_margin double precision,
    status text NOT NULL,
    PRIMARY KEY (underlying, timestamp, source, expiry)
);
SELECT create_hypertable(
    'reference.vol_slices', by_range('timestamp', INTERVAL '90 days'),
    create_default_indexes => false, if_not_exists => true
);
COMMENT ON TABLE reference.vol_slices IS 'Volatility surfaces, a smile for each expiry, and what proves them';
COMMENT ON COLUMN reference.vol_slices.timestamp IS 'The full hour the trades were made before, or the instant of the quotes [UTC]';
COMMENT ON COLUMN reference.vol_slices.underlying IS 'What the options are on: BTC, or BTC_USDC for linear ones';
COMMENT ON COLUMN reference.vol_slices.source IS 'What it is made of: trades, mids or marks';
COMMENT ON COLUMN reference.vol_slices.expiry IS 'Moment of expiry [UTC]';
COMMENT ON COLUMN reference.vol_slices.tenor IS 'Time to expiry, ACT/365 [yr]';
COMMENT ON COLUMN reference.vol_slices.forward IS 'Forward of the expiry [quote currency]; of trades that of the newest';
COMMENT ON COLUMN reference.vol_slices.model IS 'Which formula';
COMMENT ON COLUMN reference.vol_slices.theta IS 'Total variance at the money [1]';
COMMENT ON COLUMN reference.vol_slices.rho IS 'Slant of the smile [1]';
COMMENT ON COLUMN reference.vol_slices.psi IS 'Steepness: theta times phi [1]';
COMMENT ON COLUMN reference.vol_slices.svi_a IS 'Raw SVI: level [1]';
COMMENT ON COLUMN reference.vol_slices.svi_b IS 'Raw SVI: slope [1]';
COMMENT ON COLUMN reference.vol_slices.svi_rho IS 'Raw SVI: slant [1]';
COMMENT ON COLUMN reference.vol_slices.svi_m IS 'Raw SVI: centre [1]';
COMMENT ON COLUMN reference.vol_slices.svi_sigma IS 'Raw SVI: width [1]';
COMMENT ON COLUMN reference.vol_slices.atm_iv IS 'Volatility at the forward [1/sqrt(yr)]';
COMMENT ON COLUMN reference.vol_slices.atm_error IS 'Standard error of atm_iv [1/sqrt(yr)]';
COMMENT ON COLUMN reference.vol_slices.cov_theta_theta IS 'Variance of theta [1]';
COMMENT ON COLUMN reference.vol_slices.cov_theta_rho IS 'Covariance of theta and rho [1]';
COMMENT ON COLUMN reference.vol_slices.cov_theta_psi IS 'Covariance of theta and psi [1]';
COMMENT ON COLUMN reference.vol_slices.cov_rho_rho IS 'Variance of rho [1]';
COMMENT ON COLUMN reference.vol_slices.cov_rho_psi IS 'Covariance of rho and psi [1]';
COMMENT ON COLUMN reference.vol_slices.cov_psi_psi IS 'Variance of psi [1]';
COMMENT ON COLUMN reference.vol_slices.quotes IS 'Quotes or trades it is made of [count]';
COMMENT ON COLUMN reference.vol_slices.left_out IS 'Quotes that are not usable [count]; null of trades';
COMMENT ON COLUMN reference.vol_slices.repaired IS 'Quotes moved so that none can be arbitraged [count]; null of trades';
COMMENT ON COLUMN reference.vol_slices.low_moneyness IS 'Least log-moneyness of a quote [1]';
COMMENT ON COLUMN reference.vol_slices.high_moneyness IS 'Greatest log-moneyness of a quote [1]';
COMMENT ON COLUMN reference.vol_slices.rmse IS 'Root mean square of quotes less smile [1/sqrt(yr)]';
COMMENT ON COLUMN reference.vol_slices.largest_residual IS 'Largest distance of a quote, in errors of that quote [1]';
COMMENT ON COLUMN reference.vol_slices.violations_before IS 'Arbitrages among the quotes of the surface, by the linear programme [count]; null of trades';
COMMENT ON COLUMN reference.vol_slices.worst_before IS 'The worst of them, as a fraction of the forward [1]';
COMMENT ON COLUMN reference.vol_slices.violations_after IS '1 where the smile can be arbitraged, by itself or against the one before [count]';
COMMENT ON COLUMN reference.vol_slices.min_density IS 'Least value of Durrleman''s g [1]';
COMMENT ON COLUMN reference.vol_slices.calendar_margin IS 'Least total variance above the expiry before [1]; null of the first';
COMMENT ON COLUMN reference.vol_slices.status IS 'ok, or the reason why there is no smile';

CREATE TABLE IF NOT EXISTS reference.vol_grid (
    timestamp timestamptz NOT NULL,
    underlying text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    days double precision NOT NULL,
    point text COLLATE "C" NOT NULL,
    log_moneyness double precision,
    strike double precision,
    iv double precision,
    iv_error double precision,
    status text NOT NULL,
    PRIMARY KEY (underlying, timestamp, source, days, point)
);
SELECT create_hypertable(
    'reference.vol_grid', by_range('timestamp', INTERVAL '90 days'),
    create_default_indexes => false, if_not_exists => true
);
COMMENT ON TABLE reference.vol_grid IS 'Volatility surfaces at constant maturities, by delta and by moneyness';
COMMENT ON COLUMN reference.vol_grid.timestamp IS 'Moment of the surface [UTC]';
COMMENT ON COLUMN reference.vol_grid.underlying IS 'What the options are on';
COMMENT ON COLUMN reference.vol_grid.source IS 'What the surface is made of';
COMMENT ON COLUMN reference.vol_grid.days IS 'Time to expiry of the point [days]';
COMMENT ON COLUMN reference.vol_grid.point IS '10P 25P ATM 25C 10C by forward delta; K50 to K200 by strike over forward in percent';
COMMENT ON COLUMN reference.vol_grid.log_moneyness IS 'ln(strike / forward) [1]';
COMMENT ON COLUMN reference.vol_grid.strike IS 'Strike of the point [quote currency]';
COMMENT ON COLUMN reference.vol_grid.iv IS 'Implied volatility [1/sqrt(yr)]';
COMMENT ON COLUMN reference.vol_grid.iv_error IS 'Standard error of iv [1/sqrt(yr)]';
COMMENT ON COLUMN reference.vol_grid.status IS 'ok, or what is to be known of it';

CREATE TABLE IF NOT EXISTS reference.constant_maturity_vol (
    timestamp timestamptz NOT NULL,
    underlying text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    days double precision NOT NULL,
    tenor double precision NOT NULL,
    atm double precision,
    atm_error double precision,
    rr25 double precision,
    bf25 double precision,
    rr10 double precision,
    bf10 double precision,
    shorter timestamptz,
    longer timestamptz,
    status text NOT NULL,
    PRIMARY KEY (underlying, timestamp, source, days)
);
SELECT create_hypertable(
    'reference.constant_maturity_vol', by_range('timestamp', INTERVAL '90 days'),
    create_default_indexes => false, if_not_exists => true
);
COMMENT ON TABLE reference.constant_maturity_vol IS 'At-the-money volatility, risk reversals and butterflies by maturity';
COMMENT ON COLUMN reference.constant_maturity_vol.timestamp IS 'Moment of the surface [UTC]';
COMMENT ON COLUMN reference.constant_maturity_vol.underlying IS 'What the options are on';
COMMENT ON COLUMN reference.constant_maturity_vol.source IS 'What the surface is made of';
COMMENT ON COLUMN reference.constant_maturity_vol.days IS 'Constant maturity [days]';
COMMENT ON COLUMN reference.constant_maturity_vol.tenor IS 'The same, ACT/365 [yr]';
COMMENT ON COLUMN reference.constant_maturity_vol.atm IS 'Volatility of the delta-neutral straddle [1/sqrt(yr)]';
COMMENT ON COLUMN reference.constant_maturity_vol.atm_error IS 'Standard error of atm [1/sqrt(yr)]';
COMMENT ON COLUMN reference.constant_maturity_vol.rr25 IS '25-delta call less 25-delta put [1/sqrt(yr)]';
COMMENT ON COLUMN reference.constant_maturity_vol.bf25 IS 'Mean of those less atm [1/sqrt(yr)]';
COMMENT ON COLUMN reference.constant_maturity_vol.rr10 IS '10-delta call less 10-delta put [1/sqrt(yr)]';
COMMENT ON COLUMN reference.constant_maturity_vol.bf10 IS 'Mean of those less atm [1/sqrt(yr)]';
COMMENT ON COLUMN reference.constant_maturity_vol.shorter IS 'The expiry before [UTC]';
COMMENT ON COLUMN reference.constant_maturity_vol.longer IS 'The expiry after [UTC]; the same one when it expires just then';
COMMENT ON COLUMN reference.constant_maturity_vol.status IS 'ok, or the reason why the volatilities are null';

CREATE TABLE IF NOT EXISTS reference.variance_swap (
    timestamp timestamptz NOT NULL,
    underlying text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    volatility double precision,
    near_expiry timestamptz,
    near_volatility double precision,
    near_strikes bigint,
    next_expiry timestamptz,
    next_volatility double precision,
    next_strikes bigint,
    wings double precision,
    dvol double precision,
    difference double precision,
    status text NOT NULL,
    PRIMARY KEY (underlying, timestamp, source)
);
SELECT create_hypertable(
    'reference.variance_swap', by_range('timestamp', INTERVAL '90 days'),
    create_default_indexes => false, if_not_exists => true
);
COMMENT ON TABLE reference.variance_swap IS 'Volatility of a variance swap of 30 days beside Deribit''s index (DVOL)';
COMMENT ON COLUMN reference.variance_swap.timestamp IS 'Moment of the surface [UTC]';
COMMENT ON COLUMN reference.variance_swap.underlying IS 'What the options are on';
COMMENT ON COLUMN reference.variance_swap.source IS 'What the surface is made of';
COMMENT ON COLUMN reference.variance_swap.volatility IS 'Root of the variance replicated over 30 days [1/sqrt(yr)]';
COMMENT ON COLUMN reference.variance_swap.near_expiry IS 'The expiry before 30 days [UTC]';
COMMENT ON COLUMN reference.variance_swap.near_volatility IS 'The same to that expiry [1/sqrt(yr)]';
COMMENT ON COLUMN reference.variance_swap.near_strikes IS 'Strikes it is made of [count]';
COMMENT ON COLUMN reference.variance_swap.next_expiry IS 'The expiry after 30 days [UTC]';
COMMENT ON COLUMN reference.variance_swap.next_volatility IS 'The same to that expiry [1/sqrt(yr)]';
COMMENT ON COLUMN reference.variance_swap.next_strikes IS 'Strikes it is made of [count]';
COMMENT ON COLUMN reference.variance_swap.wings IS 'What strikes beyond the listed ones would add to volatility, at most [1/sqrt(yr)]';
COMMENT ON COLUMN reference.variance_swap.dvol IS 'Deribit''s volatility index then: the last close before [1/sqrt(yr)]';
COMMENT ON COLUMN reference.variance_swap.difference IS 'volatility less dvol [1/sqrt(yr)]';
COMMENT ON COLUMN reference.variance_swap.status IS 'ok, or the reason why there is none';

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
    (1, '0001_schema.sql'), (2, '0002_reference_series.sql'), (3, '0003_bars.sql'), (4, '0004_option_volatility.sql')
ON CONFLICT DO NOTHING;
