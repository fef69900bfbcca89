"""Candles as they form: many states of each minute, the last of which is its candle.

A candle is closed when the next minute of its instrument begins; where minutes are left out, nobody
knows whether what was heard before them is all of it, and REST will tell. What then still comes of
it is taken where it has more volume: volume only grows while a candle forms, so a state that comes
late is told by having less.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import polars as pl

from etl.collect.messages import Bar

MINUTE_MS = 60_000
LATE_BARS = 3  # closed ones an instrument's late states are held against
COLUMNS = ("timestamp", "instrument", "open", "high", "low", "close", "volume", "cost")
_SCHEMA = {
    "timestamp": pl.Int64(),
    "instrument": pl.String(),
    **dict.fromkeys(COLUMNS[2:], pl.Float64()),
}


class _Minutes(NamedTuple):
    forming: Bar
    closed: deque[Bar]


class Candles:
    """The candles of some instruments; `closed` is told of each row once it is closed.

    A row is what `COLUMNS` says, its moment in milliseconds.
    """

    def __init__(self) -> None:
        self._minutes: dict[str, _Minutes] = {}
        self._rows: dict[str, list[tuple[object, ...]]] = {}

    def take(self, dataset: str, instrument: str, bar: Bar) -> None:
        """Take one state of a candle."""
        held = self._minutes.get(instrument)
        if held is None:
            self._minutes[instrument] = _Minutes(bar, deque(maxlen=LATE_BARS))
        elif bar.tick == held.forming.tick:
            if _has_grown(held.forming, bar):
                self._minutes[instrument] = held._replace(forming=bar)
        elif bar.tick > held.forming.tick:
            if bar.tick == held.forming.tick + MINUTE_MS:
                held.closed.append(held.forming)
                self._emit(dataset, instrument, held.forming)
            self._minutes[instrument] = held._replace(forming=bar)
        else:
            self._take_late(dataset, instrument, held, bar)

    def _take_late(self, dataset: str, instrument: str, held: _Minutes, bar: Bar) -> None:
        for number, one in enumerate(held.closed):
            if one.tick == bar.tick and _has_grown(one, bar) and bar != one:
                held.closed[number] = bar
                self._emit(dataset, instrument, bar)

    def _emit(self, dataset: str, instrument: str, bar: Bar) -> None:
        values = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.cost)
        self._rows.setdefault(dataset, []).append((bar.tick, instrument, *values))

    def overdue(self, instruments: Iterable[str], minute_ms: int) -> list[str]:
        """Return which instruments' candle of the minute before one is not closed.

        One of which nothing was heard is among them: nobody may trade it for hours.
        """
        held = self._minutes
        return [
            name for name in instruments if name not in held or held[name].forming.tick < minute_ms
        ]

    def forget(self, instrument: str) -> None:
        """Forget an instrument that ended, or was not heard for a while: what forms is not whole.

        Its states are cumulative, so that the next one heard is whole again.
        """
        self._minutes.pop(instrument, None)

    def rows(self) -> dict[str, pl.DataFrame]:
        """Return what was closed since the last call, by dataset."""
        rows, self._rows = self._rows, {}
        moment = pl.from_epoch("timestamp", "ms").cast(pl.Datetime("us", "UTC"))
        return {
            name: pl.DataFrame(some, schema=_SCHEMA, orient="row").with_columns(moment)
            for name, some in rows.items()
        }


def _has_grown(held: Bar, bar: Bar) -> bool:
    return (bar.volume or 0.0) >= (held.volume or 0.0)
