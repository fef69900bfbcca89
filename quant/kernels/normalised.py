"""Black-76 without units: what it is worth relative to its vega, and the way back.

With x = abs(ln(F/K)), s the total standard deviation, h = x/s and t = s/2, the option that is out
of the money is worth sqrt(F K) phi Y(h - t) - sqrt(F K) phi Y(h + t), where Y is the Mills ratio
and phi = exp(-(h*h + t*t)/2)/sqrt(2 pi) its derivative by s. Worth over derivative is thus free
of exponentials.

References
----------
P. Jaeckel, "Let's be rational", Wilmott (2015), for solving on the logarithm of the price.
"""

import numpy as np

from quant.kernels.compilation import inlined
from quant.kernels.elementary import mills

SERIES_HALF_STDEV = 0.68
"""`value_over_vega_series` holds for half standard deviations up to here."""
SERIES_MONEYNESS = 3.0
"""`value_over_vega_series` holds for log-moneyness up to here."""

_SMALL, _LARGE = 1e-100, 1e100


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
def value_over_vega_series(h, t):
    """Y(h - t) - Y(h + t) as the series of its odd derivatives at h, where the two are near.

    The terms u[n] = Y^(n)(h) t**n / n! obey u[n + 1] = (h t u[n] + t t u[n - 1]) / (n + 1).
    """
    u0 = mills(h)
    u1 = (h * u0 - 1.0) * t
    p = h * t
    q = t * t
    total = u1
    u0, u1 = _two_terms_on(u0, u1, p, q, 1.0 / 2.0, 1.0 / 3.0)
    total += u1
    u0, u1 = _two_terms_on(u0, u1, p, q, 1.0 / 4.0, 1.0 / 5.0)
    total += u1
    u0, u1 = _two_terms_on(u0, u1, p, q, 1.0 / 6.0, 1.0 / 7.0)
    total += u1
    u0, u1 = _two_terms_on(u0, u1, p, q, 1.0 / 8.0, 1.0 / 9.0)
    total += u1
    u0, u1 = _two_terms_on(u0, u1, p, q, 1.0 / 10.0, 1.0 / 11.0)
    total += u1
    u0, u1 = _two_terms_on(u0, u1, p, q, 1.0 / 12.0, 1.0 / 13.0)
    total += u1
    u0, u1 = _two_terms_on(u0, u1, p, q, 1.0 / 14.0, 1.0 / 15.0)
    total += u1
    u0, u1 = _two_terms_on(u0, u1, p, q, 1.0 / 16.0, 1.0 / 17.0)
    total += u1
    u0, u1 = _two_terms_on(u0, u1, p, q, 1.0 / 18.0, 1.0 / 19.0)
    total += u1
    u0, u1 = _two_terms_on(u0, u1, p, q, 1.0 / 20.0, 1.0 / 21.0)
    total += u1
    u0, u1 = _two_terms_on(u0, u1, p, q, 1.0 / 22.0, 1.0 / 23.0)
    return -2.0 * (total + u1)


@inlined
def _two_terms_on(u0, u1, p, q, even, odd):
    u2 = (p * u1 + q * u0) * even
    return u2, (p * u2 + q * u1) * odd


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
