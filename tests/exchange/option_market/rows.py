"""The JSON of option trades: what does not apply to a trade is not a member of it.

The simulator must not be what a client waits for, so the members that nearly all trades have are
written by compiled code, digit by digit; everything is a whole number of its last decimal.
"""

from dataclasses import dataclass
from itertools import pairwise

import numba
import numpy as np
from numpy.typing import NDArray

from tests.exchange.noise import Floats
from tests.exchange.option_market import frames
from tests.exchange.option_market.frames import CONTRACTS_FROM_MS
from tests.exchange.option_market.sessions import Session
from tests.exchange.option_market.trades import OptionTrades
from tests.exchange.trades import Ints

Bytes = NDArray[np.uint8]

_NONE = -1
_PLACES = 4  # of prices and amounts
_MOST = 420  # bytes of a row, names and further members apart


def _said(text: str) -> Bytes:
    return np.frombuffer(text.encode(), dtype=np.uint8)


_MS, _PRICE = _said('{"timestamp":'), _said(',"price":')
_AMOUNT, _BUY, _SELL = (
    _said(',"amount":'),
    _said(',"direction":"buy"'),
    _said(',"direction":"sell"'),
)
_INDEX, _NAME, _SEQ = (
    _said(',"index_price":'),
    _said(',"instrument_name":"'),
    _said('","trade_seq":'),
)
_MARK, _NULL = _said(',"mark_price":'), _said("null")
_TICK, _ID = _said(',"tick_direction":'), _said(',"trade_id":"')
_QUOTE, _END = _said('"'), _said("},")
_CONTRACTS, _IV = _said(',"contracts":'), _said(',"iv":')


@dataclass(frozen=True, slots=True)
class JsonRows:
    """Rows one after another, each with a comma behind it; `ends` of shape (n,) counts bytes."""

    body: bytes
    ends: Ints

    def between(self, low: int, high: int) -> list[bytes]:
        """Return some of the rows, without the commas."""
        if low == high:
            return []
        edges = [int(self.ends[low - 1]) if low else 0, *self.ends[low:high].tolist()]
        return [self.body[a : b - 1] for a, b in pairwise(edges)]

    def text(self, low: int, high: int) -> bytes:
        """Return some of the rows as one text, with commas between them."""
        return self.body[int(self.ends[low - 1]) if low else 0 : int(self.ends[high - 1]) - 1]


def encode(session: Session, trades: OptionTrades, order: Ints) -> JsonRows:
    """Return the JSON of trades, in the order that `order` counts them in."""
    who = session.who[trades.at[order]]
    names, name_ends = _joined(frames.names_of(session))
    prefixes, prefix_ends = _joined(frames.prefixes_of(session))
    members = frames.further_members(session, trades)
    more, more_ends = _joined([members[row] for row in order.tolist()])
    has_all = trades.ms[order] >= CONTRACTS_FROM_MS
    mark = np.where(has_all, _whole(trades.mark_price[order], 8), _NONE)
    contracts = np.where(has_all, _whole(trades.contracts[order], _PLACES), _NONE)
    iv = np.where(np.isnan(trades.iv_pct), _NONE, np.nan_to_num(trades.iv_pct))[order]
    numbers = np.stack(
        [
            trades.ms[order],
            _whole(trades.price[order], _PLACES),
            _whole(trades.amount[order], _PLACES),
            trades.is_buy[order].astype(np.int64),
            _whole(trades.index_price[order], _PLACES),
            trades.seq[order],
            mark,
            trades.tick_direction[order],
            trades.number[order],
            contracts,
            np.where(iv == _NONE, _NONE, _whole(iv, 2)),
        ],
        axis=1,
    )
    longest = int(np.diff(name_ends).max(initial=0) + np.diff(prefix_ends).max(initial=0))
    room = np.empty(len(order) * (_MOST + longest) + len(more), dtype=np.uint8)
    ends = np.empty(len(order), dtype=np.int64)
    size = _write(
        numbers, who, names, name_ends, prefixes, prefix_ends, more, more_ends, room, ends
    )
    return JsonRows(room[:size].tobytes(), ends)


def _whole(values: Floats, places: int) -> Ints:
    return np.rint(values * 10.0**places).astype(np.int64)


def _joined(texts: list[str]) -> tuple[Bytes, Ints]:
    """Return texts in a row, and where each begins and the last ends."""
    ends = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    return np.frombuffer("".join(texts).encode(), dtype=np.uint8), ends


@numba.njit(inline="always")
def _copy(room: Bytes, at: int, source: Bytes, begin: int, end: int) -> int:
    for n in range(begin, end):
        room[at] = source[n]
        at += 1
    return at


@numba.njit
def _digits(room: Bytes, at: int, value: int) -> int:
    size = 1
    rest = value // 10
    while rest:
        rest //= 10
        size += 1
    for n in range(at + size - 1, at - 1, -1):
        room[n] = 48 + value % 10
        value //= 10
    return at + size


@numba.njit
def _decimal(room: Bytes, at: int, value: int, places: int) -> int:
    """Write a count of the last decimal as orjson writes a float: 39500 of 4 places is 3.95."""
    scale = 10**places
    at = _digits(room, at, value // scale)
    room[at] = 46
    rest = value % scale
    for n in range(at + places, at, -1):
        room[n] = 48 + rest % 10
        rest //= 10
    at += places
    while room[at] == 48 and room[at - 1] != 46:
        at -= 1
    return at + 1


@numba.njit(cache=True)
def _write(  # noqa: PLR0913, PLR0917 - one line a member
    numbers, who, names, name_ends, prefixes, prefix_ends, more, more_ends, room, ends
):
    at = 0
    for row in range(numbers.shape[0]):
        of = numbers[row]
        at = _copy(room, at, _MS, 0, len(_MS))
        at = _digits(room, at, of[0])
        at = _copy(room, at, _PRICE, 0, len(_PRICE))
        at = _decimal(room, at, of[1], _PLACES)
        at = _copy(room, at, _AMOUNT, 0, len(_AMOUNT))
        at = _decimal(room, at, of[2], _PLACES)
        at = _copy(room, at, _BUY, 0, len(_BUY)) if of[3] else _copy(room, at, _SELL, 0, len(_SELL))
        at = _copy(room, at, _INDEX, 0, len(_INDEX))
        at = _decimal(room, at, of[4], _PLACES)
        at = _copy(room, at, _NAME, 0, len(_NAME))
        at = _copy(room, at, names, name_ends[who[row]], name_ends[who[row] + 1])
        at = _copy(room, at, _SEQ, 0, len(_SEQ))
        at = _digits(room, at, of[5])
        at = _copy(room, at, _MARK, 0, len(_MARK))
        if of[6] == _NONE:
            at = _copy(room, at, _NULL, 0, len(_NULL))
        else:
            at = _decimal(room, at, of[6], 8)
        at = _copy(room, at, _TICK, 0, len(_TICK))
        at = _digits(room, at, of[7])
        at = _copy(room, at, _ID, 0, len(_ID))
        at = _copy(room, at, prefixes, prefix_ends[who[row]], prefix_ends[who[row] + 1])
        at = _digits(room, at, of[8])
        at = _copy(room, at, _QUOTE, 0, len(_QUOTE))
        if of[9] != _NONE:
            at = _copy(room, at, _CONTRACTS, 0, len(_CONTRACTS))
            at = _decimal(room, at, of[9], _PLACES)
        if of[10] != _NONE:
            at = _copy(room, at, _IV, 0, len(_IV))
            at = _decimal(room, at, of[10], 2)
        at = _copy(room, at, more, more_ends[row], more_ends[row + 1])
        at = _copy(room, at, _END, 0, len(_END))
        ends[row] = at
    return at
