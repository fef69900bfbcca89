-- Version 2: tables of the reference series and of what is computed from futures.

CREATE TABLE reference.volatility_index (
    timestamp timestamptz NOT NULL,
    instrument text COLLATE "C" NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    PRIMARY KEY (instrument, timestamp)
);
COMMENT ON TABLE reference.volatility_index IS 'Deribit''s volatility index (DVOL), one-minute bars';
COMMENT ON COLUMN reference.volatility_index.timestamp IS 'Open time of the minute [UTC]';
COMMENT ON COLUMN reference.volatility_index.instrument IS 'Name of the index, as btc_usd';
COMMENT ON COLUMN reference.volatility_index.open IS 'First value, 0.65 for 65 vol points [1/sqrt(yr)]';
COMMENT ON COLUMN reference.volatility_index.high IS 'Highest value [1/sqrt(yr)]';
COMMENT ON COLUMN reference.volatility_index.low IS 'Lowest value [1/sqrt(yr)]';
COMMENT ON COLUMN reference.volatility_index.close IS 'Last value [1/sqrt(yr)]';

CREATE TABLE reference.delivery_prices (
    timestamp timestamptz NOT NULL,
    instrument text COLLATE "C" NOT NULL,
    delivery_price double precision NOT NULL,
    PRIMARY KEY (instrument, timestamp)
);
COMMENT ON TABLE reference.delivery_prices IS 'What contracts that expire at 08:00 UTC are delivered at';
COMMENT ON COLUMN reference.delivery_prices.timestamp IS '08:00 of the day [UTC]';
COMMENT ON COLUMN reference.delivery_prices.instrument IS 'Deribit''s index_name, as btc_usd';
COMMENT ON COLUMN reference.delivery_prices.delivery_price IS 'Average of the index from 07:30 to 08:00 [quote currency]';

CREATE TABLE reference.futures_basis (
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

CREATE TABLE reference.futures_curve (
    timestamp timestamptz NOT NULL,
    underlying text COLLATE "C" NOT NULL,
    maturity_days double precision NOT NULL,
    carry double precision,
    shorter text,
    longer text,
    status text NOT NULL,
    PRIMARY KEY (underlying, timestamp, maturity_days)
);
COMMENT ON TABLE reference.futures_curve IS 'Carry of futures at constant maturities, by minute; null where `status` says why';
COMMENT ON COLUMN reference.futures_curve.timestamp IS 'Open time of the minute [UTC]';
COMMENT ON COLUMN reference.futures_curve.underlying IS 'What the futures are on: BTC, or BTC_USDC for linear ones';
COMMENT ON COLUMN reference.futures_curve.maturity_days IS 'Time to expiry of the interpolated future [days]';
COMMENT ON COLUMN reference.futures_curve.carry IS 'Carry over the perpetual, continuously compounded, ACT/365 [1/yr]';
COMMENT ON COLUMN reference.futures_curve.shorter IS 'The future that expires before';
COMMENT ON COLUMN reference.futures_curve.longer IS 'The future that expires after; the same one when it expires just then';
COMMENT ON COLUMN reference.futures_curve.status IS 'ok, or the reason why carry is null';

COMMENT ON COLUMN reference.load_ledger.instrument IS 'What the key of the table begins with: an instrument, index or underlying';
