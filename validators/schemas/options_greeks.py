"""Implied volatility and Greeks of option candles."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from validators.schemas.forward_curve import SOURCES
from validators.schemas.option_iv import STATUSES
from validators.table import TableFacts, declared
from validators.units import (
    COIN,
    DAYS,
    FRACTION,
    PER_USD,
    PER_YEAR,
    PREMIUM,
    QUOTE,
    UTC,
    VOLATILITY,
    YEARS,
    Moment,
)

RATE_STATUSES = ("ok", "carried", "too_old", "none")
"""What is to be known of the rate."""

EXCHANGE = ("delta", "gamma", "vega", "theta", "rho", "vanna", "volga")
IN_COIN = ("net_delta", "delta_coin", "gamma_coin", "vega_coin", "theta_coin")
DISCOUNTED = ("price_disc", "delta_disc", "gamma_disc", "vega_disc", "theta_disc", "rho_disc")
PER_POINT = {"unit": "1 per volatility point"}
PER_POINT_SQUARED = {"unit": "quote currency per volatility point squared"}
COIN_PER_USD = {"unit": "coin per USD"}
COIN_PER_USD_SQUARED = {"unit": "coin per USD squared"}

_NUMBERS = (
    "price", "index_price", "forward", "tenor", "iv", "rate", "rate_age", "coin_rate",
    *EXCHANGE, *IN_COIN, *DISCOUNTED,
)  # fmt: skip
_FEW = ("price", "forward_source", "status", "rate_status", "rate_age", "underlying")


class OptionsGreeks(pa.DataFrameModel):
    """One row per option and minute with a trade, of the minute's last trade.

    Where `status` says why that has no volatility, there are no Greeks. Those without suffix are in
    the exchange's convention; `_coin` are of the premium in coin, where that is what it is paid in;
    `_disc` are discounted at `rate`, where one is known.
    """

    timestamp: Moment = pa.Field(description="Open time of the candle", metadata=UTC)
    instrument: str = pa.Field(description="Deribit's instrument_name")
    underlying: str = pa.Field(description="What the option is on: BTC, or BTC_USDC if linear")
    close_timestamp: Moment = pa.Field(
        description="Time of the candle's last trade, which the row values", metadata=UTC
    )
    price: float = pa.Field(description="Premium of that trade", metadata=PREMIUM)
    index_price: float = pa.Field(description="Index at that trade", metadata=QUOTE, nullable=True)
    forward: float = pa.Field(
        description="Forward of the expiry at that trade", metadata=QUOTE, nullable=True
    )
    forward_source: str = pa.Field(isin=SOURCES, description="What the forward is known from")
    tenor: float = pa.Field(
        description="Time to expiry, ACT/365 to 08:00 UTC; negative after it", metadata=YEARS
    )
    iv: float = pa.Field(
        description="Implied volatility, 0.65 for 65 %", metadata=VOLATILITY, nullable=True
    )
    status: str = pa.Field(isin=STATUSES, description="ok, or the reason why iv is null")
    delta: float = pa.Field(
        description="Change of price with the forward", metadata=FRACTION, nullable=True
    )
    gamma: float = pa.Field(
        description="Change of delta with the forward", metadata=PER_USD, nullable=True
    )
    vega: float = pa.Field(
        description="Change of price per volatility point", metadata=QUOTE, nullable=True
    )
    theta: float = pa.Field(
        description="Change of price per day, capped as the exchange does",
        metadata=QUOTE,
        nullable=True,
    )
    rho: float = pa.Field(
        description="Change of price per 1 % of rate, the forward moving with it",
        metadata=QUOTE,
        nullable=True,
    )
    vanna: float = pa.Field(
        description="Change of delta per volatility point", metadata=PER_POINT, nullable=True
    )
    volga: float = pa.Field(
        description="Change of vega per volatility point",
        metadata=PER_POINT_SQUARED,
        nullable=True,
    )
    net_delta: float = pa.Field(
        description="delta less the premium in coin: what hedges holdings in coin",
        metadata=FRACTION,
        nullable=True,
    )
    delta_coin: float = pa.Field(
        description="Change of the premium in coin with the forward",
        metadata=COIN_PER_USD,
        nullable=True,
    )
    gamma_coin: float = pa.Field(
        description="Change of delta_coin with the forward",
        metadata=COIN_PER_USD_SQUARED,
        nullable=True,
    )
    vega_coin: float = pa.Field(
        description="Change of the premium in coin per volatility point",
        metadata=COIN,
        nullable=True,
    )
    theta_coin: float = pa.Field(
        description="Change of the premium in coin per day", metadata=COIN, nullable=True
    )
    rate: float = pa.Field(
        description="Treasury bill rate at the option's tenor, continuously compounded",
        metadata=PER_YEAR,
        nullable=True,
    )
    rate_age: float = pa.Field(
        description="Days since the curve it is from", metadata=DAYS, nullable=True
    )
    rate_status: str = pa.Field(
        isin=RATE_STATUSES,
        description="ok, carried over days without a curve, or why there is none: too_old, none",
    )
    coin_rate: float = pa.Field(
        description="rate - ln(forward / index_price) / tenor: what the coin earns",
        metadata=PER_YEAR,
        nullable=True,
    )
    price_disc: float = pa.Field(description="Discounted price", metadata=QUOTE, nullable=True)
    delta_disc: float = pa.Field(
        description="Discounted delta, with the index", metadata=FRACTION, nullable=True
    )
    gamma_disc: float = pa.Field(
        description="Discounted gamma, with the index", metadata=PER_USD, nullable=True
    )
    vega_disc: float = pa.Field(
        description="Discounted vega per volatility point", metadata=QUOTE, nullable=True
    )
    theta_disc: float = pa.Field(
        description="Discounted theta per day, not capped, the forward held",
        metadata=QUOTE,
        nullable=True,
    )
    rho_disc: float = pa.Field(
        description="Discounted rho per 1 % with the forward held", metadata=QUOTE, nullable=True
    )

    class Config:
        """Exactly these columns, in this order; a hypertable."""

        strict = True
        ordered = True
        metadata = declared(
            key=("instrument", "timestamp"),
            layout={
                "row_group": 16_384,
                "level": -5,
                "encodings": dict.fromkeys(_FEW, "DICTIONARY"),
                "statistics": ("timestamp", "instrument"),
            },
            table=TableFacts(
                name="options_greeks",
                about=(
                    "Implied volatility and Greeks of option candles; columns without suffix in "
                    "the exchange's convention (Black-76, rate 0), in _coin of the premium in "
                    "coin, in _disc discounted at `rate`"
                ),
                schema="public",
                key=("instrument", "timestamp"),
                chunk="90 days",
                segment="underlying",  # by instrument, 302 bytes a row for 136: few rows an option
                subject="split_part(split_part(held.instrument, '-', 1), '_', -1)",  # as settled
            ),
        )

    @pa.check(*_NUMBERS, error="finite")
    @classmethod
    def is_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity (pandera lets it through) and no NaN."""
        return data.lazyframe.select(pl.col(data.key).is_finite())

    @pa.dataframe_check(error="reason_or_greeks")
    @classmethod
    def has_reason(cls, data: PolarsData) -> pl.LazyFrame:
        """Either there are volatility and Greeks, or a reason why not."""
        is_ok = pl.col("status") == "ok"
        return data.lazyframe.select(
            pl.all_horizontal(pl.col(name).is_not_null() == is_ok for name in ("iv", *EXCHANGE))
        )

    @pa.dataframe_check(error="reason_or_rate")
    @classmethod
    def has_rate(cls, data: PolarsData) -> pl.LazyFrame:
        """Either there is a rate, and what is discounted by it, or a reason why not."""
        has_rate = pl.col("rate_status").is_in(["ok", "carried"])
        is_ok = (pl.col("status") == "ok") & has_rate
        both = [pl.col(name).is_not_null() == is_ok for name in DISCOUNTED]
        return data.lazyframe.select(
            pl.all_horizontal(pl.col("rate").is_not_null() == has_rate, *both)
        )

    @pa.dataframe_check(error="minute")
    @classmethod
    def is_of_its_minute(cls, data: PolarsData) -> pl.LazyFrame:
        """No trade was made outside the minute of its candle."""
        minute = pl.col("close_timestamp").dt.truncate("1m")
        return data.lazyframe.select(minute == pl.col("timestamp"))
