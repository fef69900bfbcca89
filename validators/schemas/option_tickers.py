"""Quotes of whole chains of options at an instant, with the exchange's own marks and Greeks."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from validators.table import declared
from validators.units import (
    COIN,
    FRACTION,
    PER_USD,
    PER_YEAR,
    PREMIUM,
    QUOTE,
    UTC,
    VOLATILITY,
    Moment,
)

_POSITIVE = (
    "strike", "bid_price", "bid_amount", "ask_price", "ask_amount", "last_price",
    "bid_iv", "ask_iv", "underlying_price", "index_price",
)  # fmt: skip
_NOT_NEGATIVE = ("mark_price", "mark_iv", "open_interest", "volume")
_GREEKS = ("delta", "gamma", "vega", "theta", "rho")


class OptionTickers(pa.DataFrameModel):
    """One row per option of a chain and instant: its quote, its mark, what the exchange adds.

    All rows of a snapshot have one `timestamp`, the exchange's instant, and those of a chain stand
    together. Where there is no bid, no ask or no last price, it is null. Amounts, `bid_iv`,
    `ask_iv` and Greeks come with `--tickers` alone; then all of the row is of its ticker, at
    `quoted_at`, and its mark has four decimals where a chain's has eight. Marks are kept as they
    are sent, flat ones too. Tickers that came over sockets stand at each full minute of our clock,
    the last of the minute before. A day and settlement currency stand in one file.
    """

    timestamp: Moment = pa.Field(
        description="Instant of the snapshot, by the exchange's clock", metadata=UTC
    )
    instrument: str = pa.Field(description="Deribit's instrument_name")
    quoted_at: Moment = pa.Field(description="When the row itself was quoted", metadata=UTC)
    underlying: str = pa.Field(description="What the option is on: BTC, or BTC_USDC if linear")
    expiry: Moment = pa.Field(description="Expiry, 08:00 of the day in its name", metadata=UTC)
    strike: float = pa.Field(description="Strike", metadata=QUOTE)
    option_type: str = pa.Field(isin=("call", "put"), description="call or put")
    bid_price: float = pa.Field(nullable=True, description="Best bid", metadata=PREMIUM)
    bid_amount: float = pa.Field(nullable=True, description="Amount bid there", metadata=COIN)
    ask_price: float = pa.Field(nullable=True, description="Best ask", metadata=PREMIUM)
    ask_amount: float = pa.Field(nullable=True, description="Amount asked there", metadata=COIN)
    last_price: float = pa.Field(
        nullable=True, description="Price of the last trade", metadata=PREMIUM
    )
    mark_price: float = pa.Field(
        nullable=True, description="Mark price of the option", metadata=PREMIUM
    )
    bid_iv: float = pa.Field(
        nullable=True, description="Volatility of the bid, 0.65 for 65 %", metadata=VOLATILITY
    )
    ask_iv: float = pa.Field(
        nullable=True, description="Volatility of the ask", metadata=VOLATILITY
    )
    mark_iv: float = pa.Field(
        nullable=True, description="Volatility of the mark", metadata=VOLATILITY
    )
    underlying_price: float = pa.Field(
        nullable=True,
        description="Forward of the expiry, as the exchange takes it",
        metadata=QUOTE,
    )
    underlying_index: str = pa.Field(
        nullable=True, description="Where that comes from: BTC-26DEC25, SYN.BTC-21SEP26, …"
    )
    index_price: float = pa.Field(
        nullable=True, description="Index of the underlying", metadata=QUOTE
    )
    interest_rate: float = pa.Field(
        nullable=True, description="Rate the exchange discounts by", metadata=PER_YEAR
    )
    open_interest: float = pa.Field(nullable=True, description="Open interest", metadata=COIN)
    volume: float = pa.Field(nullable=True, description="Volume of 24 hours", metadata=COIN)
    delta: float = pa.Field(nullable=True, description="Delta, with the forward", metadata=FRACTION)
    gamma: float = pa.Field(nullable=True, description="Change of delta", metadata=PER_USD)
    vega: float = pa.Field(
        nullable=True, description="Change of price per volatility point", metadata=QUOTE
    )
    theta: float = pa.Field(nullable=True, description="Change of price per day", metadata=QUOTE)
    rho: float = pa.Field(
        nullable=True, description="Change of price per 1 % of rate", metadata=QUOTE
    )

    class Config:
        """Exactly these columns, in this order; the chain of an instant in a few row groups."""

        strict = True
        ordered = True
        metadata = declared(
            layout={"row_group": 8_192, "statistics": ("timestamp", "instrument", "expiry")}
        )

    @pa.check(*_POSITIVE, *_NOT_NEGATIVE, "interest_rate", *_GREEKS, error="finite")
    @classmethod
    def is_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity (pandera lets it through) and no NaN."""
        return data.lazyframe.select(pl.col(data.key).is_finite())

    @pa.check(*_POSITIVE, error="positive")
    @classmethod
    def is_positive(cls, data: PolarsData) -> pl.LazyFrame:
        """Prices, amounts and volatilities that there are stand above zero."""
        return data.lazyframe.select(pl.col(data.key) > 0)

    @pa.check(*_NOT_NEGATIVE, error="not_negative")
    @classmethod
    def is_not_negative(cls, data: PolarsData) -> pl.LazyFrame:
        """Worthless is zero: so is the mark of an option far out of the money."""
        return data.lazyframe.select(pl.col(data.key) >= 0)

    @pa.dataframe_check(error="after_expiry")
    @classmethod
    def is_alive(cls, data: PolarsData) -> pl.LazyFrame:
        """No quote comes after the expiry."""
        return data.lazyframe.select(pl.col("quoted_at") < pl.col("expiry"))
