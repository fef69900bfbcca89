"""Black-76 without units: what it is worth relative to its vega, and the way back.

With x = abs(ln(F/K)), s the total standard deviation, h = x/s and t = s/2, the option that is out
of the money is worth sqrt(F K) phi Y(h - t) - sqrt(F K) phi Y(h + t), where Y is the Mills ratio
and phi = exp(-(h*h + t*t)/2)/sqrt(2 pi) its derivative by s. Worth over derivative is thus free
of exponentials.

References
----------
P. Jaeckel, "Let's be rational", Wilmott (2015), for solving on the logarithm of the price.
"""

import math

import numpy as np

from quant.kernels.compilation import inlined

SERIES_HALF_STDEV = 0.68
"""`value_over_vega_series` holds for half standard deviations up to here."""
SERIES_MONEYNESS = 3.0
"""`value_over_vega_series` holds for log-moneyness up to here."""

_SMALL, _LARGE = 1e-100, 1e100
_TERMS = tuple(-2.0 / math.factorial(n) for n in range(3, 24, 2))


@inlined
def time_value(price, forward, strike, is_call):
    """Price above intrinsic value, and abs(forward - strike), each as if rounded once [USD]."""
    difference = forward - strike
    # what the subtraction rounded away (Knuth's two-sum)
    shadow = difference - forward
    lost = (forward - (difference - shadow)) - (strike + shadow)
    sign = 1.0 if is_call else -1.0
    intrinsic = max(difference * sign, 0.0)
    lost = lost * sign if intrinsic > 0.0 else 0.0
    return (price - intrinsic) - lost, abs(difference)


@inlined
def value_over_vega_series(y, h, t):
    """Y(h - t) - Y(h + t) as the series of its odd derivatives at h, where the two are near.

    The terms u[n] = Y^(n)(h) t**n obey u[n + 1] = h t u[n] + n t t u[n - 1].

    Parameters
    ----------
    y : float64
        Y(h) [1].
    h, t : float64
        ln(F/K) / s and s / 2 [1].

    Returns
    -------
    float64
        Price over its derivative by s [1].
    """
    u0 = y
    u1 = (h * u0 - 1.0) * t
    p = h * t
    q = t * t
    total = -2.0 * u1
    u0, u1 = _two_terms_on(u0, u1, p, 1.0 * q, 2.0 * q)
    total += _TERMS[0] * u1
    u0, u1 = _two_terms_on(u0, u1, p, 3.0 * q, 4.0 * q)
    total += _TERMS[1] * u1
    u0, u1 = _two_terms_on(u0, u1, p, 5.0 * q, 6.0 * q)
    total += _TERMS[2] * u1
    u0, u1 = _two_terms_on(u0, u1, p, 7.0 * q, 8.0 * q)
    total += _TERMS[3] * u1
    u0, u1 = _two_terms_on(u0, u1, p, 9.0 * q, 10.0 * q)
    total += _TERMS[4] * u1
    u0, u1 = _two_terms_on(u0, u1, p, 11.0 * q, 12.0 * q)
    total += _TERMS[5] * u1
    u0, u1 = _two_terms_on(u0, u1, p, 13.0 * q, 14.0 * q)
    total += _TERMS[6] * u1
    u0, u1 = _two_terms_on(u0, u1, p, 15.0 * q, 16.0 * q)
    total += _TERMS[7] * u1
    u0, u1 = _two_terms_on(u0, u1, p, 17.0 * q, 18.0 * q)
    total += _TERMS[8] * u1
    u0, u1 = _two_terms_on(u0, u1, p, 19.0 * q, 20.0 * q)
    total += _TERMS[9] * u1
    u0, u1 = _two_terms_on(u0, u1, p, 21.0 * q, 22.0 * q)
    total += _TERMS[10] * u1
    return total


@inlined
def _two_terms_on(u0, u1, p, even, odd):
    u2 = p * u1 + even * u0
    return u2, p * u2 + odd * u1


@inlined
def relative_step(error, ratio, h, t):
    """Relative change of s that changes the logarithm of a price by `error`, to fifth order.

    The inverse series of Householder's methods: with D = ratio * s * d/ds, the terms are
    D**n s * error**n / n!, n = 1 to 4.

    Parameters
    ----------
    error : float64
        ln(price wanted / price at s) [1].
    ratio : float64
        Price over (s times its derivative) at s [1]; negative for a price that falls with s.
    h, t : float64
        ln(F/K) / s and s / 2 [1].

    Returns
    -------
    float64
        (wanted s - s) / s [1].

    References
    ----------
    A. S. Householder, "The numerical treatment of a single nonlinear equation" (1970), 4.4.
    """
    hh = h * h
    tt = t * t
    u = ratio * (hh - tt)
    w = -(ratio * ratio) * (3.0 * hh + tt)
    v = 12.0 * ratio * ratio * ratio * hh
    q = 1.0 - u
    third = q * (q - u) - w
    fourth = q * third - (q * u + w) * (3.0 * q - u) - 2.0 * q * w - v
    series = (fourth * error * (1.0 / 24.0) + third * (1.0 / 6.0)) * error + 0.5 * q
    return ratio * error * (1.0 + error * series)


@inlined
def half_square(h, t):
    """(h*h + t*t) / 2: minus the exponent of phi."""
    return 0.5 * (h * h + t * t)


@inlined
def is_ordinary(x):
    """Whether squares and quotients of such numbers neither overflow nor underflow."""
    return (x > _SMALL) & (x < _LARGE)


@inlined
def geometric_mean(forward, strike):
    """sqrt(forward * strike) of ordinary numbers."""
    return np.sqrt(forward * strike)
