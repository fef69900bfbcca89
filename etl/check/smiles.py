"""Smiles to look at: the volatility of fitted slices along log-moneyness, over what is quoted."""

import numpy as np
import polars as pl

ALONG = 81  # points of a smile
WIDEST = 3.0  # standard deviations to each side, where no quote says how far a smile goes
BEYOND = 0.05  # of its width, what is drawn past the last quote


def smiles_of(
    slices: pl.DataFrame, points: pl.DataFrame, *, within: float = np.inf
) -> pl.DataFrame:
    """Return the fitted volatility of every slice that has one, from its first quote to its last.

    Parameters
    ----------
    slices
        The columns of `VolSlices`, one row an expiry.
    points
        `expiry` and `log_moneyness` of what was quoted or traded.
    within
        How far from the forward at most, in standard deviations of its expiry [1].

    Returns
    -------
    DataFrame
        `expiry`, `log_moneyness` and `iv`, `ALONG` rows a slice, sorted.
    """
    k = pl.col("log_moneyness")
    ends = points.group_by("expiry").agg(k.min().alias("low"), k.max().alias("high"))
    fitted = slices.filter(pl.col("status") == "ok").join(ends, on="expiry", how="left")
    deviation = pl.col("theta").sqrt()
    low = pl.min_horizontal(pl.coalesce("low", -WIDEST * deviation), pl.lit(0.0))
    high = pl.max_horizontal(pl.coalesce("high", WIDEST * deviation), pl.lit(0.0))
    past, far = BEYOND * (high - low), within * deviation
    first, last = pl.max_horizontal(low - past, -far), pl.min_horizontal(high + past, far)
    along = pl.linear_spaces(first, last, ALONG)
    return (
        fitted.with_columns(along.alias("log_moneyness"))
        .explode("log_moneyness")
        .select("expiry", k, (total_variance(k) / pl.col("tenor")).sqrt().alias("iv"))
        .sort("expiry", "log_moneyness")
    )


def total_variance(k: pl.Expr) -> pl.Expr:
    """Total variance of a slice at log-moneyness k [1]: eSSVI, or raw SVI where `model` says so.

    References
    ----------
    J. Gatheral, A. Jacquier, "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14
    (2014), equations 3.1 and 4.1, the latter times theta so that nothing is divided by it.
    """
    theta, rho, psi = (pl.col(name) for name in ("theta", "rho", "psi"))
    root = ((psi * k + theta * rho) ** 2 + theta**2 * (1 - rho**2)).sqrt()
    a, b, slant, m, sigma = (pl.col(f"svi_{name}") for name in ("a", "b", "rho", "m", "sigma"))
    raw = a + b * (slant * (k - m) + ((k - m) ** 2 + sigma**2).sqrt())
    return pl.when(pl.col("model") == "svi").then(raw).otherwise((theta + rho * psi * k + root) / 2)
