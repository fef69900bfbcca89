"""The five numbers SVI is searched in: any of them makes a slice with positive variance.

A slice is fixed by the slopes of its wings, l = b (1 - rho) and r = b (1 + rho), its smallest
total variance v, and where and how sharply it bends, m and sigma:
w = v - sigma sqrt(l r) + ((r - l)(k - m) + (l + r) sqrt((k - m)**2 + sigma**2)) / 2. Searched for
are logit(l/2), logit(r/2), ln(v), m and ln(sigma): Lee's bound and Gatheral's hold by themselves.
"""

import numpy as np

from quant.kernels.compilation import scalar

UNKNOWNS = 5
LEAST_SLOPE, MOST_SLOPE = 1e-6, 2.0 - 1e-6


@scalar
def unknowns_of(wings, x):
    """Write the unknowns of slopes, smallest variance and bend.

    Parameters
    ----------
    wings : tuple of five float64
        l, r, v, m, sigma [1].
    x : float64 array, shape (5,)
        Written [1].
    """
    left, right, smallest, m, sigma = wings
    for i in range(2):
        slope = min(max(left if i == 0 else right, LEAST_SLOPE), MOST_SLOPE)
        x[i] = np.log(slope / (2.0 - slope))
    x[2], x[3], x[4] = np.log(smallest), m, np.log(sigma)


@scalar
def wings_of(x):
    """Return slopes, smallest variance and bend of unknowns: l, r, v, m, sigma [1]."""
    left, right = 2.0 / (1.0 + np.exp(-x[0])), 2.0 / (1.0 + np.exp(-x[1]))
    return left, right, np.exp(x[2]), x[3], np.exp(x[4])


@scalar
def raw_of(wings):
    """Return a, b, rho, m, sigma of slopes, smallest variance and bend [1]."""
    left, right, smallest, m, sigma = wings
    a = smallest - sigma * np.sqrt(left * right)
    return a, 0.5 * (left + right), (right - left) / (left + right), m, sigma


@scalar
def wings_of_raw(svi):
    """Return slopes, smallest variance and bend of a, b, rho, m, sigma [1]."""
    a, b, rho, m, sigma = svi
    return b * (1.0 - rho), b * (1.0 + rho), a + b * sigma * np.sqrt(1.0 - rho * rho), m, sigma


@scalar
def variance_and_gradient(wings, k):
    """Total variance, and its derivatives by the five unknowns.

    Parameters
    ----------
    wings : tuple of five float64
        l, r, v, m, sigma [1].
    k : float64
        Log-moneyness [1].

    Returns
    -------
    tuple of float64 and of five float64
        w, and dw by each unknown [1].
    """
    left, right, smallest, m, sigma = wings
    x = k - m
    root = np.sqrt(x * x + sigma * sigma)
    middle = np.sqrt(left * right)
    w = smallest + 0.5 * ((right - left) * x + (left + right) * root) - sigma * middle
    by_left = 0.5 * (root - x) - 0.5 * sigma * right / middle
    by_right = 0.5 * (root + x) - 0.5 * sigma * left / middle
    by_center = -0.5 * ((right - left) + (left + right) * x / root)
    by_width = 0.5 * (left + right) * sigma / root - middle
    return w, (
        by_left * left * (1.0 - 0.5 * left),
        by_right * right * (1.0 - 0.5 * right),
        smallest,
        by_center,
        by_width * sigma,
    )
