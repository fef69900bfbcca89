"""SVI smiles: fitted to implied volatilities without arbitrage, read off, and renamed.

Slices are rows of five numbers, a, b, rho, m, sigma, of raw SVI,
w(k) = a + b (rho (k - m) + sqrt((k - m)**2 + sigma**2)), where k is log-moneyness
ln(strike/forward) and w total variance iv**2 tenor.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant.kernels import svi as kernels
from quant.kernels.rows import Floats, check_rows

STATUSES = ("ok", "constrained", "few_quotes", "crosses", "not_solved")
"""How a fit ended, by code: freely; with constraints that bind; with fewer than five strikes or a
number that is not positive; across the slice before it; not at all. The first two are good."""
KINK = 3.0
"""Residuals beyond so many errors count linearly, so that a wrong quote does not bend a slice."""

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Fits:
    """Slices and how good they are, one row each.

    Attributes
    ----------
    svi : float64 array, shape (s, 5)
        a, b, rho, m, sigma [1]; NaN where the status is `few_quotes`.
    rmse : float64 array, shape (s,)
        Root mean squared error of the quotes [1/sqrt(yr)].
    misfit : float64 array, shape (s,)
        The same, each in units of what it may be off [errors]: below one where quotes agree.
    least_durrleman, where : float64 array, shape (s,)
        Smallest g over all log-moneyness [1], not negative, and the log-moneyness it is at [1],
        infinite if it is the limit.
    least_rise : float64 array, shape (s,)
        Smallest difference of total variance to the neighbour in the group [1], later less
        earlier; NaN without one.
    status : uint8 array, shape (s,)
        Place in `STATUSES`.
    """

    svi: Floats
    rmse: Floats
    misfit: Floats
    least_durrleman: Floats
    where: Floats
    least_rise: Floats
    status: NDArray[np.uint8]


def fitted(  # noqa: PLR0913
    of_slice: Integers,
    k: Floats,
    iv: Floats,
    error: Floats,
    tenor: Floats,
    *,
    group: Integers | None = None,
    kink: float = KINK,
) -> Fits:
    """Return the SVI slices that are nearest to quotes and free of butterfly arbitrage.

    Parameters
    ----------
    of_slice : int64 array, shape (n,)
        Number of each quote's slice, ascending from 0 [1].
    k : float64 array, shape (n,)
        Log-moneyness [1].
    iv : float64 array, shape (n,)
        Implied volatility [1/sqrt(yr)].
    error : float64 array, shape (n,)
        How far it may be off, half its spread say [1/sqrt(yr)].
    tenor : float64 array, shape (s,)
        Time to expiry, ACT/365 [yr].
    group : int64 array, shape (s,), optional
        Slices of one number that stand beside each other, in order of tenor, may not cross; -1
        for one that stands alone. Best from the last expiry to the first: long expiries are
        quoted far out and pin the wings of short ones.
    kink : float
        Residuals beyond this count linearly [errors].

    Returns
    -------
    Fits
        Slices with a smallest g of zero or more, or without numbers.

    Raises
    ------
    ValueError
        If an array has another dtype, dimension or length, or the numbers do not ascend.

    References
    ----------
    J. Gatheral, A. Jacquier, "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14
    (2014). Zeliade Systems, "Quasi-explicit calibration of Gatheral's SVI model" (2009).
    """
    from quant.kernels.svi_fit import fit_slices  # noqa: PLC0415  (compiled code takes time to load)

    k, iv, error = check_rows({"k": k, "iv": iv, "error": error})
    (tenor,) = check_rows({"tenor": tenor})
    slices = tenor.shape[0]
    _check_numbers(of_slice, k.shape[0], slices)
    start = np.searchsorted(of_slice, np.arange(slices + 1)).astype(np.int64)
    groups = np.full(slices, -1, np.int64) if group is None else group.astype(np.int64)
    if groups.shape != tenor.shape:
        message = f"group has {groups.shape[0]} rows, tenor has {slices}"
        raise ValueError(message)
    svi, measures, status = np.empty((slices, 5)), np.empty((slices, 5)), np.empty(slices, np.uint8)
    fit_slices(start, k, iv, error, tenor, groups, float(kink), svi, measures, status)
    rmse, least, where, rise, misfit = measures.T.copy()
    return Fits(svi, rmse, misfit, least, where, rise, status)


def total_variance(svi: Floats, of_slice: Integers, k: Floats) -> Floats:
    """Return the total variance of slices at points [1].

    Parameters
    ----------
    svi : float64 array, shape (s, 5)
        a, b, rho, m, sigma [1].
    of_slice : int64 array, shape (n,)
        Number of each point's slice [1].
    k : float64 array, shape (n,)
        Log-moneyness [1].
    """
    (k,) = check_rows({"k": k})
    if k.shape != of_slice.shape or not (of_slice < svi.shape[0]).all() or (of_slice < 0).any():
        message = f"of_slice: expected {k.shape[0]} numbers of slices below {svi.shape[0]}"
        raise ValueError(message)
    return np.asarray(kernels.total_variances(svi, of_slice.astype(np.int64), k))


def least_durrleman(svi: Floats) -> tuple[Floats, Floats]:
    """Return the smallest g of slices over all log-moneyness, and where it is.

    Parameters
    ----------
    svi : float64 array, shape (s, 5)
        a, b, rho, m, sigma [1].

    Returns
    -------
    least, where : float64 array, shape (s,)
        The smallest g [1], negative where butterflies are an arbitrage, and the log-moneyness it
        is at [1].
    """
    least, where = kernels.least_durrlemans(np.ascontiguousarray(svi))
    return least, where


def jump_wings(svi: Floats, tenor: Floats) -> Floats:
    r"""Return slices in numbers that can be read off a smile.

    Parameters
    ----------
    svi : float64 array, shape (s, 5)
        a, b, rho, m, sigma [1].
    tenor : float64 array, shape (s,)
        Time to expiry, ACT/365 [yr].

    Returns
    -------
    float64 array, shape (s, 5)
        Variance at the money v, its skew :math:`\psi`, slopes of the put wing p and of the call
        wing c over the root of total variance, and smallest variance
        :math:`\tilde v` [1/yr, 1, 1, 1, 1/yr].

    References
    ----------
    J. Gatheral, A. Jacquier, "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14
    (2014), equation 3.5.
    """
    a, b, rho, m, sigma = svi.T
    far = np.hypot(m, sigma)
    w = a + b * (far - rho * m)
    root = np.sqrt(w)
    skew = b / (2.0 * root) * (rho - m / far)
    smallest = a + b * sigma * np.sqrt(1.0 - rho**2)
    wings = b * (1.0 - rho) / root, b * (1.0 + rho) / root
    return np.column_stack([w / tenor, skew, *wings, smallest / tenor])


def raw(jump_wings: Floats, tenor: Floats) -> Floats:
    r"""Return a, b, rho, m, sigma of slices given as `jump_wings` returns them.

    Parameters
    ----------
    jump_wings : float64 array, shape (s, 5)
        v, :math:`\psi`, p, c, :math:`\tilde v` [1/yr, 1, 1, 1, 1/yr].
    tenor : float64 array, shape (s,)
        Time to expiry, ACT/365 [yr].

    Returns
    -------
    float64 array, shape (s, 5)
        a, b, rho, m, sigma [1]; NaN where no slice has those numbers, or, with the smallest
        variance at the money, more than one.

    Notes
    -----
    With :math:`h = \sqrt{m^2 + \sigma^2}` and :math:`\beta = m/h`, the difference of variance
    at the money and smallest variance is
    :math:`b h (1 - \rho\beta - \sqrt{(1 - \rho^2)(1 - \beta^2)})`, whose bracket is written
    without cancellation as :math:`(\rho - \beta)^2` over its conjugate.

    References
    ----------
    J. Gatheral, A. Jacquier, "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14
    (2014), lemma 3.2.
    """
    v, skew, put, call, lowest = jump_wings.T
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.sqrt(v * tenor)
        b = 0.5 * root * (call + put)
        rho = 1.0 - put * root / b
        beta = rho - 2.0 * skew * root / b
        conjugate = 1.0 - rho * beta + np.sqrt((1.0 - rho**2) * (1.0 - beta**2))
        far = (v - lowest) * tenor * conjugate / (b * (rho - beta) ** 2)
        sigma = far * np.sqrt(1.0 - beta**2)
        a = lowest * tenor - b * sigma * np.sqrt(1.0 - rho**2)
        found = np.column_stack([a, b, rho, beta * far, sigma])
    found[~np.isfinite(found).all(axis=1)] = np.nan
    return found


def _check_numbers(of_slice: Integers, quotes: int, slices: int) -> None:
    ascends = of_slice.shape == (quotes,) and bool((np.diff(of_slice) >= 0).all())
    if not ascends or (quotes and not 0 <= of_slice[0] <= of_slice[-1] < slices):
        message = f"of_slice: expected {quotes} ascending numbers from 0 to {slices - 1}"
        raise ValueError(message)
