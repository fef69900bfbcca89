"""What an instrument prints: bars of any day and resolution, kept in a bounded cache."""

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tests.exchange.instruments import Instrument
from tests.exchange.path import DAY_MINUTES, DAYS, EPOCH_MINUTE, EPOCH_MS, Path
from tests.exchange.trades import MINUTE_MS, Bars, Day, Ints, bars_of, join

RESOLUTIONS = {
    "1": 1, "3": 3, "5": 5, "10": 10, "15": 15, "30": 30, "60": 60,
    "120": 120, "180": 180, "360": 360, "720": 720, "1D": 1_440,
}  # fmt: skip
"""Minutes per bar. All are aligned with 08:00 UTC, as Deribit's days are."""

_CACHED_MINUTES = 700_000  # of all instruments together; a minute takes 56 bytes
_HELD_DAYS = 3


class Summary(NamedTuple):
    """What a stretch of trading came to, in whole numbers as `Bars` has them."""

    open: int
    high: int
    low: int
    close: int
    volume: int
    cost: int

    def then(self, later: "Summary") -> "Summary":
        """Return this stretch and a later one as one."""
        return Summary(
            self.open, max(self.high, later.high), min(self.low, later.low), later.close,
            self.volume + later.volume, self.cost + later.cost,
        )  # fmt: skip


class BarCache:
    """Days of bars, the least recently used ones dropped first."""

    def __init__(self, capacity: int = _CACHED_MINUTES) -> None:
        self._days: OrderedDict[tuple[str, int, int], Bars] = OrderedDict()
        self._room = capacity

    def get(self, key: tuple[str, int, int]) -> Bars | None:
        """Return a day if it is held."""
        bars = self._days.get(key)
        if bars is not None:
            self._days.move_to_end(key)
        return bars

    def put(self, key: tuple[str, int, int], bars: Bars) -> None:
        """Hold a day."""
        self._days[key] = bars
        self._room -= max(len(bars.minute), 1)
        while self._room < 0:
            _, dropped = self._days.popitem(last=False)
            self._room += max(len(dropped.minute), 1)


def day_of(minute: int) -> int:
    """Return the exchange day that holds a Unix minute, counted from the first one."""
    return (minute - EPOCH_MINUTE) // DAY_MINUTES


class Tape:
    """Everything one instrument ever prints."""

    def __init__(
        self, seed: int, instrument: Instrument, paths: Callable[[str], Path], cache: BarCache
    ) -> None:
        self.instrument = instrument
        self._paths = paths
        self._seed = seed
        self._cache = cache
        self.prints = lru_cache(maxsize=_HELD_DAYS)(self._day)
        """An exchange day of the instrument; the last few are held."""
        self._counts = [0]
        self._until = lru_cache(maxsize=2)(self._summed)

    @property
    def path(self) -> Path:
        """The price path of its underlying."""
        return self._paths(self.instrument.base)

    def bars(self, first_minute: int, end_minute: int, *, span: int, now_ms: int) -> Bars:
        """Return bars of `span` minutes that open in ``[first_minute, end_minute)``.

        What happens at or after `now_ms` is left out, so the last bar may be still forming.
        """
        now_minute = -(-now_ms // MINUTE_MS)
        opening = self.instrument.first_minute
        first = max(first_minute, opening - (opening - EPOCH_MINUTE) % span)
        last = min(self.instrument.end_minute, EPOCH_MINUTE + DAYS * DAY_MINUTES)
        end = min(end_minute, now_minute, last)
        if first >= end:
            return Bars(*np.empty((7, 0), dtype=np.int64))
        days = range(day_of(first), day_of(end - 1) + 1)
        joined = join([self.day(day, span=span, now_ms=now_ms) for day in days])
        return joined[slice(*np.searchsorted(joined.minute, [first, end]))]

    def day(self, day: int, *, span: int, now_ms: int) -> Bars:
        """Return the bars of one exchange day, as far as it has come."""
        if EPOCH_MS + (day + 1) * DAY_MINUTES * MINUTE_MS > now_ms:
            return reduce_bars(self._forming(day, now_ms), span)
        key = (self.instrument.name, span, day)
        bars = self._cache.get(key)
        if bars is None:
            bars = self._closed(day) if span == 1 else reduce_bars(self._minutes(day), span)
            self._cache.put(key, bars)
        return bars

    def last_day(self, now_ms: int) -> Summary | None:
        """Return what happened in the 24 hours before a moment; None if there is no bar."""
        first = -(-(now_ms - DAY_MINUTES * MINUTE_MS) // MINUTE_MS)
        minute = now_ms // MINUTE_MS
        return self._with_minute(self._until(first, minute), minute, now_ms % MINUTE_MS)

    def _summed(self, first: int, end: int) -> Summary | None:
        bars = self.bars(first, end, span=1, now_ms=end * MINUTE_MS)
        if not len(bars.minute):
            return None
        return Summary(
            int(bars.open[0]), int(bars.high.max()), int(bars.low.min()), int(bars.close[-1]),
            int(bars.volume.sum()), int(bars.cost.sum()),
        )  # fmt: skip

    def _with_minute(self, before: Summary | None, minute: int, into_ms: int) -> Summary | None:
        """Return a summary that has the trades of a minute's first milliseconds too."""
        if not self.instrument.first_minute <= minute < self.instrument.end_minute:
            return before
        prints = self.prints(day_of(minute))
        trades = prints.trades
        column = minute - int(prints.minute[0])
        is_in = trades.taken[:, column] & (trades.offset_ms[:, column] < into_ms)
        if not is_in.any():
            return before
        volume, cost = prints.turnover
        price = trades.price[is_in, column].tolist()
        one = Summary(price[0], max(price), min(price), price[-1],
                      int(volume[is_in, column].sum()), int(cost[is_in, column].sum()))  # fmt: skip
        return one if before is None else before.then(one)

    def trades_before(self, day: int) -> int:
        """Return how many trades there were before an exchange day begins."""
        first = day_of(self.instrument.first_minute)
        while len(self._counts) <= day - first:
            # Whatever else a day is made of takes much longer, and is not needed for this.
            self._counts.append(self._counts[-1] + self._day(first + len(self._counts) - 1).count())
        return self._counts[max(day - first, 0)]

    def log_price(self, moment_ms: int) -> float:
        """Return the log of the fair price at a moment [ln quote currency]."""
        minute = moment_ms // MINUTE_MS
        day = self.prints(day_of(minute))
        into = minute - int(day.minute[0])
        share = moment_ms % MINUTE_MS / MINUTE_MS
        return float((1 - share) * day.log_price[into] + share * day.log_price[into + 1])

    def _minutes(self, day: int) -> Bars:
        return self._cache.get((self.instrument.name, 1, day)) or self._closed(day)

    def _closed(self, day: int) -> Bars:
        prints = self._day(day)
        return bars_of(prints, prints.trades)

    def _forming(self, day: int, now_ms: int) -> Bars:
        prints = self.prints(day)
        elapsed = now_ms - prints.minute * MINUTE_MS
        bars = bars_of(prints, prints.trades.until(elapsed))
        return bars[bars.minute * MINUTE_MS < now_ms]

    def _day(self, day: int) -> Day:
        return Day(self._seed, self.instrument, self.path, day)


def reduce_bars(bars: Bars, span: int) -> Bars:
    """Return bars of `span` minutes made of the minute bars of one day."""
    if span == 1 or len(bars.minute) == 0:
        return bars
    opens = bars.minute - (bars.minute - EPOCH_MINUTE) % span
    starts: Ints = np.flatnonzero(np.diff(opens, prepend=opens[0] - 1))
    ends = np.append(starts[1:], len(opens)) - 1
    return Bars(
        opens[starts],
        bars.open[starts],
        np.maximum.reduceat(bars.high, starts),
        np.minimum.reduceat(bars.low, starts),
        bars.close[ends],
        np.add.reduceat(bars.volume, starts),
        np.add.reduceat(bars.cost, starts),
    )
