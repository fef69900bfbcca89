"""What an expiry's forward stands above the index, minute by minute, from earlier evidence."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from validators.table import TableFacts, declared
from validators.units import COUNT, FRACTION, PER_YEAR, UTC, Moment

SOURCES = ("trade", "ticker", "future", "interpolated", "extrapolated", "none")


class ForwardCurve(pa.DataFrameModel):
    """One row per expiry and minute in which one of its options traded, and per full hour.

    The forward of a trade is its own index times e to the power of `basis`. A row is made of what
    was seen before its `timestamp`, so that no trade of its minute has entered it.
    """

    timestamp: Moment = pa.Field(description="Beginning of the minute", metadata=UTC)
    underlying: str = pa.Field(
        description="What the options are on: BTC, or BTC_USDC for linear ones"
    )
    expiry: Moment = pa.Field(description="Moment of expiry", metadata=UTC)
    basis: float = pa.Field(
        description="ln(forward / index); null where nothing tells it",
        metadata=FRACTION,
        nullable=True,
    )
    error: float = pa.Field(
        description="Two standard errors of basis, with what age and interpolation add",
        metadata=FRACTION,
        nullable=True,
        ge=0,
    )
    carry: float = pa.Field(
        description="basis over time to expiry, ACT/365", metadata=PER_YEAR, nullable=True
    )
    source: str = pa.Field(
        isin=SOURCES,
        description="What tells it: trades of the expiry, its ticker, its future, its neighbours",
    )
    seen_at: Moment = pa.Field(
        description="When the newest of that was seen; of two neighbours the older",
        metadata=UTC,
        nullable=True,
    )
    witnesses: int = pa.Field(description="How many it is made of", metadata=COUNT, ge=0)

    class Config:
        """Exactly these columns, in this order; the rows of an expiry stand together."""

        strict = True
        ordered = True
        metadata = declared(
            key=("underlying", "expiry", "timestamp"),
            layout={"level": 1, "encodings": {"witnesses": "DICTIONARY"}},
            table=TableFacts(
                name="forward_curve",
                about=(
                    "Forwards of option expiries over the index, by minute, each from earlier "
                    "evidence alone; null where `source` is none"
                ),
                key=("underlying", "timestamp", "expiry"),
                chunk="90 days",
            ),
        )

    @pa.check("basis", "error", "carry", error="finite")
    @classmethod
    def is_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity (pandera lets it through) and no NaN."""
        return data.lazyframe.select(pl.col(data.key).is_finite())

    @pa.dataframe_check(error="source_or_basis")
    @classmethod
    def has_source(cls, data: PolarsData) -> pl.LazyFrame:
        """Either there is a basis, or no source."""
        is_told = pl.col("basis").is_not_null()
        return data.lazyframe.select((pl.col("source") != "none") == is_told)
