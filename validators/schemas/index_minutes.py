"""Prices of the indices, minute by minute, as they were heard."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from validators.table import declared
from validators.units import COUNT, QUOTE, UTC, Moment

_PRICES = ("open", "high", "low", "close")


class IndexMinutes(pa.DataFrameModel):
    """One row per index and minute in which its price was heard over a socket.

    The exchange sends an index about once a second. A minute nobody listened to has no row, one
    that was heard in part has fewer `ticks`: none is made up.
    """

    timestamp: Moment = pa.Field(description="Open time of the minute", metadata=UTC)
    instrument: str = pa.Field(description="Deribit's index_name, as btc_usd")
    open: float = pa.Field(description="First price heard", metadata=QUOTE, gt=0)
    high: float = pa.Field(description="Highest price heard", metadata=QUOTE, gt=0)
    low: float = pa.Field(description="Lowest price heard", metadata=QUOTE, gt=0)
    close: float = pa.Field(description="Last price heard", metadata=QUOTE, gt=0)
    ticks: int = pa.Field(description="Moments a price was heard of", metadata=COUNT, gt=0)
    closed_at: Moment = pa.Field(description="Moment of the last price", metadata=UTC)

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True
        metadata = declared()

    @pa.check(*_PRICES, error="finite")
    @classmethod
    def is_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity: pandera lets it through."""
        return data.lazyframe.select(pl.col(data.key).is_finite())

    @pa.dataframe_check(error="low_to_high")
    @classmethod
    def is_in_order(cls, data: PolarsData) -> pl.LazyFrame:
        """Open and close lie between low and high."""
        inside = [pl.col(name).is_between("low", "high") for name in ("open", "close")]
        return data.lazyframe.select(pl.all_horizontal(inside))

    @pa.dataframe_check(error="closed_in_minute")
    @classmethod
    def is_closed_inside(cls, data: PolarsData) -> pl.LazyFrame:
        """No last price is of another minute."""
        return data.lazyframe.select(pl.col("closed_at").dt.truncate("1m") == pl.col("timestamp"))
