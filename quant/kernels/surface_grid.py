"""Points on surfaces of raw SVI slices: total variance between two slices, and where a delta is.

A point in time mixes two slices, w(k) = weight0 w0(k) + weight1 w1(k): linear in time where the
weights add up to one.
"""

import numpy as np

from quant.kernels.compilation import kernel, scalar
from quant.kernels.raw_svi import variance, variance_and_slope

OK, BEFORE_FIRST, BEYOND_LAST, NO_SLICES = range(4)
_STEPS = 100
_EXACT = 1e-14  # of log-moneyness, against the standard deviation


@kernel
def mix(tenor, first, maturity, rows, weights, status):
    """Choose which slices stand around each maturity, and how they are mixed.

    Parameters
    ----------
    tenor : float64 array, shape (n,)
        Time to expiry, ascending in each surface [yr].
    first : int64 array, shape (surfaces + 1,)
        Where each surface begins.
    maturity : float64 array, shape (m,)
        Wanted times [yr].
    rows : int64 array, shape (surfaces, m, 2)
        Where go: the slices around, -1 for none.
    weights : float64 array, shape (surfaces, m, 2)
        Where goes: what each counts for [1].
    status : uint8 array, shape (surfaces, m)
        Where goes: 0 for between two slices, 1 for before the first, 2 for beyond the last, 3
        where the surface has none.
    """
    for s in range(first.shape[0] - 1):
        low, high = first[s], first[s + 1]
        for j in range(maturity.shape[0]):
            rows[s, j], weights[s, j] = -1, np.nan
            if low == high:
                status[s, j] = NO_SLICES
                continue
            if maturity[j] > tenor[high - 1]:
                status[s, j] = BEYOND_LAST
                continue
            after = low + np.searchsorted(tenor[low:high], maturity[j])
            if after == low:
                rows[s, j], weights[s, j, 1] = low, 0.0
                weights[s, j, 0] = maturity[j] / tenor[low]
                status[s, j] = BEFORE_FIRST if maturity[j] < tenor[low] else OK
                continue
            share = (maturity[j] - tenor[after - 1]) / (tenor[after] - tenor[after - 1])
            rows[s, j, 0], rows[s, j, 1] = after - 1, after
            weights[s, j, 0], weights[s, j, 1] = 1.0 - share, share
            status[s, j] = OK


@kernel
def variances(slices, rows, weights, k, out):
    """Total variance of points in time at log-moneyness.

    Parameters
    ----------
    slices : float64 array, shape (n, 5)
        Raw SVI a, b, rho, m, sigma [1].
    rows : int64 array, shape (m, 2)
        The two slices of each point; -1 for none.
    weights : float64 array, shape (m, 2)
        What they count for [1].
    k : float64 array, shape (m, j)
        Log-moneyness [1].
    out : float64 array, shape (m, j)
        Where it goes [1]; NaN where there is no slice.
    """
    for i in range(rows.shape[0]):
        if rows[i, 0] < 0:
            out[i] = np.nan
            continue
        one, other = slices[rows[i, 0]], slices[rows[i, 1]]
        for j in range(k.shape[1]):
            out[i, j] = weights[i, 0] * variance(k[i, j], one)
            if weights[i, 1] != 0.0:
                out[i, j] += weights[i, 1] * variance(k[i, j], other)


@kernel
def at_d1(slices, rows, weights, d1, out):
    """Log-moneyness at which d1 = -k/sqrt(w) + sqrt(w)/2 has given values.

    Parameters
    ----------
    slices, rows, weights : arrays
        As for `variances`.
    d1 : float64 array, shape (j,)
        Standard deviations [1].
    out : float64 array, shape (m, j)
        Where it goes [1]; NaN where there is no slice, or none that is free of arbitrage far out.

    Notes
    -----
    d1 falls with k wherever there is no butterfly (Fukasawa, "The normalizing transformation of
    the implied volatility smile", 2012), so that there is one answer.
    """
    for i in range(rows.shape[0]):
        for j in range(d1.shape[0]):
            out[i, j] = np.nan
            if rows[i, 0] >= 0:
                one, other = slices[rows[i, 0]], slices[rows[i, 1]]
                out[i, j] = _solved(one, other, weights[i, 0], weights[i, 1], d1[j])


@scalar
def _d1_and_slope(k, one, other, share, rest):
    """Return d1 of a mix at k, its derivative, and the standard deviation."""
    w, slope = variance_and_slope(k, one)
    w, slope = share * w, share * slope
    if rest != 0.0:
        more, its_slope = variance_and_slope(k, other)
        w, slope = w + rest * more, slope + rest * its_slope
    s = np.sqrt(w)
    bend = 0.5 * slope / s
    return -k / s + 0.5 * s, (k * bend / s - 1.0) / s + 0.5 * bend, s


@scalar
def _solved(one, other, share, rest, wanted):
    """Newton's method inside a bracket that closes in."""
    _, _, s = _d1_and_slope(0.0, one, other, share, rest)
    k = 0.5 * s * s - wanted * s
    low, high = -np.inf, np.inf
    reach = s
    for _ in range(_STEPS):
        value, slope, s = _d1_and_slope(k, one, other, share, rest)
        if value > wanted:
            low = k
        else:
            high = k
        step = (wanted - value) / slope
        if abs(step) <= _EXACT * s:
            return k + step
        new = k + step
        if not (low < new < high and slope < 0.0):
            if low == -np.inf or high == np.inf:
                new = k + reach if value > wanted else k - reach
                reach *= 2.0
            else:
                new = 0.5 * (low + high)
        if new == k:
            return k
        k = new
    return np.nan
