"""Index prices and funding of a perpetual, hour by hour.

`interest_1h` is a squared dead band of a multi-scale noise: zero in about 23 % of the hours,
skewed to the positive side and as wide as 8,533 recorded hours of BTC-PERPETUAL (quantiles in
test_realism.py).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.exchange import noise
from tests.exchange.incidents import milliseconds
from tests.exchange.instruments import Instrument
from tests.exchange.noise import Bits, Floats
from tests.exchange.path import EPOCH_MS, HOUR_MS, HOURS, Path

FUNDING_START_MS = milliseconds("2019-04-30T00:00")
"""Rows before this carry zeros; the first recorded non-zero month is 2019-05."""

PAGE_ROWS = 744

_BAND = (-1.175, -0.37)  # no funding while the noise lies inside
_POSITIVE, _NEGATIVE = 6.3e-6, 6.0e-6
_SCALES = ((168, 0.45), (24, 0.5), (4, 0.6), (1, 0.43))  # (hours per knot, weight)


@dataclass(frozen=True)
class Funding:
    """Hourly values of one perpetual; all arrays have shape (HOURS + 1,).

    Attributes
    ----------
    index_price : at each hour since `EPOCH_MS` [quote currency].
    premium : of the perpetual over its index at each hour [1].
    interest_1h, interest_8h : funding of the hour, and of the eight hours, that end there [1].
    """

    index_price: Floats
    premium: Floats
    interest_1h: Floats
    interest_8h: Floats

    def rows(self, hours: range) -> list[dict[str, Any]]:
        """Return rows of get_funding_rate_history."""
        return [
            {
                "timestamp": EPOCH_MS + hour * HOUR_MS,
                "index_price": float(self.index_price[hour]),
                "interest_8h": float(self.interest_8h[hour]),
                "interest_1h": float(self.interest_1h[hour]),
                "prev_index_price": float(self.index_price[hour - 1]),
            }
            for hour in hours
        ]


def funding_of(seed: int, instrument: Instrument, path: Path) -> Funding:
    """Return the whole funding history of an instrument."""
    hours = np.arange(HOURS + 1, dtype=np.uint64)
    premium = premium_of(seed, instrument.name, hours)
    index = np.round(noise.exponential(path.log_price - premium), instrument.index_decimals)
    moments = EPOCH_MS + np.arange(HOURS + 1) * HOUR_MS
    charged = (moments > FUNDING_START_MS) & (moments > instrument.creation_ms)
    one_hour = np.where(charged, _interest(_pressure(seed, instrument, hours)), 0.0)
    return Funding(index, premium, one_hour, _eight_hours(seed, instrument, one_hour))


def premium_of(seed: int, perpetual: str, hours: Bits) -> Floats:
    """Return how far a perpetual stands above its index at some hours since `EPOCH_MS` [1]."""
    return 1.2e-4 * smooth(noise.key(seed, perpetual, "premium"), hours, 4)


def first_hour(instrument: Instrument) -> int:
    """Return the hour of the first row: the first whole hour after an hour of trading."""
    return -(-(instrument.creation_ms + HOUR_MS - EPOCH_MS) // HOUR_MS)


def hours_between(instrument: Instrument, start_ms: int, end_ms: int, *, now_ms: int) -> range:
    """Return the hours that have rows with ``start_ms < timestamp <= end_ms``."""
    first = max((start_ms - EPOCH_MS) // HOUR_MS + 1, first_hour(instrument))
    end_ms = min(end_ms, now_ms, instrument.expiration_ms)
    last = min((end_ms - EPOCH_MS) // HOUR_MS, HOURS)
    return range(first, max(first, last + 1))


def funding_value(instrument: Instrument, funding: Funding, hours: range) -> float:
    """Return the funding over some hours as get_funding_rate_value gives it [1].

    On inverse perpetuals every hour is charged in coin at its own index price, so an hour counts
    by the price at the start over the price at its own start (exact on recorded months).
    """
    if not hours:
        return 0.0
    interest = funding.interest_1h[hours.start : hours.stop]
    if not instrument.is_inverse:
        return math.fsum(interest)
    previous = funding.index_price[hours.start - 1 : hours.stop - 1]
    return float(previous[0]) * math.fsum(interest / previous)


def _pressure(seed: int, instrument: Instrument, hours: Bits) -> Floats:
    total = np.zeros(len(hours))
    for span, weight in _SCALES:
        channel = noise.key(seed, instrument.name, f"funding/{span}")
        total += weight * smooth(channel, hours, span)
    return total


def smooth(channel: np.uint64, hours: Bits, span: int) -> Floats:
    """Return noise of deviation 1 that moves from knot to knot, `span` hours apart."""
    signed = hours.view(np.int64)  # hours before the first count down
    knot, share = (signed // span).view(np.uint64), (signed % span).astype(float) / span
    here, there = noise.normal(channel, knot), noise.normal(channel, knot + np.uint64(1))
    blend = (1 - share) * here + share * there
    result: Floats = blend / np.sqrt((1 - share) ** 2 + share**2)
    return result


def _interest(pressure: Floats) -> Floats:
    below, above = _BAND
    longs_pay = np.maximum(pressure - above, 0.0)
    shorts_pay = np.maximum(below - pressure, 0.0)
    result: Floats = _POSITIVE * longs_pay * longs_pay - _NEGATIVE * shorts_pay * shorts_pay
    return result


def _eight_hours(seed: int, instrument: Instrument, one_hour: Floats) -> Floats:
    """Return nearly the sum of eight hours: recorded rows differ from it by 4e-8, at median."""
    padded = np.concatenate([np.zeros(7), one_hour])
    total = np.zeros(len(one_hour))
    for back in range(8):
        total += padded[back : back + len(one_hour)]
    counter = np.arange(len(one_hour), dtype=np.uint64)
    error = noise.normal(noise.key(seed, instrument.name, "interest_8h"), counter)
    return np.where(total == 0.0, 0.0, total + 6e-8 * error)
