"""Implied volatility of rows that fit the first cache: short loops, one after another.

What one row needs is a chain of some 300 operations that wait for each other, longer than what a
processor looks ahead. Cut into passes, each of which leaves its results in columns of `scratch`,
the chains are short enough that those of many rows run at once: half the time.
"""

import numpy as np

from quant.kernels.compilation import inlined, loop, wide_vectors
from quant.kernels.elementary import INV_SQRT_2PI, log_ratio, mills
from quant.kernels.first_guess import first_guess, first_guess_from_above
from quant.kernels.implied_vol_search import far_step
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

ROWS = 256
"""Most rows of one call: with the scratch columns they take 26 of a cache's 32 kB or more."""

_LARGEST_STEP = 3e-4  # its fifth power is a hundredth of a unit
_SMALLEST_VALUE = 1e-280

# With distances the compiler knows, the loops vectorise; columns a multiple of 4 kB apart would
# make a processor take the writing of one for the writing of another.
_PITCH = ROWS + 8
_COLUMNS = 8
_VALUE, _DISTANCE, _ROOT, _MONEYNESS, _STDEV, _DEVIATIONS, _MILLS, _RATIO = (
    column * _PITCH for column in range(_COLUMNS)
)
_NEWTON, _IS_ABOVE = _RATIO, _DEVIATIONS

HOPELESS = -1.0
"""In the place of a volatility: there is none, and no use in looking for it."""
SCRATCH = _COLUMNS * _PITCH
"""Length of the scratch array."""


@loop
def in_one_step(rows, scratch, iv):
    """Implied volatility where one step from the guess is proved to be enough.

    Elsewhere NaN, and where there is no time value `HOPELESS`.

    Parameters
    ----------
    rows : tuple of arrays, shape (n,), n at most `ROWS`
        Price, forward, strike [USD], tenor [yr] and whether each is a call, as for `implied_vol`.
    scratch : float64 array, shape (SCRATCH,)
        Overwritten.
    iv : float64 array, shape (n,)
        Where the results go [1/sqrt(yr)].
    """
    price, forward, strike, tenor, is_call = rows
    start(price, forward, strike, is_call, scratch)
    guess(scratch, iv.shape[0])
    ratio_by_mills(scratch, iv.shape[0])
    ratio_by_series(scratch, iv.shape[0])
    step(forward, strike, tenor, scratch, iv)


@loop
def start(price, forward, strike, is_call, scratch):
    """First pass: what is worth its time [USD], how far the strike is [USD] and [1]."""
    wide_vectors()
    for i in range(price.shape[0]):
        value, distance = time_value(price[i], forward[i], strike[i], is_call[i])
        scratch[_VALUE + i] = value
        scratch[_DISTANCE + i] = distance
        scratch[_ROOT + i] = geometric_mean(forward[i], strike[i])
        scratch[_MONEYNESS + i] = abs(log_ratio(forward[i], strike[i]))


@loop
def guess(scratch, n):
    """Second pass: the first guess of the total standard deviation [1]."""
    wide_vectors()
    for i in range(n):
        scratch[_STDEV + i] = first_guess(
            scratch[_VALUE + i],
            scratch[_DISTANCE + i],
            scratch[_ROOT + i],
            scratch[_MONEYNESS + i],
        )


@loop
def ratio_by_mills(scratch, n):
    """Third pass: h = ln(F/K) / s and its Mills ratio [1]."""
    wide_vectors()
    for i in range(n):
        h = scratch[_MONEYNESS + i] * (1.0 / scratch[_STDEV + i])
        scratch[_DEVIATIONS + i] = h
        scratch[_MILLS + i] = mills(h)


@loop
def ratio_by_series(scratch, n):
    """Fourth pass: price over its derivative by s [1]."""
    wide_vectors()
    for i in range(n):
        h, t = scratch[_DEVIATIONS + i], 0.5 * scratch[_STDEV + i]
        scratch[_RATIO + i] = value_over_vega_series(scratch[_MILLS + i], h, t)


@loop
def step(forward, strike, tenor, scratch, iv):
    """Last pass: the step from the guess, and whether it is small enough."""
    wide_vectors()
    for i in range(iv.shape[0]):
        value, s = scratch[_VALUE + i], scratch[_STDEV + i]
        h, t, ratio = scratch[_DEVIATIONS + i], 0.5 * s, scratch[_RATIO + i]
        error = log_ratio(value, scratch[_ROOT + i] * INV_SQRT_2PI * ratio) + half_square(h, t)
        ratio = ratio * (1.0 / s)
        proved = (
            (abs(error * ratio) < _LARGEST_STEP)
            & (t < SERIES_HALF_STDEV)
            & (scratch[_MONEYNESS + i] < SERIES_MONEYNESS)
            & (value > _SMALLEST_VALUE)
            & _are_ordinary(forward[i], strike[i], tenor[i])
        )
        s = s + s * relative_step(error, ratio, h, t)
        other = np.nan if value > 0.0 else HOPELESS
        iv[i] = s / np.sqrt(tenor[i]) if proved else other


@loop
def in_three_steps(rows, scratch, iv):
    """Implied volatility where three steps are proved to be enough, else NaN.

    Parameters
    ----------
    rows, scratch, iv
        As for `in_one_step`.
    """
    price, forward, strike, tenor, is_call = rows
    start_far(price, forward, strike, is_call, scratch)
    for _ in range(3):
        step_far(scratch, iv.shape[0])
    finish_far(forward, strike, tenor, scratch, iv)


@loop
def start_far(price, forward, strike, is_call, scratch):
    """Guess the total standard deviation from the price, or from what it lacks to its maximum."""
    wide_vectors()
    for i in range(price.shape[0]):
        f, k = forward[i], strike[i]
        value, distance = time_value(price[i], f, k, is_call[i])
        gap = (f if is_call[i] else k) - price[i]
        root = geometric_mean(f, k)
        moneyness = abs(log_ratio(f, k))
        is_above = gap < value
        below = first_guess(value, distance, root, moneyness)
        s = first_guess_from_above(gap, f, k, moneyness) if is_above else below
        scratch[_VALUE + i] = gap if is_above else value
        scratch[_ROOT + i] = root
        scratch[_MONEYNESS + i] = moneyness
        scratch[_STDEV + i] = s
        scratch[_IS_ABOVE + i] = 1.0 if is_above else 0.0


@loop
def step_far(scratch, n):
    """Go one step, and keep its size."""
    wide_vectors()
    for i in range(n):
        s, is_above = scratch[_STDEV + i], scratch[_IS_ABOVE + i] > 0.0
        relative, newton = far_step(
            s, scratch[_VALUE + i], 0, is_above, scratch[_ROOT + i], scratch[_MONEYNESS + i]
        )
        scratch[_STDEV + i] = s + s * relative
        scratch[_NEWTON + i] = newton


@loop
def finish_far(forward, strike, tenor, scratch, iv):
    """Take the last step's result where it was small enough."""
    wide_vectors()
    for i in range(iv.shape[0]):
        s = scratch[_STDEV + i]
        proved = (
            (abs(scratch[_NEWTON + i]) < _LARGEST_STEP)
            & (s > 2.0 * SERIES_HALF_STDEV)
            & (scratch[_VALUE + i] > _SMALLEST_VALUE)
            & _are_ordinary(forward[i], strike[i], tenor[i])
        )
        iv[i] = s / np.sqrt(tenor[i]) if proved else np.nan


@inlined
def _are_ordinary(forward, strike, tenor):
    return is_ordinary(forward) & is_ordinary(strike) & is_ordinary(tenor)
