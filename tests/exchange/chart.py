"""public/get_tradingview_chart_data: which bars a call means, and the columns it gets."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.exchange.instruments import Instrument
from tests.exchange.market import Market, as_columns
from tests.exchange.path import EPOCH_MINUTE
from tests.exchange.tape import day_of
from tests.exchange.trades import MINUTE_MS

MOST_BARS = 5_001
_LONGEST_OUTAGE = 400  # minutes missing within any 5,001: they must not shorten a capped page


@dataclass(frozen=True, slots=True)
class ChartQuery:
    """Bars of `span` minutes that open in ``[first_minute, end_minute)``."""

    instrument: Instrument
    span: int
    first_minute: int
    end_minute: int

    def prepare(self, market: Market) -> Iterator[int]:
        """Make the days of the answer one by one, so that others can be served in between."""
        tape = market.world.tapes[self.instrument.name]
        if self.first_minute >= self.end_minute:
            return
        for day in range(day_of(self.first_minute), day_of(self.end_minute - 1) + 1):
            tape.day(day, span=self.span, now_ms=market.now_ms)
            yield day

    def answer(self, market: Market) -> dict[str, Any]:
        """Return the result: of too many bars the newest."""
        tape = market.world.tapes[self.instrument.name]
        bars = tape.bars(self.first_minute, self.end_minute, span=self.span, now_ms=market.now_ms)[
            -MOST_BARS:
        ]
        status = "ok" if len(bars.minute) else "no_data"
        return {"status": status, **as_columns(self.instrument, bars)}


def chart_query(
    instrument: Instrument, span: int, window: tuple[int, int], *, now_ms: int
) -> ChartQuery:
    """Return what a window [Unix ms], both ends included, asks for."""
    end_minute = min(window[1], now_ms - 1) // MINUTE_MS + 1
    # A bar of several minutes opens before the first trade it holds.
    listing = instrument.first_minute - (instrument.first_minute - EPOCH_MINUTE) % span
    capped = end_minute - span * MOST_BARS - _LONGEST_OUTAGE
    first_minute = max(-(-window[0] // MINUTE_MS), capped, listing)
    return ChartQuery(instrument, span, first_minute, max(first_minute, end_minute))
