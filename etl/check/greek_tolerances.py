"""How far a Greek of a quote may be from the exchange's: what the printed digits leave open.

The exchange computes from more digits than it prints. A tolerance is half of the Greek's own last
digit, and what the Greek changes by when each printed input moves by half of its own.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import numpy as np

from etl.check.greek_conventions import EXCHANGE, Convention, Quotes, evaluated, tenor
from quant.kernels.rows import Bools, Floats
from validators.greeks.quotes import GREEK_HALF, IV_HALF

REFRESH_S = 1.0
"""The exchange computes once a second, so Greeks are of the second before their stamp.

Only where a minute ends within that second does it matter. Measured on recorded quotes: 18 of
1,972 have the minute of up to 0.96 s before, none an older one.
"""
MARK_LAG = 5e-4
"""A mark price may be of a forward this share off the printed one [1].

Marks and forwards of one message are a second apart: recorded in 2021, marks are of a forward 0.1
bp off (median), 1.7 bp (95 %), 7.9 bp (most). Greeks know no such lag.
"""
LEAST_SHARE = 1e-3  # of a volatility or price, that half a digit less leaves of it
WIDEST_IV = 0.1
"""A price that leaves more than this share of its volatility open says nothing of Greeks."""

Evaluate = Callable[[Quotes], Floats]


def against(
    quotes: Quotes, theirs: Floats, convention: Convention = EXCHANGE
) -> tuple[Floats, Floats]:
    """Return price and Greeks, and their tolerances, both of shape (6, n) as `evaluated`.

    Parameters
    ----------
    quotes : Quotes
        n quotes.
    theirs : float64 array, shape (6, n)
        What the exchange printed. Where a minute of time to expiry ends within the second before
        the stamp, the side of it that is nearer to this is taken.
    """
    ours, tolerance = _with_tolerance(quotes, convention)
    before = convention.older(REFRESH_S)
    is_edge = _crosses_minute(quotes, convention) if convention.to_minute else _none(quotes)
    if is_edge.any():
        other, other_tolerance = _with_tolerance(quotes.take(is_edge), before)
        near, far = (
            _misfit(a - theirs[:, is_edge], b)
            for a, b in ((ours[:, is_edge], tolerance[:, is_edge]), (other, other_tolerance))
        )
        rows = np.flatnonzero(is_edge)[far < near]
        ours[:, rows], tolerance[:, rows] = other[:, far < near], other_tolerance[:, far < near]
    return ours, tolerance


def from_price(quotes: Quotes, convention: Convention = EXCHANGE) -> tuple[Floats, Floats, Bools]:
    """Return the same from the volatility that the mark price has, and whether it says something.

    The tolerance is as wide as what the digits of the mark and its lag leave open.

    Returns
    -------
    ours, tolerance : float64 arrays, shape (6, n)
        As from `against`; the first row, the price, is that of the mark itself.
    is_clear : bool array, shape (n,)
        Where the volatility is known to `WIDEST_IV` of it.
    """
    from quant.kernels.traded_vol import traded_vol  # noqa: PLC0415  (numba: half a second)

    years = tenor(quotes, convention)
    ends = np.minimum(quotes.mark_half, quotes.mark), quotes.mark_half
    vols = [
        traded_vol(
            quotes.mark, ends, quotes.forward * (1 + lag), quotes.strike, years,
            is_call=quotes.is_call, is_coin=quotes.is_coin,
        )[:3]
        for lag in (0.0, -MARK_LAG, MARK_LAG)
    ]  # fmt: skip
    iv, every = vols[0][0], np.concatenate([np.stack(three) for three in vols])
    low, high = every.min(axis=0), every.max(axis=0)
    is_clear = np.isfinite(every).all(axis=0) & (low > 0) & (high - low <= WIDEST_IV * iv)
    solved = replace(quotes.take(is_clear), iv=iv[is_clear])
    moved = [replace(solved, iv=end[is_clear]) for end in (low, high)]
    evaluate = partial(evaluated, convention=convention)
    ours = evaluate(solved)
    tolerance = _of_digits(evaluate, solved, ours) + _reach(evaluate, ours, moved)
    tolerance += _reach(evaluate, ours, _marks(solved, ours[0], np.inf))
    return ours, tolerance, is_clear


def _with_tolerance(quotes: Quotes, convention: Convention) -> tuple[Floats, Floats]:
    evaluate = partial(evaluated, convention=convention)
    ours = evaluate(quotes)
    vols = [np.maximum(quotes.iv + side * IV_HALF, LEAST_SHARE * quotes.iv) for side in (-1, 1)]
    tolerance = _of_digits(evaluate, quotes, ours)
    tolerance += _reach(evaluate, ours, [replace(quotes, iv=iv) for iv in vols])
    lagging = [_on_forward(quotes, 1 + side * MARK_LAG) for side in (-1, 1)]
    tolerance[0] += _reach(evaluate, ours, lagging)[0]
    tolerance += _reach(evaluate, ours, _marks(quotes, ours[0], tolerance[0] - quotes.mark_half))
    return ours, tolerance


def _of_digits(evaluate: Evaluate, quotes: Quotes, ours: Floats) -> Floats:
    """Return what the digits of Greeks and forward leave open, shape (6, n)."""
    halves = np.full(ours.shape, GREEK_HALF)
    halves[0] = quotes.mark_half
    share = quotes.forward_half / quotes.forward
    forwards = [_on_forward(quotes, 1 + side * share) for side in (-1, 1)]
    return halves + _reach(evaluate, ours, forwards)


def _marks(quotes: Quotes, price: Floats, reach: Floats | float) -> list[Quotes]:
    """Return quotes of the least and the most that the mark may be before it is rounded.

    That is what rounds to it, and lies within `reach` of the model's price; one that is farther
    off says nothing of itself but its digits.
    """
    rounded = [quotes.mark + side * quotes.mark_half for side in (-1, 1)]
    ends = [np.clip(price + side * reach, *rounded) for side in (-1, 1)]
    is_near = (price - reach <= rounded[1]) & (price + reach >= rounded[0])
    return [
        replace(quotes, mark=np.where(is_near, end, whole), mark_half=np.zeros_like(price))
        for end, whole in zip(ends, rounded, strict=True)
    ]


def _on_forward(quotes: Quotes, factor: Floats | float) -> Quotes:
    return replace(quotes, forward=quotes.forward * factor, index=quotes.index * factor)


def _reach(evaluate: Evaluate, ours: Floats, moved: Iterable[Quotes]) -> Floats:
    """Return the larger change, where inputs move to either side: across a kink it is not even."""
    changes = [np.abs(evaluate(quotes) - ours) for quotes in moved]
    return np.asarray(np.maximum(*changes))


def _crosses_minute(quotes: Quotes, convention: Convention) -> Bools:
    seconds = quotes.seconds + convention.later_s
    return np.asarray(np.rint(seconds / 60) != np.rint((seconds + REFRESH_S) / 60))


def _misfit(error: Floats, tolerance: Floats) -> Floats:
    """Return the worst of the Greeks' errors over their tolerances, shape (n,); inf for none."""
    worst = np.max(np.abs(error / tolerance)[1:], axis=0)
    return np.asarray(np.where(np.isnan(worst), np.inf, worst))


def _none(quotes: Quotes) -> Bools:
    return np.zeros(quotes.forward.shape[0], dtype=bool)
