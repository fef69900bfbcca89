"""Pages of option trades: the last, or those of a window of times, ids or sequence numbers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tests.exchange.option_market.families import families_of
from tests.exchange.option_market.sent import JsonDay, Sent
from tests.exchange.option_market.tape import OptionTape
from tests.exchange.option_market.underlying import DAY_MS
from tests.exchange.path import EPOCH_MS
from tests.exchange.trades import Flags, Ints

WITHHELD_MS = 3_600_000
"""How long after a trade nothing is said of a liquidation."""
_FOREVER = 1 << 62
_LIQUIDATION = re.compile(rb',"liquidation":"[MT]+"')


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which trades are meant: both ends included, and how many at most.

    `number` bounds what trade ids end with, `seq` trade_seq, and `ms` time [Unix ms].
    `is_from_start` says which end of too many is kept, `is_descending` how a page is sorted.
    """

    ms: tuple[int, int] = (0, _FOREVER)
    number: tuple[int, int] = (0, _FOREVER)
    seq: tuple[int, int] = (1, _FOREVER)
    count: int = 10
    is_from_start: bool = False
    is_descending: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """The JSON of trades, in texts of one or more, and whether the count cut some off."""

    trades: list[bytes]
    has_more: bool


def split(texts: list[bytes]) -> list[bytes]:
    """Return the single rows of texts of one or more rows."""
    rows = b",".join(texts)[1:-1].split(b"},{") if texts else []
    return [b"{%s}" % row for row in rows]


def of_currency(sent: Sent, currency: str, bounds: Bounds, now_ms: int) -> Page:
    """Return a page of all options that settle in a currency."""
    parts: list[list[bytes]] = []
    left = bounds.count
    for day in _days(sent.tape, currency, bounds):
        held = sent.day(currency, day)
        low = max(_at(held.ms, bounds.ms[0]), _at(held.number, bounds.number[0]))
        high = min(_at(held.ms, bounds.ms[1] + 1), _at(held.number, bounds.number[1] + 1))
        found, low, high = high - low, *_cut(low, high, left, bounds)
        if low < high:
            parts.append(_sent(held, low, high, bounds, now_ms))
        if found > left:
            return Page(_in_order(parts, bounds), has_more=True)
        left -= max(found, 0)
    return Page(_in_order(parts, bounds), has_more=False)


def _cut(low: int, high: int, most: int, bounds: Bounds) -> tuple[int, int]:
    """Return what is kept of too many rows."""
    if bounds.is_from_start:
        return low, min(high, low + most)
    return max(low, high - most), high


def _sent(held: JsonDay, low: int, high: int, bounds: Bounds, now_ms: int) -> list[bytes]:
    """Return some rows of a day: as one text where nothing is done to single ones."""
    if bounds.is_descending or held.ms[high - 1] > now_ms - WITHHELD_MS:
        made = _told(held.rows.between(low, high), held.ms[low:high], now_ms)
        return made[::-1] if bounds.is_descending else made
    return [held.rows.text(low, high)]


def _in_order(parts: list[list[bytes]], bounds: Bounds) -> list[bytes]:
    """Return the rows of days that were found from the end that is kept."""
    as_found = bounds.is_from_start != bounds.is_descending
    return [row for part in (parts if as_found else parts[::-1]) for row in part]


def of_instrument(sent: Sent, name: str, bounds: Bounds, now_ms: int) -> Page:
    """Return a page of one option."""
    parts: list[list[bytes]] = []
    found = 0
    for day in _option_days(sent, name, bounds):
        held = sent.option_day(name, day)
        wanted = _within(held.ms, bounds.ms) & _within(held.seq, bounds.seq)
        made = held.rows.between(0, len(held.ms))
        kept = [made[row] for row in np.flatnonzero(wanted).tolist()]
        parts.append(_told(kept, held.ms[wanted], now_ms))
        found += len(kept)
        if found > bounds.count:
            break
    ordered = parts if bounds.is_from_start else parts[::-1]
    return _page([row for part in ordered for row in part], bounds)


def _option_days(sent: Sent, name: str, bounds: Bounds) -> list[int]:
    """Return the exchange days that may hold trades within bounds, from the end that is kept."""
    low, high = ((ms - EPOCH_MS) // DAY_MS for ms in bounds.ms)
    days = [day for day in sent.days_of_option(name, bounds.seq) if low <= day <= high]
    return days if bounds.is_from_start else days[::-1]


def _days(tape: OptionTape, currency: str, bounds: Bounds) -> Iterator[int]:
    """Yield the exchange days that may hold trades within bounds, from the end that is kept."""
    lives = [one for each in families_of(currency) for one in tape.chain(each.name).expiries]
    first = max((bounds.ms[0] - EPOCH_MS) // DAY_MS, min(one.first_day for one in lives),
                tape.day_of_number(currency, bounds.number[0]))  # fmt: skip
    last = min((bounds.ms[1] - EPOCH_MS) // DAY_MS, max(one.end_day for one in lives) - 1,
               tape.day_of_number(currency, bounds.number[1]))  # fmt: skip
    yield from range(first, last + 1) if bounds.is_from_start else range(last, first - 1, -1)


def _told(made: list[bytes], ms: Ints, now_ms: int) -> list[bytes]:
    """Return rows with nothing said of the liquidations of the last hour; `ms` ascends."""
    if len(ms) == 0 or ms[-1] <= now_ms - WITHHELD_MS:
        return made
    since = _at(ms, now_ms - WITHHELD_MS + 1)
    return [*made[:since], *map(without_liquidation, made[since:])]


def without_liquidation(row: bytes) -> bytes:
    """Return the JSON of a trade with nothing said of a liquidation."""
    return _LIQUIDATION.sub(b"", row)


def _within(values: Ints, bounds: tuple[int, int]) -> Flags:
    return (values >= bounds[0]) & (values <= bounds[1])


def _at(values: Ints, bound: int) -> int:
    return int(np.searchsorted(values, bound))


def _page(ordered: list[bytes], bounds: Bounds) -> Page:
    """Return a page of trades that come by time; of too many those at the end that is kept."""
    kept = ordered[: bounds.count] if bounds.is_from_start else ordered[-bounds.count :]
    sent = kept[::-1] if bounds.is_descending else kept
    return Page(sent, has_more=len(ordered) > bounds.count)
