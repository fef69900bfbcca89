"""chart.trades.{instrument}.{resolution}: many updates a bar, all of the same tick."""

from functools import lru_cache

import numpy as np
import orjson

from tests.exchange.instruments import Instrument
from tests.exchange.market import Market, as_columns
from tests.exchange.socket.bars import Updates, updates_of
from tests.exchange.tape import Tape, day_of
from tests.exchange.trades import MINUTE_MS

_NAMES = ("tick", "open", "high", "low", "close", "volume", "cost")


class Chart:
    """Bars of `span` minutes of an instrument."""

    def __init__(self, market: Market, instrument: Instrument, span: int) -> None:
        self._instrument, self._span = instrument, span
        self._tape: Tape = market.world.tapes[instrument.name]
        self._updates = lru_cache(maxsize=2)(self._made)

    def first(self, _market: Market) -> list[bytes]:
        """Return nothing: the first update comes with the next trade."""
        return []

    def between(self, _market: Market, start_ms: int, end_ms: int) -> list[bytes]:
        """Return the updates of a window."""
        found: list[bytes] = []
        # What is filled as a day ends is an update of that day.
        for day in range(
            day_of((start_ms - 1) // MINUTE_MS), day_of((end_ms - 1) // MINUTE_MS) + 1
        ):
            updates = self._updates(day)
            rows = slice(*np.searchsorted(updates.ms, [start_ms, end_ms]))
            columns = as_columns(self._instrument, updates.bars[rows])
            found += [
                orjson.dumps(dict(zip(_NAMES, row, strict=True)))
                for row in zip(*(column.tolist() for column in columns.values()), strict=True)
            ]
        return found

    def _made(self, day: int) -> Updates:
        return updates_of(self._tape.prints(day), self._span)
