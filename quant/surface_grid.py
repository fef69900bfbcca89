"""Volatility where one asks for it: at deltas, at constant maturities, and as market pillars.

Everything takes the slices of any number of surfaces at once, as raw SVI
(`quant.essvi.to_raw_svi`). Deltas are forward deltas N(d1), not adjusted for a premium in coin:
positive ones of calls, negative ones of puts. At the money is where a straddle has no delta,
d1 = 0 or k = w/2.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from quant.kernels.rows import Bools, Floats

DELTAS = {"10P": -0.10, "25P": -0.25, "ATM": 0.5, "25C": 0.25, "10C": 0.10}
"""The deltas smiles are quoted at."""
MATURITIES = (7, 14, 30, 60, 90, 120, 180)
"""Constant maturities [days]."""
STATUSES = ("ok", "before_first", "beyond_last", "no_slices")
"""What a point in time is: `STATUSES[code]`. There are volatilities at the first two alone."""

_DAYS = 365.0


@dataclass(frozen=True, slots=True)
class Points:
    """Points in time on surfaces, each a mix of two slices; arrays have one row per point.

    Attributes
    ----------
    tenor : float64 array, shape (points,)
        [yr].
    rows : int64 array, shape (points, 2)
        The slices around, -1 for none.
    weights : float64 array, shape (points, 2)
        What their total variances count for [1].
    status : uint8 array, shape (points,)
        Index into `STATUSES`.
    """

    tenor: Floats
    rows: NDArray[np.int64]
    weights: Floats
    status: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pillars:
    """A smile in five numbers; arrays of shape (points,) [1/sqrt(yr)].

    Attributes
    ----------
    atm : float64 array
        Volatility of the straddle without a delta.
    rr25, rr10 : float64 arrays
        Risk reversals: call less put.
    bf25, bf10 : float64 arrays
        Butterflies: mean of call and put less at the money.
    """

    atm: Floats
    rr25: Floats
    bf25: Floats
    rr10: Floats
    bf10: Floats


def at_slices(tenor: Floats, svi: Floats) -> Points:
    """Return the points in time of the slices themselves.

    Parameters
    ----------
    tenor : float64 array, shape (n,)
        Time to expiry [yr].
    svi : float64 array, shape (n, 5)
        Raw SVI a, b, rho, m, sigma [1]; NaN for no slice.
    """
    known: Bools = np.asarray(np.isfinite(svi).all(axis=1))
    number = np.where(known, np.arange(len(tenor)), -1)
    weights = np.where(known[:, None], np.array([1.0, 0.0]), np.nan)
    status = np.where(known, 0, STATUSES.index("no_slices")).astype(np.uint8)
    return Points(tenor, np.stack([number, number], axis=1), weights, status)


def at_maturities(
    tenor: Floats,
    svi: Floats,
    surface: NDArray[np.int64],
    *,
    surfaces: int,
    days: Sequence[float] = MATURITIES,
) -> Points:
    """Return constant maturities of each surface.

    Between two slices total variance is linear in time at every k, so that calendars stay free of
    arbitrage. Before the first slice it is in proportion to time (``before_first``). Beyond the
    last there is nothing.

    Parameters
    ----------
    tenor, svi : float64 arrays, shapes (n,) and (n, 5)
        Slices, each surface in order of expiry; those with NaN are passed over.
    surface : int64 array, shape (n,)
        Which surface each slice is of, from 0, ascending.
    surfaces : int
        How many surfaces there are: the last may have no slice.
    days : sequence of float, m of them
        Maturities.

    Returns
    -------
    Points
        All maturities of the first surface, then those of the second, and so on.
    """
    from quant.kernels import surface_grid as kernels  # noqa: PLC0415  # numba takes its time

    good = np.flatnonzero(np.isfinite(svi).all(axis=1))
    first = np.searchsorted(surface[good], np.arange(surfaces + 1)).astype(np.int64)
    maturity = np.asarray(days, dtype=np.float64) / _DAYS
    rows = np.empty((surfaces, len(maturity), 2), dtype=np.int64)
    weights = np.empty((surfaces, len(maturity), 2))
    status = np.empty((surfaces, len(maturity)), dtype=np.uint8)
    kernels.mix(tenor[good], first, maturity, rows, weights, status)
    rows = np.append(good, -1)[rows]
    return Points(
        np.tile(maturity, surfaces), rows.reshape(-1, 2), weights.reshape(-1, 2), status.ravel()
    )


def iv_at(points: Points, svi: Floats, log_moneyness: Floats) -> Floats:
    """Implied volatility at log-moneyness.

    Parameters
    ----------
    points : Points
        m points in time.
    svi : float64 array, shape (n, 5)
        The slices they mix.
    log_moneyness : float64 array, shape (j,) or (m, j)
        ln(strike/forward) [1], the same for all points or their own.

    Returns
    -------
    float64 array, shape (m, j)
        [1/sqrt(yr)]; NaN where there is none.
    """
    from quant.kernels import surface_grid as kernels  # noqa: PLC0415  # numba takes its time

    m = len(points.tenor)
    k = np.ascontiguousarray(np.broadcast_to(log_moneyness, (m, log_moneyness.shape[-1])))
    out = np.empty(k.shape)
    kernels.variances(np.ascontiguousarray(svi), points.rows, points.weights, k, out)
    return np.sqrt(out / points.tenor[:, None])


def at_deltas(
    points: Points, svi: Floats, deltas: Sequence[float] = tuple(DELTAS.values())
) -> tuple[Floats, Floats]:
    """Log-moneyness and implied volatility at deltas.

    Parameters
    ----------
    points : Points
        m points in time.
    svi : float64 array, shape (n, 5)
        The slices they mix.
    deltas : sequence of float, j of them
        Forward deltas: in (0, 1) of calls, in (-1, 0) of puts [1].

    Returns
    -------
    log_moneyness, iv : float64 arrays, shape (m, j)
        [1] and [1/sqrt(yr)]; NaN where there is none.

    Raises
    ------
    ValueError
        If a delta is no delta of an option.
    """
    from quant.kernels import surface_grid as kernels  # noqa: PLC0415  # numba takes its time

    d1 = np.array([_d1(delta) for delta in deltas])
    k = np.empty((len(points.tenor), len(d1)))
    kernels.at_d1(np.ascontiguousarray(svi), points.rows, points.weights, d1, k)
    return k, iv_at(points, svi, k)


def pillars(iv: Floats) -> Pillars:
    """Return risk reversals and butterflies of volatilities at `DELTAS`.

    Parameters
    ----------
    iv : float64 array, shape (points, 5)
        At the deltas 10P, 25P, ATM, 25C, 10C [1/sqrt(yr)].
    """
    put10, put25, atm, call25, call10 = iv.T
    return Pillars(
        atm=atm,
        rr25=call25 - put25,
        bf25=0.5 * (call25 + put25) - atm,
        rr10=call10 - put10,
        bf10=0.5 * (call10 + put10) - atm,
    )


def _d1(delta: float) -> float:
    of_call = delta if delta > 0 else 1.0 + delta
    if not (0.0 < of_call < 1.0 and delta != 0.0):
        message = f"delta is {delta}: expected one in (0, 1) for calls or (-1, 0) for puts"
        raise ValueError(message)
    return NormalDist().inv_cdf(of_call)
