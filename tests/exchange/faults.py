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
=============  ==================================================================================

What befalls lists of instruments, by name only too, is in `tests.exchange.delistings`.

A fault is a pure function of (fault seed, method and parameters, how often this was asked before)
and a request is healthy from its fourth time on. Two faults have a memory beside that: a "minute"
of maintenance, once drawn, also meets the requests that follow, and `revised` remembers what it
has served.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.exchange import delistings, noise
from tests.exchange.trades import Ints

PAGE_FAULTS = ("truncated", "shifted", "duplicated", "unordered")
ANSWER_FAULTS = ("latency", "rate_limit", "html_502", "cut_body", "settlement", "internal")
NAMES = (*ANSWER_FAULTS, *PAGE_FAULTS, "maintenance", "revised")
BY_NAME_ONLY = ("contradictory", *delistings.NAMES)

DELIVERIES = "public/get_delivery_prices"
PAGE_METHODS = (
    "public/get_tradingview_chart_data",
    "public/get_funding_rate_history",
    "public/get_volatility_index_data",
    DELIVERIES,
)
HEALTHY_FROM = 3
"""How often a request may have been asked before and still fail."""

_SHARE = 0.07  # of requests that meet each fault
_MAINTENANCE_SHARE = 0.01  # of requests that begin a minute of maintenance
_MAINTENANCE_REQUESTS = 10


def named(text: str) -> frozenset[str]:
    """Return the faults that ``--faults`` names: none, all, or some with commas between."""
    chosen = {"none": (), "all": NAMES}.get(text, tuple(text.split(",")))
    unknown = [name for name in chosen if name not in (*NAMES, *BY_NAME_ONLY)]
    if unknown:
        known = ", ".join(("none", "all", *NAMES, *BY_NAME_ONLY))
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

    def damage(self, result: Any) -> Any:
        """Return a page, columns or lists, with its rows as the fault leaves them."""
        if isinstance(result, list):
            return [result[row] for row in self.rows(len(result))]
        if "data" in result:
            return result | {"data": self.damage(result["data"])}
        rows = self.rows(len(result["ticks"]))
        return {
            name: column[rows] if isinstance(column, np.ndarray) else column
            for name, column in result.items()
        }

    def shift(self, params: Mapping[str, Any], bar_ms: int) -> dict[str, Any]:
        """Return a call's parameters with the window moved by one to thirty bars."""
        bars = (1 + self.draw(30, part=1)) * (1 if self.draw(2) else -1)
        moved = {
            name: int(params[name]) + bars * bar_ms for name in ("start_timestamp", "end_timestamp")
        }
        return {**params, **moved}


class Faults:
    """Which fault each request meets."""

    def __init__(self, names: frozenset[str], seed: int) -> None:
        self.names = names
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
        if asked_before >= HEALTHY_FROM:
            return None
        number = int(noise.key(self._seed, request, str(asked_before)))
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
        place = int((number & 0xFFFF_FFFF) / 2**32 / _SHARE)
        drawable = (*ANSWER_FAULTS, *PAGE_FAULTS)
        name = drawable[place] if place < len(drawable) else None
        if name not in self.names or (name in PAGE_FAULTS and method not in PAGE_METHODS):
            return None
        if name == "shifted" and method == DELIVERIES:
            return None  # it is asked by number and has no window
        return Fault(name, int(noise.mix(np.array([number], dtype=np.uint64))[0]))


def contradict(result: dict[str, Any]) -> dict[str, Any]:
    """Return a page of delivery prices in which every tenth day comes twice, with two values."""
    twice = [row for row in result["data"] if row["date"].endswith("0")]
    other = [row | {"delivery_price": row["delivery_price"] + 100} for row in twice]
    return result | {"data": [*result["data"], *other]}
