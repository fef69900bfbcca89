"""The raw SVI slice, w(k) = a + b (rho (k - m) + sqrt((k - m)**2 + sigma**2)): eSSVI is one too.

References
----------
J. Gatheral, A. Jacquier, "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14 (2014),
equations 3.1 and 2.1.
"""

import numpy as np

from quant.kernels.compilation import inlined

PARAMETERS = 5


@inlined
def variance(k, slice_):
    """Total variance of (a, b, rho, m, sigma) at log-moneyness k [1]."""
    d = k - slice_[3]
    return slice_[0] + slice_[1] * (slice_[2] * d + np.sqrt(d * d + slice_[4] * slice_[4]))


@inlined
def variance_and_slope(k, slice_):
    """Total variance and its derivative by k [1]."""
    d = k - slice_[3]
    root = np.sqrt(d * d + slice_[4] * slice_[4])
    return slice_[0] + slice_[1] * (slice_[2] * d + root), slice_[1] * (slice_[2] + d / root)


@inlined
def durrleman(k, slice_):
    """Durrleman's g(k) [1], of the sign of the density; minus infinity where w is not positive."""
    d = k - slice_[3]
    square = slice_[4] * slice_[4]
    root = np.sqrt(d * d + square)
    w = slice_[0] + slice_[1] * (slice_[2] * d + root)
    first = slice_[1] * (slice_[2] + d / root)
    second = slice_[1] * square / (root * root * root)
    half = 1.0 - 0.5 * k * first / w
    g = half * half - 0.25 * first * first * (1.0 / w + 0.25) + 0.5 * second
    return g if w > 0.0 else -np.inf
