"""What a dated future is worth: the index, what carrying it costs, and the price of delivery.

Until half an hour before expiry it is index x e**(carry x years). Then the average that it is
delivered at begins, and what of it is known already counts instead.
"""

import numpy as np

from tests.exchange import noise
from tests.exchange.funding import premium_of, smooth
from tests.exchange.instruments import Instrument
from tests.exchange.noise import Floats
from tests.exchange.path import DAY_MINUTES, Path, minutes_of_day

AVERAGED = 30  # minutes before 08:00
_YEAR_MINUTES = 525_600
_CARRY, _CARRY_DEVIATION, _CARRY_HOURS = 0.07, 0.045, 168


def index_of_day(seed: int, perpetual: str, path: Path, day: int) -> Floats:
    """Return the log of the index at the start of each minute of an exchange day, and at its end.

    Returns
    -------
    float64 array, shape (1441,)
        [ln quote currency].
    """
    channels = tuple(noise.key(seed, perpetual, name) for name in ("level", "minute", "return"))
    log_price, _ = minutes_of_day(path, (channels[0], channels[1], channels[2]), day)
    return log_price - _by_minute(premium_of(seed, perpetual, _hours(day)))


def delivery_price(seed: int, perpetual: str, path: Path, day: int) -> float:
    """Return the average of the index over the last half hour of an exchange day, as published."""
    index = noise.exponential(index_of_day(seed, perpetual, path, day)[-AVERAGED - 1 : -1])
    return round(float(index.sum()) / AVERAGED, 2)


def future_of_day(seed: int, instrument: Instrument, path: Path, day: int, minute: int) -> Floats:
    """Return the log of a dated future's fair price, where `minute` is the first of the day.

    Returns
    -------
    float64 array, shape (1441,)
        [ln quote currency]; what comes after expiry means nothing.
    """
    index = index_of_day(seed, instrument.perpetual, path, day)
    carry = carry_of_day(seed, instrument.base, day)
    left = instrument.end_minute - minute - np.arange(DAY_MINUTES + 1)
    future = index + _by_minute(carry) * np.maximum(left, 0) / _YEAR_MINUTES
    if left[-1] == 0:
        future[-AVERAGED - 1 :] += towards_delivery(index[-AVERAGED - 1 :])
    return np.asarray(future, dtype=np.float64)


def carry_of_day(seed: int, coin: str, day: int) -> Floats:
    """Return what carrying a coin costs at the 25 full hours of an exchange day [1/yr]."""
    channel = noise.key(seed, coin, "carry")
    return _CARRY + _CARRY_DEVIATION * smooth(channel, _hours(day), _CARRY_HOURS)


def towards_delivery(index: Floats) -> Floats:
    """Return what to add to the log of the price, from half an hour before expiry to expiry."""
    price = noise.exponential(index)
    known = np.concatenate([[0.0], np.cumsum(price[:-1])])
    elapsed = np.arange(AVERAGED + 1)
    average = (known + (AVERAGED - elapsed) * price) / AVERAGED
    # ln(average/price), which lie within a few per cent of each other
    x = average / price - 1.0
    return np.asarray(x * (1.0 - x * (0.5 - x * (1.0 / 3.0 - x * 0.25))), dtype=np.float64)


def _hours(day: int) -> noise.Bits:
    return np.arange(24 * day, 24 * day + 25, dtype=np.int64).view(np.uint64)


def _by_minute(hourly: Floats) -> Floats:
    """Return 25 hourly values at the start of every minute, and at the end of the day."""
    share = np.arange(60) / 60
    inside = hourly[:-1, None] * (1 - share) + hourly[1:, None] * share
    return np.concatenate([inside.ravel(), hourly[-1:]])
