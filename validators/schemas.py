"""What each dataset promises: columns, types, units, key, grid and rules.

Every rule judges a row by that row alone, so that `contract.split` can tell the good rows from
the bad ones. What needs the neighbours (key, order) is asked of a whole frame by
`contract.check`; what is odd but real (cost/volume off the bar, gaps) by `quality`.
"""

from functools import cache
from typing import Annotated

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

KEY = ("timestamp", "instrument")
"""The key of every time series of an instrument, in sorting order."""

MINUTE_MS = 60_000
DAY_MINUTES = 1_440
SETTLEMENT_MINUTES = 480
"""Deribit's day starts at its settlement, 08:00 UTC."""

RESOLUTIONS = {
    str(minutes): minutes for minutes in (1, 3, 5, 10, 15, 30, 60, 120, 180, 360, 720)
} | {"1D": DAY_MINUTES}
"""Minutes in a candle, by Deribit's name of the resolution."""

QUOTE = {"unit": "quote"}
COIN = {"unit": "coin"}
USD = {"unit": "USD"}
FRACTION = {"unit": "1"}


def grid(resolution: str) -> tuple[int, frozenset[int]]:
    """Return the step of a resolution's candles and where they may start [min].

    Daily candles start at 08:00 UTC. Where those of 180, 360 and 720 minutes start is not
    documented: both 00:00 and 08:00 are accepted (for shorter ones the two are the same).

    Returns
    -------
    tuple of int and frozenset of int
        Step [min], and the allowed remainders of minutes since 1970 divided by it [min].
    """
    step = RESOLUTIONS[resolution]
    midnight = set() if step == DAY_MINUTES else {0}
    return step, frozenset(midnight | {SETTLEMENT_MINUTES % step})


def is_on_grid(resolution: str) -> pl.Expr:
    """Whether `timestamp` can be the open time of a candle of that resolution."""
    step, phases = grid(resolution)
    offset = pl.col("timestamp").dt.epoch("us") % (step * MINUTE_MS * 1_000)
    return offset.is_in([phase * MINUTE_MS * 1_000 for phase in sorted(phases)])


class Bars(pa.DataFrameModel):
    """One row per instrument and open time: what every series of bars promises."""

    timestamp: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(description="Open time.")
    instrument: str
    open: float = pa.Field(metadata=QUOTE)
    high: float = pa.Field(metadata=QUOTE)
    low: float = pa.Field(metadata=QUOTE)
    close: float = pa.Field(metadata=QUOTE)

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True

    @pa.check("open", "high", "low", "close", error="finite")
    @classmethod
    def is_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity (pandera lets it through) and no NaN."""
        return data.lazyframe.select(pl.col(data.key).is_finite())

    @pa.check("open", "high", "low", "close", error="positive")
    @classmethod
    def is_positive(cls, data: PolarsData) -> pl.LazyFrame:
        """Prices are above zero."""
        return data.lazyframe.select(pl.col(data.key) > 0)

    @pa.dataframe_check(error="low_is_lowest")
    @classmethod
    def is_low_lowest(cls, data: PolarsData) -> pl.LazyFrame:
        """Nothing in a candle is below its low."""
        low = pl.col("low")
        return data.lazyframe.select((low <= pl.col("open")) & (low <= pl.col("close")))

    @pa.dataframe_check(error="high_is_highest")
    @classmethod
    def is_high_highest(cls, data: PolarsData) -> pl.LazyFrame:
        """Nothing in a candle is above its high."""
        high = pl.col("high")
        return data.lazyframe.select((high >= pl.col("open")) & (high >= pl.col("close")))


class Candles(Bars):
    """Bars with amounts; `candles_model` adds the grid of a resolution."""

    volume: float = pa.Field(metadata=COIN)
    cost: float = pa.Field(metadata=QUOTE)

    @pa.check("volume", "cost", error="finite")
    @classmethod
    def is_amount_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity and no NaN either."""
        return data.lazyframe.select(pl.col(data.key).is_finite())

    @pa.check("volume", "cost", error="not_negative")
    @classmethod
    def is_not_negative(cls, data: PolarsData) -> pl.LazyFrame:
        """Amounts are zero in a filler, above zero otherwise."""
        return data.lazyframe.select(pl.col(data.key) >= 0)


class FundingRates(pa.DataFrameModel):
    """One row per perpetual and hour; row t describes the hour that ends at t."""

    timestamp: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(description="End of the hour.")
    instrument: str = pa.Field(str_endswith="-PERPETUAL")
    index_price: float = pa.Field(metadata=USD)
    prev_index_price: float = pa.Field(metadata=USD)
    interest_1h: float = pa.Field(metadata=FRACTION)
    interest_8h: float = pa.Field(metadata=FRACTION)

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True

    @pa.check("index_price", "prev_index_price", "interest_1h", "interest_8h", error="finite")
    @classmethod
    def is_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity (pandera lets it through) and no NaN."""
        return data.lazyframe.select(pl.col(data.key).is_finite())

    @pa.check("index_price", "prev_index_price", error="positive")
    @classmethod
    def is_positive(cls, data: PolarsData) -> pl.LazyFrame:
        """Prices are above zero."""
        return data.lazyframe.select(pl.col(data.key) > 0)

    @pa.check("timestamp", error="on_grid")
    @classmethod
    def is_hourly(cls, data: PolarsData) -> pl.LazyFrame:
        """Funding is stated on the hour."""
        return data.lazyframe.select(is_on_grid("60"))


@cache
def candles_model(resolution: str) -> type[Candles]:
    """Return the contract of candles of one resolution: `Candles` on that resolution's grid.

    Raises
    ------
    KeyError
        Deribit has no such resolution.
    """
    expected = is_on_grid(resolution)

    class CandlesOnGrid(Candles):
        @pa.check("timestamp", error="on_grid")
        @classmethod
        def is_on_grid(cls, data: PolarsData) -> pl.LazyFrame:
            """Candles open where the resolution says."""
            return data.lazyframe.select(expected)

    CandlesOnGrid.__name__ = f"Candles_{resolution}"
    return CandlesOnGrid
