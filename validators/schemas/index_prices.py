"""Prices of the indices."""

import pandera.polars as pa

from validators.table import TableFacts, declared
from validators.units import QUOTE, UTC, Moment


class IndexPrices(pa.DataFrameModel):
    """One row per index and moment, with the source that was believed."""

    timestamp: Moment = pa.Field(description="Moment of the price", metadata=UTC)
    instrument: str = pa.Field(description="Deribit's index_name, as btc_usd")
    price: float = pa.Field(description="Index", metadata=QUOTE, gt=0)
    source: str = pa.Field(description="Dataset the price was taken from")

    class Config:
        """Exactly these columns, in this order; a hypertable."""

        strict = True
        ordered = True
        metadata = declared(
            table=TableFacts(
                name="index_prices",
                about="Index prices, one row per index and moment",
                schema="public",
                chunk="90 days",
            )
        )
