"""The volatility surface on grids that stay the same from hour to hour."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from validators.schemas.vol_slices import SOURCES
from validators.table import TableFacts, declared
from validators.units import DAYS, FRACTION, QUOTE, UTC, VOLATILITY, YEARS, Moment

DAYS_OUT = (7, 14, 30, 60, 90, 120, 180)
"""Constant maturities [days]."""
DELTAS = ("10P", "25P", "ATM", "25C", "10C")
RATIOS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2, 1.3, 1.5, 2.0)
"""Strikes, over the forward."""
POINTS = (*DELTAS, *(f"K{round(100 * ratio)}" for ratio in RATIOS))
STATUSES = ("ok", "no_surface", "no_shorter_expiry", "no_longer_expiry", "beyond_quotes")
"""Why a point has no volatility; beyond_quotes has one, that no quote is near."""


class VolGrid(pa.DataFrameModel):
    """One row per surface, constant maturity and point: a delta, or a strike over the forward."""

    timestamp: Moment = pa.Field(description="Moment of the surface", metadata=UTC)
    underlying: str = pa.Field(description="What the options are on")
    source: str = pa.Field(isin=SOURCES, description="What the surface is made of")
    days: float = pa.Field(description="Time to expiry of the point", metadata=DAYS, gt=0)
    point: str = pa.Field(
        isin=POINTS,
        description="10P 25P ATM 25C 10C by forward delta; K50 to K200 by strike over forward "
        "in percent",
    )
    log_moneyness: float = pa.Field(
        description="ln(strike / forward)", metadata=FRACTION, nullable=True
    )
    strike: float = pa.Field(description="Strike of the point", metadata=QUOTE, nullable=True)
    iv: float = pa.Field(description="Implied volatility", metadata=VOLATILITY, nullable=True)
    iv_error: float = pa.Field(
        description="Standard error of iv", metadata=VOLATILITY, nullable=True
    )
    status: str = pa.Field(isin=STATUSES, description="ok, or what is to be known of it")

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True
        metadata = declared(
            key=("timestamp", "underlying", "source", "days", "point"),
            table=TableFacts(
                name="vol_grid",
                about="Volatility surfaces at constant maturities, by delta and by moneyness",
                key=("underlying", "timestamp", "source", "days", "point"),
                chunk="90 days",
            ),
        )

    @pa.check("log_moneyness", "strike", "iv", "iv_error", error="finite")
    @classmethod
    def is_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity (pandera lets it through) and no NaN."""
        return data.lazyframe.select(pl.col(data.key).is_finite())

    @pa.dataframe_check(error="reason_or_iv")
    @classmethod
    def has_reason(cls, data: PolarsData) -> pl.LazyFrame:
        """Either there is a volatility, or a reason why not."""
        told = pl.col("status").is_in(["ok", "beyond_quotes"])
        return data.lazyframe.select(told == pl.col("iv").is_not_null())


class ConstantMaturityVol(pa.DataFrameModel):
    """One row per surface and constant maturity, wide: at the money, risk reversals, butterflies.

    Interpolated linearly in total variance at fixed log-moneyness, between the expiries on either
    side; nothing is told of maturities no expiry lies beyond.
    """

    timestamp: Moment = pa.Field(description="Moment of the surface", metadata=UTC)
    underlying: str = pa.Field(description="What the options are on")
    source: str = pa.Field(isin=SOURCES, description="What the surface is made of")
    days: float = pa.Field(description="Constant maturity", metadata=DAYS, gt=0)
    tenor: float = pa.Field(description="The same, ACT/365", metadata=YEARS, gt=0)
    atm: float = pa.Field(
        description="Volatility of the delta-neutral straddle", metadata=VOLATILITY, nullable=True
    )
    atm_error: float = pa.Field(
        description="Standard error of atm", metadata=VOLATILITY, nullable=True
    )
    rr25: float = pa.Field(
        description="25-delta call less 25-delta put", metadata=VOLATILITY, nullable=True
    )
    bf25: float = pa.Field(description="Mean of those less atm", metadata=VOLATILITY, nullable=True)
    rr10: float = pa.Field(
        description="10-delta call less 10-delta put", metadata=VOLATILITY, nullable=True
    )
    bf10: float = pa.Field(description="Mean of those less atm", metadata=VOLATILITY, nullable=True)
    shorter: Moment = pa.Field(description="The expiry before", metadata=UTC, nullable=True)
    longer: Moment = pa.Field(
        description="The expiry after; the same one when it expires just then",
        metadata=UTC,
        nullable=True,
    )
    status: str = pa.Field(
        isin=STATUSES[:-1], description="ok, or the reason why the volatilities are null"
    )

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True
        metadata = declared(
            key=("timestamp", "underlying", "source", "days"),
            table=TableFacts(
                name="constant_maturity_vol",
                about="At-the-money volatility, risk reversals and butterflies by maturity",
                key=("underlying", "timestamp", "source", "days"),
                chunk="90 days",
            ),
        )

    @pa.check("atm", "atm_error", "rr25", "bf25", "rr10", "bf10", error="finite")
    @classmethod
    def is_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity (pandera lets it through) and no NaN."""
        return data.lazyframe.select(pl.col(data.key).is_finite())

    @pa.dataframe_check(error="reason_or_vol")
    @classmethod
    def has_reason(cls, data: PolarsData) -> pl.LazyFrame:
        """Either there is a volatility, or a reason why not."""
        return data.lazyframe.select((pl.col("status") == "ok") == pl.col("atm").is_not_null())
