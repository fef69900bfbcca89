"""Contracts of derived datasets: what is computed from clean ones."""

from typing import Annotated

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

QUOTE = {"unit": "quote currency"}
PER_YEAR = {"unit": "1/yr"}
DAYS = {"unit": "days"}


class FuturesBasis(pa.DataFrameModel):
    """One row per dated future and minute; figures are null where `status` says why."""

    timestamp: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(description="Open of the minute.")
    instrument: str
    future_price: float = pa.Field(metadata=QUOTE)
    perpetual_price: float = pa.Field(metadata=QUOTE, nullable=True)
    index_price: float = pa.Field(metadata=QUOTE, nullable=True)
    future_is_filler: bool
    perpetual_is_filler: bool
    days_to_expiry: float = pa.Field(metadata=DAYS, nullable=True)
    basis: float = pa.Field(metadata=QUOTE, nullable=True)
    index_basis: float = pa.Field(metadata=QUOTE, nullable=True)
    basis_annualised: float = pa.Field(metadata=PER_YEAR, nullable=True)
    carry: float = pa.Field(metadata=PER_YEAR, nullable=True)
    status: str

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True

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


class FuturesCurve(pa.DataFrameModel):
    """One row per underlying, minute and constant maturity."""

    timestamp: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(description="Open of the minute.")
    underlying: str
    maturity_days: float = pa.Field(metadata=DAYS, gt=0)
    carry: float = pa.Field(metadata=PER_YEAR, nullable=True)
    shorter: str = pa.Field(nullable=True)
    longer: str = pa.Field(nullable=True)
    status: str

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True

    @pa.dataframe_check(error="reason_or_carry")
    @classmethod
    def has_reason(cls, data: PolarsData) -> pl.LazyFrame:
        """Either there is a carry, or a reason why not."""
        return data.lazyframe.select((pl.col("status") == "ok") == pl.col("carry").is_not_null())
