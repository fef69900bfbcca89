"""One day of trades of an instrument, and the minute bars they add up to.

Every minute has `SLOTS` places for a trade; which are taken, at what price, for how many lots and
at which millisecond is noise of (seed, instrument, minute, slot). Bars are nothing but the
aggregate of these trades, in whole price units and whole lots, so that every sum is exact.
"""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tests.exchange import incidents, noise
from tests.exchange.forward import future_of_day
from tests.exchange.instruments import Instrument
from tests.exchange.noise import Bits, Floats
from tests.exchange.path import DAY_MINUTES, EPOCH_MINUTE, Path, minutes_of_day, minutes_since

SLOTS = 6
MINUTE_MS = 60_000
_QUIET_SHARE = 0.04  # minutes with a single trade
_SLOT_MS = MINUTE_MS // SLOTS
_SLOT = np.arange(SLOTS, dtype=np.int64)[:, None]

# Turnover of BTC-PERPETUAL by exchange year (from 14 August), as recorded daily bars have it,
# against the year from August 2025.
_TURNOVER = (0.07, 0.24, 0.8, 0.6, 0.3, 0.6, 0.8, 1.0)

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades of one exchange day; all arrays have shape (SLOTS, 1440).

    Attributes
    ----------
    taken : whether the slot holds a trade.
    price : in units of ``1 / price_denominator``.
    lots : number of contracts.
    offset_ms : milliseconds into the minute, ascending from slot to slot.
    """

    taken: Flags
    price: Ints
    lots: Ints
    offset_ms: Ints

    def until(self, elapsed_ms: Ints) -> "Trades":
        """Return the trades that happened in the first `elapsed_ms` of each minute."""
        return Trades(
            self.taken & (self.offset_ms < elapsed_ms),
            self.price,
            self.lots,
            self.offset_ms,
        )


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars in whole numbers; all arrays have shape (n,).

    Attributes
    ----------
    minute : Unix minute at which the bar opens.
    open, high, low, close : in units of ``1 / price_denominator``.
    volume, cost : in the instrument's smallest units of coin and of quote currency.
    """

    minute: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    cost: Ints

    def __getitem__(self, rows: slice | NDArray[np.generic]) -> "Bars":
        """Return some of the rows."""
        return Bars(*(getattr(self, field.name)[rows] for field in fields(self)))


def join(parts: list[Bars]) -> Bars:
    """Return bars one after another."""
    return Bars(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Bars))
    )


class Day:
    """What one instrument does in one exchange day, 08:00 to 08:00 UTC."""

    def __init__(self, seed: int, instrument: Instrument, path: Path, day: int) -> None:
        self.instrument = instrument
        self._day = day
        self.minute = EPOCH_MINUTE + day * DAY_MINUTES + np.arange(DAY_MINUTES, dtype=np.int64)
        self._key = {
            name: noise.key(seed, instrument.name, name)
            for name in ("price", "lots", "filler", "quiet")
        }
        self._seed, self._path = seed, path
        self._counter = minutes_since(day)

    @cached_property
    def trades(self) -> Trades:
        """The day's trades."""
        return self._make()

    @cached_property
    def turnover(self) -> tuple[Ints, Ints]:
        """Coin and quote currency of each trade, in smallest units."""
        return amounts(self.instrument, self.trades)

    @cached_property
    def log_price(self) -> Floats:
        """Log of the fair price at the start of each minute and at the end, shape (1441,)."""
        if self.instrument.is_perpetual:
            return self._perpetual[0]
        minute = int(self.minute[0])
        return future_of_day(self._seed, self.instrument, self._path, self._day, minute)

    @property
    def deviation(self) -> Floats:
        """Deviation of the log return of each minute, shape (1440,)."""
        return self._perpetual[1]

    @cached_property
    def _perpetual(self) -> tuple[Floats, Floats]:
        channels = (
            noise.key(self._seed, self.instrument.perpetual, name)
            for name in ("level", "minute", "return")
        )
        return minutes_of_day(self._path, tuple(channels), self._day)

    def count(self) -> int:
        """Return how many trades there are, without making them."""
        taken = self._taken(noise.lane(noise.bits(self._key["price"], self._slots), 3))
        return int(np.count_nonzero(taken[:, self.minute < self.instrument.end_minute]))

    @property
    def _slots(self) -> Bits:
        return self._counter * np.uint64(SLOTS) + _SLOT.view(np.uint64)

    def _make(self) -> Trades:
        prices = noise.bits(self._key["price"], self._slots)
        sizes = noise.bits(self._key["lots"], self._slots)
        jitter = noise.lane(sizes, 3) * _SLOT_MS >> 16
        return Trades(
            taken=self._taken(noise.lane(prices, 3)),
            price=self._prices(noise.normal_of_lanes(prices)),
            lots=self._lots(noise.normal_of_lanes(sizes)),
            offset_ms=_SLOT * _SLOT_MS + jitter,
        )

    def _taken(self, draw: Ints) -> Flags:
        word = noise.bits(self._key["quiet"], self._counter)
        activity = 26_214 + (noise.lane(word, 0) * 3 >> 3)  # two to five of six slots, mostly
        activity[noise.lane(word, 1) < _QUIET_SHARE * 65_536] = 0
        taken = draw < activity
        # One slot is always taken: only fillers have no trade.
        taken[noise.lane(word, 2) * SLOTS >> 16, np.arange(DAY_MINUTES)] = True
        return taken & self._trading()

    def _trading(self) -> Flags:
        """Tell which minutes have a trade at all."""
        fillers = noise.uniform(self._key["filler"], self._counter) < self.instrument.filler_share
        silent = incidents.is_silent(self.minute)
        reopens = np.zeros(DAY_MINUTES, dtype=bool)
        # After a pause the first minute trades, so that no filler repeats a price never seen.
        reopens[1:] = silent[:-1]
        reopens[0] = True
        reopens |= self.minute == self.instrument.first_minute
        return (~fillers | reopens) & ~silent & (self.minute >= self.instrument.first_minute)

    def _prices(self, wiggle: Floats) -> Ints:
        steps = np.diff(self.log_price)
        share = (_SLOT + 1) / SLOTS
        bounce = wiggle * (0.3 * self.deviation)
        price = noise.exponential(self.log_price[:-1] + share * steps + bounce)
        if self.instrument.name == "BTC-PERPETUAL":
            price[:, incidents.is_mispriced(self.minute)] *= incidents.MISPRICED
        grid = self.instrument.grid_units(int(self.minute[0]) * MINUTE_MS)
        units = np.rint(price * (self.instrument.price_denominator / grid))
        return units.astype(np.int64) * grid

    def _lots(self, size: Floats) -> Ints:
        # Volume follows volatility: the log of both moves together, as it does on the market.
        activity = self.deviation * 2_000.0
        year = min(max(self._day // 365, 0), len(_TURNOVER) - 1)
        typical = self.instrument.typical_lots * _TURNOVER[year]
        lots = typical * activity * noise.exponential(2.0 * size)
        return np.ceil(np.maximum(lots, self.instrument.smallest_lots)).astype(np.int64)


def bars_of(day: Day, trades: Trades) -> Bars:
    """Return the minute bars of one day's trades, fillers included, missing minutes left out."""
    instrument = day.instrument
    traded = trades.taken.any(axis=0)
    rows = np.arange(DAY_MINUTES)
    first = trades.price[trades.taken.argmax(axis=0), rows]
    last = trades.price[SLOTS - 1 - trades.taken[::-1].argmax(axis=0), rows]
    high = np.where(trades.taken, trades.price, -1).max(axis=0)
    low = np.where(trades.taken, trades.price, np.iinfo(np.int64).max).min(axis=0)
    volume, cost = (each.sum(axis=0) for each in amounts(instrument, trades))
    filler = last[np.maximum.accumulate(np.where(traded, rows, 0))]
    shown = [np.where(traded, column, filler) for column in (first, high, low, last)]
    # Before a day's first trade there is no price to repeat: the bar comes with the trade.
    kept = np.logical_or.accumulate(traded) & ~incidents.is_missing(day.minute)
    return Bars(day.minute, shown[0], shown[1], shown[2], shown[3], volume, cost)[kept]


def amounts(instrument: Instrument, trades: Trades) -> tuple[Ints, Ints]:
    """Return coin and quote currency that changed hands, per slot and minute, in smallest units."""
    lots = np.where(trades.taken, trades.lots, 0)
    if not instrument.is_inverse:
        return lots, lots * trades.price
    usd = lots * round(instrument.contract_size)
    scale = float(instrument.price_denominator * 10**instrument.volume_decimals)
    coin = np.rint(usd * scale / np.maximum(trades.price, 1)).astype(np.int64)
    return coin, usd
