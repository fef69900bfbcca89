"""The largest convex, non-increasing curve below call prices, slice by slice: arrays to arrays."""

import numpy as np

from quant.kernels.compilation import inlined, kernel

ORIGIN = -1
"""In place of a number of a point: the call of strike zero, which is worth the forward."""


@kernel
def minorants(expiry, moneyness, price):
    """Most that each call may cost, given those of its own and of all later expiries.

    With moneyness relative to the forward of each expiry, prices of calls over the forward rise
    with the expiry and are convex and non-increasing in the strike. Prices are free of static
    arbitrage just when each lies on the largest such curve below it and all prices of its own
    and later expiries (and none is negative or below 1 - moneyness).

    Parameters
    ----------
    expiry : int64 array, shape (n,)
        Number of the expiry, in order of time [1]; ascending.
    moneyness : float64 array, shape (n,)
        strike/forward, positive, and ascending within an expiry [1].
    price : float64 array, shape (n,)
        Price of a call over the forward [1].

    Returns
    -------
    most : float64 array, shape (n,)
        The curve of each point's expiry at its strike [1]; never above its price.
    left, right : int64 array, shape (n,)
        The points between which the curve is straight there, the point itself where it lies on
        the curve; `ORIGIN` for the call of strike zero. Where the curve is flat, both are the
        last point before.

    References
    ----------
    A. M. Andrew, "Another efficient algorithm for convex hulls in two dimensions", Information
    Processing Letters 9 (1979).
    S. Cohen, C. Reisinger, S. Wang, "Detecting and repairing arbitrage in traded option prices",
    Applied Mathematical Finance 27 (2020), section 2.
    """
    n = expiry.shape[0]
    most = np.empty(n)
    left, right = np.empty(n, np.int64), np.empty(n, np.int64)
    # a slice is measured against its own points and all that come after it
    order = np.argsort(moneyness, kind="mergesort")
    curve = np.empty(n + 1, np.int64)
    start = 0
    while start < n:
        end = start
        while end < n and expiry[end] == expiry[start]:
            end += 1
        size = _lower_curve(start, order, moneyness, price, curve)
        at = 0
        for i in range(start, end):
            while at + 1 < size and moneyness[curve[at + 1]] <= moneyness[i]:
                at += 1
            left[i] = curve[at]
            right[i] = curve[at + 1] if at + 1 < size else curve[at]
            most[i] = min(price[i], _on_line(left[i], right[i], moneyness[i], moneyness, price))
        start = end
    return most, left, right


@inlined
def _point(i, moneyness, price):
    return (0.0, 1.0) if i == ORIGIN else (moneyness[i], price[i])


@inlined
def _on_line(left, right, x, moneyness, price):
    x0, y0 = _point(left, moneyness, price)
    x1, y1 = _point(right, moneyness, price)
    return y0 + (y1 - y0) * ((x - x0) / (x1 - x0)) if x1 > x0 else y0


@kernel
def _lower_curve(start, order, moneyness, price, curve):
    """Write the corners of the curve below the points from `start` on, and return how many."""
    curve[0] = ORIGIN
    size = 1
    for i in order:
        if i < start:
            continue
        x, y = moneyness[i], price[i]
        x1, y1 = _point(curve[size - 1], moneyness, price)
        if x == x1:
            if y >= y1:
                continue
            size -= 1
        while size > 0:
            x1, y1 = _point(curve[size - 1], moneyness, price)
            if size == 1:
                break
            x0, y0 = _point(curve[size - 2], moneyness, price)
            if (y1 - y0) * (x - x1) < (y - y1) * (x1 - x0):
                break
            size -= 1
        if y < y1:  # the curve does not rise
            curve[size] = i
            size += 1
    return size
