"""The volatility surface, a smile for each expiry: parameters, errors, proof of no arbitrage."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from validators.table import TableFacts, declared
from validators.units import COUNT, FRACTION, QUOTE, UTC, VOLATILITY, YEARS, Moment

SOURCES = ("trades", "mids", "marks")
"""What a surface is made of: trades of the hours before, or quotes or marks of an instant."""
STATUSES = (
    "ok",
    "no_quotes",
    "few_quotes",
    "no_forward",
    "near_expiry",
    "flat_marks",
    "no_fit",
    "arbitrage",
)
"""Why an expiry has no smile, where it has none."""

_PARAMETERS = (
    "theta", "rho", "psi", "atm_iv", "atm_error", "rmse", "min_density", "calendar_margin",
)  # fmt: skip
PARAMETERS = ("theta", "rho", "psi")
SVI = ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma")
COVARIANCE = {
    (i, j): f"cov_{one}_{other}"
    for i, one in enumerate(PARAMETERS)
    for j, other in enumerate(PARAMETERS)
    if i <= j
}
"""Columns of the covariance of `PARAMETERS`, by place."""


class VolSlices(pa.DataFrameModel):
    """One row per surface and expiry; parameters are null where `status` says why.

    Total variance at log-moneyness k is theta/2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2))
    with phi = psi / theta (eSSVI). Where `model` is svi it is a + b (rho (k - m) + sqrt((k - m)^2 +
    sigma^2)) of the five columns `svi_`; theta, rho, psi are then the nearest eSSVI smile's.
    """

    timestamp: Moment = pa.Field(
        description="The full hour the trades were made before, or the instant of the quotes",
        metadata=UTC,
    )
    underlying: str = pa.Field(
        description="What the options are on: BTC, or BTC_USDC for linear ones"
    )
    source: str = pa.Field(isin=SOURCES, description="What it is made of: trades, mids or marks")
    expiry: Moment = pa.Field(description="Moment of expiry", metadata=UTC)
    tenor: float = pa.Field(description="Time to expiry, ACT/365", metadata=YEARS, gt=0)
    forward: float = pa.Field(
        description="Forward of the expiry; of trades that of the newest",
        metadata=QUOTE,
        nullable=True,
        gt=0,
    )
    model: str = pa.Field(isin=("essvi", "svi"), description="Which formula", nullable=True)
    theta: float = pa.Field(
        description="Total variance at the money", metadata=FRACTION, nullable=True, gt=0
    )
    rho: float = pa.Field(description="Slant of the smile", metadata=FRACTION, nullable=True)
    psi: float = pa.Field(
        description="Steepness: theta times phi", metadata=FRACTION, nullable=True, gt=0
    )
    svi_a: float = pa.Field(description="Raw SVI: level", metadata=FRACTION, nullable=True)
    svi_b: float = pa.Field(description="Raw SVI: slope", metadata=FRACTION, nullable=True)
    svi_rho: float = pa.Field(description="Raw SVI: slant", metadata=FRACTION, nullable=True)
    svi_m: float = pa.Field(description="Raw SVI: centre", metadata=FRACTION, nullable=True)
    svi_sigma: float = pa.Field(description="Raw SVI: width", metadata=FRACTION, nullable=True)
    atm_iv: float = pa.Field(
        description="Volatility at the forward", metadata=VOLATILITY, nullable=True
    )
    atm_error: float = pa.Field(
        description="Standard error of atm_iv", metadata=VOLATILITY, nullable=True
    )
    cov_theta_theta: float = pa.Field(
        description="Variance of theta", metadata=FRACTION, nullable=True
    )
    cov_theta_rho: float = pa.Field(
        description="Covariance of theta and rho", metadata=FRACTION, nullable=True
    )
    cov_theta_psi: float = pa.Field(
        description="Covariance of theta and psi", metadata=FRACTION, nullable=True
    )
    cov_rho_rho: float = pa.Field(description="Variance of rho", metadata=FRACTION, nullable=True)
    cov_rho_psi: float = pa.Field(
        description="Covariance of rho and psi", metadata=FRACTION, nullable=True
    )
    cov_psi_psi: float = pa.Field(description="Variance of psi", metadata=FRACTION, nullable=True)
    quotes: int = pa.Field(description="Quotes or trades it is made of", metadata=COUNT, ge=0)
    left_out: int = pa.Field(
        description="Quotes that are not usable; null of trades",
        metadata=COUNT,
        nullable=True,
        ge=0,
    )
    repaired: int = pa.Field(
        description="Quotes moved so that none can be arbitraged; null of trades",
        metadata=COUNT,
        nullable=True,
        ge=0,
    )
    low_moneyness: float = pa.Field(
        description="Least log-moneyness of a quote", metadata=FRACTION, nullable=True
    )
    high_moneyness: float = pa.Field(
        description="Greatest log-moneyness of a quote", metadata=FRACTION, nullable=True
    )
    rmse: float = pa.Field(
        description="Root mean square of quotes less smile", metadata=VOLATILITY, nullable=True
    )
    largest_residual: float = pa.Field(
        description="Largest distance of a quote, in errors of that quote",
        metadata=FRACTION,
        nullable=True,
    )
    violations_before: int = pa.Field(
        description="Arbitrages among the quotes of the surface, by the linear programme; "
        "null of trades",
        metadata=COUNT,
        nullable=True,
        ge=0,
    )
    worst_before: float = pa.Field(
        description="The worst of them, as a fraction of the forward",
        metadata=FRACTION,
        nullable=True,
    )
    violations_after: int = pa.Field(
        description="1 where the smile can be arbitraged, by itself or against the one before",
        metadata=COUNT,
        nullable=True,
        ge=0,
    )
    min_density: float = pa.Field(
        description="Least value of Durrleman's g", metadata=FRACTION, nullable=True
    )
    calendar_margin: float = pa.Field(
        description="Least total variance above the expiry before; null of the first",
        metadata=FRACTION,
        nullable=True,
    )
    status: str = pa.Field(isin=STATUSES, description="ok, or the reason why there is no smile")

    class Config:
        """Exactly these columns, in this order."""

        strict = True
        ordered = True
        metadata = declared(
            key=("timestamp", "underlying", "source", "expiry"),
            table=TableFacts(
                name="vol_slices",
                about="Volatility surfaces, a smile for each expiry, and what proves them",
                key=("underlying", "timestamp", "source", "expiry"),
                chunk="90 days",
            ),
        )

    @pa.check(*_PARAMETERS, *COVARIANCE.values(), *SVI, error="finite")
    @classmethod
    def is_finite(cls, data: PolarsData) -> pl.LazyFrame:
        """No infinity (pandera lets it through) and no NaN."""
        return data.lazyframe.select(pl.col(data.key).is_finite())

    @pa.dataframe_check(error="reason_or_smile")
    @classmethod
    def has_reason(cls, data: PolarsData) -> pl.LazyFrame:
        """Either there is a smile, or a reason why not."""
        return data.lazyframe.select((pl.col("status") == "ok") == pl.col("theta").is_not_null())

    @pa.dataframe_check(error="no_arbitrage")
    @classmethod
    def is_proved(cls, data: PolarsData) -> pl.LazyFrame:
        """No smile that is published can be arbitraged."""
        proved = (pl.col("violations_after") == 0) & (pl.col("min_density") >= 0)
        return data.lazyframe.select((pl.col("status") != "ok") | proved)
