"""Deribit's volatility index (DVOL)."""

from functools import cache

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from validators.resolutions import MINUTE_MS, SETTLEMENT_MS
from validators.schemas.candles import Bars
from validators.table import TableFacts, declared
from validators.units import UTC, VOLATILITY, Moment


class VolatilityBars(Bars):
    """One row per index and bar of the volatility index, whatever its length."""

    instrument: str = pa.Field(description="Name of the index, as btc_usd")
    open: float = pa.Field(description="First value, 0.65 for 65 vol points", metadata=VOLATILITY)
    high: float = pa.Field(description="Highest value", metadata=VOLATILITY)
    low: float = pa.Field(description="Lowest value", metadata=VOLATILITY)
    close: float = pa.Field(description="Last value", metadata=VOLATILITY)


class VolatilityIndex(VolatilityBars):
    """One row per index and minute of the volatility index, from 2021-03-24 on.

    `volatility_index_3600`, `_43200` and `_1D` are the exchange's own bars of an hour, of twelve
    hours and of a day, with the same columns.
    """

    timestamp: Moment = pa.Field(description="Open time of the minute", metadata=UTC)

    class Config:
        """The table."""

        metadata = declared(
            table=TableFacts(
                name="volatility_index",
                about="Deribit's volatility index (DVOL), one-minute bars",
                chunk="90 days",
            )
        )


@cache
def volatility_index_model(step_ms: int) -> type[VolatilityBars]:
    """Return the contract of bars of one length, which open at 00:00 or at 08:00 UTC or between."""
    starts = sorted({0, SETTLEMENT_MS % step_ms})
    bars = VolatilityIndex if step_ms == MINUTE_MS else VolatilityBars

    class VolatilityIndexOnGrid(bars):  # type: ignore[misc, valid-type]  # mypy knows no such bases
        @pa.check("timestamp", error="on_grid")
        @classmethod
        def is_on_grid(cls, data: PolarsData) -> pl.LazyFrame:
            """Bars open where their length says."""
            into = pl.col("timestamp").dt.epoch("ms") % step_ms
            return data.lazyframe.select(into.is_in(starts))

    VolatilityIndexOnGrid.__name__ = f"VolatilityIndex_{step_ms // 1_000}"
    VolatilityIndexOnGrid.__doc__ = bars.__doc__
    return VolatilityIndexOnGrid
