"""ticker, incremental_ticker, quote and perpetual: what is said of one instrument now."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from tests.exchange import tickers
from tests.exchange.instruments import Instrument
from tests.exchange.market import Market
from tests.exchange.socket.board import Board
from tests.exchange.socket.feed import grid

Told = Callable[[Market, int], dict[str, Any]]
"""What public/ticker says at a moment [Unix ms]."""

_QUOTED = (
    "timestamp", "instrument_name",
    "best_ask_price", "best_bid_price", "best_ask_amount", "best_bid_amount",
)  # fmt: skip
_KEYS = ("timestamp", "instrument_name")
INCREMENT_MS = 1_000


@dataclass(frozen=True)
class Ticker:
    """ticker.{instrument}.{interval}, from listing to expiry; `told` is shared by an instrument."""

    told: Told
    lives: tuple[int, int]
    step_ms: int

    def first(self, market: Market) -> list[bytes]:
        """Return the ticker of now."""
        return [self._sent(market, market.now_ms)]

    def between(self, market: Market, start_ms: int, end_ms: int) -> list[bytes]:
        """Return one ticker an interval."""
        start_ms, end_ms = max(start_ms, self.lives[0]), min(end_ms, self.lives[1])
        return [self._sent(market, ms) for ms in grid(start_ms, end_ms, self.step_ms)]

    def _sent(self, market: Market, ms: int) -> bytes:
        return orjson.dumps(self.told(market, ms))


@dataclass(frozen=True)
class ReplayedTicker(Ticker):
    """ticker.{option}.{interval} as it was a full second before or less, with a new timestamp.

    So a whole chain can be sent ten times a second: to load a client, not to tell it the truth.
    """

    board: Board
    name: str

    def between(self, market: Market, start_ms: int, end_ms: int) -> list[bytes]:
        """Return one ticker an interval."""
        start_ms, end_ms = max(start_ms, self.lives[0] + 1_000), min(end_ms, self.lives[1])
        return [
            b'{"timestamp":%d%b' % (ms, self.board.tails(market, ms - ms % 1_000)[self.name])
            for ms in grid(start_ms, end_ms, self.step_ms)
        ]


@dataclass(frozen=True)
class IncrementalTicker(Ticker):
    """incremental_ticker.{instrument}: all of it, then once a second what has changed."""

    def first(self, market: Market) -> list[bytes]:
        """Return the ticker of the last full second."""
        ms = max(market.now_ms - market.now_ms % self.step_ms, self.lives[0])
        return [orjson.dumps({"type": "snapshot"} | self.told(market, ms))]

    def _sent(self, market: Market, ms: int) -> bytes:
        now, before = (
            self.told(market, ms),
            self.told(market, max(ms - self.step_ms, self.lives[0])),
        )
        kept = {
            name: value for name, value in now.items() if name in _KEYS or value != before[name]
        }
        return orjson.dumps({"type": "change"} | kept)


@dataclass(frozen=True)
class Quote(Ticker):
    """quote.{instrument}: the best bid and ask, where they differ from those of 100 ms before."""

    def between(self, market: Market, start_ms: int, end_ms: int) -> list[bytes]:
        """Return the quotes that are new."""
        start_ms, end_ms = max(start_ms, self.lives[0]), min(end_ms, self.lives[1])
        return [
            self._sent(market, ms)
            for ms in grid(start_ms, end_ms, self.step_ms)
            if ms - self.step_ms < self.lives[0]
            or self._quoted(market, ms)[2:] != self._quoted(market, ms - self.step_ms)[2:]
        ]

    def _quoted(self, market: Market, ms: int) -> list[Any]:
        told = self.told(market, ms)
        return [told[name] for name in _QUOTED]

    def _sent(self, market: Market, ms: int) -> bytes:
        return orjson.dumps(dict(zip(_QUOTED, self._quoted(market, ms), strict=True)))


@dataclass(frozen=True)
class Perpetual:
    """perpetual.{instrument}.{interval}: the current funding."""

    instrument: Instrument
    step_ms: int

    def first(self, market: Market) -> list[bytes]:
        """Return what is so now."""
        return [self._sent(market, market.now_ms)]

    def between(self, market: Market, start_ms: int, end_ms: int) -> list[bytes]:
        """Return one message an interval."""
        return [self._sent(market, ms) for ms in grid(start_ms, end_ms, self.step_ms)]

    def _sent(self, market: Market, ms: int) -> bytes:
        now = market.at(ms)
        return orjson.dumps(
            {
                "timestamp": ms,
                "interest": tickers.current_funding(now, self.instrument),
                "index_price": now.index_price(self.instrument.name),
            }
        )


def of_future(instrument: Instrument) -> Told:
    """Return what public/ticker says of a future."""
    return lambda market, ms: tickers.ticker(market.at(ms), instrument)


def of_option(board: Board, name: str) -> Told:
    """Return what public/ticker says of an option."""
    board.watch(name)
    return lambda market, ms: board.told(market, ms, name)
