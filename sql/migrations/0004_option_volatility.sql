-- Version 4: forwards, implied volatility of trades, volatility surfaces, Greeks.

CREATE TABLE reference.forward_curve (
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
    create_default_indexes => false
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

CREATE TABLE reference.option_iv (
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
    create_default_indexes => false
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

CREATE TABLE reference.vol_slices (
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
    create_default_indexes => false
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

CREATE TABLE reference.vol_grid (
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
    create_default_indexes => false
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

CREATE TABLE reference.constant_maturity_vol (
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
    create_default_indexes => false
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

CREATE TABLE reference.variance_swap (
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
    create_default_indexes => false
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

-- Nothing filled this table before, and it had other columns. Rows of somebody else are not ours
-- to drop.
DO $$
BEGIN
    IF to_regclass('public.options_greeks') IS NULL THEN
        RETURN;  -- it was renamed
    END IF;
    IF EXISTS (SELECT FROM public.options_greeks) THEN
        RAISE EXCEPTION 'public.options_greeks has rows that deribit-lake did not write: '
            'rename it, and migrate again';
    END IF;
END
$$;
DROP TABLE IF EXISTS public.options_greeks;

CREATE TABLE public.options_greeks (
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
    create_default_indexes => false
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
