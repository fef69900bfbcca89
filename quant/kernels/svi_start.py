"""Where to begin fitting SVI: the quasi-explicit method on a grid of bends.

Given where a slice bends, m, and how sharply, sigma, total variance is linear in three numbers:
w = a + d y + c sqrt(y**2 + 1), y = (k - m)/sigma, c = b sigma, d = rho b sigma. The best of them
solve three equations; the grid finds the valley in which the five-dimensional search ends well,
where a search from anywhere may end at a kink (sigma to 0, rho to -1).

References
----------
Zeliade Systems, "Quasi-explicit calibration of Gatheral's SVI model", white paper ZWP-0005 (2009).
"""

import numpy as np

from quant.kernels.compilation import scalar

_CENTERS = (-0.25, 0.0, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0, 1.25)  # of m over the range of quotes
_WIDTHS = (0.02, 0.05, 0.12, 0.25, 0.5, 1.0, 2.5)  # of sigma over the range of quotes
_LEANING = 0.98  # largest abs(rho) to begin with
_STEEPEST = 1.96  # steepest wing to begin with; two is Lee's bound
_SHALLOWEST = 1e-3  # smallest variance to begin with, over the smallest quoted
_RIDGE = 1e-12


@scalar
def first_slice(k, w, weight):
    """Wings, smallest variance and bend to begin with.

    Parameters
    ----------
    k : float64 array, shape (n,)
        Log-moneyness, not all the same [1].
    w : float64 array, shape (n,)
        Total variance quoted [1].
    weight : float64 array, shape (n,)
        Weights of squared errors of w [1].

    Returns
    -------
    tuple of five float64
        Slopes of the left and of the right wing, b (1 - rho) and b (1 + rho), smallest total
        variance, m and sigma [1].
    """
    low, high = k.min(), k.max()
    best_loss = np.inf
    best = (0.1, 0.1, w.min(), 0.5 * (low + high), 0.5 * (high - low))
    for center in _CENTERS:
        for width in _WIDTHS:
            m, sigma = low + center * (high - low), width * (high - low)
            a, d, c = _linear_part(k, w, weight, m, sigma)
            left, right = (c - d) / sigma, (c + d) / sigma
            smallest = a + np.sqrt(max(c * c - d * d, 0.0))
            smallest = max(smallest, _SHALLOWEST * w.min())
            loss = _loss(k, w, weight, smallest - np.sqrt(max(c * c - d * d, 0.0)), d, c, m, sigma)
            if loss < best_loss:
                best_loss, best = loss, (left, right, smallest, m, sigma)
    return best


@scalar
def _linear_part(k, w, weight, m, sigma):
    """Best a, d, c, brought back to where wings rise no faster than Lee allows."""
    n00, n01, n02, n11, n12, n22 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    r0, r1, r2 = 0.0, 0.0, 0.0
    inverse = 1.0 / sigma
    for i in range(k.shape[0]):
        y = (k[i] - m) * inverse
        z = np.sqrt(y * y + 1.0)
        u = weight[i]
        n00 += u
        n01 += u * y
        n02 += u * z
        n11 += u * y * y
        n12 += u * y * z
        n22 += u * z * z
        r0 += u * w[i]
        r1 += u * y * w[i]
        r2 += u * z * w[i]
    # a and d eliminated
    e11, e12, e22 = n11 - n01 * n01 / n00, n12 - n01 * n02 / n00, n22 - n02 * n02 / n00
    s1, s2 = r1 - n01 * r0 / n00, r2 - n02 * r0 / n00
    e11 = max(e11, _RIDGE * n11)
    rest = max(e22 - e12 * e12 / e11, _RIDGE * n22)
    c = (s2 - e12 * s1 / e11) / rest
    d = (s1 - e12 * c) / e11
    is_inside = c > 0.0 and abs(d) <= _LEANING * c
    if not is_inside:  # along the edge that leans as the quotes do
        lean = _LEANING if s1 > 0.0 else -_LEANING
        c = (s2 + lean * s1) / max(e22 + 2.0 * lean * e12 + lean * lean * e11, _RIDGE * n22)
        c = max(c, 1e-3 * r0 / n00)
        d = lean * c
    steep = (c + abs(d)) * inverse / _STEEPEST
    if steep > 1.0:
        c, d = c / steep, d / steep
    return (r0 - n01 * d - n02 * c) / n00, d, c


@scalar
def _loss(k, w, weight, a, d, c, m, sigma):  # noqa: PLR0913, PLR0917
    loss = 0.0
    inverse = 1.0 / sigma
    for i in range(k.shape[0]):
        y = (k[i] - m) * inverse
        off = a + d * y + c * np.sqrt(y * y + 1.0) - w[i]
        loss += weight[i] * off * off
    return loss
