"""Carry of every expiry of one underlying, minute by minute, from what was seen before: a loop.

The minutes are walked through in order. Before anything that a minute saw is taken in, the expiries
that are asked for in it are answered: so an answer is made of earlier minutes alone, and nothing
that is later compared with it has entered it.
"""

import math

import numpy as np

from quant.kernels.compilation import inlined, kernel

MEMORY = 8
"""How many of an expiry's last witnesses are remembered."""
TRADE, TICKER, FUTURE, INTERPOLATED, EXTRAPOLATED, NONE = 0, 1, 2, 3, 4, 5
"""What a carry comes from."""

_MINUTE, _HOUR, _YEAR = 60_000_000, 3_600_000_000.0, 365 * 86_400_000_000.0  # [us]
_HOUR_US, _LOOK_BACK = 60 * _MINUTE, 1440 * _MINUTE
_LONG_AGO = -(1 << 60)
_NEAR = 5.0 / 365.0
_AVERAGED = 0.5 / 8760.0  # the index of the last half hour is what is delivered, on average
_INDEX = 0.6 / math.sqrt(8760.0)  # of which what is past stands still, while the index moves
_SURE = 2e-5  # a fifth of a basis point: neighbours tell no more than that
_MAD = 1.4826  # standard deviations of a normal in one median absolute deviation
_MEDIAN = 1.5708  # variance of a median against that of a mean


@inlined
def _settled(tenor):
    """Return the share of the average an expiry is delivered at that is past."""
    return max(1.0 - tenor / _AVERAGED, 0.0)


@inlined
def drift(tenor):
    """Return how far ln(forward/index) moves in an hour [1/sqrt(h)], as measured."""
    far = 1e-4 * math.sqrt(0.64 + 10.9 * tenor) * min(1.0, tenor / _NEAR)
    return math.sqrt(far * far + (_INDEX * _settled(tenor)) ** 2)


@inlined
def bend(tenor, before, after):
    """Return how far a basis lies off the straight line between its neighbours', as measured [1].

    `before` is the time from the earlier one [yr], `after` the share of the way to the later. In
    the last half hour the index moves away from the average that is delivered.
    """
    curved = 0.004 * max(tenor, 1e-3) ** -0.4 * before * after
    return math.sqrt(curved * curved + 0.5 * (_INDEX * _settled(tenor)) ** 2)


@inlined
def _weighted_median(values, weights, up_to, half):
    """Return the least value up to which the weights make half of them, without a branch.

    `up_to` is where the sums are written; the loops run so that one instruction does all of them.
    """
    for i in range(MEMORY):
        up_to[i] = 0.0
    for j in range(MEMORY):
        value, weight = values[j], weights[j]
        for i in range(MEMORY):
            up_to[i] += weight if value <= values[i] else 0.0
    middle = np.inf
    for i in range(MEMORY):
        middle = min(middle, values[i] if up_to[i] >= half else np.inf)
    return middle


@inlined
def _own(now, e, state):
    """Return basis, error, source, newest moment and number of an expiry's own witnesses.

    What was found in a minute is kept for the rest of it, in `known`.
    """
    moments, numbers = state[5], state[6]
    if moments[e, 0] != now:
        found = _found(now, e, state)
        moments[e, 0], moments[e, 1] = now, found[3]
        numbers[e, 0], numbers[e, 1], numbers[e, 2], numbers[e, 3] = (
            found[0], found[1], found[2], found[4]
        )  # fmt: skip
    return numbers[e, 0], numbers[e, 1], int(numbers[e, 2]), moments[e, 1], int(numbers[e, 3])


@inlined
def _found(now, e, state):
    """Return basis, error, source, newest moment and number of what an expiry has seen."""
    expiries, _, seen, told, scratch, _, _ = state
    y, w, up_to = scratch[0], scratch[1], scratch[2]
    seen_at, value, error = seen[e], told[e, 0], told[e, 1]
    tenor = (expiries[e] - now) / _YEAR
    moves = drift(tenor) ** 2
    total, squares = 0.0, 0.0
    for i in range(MEMORY):
        age = now - seen_at[i]
        is_recent = age <= _LOOK_BACK
        weight = 1.0 / (error[i] * error[i] + moves * (age / _HOUR))
        w[i] = weight if is_recent else 0.0
        y[i] = value[i] * tenor if is_recent else np.inf  # a carry stays, a basis runs down
    for i in range(MEMORY):
        total += w[i]
        squares += w[i] * w[i]
    if total == 0.0:
        return np.nan, np.inf, NONE, 0, 0
    count, newest, best, source = 0, 0, 0.0, NONE
    for i in range(MEMORY):
        if w[i] > 0.0:
            count += 1
            newest = max(newest, seen[e, i])
            if w[i] > best:
                best, source = w[i], int(told[e, 2, i])
    half = 0.5 * total * (1.0 - 1e-12)  # sums in another order may come out a digit lower
    middle = _weighted_median(y, w, up_to, half)
    for i in range(MEMORY):
        y[i] = abs(y[i] - middle)
    scatter = _MAD * _weighted_median(y, w, up_to, half)
    spread = max(1.0 / total, scatter * scatter * squares / (total * total))
    width = math.sqrt(_MEDIAN * spread + moves * ((now + _MINUTE - newest) / _HOUR))
    return middle, width, source, newest, count


@inlined
def _neighbours(now, e, state):
    """Return the nearest living expiries before and after that have witnesses; -1 for none."""
    expiries, last = state[0], state[1]
    low, high = e - 1, e + 1
    while low >= 0 and expiries[low] > now and now - last[low] > _LOOK_BACK:
        low -= 1
    if low >= 0 and expiries[low] <= now:
        low = -1
    while high < len(expiries) and now - last[high] > _LOOK_BACK:
        high += 1
    return low, high if high < len(expiries) else -1


@inlined
def _best(now, e, state):
    """Return the basis with the smaller error: of own witnesses, or between the neighbours.

    The index itself stands at an expiry of now.
    """
    expiries = state[0]
    own = _own(now, e, state)
    if own[1] <= _SURE:
        return own
    low, high = _neighbours(now, e, state)
    if low < 0 and high < 0:
        return own
    tenor = (expiries[e] - now) / _YEAR
    t0 = (expiries[low] - now) / _YEAR if low >= 0 else 0.0
    t1 = (expiries[high] - now) / _YEAR if high >= 0 else np.inf
    share = (tenor - t0) / (t1 - t0)
    curved = bend(tenor, tenor - t0, 1.0 - share)
    if own[1] <= curved:
        return own
    y0, e0, s0, n0 = 0.0, 0.0, now, 0
    if low >= 0:
        y0, e0, _, s0, n0 = _own(now, low, state)
    if high < 0:
        error = math.sqrt((e0 * tenor / t0) ** 2 + curved * curved)
        return own if own[1] <= error else (y0 * tenor / t0, error, EXTRAPOLATED, s0, n0)
    y1, e1, _, s1, n1 = _own(now, high, state)
    jump = y1 / t1 - (y0 / t0 if low >= 0 else 0.0)  # it may come anywhere between the two
    jumped = 0.7 * jump * (tenor - t0) * (1.0 - share)
    error = ((1.0 - share) * e0) ** 2 + (share * e1) ** 2 + curved * curved + jumped * jumped
    error = math.sqrt(error)
    if own[1] <= error:
        return own
    return y0 + share * (y1 - y0), error, INTERPOLATED, min(s0, s1), n0 + n1


@kernel
def trailing_carry(  # noqa: PLR0913, PLR0917  (numba takes keyword-only arguments slowly)
    moment, expiry, basis, error, source, asks, expiries, start, end
):
    """Carry of each expiry at the beginning of every minute it is asked for in, and every hour.

    Parameters
    ----------
    moment : int64 array, shape (n,)
        When each witness was seen [us since 1970]; ascending.
    expiry : int64 array, shape (n,)
        Its expiry, as a number into `expiries` [1].
    basis, error : float64 array, shape (n,)
        ln(forward/index) it tells and its standard error [1]; NaN where it tells none.
    source : int64 array, shape (n,)
        What it is: `TRADE`, `TICKER` or `FUTURE` [1].
    asks : bool array, shape (n,)
        Whether the expiry is wanted in that minute [1].
    expiries : int64 array, shape (m,)
        Moments of expiry [us since 1970]; ascending.
    start, end : int64
        From and to when there are answers, full hours [us since 1970].

    Returns
    -------
    minute : int64 array, shape (r,)
        Beginning of the minute [us since 1970].
    of : int64 array, shape (r,)
        Number of the expiry [1].
    basis, error : float64 array, shape (r,)
        ln(forward/index) at that moment and its standard error [1]; NaN where none is known.
    source : int64 array, shape (r,)
        What it comes from, by the codes of this module [1].
    seen : int64 array, shape (r,)
        Newest witness of it, or the older of two neighbours' [us since 1970]; 0 for none.
    witnesses : int64 array, shape (r,)
        How many it is made of [1].
    """
    size, rows = len(expiries), len(moment)
    most = _answers(moment, asks, start, end) + ((end - start) // _HOUR_US) * size
    minute, of, origin, newest, counts = np.empty((5, most), np.int64)
    level, width = np.empty((2, most))
    seen, told = np.full((size, MEMORY), _LONG_AGO), np.zeros((size, 3, MEMORY))
    pushed, last = np.zeros(size, np.int64), np.full(size, _LONG_AGO)
    wanted, known = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    state = (
        expiries, last, seen, told, np.zeros((3, MEMORY)),
        np.full((size, 2), _LONG_AGO), np.empty((size, 4)),
    )  # fmt: skip
    made, row, hour = 0, 0, start
    while row < rows or hour < end:
        now = min(end, hour)
        if row < rows:
            now = min(now, moment[row] // _MINUTE * _MINUTE)
        if now >= end:
            break
        stop = row
        while stop < rows and moment[stop] < now + _MINUTE:
            wanted[expiry[stop]] |= asks[stop] and now >= start
            stop += 1
        if now == hour:
            hour += _HOUR_US
            wanted |= known & (expiries > now)
        for e in range(size):
            if wanted[e] and expiries[e] > now:
                found = _best(now, e, state)
                minute[made], of[made] = now, e
                level[made], width[made], origin[made], newest[made], counts[made] = found
                made += 1
            wanted[e] = False
        for i in range(row, stop):
            e, at = expiry[i], pushed[expiry[i]] % MEMORY
            known[e] = True
            if np.isfinite(basis[i]) and np.isfinite(error[i]) and moment[i] < expiries[e]:
                seen[e, at], last[e] = moment[i], moment[i]
                told[e, 0, at] = basis[i] / ((expiries[e] - moment[i]) / _YEAR)
                told[e, 1, at], told[e, 2, at] = error[i], source[i]
                pushed[e] += 1
        row = stop
    found = minute[:made], of[:made], level[:made], width[:made]
    return (*found, origin[:made], newest[:made], counts[:made])


@kernel
def _answers(moment, asks, start, end):
    """How many rows ask in the time [1]: more than there can be answers to."""
    count = 0
    for i in range(len(moment)):
        count += asks[i] and start <= moment[i] < end
    return count


@kernel
def forwards_of_trades(code, moment, index, options, curve, written):
    """Write the forward of each trade: its own index, times what the curve says of its minute.

    Parameters
    ----------
    code : int32 array, shape (n,)
        Option of each trade [1]; equal ones stand together.
    moment : int64 array, shape (n,)
        When each trade was made [us since 1970]; ascending within an option.
    index : float64 array, shape (n,)
        Index at the trade [USD].
    options : tuple of three int64 arrays, shape (m,)
        Where the rows of each option's expiry begin and end in the curve [1], and when it expires
        [us since 1970].
    curve : tuple of arrays, shape (r,)
        Minute [us since 1970], ln(forward/index) and its error [1], newest witness [us since
        1970], source [1]; int64, float64, float64, int64, int64. Minutes ascend within an expiry.
    written : tuple of arrays, shape (n,)
        Written: forward [USD], its error [1], age of what it is known from [s], tenor [yr], all
        float64 and NaN where there is none; and its source, uint8 [1].
    """
    first, last, expiries = options
    minute, basis, error, seen, source = curve
    forward, width, age, tenor, origin = written
    at = 0
    for i in range(len(code)):
        option = code[i]
        end = last[option]
        if i == 0 or option != code[i - 1]:
            at = first[option]
        now = moment[i] // _MINUTE * _MINUTE
        leap = 1
        while at + leap < end and minute[at + leap] <= now:
            at += leap
            leap *= 2
        while leap > 0:
            if at + leap < end and minute[at + leap] <= now:
                at += leap
            leap //= 2
        left = expiries[option] - moment[i]
        tenor[i] = left / _YEAR
        forward[i], width[i], age[i], origin[i] = np.nan, np.nan, np.nan, NONE
        if at < end and minute[at] == now and basis[at] == basis[at]:
            # a carry stays, a basis runs down
            forward[i] = index[i] * math.exp(basis[at] * left / (expiries[option] - now))
            # rounded to what they mean, errors up: a third of the bytes
            width[i], origin[i] = math.ceil(error[at] * 1e7) / 1e7, source[at]
            age[i] = (moment[i] - seen[at]) // 1_000_000
