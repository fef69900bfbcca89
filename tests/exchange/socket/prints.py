"""trades.{instrument}.{interval} and trades.{kind}.{currency}.{interval}: arrays of trades.

Trades of options are those REST has, liquidations withheld; trades of futures are those candles
are made of, which only the socket has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Protocol

import numpy as np
import orjson

from tests.exchange import noise, tickers
from tests.exchange.instruments import Instrument
from tests.exchange.listing import INSTRUMENTS
from tests.exchange.market import Market
from tests.exchange.option_market.pages import without_liquidation
from tests.exchange.option_market.sent import JsonDay
from tests.exchange.path import DAY_MINUTES, EPOCH_MS
from tests.exchange.tape import day_of
from tests.exchange.trades import MINUTE_MS, SLOTS, Ints

DAY_MS = DAY_MINUTES * MINUTE_MS

Row = tuple[int, bytes]


class Source(Protocol):
    """Whose trades."""

    def rows(self, market: Market, start_ms: int, end_ms: int) -> list[Row]:
        """Return moment [Unix ms] and JSON of the trades of a half-open window."""


@dataclass(frozen=True)
class Trades:
    """Trades of some sources, one message for those of an interval."""

    sources: tuple[Source, ...]
    step_ms: int

    def first(self, _market: Market) -> list[bytes]:
        """Return nothing."""
        return []

    def between(self, market: Market, start_ms: int, end_ms: int) -> list[bytes]:
        """Return the messages of a window: an interval is told when it is over."""
        start_ms, end_ms = (ms - ms % self.step_ms for ms in (start_ms, end_ms))
        rows = [row for one in self.sources for row in one.rows(market, start_ms, end_ms)]
        if len(self.sources) > 1:
            rows.sort(key=lambda row: row[0])
        groups = groupby(rows, key=lambda row: row[0] // self.step_ms)
        return [b"[%b]" % b",".join(text for _, text in group) for _, group in groups]


class OfOptions:
    """All options that settle in a currency, or one of them."""

    def __init__(self, currency: str, name: str | None = None) -> None:
        self._currency, self._name = currency, name

    def rows(self, market: Market, start_ms: int, end_ms: int) -> list[Row]:
        """Return the trades of a window."""
        found: list[Row] = []
        if start_ms >= end_ms:
            return found
        for day in range((start_ms - EPOCH_MS) // DAY_MS, (end_ms - 1 - EPOCH_MS) // DAY_MS + 1):
            held = self._day(market, day)
            low, high = np.searchsorted(held.ms, [start_ms, end_ms]).tolist()
            made = map(without_liquidation, held.rows.between(low, high))
            found += zip(held.ms[low:high].tolist(), made, strict=True)
        return found

    def _day(self, market: Market, day: int) -> JsonDay:
        sent = market.world.sent
        return sent.option_day(self._name, day) if self._name else sent.day(self._currency, day)


@dataclass(frozen=True, slots=True)
class Prints:
    """Trades of a future on an exchange day, in order of time; all arrays have shape (n,)."""

    ms: Ints
    price: Ints
    lots: Ints
    slot: Ints
    tick_direction: Ints
    is_buy: Ints


class OfFuture:
    """A perpetual or a dated future."""

    def __init__(self, market: Market, instrument: Instrument) -> None:
        self._instrument = instrument
        self._tape = market.world.tapes[instrument.name]
        self._side = noise.key(market.seed, instrument.name, "side")
        self._day = lru_cache(maxsize=2)(self._made)

    def rows(self, market: Market, start_ms: int, end_ms: int) -> list[Row]:
        """Return the trades of a window."""
        found: list[Row] = []
        if start_ms >= end_ms:
            return found
        for day in range(day_of(start_ms // MINUTE_MS), day_of((end_ms - 1) // MINUTE_MS) + 1):
            prints = self._day(day)
            low, high = np.searchsorted(prints.ms, [start_ms, end_ms]).tolist()
            first_seq = self._tape.trades_before(day) + 1 if low < high else 0
            found += [self._row(market, prints, n, first_seq + n) for n in range(low, high)]
        return found

    def _row(self, market: Market, prints: Prints, n: int, seq: int) -> Row:
        one, ms = self._instrument, int(prints.ms[n])
        index, mark = tickers.prices(market.at(ms), one)
        lots = int(prints.lots[n])
        prefix = "" if one.name.startswith("BTC-") else f"{one.name.partition('-')[0]}-"
        return ms, orjson.dumps(
            {
                "timestamp": ms,
                "price": int(prints.price[n]) / one.price_denominator,
                "amount": round(lots * one.contract_size, 6),
                "direction": "buy" if prints.is_buy[n] else "sell",
                "index_price": index,
                "instrument_name": one.name,
                "trade_seq": seq,
                "mark_price": mark,
                "tick_direction": int(prints.tick_direction[n]),
                "contracts": float(lots),
                "trade_id": f"{prefix}{int(prints.slot[n]) * 1_000_000 + one.instrument_id}",
            }
        )

    def _made(self, day: int) -> Prints:
        prints = self._tape.prints(day)
        trades = prints.trades
        taken = (trades.taken & (prints.minute < self._instrument.end_minute)).T
        price = trades.price.T[taken]
        minute = np.broadcast_to(prints.minute[:, None], taken.shape)
        slot = (minute * SLOTS + np.arange(SLOTS))[taken]
        sides = noise.bits(self._side, slot.view(np.uint64))
        return Prints(
            ms=(minute * MINUTE_MS + trades.offset_ms.T)[taken],
            price=price,
            lots=trades.lots.T[taken],
            slot=slot,
            tick_direction=_tick_directions(price),
            is_buy=noise.lane(sides, 0) & 1,
        )


@dataclass(frozen=True)
class OfFutures:
    """All futures that settle in a currency, as they come and go."""

    source: Callable[[str], Source]
    currency: str

    def rows(self, market: Market, start_ms: int, end_ms: int) -> list[Row]:
        """Return the trades of a window, by time."""
        rows = [
            row
            for one in INSTRUMENTS
            if one.settlement_currency == self.currency
            and one.creation_ms < end_ms
            and start_ms < one.expiration_ms
            for row in self.source(one.name).rows(market, start_ms, end_ms)
        ]
        return sorted(rows, key=lambda row: row[0])


def _tick_directions(price: Ints) -> Ints:
    """Return 0 for a higher price than before, 2 for a lower one, 1 and 3 for none since those."""
    moved = np.sign(np.diff(price, prepend=price[:1]))
    known = np.maximum.accumulate(np.where(moved != 0, np.arange(len(price)), 0))
    return np.where(moved[known] < 0, 2, 0) + (moved == 0)
