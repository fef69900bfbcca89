"""Calibration of an eSSVI surface: all expiries at once, free of arbitrage, robust, with errors.

The misfit is soft-L1, sum of weight (sqrt(1 + r**2) - 1) with r = (model iv - iv)/error: a quote
many errors off draws no harder than one that is a few off. Slices pull on each other only through
the conditions against crossing. A prior, the surface of the hour before, is a normal distribution
of each slice's parameters that widens with its age.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant.essvi_prior import Prior, pull
from quant.kernels.rows import Bools, Floats, check_rows

Ints = NDArray[np.int64]
STATUSES = ("ok", "from_prior", "few_quotes", "flat_quotes", "expired")
"""What became of a slice: `STATUSES[code]`. Only of the first two there are parameters."""
OK, FROM_PRIOR, FEW_QUOTES, FLAT_QUOTES, EXPIRED = range(len(STATUSES))
LEAST_STRIKES = 3
"""Strikes a slice needs to have a fit of its own: as many as it has parameters."""

_FIRST_BARRIER = 1.0  # in units of the misfit of a quote that is two errors off
_APART = 1e-3  # least distance of a starting point from the sides of the cone, in logarithms
_FLOOR = 1e-3  # psi of a flat smile over sqrt(theta): bends iv by less than a millionth
_LEAST_DETERMINANT = 1e-14  # of scaled information: below it is rounding
_ETA = 0.9  # psi over sqrt(theta) to start from


@dataclass(frozen=True, slots=True)
class Quotes:
    """Quotes of all expiries of one underlying at one moment, sorted by slice.

    Attributes
    ----------
    slice_number : int64 array, shape (n,)
        Which tenor, ascending from 0.
    log_moneyness : float64 array, shape (n,)
        ln(strike/forward) [1].
    iv : float64 array, shape (n,)
        Implied volatility [1/sqrt(yr)].
    error : float64 array, shape (n,)
        How far iv may be off [1/sqrt(yr)]: half the spread, and never below the tick's.
    weight : float64 array, shape (n,)
        What the quote counts for [1]: 1 if fresh, less if aged.
    """

    slice_number: Ints
    log_moneyness: Floats
    iv: Floats
    error: Floats
    weight: Floats


@dataclass(frozen=True, slots=True)
class Fit:
    """A calibrated surface; arrays have one row per tenor, NaN where there is no fit.

    Attributes
    ----------
    tenor, theta, rho, psi : float64 arrays, shape (slices,)
        Time to expiry [yr]; total variance at the money, correlation, theta phi [1].
    covariance : float64 array, shape (slices, 3, 3)
        Of (theta, rho, psi), from the quotes and the prior of the slice alone. Where slices touch
        they are known better than that.
    rmse : float64 array, shape (slices,)
        Root mean square of iv residuals by weight [1/sqrt(yr)].
    largest : float64 array, shape (slices,)
        Largest residual over its error [1].
    scale : float64 array, shape (slices,)
        Residuals over errors, robustly [1]; above 1 it has widened the covariance.
    quotes : int64 array, shape (slices,)
        Usable quotes.
    status : uint8 array, shape (slices,)
        Index into `STATUSES`.
    steps : int
        Steps the optimiser took.
    converged : bool
        Whether it ended at the optimum. If not, the surface is free of arbitrage all the same.
    """

    tenor: Floats
    theta: Floats
    rho: Floats
    psi: Floats
    covariance: Floats
    rmse: Floats
    largest: Floats
    scale: Floats
    quotes: Ints
    status: NDArray[np.uint8]
    steps: int
    converged: bool


def fit(quotes: Quotes, tenor: Floats, *, prior: Prior | None = None) -> Fit:
    """Calibrate an eSSVI surface to quotes: a function of its arguments alone.

    Parameters
    ----------
    quotes : Quotes
        Rows with a number that is not finite, or an iv, error or weight that is not positive, do
        not count.
    tenor : float64 array, shape (slices,)
        Time to expiry, ascending [yr].
    prior : Prior, optional
        What was known of the slices before, as `quant.essvi_prior.carried` makes it.

    Returns
    -------
    Fit
        A slice with fewer than three strikes has no fit (``few_quotes``), unless the prior knows
        it and at least one quote speaks of now (``from_prior``). One whose quotes all have the
        same volatility is a placeholder (``flat_quotes``), one whose tenor is not positive
        ``expired``. Such slices touch no other.

    Raises
    ------
    ValueError
        If arrays do not fit together, tenors do not ascend or slices are not sorted.
    """
    rows = _usable(quotes, tenor, prior)
    status, count = _statuses(rows, tenor, prior)
    chosen = np.flatnonzero(status <= FROM_PRIOR)
    chain = _chain(rows, tenor, chosen)
    known = prior.of(chosen) if prior is not None else Prior.nothing(len(chosen))
    x, steps = _solved(chain, known)
    columns = np.full((len(tenor), 15), np.nan)
    columns[chosen] = _described(chain, x, known)
    theta, rho, psi, rmse, largest, scale = columns[:, :6].T.copy()
    covariance = columns[:, 6:].reshape(-1, 3, 3).copy()
    return Fit(
        tenor, theta, rho, psi, covariance, rmse, largest, scale,
        count, status, abs(steps), steps >= 0,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Chain:
    """Quotes of the slices that are fitted, as the kernels take them."""

    k: Floats
    iv: Floats
    precision: Floats
    weight: Floats
    first: Ints
    tenor: Floats
    number: Ints

    @property
    def arrays(self) -> tuple[Any, ...]:
        return self.k, self.iv, self.precision, self.weight, self.first, self.tenor


def _chain(rows: Quotes, tenor: Floats, chosen: NDArray[np.intp]) -> _Chain:
    is_chosen = np.zeros(len(tenor), dtype=np.bool_)
    is_chosen[chosen] = True
    kept = is_chosen[rows.slice_number]
    number = np.searchsorted(chosen, rows.slice_number[kept])
    first = np.searchsorted(number, np.arange(len(chosen) + 1))
    k, iv, error, weight = (
        column[kept] for column in (rows.log_moneyness, rows.iv, rows.error, rows.weight)
    )
    return _Chain(k, iv, 1.0 / error, weight, first, tenor[chosen], number)


def _usable(quotes: Quotes, tenor: Floats, prior: Prior | None) -> Quotes:
    """Check the shapes and return the quotes that say something."""
    names = ("log_moneyness", "iv", "error", "weight")
    columns = check_rows({name: getattr(quotes, name) for name in names})
    check_rows({"tenor": tenor})
    number = quotes.slice_number
    if number.shape != columns[0].shape or number.dtype != np.int64:
        message = (
            f"slice_number: expected int64 of {columns[0].shape}, "
            f"got {number.dtype} of {number.shape}"
        )
        raise ValueError(message)
    if len(number) and (number[0] < 0 or number[-1] >= len(tenor) or (np.diff(number) < 0).any()):
        message = f"slice_number: expected ascending from 0 to below {len(tenor)}"
        raise ValueError(message)
    if not (np.diff(tenor) > 0).all():
        message = f"tenor: expected ascending, got {tenor.tolist()}"
        raise ValueError(message)
    if prior is not None and prior.theta.shape != tenor.shape:
        message = f"prior has {len(prior.theta)} slices, tenor has {len(tenor)}"
        raise ValueError(message)
    k, *positive = columns
    good = np.isfinite(k)
    for column in positive:
        good &= (column > 0) & (column < np.inf)
    return Quotes(number[good], *(column[good] for column in columns))


def _statuses(rows: Quotes, tenor: Floats, prior: Prior | None) -> tuple[NDArray[np.uint8], Ints]:
    """Return which slices are to be fitted or why not, and how many quotes they have."""
    n = len(tenor)
    number = rows.slice_number
    count = np.bincount(number, minlength=n)
    first = np.searchsorted(number, np.arange(n))
    begins = np.concatenate([[True], np.diff(number) > 0])[: len(number)]
    same_iv = np.bincount(number, rows.iv == rows.iv[first[number]], minlength=n) == count
    order = np.lexsort((rows.log_moneyness, number))
    k = rows.log_moneyness[order]
    is_new = begins | (np.diff(k, prepend=np.nan) != 0)
    strikes = np.bincount(number, is_new, minlength=n)
    status = np.full(n, OK, dtype=np.uint8)
    status[same_iv & (strikes >= LEAST_STRIKES)] = FLAT_QUOTES
    status[strikes < LEAST_STRIKES] = FEW_QUOTES
    if prior is not None:
        status[(status == FEW_QUOTES) & (count > 0) & prior.is_known] = FROM_PRIOR
    status[~(tenor > 0)] = EXPIRED
    return status, count


def _solved(chain: _Chain, prior: Prior) -> tuple[Floats, int]:
    """Return the optimum in the coordinates of the cone, and the steps taken."""
    from quant.kernels.essvi_cone import into_cone  # noqa: PLC0415  # numba takes its time
    from quant.kernels.essvi_solver import solve  # noqa: PLC0415  # numba takes its time

    if not len(chain.tenor):
        return np.empty((0, 3)), 0
    theta = _levels(chain)
    floor = float(np.log(_FLOOR * np.sqrt(theta[0])))
    centre, stiffness = pull(prior)
    psi = np.minimum(_ETA * np.sqrt(theta), 1.0)
    start = np.log(np.stack([psi / theta, psi, psi], axis=1))
    x = np.where(prior.is_known[:, None], centre, start)
    into_cone(x, floor, _APART)
    return x, int(solve(*chain.arrays, centre, stiffness, floor, _FIRST_BARRIER, x))


def _levels(chain: _Chain) -> Floats:
    """Return total variance near the money, roughly, ascending."""
    n, k, iv = len(chain.tenor), chain.k, chain.iv
    near = chain.weight / (0.05 + k * k / (iv * iv * chain.tenor[chain.number]))
    level = np.bincount(chain.number, near * iv, n) / np.bincount(chain.number, near, n)
    theta = level * level * chain.tenor
    rising, falling = np.maximum.accumulate(theta), np.minimum.accumulate(theta[::-1])[::-1]
    return np.asarray(0.5 * (rising + falling) * (1.0 + _APART) ** np.arange(n))


def _described(chain: _Chain, x: Floats, prior: Prior) -> Floats:
    """Return what `Fit` says of slices, shape (slices, 15): nine of them the covariance."""
    from quant.kernels.essvi_residuals import residuals  # noqa: PLC0415  # numba takes its time

    u, v = np.exp(x[:, 1]), np.exp(x[:, 2])
    psi, rho = 0.5 * (u + v), (u - v) / (u + v)
    theta = psi * np.exp(-x[:, 0])
    summary, information = np.empty((len(x), 3)), np.empty((len(x), 3, 3))
    residuals(*chain.arrays, theta, rho, psi, summary, information)
    widening = np.maximum(summary[:, 2], 1.0) ** 2
    information = information / widening[:, None, None] + prior.information
    covariance = _inverse(information).reshape(-1, 9)
    return np.concatenate([np.stack([theta, rho, psi], axis=1), summary, covariance], axis=1)


def _inverse(information: Floats) -> Floats:
    """Return inverses, infinite on the diagonal where there is none."""
    size = np.sqrt(np.diagonal(information, axis1=1, axis2=2))
    size = np.where(size > 0, size, 1.0)
    outer = size[:, :, None] * size[:, None, :]
    scaled = information / outer
    is_singular: Bools = ~(np.linalg.det(scaled) > _LEAST_DETERMINANT)
    scaled[is_singular] = np.eye(3)
    inverse = np.linalg.inv(scaled) / outer
    inverse[is_singular] = np.diag(np.full(3, np.inf))
    return np.asarray(inverse)
