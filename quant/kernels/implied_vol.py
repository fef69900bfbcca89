"""Implied volatility of Black-76: one vectorised step for nearly every row, a search for the rest.

A guess good to 2e-4 and one step of fifth order on the logarithm of the time value give full
accuracy; the size of the step proves that the guess was good. Rows for which it was not, and
rows without an answer, go one by one through `implied_vol_search`.
"""

import numpy as np
from numpy.typing import NDArray

from quant.kernels.compilation import inlined, kernel, wide_vectors
from quant.kernels.elementary import INV_SQRT_2PI, log_ratio
from quant.kernels.first_guess import first_guess, first_guess_from_above
from quant.kernels.implied_vol_search import far_step, search
from quant.kernels.normalised import (
    SERIES_HALF_STDEV,
    SERIES_MONEYNESS,
    geometric_mean,
    half_square,
    is_ordinary,
    relative_step,
    time_value,
    value_over_vega_series,
)
from quant.kernels.rows import Bools, Floats, check_rows, over_threads
from quant.kernels.status import OK

_LARGEST_STEP = 3e-4  # its fifth power is a hundredth of a unit
_SMALLEST_VALUE = 1e-280
_BLOCK = 1024  # rows that are still in the cache when the second loop comes by


def implied_vol(
    price: Floats,
    forward: Floats,
    strike: Floats,
    tenor: Floats,
    is_call: Bools,
    *,
    threads: int = 1,
) -> tuple[Floats, NDArray[np.uint8]]:
    r"""Implied volatility of undiscounted European options under Black-76.

    Parameters
    ----------
    price : float64 array, shape (n,)
        Premium per unit of underlying, in the currency of the forward [USD].
    forward : float64 array, shape (n,)
        Forward price of the underlying at expiry [USD].
    strike : float64 array, shape (n,)
        Strike [USD].
    tenor : float64 array, shape (n,)
        Time to expiry, ACT/365 [yr].
    is_call : bool array, shape (n,)
        True for a call, False for a put.
    threads : int
        Over how many threads the rows are split.

    Returns
    -------
    iv : float64 array, shape (n,)
        :math:`\sigma` [1/sqrt(yr)]; NaN unless `status` is 0.
    status : uint8 array, shape (n,)
        A code of `quant.kernels.status`; 0 is ok.

    Raises
    ------
    ValueError
        If an array has another dtype, dimension or length.

    Notes
    -----
    The relative error is at most a few times 2**-52 max(1, price/(iv * vega)), the part of it
    that the rounding of the price alone makes.

    References
    ----------
    F. Black, "The pricing of commodity contracts", J. Financial Economics 3 (1976).
    """
    columns = {"price": price, "forward": forward, "strike": strike, "tenor": tenor}
    rows = check_rows(columns, is_call)
    n = rows[0].shape[0]
    iv = np.empty(n)
    status = np.empty(n, dtype=np.uint8)
    over_threads(_implied_vol, (*rows, iv, status), n, threads)
    return iv, status


@kernel
def _implied_vol(price, forward, strike, tenor, is_call, iv, status):  # noqa: PLR0913, PLR0917
    rest = np.empty(_BLOCK, dtype=np.int64)
    gathered = np.empty((6, _BLOCK))
    for start in range(0, price.shape[0], _BLOCK):
        block = slice(start, start + _BLOCK)
        rows = price[block], forward[block], strike[block], tenor[block], is_call[block]
        _solve_block(rows, rest, gathered, iv[block], status[block])


@kernel
def _solve_block(rows, rest, gathered, iv, status):
    """Solve rows that fit the cache: by one step, what that leaves by three, then one by one."""
    wide_vectors()
    price, forward, strike, tenor, is_call = rows
    for i in range(iv.shape[0]):
        iv[i] = _in_one_step(price[i], forward[i], strike[i], tenor[i], is_call[i])
    status[:] = OK
    n = 0
    for i in range(iv.shape[0]):
        rest[n] = i
        n += not iv[i] > 0.0
    for j in range(n):
        i = rest[j]
        gathered[0, j], gathered[1, j], gathered[2, j] = price[i], forward[i], strike[i]
        gathered[3, j], gathered[4, j] = tenor[i], is_call[i]
    for j in range(n):
        p, f, k, years, call = gathered[:5, j]
        gathered[5, j] = _in_three_steps(p, f, k, years, call > 0.0)
    for j in range(n):
        i = rest[j]
        iv[i] = gathered[5, j]
        if not iv[i] > 0.0:
            iv[i], status[i] = search(price[i], forward[i], strike[i], tenor[i], is_call[i])


@inlined
def _in_one_step(price, forward, strike, tenor, is_call):
    """Implied volatility where one step from the guess is proved to be enough, else NaN."""
    value, distance = time_value(price, forward, strike, is_call)
    root = geometric_mean(forward, strike)
    moneyness = abs(log_ratio(forward, strike))
    s = first_guess(value, distance, root, moneyness)
    inverse = 1.0 / s
    h = moneyness * inverse
    t = 0.5 * s
    ratio = value_over_vega_series(h, t)
    error = log_ratio(value, root * INV_SQRT_2PI * ratio) + half_square(h, t)
    ratio = ratio * inverse
    step = relative_step(error, ratio, h, t)
    proved = (
        (abs(error * ratio) < _LARGEST_STEP)
        & (t < SERIES_HALF_STDEV)
        & (moneyness < SERIES_MONEYNESS)
        & (value > _SMALLEST_VALUE)
        & is_ordinary(forward)
        & is_ordinary(strike)
        & is_ordinary(tenor)
    )
    return (s + s * step) / np.sqrt(tenor) if proved else np.nan


@inlined
def _in_three_steps(price, forward, strike, tenor, is_call):
    """Implied volatility where three steps are proved to be enough, else NaN."""
    value, distance = time_value(price, forward, strike, is_call)
    gap = (forward if is_call else strike) - price
    root = geometric_mean(forward, strike)
    moneyness = abs(log_ratio(forward, strike))
    is_above = gap < value
    below = first_guess(value, distance, root, moneyness)
    s = first_guess_from_above(gap, forward, strike, moneyness) if is_above else below
    target = gap if is_above else value
    step, _ = far_step(s, target, 0, is_above, root, moneyness)
    s = s + s * step
    step, _ = far_step(s, target, 0, is_above, root, moneyness)
    s = s + s * step
    step, newton = far_step(s, target, 0, is_above, root, moneyness)
    proved = (
        (abs(newton) < _LARGEST_STEP)
        & (s > 2.0 * SERIES_HALF_STDEV)
        & (target > _SMALLEST_VALUE)
        & is_ordinary(forward)
        & is_ordinary(strike)
        & is_ordinary(tenor)
    )
    return (s + s * step) / np.sqrt(tenor) if proved else np.nan
