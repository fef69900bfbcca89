"""Contracts of the reference series: volatility index, delivery prices, index prices."""

from functools import cache
from typing import Annotated

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from validators.schemas import Bars

VOLATILITY = {"unit": "1/sqrt(yr)"}
QUOTE = {"unit": "quote currency"}
EIGHT_HOURS_MS, DAY_MS = 28_800_000, 86_400_000


class VolatilityIndex(Bars):
    """One row per index and bar of the volatility index, 0.65 for 65 vol points."""

    open: float = pa.Field(metadata=VOLATILITY)
    high: float = pa.Field(metadata=VOLATILITY)
    low: float = pa.Field(metadata=VOLATILITY)
    close: float = pa.Field(metadata=VOLATILITY)


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
