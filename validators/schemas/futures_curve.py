"""Term structure of dated futures at constant maturities."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from validators.table import TableFacts, declared
from validators.units import DAYS, PER_YEAR, UTC, Moment


class FuturesCurve(pa.DataFrameModel):
    """One row per underlying, minute and constant maturity."""

    timestamp: Moment = pa.Field(description="Open time of the minute", metadata=UTC)
    underlying: str = pa.Field(
        description="What the futures are on: BTC, or BTC_USDC for linear ones"
    )
    maturity_days: float = pa.Field(
        description="Time to expiry of the interpolated future", metadata=DAYS, gt=0
    )
    carry: float = pa.Field(
        description="Carry over the perpetual, continuously compounded, ACT/365",
        metadata=PER_YEAR,
        nullable=True,
    )
    shorter: str = pa.Field(description="The future that expires before", nullable=True)
    longer: str = pa.Field(
        description="The future that expires after; the same one when it expires just then",
        nullable=True,
    )
    status: str = pa.Field(description="ok, or the reason why carry is null")

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True
        metadata = declared(
            key=("timestamp", "underlying", "maturity_days"),
            table=TableFacts(
                name="futures_curve",
                about=(
                    "Carry of futures at constant maturities, by minute; "
                    "null where `status` says why"
                ),
                key=("underlying", "timestamp", "maturity_days"),
                chunk="90 days",
            ),
        )

    @pa.dataframe_check(error="reason_or_carry")
    @classmethod
    def has_reason(cls, data: PolarsData) -> pl.LazyFrame:
        """Either there is a carry, or a reason why not."""
        return data.lazyframe.select((pl.col("status") == "ok") == pl.col("carry").is_not_null())
