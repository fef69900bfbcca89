"""The price path of a coin: one number per hour at start-up, one per minute when asked for.

Hourly log prices are one cumulative sum, pinned to plausible levels of the real market at a few
dates; inside an hour the minutes are a bridge from one hourly price to the next, weighted by
variance. So the price of any minute follows from (seed, coin, minute) alone.

Days and hours are counted from the first perpetual's listing. What came before, when there were
dated futures only, has negative numbers and a walk of its own that ends where the other begins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tests.exchange import coins, noise
from tests.exchange.incidents import milliseconds
from tests.exchange.noise import Bits, Floats

DAYS = 6_000
HOURS = 24 * DAYS
DAY_MINUTES = 1_440
EPOCH_MS = milliseconds("2018-08-14T08:00")
EPOCH_MINUTE = EPOCH_MS // 60_000
HOUR_MS = 3_600_000
EARLY_DAYS = 810
"""Days before the first perpetual that have prices: from 2016-05-26, just before the exchange."""
FIRST_MS = EPOCH_MS - 24 * EARLY_DAYS * HOUR_MS

_TYPICAL_VOLATILITY = {"BTC": 0.00046, "ETH": 0.00068, **coins.VOLATILITY}  # of one minute
# Log volatility moves on several scales: (hours per step, weight).
_VOLATILITY_SCALES = ((384, 0.3), (96, 0.25), (24, 0.25), (4, 0.25), (1, 0.25))

_LEVELS = {
    "BTC": {
        "2018-08-14": 6035, "2018-11-12": 6310, "2018-12-15": 3240, "2019-03-27": 4016,
        "2019-05-11": 7524, "2019-06-25": 12474, "2019-09-23": 9750, "2019-12-22": 7507,
        "2020-02-12": 10350, "2020-03-13": 5600, "2020-06-19": 9296, "2020-09-17": 10967,
        "2020-12-16": 22518, "2021-01-30": 33630, "2021-04-14": 63500, "2021-07-20": 29800,
        "2021-11-09": 67500, "2022-01-25": 37365, "2022-06-18": 19000, "2022-11-21": 15800,
        "2023-04-20": 28164, "2023-09-11": 25200, "2023-12-31": 42300, "2024-03-13": 73000,
        "2024-09-06": 54000, "2024-12-17": 107000, "2025-04-08": 76500, "2025-08-13": 123000,
        "2025-10-18": 107000, "2026-01-30": 83400, "2026-09-20": 80800,
    },
    "ETH": {
        "2018-08-14": 280, "2018-12-15": 85, "2019-03-14": 133, "2019-06-26": 330,
        "2019-12-18": 120, "2020-02-14": 285, "2020-03-13": 120, "2020-08-31": 430,
        "2021-01-04": 1040, "2021-05-11": 4180, "2021-07-20": 1790, "2021-11-09": 4800,
        "2022-06-18": 990, "2022-08-13": 1980, "2022-11-21": 1110, "2023-04-16": 2110,
        "2023-10-12": 1540, "2024-03-11": 4060, "2024-08-07": 2350, "2024-12-16": 4000,
        "2025-04-08": 1470, "2025-08-24": 4780, "2025-10-18": 3880, "2025-12-30": 2970,
        "2026-09-20": 2602,
    },
    **coins.LEVELS,
}  # fmt: skip
_EARLY_LEVELS = {
    "BTC": {
        "2016-05-26": 452, "2016-06-17": 750, "2016-08-03": 565, "2017-01-04": 1130,
        "2017-01-12": 790, "2017-03-10": 1190, "2017-06-11": 2950, "2017-07-16": 1930,
        "2017-09-01": 4850, "2017-09-15": 3300, "2017-12-17": 19300, "2018-02-06": 6900,
        "2018-03-05": 11500, "2018-06-28": 5900, "2018-07-24": 8300,
    },
    "ETH": {"2016-05-26": 12.5, "2017-06-12": 395, "2018-01-13": 1390},
    **coins.EARLY_LEVELS,
}  # fmt: skip


@dataclass(frozen=True)
class Path:
    """Hourly prices of one coin.

    Attributes
    ----------
    log_price : float64 array, shape (HOURS + 1,)
        Log of the price at the start of each hour since `EPOCH_MS` [ln USD].
    volatility : float64 array, shape (HOURS,)
        Typical deviation of a one-minute log return in each hour [1].
    early_log_price, early_volatility : float64 arrays, shape (24 EARLY_DAYS,)
        The same of the hours before `EPOCH_MS`.
    """

    log_price: Floats
    volatility: Floats
    early_log_price: Floats
    early_volatility: Floats

    def day(self, day: int) -> tuple[Floats, Floats]:
        """Return the 25 hourly log prices of an exchange day, and the 24 volatilities."""
        hours = slice(24 * day, 24 * day + 25)
        if day >= 0:
            return self.log_price[hours], self.volatility[hours][:24]
        late = np.concatenate([self.early_log_price, self.log_price[:1]])
        hours = slice(hours.start + 24 * EARLY_DAYS, hours.stop + 24 * EARLY_DAYS)
        return late[hours], self.early_volatility[hours][:24]


@lru_cache(maxsize=32)
def price_path(seed: int, coin: str) -> Path:
    """Return the path of `coin` under `seed`; the last few are held."""
    hours = np.arange(HOURS, dtype=np.int64)
    walk, volatility = _walk(seed, coin, hours)
    walk += _pins(_LEVELS[coin], walk, 0)
    first = -24 * EARLY_DAYS
    before, early = _walk(seed, coin, np.arange(first, 0, dtype=np.int64))
    before += _pins(_EARLY_LEVELS[coin], before, first)
    # The last stretch is bent so that it ends where the other walk begins.
    before += (walk[0] - before[-1]) * np.clip(np.linspace(-4, 1, len(before)), 0, 1)
    return Path(walk, volatility, before[:-1], early)


def minutes_of_day(path: Path, channels: tuple[np.uint64, ...], day: int) -> tuple[Floats, Floats]:
    """Return one exchange day, 08:00 to 08:00 UTC.

    Returns
    -------
    log_price : float64 array, shape (1441,)
        At the start of each minute, and at the end of the last.
    deviation : float64 array, shape (1440,)
        Deviation of the log return of each minute.
    """
    counter = minutes_since(day)
    anchors, volatility = path.day(day)
    deviation = _minute_factor(channels, counter) * np.repeat(volatility, 60)
    steps = (noise.normal(channels[2], counter) * deviation).reshape(24, 60)
    inside = np.cumsum(steps, axis=1)
    elapsed = np.cumsum((deviation * deviation).reshape(24, 60), axis=1)
    elapsed /= elapsed[:, -1:]
    miss = inside[:, -1:] - np.diff(anchors)[:, None]
    ends = anchors[:24, None] + inside - elapsed * miss
    return np.concatenate([anchors[:1], ends.ravel()]), deviation


def minutes_since(day: int) -> Bits:
    """Return the minutes of an exchange day as counters; early ones lie far from all others."""
    first = day * DAY_MINUTES
    return np.arange(first, first + DAY_MINUTES, dtype=np.int64).view(np.uint64)


def _walk(seed: int, coin: str, hours: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return log prices before they are pinned, one more than hours, and the volatility."""
    counter = hours.view(np.uint64)
    volatility = _TYPICAL_VOLATILITY[coin] * noise.exponential(_log_volatility(seed, coin, counter))
    steps = noise.normal(noise.key(seed, coin, "hour"), counter) * volatility * np.sqrt(60.0)
    return np.concatenate([[0.0], np.cumsum(steps)]), volatility


def _log_volatility(seed: int, coin: str, hours: Bits) -> Floats:
    total = np.zeros(len(hours))
    for span, weight in _VOLATILITY_SCALES:
        channel = noise.key(seed, coin, f"volatility/{span}")
        total += weight * noise.normal(channel, hours // np.uint64(span))
    return total


def _minute_factor(channels: tuple[np.uint64, ...], counter: Bits) -> Floats:
    level = 0.25 * noise.normal(channels[0], counter // np.uint64(7))
    word = noise.bits(channels[1], counter)
    level += 0.25 * noise.normal_of_lanes(word)
    burst = noise.lane(word, 3) < 0.01 * 65_536
    result: Floats = noise.exponential(level) * (1.0 + 2.5 * burst)
    return result


def _pins(levels: Mapping[str, float], walk: Floats, first_hour: int) -> Floats:
    """Return what moves a walk onto the pinned levels, linear in between."""
    hours = first_hour + np.arange(len(walk))
    pinned = [(milliseconds(day) - EPOCH_MS) // HOUR_MS for day in levels]
    at = np.clip(pinned, hours[0], hours[-1])
    # Decimal's logarithm is correctly rounded everywhere; the C library's is not.
    logs = np.array([float(Decimal(price).ln()) for price in levels.values()])
    shift: Floats = np.interp(hours, at, logs - walk[at - first_hour])
    return shift
