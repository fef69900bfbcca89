"""Quotes of options moved as little as it takes for no static arbitrage to be left among them.

A linear programme (Cohen, Reisinger and Wang) moves prices of calls over the forward. A move
inside the spread costs next to nothing, one beyond it as much as it has half spreads. Only bounds
between neighbours are written down at first; those that the solution breaks are added until none
is broken, which takes a few rounds and keeps the programme small.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quant.kernels.minorant import ORIGIN, minorants
from quant.kernels.rows import Bools, Floats, check_rows
from quant.static_arbitrage import (
    TOLERANCE,
    Bounds,
    Violations,
    butterflies,
    calendars,
    violations,
    worst_excess,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

STATUSES = ("ok", "no_quotes", "not_solved", "rounds_exhausted")
"""How a repair ended; without `ok` the prices are the mids."""
LEAST_HALF_SPREAD = 1e-5
"""Half spreads below this count as this [forward]: a tenth of the smallest step of prices."""

_MOST_ROUNDS = 25
_PIECES = 4  # a move is made of one up and one down, inside the spread and beyond it

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Repair:
    """Prices after the repair, in the order of the quotes, and what was broken before and after.

    Attributes
    ----------
    price : float64 array, shape (n,)
        Repaired price over the forward [1]; of a put where the quote is one.
    moved : float64 array, shape (n,)
        Repaired price less the mid [forward].
    is_moved, is_outside : bool array, shape (n,)
        Whether it moved, and whether it left the quote's own spread.
    before, after : Violations
        Among mids, and among repaired prices.
    worst_before, worst_after : float
        Largest failure of any inequality whatever [forward].
    parity : int
        Strikes whose put and call cannot be dealt with at one price: their spreads do not overlap.
    status : str
        One of `STATUSES`.
    rounds : int
        Linear programmes solved.
    """

    price: Floats
    moved: Floats
    is_moved: Bools
    is_outside: Bools
    before: Violations
    after: Violations
    worst_before: float
    worst_after: float
    parity: int
    status: str
    rounds: int


@dataclass(frozen=True)
class _Strikes:
    """Strikes in order of expiry and moneyness, with what their quotes say of the call there."""

    expiry: Integers
    moneyness: Floats
    mid: Floats
    half_spread: Floats
    parity: int
    of_quote: Integers


def repaired(
    expiry: Integers, moneyness: Floats, bid: Floats, ask: Floats, is_call: Bools
) -> Repair:
    """Return quotes moved until no static arbitrage is left among them.

    Parameters
    ----------
    expiry : int64 array, shape (n,)
        Number of the expiry in order of time [1]; quotes may come in any order.
    moneyness : float64 array, shape (n,)
        strike/forward [1].
    bid, ask : float64 array, shape (n,)
        Premium over the forward of the expiry [1]: what an option that pays coin is quoted at.
    is_call : bool array, shape (n,)
        True for a call, False for a put.

    Returns
    -------
    Repair
        Prices, moves, and violations before and after.

    Raises
    ------
    ValueError
        If an array has another dtype, dimension or length, or a number is not finite.

    Notes
    -----
    Puts count as calls by parity at an interest rate of zero. Put and call of one strike make
    one price, between the higher bid and the lower ask.

    References
    ----------
    S. Cohen, C. Reisinger, S. Wang, "Detecting and repairing arbitrage in traded option prices",
    Applied Mathematical Finance 27 (2020), arXiv 2008.09454, sections 2 and 3.
    """
    columns = {"moneyness": moneyness, "bid": bid, "ask": ask}
    rows = check_rows(columns, is_call)
    if expiry.shape != rows[0].shape or not np.isfinite(np.stack(rows[:3])).all():
        message = "expiry, moneyness, bid, ask: expected finite numbers, as many of each"
        raise ValueError(message)
    parity = np.where(is_call, 0.0, 1.0 - moneyness)  # a call less a put, over the forward
    strikes = _strikes(expiry.astype(np.int64), moneyness, bid + parity, ask + parity)
    calls, status, rounds = _solve(strikes)
    price = calls[strikes.of_quote] - parity
    mid = (bid + ask) / 2.0
    moved = price - mid if status == STATUSES[0] else np.zeros_like(mid)
    chain = strikes.expiry, strikes.moneyness
    return Repair(
        price=mid + moved,
        moved=moved,
        is_moved=np.abs(moved) > TOLERANCE,
        is_outside=np.abs(moved) > (ask - bid) / 2.0 + TOLERANCE,
        before=violations(*chain, strikes.mid),
        after=violations(*chain, calls),
        worst_before=worst_excess(*chain, strikes.mid),
        worst_after=worst_excess(*chain, calls),
        parity=strikes.parity,
        status=status,
        rounds=rounds,
    )


def _strikes(expiry: Integers, moneyness: Floats, bid: Floats, ask: Floats) -> _Strikes:
    order = np.lexsort((moneyness, expiry))
    when, where = expiry[order], moneyness[order]
    is_new = np.ones(order.shape[0], np.bool_)
    is_new[1:] = (np.diff(when) != 0) | (np.diff(where) != 0)
    first = np.flatnonzero(is_new)
    of_quote = np.empty_like(order)
    of_quote[order] = np.cumsum(is_new) - 1
    if first.shape[0] == 0:
        highest, lowest = np.empty(0), np.empty(0)
    else:
        highest = np.maximum.reduceat(bid[order], first)
        lowest = np.minimum.reduceat(ask[order], first)
    half = np.maximum(np.abs(lowest - highest) / 2.0, LEAST_HALF_SPREAD)
    parity = int((highest > lowest + TOLERANCE).sum())
    return _Strikes(when[first], where[first], (highest + lowest) / 2.0, half, parity, of_quote)


def _solve(strikes: _Strikes) -> tuple[Floats, str, int]:
    """Return calls without arbitrage, or the mids and why there are none, and the rounds taken."""
    if strikes.mid.shape[0] == 0:
        return strikes.mid, "no_quotes", 0
    bounds = [butterflies(strikes.expiry), calendars(strikes.expiry, strikes.moneyness, ahead=1)]
    for rounds in range(1, _MOST_ROUNDS + 1):
        calls = _least_move(strikes, _joined(bounds))
        if calls is None:
            return strikes.mid, "not_solved", rounds
        most, left, right = minorants(strikes.expiry, strikes.moneyness, calls)
        broken = np.flatnonzero(calls - most > TOLERANCE)
        if broken.shape[0] == 0:
            return calls, STATUSES[0], rounds
        bounds.append(Bounds(broken, left[broken], right[broken]))
    return strikes.mid, "rounds_exhausted", _MOST_ROUNDS


def _joined(bounds: list[Bounds]) -> Bounds:
    return Bounds(
        np.concatenate([each.middle for each in bounds]),
        np.concatenate([each.left for each in bounds]),
        np.concatenate([each.right for each in bounds]),
    )


def _least_move(strikes: _Strikes, bounds: Bounds) -> Floats | None:
    """Return calls within the bounds at the least cost, None where the solver finds none.

    Unknown are moves in half spreads: up inside the spread, up beyond it, and down likewise.
    """
    from scipy.optimize import linprog  # noqa: PLC0415  (half a second to import)

    n = strikes.mid.shape[0]
    matrix = _matrix(strikes, bounds)
    slack = -bounds.excess(strikes.moneyness, strikes.mid)
    scale = abs(matrix).max(axis=1).toarray().ravel()
    matrix = matrix.multiply(1.0 / scale[:, None]).tocsc()
    inside, beyond = np.full(n, 1.0 / n), np.ones(n)
    answer = linprog(
        np.concatenate([inside, beyond, inside, beyond]),
        A_ub=matrix,
        b_ub=slack / scale,
        bounds=_limits(strikes),
        method="highs",
    )
    if answer.status != 0:
        return None
    up, far_up, down, far_down = answer.x.reshape(_PIECES, n)
    return np.asarray(strikes.mid + strikes.half_spread * (up + far_up - down - far_down))


def _limits(strikes: _Strikes) -> Floats:
    """Return how far each piece of a move may go, so that no call is below zero or 1 - moneyness.

    Returns
    -------
    float64 array, shape (4 n, 2)
        Least and most [half spreads].
    """
    least = np.maximum(1.0 - strikes.moneyness, 0.0)
    room = (strikes.mid - least) / strikes.half_spread
    needed, free = np.maximum(-room, 0.0), np.maximum(room, 0.0)
    everywhere = np.full_like(room, np.inf)
    up = np.minimum(needed, 1.0), np.ones_like(room)
    far_up = np.maximum(needed - 1.0, 0.0), everywhere
    down = np.zeros_like(room), np.minimum(free, 1.0)
    far_down = np.zeros_like(room), np.maximum(free - 1.0, 0.0)
    pieces = (up, far_up, down, far_down)
    return np.column_stack([np.concatenate(side) for side in zip(*pieces, strict=True)])


def _matrix(strikes: _Strikes, bounds: Bounds) -> "csr_array":
    """Return how much each bound is used up by each piece of a move, one half spread of it."""
    from scipy.sparse import csr_array, hstack  # noqa: PLC0415  (takes time to import)

    n, rows = strikes.mid.shape[0], np.arange(bounds.middle.shape[0])
    first, second = bounds.weights(strikes.moneyness)
    row = np.concatenate([rows, rows, rows])
    column = np.concatenate([bounds.middle, bounds.left, bounds.right])
    value = np.concatenate([np.ones(rows.shape[0]), -first, -second])
    used = (column != ORIGIN) & (value != 0.0)
    row, column, value = row[used], column[used], value[used] * strikes.half_spread[column[used]]
    moves = csr_array((value, (row, column)), shape=(rows.shape[0], n))
    return hstack([moves, moves, -moves, -moves]).tocsr()
