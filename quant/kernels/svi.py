"""Raw SVI, its derivatives, and where a slice is worst: numbers in, numbers out.

A slice is a tuple of five numbers, (a, b, rho, m, sigma), with
w(k) = a + b (rho (k - m) + sqrt((k - m)**2 + sigma**2)).

References
----------
J. Gatheral, A. Jacquier, "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14
(2014), equations 2.1 and 3.1.
"""

import numpy as np

from quant.kernels.compilation import kernel, scalar

_REACH = 16.0  # the grid ends at 4e6 widths: what is left is the asymptote
_POINTS = 161
_STEP = 2.0 * _REACH / (_POINTS - 1)
_AWAY = np.sinh(np.linspace(-_REACH, _REACH, _POINTS))
_GOLDEN = 0.6180339887498949
_GOLDEN_STEPS = 44  # a bracket of two grid steps shrinks to 1e-10
_NARROWEST = 1e-12
_NONE = (np.nan, np.nan, np.nan, np.nan, np.nan)


@scalar
def variance_and_slopes(svi, k):
    """Total variance and its first two derivatives.

    Parameters
    ----------
    svi : tuple of five float64
        a, b, rho, m, sigma [1].
    k : float64
        Log-moneyness [1].

    Returns
    -------
    tuple of three float64
        w, w', w'' [1].
    """
    a, b, rho, m, sigma = svi
    x = k - m
    root = np.sqrt(x * x + sigma * sigma)
    w = a + b * (rho * x + root)
    bent = sigma / root
    return w, b * (rho + x / root), b * bent * bent / root


@scalar
def durrleman(svi, k):
    r"""Durrleman's g, the density of the forward up to a positive factor.

    Parameters
    ----------
    svi : tuple of five float64
        a, b, rho, m, sigma [1].
    k : float64
        Log-moneyness [1].

    Returns
    -------
    float64
        :math:`(1 - k w'/(2 w))^2 - (w'^2/4)(1/w + 1/4) + w''/2` [1]; negative where butterflies
        are an arbitrage.
    """
    w, first, second = variance_and_slopes(svi, k)
    middle = 1.0 - 0.5 * k * first / w
    return middle * middle - 0.25 * first * first * (1.0 / w + 0.25) + 0.5 * second


@scalar
def least_durrleman(svi):
    """Smallest g of a slice, over all log-moneyness.

    Two grids of hyperbolic sines, one around the bend and as wide as it, one around the smallest
    variance and as wide as that is deep, reach to where the wings are straight; every minimum
    on them is refined, and the limits of g are looked at.

    Parameters
    ----------
    svi : tuple of five float64
        a, b, rho, m, sigma [1].

    Returns
    -------
    tuple of two float64
        The smallest g [1] and the log-moneyness it is at [1]; -infinity where total variance is
        not positive.
    """
    _, b, rho, m, sigma = svi
    bottom, depth, lowest = _bottom(svi)
    if not lowest > 0.0:
        return -np.inf, bottom
    least, where = _least_on(svi, _NONE, m, sigma)
    other, there = _least_on(svi, _NONE, bottom, depth)
    if other < least:
        least, where = other, there
    for sign in (-1.0, 1.0):
        slope = b * (1.0 + sign * rho)
        limit = 0.25 - slope * slope / 16.0 if slope > 0.0 else 1.0
        if limit < least:
            least, where = limit, sign * np.inf
    return least, where


@scalar
def _bottom(svi):
    """Where total variance is smallest, the width over which it doubles, and what it is."""
    a, b, rho, m, sigma = svi
    flat = np.sqrt(max(1.0 - rho * rho, 1e-12))
    lowest = a + b * sigma * flat
    curvature = b * flat * flat * flat / sigma
    depth = np.sqrt(max(lowest, 0.0) / max(curvature, _NARROWEST)) + _NARROWEST
    return m - rho * sigma / flat, min(depth, sigma), lowest


@scalar
def least_rise(earlier, later):
    """Smallest difference of total variance between two slices, over all log-moneyness.

    Parameters
    ----------
    earlier, later : tuple of five float64
        a, b, rho, m, sigma of either [1].

    Returns
    -------
    tuple of two float64
        The smallest w_later - w_earlier [1], negative where a calendar spread is an arbitrage, and
        the log-moneyness it is at [1]; -infinity where a wing of the later one is less steep.
    """
    for sign in (-1.0, 1.0):
        if later[1] * (1.0 + sign * later[2]) < earlier[1] * (1.0 + sign * earlier[2]):
            return -np.inf, sign * np.inf
    least, where = np.inf, 0.0
    for svi in (earlier, later):
        rise, at = _least_on(later, earlier, svi[3], svi[4])
        if rise < least:
            least, where = rise, at
    return least, where


@scalar
def _looked_at(svi, earlier, k):
    """Return what is to be smallest: g of a slice, or its rise above an earlier one if there is."""
    if np.isnan(earlier[0]):
        return durrleman(svi, k)
    return variance_and_slopes(svi, k)[0] - variance_and_slopes(earlier, k)[0]


@scalar
def _least_on(svi, earlier, center, width):
    """Smallest value on the grid around a center, and where, refined at each minimum of it."""
    least, where = np.inf, center
    before, here = np.inf, _looked_at(svi, earlier, center + width * _AWAY[0])
    for i in range(_POINTS):
        after = np.inf
        if i + 1 < _POINTS:
            after = _looked_at(svi, earlier, center + width * _AWAY[i + 1])
        if here <= before and here <= after:
            value, at = _refined(svi, earlier, center, width, i * _STEP - _REACH)
            if here < value:
                value, at = here, i * _STEP - _REACH
            if value < least:
                least, where = value, center + width * np.sinh(at)
        before, here = here, after
    return least, where


@scalar
def _refined(svi, earlier, center, width, u):
    """Smallest value within a step of a point of the grid by golden section, and where on it."""
    low, high = u - _STEP, u + _STEP
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left = _looked_at(svi, earlier, center + width * np.sinh(left))
    at_right = _looked_at(svi, earlier, center + width * np.sinh(right))
    for _ in range(_GOLDEN_STEPS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = _looked_at(svi, earlier, center + width * np.sinh(left))
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = _looked_at(svi, earlier, center + width * np.sinh(right))
    return (at_left, left) if at_left < at_right else (at_right, right)


@kernel
def total_variances(svi, of_slice, k):
    """Total variance of slices at points.

    Parameters
    ----------
    svi : float64 array, shape (s, 5)
        a, b, rho, m, sigma of each slice [1].
    of_slice : int64 array, shape (n,)
        Number of each point's slice [1].
    k : float64 array, shape (n,)
        Log-moneyness [1].

    Returns
    -------
    float64 array, shape (n,)
        w [1].
    """
    w = np.empty(k.shape[0])
    for i in range(k.shape[0]):
        j = of_slice[i]
        w[i], _, _ = variance_and_slopes(_slice(svi, j), k[i])
    return w


@kernel
def least_durrlemans(svi):
    """Smallest g of every slice, as `least_durrleman` of one.

    Parameters
    ----------
    svi : float64 array, shape (s, 5)
        a, b, rho, m, sigma of each slice [1].

    Returns
    -------
    least, where : float64 array, shape (s,)
        The smallest g [1] and the log-moneyness it is at [1].
    """
    slices = svi.shape[0]
    least, where = np.empty(slices), np.empty(slices)
    for j in range(slices):
        least[j], where[j] = least_durrleman(_slice(svi, j))
    return least, where


@scalar
def _slice(svi, j):
    return svi[j, 0], svi[j, 1], svi[j, 2], svi[j, 3], svi[j, 4]
