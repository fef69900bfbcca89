"""Contracts of the reference series: volatility index, delivery prices, index prices."""

from functools import cache
from typing import Annotated

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

QUOTE = {"unit": "quote currency"}
EIGHT_HOURS_MS, DAY_MS = 28_800_000, 86_400_000


class VolatilityIndex(pa.DataFrameModel):
    """One row per index and bar of the volatility index; volatilities are decimals a year."""

    timestamp: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(description="Open time.")
    instrument: str
    open: float
    high: float
    low: float
    close: float

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
        """Volatilities are above zero."""
        return data.lazyframe.select(pl.col(data.key) > 0)

    @pa.dataframe_check(error="low_is_lowest")
    @classmethod
    def is_low_lowest(cls, data: PolarsData) -> pl.LazyFrame:
        """Nothing in a bar is below its low."""
        low = pl.col("low")
        return data.lazyframe.select((low <= pl.col("open")) & (low <= pl.col("close")))

    @pa.dataframe_check(error="high_is_highest")
    @classmethod
    def is_high_highest(cls, data: PolarsData) -> pl.LazyFrame:
        """Nothing in a bar is above its high."""
        high = pl.col("high")
        return data.lazyframe.select((high >= pl.col("open")) & (high >= pl.col("close")))


@cache
def volatility_index_model(step_ms: int) -> type[VolatilityIndex]:
    """Return the contract of bars of one length, which open at 00:00 or at 08:00 UTC or between."""
    starts = sorted({0, EIGHT_HOURS_MS % step_ms})

    class VolatilityIndexOnGrid(VolatilityIndex):
        @pa.check("timestamp", error="on_grid")
        @classmethod
        def is_on_grid(cls, data: PolarsData) -> pl.LazyFrame:
            """Bars open where their length says."""
            into = pl.col("timestamp").dt.epoch("ms") % step_ms
            return data.lazyframe.select(into.is_in(starts))

    VolatilityIndexOnGrid.__name__ = f"VolatilityIndex_{step_ms // 1_000}"
    return VolatilityIndexOnGrid


class DeliveryPrices(pa.DataFrameModel):
    """One row per index and day: what contracts that expire at 08:00 UTC are delivered at."""

    timestamp: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(description="08:00 UTC of the day.")
    instrument: str
    delivery_price: float = pa.Field(metadata=QUOTE)

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True

    @pa.check("delivery_price", error="finite")
    @classmethod
    def is_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity (pandera lets it through) and no NaN."""
        return data.lazyframe.select(pl.col(data.key).is_finite())

    @pa.check("delivery_price", error="positive")
    @classmethod
    def is_positive(cls, data: PolarsData) -> pl.LazyFrame:
        """Prices are above zero."""
        return data.lazyframe.select(pl.col(data.key) > 0)

    @pa.check("timestamp", error="on_grid")
    @classmethod
    def is_at_eight(cls, data: PolarsData) -> pl.LazyFrame:
        """Deliveries are at 08:00 UTC."""
        into = pl.col("timestamp").dt.epoch("ms") % DAY_MS
        return data.lazyframe.select(into == EIGHT_HOURS_MS)

    @pa.dataframe_check(error="one_price_a_day")
    @classmethod
    def is_one_price(cls, data: PolarsData) -> pl.LazyFrame:
        """Of two prices for a day neither is believed: a delivery price is final."""
        prices = pl.col("delivery_price").n_unique().over("timestamp", "instrument")
        return data.lazyframe.select(prices == 1)


class IndexPrices(pa.DataFrameModel):
    """One row per index and moment, with the source that was believed."""

    timestamp: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(description="Moment of the price.")
    instrument: str
    price: float = pa.Field(metadata=QUOTE, gt=0)
    source: str

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True
