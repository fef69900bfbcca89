"""SVI fitted to implied volatilities, one slice after the other, free of arbitrage.

A slice that comes out of a free fit with a negative density, or across its neighbour, is fitted
again with penalties on points where it is worst, those points being looked for anew after each
fit; what is then left is mended by the least move toward a slice without arbitrage.

References
----------
C. Martini, A. Mingone, "No arbitrage SVI", SIAM J. Financial Mathematics 13 (2022), arXiv
2005.03340, for what a slice without butterflies is; the penalties are our own.
"""

import numpy as np

from quant.kernels.compilation import kernel, scalar
from quant.kernels.svi import least_durrleman, least_rise, variance_and_slopes
from quant.kernels.svi_descent import NONE, descend, is_there, loss_of, with_side
from quant.kernels.svi_start import first_slice
from quant.kernels.svi_unknowns import UNKNOWNS, raw_of, unknowns_of, wings_of, wings_of_raw

OK, CONSTRAINED, FEW_QUOTES, CROSSES, NOT_SOLVED = 0, 1, 2, 3, 4
"""Codes of how a fit ended: freely; with constraints that bind; with fewer than five strikes or an
error, tenor or volatility that is no positive number; across its neighbour; not at all."""

_FEWEST_QUOTES = 5
_ROUNDS = 8
_ROUGH_ROUNDS = 3
_SETTLED, _ROUGHLY_SETTLED, _NEARLY_SETTLED = 1e-13, 1e-5, 1e-8
_STIFFER = 10.0  # a round than the one before
_APART = 1e-4  # share of total variance between a neighbour and a slice of its shape
_ROOM_TO_LIFT, _FIRST_LIFT = 20.0, 1e-3  # in the logarithm of the smallest variance
_HALVINGS = 30


@kernel
def fit_slices(start, k, iv, error, tenor, group, kink, svi, measures, status):  # noqa: PLR0913, PLR0917
    """SVI of every slice, in order; one of the same group as the one before may not cross it.

    Long expiries pin the wings of short ones better than the other way round: hand over the
    slices of a group from the last expiry to the first.

    Parameters
    ----------
    start : int64 array, shape (s + 1,)
        Number of the first quote of each slice, and how many quotes there are [1].
    k : float64 array, shape (n,)
        Log-moneyness of the quotes [1].
    iv : float64 array, shape (n,)
        Implied volatility quoted [1/sqrt(yr)].
    error : float64 array, shape (n,)
        How far it may be off [1/sqrt(yr)].
    tenor : float64 array, shape (s,)
        Time to expiry, ACT/365 [yr]; in order within a group, either way.
    group : int64 array, shape (s,)
        Slices of one number stand together and may not cross; -1 for one that stands alone [1].
    kink : float64
        Residuals beyond this count linearly [errors].
    svi : float64 array, shape (s, 5)
        Written: a, b, rho, m, sigma [1]; NaN where there is no fit.
    measures : float64 array, shape (s, 5)
        Written: root mean squared error [1/sqrt(yr)], smallest g [1], the log-moneyness it is at
        [1], and the smallest rise of total variance from the earlier to the later of this and
        the last slice of the group that fits [1], NaN without one.
    status : uint8 array, shape (s,)
        Written: a code of this module.
    """
    before = NONE
    x = np.empty(UNKNOWNS)
    for j in range(tenor.shape[0]):
        if j == 0 or group[j] < 0 or group[j] != group[j - 1]:
            before = NONE
        elif is_there(before):
            before = with_side(before[:5], 1.0 if tenor[j] >= tenor[j - 1] else -1.0)
        svi[j], measures[j] = np.nan, np.nan
        quotes = slice(start[j], start[j + 1])
        data = k[quotes], iv[quotes], error[quotes], tenor[j], kink
        if not _are_enough(data):
            status[j] = FEW_QUOTES
            continue
        status[j] = _fit(data, before, x)
        found = raw_of(wings_of(x))
        _measure(data, found, before, svi[j], measures[j])
        if not np.isfinite(measures[j, 0]) or not measures[j, 1] >= 0.0:
            status[j] = NOT_SOLVED
        if status[j] <= CONSTRAINED:
            before = with_side(found, 1.0)


@scalar
def _are_enough(data):
    k, iv, error, tenor, _ = data
    strikes = 0
    for i in range(k.shape[0]):
        if not (np.isfinite(k[i]) and iv[i] > 0.0 and error[i] > 0.0):
            return False
        is_new = True
        for q in range(i):
            is_new = is_new and k[q] != k[i]
        strikes += is_new
    return strikes >= _FEWEST_QUOTES and tenor > 0.0


@scalar
def _fit(data, before, x):
    """Write the unknowns of the best slice without arbitrage, and return how it was found."""
    k, iv, error, tenor, _ = data
    w = iv * iv * tenor
    spread = 2.0 * iv * tenor * error
    unknowns_of(first_slice(k, w, 1.0 / (spread * spread)), x)
    descend(data, x, before, np.empty(0), 0.0, _SETTLED)
    if _is_free_of_arbitrage(before, x):
        return OK
    if not is_there(before):
        return _constrained(data, before, x)
    # A free fit far on the wrong side may end at a wall: the slice before, scaled, is no such.
    other = np.empty(UNKNOWNS)
    _scaled(data, before, other)
    status, second = _constrained(data, before, x), _constrained(data, before, other)
    is_better = loss_of(data, other) < loss_of(data, x)
    if second < status or (second == status and is_better):
        x[:] = other
    return min(status, second)


@scalar
def _is_free_of_arbitrage(before, x):
    found = raw_of(wings_of(x))
    return least_durrleman(found)[0] >= 0.0 and _rise(before, found)[0] >= 0.0


@scalar
def _scaled(data, before, x):
    """Write a slice of the shape of the one before, on its side of it, as high as the quotes."""
    k, iv, _, tenor, _ = data
    share = 0.0
    for i in range(k.shape[0]):
        share += iv[i] * iv[i] * tenor / variance_and_slopes(before[:5], k[i])[0] / k.shape[0]
    share = max(share, 1.0 + _APART) if before[5] > 0.0 else min(share, 1.0 - _APART)
    left, right, smallest, m, sigma = wings_of_raw(before[:5])
    unknowns_of((left * share, right * share, smallest * share, m, sigma), x)


@scalar
def _constrained(data, before, x):
    """Go on from x with penalties where it is worst, until it is free of arbitrage."""
    extra = np.empty(2 * _ROUNDS)
    size = 0
    # at first, a g of minus one weighs as much as one quote that is off by all of its volatility
    stiffness = np.mean((data[1] / data[2]) ** 2)
    for tried in range(_ROUNDS):
        found = raw_of(wings_of(x))
        least, where = least_durrleman(found)
        rise, crossing = _rise(before, found)
        if tried > 0 and least >= 0.0 and rise >= 0.0:
            return CONSTRAINED
        if np.isfinite(where):
            extra[size] = where
            size += 1
        if np.isfinite(crossing):
            extra[size] = crossing
            size += 1
        settled = _ROUGHLY_SETTLED if tried < _ROUGH_ROUNDS else _NEARLY_SETTLED
        descend(data, x, before, extra[:size], stiffness, settled)
        stiffness *= _STIFFER
    return _mend(data, before, x)


@scalar
def _mend(data, before, x):
    """Move x the least way toward a slice without arbitrage: higher, or shaped as the neighbour."""
    away = x.copy()
    raised = 0.0
    while raised < _ROOM_TO_LIFT and not _is_free_of_arbitrage(before, away):
        raised = 2.0 * raised + _FIRST_LIFT
        away[2] = x[2] + raised
    if is_there(before) and not _is_free_of_arbitrage(before, away):
        _scaled(data, before, away)
    if not _is_free_of_arbitrage(before, away):
        return CROSSES
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if _is_free_of_arbitrage(before, x + middle * (away - x)):
            high = middle
        else:
            low = middle
    x[:] = x + high * (away - x)
    return CONSTRAINED


@scalar
def _rise(before, found):
    """Smallest rise from the earlier to the later of two slices, infinite if there is but one."""
    if not is_there(before):
        return np.inf, np.nan
    if before[5] > 0.0:
        return least_rise(before[:5], found)
    return least_rise(found, before[:5])


@scalar
def _measure(data, found, before, svi, measures):
    k, iv, error, tenor, _ = data
    svi[0], svi[1], svi[2], svi[3], svi[4] = found
    total, weighted = 0.0, 0.0
    for i in range(k.shape[0]):
        off = np.sqrt(variance_and_slopes(found, k[i])[0] / tenor) - iv[i]
        total += off * off
        weighted += (off / error[i]) ** 2
    measures[0] = np.sqrt(total / k.shape[0])
    measures[1], measures[2] = least_durrleman(found)
    if is_there(before):
        measures[3] = _rise(before, found)[0]
    measures[4] = np.sqrt(weighted / k.shape[0])
