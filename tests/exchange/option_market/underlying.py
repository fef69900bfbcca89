"""The index and the forward of an expiry, at any millisecond of an exchange day.

The forward of an expiry is its future's fair price, so it is known from `tests.exchange.forward`.
Daily expiries without a future of their own stand on the index, as Deribit's synthetic
underlyings do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tests.exchange import forward, noise
from tests.exchange.funding import premium_of, smooth
from tests.exchange.noise import Floats
from tests.exchange.path import DAY_MINUTES, EARLY_DAYS, EPOCH_MS, Path
from tests.exchange.trades import Ints

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
_YEAR_MS = 365 * DAY_MS


@dataclass(frozen=True, slots=True)
class UnderlyingDay:
    """An underlying during one exchange day, 08:00 to 08:00 UTC.

    Attributes
    ----------
    start_ms : int
        08:00 UTC at which it begins [Unix ms].
    log_index, delivery : float64 arrays, shape (1441,)
        Log of the index at each minute, and what to add to it towards a delivery at the end.
    carry : float64 array, shape (25,)
        What a year of carrying costs, by the hour [1/yr].
    """

    start_ms: int
    log_index: Floats
    delivery: Floats
    carry: Floats

    def log_index_at(self, ms: Ints) -> Floats:
        """Return the log of the index at moments of the day [ln quote currency]."""
        return _at((ms - self.start_ms) / MINUTE_MS, self.log_index)

    def log_forward_at(self, ms: Ints, expiration_ms: Ints, on_index: Floats) -> Floats:
        """Return the log of the forward of an expiry; `on_index` is 1 where that is the index."""
        minutes = (ms - self.start_ms) / MINUTE_MS
        carry = _at(minutes / 60, self.carry) * (1.0 - on_index)
        ends_here = expiration_ms == self.start_ms + DAY_MS
        index = _at(minutes, self.log_index) + np.where(ends_here, _at(minutes, self.delivery), 0.0)
        return np.asarray(index + carry * (expiration_ms - ms) / _YEAR_MS)


class Underlyings:
    """The days of all underlyings of a seed; the last few are held."""

    def __init__(self, seed: int, paths: Callable[[str], Path]) -> None:
        self._seed = seed
        self._paths = paths
        self.day = lru_cache(maxsize=256)(self._day)
        self._prices = lru_cache(maxsize=8)(self._all_prices)

    def _day(self, base: str, perpetual: str, day: int) -> UnderlyingDay:
        log_index = forward.index_of_day(self._seed, perpetual, self._paths(base), day)
        delivery = np.zeros(DAY_MINUTES + 1)
        delivery[-forward.AVERAGED - 1 :] = forward.towards_delivery(
            log_index[-forward.AVERAGED - 1 :]
        )
        carry = forward.carry_of_day(self._seed, base, day)
        return UnderlyingDay(EPOCH_MS + day * DAY_MS, log_index, delivery, carry)

    def log_levels(self, base: str, perpetual: str, days: Ints) -> Floats:
        """Return the log of the index at 08:00 UTC of exchange days [ln quote currency]."""
        price = self._prices(base)
        hours = 24 * days
        premium = premium_of(self._seed, perpetual, hours.view(np.uint64))
        return np.asarray(price[hours + 24 * EARLY_DAYS] - premium)

    def _all_prices(self, base: str) -> Floats:
        """Return the log prices of all hours, those before `EPOCH_MS` first."""
        path = self._paths(base)
        return np.concatenate([path.early_log_price, path.log_price])

    def smoothed(self, base: str, name: str, day: int, span: int) -> Floats:
        """Return noise of deviation 1 that moves slowly, at the 25 full hours of a day."""
        channel = noise.key(self._seed, base, f"surface/{name}")
        hours = np.arange(24 * day, 24 * day + 25, dtype=np.int64)
        return smooth(channel, hours.view(np.uint64), span)


def _at(place: Floats, knots: Floats) -> Floats:
    """Return what lies between knots a unit apart."""
    low = np.minimum(place.astype(np.int64), len(knots) - 2)
    share = place - low
    return np.asarray((1 - share) * knots[low] + share * knots[low + 1])


def by_hour(start_ms: int, ms: Ints, hourly: Floats) -> Floats:
    """Return 25 hourly values of a day at moments of it."""
    return _at((ms - start_ms) / HOUR_MS, hourly)
