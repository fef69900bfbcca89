"""Interest rates: published yields as continuously compounded rates, and a curve at any tenor."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant.kernels.rows import Floats

Integers = NDArray[np.integer]


def continuous_rate(bond_equivalent: pl.Expr) -> pl.Expr:
    """Continuously compounded rate of a bond-equivalent yield, 2 ln(1 + y/2) [1/yr].

    Parameters
    ----------
    bond_equivalent : pl.Expr
        Yield a year, paid in two halves, as a fraction: 0.05 for 5 % [1/yr].

    Returns
    -------
    pl.Expr
        Float64; null where the yield is, NaN from -200 % down.

    References
    ----------
    Hull, J. C., Options, Futures, and Other Derivatives, 2018, eq. 4.3 with m = 2.
    """
    return (bond_equivalent / 2.0).log1p() * 2.0


def rate_at(tenor: Floats, tenors: Floats, curves: Floats, rows: Integers | None = None) -> Floats:
    """Rate of a curve at a tenor, in a straight line of rates between those that are there.

    Below the shortest and above the longest rate of its curve it is flat.

    Parameters
    ----------
    tenor : float64 array, shape (n,)
        Time to expiry, ACT/365 [yr].
    tenors : float64 array, shape (k,)
        Tenors of the columns of `curves`, ascending [yr].
    curves : float64 array, shape (k,) or (d, k)
        Continuously compounded rates, NaN where there is none [1/yr]: one curve for all, or some.
    rows : int64 array, shape (n,), optional
        Which row of `curves` each tenor is looked up in, -1 for none; without it, the i-th tenor
        in the i-th row, or all in the only one.

    Returns
    -------
    float64 array, shape (n,)
        Continuously compounded rates [1/yr]; NaN where the curve has none, or the tenor is NaN.

    Raises
    ------
    ValueError
        If a shape does not fit, or `tenors` do not ascend.
    """
    from quant.kernels.rates import rates_between  # noqa: PLC0415  (numba: half a second)

    known = np.ascontiguousarray(np.atleast_2d(np.asarray(curves, dtype=np.float64)))
    _check(tenor, tenors, known, rows)
    if rows is None:
        rows = np.zeros(tenor.shape, np.int64) if len(known) == 1 else np.arange(len(tenor))
    rate = np.empty(tenor.shape)
    rates_between(tenor, tenors, known, rows.astype(np.int64, copy=False), rate)
    return rate


def _check(tenor: Floats, tenors: Floats, curves: Floats, rows: Integers | None) -> None:
    if tenors.ndim != 1 or not tenors.size or not (np.diff(tenors) > 0.0).all():
        message = f"tenors must ascend in one dimension, got {tenors!r}"
        raise ValueError(message)
    if curves.ndim != 2 or curves.shape[1] != tenors.size:  # noqa: PLR2004  (rows and columns)
        message = f"curves of shape {curves.shape} have not the {tenors.size} columns of tenors"
        raise ValueError(message)
    if rows is None and len(curves) not in {1, len(tenor)}:
        message = f"{len(curves)} curves for {len(tenor)} tenors: say which by rows"
        raise ValueError(message)
    if rows is not None and rows.shape != tenor.shape:
        message = f"rows of shape {rows.shape} for tenors of shape {tenor.shape}"
        raise ValueError(message)
    if rows is not None and rows.size and not -1 <= rows.min() <= rows.max() < len(curves):
        message = f"rows must be from -1 to {len(curves) - 1}, got {rows.min()} to {rows.max()}"
        raise ValueError(message)
