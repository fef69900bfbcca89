"""The volatility of a variance swap of thirty days, beside the exchange's index of the same."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from validators.schemas.vol_slices import SOURCES
from validators.table import TableFacts, declared
from validators.units import COUNT, UTC, VOLATILITY, Moment

STATUSES = ("ok", "no_surface", "no_shorter_expiry", "no_longer_expiry", "few_strikes")
"""Why there is no volatility, where there is none."""


class VarianceSwap(pa.DataFrameModel):
    """One row per surface: the volatility that options of listed strikes replicate over 30 days."""

    timestamp: Moment = pa.Field(description="Moment of the surface", metadata=UTC)
    underlying: str = pa.Field(description="What the options are on")
    source: str = pa.Field(isin=SOURCES, description="What the surface is made of")
    volatility: float = pa.Field(
        description="Root of the variance replicated over 30 days",
        metadata=VOLATILITY,
        nullable=True,
    )
    near_expiry: Moment = pa.Field(
        description="The expiry before 30 days", metadata=UTC, nullable=True
    )
    near_volatility: float = pa.Field(
        description="The same to that expiry", metadata=VOLATILITY, nullable=True
    )
    near_strikes: int = pa.Field(description="Strikes it is made of", metadata=COUNT, nullable=True)
    next_expiry: Moment = pa.Field(
        description="The expiry after 30 days", metadata=UTC, nullable=True
    )
    next_volatility: float = pa.Field(
        description="The same to that expiry", metadata=VOLATILITY, nullable=True
    )
    next_strikes: int = pa.Field(description="Strikes it is made of", metadata=COUNT, nullable=True)
    wings: float = pa.Field(
        description="What strikes beyond the listed ones would add to volatility, at most",
        metadata=VOLATILITY,
        nullable=True,
    )
    dvol: float = pa.Field(
        description="Deribit's volatility index then: the last close before",
        metadata=VOLATILITY,
        nullable=True,
    )
    difference: float = pa.Field(
        description="volatility less dvol", metadata=VOLATILITY, nullable=True
    )
    status: str = pa.Field(isin=STATUSES, description="ok, or the reason why there is none")

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True
        metadata = declared(
            key=("timestamp", "underlying", "source"),
            table=TableFacts(
                name="variance_swap",
                about="Volatility of a variance swap of 30 days beside Deribit's index (DVOL)",
                key=("underlying", "timestamp", "source"),
                chunk="90 days",
            ),
        )

    @pa.check(
        "volatility", "near_volatility", "next_volatility", "wings", "dvol", "difference",
        error="finite",
    )  # fmt: skip
    @classmethod
    def is_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity (pandera lets it through) and no NaN."""
        return data.lazyframe.select(pl.col(data.key).is_finite())

    @pa.dataframe_check(error="reason_or_volatility")
    @classmethod
    def has_reason(cls, data: PolarsData) -> pl.LazyFrame:
        """Either there is a volatility, or a reason why not."""
        is_told = pl.col("volatility").is_not_null()
        return data.lazyframe.select((pl.col("status") == "ok") == is_told)
