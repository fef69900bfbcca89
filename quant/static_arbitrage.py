"""Static arbitrage among call prices of several expiries: which inequalities fail, and by how much.

Every inequality has one form: a call costs at most what the straight line between two others
does, of which one may be the call of strike zero, which is worth the forward. Moneyness and price
are relative to the forward of each expiry, so that calendar spreads need no other correction.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant.kernels.minorant import ORIGIN, minorants
from quant.kernels.rows import Floats

KINDS = (
    "outright",
    "vertical_spread",
    "vertical_butterfly",
    "calendar_spread",
    "calendar_vertical_spread",
    "calendar_butterfly",
)
"""Kinds of inequality: a price of at least zero; a spread of two strikes of at least zero and at
most their distance; a butterfly of three; a later option against an earlier one of the same
moneyness, of a higher one, and between two."""
TOLERANCE = 1e-8
"""Smallest violation that counts [forward]: a ten-thousandth of the smallest step of prices."""

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Bounds:
    """Calls `middle` that cost at most the line between `left` and `right`, numbers of calls."""

    middle: Integers
    left: Integers
    right: Integers

    def weights(self, moneyness: Floats) -> tuple[Floats, Floats]:
        """Return how much of the left and of the right call the line is made of."""
        x0, x1 = _with_origin(moneyness, 0.0)[self.left], _with_origin(moneyness, 0.0)[self.right]
        width = np.where(x1 > x0, x1 - x0, 1.0)
        share = np.where(x1 > x0, (moneyness[self.middle] - x0) / width, 0.0)
        return 1.0 - share, share

    def excess(self, moneyness: Floats, price: Floats) -> Floats:
        """Return by how much each call costs more than the line [forward]."""
        first, second = self.weights(moneyness)
        known = _with_origin(price, 1.0)
        return price[self.middle] - first * known[self.left] - second * known[self.right]


@dataclass(frozen=True)
class Violations:
    """How many inequalities of each kind fail, and the largest failure of each [forward]."""

    count: dict[str, int]
    worst: dict[str, float]

    @property
    def total(self) -> int:
        """How many fail."""
        return sum(self.count.values())


def violations(
    expiry: Integers, moneyness: Floats, price: Floats, *, tolerance: float = TOLERANCE
) -> Violations:
    """Return what fails between neighbouring strikes, and to those of every later expiry.

    Parameters
    ----------
    expiry : int64 array, shape (n,)
        Number of the expiry in order of time, ascending [1].
    moneyness : float64 array, shape (n,)
        strike/forward, ascending within an expiry [1].
    price : float64 array, shape (n,)
        Price of a call over the forward of its expiry [1].
    tolerance : float
        Smallest failure that counts [forward].

    Returns
    -------
    Violations
        Count and largest failure by kind.

    References
    ----------
    S. Cohen, C. Reisinger, S. Wang, "Detecting and repairing arbitrage in traded option prices",
    Applied Mathematical Finance 27 (2020), arXiv 2008.09454, table 1.
    """
    failures = _within_expiries(expiry, moneyness, price) | _across(expiry, moneyness, price)
    return Violations(
        {kind: int((failures[kind] > tolerance).sum()) for kind in KINDS},
        {kind: float(failures[kind].max(initial=0.0)) for kind in KINDS},
    )


def worst_excess(expiry: Integers, moneyness: Floats, price: Floats) -> float:
    """Return the largest failure of any inequality whatever, not only of neighbours [forward].

    Zero just when the prices are free of static arbitrage. Arguments as of `violations`.
    """
    most, _, _ = minorants(expiry, moneyness, price)
    least = np.maximum(1.0 - moneyness, 0.0)
    return float(max((price - most).max(initial=0.0), (least - price).max(initial=0.0)))


def butterflies(expiry: Integers) -> Bounds:
    """Return each call's bound by its neighbours, the last one's by the one before it."""
    number = np.arange(expiry.shape[0])
    is_first = np.diff(expiry, prepend=expiry[:1] - 1) != 0
    is_last = np.diff(expiry, append=expiry[-1:] + 1) != 0
    left = np.where(is_first, ORIGIN, number - 1)
    return Bounds(number, left, np.where(is_last, left, number + 1))


def calendars(expiry: Integers, moneyness: Floats, *, ahead: int) -> Bounds:
    """Return each call's bounds by the nearest strikes of as many later expiries as `ahead`."""
    starts = np.flatnonzero(np.diff(expiry, prepend=expiry[:1] - 1))
    ends = np.append(starts, expiry.shape[0])[1:]
    found = []
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        for j in range(i + 1, min(i + 1 + ahead, starts.shape[0])):
            later = moneyness[starts[j] : ends[j]]
            place = np.searchsorted(later, moneyness[start:end], side="right")
            left = np.where(place > 0, starts[j] + place - 1, ORIGIN)
            right = np.where(place < later.shape[0], starts[j] + place, left)
            same = _with_origin(moneyness, 0.0)[left] == moneyness[start:end]
            found.append((np.arange(start, end), left, np.where(same, left, right)))
    if not found:
        return Bounds(*(np.empty(0, np.int64) for _ in range(3)))
    return Bounds(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _within_expiries(expiry: Integers, moneyness: Floats, price: Floats) -> dict[str, Floats]:
    bounds = butterflies(expiry)
    has_two_sides = bounds.left != bounds.right
    fall = _with_origin(price, 1.0)[bounds.left] - price
    distance = moneyness - _with_origin(moneyness, 0.0)[bounds.left]
    excess = bounds.excess(moneyness, price)
    return {
        "outright": -price,
        "vertical_spread": np.maximum(-fall, fall - distance),
        "vertical_butterfly": excess[has_two_sides],
    }


def _across(expiry: Integers, moneyness: Floats, price: Floats) -> dict[str, Floats]:
    bounds = calendars(expiry, moneyness, ahead=expiry.shape[0])
    alone = bounds.left == bounds.right
    same = alone & (_with_origin(moneyness, 0.0)[bounds.left] == moneyness[bounds.middle])
    spread = price[bounds.middle] - _with_origin(price, 1.0)[bounds.left]
    excess = bounds.excess(moneyness, price)
    return {
        "calendar_spread": spread[same],
        "calendar_vertical_spread": spread[~same & (bounds.left != ORIGIN)],
        "calendar_butterfly": excess[~alone],
    }


def _with_origin(column: Floats, value: float) -> Floats:
    """Append what the number `ORIGIN`, the last one, is to mean."""
    return np.append(column, value)
