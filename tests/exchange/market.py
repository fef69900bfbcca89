"""The truth about the simulated market: what the exchange has, whatever it may serve.

End-to-end tests compare a lake with this, never with what was fetched. All windows here are
half-open, ``[start_ms, end_ms)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tests.exchange import incidents, noise
from tests.exchange.forward import delivery_price
from tests.exchange.funding import Funding, funding_of, hours_between
from tests.exchange.instruments import PERPETUALS, Instrument
from tests.exchange.listing import BY_NAME, INSTRUMENTS
from tests.exchange.option_market.sent import Sent
from tests.exchange.option_market.statistics import statistics_of
from tests.exchange.option_market.tape import OptionTape
from tests.exchange.path import EPOCH_MS, HOUR_MS, price_path
from tests.exchange.tape import RESOLUTIONS, BarCache, Tape, day_of
from tests.exchange.trades import MINUTE_MS, Bars, Ints

Columns = dict[str, NDArray[np.generic]]


class World:
    """Everything that follows from a seed and does not depend on the present."""

    def __init__(self, market: "Market") -> None:
        seed = market.seed
        paths = partial(price_path, seed)  # made when first asked for
        held = BarCache()
        self.seed = seed
        self.tapes = {
            instrument.name: Tape(seed, instrument, paths, held) for instrument in INSTRUMENTS
        }
        self.options = OptionTape(seed, paths, form=market.surface, factor=market.option_activity)
        self.sent = Sent(self.options, lose=market.lose, names=market.option_vices)
        self._delivered: dict[tuple[str, int], float] = {}

    def warm(self, option_currencies: Sequence[str] = (), now_ms: int = 0) -> None:
        """Make what takes longest, so that no request has to wait for it.

        It is funding histories, and of the option currencies named the trades of yesterday
        and today, and the statistics of now.
        """
        for instrument in PERPETUALS:
            self.funding(instrument.name)
        for currency in option_currencies:
            for day in (-1, 0):
                self.sent.day(currency, (now_ms - EPOCH_MS) // (24 * HOUR_MS) + day)
            statistics_of(self.options, currency, now_ms)

    def funding(self, instrument: str) -> Funding:
        """Return hourly index prices and funding of an instrument."""
        return funding(self.seed, instrument)

    def delivery_price(self, perpetual: str, day_ms: int) -> float:
        """Return what contracts on the index of a perpetual are delivered at [quote currency]."""
        at = perpetual, day_ms
        if at not in self._delivered:
            day = day_of(day_ms // MINUTE_MS) - 1
            self._delivered[at] = delivery_price(
                self.seed, perpetual, self.tapes[perpetual].path, day
            )
        return self._delivered[at]


@dataclass(frozen=True)
class Market:
    """The market of a seed as it stands at `now_ms` [Unix ms].

    `deliveries` says on which days there were some: `tests.exchange.deliveries`. `surface` is the
    truth about volatility, `option_activity` scales how often options trade. One option trade in
    `lose` is never sent, and `option_vices` are those of a few options. Those that expired before
    `options_since_ms` are in no list, so that whoever does not look at them need not wait for them.
    """

    seed: int
    now_ms: int
    deliveries: str = "fridays"
    surface: str = "ssvi"
    option_activity: float = 1.0
    lose: int = 0
    options_since_ms: int = 0
    option_vices: frozenset[str] = frozenset()

    @cached_property
    def world(self) -> World:
        """What does not depend on the present."""
        return World(self)

    def at(self, now_ms: int) -> "Market":
        """Return the same market at another moment, sharing what is cached."""
        _ = self.world
        other = object.__new__(Market)  # `replace` would take ten times as long
        other.__dict__.update(self.__dict__)
        other.__dict__["now_ms"] = now_ms
        return other

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Instruments that live now."""
        return tuple(i for i in self.listed if self.now_ms < i.expiration_ms)

    @property
    def listed(self) -> tuple[Instrument, ...]:
        """Instruments listed by now, expired ones too."""
        return tuple(i for i in INSTRUMENTS if i.creation_ms <= self.now_ms)

    def bars(self, instrument: str, start_ms: int, end_ms: int, resolution: str = "1") -> Bars:
        """Return the bars that open in a window, in whole units."""
        window = (-(-start_ms // MINUTE_MS), -(-end_ms // MINUTE_MS))
        tape = self.world.tapes[instrument]
        return tape.bars(*window, span=RESOLUTIONS[resolution], now_ms=self.now_ms)

    def candles(
        self, instrument: str, start_ms: int, end_ms: int, resolution: str = "1"
    ) -> Columns:
        """Return the candles that open in a window, as get_tradingview_chart_data names them.

        Returns
        -------
        dict of arrays, shape (n,)
            `ticks` int64 [Unix ms]; `open`, `high`, `low`, `close` float64 [quote currency];
            `volume` float64 [coin]; `cost` float64 [quote currency].
        """
        return as_columns(BY_NAME[instrument], self.bars(instrument, start_ms, end_ms, resolution))

    def minutes(self, instrument: str, start_ms: int, end_ms: int) -> Ints:
        """Return the ticks [Unix ms] of all minutes the exchange has, without making candles."""
        first = max(-(-start_ms // MINUTE_MS), BY_NAME[instrument].first_minute)
        end = -(-min(end_ms, self.now_ms) // MINUTE_MS)
        end = min(end, BY_NAME[instrument].end_minute)
        minutes = np.arange(first, max(first, end), dtype=np.int64)
        return minutes[~incidents.is_missing(minutes)] * MINUTE_MS

    def funding(self, instrument: str, start_ms: int, end_ms: int) -> Columns:
        """Return the hourly funding rows of a window.

        Returns
        -------
        dict of arrays, shape (n,)
            `timestamp` int64 [Unix ms]; `index_price`, `prev_index_price` [quote currency];
            `interest_1h`, `interest_8h` [1], all float64.
        """
        # Deribit's window excludes its start and includes its end; ours is the other way round.
        hours = hours_between(BY_NAME[instrument], start_ms - 1, end_ms - 1, now_ms=self.now_ms)
        rows = self.world.funding(instrument)
        here, before = slice(hours.start, hours.stop), slice(hours.start - 1, hours.stop - 1)
        return {
            "timestamp": EPOCH_MS + np.arange(hours.start, hours.stop, dtype=np.int64) * HOUR_MS,
            "index_price": rows.index_price[here],
            "prev_index_price": rows.index_price[before],
            "interest_1h": rows.interest_1h[here],
            "interest_8h": rows.interest_8h[here],
        }

    def option_trades(self, currency: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Return the trades of all options that settle in a currency, by time and trade id.

        Returns
        -------
        DataFrame
            Deribit's own members by name; null where a trade lacks one.
        """
        return self.world.options.frame(currency, start_ms, min(end_ms, self.now_ms))

    def option_truth(self, currency: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Return `instrument_name`, `trade_seq`, `forward` and `iv` that option trades truly had.

        `iv` is that of the price before it was put on its grid, at the forward that nobody rounded.
        """
        return self.world.options.truth(currency, start_ms, min(end_ms, self.now_ms))

    def option_vol(self, family: str, at_ms: int, years: float) -> float:
        """Return the true volatility at the forward of options that expire in some years [1]."""
        return self.world.options.at_the_money(family, at_ms, years)

    def lost_trades(self, currency: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Return `instrument_name` and `trade_seq` of a window's trades that are never sent."""
        return self.world.sent.lost(currency, start_ms, min(end_ms, self.now_ms))

    def last_seqs(self, currency: str) -> pl.DataFrame:
        """Return `instrument_name` and `trade_seq` of the last trade of each listed option.

        0 is an option that never traded.
        """
        return self.world.options.last_seqs(currency, self.now_ms)

    def index_price(self, instrument: str) -> float:
        """Return the index that an instrument follows, now [quote currency]."""
        decimals, instrument = BY_NAME[instrument].index_decimals, BY_NAME[instrument].perpetual
        fair = self.world.tapes[instrument].log_price(self.now_ms)
        return round(noise.exponential_of(fair - self.premium(instrument)), decimals)

    def delivery_price(self, perpetual: str, day_ms: int) -> float:
        """Return what contracts on the index of a perpetual are delivered at [quote currency].

        `day_ms` is the moment of expiry, 08:00 UTC.
        """
        return self.world.delivery_price(perpetual, day_ms)

    def premium(self, instrument: str) -> float:
        """Return how far a perpetual stands above its index now [1]."""
        hour, into = divmod(self.now_ms - EPOCH_MS, HOUR_MS)
        premium = self.world.funding(instrument).premium
        share = into / HOUR_MS
        return float((1 - share) * premium[hour] + share * premium[hour + 1])


@lru_cache(maxsize=32)
def funding(seed: int, instrument: str) -> Funding:
    """Return hourly index prices and funding of an instrument under a seed; the last are held."""
    future = BY_NAME[instrument]
    return funding_of(seed, future, price_path(seed, future.base))


def as_columns(instrument: Instrument, bars: Bars) -> Columns:
    """Return bars in Deribit's units and names."""
    price = instrument.price_denominator
    volume = 10**instrument.volume_decimals
    cost = 1 if instrument.is_inverse else price * volume
    return {
        "ticks": bars.minute * MINUTE_MS,
        "open": bars.open / price,
        "high": bars.high / price,
        "low": bars.low / price,
        "close": bars.close / price,
        "volume": bars.volume / volume,
        "cost": bars.cost / cost,
    }
