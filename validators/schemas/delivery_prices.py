"""Delivery prices of the indices, by the day."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from validators.resolutions import DAY_MS, SETTLEMENT_MS
from validators.table import TableFacts, declared
from validators.units import QUOTE, UTC, Moment


class DeliveryPrices(pa.DataFrameModel):
    """One row per index and day: what contracts that expire at 08:00 UTC are delivered at."""

    timestamp: Moment = pa.Field(description="08:00 of the day", metadata=UTC)
    instrument: str = pa.Field(description="Deribit's index_name, as btc_usd")
    delivery_price: float = pa.Field(
        description="Average of the index from 07:30 to 08:00", metadata=QUOTE
    )

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True
        metadata = declared(
            table=TableFacts(
                name="delivery_prices",
                about="What contracts that expire at 08:00 UTC are delivered at",
            )
        )

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
        return data.lazyframe.select(into == SETTLEMENT_MS)

    @pa.dataframe_check(error="one_price_a_day")
    @classmethod
    def is_one_price(cls, data: PolarsData) -> pl.LazyFrame:
        """Of two prices for a day neither is believed: a delivery price is final."""
        prices = pl.col("delivery_price").n_unique().over("timestamp", "instrument")
        return data.lazyframe.select(prices == 1)
