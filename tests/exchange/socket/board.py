"""What all watched options of a family say at a moment: computed together, and held.

One by one, five thousand tickers would take seconds a tenth of a second.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from tests.exchange.market import Market
from tests.exchange.option_market import tickers
from tests.exchange.option_market.families import Family
from tests.exchange.option_market.snapshot import snapshot_of
from tests.exchange.socket.feed import grid

MARKS_MS = 1_000
_HEAD = len(b'{"timestamp":1792326896000')
_MARK_PLACES, _IV_PLACES = 4, 4


class Board:
    """The options of a family that somebody watches."""

    def __init__(self, market: Market, family: str, held_moments: int) -> None:
        self._chain = market.world.options.chain(family)
        self._watched: set[int] = set()
        self._held: OrderedDict[int, dict[str, dict[str, Any]]] = OrderedDict()
        self._tails: OrderedDict[int, dict[str, bytes]] = OrderedDict()
        self._held_moments = held_moments

    def watch(self, name: str) -> None:
        """Tell this option's tickers from now on."""
        row = self._chain.rows[name]
        if row not in self._watched:
            self._watched.add(row)
            self._held.clear()
            self._tails.clear()

    def told(self, market: Market, ms: int, name: str) -> dict[str, Any]:
        """Return what public/ticker says of a watched option at a moment."""
        if ms not in self._held:
            self._held[ms] = self._at(market, ms)
            if len(self._held) > self._held_moments:
                self._held.popitem(last=False)
        return self._held[ms][name]

    def tails(self, market: Market, second_ms: int) -> dict[str, bytes]:
        """Return the JSON of the tickers of a full second behind their timestamps."""
        if second_ms not in self._tails:
            told = self._at(market, second_ms)
            self._tails[second_ms] = {each: orjson.dumps(one)[_HEAD:] for each, one in told.items()}
            if len(self._tails) > self._held_moments // 10 + 2:
                self._tails.popitem(last=False)
        return self._tails[second_ms]

    def _at(self, market: Market, ms: int) -> dict[str, dict[str, Any]]:
        rows = np.array(sorted(self._watched), dtype=np.int64)
        is_alive = (self._chain.creation_ms[rows] <= ms) & (ms < self._chain.expiration_ms[rows])
        found = tickers.tickers(market.at(ms), self._chain, rows[is_alive])
        return {one["instrument_name"]: one for one in found}


@dataclass(frozen=True)
class Marks:
    """markprice.options.{index}: the whole chain first, then what has changed in a second."""

    family: Family

    def first(self, market: Market) -> list[bytes]:
        """Return all marks of the last full second."""
        ms = market.now_ms - market.now_ms % MARKS_MS
        return [orjson.dumps(_rows(ms, self._marks(market, ms)))]

    def between(self, market: Market, start_ms: int, end_ms: int) -> list[bytes]:
        """Return the marks that differ from those of a second before."""
        found: list[bytes] = []
        before: dict[str, tuple[float, float]] | None = None
        for ms in grid(start_ms, end_ms, MARKS_MS):
            if before is None:
                before = self._marks(market, ms - MARKS_MS)
            now = self._marks(market, ms)
            changed = {name: one for name, one in now.items() if before.get(name) != one}
            found += [orjson.dumps(_rows(ms, changed))] if changed else []
            before = now
        return found

    def _marks(self, market: Market, ms: int) -> dict[str, tuple[float, float]]:
        """Return price and volatility of each option that lives."""
        chain = market.world.options.chain(self.family.name)
        rows = tickers.living(chain, ms)
        shot = snapshot_of(market.world.options, chain, rows, ms)
        marks = np.round(shot.mark, _MARK_PLACES).tolist()
        volatility = np.round(shot.volatility, _IV_PLACES).tolist()
        names = [chain.names[row] for row in rows.tolist()]
        return dict(zip(names, zip(marks, volatility, strict=True), strict=True))


def _rows(ms: int, marks: dict[str, tuple[float, float]]) -> list[dict[str, Any]]:
    return [
        {"timestamp": ms, "mark_price": mark, "iv": iv, "instrument_name": name}
        for name, (mark, iv) in marks.items()
    ]
