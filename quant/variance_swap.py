"""Model-free implied variance from listed strikes, and at a constant maturity between expiries.

Out-of-the-money options weighted by 1/strike**2 pay the variance of the forward until expiry,
whatever the model. Listed strikes end somewhere; what the options beyond them would add is
estimated at the volatility of the last strike on either side, and told apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant.kernels.implied_vol import implied_vol
from quant.kernels.rows import Bools, Floats, check_rows

STATUSES = ("ok", "bad_input", "few_strikes", "no_puts", "no_calls")
"""Why an expiry has no variance, by code: forward or tenor not positive, fewer strikes than
`FEWEST_STRIKES` or two of them in the middle further apart than `WIDEST_GAP`, none below the
forward or none above it."""
MATURITY_STATUSES = ("ok", "no_expiry", "no_shorter_expiry", "no_longer_expiry")
"""Why there is no variance at a constant maturity, by code: expiries must stand on either side."""
FEWEST_STRIKES = 5
"""With fewer strikes the sum is no integral any more."""
WIDEST_GAP = 0.75
"""How far apart strikes within a standard deviation of the forward may be [standard deviations].
Strikes taken at random that are half to three quarters of one apart leave volatility 1.4 % off, one
in twenty 4.5 %; at 1.5 to 3 of them it is 11 % and 44 %. Listed at 30 days are 0.1 to 0.4."""
MATURITY = 30.0 / 365.0
"""Tenor of volatility indices, Deribit's DVOL among them [yr]."""

Integers = NDArray[np.int64]
Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class VarianceSwaps:
    """Fair variance of expiries, one row each.

    Attributes
    ----------
    total_variance : float64 array, shape (s,)
        Variance until expiry that listed strikes pay [1]; NaN unless the status is 0.
    truncation : float64 array, shape (s,)
        What strikes beyond the listed ones would add at the volatility of the last ones [1]: an
        estimate from below where the smile goes on rising.
    iv : float64 array, shape (s,)
        Root of variance a year, truncation not counted in [1/sqrt(yr)].
    strikes : int64 array, shape (s,)
        How many strikes were used [1].
    status : uint8 array, shape (s,)
        Place in `STATUSES`.
    """

    total_variance: Floats
    truncation: Floats
    iv: Floats
    strikes: Integers
    status: Codes


@dataclass(frozen=True)
class ConstantMaturity:
    """Variance at one maturity, a row for each instant.

    Attributes
    ----------
    iv : float64 array, shape (g,)
        Root of variance a year [1/sqrt(yr)]; NaN unless the status is 0.
    shorter, longer : int64 array, shape (g,)
        Rows of the expiries on either side [1]; -1 without one.
    status : uint8 array, shape (g,)
        Place in `MATURITY_STATUSES`.
    """

    iv: Floats
    shorter: Integers
    longer: Integers
    status: Codes


def variance_swaps(
    of_slice: Integers, moneyness: Floats, price: Floats, is_call: Bools, tenor: Floats
) -> VarianceSwaps:
    r"""Return the fair variance of expiries from the options listed.

    Parameters
    ----------
    of_slice : int64 array, shape (n,)
        Number of each option's expiry, from 0, in any order [1].
    moneyness : float64 array, shape (n,)
        strike/forward [1].
    price : float64 array, shape (n,)
        Premium over the forward [1]: what an option that pays coin costs.
    is_call : bool array, shape (n,)
        True for a call, False for a put; of either side, since parity at an interest rate of zero
        makes them one. Options of one strike count with their mean.
    tenor : float64 array, shape (s,)
        Time to expiry, ACT/365 [yr].

    Returns
    -------
    VarianceSwaps
        One row for each expiry.

    Raises
    ------
    ValueError
        If an array has another dtype, dimension or length, or a number is not finite.

    Notes
    -----
    With :math:`x` for moneyness and :math:`q` for the price of the option out of the money over
    the forward, :math:`\sigma^2 T = 2 \sum_i \Delta x_i\, q_i/x_i^2 - (1/x_0 - 1)^2`, where
    :math:`x_0` is the last strike at or below the forward, its :math:`q` the mean of put and
    call, and :math:`\Delta x` half the distance of the neighbours.

    References
    ----------
    Cboe, "Volatility Index Methodology: Cboe Volatility Index" (2023). K. Demeterfi, E. Derman,
    M. Kamal, J. Zou, "More than you ever wanted to know about volatility swaps" (1999).
    """
    moneyness, price, is_call = check_rows({"moneyness": moneyness, "price": price}, is_call)
    slices = tenor.shape[0]
    _check(of_slice, moneyness, price, slices)
    expiry, x, call = _strikes(of_slice, moneyness, price + np.where(is_call, 0.0, 1.0 - moneyness))
    strikes = np.bincount(expiry, minlength=slices)
    status = _status(expiry, x, strikes, tenor)
    total = _fair_variance(expiry, x, call, slices)
    status[(status == 0) & _is_coarse(expiry, x, total)] = STATUSES.index("few_strikes")
    total[status != 0] = np.nan
    lost = _truncation(expiry, x, call, tenor)
    lost[status != 0] = np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        iv = np.sqrt(total / tenor)
    return VarianceSwaps(total, lost, iv, strikes, status)


def at_maturity(
    group: Integers, tenor: Floats, total_variance: Floats, maturity: float = MATURITY
) -> ConstantMaturity:
    """Return the variance at a constant maturity, total variance being straight between expiries.

    Parameters
    ----------
    group : int64 array, shape (s,)
        Number of each expiry's instant, from 0 without a gap [1].
    tenor : float64 array, shape (s,)
        Time to expiry, ACT/365 [yr].
    total_variance : float64 array, shape (s,)
        Variance until expiry [1]; NaN for an expiry that does not count.
    maturity : float
        Tenor wanted [yr].

    Returns
    -------
    ConstantMaturity
        One row for each instant: between the nearest expiries on either side, without going on
        beyond the first or the last.
    """
    groups = int(group.max(initial=-1)) + 1
    is_good = np.isfinite(total_variance) & (tenor > 0.0)
    order = np.lexsort((tenor, group))
    shorter = _last_of_each(group[order], groups, (is_good & (tenor <= maturity))[order])
    backward = order[::-1]
    longer = _last_of_each(group[backward], groups, (is_good & (tenor >= maturity))[backward])
    shorter = np.where(shorter >= 0, order[shorter] if order.size else -1, -1)
    longer = np.where(longer >= 0, backward[longer] if order.size else -1, -1)
    status = np.select(
        [(shorter < 0) & (longer < 0), shorter < 0, longer < 0], [1, 2, 3], default=0
    ).astype(np.uint8)
    iv = np.full(groups, np.nan)
    known = status == 0
    first, second = shorter[known], longer[known]
    apart = tenor[second] - tenor[first]
    share = np.where(
        apart > 0.0, (maturity - tenor[first]) / np.where(apart > 0.0, apart, 1.0), 0.0
    )
    total = (1.0 - share) * total_variance[first] + share * total_variance[second]
    iv[known] = np.sqrt(total / maturity)
    return ConstantMaturity(iv, shorter, longer, status)


def _check(of_slice: Integers, moneyness: Floats, price: Floats, slices: int) -> None:
    if of_slice.shape != moneyness.shape or (of_slice >= slices).any() or (of_slice < 0).any():
        message = f"of_slice: expected {moneyness.shape[0]} numbers of expiries below {slices}"
        raise ValueError(message)
    if not (np.isfinite(price).all() and np.isfinite(moneyness).all() and (moneyness > 0.0).all()):
        message = "moneyness, price: expected finite numbers, moneyness positive"
        raise ValueError(message)


def _strikes(
    of_slice: Integers, moneyness: Floats, call: Floats
) -> tuple[Integers, Floats, Floats]:
    """Return expiry, moneyness and price of the call of each strike once, in order."""
    order = np.lexsort((moneyness, of_slice))
    expiry, x = of_slice[order], moneyness[order]
    is_new = np.ones(order.shape[0], np.bool_)
    is_new[1:] = (np.diff(expiry) != 0) | (np.diff(x) != 0)
    number = np.cumsum(is_new) - 1
    quotes = np.bincount(number)
    return expiry[is_new], x[is_new], np.bincount(number, call[order]) / quotes


def _status(expiry: Integers, x: Floats, strikes: Integers, tenor: Floats) -> Codes:
    below = np.bincount(expiry, x <= 1.0, minlength=tenor.shape[0])
    above = np.bincount(expiry, x > 1.0, minlength=tenor.shape[0])
    is_bad = ~(np.isfinite(tenor) & (tenor > 0.0))
    faults = [is_bad, strikes < FEWEST_STRIKES, below == 0, above == 0]
    return np.select(faults, [1, 2, 3, 4], default=0).astype(np.uint8)


def _fair_variance(expiry: Integers, x: Floats, call: Floats, slices: int) -> Floats:
    """Return the weighted sum of out-of-the-money prices, corrected for the middle strike."""
    middle = _last_of_each(expiry, slices, x <= 1.0)
    known = middle[middle >= 0]
    q = call - np.maximum(1.0 - x, 0.0)
    q[known] += 0.5 * (1.0 - x[known])  # the mean of put and call
    total = np.zeros(slices)
    np.add.at(total, expiry, 2.0 * _widths(expiry, x) * q / x**2)
    total[middle >= 0] -= (1.0 / x[known] - 1.0) ** 2
    return total


def _is_coarse(expiry: Integers, x: Floats, total: Floats) -> Bools:
    """Return which expiries have strikes too far apart near the forward, and so no variance."""
    k, number = np.log(x), expiry[1:]
    stdev = np.sqrt(np.maximum(total, 0.0))
    is_gap = (np.diff(expiry) == 0) & (k[:-1] < stdev[number]) & (k[1:] > -stdev[number])
    widest = np.zeros(total.shape[0])
    with np.errstate(invalid="ignore"):  # .at reports what compiled code left in the processor
        np.maximum.at(widest, number[is_gap], np.diff(k)[is_gap])
    return np.asarray(widest > WIDEST_GAP * stdev)


def _last_of_each(group: Integers, groups: int, counts: Bools) -> Integers:
    """Return the last row of each group that counts, -1 without one."""
    last = np.full(groups, -1, np.int64)
    rows = np.flatnonzero(counts)
    last[group[rows]] = rows  # the last of several assignments stays
    return last


def _widths(expiry: Integers, x: Floats) -> Floats:
    """Return half the distance of the neighbours, at the ends the distance of the one."""
    gap = np.diff(x)
    inside = np.diff(expiry) == 0
    before = np.append(0.0, np.where(inside, gap, 0.0))
    after = np.append(np.where(inside, gap, 0.0), 0.0)
    has_both = (before > 0.0) & (after > 0.0)
    return np.asarray(np.where(has_both, 0.5, 1.0) * (before + after))


def _truncation(expiry: Integers, x: Floats, call: Floats, tenor: Floats) -> Floats:
    """Return total variance beyond the first and the last strike at the volatilities there."""
    slices = tenor.shape[0]
    everywhere = np.ones(x.shape[0], np.bool_)
    ends = (
        _last_of_each(expiry[::-1], slices, everywhere),
        _last_of_each(expiry, slices, everywhere),
    )
    widths = _widths(expiry, x)
    lost = np.zeros(slices)
    for end, sign in ((x.shape[0] - 1 - ends[0], -1.0), (ends[1], 1.0)):
        known = np.flatnonzero(ends[0] >= 0)
        rows = end[known]
        is_call = np.full(rows.shape[0], sign > 0.0)
        price = call[rows] - (0.0 if sign > 0.0 else 1.0 - x[rows])
        iv, _ = implied_vol(price, np.ones_like(price), x[rows], tenor[known], is_call)
        stdev = np.nan_to_num(iv) * np.sqrt(np.maximum(tenor[known], 0.0))
        lost[known] += _beyond(x[rows] + sign * 0.5 * widths[rows], stdev, sign)
    return lost


def _beyond(x: Floats, stdev: Floats, sign: float) -> Floats:
    r"""Return total variance that options beyond a moneyness pay at one volatility.

    :math:`2 \int q/x^2 dx` is twice the expectation of :math:`S/x - 1 - \ln(S/x)` beyond x, S
    being the price at expiry over the forward.
    """
    from scipy.special import ndtr  # noqa: PLC0415  (takes time to import)

    s = np.where((stdev > 0.0) & (x > 0.0), stdev, 1.0)
    x_safe = np.where(x > 0.0, x, 1.0)
    d2 = -np.log(x_safe) / s - 0.5 * s
    density = np.exp(-0.5 * d2**2) / np.sqrt(2.0 * np.pi)
    logarithm = s * (sign * density + d2 * ndtr(sign * d2))
    beyond = 2.0 * (ndtr(sign * (d2 + s)) / x_safe - ndtr(sign * d2) - logarithm)
    return np.asarray(np.where((stdev > 0.0) & (x > 0.0), np.maximum(beyond, 0.0), 0.0))
