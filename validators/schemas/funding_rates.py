"""Funding of perpetuals, by the hour."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from validators.resolutions import is_on_grid
from validators.table import TableFacts, declared
from validators.units import FRACTION, USD, UTC, Moment


class FundingRates(pa.DataFrameModel):
    """One row per perpetual and hour; it describes the hour that *ends* at `timestamp`."""

    timestamp: Moment = pa.Field(description="End of the hour", metadata=UTC)
    instrument: str = pa.Field(str_endswith="-PERPETUAL", description="Deribit's instrument_name")
    index_price: float = pa.Field(description="Index at the end of the hour", metadata=USD)
    prev_index_price: float = pa.Field(description="Index at its start", metadata=USD)
    interest_1h: float = pa.Field(
        description="Funding of the hour, 0.0001 for 0.01 %", metadata=FRACTION
    )
    interest_8h: float = pa.Field(description="Funding of the last eight hours", metadata=FRACTION)

    class Config:
        """Exactly these columns, in this order; a hypertable."""

        strict = True
        ordered = True
        metadata = declared(
            table=TableFacts(
                name="funding_rates",
                about=(
                    "Hourly funding of perpetuals; "
                    "a row describes the hour that ends at its timestamp"
                ),
                schema="public",
                chunk="365 days",
            )
        )

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
