"""US Treasury yields up to a year, a curve for every calendar day, continuously compounded."""

import math

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from validators.resolutions import DAY_MS
from validators.table import declared
from validators.units import PER_YEAR, UTC, Moment

SOURCES = ("treasury", "fred")
TENORS = {
    "rate_1m": 1 / 12,
    "rate_1_5m": 1.5 / 12,
    "rate_2m": 2 / 12,
    "rate_3m": 3 / 12,
    "rate_4m": 4 / 12,
    "rate_6m": 6 / 12,
    "rate_1y": 1.0,
}
"""The columns of a curve, each with its tenor [yr], the shortest first."""
HIGHEST_YIELD = 1.0
"""A yield above 100 % a year is none, whichever way of zero it lies [1/yr, bond-equivalent]."""
LOWEST, HIGHEST = (2 * math.log1p(sign * HIGHEST_YIELD / 2) for sign in (-1, 1))


class TreasuryBills(pa.DataFrameModel):
    """One row per calendar day and currency: the curve of that day, or the last one before it.

    Rates are the Treasury's constant-maturity yields, 2 ln(1 + y/2) of the published
    bond-equivalent y; those of the 4-month bill begin in October 2022, of the 6-week bill in
    February 2025. A day without a curve of its own, as on weekends and holidays, repeats the last
    one before it: then `is_carried` is true and `published_on` says how old it is; none is carried
    back. A curve is out by 18:00 in New York, before the day ends in UTC. A year stands in one
    file.
    """

    timestamp: Moment = pa.Field(description="00:00 of the day", metadata=UTC)
    currency: str = pa.Field(str_matches="^[A-Z]{3}$", description="Currency of the bills, USD")
    published_on: Moment = pa.Field(
        description="00:00 of the day whose curve the row has", metadata=UTC
    )
    source: str = pa.Field(isin=SOURCES, description="Who published it: treasury, or fred alone")
    is_carried: bool = pa.Field(description="Whether the day has no curve of its own")
    rate_1m: float = pa.Field(nullable=True, description="Rate for 1 month", metadata=PER_YEAR)
    rate_1_5m: float = pa.Field(nullable=True, description="Rate for 6 weeks", metadata=PER_YEAR)
    rate_2m: float = pa.Field(nullable=True, description="Rate for 2 months", metadata=PER_YEAR)
    rate_3m: float = pa.Field(nullable=True, description="Rate for 3 months", metadata=PER_YEAR)
    rate_4m: float = pa.Field(nullable=True, description="Rate for 4 months", metadata=PER_YEAR)
    rate_6m: float = pa.Field(nullable=True, description="Rate for 6 months", metadata=PER_YEAR)
    rate_1y: float = pa.Field(nullable=True, description="Rate for a year", metadata=PER_YEAR)

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True
        metadata = declared(key=("timestamp", "currency"))

    @pa.check(*TENORS, error="finite")
    @classmethod
    def is_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity (pandera lets it through) and no NaN."""
        return data.lazyframe.select(pl.col(data.key).is_finite())

    @pa.check(*TENORS, error="within_100_percent")
    @classmethod
    def is_plausible(cls, data: PolarsData) -> pl.LazyFrame:
        """Refuse percentages taken for fractions: yields have been from -0.1 % to 17 %."""
        return data.lazyframe.select(pl.col(data.key).is_between(LOWEST - 1e-12, HIGHEST + 1e-12))

    @pa.check("timestamp", "published_on", error="on_grid")
    @classmethod
    def is_midnight(cls, data: PolarsData) -> pl.LazyFrame:
        """Days begin at 00:00 UTC."""
        return data.lazyframe.select(pl.col(data.key).dt.epoch("ms") % DAY_MS == 0)

    @pa.dataframe_check(error="empty_curve")
    @classmethod
    def has_a_rate(cls, data: PolarsData) -> pl.LazyFrame:
        """Every curve has at least one rate."""
        return data.lazyframe.select(pl.any_horizontal(pl.col(*TENORS).is_not_null()))

    @pa.dataframe_check(error="all_zero")
    @classmethod
    def is_no_filler(cls, data: PolarsData) -> pl.LazyFrame:
        """Refuse zeros alone: Good Friday 2017 had an entry of them, and no curve."""
        rates = pl.col(*TENORS)
        is_zero = pl.all_horizontal(rates.fill_null(0.0) == 0.0)
        return data.lazyframe.select(~is_zero | pl.all_horizontal(rates.is_null()))

    @pa.dataframe_check(error="carried_from_the_past")
    @classmethod
    def is_of_the_past(cls, data: PolarsData) -> pl.LazyFrame:
        """Carried curves are older than their day, all others of it."""
        age = pl.col("timestamp") - pl.col("published_on")
        days = age.dt.total_days()
        return data.lazyframe.select(pl.when("is_carried").then(days > 0).otherwise(days == 0))
