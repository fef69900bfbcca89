"""The forward that a trade's price and implied volatility agree on: arrays in, arrays out.

Deribit prints with each option trade the volatility it worked out from the price, and not the
forward it worked with. Price and volatility together pin the forward, mostly to a fraction of a
basis point.

In x = ln(forward), the price of an option, in coin or in dollars, is the convolution of a
log-concave payoff with a normal density, so its logarithm is concave (Prekopa). Newton's method
on the logarithm of the price then comes from one side after its first step, and cannot miss.
"""

import numpy as np

from quant.kernels.compilation import inlined, kernel, scalar, wide_vectors
from quant.kernels.elementary import INV_SQRT_2PI, exp, log_ratio, mills_pair
from quant.kernels.normalised import is_ordinary

IV_ROUNDING = 5e-5
"""Half the last digit of the exchange's volatilities: 0.01 % [1/sqrt(yr)]."""
LARGEST_RATE = 1.0
"""A forward further than this from the index, as abs(ln(forward/index)), is none [1]."""

_BLOCK = 1024  # rows that are still in the cache when the second loop comes by
_MOST_STEPS = 100
_LAST_STEP = 1e-6  # in standard deviations: its square is what a step leaves
_SMALLEST_PRICE = 1e-100


@kernel
def recovered(  # noqa: PLR0913, PLR0917  (numba takes keyword-only arguments slowly)
    price, iv, index, strike, tenor, is_call, is_coin, rate_out, error_out
):
    r"""ln(forward/index) of the forward with which Black-76 makes the price of the volatility.

    Parameters
    ----------
    price : float64 array, shape (n,)
        Premium as it was traded [coin where `is_coin`, else USD].
    iv : float64 array, shape (n,)
        Implied volatility as a decimal [1/sqrt(yr)].
    index : float64 array, shape (n,)
        Index of the underlying at the trade [USD].
    strike : float64 array, shape (n,)
        Strike [USD].
    tenor : float64 array, shape (n,)
        Time to expiry, ACT/365 [yr].
    is_call : bool array, shape (n,)
        True for a call, False for a put.
    is_coin : bool array, shape (n,)
        True where the premium is paid in coin: Black-76's price over the forward.
    rate_out : float64 array, shape (n,)
        Written: ln(forward/index) [1]; NaN where an input is not positive, where no forward
        makes that price, or none within `LARGEST_RATE`.
    error_out : float64 array, shape (n,)
        Written: how far `rate_out` moves when `iv` moves by `IV_ROUNDING` [1]; NaN where
        `rate_out` is.

    Notes
    -----
    With m = strike/forward, a call that pays coin is worth :math:`N(d_1) - m N(d_2)`, which
    changes with the logarithm of the forward by :math:`m N(d_2)`; one that pays dollars is worth
    the forward times as much and changes by forward :math:`\times N(d_1)`. Vega is the same,
    so that the error is the rounding times :math:`\sqrt T \phi(d)/N(d)`, d being
    :math:`d_2` for coin and :math:`d_1` for dollars. For puts, d changes its sign.

    References
    ----------
    F. Black, "The pricing of commodity contracts", J. Financial Economics 3 (1976).
    A. Prekopa, "On logarithmic concave measures and functions", Acta Sci. Math. 34 (1973).
    """
    for start in range(0, price.shape[0], _BLOCK):
        block = slice(start, start + _BLOCK)
        rows = price[block], iv[block], index[block], strike[block], tenor[block]
        kinds = is_call[block], is_coin[block]
        _solve_block(rows, kinds, rate_out[block], error_out[block])


@kernel
def _solve_block(rows, kinds, rate_out, error_out):
    """Solve rows that fit the cache: all at once, then those that take more steps one by one."""
    wide_vectors()
    price, iv, index, strike, tenor = rows
    is_call, is_coin = kinds
    for i in range(rate_out.shape[0]):
        row = price[i], iv[i], index[i], strike[i], tenor[i], is_call[i], is_coin[i]
        rate_out[i] = _in_four_steps(row)
    for i in range(rate_out.shape[0]):
        if not abs(rate_out[i]) < LARGEST_RATE:
            row = price[i], iv[i], index[i], strike[i], tenor[i], is_call[i], is_coin[i]
            rate_out[i] = _search(row)
    for i in range(rate_out.shape[0]):
        row = price[i], iv[i], index[i], strike[i], tenor[i], is_call[i], is_coin[i]
        error_out[i] = _error(rate_out[i], row)


@inlined
def _in_four_steps(row):
    """Rate where the last of four steps proves that it was enough, else NaN."""
    price, iv, index, strike, tenor, _, _ = row
    stdev = iv * np.sqrt(tenor)
    moneyness = log_ratio(index, strike)
    rate, _ = _step(0.0, row, stdev, moneyness)
    step, _ = _step(rate, row, stdev, moneyness)
    rate += step
    step, _ = _step(rate, row, stdev, moneyness)
    rate += step
    step, _ = _step(rate, row, stdev, moneyness)
    ordinary = is_ordinary(price) & is_ordinary(index) & is_ordinary(strike)
    proved = (abs(step) < _LAST_STEP * stdev) & ordinary & is_ordinary(iv) & is_ordinary(tenor)
    return rate + step if proved else np.nan


@scalar
def _search(row):
    """Rate by Newton's method between two ends; NaN where there is none."""
    price, iv, index, strike, tenor, _, _ = row
    ordinary = is_ordinary(price) & is_ordinary(index) & is_ordinary(strike)
    if not (ordinary & is_ordinary(iv) & is_ordinary(tenor)):
        return np.nan
    stdev = iv * np.sqrt(tenor)
    moneyness = log_ratio(index, strike)
    low, high, rate = -LARGEST_RATE, LARGEST_RATE, 0.0
    for _ in range(_MOST_STEPS):
        step, error = _step(rate, row, stdev, moneyness)
        if abs(step) < _LAST_STEP * stdev:
            return rate + step if abs(rate + step) < LARGEST_RATE else np.nan
        if error > 0.0:
            low = rate
        else:
            high = rate
        # a slope that underflowed makes a step that is no number
        rate = rate + step if low < rate + step < high else 0.5 * (low + high)
    return np.nan


@inlined
def _step(rate, row, stdev, moneyness):
    """Newton's step for the logarithm of the forward, and whither it must go by its sign."""
    price, _, index, _, _, is_call, is_coin = row
    worth, slope, _ = _worth(moneyness + rate, stdev, is_call, is_coin)
    target = price if is_coin else price / index * exp(-rate)
    error = log_ratio(target, worth) if is_call else -log_ratio(target, worth)
    return error * worth / slope, error


@inlined
def _error(rate, row):
    """Change of the rate with the volatility, for half its last digit."""
    _, iv, index, strike, tenor, is_call, is_coin = row
    root = np.sqrt(tenor)
    _, slope, density = _worth(log_ratio(index, strike) + rate, iv * root, is_call, is_coin)
    return IV_ROUNDING * root * density / slope


@inlined
def _worth(x, stdev, is_call, is_coin):
    """Price over the forward at ln(forward/strike) = x, its slope by x, both up to the sign.

    The slope of a price in dollars is that of the price itself, over the forward. The third is
    phi(d1), vega over forward and square root of the tenor.
    """
    sign = 1.0 if is_call else -1.0
    d1 = x / stdev + 0.5 * stdev
    d2 = d1 - stdev
    strike = exp(-x)  # in units of the forward
    density = INV_SQRT_2PI * exp(-0.5 * d1 * d1)  # also strike * phi(d2)
    y1, y2 = mills_pair(abs(d1), abs(d2))
    outside = min(1.0, strike) - density * (y1 + y2) if d1 * d2 < 0.0 else density * abs(y1 - y2)
    worth = max(sign * (1.0 - strike), 0.0) + outside
    in_forward = 1.0 - density * y1 if sign * d1 > 0.0 else density * y1
    in_strike = strike - density * y2 if sign * d2 > 0.0 else density * y2
    return max(worth, _SMALLEST_PRICE), in_strike if is_coin else in_forward, density
