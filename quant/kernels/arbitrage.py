"""Where raw SVI slices come nearest to arbitrage: least density, and least distance of two.

Along k = m + sigma sinh(t) a slice bends at one scale, whatever its parameters, so that one grid in
t serves all. Around each grid point that lies below its neighbours a golden section follows.
"""

import numpy as np

from quant.kernels.compilation import kernel, scalar
from quant.kernels.raw_svi import durrleman, variance

_REACH, _POINTS = 9.0, 241  # sinh(9) is 4,051; steps of 0.075
_OFFSETS = np.sinh(np.linspace(-_REACH, _REACH, _POINTS))
_GOLDEN = 0.6180339887498949
_SECTIONS = 40  # 0.618**40 is 4e-9: of a minimum no more can be seen in doubles


@kernel
def butterflies(slices, out):
    """Least of Durrleman's g, where it is, and what the steeper wing lacks to Lee's bound.

    Parameters
    ----------
    slices : float64 array, shape (n, 5)
        Raw SVI a, b, rho, m, sigma [1].
    out : float64 array, shape (n, 3)
        Where go: the least g, its log-moneyness (infinite where it is a limit), 2 less the slope
        of the steeper wing [1]. NaN for a slice with one.
    """
    values = np.empty(_POINTS)
    for i in range(slices.shape[0]):
        own = slices[i]
        if not np.isfinite(own).all():
            out[i] = np.nan
            continue
        best, at = np.inf, 0.0
        for side in (-1.0, 1.0):
            wing = own[1] * (1.0 + side * own[2])
            limit = (4.0 - wing * wing) / 16.0
            if limit < best:
                best, at = limit, side * np.inf
        root = np.sqrt(max(1.0 - own[2] * own[2], 1e-300))
        lowest = own[3] - own[2] * own[4] / root
        bottom = own[0] + own[1] * own[4] * root
        bend = np.sqrt(max(bottom, 0.0) * own[4] / max(own[1] * root**3, 1e-300))
        for centre, scale in ((own[3], own[4]), (lowest, bend)):
            found, where = _least_g(own, centre, scale, values)
            if found < best:
                best, at = found, where
        out[i, 0], out[i, 1] = best, at
        out[i, 2] = 2.0 - own[1] * (1.0 + abs(own[2]))


@scalar
def _least_g(own, centre, scale, values):
    """Least g around a centre, and where."""
    for j in range(_POINTS):
        values[j] = durrleman(centre + scale * _OFFSETS[j], own)
    best, at = np.inf, centre
    for j in range(_POINTS):
        low, high = max(j - 1, 0), min(j + 1, _POINTS - 1)
        if values[j] <= values[low] and values[j] <= values[high]:
            a, b = centre + scale * _OFFSETS[low], centre + scale * _OFFSETS[high]
            for _ in range(_SECTIONS):
                left, right = b - _GOLDEN * (b - a), a + _GOLDEN * (b - a)
                if durrleman(left, own) <= durrleman(right, own):
                    b = right
                else:
                    a = left
            middle = 0.5 * (a + b)
            found = min(durrleman(middle, own), values[j])
            if found < best:
                best, at = found, middle
    return best, at


@kernel
def calendars(slices, surface, out):
    """Least of w less the w of the slice before, where it is, and the same of the wings' slopes.

    Parameters
    ----------
    slices : float64 array, shape (n, 5)
        Raw SVI a, b, rho, m, sigma [1], each surface in order of expiry.
    surface : int64 array, shape (n,)
        Which surface a slice is of, ascending.
    out : float64 array, shape (n, 3)
        Where go: the least difference of total variance, its log-moneyness, the lesser difference
        of slopes of the two wings [1]. NaN for the first slice of a surface and for those with
        NaN, which are passed over.
    """
    values = np.empty(_POINTS)
    before = -1
    for i in range(slices.shape[0]):
        out[i] = np.nan
        own = slices[i]
        if not np.isfinite(own).all():
            continue
        if before >= 0 and surface[before] == surface[i]:
            last = slices[before]
            best, at = np.inf, 0.0
            for one in (own, last):
                found, where = _least_difference(own, last, one[3], one[4], values)
                if found < best:
                    best, at = found, where
            out[i, 0], out[i, 1] = best, at
            out[i, 2] = min(
                own[1] * (1.0 + own[2]) - last[1] * (1.0 + last[2]),
                own[1] * (1.0 - own[2]) - last[1] * (1.0 - last[2]),
            )
        before = i


@scalar
def _difference(k, own, last):
    return variance(k, own) - variance(k, last)


@scalar
def _least_difference(own, last, centre, scale, values):
    """Least distance of a slice above another around a centre, and where."""
    for j in range(_POINTS):
        values[j] = _difference(centre + scale * _OFFSETS[j], own, last)
    best, at = np.inf, centre
    for j in range(_POINTS):
        low, high = max(j - 1, 0), min(j + 1, _POINTS - 1)
        if values[j] <= values[low] and values[j] <= values[high]:
            a, b = centre + scale * _OFFSETS[low], centre + scale * _OFFSETS[high]
            for _ in range(_SECTIONS):
                left, right = b - _GOLDEN * (b - a), a + _GOLDEN * (b - a)
                if _difference(left, own, last) <= _difference(right, own, last):
                    b = right
                else:
                    a = left
            middle = 0.5 * (a + b)
            found = min(_difference(middle, own, last), values[j])
            if found < best:
                best, at = found, middle
    return best, at
