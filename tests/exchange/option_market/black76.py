"""Black-76 without discounting, in numpy alone: prices, Greeks, and what they imply.

The exchange is independent of the package that it tests, so this is a second implementation.
"""

from typing import TYPE_CHECKING

import numpy as np

from tests.exchange.noise import Floats

if TYPE_CHECKING:
    from numpy.typing import NDArray

YEAR_MS, MINUTE_MS = 365 * 86_400_000.0, 60_000.0
_ROOT_2PI = 2.5066282746310002
_NUMERATOR = (
    3.52624965998911e-02, 0.700383064443688, 6.37396220353165, 33.912866078383,
    112.079291497871, 221.213596169931, 220.206867912376,
)  # fmt: skip
_DENOMINATOR = (
    8.83883476483184e-02, 1.75566716318264, 16.064177579207, 86.7807322029461,
    296.564248779674, 637.333633378831, 793.826512519948, 440.413735824752,
)  # fmt: skip
_HIGHEST, _NEWTON_STEPS, _CLOSE = 12.0, 24, 1e-8


def normal_cdf(x: Floats) -> Floats:
    """Return the standard normal distribution, to 1e-14.

    References
    ----------
    G. West, "Better approximations to cumulative normal functions", 2005 (Hart's algorithm).
    """
    size = np.minimum(np.abs(x), 37.0)
    tail = np.exp(-0.5 * size * size)
    near = np.minimum(size, 7.07106781186547)
    above, below = np.full_like(near, _NUMERATOR[0]), np.full_like(near, _DENOMINATOR[0])
    for number in _NUMERATOR[1:]:
        above *= near
        above += number
    for number in _DENOMINATOR[1:]:
        below *= near
        below += number
    share = above / below
    far = size > near
    if far.any():
        y = size[far]
        share[far] = 1.0 / (y + 1 / (y + 2 / (y + 3 / (y + 4 / (y + 0.65))))) / _ROOT_2PI
    tail *= share
    return np.where(x > 0, 1.0 - tail, tail)


def density(x: Floats) -> Floats:
    """Return the standard normal density."""
    return np.asarray(np.exp(-0.5 * x * x) / _ROOT_2PI)


def price(forward: Floats, strike: Floats, stdev: Floats, sign: Floats) -> Floats:
    """Return the undiscounted value of calls (`sign` 1) and puts (-1), all of shape (n,).

    `stdev` is volatility x root of years [1]; at 0 the value is intrinsic. The smaller side is
    computed and the other follows by parity, so that nothing is lost far in the money.
    """
    log = np.log(forward / strike)
    safe = np.maximum(stdev, 1e-12)
    out = np.where(log > 0, -1.0, 1.0)  # the side out of the money
    d1 = log / safe + 0.5 * safe
    otm = out * (forward * normal_cdf(out * d1) - strike * normal_cdf(out * (d1 - safe)))
    return np.where(out == sign, 0.0, sign * (forward - strike)) + np.maximum(otm, 0.0)


def whole_minutes(years: Floats) -> Floats:
    """Return times to expiry [yr] as the exchange counts them for marks and Greeks.

    They are whole minutes, the nearest, so all quotes recorded in 2021 and 2026 say. That there is
    one left until the end is assumed.
    """
    return np.maximum(np.rint(years * YEAR_MS / MINUTE_MS), 1.0) * MINUTE_MS / YEAR_MS


def greeks(
    forward: Floats,
    strike: Floats,
    years: Floats,
    volatility: Floats,
    sign: Floats,
    worth: Floats | None = None,
) -> dict[str, Floats]:
    """Return delta, gamma, vega, theta and rho as Deribit's tickers have them, unrounded.

    Vega is for one point of volatility, rho for one per cent, theta for a day and capped twice:
    by what is left of the last day, and by the price, which is what the mark is `worth` where that
    is given [quote currency].
    """
    stdev = volatility * np.sqrt(years)
    d1 = np.log(forward / strike) / stdev + 0.5 * stdev
    bell = forward * density(d1)
    decay = bell * volatility / (2 * np.sqrt(years)) / 365 * np.minimum(1.0, 365 * years)
    most = price(forward, strike, stdev, sign) if worth is None else worth
    return {
        "delta": sign * normal_cdf(sign * d1),
        "gamma": bell / (forward * forward * stdev),
        "vega": bell * np.sqrt(years) / 100,
        "theta": -np.minimum(decay, most),
        "rho": sign * strike * years * normal_cdf(sign * (d1 - stdev)) / 100,
    }


def implied(
    value: Floats, forward: Floats, strike: Floats, *, years: Floats, sign: Floats, guess: Floats
) -> Floats:
    """Return the volatility [1] at which options are worth `value`; NaN where there is none.

    Newton's method from `guess`, halving the bracket wherever it would leave it.
    """
    root = np.sqrt(years)
    out = np.where(forward > strike, -1.0, 1.0)
    target = value - np.where(out == sign, 0.0, sign * (forward - strike))
    most = np.where(out > 0, forward, strike)
    solvable = (target > 1e-9 * forward) & (target < most) & (years > 0)
    found = np.full(value.shape, np.nan)
    rows = np.flatnonzero(solvable)
    sigma = np.clip(guess[rows], 1e-3, _HIGHEST)
    low, high = np.zeros(len(rows)), np.full(len(rows), _HIGHEST)
    active: NDArray[np.intp] = np.arange(len(rows))
    log = np.log(forward / strike)
    for _ in range(_NEWTON_STEPS):
        at = rows[active]
        f, k, side = forward[at], strike[at], out[at]
        stdev = sigma[active] * root[at]
        d1 = log[at] / stdev + 0.5 * stdev
        miss = side * (f * normal_cdf(side * d1) - k * normal_cdf(side * (d1 - stdev))) - target[at]
        over = miss > 0
        high[active] = np.where(over, sigma[active], high[active])
        low[active] = np.where(over, low[active], sigma[active])
        step = miss / np.maximum(f * density(d1) * root[at], 1e-300)
        new = sigma[active] - step
        outside = ~((new > low[active]) & (new < high[active]))
        new[outside] = 0.5 * (low[active] + high[active])[outside]
        moved = np.abs(new - sigma[active])
        sigma[active] = new
        active = active[moved > _CLOSE]
        if not len(active):
            break
    found[rows] = np.where(sigma < _HIGHEST - 1e-6, sigma, np.nan)
    return found
