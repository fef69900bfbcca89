"""Implied volatility of one row, wherever there is one: a bracketed search of fifth order."""

import math

import numpy as np

from quant.kernels.compilation import inlined, scalar
from quant.kernels.elementary import INV_SQRT_2PI, log_ratio, mills
from quant.kernels.first_guess import first_guess, first_guess_from_above
from quant.kernels.normalised import (
    SERIES_HALF_STDEV,
    SERIES_MONEYNESS,
    geometric_mean,
    half_square,
    relative_step,
    time_value,
    value_over_vega_series,
)
from quant.kernels.status import (
    ABOVE_MAXIMUM,
    BAD_INPUT,
    BELOW_INTRINSIC,
    EXPIRED,
    OK,
    ZERO_TIME_VALUE,
)

_MOST_STEPS = 100
_LAST_STEP = 1e-4  # what a step this small leaves is far below one unit
_LN2 = 0.6931471805599453
_FAR = 0.1
_MILLS_START = -1.0
_SMALLEST_NORMAL = 1e-307
_SMALLEST_PRECISE = 1e-280
_LIFT = 600  # power of two that brings the smallest price back to full precision


@scalar
def search(price, forward, strike, tenor, is_call):
    """Return implied volatility [1/sqrt(yr)] and status of one row; NaN where there is none."""
    status = classify(price, forward, strike, tenor, is_call)
    if status != OK:
        return np.nan, status
    value, distance = time_value(price, forward, strike, is_call)
    gap = (forward if is_call else strike) - price
    # Prices are homogeneous: a power of two takes the geometric mean of forward and strike to 1.
    power = -((math.frexp(forward)[1] + math.frexp(strike)[1]) // 2)
    forward, strike = math.ldexp(forward, power), math.ldexp(strike, power)
    root = geometric_mean(forward, strike)
    moneyness = abs(log_ratio(forward, strike))
    is_above = gap < value
    target = gap if is_above else value
    normal = max(math.ldexp(target, power), _SMALLEST_NORMAL)
    if is_above:
        guess = first_guess_from_above(normal, forward, strike, moneyness)
    else:
        guess = first_guess(normal, math.ldexp(distance, power), root, moneyness)
    lift = _LIFT if normal < _SMALLEST_PRECISE else 0
    target = math.ldexp(target, power + lift)
    stdev = _bracketed(guess, target, lift, is_above, root, moneyness)
    if stdev == 0.0:
        return np.nan, ZERO_TIME_VALUE
    return stdev / math.sqrt(tenor), OK


@scalar
def classify(price, forward, strike, tenor, is_call):
    """Return why a row has no volatility, or OK."""
    numbers = np.isfinite(price) and np.isfinite(tenor)
    numbers = numbers and np.isfinite(forward) and np.isfinite(strike)
    if not (numbers and forward > 0.0 and strike > 0.0):
        return BAD_INPUT
    if tenor <= 0.0:
        return EXPIRED
    value, _ = time_value(price, forward, strike, is_call)
    if price < 0.0 or value < 0.0:
        return BELOW_INTRINSIC
    if price >= (forward if is_call else strike):
        return ABOVE_MAXIMUM
    return OK if value > 0.0 else ZERO_TIME_VALUE


@inlined
def _bracketed(s, target, lift, is_above, root, moneyness):
    """Total standard deviation whose value, or gap, is the target."""
    low, high = _bracket(target, lift, is_above, root, moneyness)
    s = min(max(s, low), high)
    for _ in range(_MOST_STEPS):
        if s < 2.0 * SERIES_HALF_STDEV and moneyness < SERIES_MONEYNESS and not is_above:
            step, newton = _near_step(s, target, lift, root, moneyness)
        else:
            step, newton = far_step(s, target, lift, is_above, root, moneyness)
        if s < _SMALLEST_NORMAL:
            return 0.0
        if abs(newton) < _LAST_STEP:
            return s + s * step
        if newton > 0.0:
            low = s
        else:
            high = s
        # far off the series means nothing, and ln(price) is close to straight in ln(s)
        proposal = s + s * step if abs(newton) < _FAR else s * math.exp(min(newton, 1.0))
        s = proposal if low < proposal < high else _middle(low, high)
    return s


@inlined
def _bracket(target, lift, is_above, root, moneyness):
    """Return the standard deviations between which the solution lies."""
    inflection = math.sqrt(2.0 * moneyness)  # where h = t; above half the maximum lies beyond it
    if is_above:
        # no double lies between the maximum and a price at the upper end
        return inflection, 80.0 + 4.0 * inflection
    # Below it Y(h - t) - Y(h + t) is at most Y(0), so that h**2 / 2 is at most -ln(2 target).
    most = lift * _LN2 - log_ratio(2.0 * target, root)
    low = inflection
    if most > 0.0:
        low = min(inflection, moneyness / math.sqrt(2.0 * most))
    # h - t = -1 at the upper end, where the Mills ratio starts; half the maximum lies well before
    return 0.999 * low, 0.999 * (1.0 + math.sqrt(1.0 + 2.0 * moneyness))


@inlined
def _middle(low, high):
    """Return the geometric mean, or a half while nothing but zero bounds from below."""
    return math.sqrt(low * high) if low > 0.0 else 0.5 * high


@inlined
def _near_step(s, target, lift, root, moneyness):
    """Return the relative step of s towards a value, by the series, and its first term."""
    inverse = 1.0 / s
    h = moneyness * inverse
    t = 0.5 * s
    ratio = value_over_vega_series(mills(h), h, t)
    error = log_ratio(target, root * INV_SQRT_2PI * ratio) + half_square(h, t) - lift * _LN2
    return relative_step(error, ratio * inverse, h, t), error * ratio * inverse


@inlined
def far_step(s, target, lift, is_above, root, moneyness):
    """Return the relative step of s towards a value, or a gap, by the two Mills ratios.

    Parameters
    ----------
    s : float64
        Total standard deviation [1].
    target : float64
        Time value times 2**lift, or where `is_above` what it lacks to its maximum [USD].
    lift : int64
        Power of two.
    is_above : bool
        Whether the target is the gap.
    root : float64
        sqrt(forward * strike) [USD].
    moneyness : float64
        abs(ln(forward/strike)) [1].

    Returns
    -------
    step : float64
        (wanted s - s) / s, to fifth order [1].
    newton : float64
        The same to second order [1]. Where this is small, so is the error of `step`; NaN where a
        Mills ratio is out of reach.
    """
    inverse = 1.0 / s
    h = moneyness * inverse
    t = 0.5 * s
    sign = -1.0 if is_above else 1.0
    ratio = mills(sign * (h - t)) - sign * mills(h + t)
    error = log_ratio(target, root * INV_SQRT_2PI * ratio) + half_square(h, t) - lift * _LN2
    ratio = sign * ratio * inverse
    newton = error * ratio if sign * (h - t) >= _MILLS_START else np.nan
    return relative_step(error, ratio, h, t), newton
