"""Basis of dated futures over the perpetual."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from validators.table import TableFacts, declared
from validators.units import DAYS, PER_YEAR, QUOTE, UTC, Moment


class FuturesBasis(pa.DataFrameModel):
    """One row per dated future and minute; figures are null where `status` says why.

    Rows are sorted by expiry, then by time. [basis.md](basis.md) says how the figures are made.
    """

    timestamp: Moment = pa.Field(description="Open time of the minute", metadata=UTC)
    instrument: str = pa.Field(description="The future, by Deribit's instrument_name")
    future_price: float = pa.Field(description="Close of the future", metadata=QUOTE)
    perpetual_price: float = pa.Field(
        description="Last close of the perpetual", metadata=QUOTE, nullable=True
    )
    index_price: float = pa.Field(
        description="Index where it is known for that minute", metadata=QUOTE, nullable=True
    )
    future_is_filler: bool = pa.Field(description="Whether the future did not trade in the minute")
    perpetual_is_filler: bool = pa.Field(description="Whether the perpetual did not")
    days_to_expiry: float = pa.Field(
        description="From the end of the minute to expiry", metadata=DAYS, nullable=True
    )
    basis: float = pa.Field(description="Future less perpetual", metadata=QUOTE, nullable=True)
    index_basis: float = pa.Field(description="Future less index", metadata=QUOTE, nullable=True)
    basis_annualised: float = pa.Field(
        description="Basis over the perpetual, simple, ACT/365", metadata=PER_YEAR, nullable=True
    )
    carry: float = pa.Field(
        description="The same continuously compounded", metadata=PER_YEAR, nullable=True
    )
    status: str = pa.Field(description="ok, or the reason why there is no basis")

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True
        metadata = declared(
            key=("instrument", "timestamp"),
            table=TableFacts(
                name="futures_basis",
                about=(
                    "Basis of dated futures over the perpetual, by minute; "
                    "null where `status` says why"
                ),
                chunk="90 days",
            ),
        )

    @pa.check("basis_annualised", "carry", error="finite")
    @classmethod
    def is_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity and no NaN; null is no figure."""
        return data.lazyframe.select(pl.col(data.key).is_finite().fill_null(value=True))

    @pa.dataframe_check(error="reason_or_basis")
    @classmethod
    def has_reason(cls, data: PolarsData) -> pl.LazyFrame:
        """Either there is a basis, or a reason why not."""
        return data.lazyframe.select((pl.col("status") == "ok") == pl.col("basis").is_not_null())
