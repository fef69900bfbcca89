"""What goes wrong on purpose, by name.

=============  ==================================================================================
latency        an answer comes up to half a second late
rate_limit     error 10028 although credits are left, half of them as HTTP 429; connection closed
maintenance    error 11051 for everything during a "minute" of ten requests
html_502       the CDN's HTML page with status 502
cut_body       half of the body, then the connection is closed, although its length was announced
settlement     error 10041
internal       error 11094
truncated      a page lacks its oldest or its newest rows
shifted        a page of the window some bars earlier or later
duplicated     some rows of a page come twice
unordered      the rows of a page come in disorder
revised        bars closed within two hours before the present are provisional when an instrument
               and resolution is first asked for them, and settled from the second time on
contradictory  the delivery price of every tenth day comes twice, with two values; only by name,
               never with "all", for no healthy answer ever follows
exponent       every number of every answer is in exponent form (1.5e+12); by name only, too
http_429       status 429 as a web page, empty or as JSON, half of them with a Retry-After of a
               second; by name only, as drip
drip           the right answer, a byte every five seconds
=============  ==================================================================================

What befalls lists of instruments, by name only too, is in `tests.exchange.delistings`, and pages
that look whole and are not true are in `tests.exchange.lies`. What befalls pages of trades alone
is in `tests.exchange.trade_faults`, and what is wrong with a few options for good in
`tests.exchange.option_market.vices`.
A stretch in which every request fails is in `tests.exchange.outage`.

A fault is a pure function of (fault seed, method and parameters, how often this was asked before)
and a request is healthy from its fourth time on; where every answer is to meet a fault, all do
until their fifth time. Two faults have a memory beside that: a "minute"
of maintenance, once drawn, also meets the requests that follow, and `revised` remembers what it
has served.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.exchange import delistings, lies, noise, trade_faults
from tests.exchange.option_market import vices
from tests.exchange.trades import Ints

PAGE_FAULTS = ("truncated", "shifted", "duplicated", "unordered")
ANSWER_FAULTS = ("latency", "rate_limit", "html_502", "cut_body", "settlement", "internal")
NAMES = (*ANSWER_FAULTS, *PAGE_FAULTS, "maintenance", "revised")
SLOWING = ("http_429", "drip")
ALL = (*NAMES, *trade_faults.NAMES)
BY_NAME_ONLY = (
    "contradictory", "exponent", *SLOWING, *lies.NAMES, *delistings.NAMES, *vices.NAMES,
)  # fmt: skip

DELIVERIES = "public/get_delivery_prices"
PAGE_METHODS = (
    "public/get_tradingview_chart_data",
    "public/get_funding_rate_history",
    "public/get_volatility_index_data",
    DELIVERIES,
    *trade_faults.METHODS,
)
HEALTHY_FROM = 3
"""How often a request may have been asked before and still fail."""
HEALTHY_AT_LAST = 4
"""The same where every answer meets a fault."""

_SHARE = 0.07  # of requests that meet each fault
_SHARE_OF_TRADES = 0.05  # the same of requests for trades, which can meet more
_MAINTENANCE_SHARE = 0.01  # of requests that begin a minute of maintenance
_MAINTENANCE_REQUESTS = 10


def named(text: str) -> frozenset[str]:
    """Return the faults that ``--faults`` names: none, all, or some with commas between."""
    chosen = {"none": (), "all": ALL}.get(text, tuple(text.split(",")))
    unknown = [name for name in chosen if name not in (*ALL, *BY_NAME_ONLY)]
    if unknown:
        known = ", ".join(("none", "all", *ALL, *BY_NAME_ONLY))
        message = f"unknown fault {unknown[0]!r}; known are {known}"
        raise ValueError(message)
    return frozenset(chosen)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that a request meets, and the number that settles its details."""

    name: str
    number: int

    def draw(self, count: int, *, part: int = 0) -> int:
        """Return a number in [0, count)."""
        return (self.number >> (16 * part) & 0xFFFF) * count >> 16

    def rows(self, count: int) -> Ints:
        """Return which rows of a page of `count` are served, in which order."""
        rows = np.arange(count, dtype=np.int64)
        if self.name == "truncated" and count:
            lost = 1 + self.draw(count, part=1)
            return rows[lost:] if self.draw(2) else rows[:-lost]
        counter = rows.view(np.uint64)
        mixed = noise.bits(np.uint64(self.number), counter)
        if self.name == "duplicated":
            return np.repeat(rows, np.where(mixed % np.uint64(16) == 0, 2, 1))
        return np.argsort(mixed, kind="stable") if self.name == "unordered" else rows

    def told(self, result: Any, bar_ms: int) -> Any:
        """Return a page as a lie tells it."""
        moved = self._bars() * bar_ms * (-1 if self.name == "misfiled" else 1)
        rows = np.unique([self.draw(5_000, part=part) for part in range(4)])
        return lies.tell(self.name, result, moved_ms=moved, rows=rows)

    def damage(self, result: Any) -> Any:
        """Return a page, columns or lists, with its rows as the fault leaves them."""
        if isinstance(result, list):
            return [result[row] for row in self.rows(len(result))]
        if "data" in result:
            return result | {"data": self.damage(result["data"])}
        if "trades" in result:
            return trade_faults.damage(self, result)
        rows = self.rows(len(result["ticks"]))
        return {
            name: column[rows] if isinstance(column, np.ndarray) else column
            for name, column in result.items()
        }

    def _bars(self) -> int:
        most = 30 if self.name == "shifted" else 500  # lies that agree would be believed
        return (1 + self.draw(most, part=1)) * (1 if self.draw(2) else -1)

    def shift(self, params: Mapping[str, Any], bar_ms: int) -> dict[str, Any]:
        """Return a call's parameters with the window moved by one to thirty bars."""
        return trade_faults.moved(params, seqs=self._bars(), ms=self._bars() * bar_ms)


class Faults:
    """Which fault each request meets."""

    def __init__(self, names: frozenset[str], seed: int, *, every: bool = False) -> None:
        self.names = names
        self._every = every
        self.met: Counter[str] = Counter()
        self._seed = seed
        self._seen: Counter[str] = Counter()
        self._maintenance_left = 0
        self._served_ticks: dict[tuple[str, int], set[int]] = {}

    def meet(self, method: str, params: Mapping[str, Any]) -> Fault | None:
        """Return the fault of a request, counting that it was asked."""
        if not self.names:
            return None
        request = f"{method}?{sorted((name, str(value)) for name, value in params.items())}"
        asked_before = self._seen[request]
        self._seen[request] += 1
        if asked_before >= (HEALTHY_AT_LAST if self._every else HEALTHY_FROM):
            return None
        number = int(noise.key(self._seed, request, str(asked_before)))
        if self._every:
            fault = self._one_of(number, method)
        else:
            fault = self._during_maintenance(number) or self._drawn(number, method)
        if fault:
            self.met[fault.name] += 1
        return fault

    def first_served(self, page: tuple[str, int], ticks: Ints) -> Ints:
        """Return which rows of an instrument and span were never served before, and count it."""
        served = self._served_ticks.setdefault(page, set())
        rows = [row for row, tick in enumerate(ticks.tolist()) if tick not in served]
        served.update(ticks.tolist())
        self.met["revised"] += bool(rows)
        return np.array(rows, dtype=np.int64)

    def _during_maintenance(self, number: int) -> Fault | None:
        if "maintenance" not in self.names:
            return None
        if number >> 48 < _MAINTENANCE_SHARE * 65_536:
            self._maintenance_left = _MAINTENANCE_REQUESTS
        if self._maintenance_left == 0:
            return None
        self._maintenance_left -= 1
        return Fault("maintenance", number)

    def _drawn(self, number: int, method: str) -> Fault | None:
        is_of_trades = method in trade_faults.METHODS
        share = _SHARE_OF_TRADES if is_of_trades else _SHARE
        place = int((number & 0xFFFF_FFFF) / 2**32 / share)
        slowing = [name for name in SLOWING if name in self.names]
        more = trade_faults.NAMES if is_of_trades else ()
        drawable = (*ANSWER_FAULTS, *PAGE_FAULTS, *more, *slowing)
        name = drawable[place] if place < len(drawable) else self._lie(number)
        if name not in self.names or not _can_meet(name, method):
            return None
        return Fault(name, _mixed(number))

    def _lie(self, number: int) -> str:
        """Return which lie a request meets that meets no other fault, if it is told at all."""
        return lies.NAMES[_mixed(number) % len(lies.NAMES)]

    def _one_of(self, number: int, method: str) -> Fault | None:
        """Return one of the faults that the method can meet; each request meets one."""
        known = (
            *ANSWER_FAULTS, *PAGE_FAULTS, *SLOWING, "maintenance", *lies.NAMES, *trade_faults.NAMES
        )  # fmt: skip
        met = [name for name in known if name in self.names and _can_meet(name, method)]
        return Fault(met[number % len(met)], _mixed(number)) if met else None


def _can_meet(name: str, method: str) -> bool:
    """Whether a method can meet a fault; deliveries are asked for by number and have no window."""
    if name in {"shifted", *lies.NAMES} and method == DELIVERIES:
        return False
    if name in trade_faults.NAMES:
        return trade_faults.can_meet(name, method)
    return method in PAGE_METHODS or name not in {*PAGE_FAULTS, *lies.NAMES}


def _mixed(number: int) -> int:
    return int(noise.mix(np.array([number], dtype=np.uint64))[0])


def contradict(result: dict[str, Any]) -> dict[str, Any]:
    """Return a page of delivery prices in which every tenth day comes twice, with two values."""
    twice = [row for row in result["data"] if row["date"].endswith("0")]
    other = [row | {"delivery_price": row["delivery_price"] + 100} for row in twice]
    return result | {"data": [*result["data"], *other]}
